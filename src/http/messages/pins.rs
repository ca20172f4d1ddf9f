//! Pinning a message in its room, taking it off, and the list of a room's pinned messages.

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use actors::domain::command::{Command, CommandReply, Refusal, RoomChange};
use actors::domain::ids::MessageId;
use actors::error::EngineError;

use super::view::{ApiMessage, MessagePresenter};
use super::{NOBODY, find_message, page_response};
use crate::http::caller::Caller;
use crate::http::error::{ApiError, map_refusal};
use crate::http::fields::parse_uuid;
use crate::http::page::{MESSAGES_PER_PAGE, Page, Pagination};
use crate::http::query::QueryString;
use crate::http::rooms::{require_access, room_id};
use crate::http::state::ApiState;
use crate::store::postgres::queries::MessageDetails;

/// Pins a message in its room, which has 50 of them at most. Again: nothing new.
#[utoipa::path(put, path = "/api/chat/messages/{id}/pin/", tag = "messages",
    params(("id" = uuid::Uuid, Path)), responses((status = 200, body = ApiMessage)))]
pub async fn put(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<Json<ApiMessage>, ApiError> {
    set_pinned(&request, &state, &caller, &id, true).await
}

/// Takes a pinned message off. Again: nothing new.
#[utoipa::path(delete, path = "/api/chat/messages/{id}/pin/", tag = "messages",
    params(("id" = uuid::Uuid, Path)), responses((status = 200, body = ApiMessage)))]
pub async fn delete(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<Json<ApiMessage>, ApiError> {
    set_pinned(&request, &state, &caller, &id, false).await
}

/// Lists a room's pinned messages, the one that was pinned last first.
#[utoipa::path(get, path = "/api/chat/rooms/{id}/pins/", tag = "rooms",
    params(("id" = uuid::Uuid, Path), Pagination),
    responses((status = 200, body = Page<ApiMessage>,
        headers(("X-Room-Seq" = i64, description = "The head of the room that the page shows")))))]
pub async fn list(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
    query: QueryString,
) -> Result<HttpResponse, ApiError> {
    let room = room_id(&id)?;
    let pagination = Pagination::read(&query, MESSAGES_PER_PAGE)?;
    require_access(&state, &caller, room).await?;
    let (viewer, limit, offset) =
        (caller.viewer().unwrap_or(NOBODY), pagination.limit(), pagination.offset());
    let page = state.store.pinned_messages(viewer, room, caller.is_service(), limit, offset).await?;
    let presenter = MessagePresenter::new(&request, &state, &caller);
    page_response(&request, &query, &presenter, pagination, page)
}

async fn set_pinned(
    request: &HttpRequest,
    state: &ApiState,
    caller: &Caller,
    id: &str,
    pinned: bool,
) -> Result<Json<ApiMessage>, ApiError> {
    let details = find(state, caller, id).await?;
    let change = RoomChange::Pin { message: details.message.id, pinned };
    let command = Command { room: details.message.room, by: caller.principal()?, change };
    // A caller who was removed since the message was read is answered like everyone outside the room.
    let reply = map_refusal(state.engine.command(command).await, |refusal| match refusal {
        Refusal::NotParticipant => ApiError::not_found(),
        other => other.into(),
    })?;
    let CommandReply::MessageChanged { message, .. } = reply else {
        return Err(EngineError::OutcomeUnknown.into());
    };
    let details = MessageDetails { message: *message, ..details };
    Ok(Json(MessagePresenter::new(request, state, caller).present(details)))
}

/// Finds a message that the caller may see. The host application sees every message; the engine knows in which
/// rooms it may do something.
async fn find(state: &ApiState, caller: &Caller, id: &str) -> Result<MessageDetails, ApiError> {
    if !caller.is_service() {
        return find_message(state, caller, id).await;
    }
    let id = parse_uuid(id).map(MessageId).ok_or_else(ApiError::not_found)?;
    state.store.message_for_host(id).await?.ok_or_else(ApiError::not_found)
}
