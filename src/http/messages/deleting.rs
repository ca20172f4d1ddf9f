//! Deleting a message: its author's, or that of those who look after the room.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use actors::domain::command::{Change, Command, Refusal};
use actors::domain::ids::{MessageId, RoomId};
use utoipa::ToSchema;

use crate::http::body::Body;
use crate::http::caller::Caller;
use crate::http::error::{ApiError, blaming};
use crate::http::fields::{Fields, FromFields, parse_uuid};
use crate::http::rest::Rest;

/// The most code points of a reason.
const REASON_CHARS_MAX: usize = 500;

/// Why a message is deleted.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the form of the body for the OpenAPI document; read field by field")]
pub struct DeleteMessage {
    /// Kept in the room's log for an audit, and shown to nobody in the room.
    #[schema(max_length = 500)]
    reason: Option<String>,
}

struct Why(Option<String>);

impl FromFields for Why {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        Some(Self(fields.optional_text("reason", REASON_CHARS_MAX).filter(|reason| !reason.is_empty())))
    }
}

/// Deletes a message: one's own; another's as the room's admin, as staff and as the host application, but
/// not in a direct room.
#[utoipa::path(delete, path = "/api/chat/messages/{id}/", tag = "messages",
    params(("id" = uuid::Uuid, Path)), request_body = Option<DeleteMessage>, responses((status = 204)))]
pub async fn delete(
    rest: Data<Rest>,
    caller: Caller,
    id: Path<String>,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let message = parse_uuid(&id).map(MessageId).ok_or_else(ApiError::not_found)?;
    let room = room_of(&rest, &caller, message).await?.ok_or_else(ApiError::not_found)?;
    let Why(reason) = body.object_or_nothing().await?;
    let change = Change::Delete { message, reason };
    let done = rest.engine.command(Command { room, by: caller.actor()?, change }).await;
    // One who was taken out since the message was found is one who isn't in the room.
    blaming(done, |refusal| match refusal {
        Refusal::NotParticipant => ApiError::not_found(),
        other => other.into(),
    })?;
    Ok(HttpResponse::NoContent().finish())
}

/// The room of a message that the caller may know of: staff and the host application are in no room for it.
async fn room_of(rest: &Rest, caller: &Caller, message: MessageId) -> Result<Option<RoomId>, ApiError> {
    if let Some(viewer) = caller.viewer()
        && let Some(read) = rest.store.message(viewer, message).await?
    {
        return Ok(Some(read.message.room));
    }
    if caller.is_service() || caller.is_staff() { Ok(rest.store.room_of(message).await?) } else { Ok(None) }
}
