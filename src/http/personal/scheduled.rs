//! Messages that the caller wrote to be sent later.

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use actors::domain::command::{MessageDraft, Refusal};
use actors::domain::ids::{ClientId, MessageId, RoomId, UserId};
use actors::domain::personal::ScheduledMessage;
use actors::domain::text::CONTENT_CHARS_MAX;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{notify, page_response, require_reply_target};
use crate::http::body::RequestBody;
use crate::http::caller::Caller;
use crate::http::error::ApiError;
use crate::http::fields::{Fields, FromFields, parse_uuid};
use crate::http::page::{PER_PAGE_DEFAULT, Page, Pagination};
use crate::http::query::QueryString;
use crate::http::state::ApiState;
use crate::store::postgres::personal::{
    NewScheduledMessage, SCHEDULED_MAX, ScheduleOutcome, ScheduledChange, UnscheduleOutcome,
};

/// A message to be sent later.
#[derive(Serialize, ToSchema)]
#[schema(as = ScheduledMessage)]
pub struct ApiScheduledMessage {
    /// Its id, which is not that of the message that it becomes.
    pub id: Uuid,
    /// The room.
    pub room: Uuid,
    /// The text; empty once it is sent.
    pub content: String,
    /// The message that it answers.
    pub reply_to_id: Option<Uuid>,
    /// When it is sent.
    pub at: DateTime<Utc>,
    /// What the client calls this send.
    pub client_id: Uuid,
    /// When the caller asked for it.
    pub created_at: DateTime<Utc>,
    /// `pending`, `sending`, `sent` or `failed`.
    pub state: &'static str,
    /// Why it failed: one of the codes of errors.
    pub error: Option<String>,
    /// The message that it became.
    pub message_id: Option<Uuid>,
}

impl From<ScheduledMessage> for ApiScheduledMessage {
    fn from(scheduled: ScheduledMessage) -> Self {
        Self {
            id: scheduled.id,
            room: scheduled.room.0,
            content: scheduled.content,
            reply_to_id: scheduled.reply_to.map(|message| message.0),
            at: scheduled.at,
            client_id: scheduled.client_id.0,
            created_at: scheduled.created_at,
            state: scheduled.state.as_str(),
            error: scheduled.error,
            message_id: scheduled.message.map(|message| message.0),
        }
    }
}

/// A message to be sent later.
#[derive(ToSchema)]
#[schema(as = ScheduleMessage)]
pub struct ScheduleMessageRequest {
    /// The room.
    #[schema(value_type = Uuid)]
    room: RoomId,
    /// The text.
    #[schema(min_length = 1, max_length = 4000)]
    content: String,
    /// When to send it: ahead, and at most a year.
    at: DateTime<Utc>,
    /// What the client calls this send, so that a retry makes nothing new, now or when it is sent.
    #[schema(value_type = Option<Uuid>)]
    client_id: Option<ClientId>,
    /// The message that it answers, in the same room.
    #[schema(value_type = Option<Uuid>)]
    reply_to: Option<MessageId>,
}

impl FromFields for ScheduleMessageRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let room = fields.uuid("room");
        let room = fields.require("room", room).map(RoomId);
        let content = text(fields);
        let content = fields.require("content", content);
        let at = fields.time("at");
        let at = fields.require("at", at);
        let client_id = fields.uuid("client_id").map(ClientId);
        let reply_to = fields.uuid("reply_to").map(MessageId);
        Some(Self { room: room?, content: content?, at: at?, client_id, reply_to })
    }
}

/// What changes of a message that is to be sent later; what is left out stays as it is.
#[derive(ToSchema)]
#[schema(as = ChangeScheduledMessage)]
pub struct ChangeScheduledRequest {
    /// The text.
    #[schema(min_length = 1, max_length = 4000, nullable = false)]
    content: Option<String>,
    /// When to send it.
    #[schema(nullable = false)]
    at: Option<DateTime<Utc>>,
    /// The message that it answers; null for none.
    #[schema(value_type = Option<Uuid>)]
    reply_to: Option<Option<MessageId>>,
}

impl FromFields for ChangeScheduledRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let content = text(fields);
        let at = fields.time("at");
        if fields.is_null("at") {
            fields.require("at", at);
        }
        let reply_to = fields.has("reply_to").then(|| fields.uuid("reply_to").map(MessageId));
        Some(Self { content, at, reply_to })
    }
}

/// Reads a text that isn't blank.
fn text(fields: &mut Fields) -> Option<String> {
    let content = fields.text("content", CONTENT_CHARS_MAX)?;
    if content.is_empty() {
        fields.add_error("content", Refusal::Blank.to_string());
        return None;
    }
    Some(content)
}

/// Has a message sent at some time. The same `client_id` again gives back the first one.
#[utoipa::path(post, path = "/api/chat/scheduled/", tag = "personal", request_body = ScheduleMessageRequest,
    responses((status = 201, body = ApiScheduledMessage),
        (status = 200, body = ApiScheduledMessage, description = "The same `client_id` was used before")))]
pub async fn create(
    state: Data<ApiState>,
    caller: Caller,
    body: RequestBody,
) -> Result<HttpResponse, ApiError> {
    let user = caller.user_id()?;
    let ScheduleMessageRequest { room, content, at, client_id, reply_to } = body.object().await?;
    let access = state.store.room_access(room, Some(user)).await?;
    if access.is_none_or(|access| access.role.is_none()) {
        return Err(ApiError::field("room", Refusal::NotParticipant.to_string()));
    }
    require_reply_target(&state, user, room, reply_to).await?;
    let digest = MessageDraft::digest_of(&content, reply_to, None);
    let client_id = client_id.unwrap_or_else(|| ClientId(Uuid::new_v4()));
    let new = NewScheduledMessage { room, client_id, content: &content, reply_to, at, digest };
    let outcome = state.store.schedule_message(user, new).await?;
    let is_new = matches!(outcome, ScheduleOutcome::Kept { head: Some(_), .. });
    let mut response = if is_new { HttpResponse::Created() } else { HttpResponse::Ok() };
    Ok(response.json(kept(&state, user, outcome)?))
}

/// Lists what the caller has to be sent later, in the order of the times, and what has failed.
#[utoipa::path(get, path = "/api/chat/scheduled/", tag = "personal", params(Pagination),
    responses((status = 200, body = Page<ApiScheduledMessage>,
        headers(("X-Personal-Position" = i64, description = "The position of the personal log that this shows")))))]
pub async fn list(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    query: QueryString,
) -> Result<HttpResponse, ApiError> {
    let pagination = Pagination::read(&query, PER_PAGE_DEFAULT)?;
    let user = caller.user_id()?;
    let found = state.store.scheduled_messages(user, pagination.limit(), pagination.offset()).await?;
    let scheduled = found.items.into_iter().map(ApiScheduledMessage::from).collect();
    Ok(page_response(found.head, pagination.page(&request, &query, found.count, scheduled)?))
}

/// Shows one of them; for some days after it was sent, too.
#[utoipa::path(get, path = "/api/chat/scheduled/{id}/", tag = "personal",
    params(("id" = Uuid, Path)), responses((status = 200, body = ApiScheduledMessage)))]
pub async fn get(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<Json<ApiScheduledMessage>, ApiError> {
    let (user, id) = (caller.user_id()?, parse_uuid(&id).ok_or_else(ApiError::not_found)?);
    let found = state.store.scheduled_message(user, id).await?;
    Ok(Json(found.ok_or_else(ApiError::not_found)?.into()))
}

/// Changes one that waits; one that failed waits again then. 409 once it is being sent.
#[utoipa::path(patch, path = "/api/chat/scheduled/{id}/", tag = "personal",
    params(("id" = Uuid, Path)), request_body = ChangeScheduledRequest,
    responses((status = 200, body = ApiScheduledMessage)))]
pub async fn patch(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
    body: RequestBody,
) -> Result<Json<ApiScheduledMessage>, ApiError> {
    let (user, id) = (caller.user_id()?, parse_uuid(&id).ok_or_else(ApiError::not_found)?);
    let before = state.store.scheduled_message(user, id).await?.ok_or_else(ApiError::not_found)?;
    let ChangeScheduledRequest { content, at, reply_to } = body.object().await?;
    require_reply_target(&state, user, before.room, reply_to.flatten()).await?;
    let change = ScheduledChange { content: content.as_deref(), at, reply_to };
    let outcome = state.store.change_scheduled(user, id, change).await?;
    Ok(Json(kept(&state, user, outcome)?))
}

/// Has one that waits, or has failed, not sent. 409 once it is being sent.
#[utoipa::path(delete, path = "/api/chat/scheduled/{id}/", tag = "personal",
    params(("id" = Uuid, Path)), responses((status = 204)))]
pub async fn delete(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let (user, id) = (caller.user_id()?, parse_uuid(&id).ok_or_else(ApiError::not_found)?);
    match state.store.unschedule_message(user, id).await? {
        UnscheduleOutcome::Deleted(head) => notify(&state, user, Some(head)),
        UnscheduleOutcome::NotFound => return Err(ApiError::not_found()),
        UnscheduleOutcome::TooLate => return Err(too_late()),
    }
    Ok(HttpResponse::NoContent().finish())
}

/// Tells the user's devices of what is kept, and shows it.
fn kept(state: &ApiState, user: UserId, outcome: ScheduleOutcome) -> Result<ApiScheduledMessage, ApiError> {
    match outcome {
        ScheduleOutcome::Kept { scheduled, head } => {
            notify(state, user, head);
            Ok(scheduled.into())
        }
        ScheduleOutcome::BadTime(error) => Err(ApiError::field("at", error.to_string())),
        ScheduleOutcome::ClientIdConflict => Err(Refusal::ClientIdConflict.into()),
        ScheduleOutcome::TooMany => {
            Err(ApiError::field("at", format!("No more than {SCHEDULED_MAX} messages are kept.")))
        }
        ScheduleOutcome::NotFound => Err(ApiError::not_found()),
        ScheduleOutcome::TooLate => Err(too_late()),
    }
}

fn too_late() -> ApiError {
    ApiError::Conflict("This message is being sent, or was.".to_owned())
}
