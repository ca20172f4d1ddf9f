//! Reminders: messages of which the caller is told again at some time.

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use actors::domain::ids::MessageId;
use actors::domain::personal::Reminder;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{notify, page_response};
use crate::http::body::RequestBody;
use crate::http::caller::Caller;
use crate::http::error::ApiError;
use crate::http::fields::{Fields, FromFields, parse_uuid};
use crate::http::page::{PER_PAGE_DEFAULT, Page, Pagination};
use crate::http::query::QueryString;
use crate::http::state::ApiState;
use crate::store::postgres::personal::{NewReminder, REMINDERS_MAX, ReminderOutcome};

/// A reminder.
#[derive(Serialize, ToSchema)]
#[schema(as = Reminder)]
pub struct ApiReminder {
    /// The reminder's id.
    pub id: Uuid,
    /// The message.
    pub message_id: Uuid,
    /// Its room.
    pub room_id: Uuid,
    /// When the caller is reminded.
    pub at: DateTime<Utc>,
    /// When the caller asked for it.
    pub created_at: DateTime<Utc>,
    /// When the caller was reminded; none before that.
    pub fired_at: Option<DateTime<Utc>>,
}

impl From<Reminder> for ApiReminder {
    fn from(reminder: Reminder) -> Self {
        Self {
            id: reminder.id,
            message_id: reminder.message.0,
            room_id: reminder.room.0,
            at: reminder.at,
            created_at: reminder.created_at,
            fired_at: reminder.fired_at,
        }
    }
}

/// A reminder to be kept.
#[derive(ToSchema)]
#[schema(as = AddReminder)]
pub struct AddReminderRequest {
    /// The message, of one of the caller's rooms.
    #[schema(value_type = Uuid)]
    message_id: MessageId,
    /// When: ahead, and at most a year.
    at: DateTime<Utc>,
}

impl FromFields for AddReminderRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let message_id = fields.uuid("message_id");
        let message_id = fields.require("message_id", message_id).map(MessageId);
        let at = fields.time("at");
        let at = fields.require("at", at);
        Some(Self { message_id: message_id?, at: at? })
    }
}

/// Reminds the caller of a message at some time; the same again changes nothing.
#[utoipa::path(post, path = "/api/chat/reminders/", tag = "personal", request_body = AddReminderRequest,
    responses((status = 201, body = ApiReminder)))]
pub async fn create(
    state: Data<ApiState>,
    caller: Caller,
    body: RequestBody,
) -> Result<HttpResponse, ApiError> {
    let user = caller.user_id()?;
    let AddReminderRequest { message_id, at } = body.object().await?;
    let found = state.store.message(user, message_id).await?;
    let message = found.ok_or_else(|| ApiError::field("message_id", "This message does not exist."))?.message;
    match state.store.add_reminder(user, NewReminder { room: message.room, message: message.id, at }).await? {
        ReminderOutcome::Kept { reminder, head } => {
            notify(&state, user, head);
            Ok(HttpResponse::Created().json(ApiReminder::from(reminder)))
        }
        ReminderOutcome::BadTime(error) => Err(ApiError::field("at", error.to_string())),
        ReminderOutcome::TooMany => {
            Err(ApiError::field("message_id", format!("No more than {REMINDERS_MAX} reminders are kept.")))
        }
    }
}

/// Lists the caller's reminders in the order of their times, those that have fired too.
#[utoipa::path(get, path = "/api/chat/reminders/", tag = "personal", params(Pagination),
    responses((status = 200, body = Page<ApiReminder>,
        headers(("X-Personal-Position" = i64, description = "The position of the personal log that this shows")))))]
pub async fn list(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    query: QueryString,
) -> Result<HttpResponse, ApiError> {
    let pagination = Pagination::read(&query, PER_PAGE_DEFAULT)?;
    let found = state.store.reminders(caller.user_id()?, pagination.limit(), pagination.offset()).await?;
    let reminders = found.items.into_iter().map(ApiReminder::from).collect();
    Ok(page_response(found.head, pagination.page(&request, &query, found.count, reminders)?))
}

/// Shows one of the caller's reminders.
#[utoipa::path(get, path = "/api/chat/reminders/{id}/", tag = "personal",
    params(("id" = Uuid, Path)), responses((status = 200, body = ApiReminder)))]
pub async fn get(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<Json<ApiReminder>, ApiError> {
    let (user, id) = (caller.user_id()?, parse_uuid(&id).ok_or_else(ApiError::not_found)?);
    let found = state.store.reminder(user, id).await?;
    Ok(Json(found.ok_or_else(ApiError::not_found)?.into()))
}

/// Deletes one of the caller's reminders, fired or not.
#[utoipa::path(delete, path = "/api/chat/reminders/{id}/", tag = "personal",
    params(("id" = Uuid, Path)), responses((status = 204)))]
pub async fn delete(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let (user, id) = (caller.user_id()?, parse_uuid(&id).ok_or_else(ApiError::not_found)?);
    let head = state.store.delete_reminder(user, id).await?.ok_or_else(ApiError::not_found)?;
    notify(&state, user, Some(head));
    Ok(HttpResponse::NoContent().finish())
}
