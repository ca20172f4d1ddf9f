//! Acknowledging an urgent message, and how REST shows who has.

use actix_web::web::{Data, Json, Path};
use actors::domain::command::{CommandReply, RoomChange};
use actors::domain::urgency::UrgentMark;
use actors::error::EngineError;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{command, find_message};
use crate::http::caller::Caller;
use crate::http::error::ApiError;
use crate::http::state::ApiState;

/// That a message is urgent.
#[derive(Serialize, ToSchema)]
#[schema(as = UrgentMark)]
pub struct ApiUrgentMark {
    /// By when it is to be acknowledged; left out where its sender gave no time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub ack_by: Option<DateTime<Utc>>,
    /// Who has acknowledged it, the first 200 of them.
    pub acks: Vec<ApiAcknowledgement>,
    /// How many have.
    pub ack_count: i64,
}

/// That someone has acknowledged an urgent message.
#[derive(Serialize, ToSchema)]
#[schema(as = Acknowledgement)]
pub struct ApiAcknowledgement {
    /// Who.
    pub user_id: i64,
    /// When.
    pub at: DateTime<Utc>,
}

impl From<&UrgentMark> for ApiUrgentMark {
    fn from(mark: &UrgentMark) -> Self {
        let acks = mark.acks.iter().map(|ack| ApiAcknowledgement { user_id: ack.user.0, at: ack.at });
        Self { ack_by: mark.ack_by, acks: acks.collect(), ack_count: mark.ack_count }
    }
}

/// That a message to be sent is urgent. The type documents what may be sent and is never constructed.
#[derive(ToSchema)]
#[schema(as = SendUrgent)]
pub struct SendUrgent {
    /// By when it is to be acknowledged: ahead, and at most 7 days.
    pub ack_by: Option<DateTime<Utc>>,
}

/// An urgent message, and who has acknowledged it.
#[derive(Serialize, ToSchema)]
#[schema(as = AcknowledgedMessage)]
pub struct ApiAcknowledgedMessage {
    /// The message's id.
    pub message_id: Uuid,
    /// Who has acknowledged it.
    pub urgent: ApiUrgentMark,
}

/// Acknowledges an urgent message of someone else. Again: nothing new.
#[utoipa::path(post, path = "/api/chat/messages/{id}/ack/", tag = "messages",
    params(("id" = Uuid, Path)), responses((status = 200, body = ApiAcknowledgedMessage)))]
pub async fn create(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<Json<ApiAcknowledgedMessage>, ApiError> {
    let details = find_message(&state, &caller, &id).await?;
    let message = details.message.id;
    match command(&state, &caller, &details, RoomChange::Acknowledge { message }).await? {
        CommandReply::MessageChanged { message, .. } => {
            let urgent = message.extras.urgent.as_deref().ok_or(EngineError::OutcomeUnknown)?;
            Ok(Json(ApiAcknowledgedMessage { message_id: message.id.0, urgent: urgent.into() }))
        }
        _ => Err(EngineError::OutcomeUnknown.into()),
    }
}
