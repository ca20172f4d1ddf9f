//! Marking a room as read, or as unread again.

use actix_web::web::{Data, Json, Path};
use actors::domain::command::{Command, ReadTarget, Refusal, RoomChange};
use actors::domain::ids::MessageId;
use utoipa::ToSchema;

use super::{Confirmation, command, room_id};
use crate::http::body::RequestBody;
use crate::http::caller::Caller;
use crate::http::error::{ApiError, map_refusal};
use crate::http::fields::{Fields, FromFields};
use crate::http::state::ApiState;

/// Reads all of a room.
#[utoipa::path(post, path = "/api/chat/rooms/{id}/mark_read/", tag = "rooms",
    params(("id" = Uuid, Path)), responses((status = 200, body = Confirmation)))]
pub async fn mark_read(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<Json<Confirmation>, ApiError> {
    let room = room_id(&id)?;
    command(&state, room, caller.token_holder()?, RoomChange::Read(ReadTarget::Head)).await?;
    Ok(Json(Confirmation { message: "Room marked as read" }))
}

/// The message from which on a room counts as unread.
#[derive(ToSchema)]
#[schema(as = MarkUnread)]
pub struct MarkUnreadRequest {
    /// The message, in this room.
    #[schema(value_type = Uuid)]
    message_id: MessageId,
}

impl FromFields for MarkUnreadRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let message_id = fields.uuid("message_id");
        Some(Self { message_id: MessageId(fields.require("message_id", message_id)?) })
    }
}

/// Lets a room count as unread for the caller from a message on, until the caller reads something of it. Read
/// marks and receipts stay.
#[utoipa::path(post, path = "/api/chat/rooms/{id}/mark_unread/", tag = "rooms",
    params(("id" = Uuid, Path)), request_body = MarkUnreadRequest,
    responses((status = 200, body = Confirmation)))]
pub async fn mark_unread(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
    body: RequestBody,
) -> Result<Json<Confirmation>, ApiError> {
    let (room, by) = (room_id(&id)?, caller.token_holder()?);
    let MarkUnreadRequest { message_id: message } = body.object().await?;
    let marked = state.engine.command(Command { room, by, change: RoomChange::MarkUnread { message } }).await;
    map_refusal(marked, |refusal| match refusal {
        Refusal::MessageNotFound => ApiError::field("message_id", refusal.to_string()),
        other => other.into(),
    })?;
    Ok(Json(Confirmation { message: "Room marked as unread" }))
}
