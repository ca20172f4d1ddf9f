//! Saved messages: what the caller has put aside to find it again.

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use actors::domain::ids::MessageId;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{notify, page_response};
use crate::http::caller::Caller;
use crate::http::error::ApiError;
use crate::http::fields::parse_uuid;
use crate::http::messages::view::MessagePresenter;
use crate::http::messages::{ApiMessage, find_message};
use crate::http::page::{MESSAGES_PER_PAGE, Page, Pagination};
use crate::http::query::QueryString;
use crate::http::state::ApiState;
use crate::store::postgres::personal::{SAVED_MAX, SaveOutcome, SavedMessageDetails};

/// That a message is saved.
#[derive(Serialize, ToSchema)]
#[schema(as = Saved)]
pub struct ApiSaved {
    /// The message.
    pub message_id: Uuid,
    /// Its room.
    pub room_id: Uuid,
    /// Since when.
    pub saved_at: DateTime<Utc>,
}

/// A saved message.
#[derive(Serialize, ToSchema)]
#[schema(as = SavedMessage)]
pub struct ApiSavedMessage {
    /// The message.
    #[serde(flatten)]
    pub message: ApiMessage,
    /// When it was saved.
    pub saved_at: DateTime<Utc>,
}

/// Saves a message for the caller; again changes nothing.
#[utoipa::path(put, path = "/api/chat/messages/{id}/saved/", tag = "personal",
    params(("id" = Uuid, Path)), responses((status = 200, body = ApiSaved)))]
pub async fn put(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<Json<ApiSaved>, ApiError> {
    let message = find_message(&state, &caller, &id).await?.message;
    let user = caller.user_id()?;
    match state.store.save_message(user, message.room, message.id).await? {
        SaveOutcome::Saved { saved_at, head } => {
            notify(&state, user, head);
            Ok(Json(ApiSaved { message_id: message.id.0, room_id: message.room.0, saved_at }))
        }
        SaveOutcome::TooMany => {
            Err(ApiError::field("message_id", format!("No more than {SAVED_MAX} messages can be saved.")))
        }
    }
}

/// Saves a message no longer.
#[utoipa::path(delete, path = "/api/chat/messages/{id}/saved/", tag = "personal",
    params(("id" = Uuid, Path)), responses((status = 204)))]
pub async fn delete(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let message = parse_uuid(&id).map(MessageId).ok_or_else(ApiError::not_found)?;
    let user = caller.viewer().ok_or_else(ApiError::not_found)?;
    let head = state.store.unsave_message(user, message).await?;
    if head.is_none() {
        // A message that the caller may read and hasn't saved is as it shall be.
        find_message(&state, &caller, &id).await?;
    }
    notify(&state, user, head);
    Ok(HttpResponse::NoContent().finish())
}

/// Lists the caller's saved messages, the newest saved first; those alone that the caller may read now.
#[utoipa::path(get, path = "/api/chat/saved/", tag = "personal", params(Pagination),
    responses((status = 200, body = Page<ApiSavedMessage>,
        headers(("X-Personal-Position" = i64, description = "The position of the personal log that this shows")))))]
pub async fn list(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    query: QueryString,
) -> Result<HttpResponse, ApiError> {
    let pagination = Pagination::read(&query, MESSAGES_PER_PAGE)?;
    let user = caller.user_id()?;
    let found = state.store.saved_messages(user, pagination.limit(), pagination.offset()).await?;
    let presenter = MessagePresenter::new(&request, &state, &caller);
    let present = |SavedMessageDetails { details, saved_at }| ApiSavedMessage {
        message: presenter.present(details),
        saved_at,
    };
    let messages = found.items.into_iter().map(present).collect();
    Ok(page_response(found.head, pagination.page(&request, &query, found.count, messages)?))
}
