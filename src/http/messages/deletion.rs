//! Deleting a message: by its author, by the room's admins, by staff and by the host application.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use actors::domain::command::{Command, Refusal, RoomChange};
use actors::domain::ids::{MessageId, RoomId};
use utoipa::ToSchema;

use crate::http::body::RequestBody;
use crate::http::caller::Caller;
use crate::http::error::{ApiError, map_refusal};
use crate::http::fields::{Fields, FromFields, parse_uuid};
use crate::http::state::ApiState;

/// The most code points of a reason.
const REASON_CHARS_MAX: usize = 500;

/// Why a message is deleted.
#[derive(ToSchema)]
#[schema(as = DeleteMessage)]
pub struct DeleteMessageRequest {
    /// Kept in the room's log for an audit, and shown to nobody in the room.
    #[schema(max_length = 500)]
    reason: Option<String>,
}

impl FromFields for DeleteMessageRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let reason = fields.optional_text("reason", REASON_CHARS_MAX);
        Some(Self { reason: reason.filter(|reason| !reason.is_empty()) })
    }
}

/// Deletes a message: one's own; another's as the room's admin, as staff and as the host application, but
/// not in a direct room.
#[utoipa::path(delete, path = "/api/chat/messages/{id}/", tag = "messages",
    params(("id" = uuid::Uuid, Path)), request_body = Option<DeleteMessageRequest>, responses((status = 204)))]
pub async fn delete(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
    body: RequestBody,
) -> Result<HttpResponse, ApiError> {
    let message = parse_uuid(&id).map(MessageId).ok_or_else(ApiError::not_found)?;
    let room = find_room(&state, &caller, message).await?.ok_or_else(ApiError::not_found)?;
    let DeleteMessageRequest { reason } = body.object_or_empty().await?;
    let change = RoomChange::Delete { message, reason };
    let deleted = state.engine.command(Command { room, by: caller.principal()?, change }).await;
    // A caller who was removed since the room was found is answered like everyone outside the room.
    map_refusal(deleted, |refusal| match refusal {
        Refusal::NotParticipant => ApiError::not_found(),
        other => other.into(),
    })?;
    Ok(HttpResponse::NoContent().finish())
}

/// Finds the room of a message that the caller may see. Staff and the host application see every message.
async fn find_room(
    state: &ApiState,
    caller: &Caller,
    message: MessageId,
) -> Result<Option<RoomId>, ApiError> {
    if let Some(viewer) = caller.viewer()
        && let Some(details) = state.store.message(viewer, message).await?
    {
        return Ok(Some(details.message.room));
    }
    if caller.is_service() || caller.is_staff() {
        Ok(state.store.room_of_message(message).await?)
    } else {
        Ok(None)
    }
}
