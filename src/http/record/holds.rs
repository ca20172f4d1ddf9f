//! Legal holds, which the staff and the host application place and release.

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use actors::domain::ids::{MessageId, RoomId, UserId};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::require_moderator;
use crate::http::body::RequestBody;
use crate::http::caller::Caller;
use crate::http::error::ApiError;
use crate::http::fields::{Fields, FromFields, parse_uuid};
use crate::http::page::{PAGE_SIZE_MAX, PER_PAGE_DEFAULT, Page, Pagination};
use crate::http::query::{FromQuery, QueryFields, QueryString};
use crate::http::schema::Number;
use crate::http::state::ApiState;
use crate::store::postgres::record::holds::{HOLDS_MAX, HeldMessage, Hold, HoldOutcome, HoldSubject};

/// The most code points of a hold's name.
const NAME_CHARS_MAX: usize = 200;

/// A hold to be placed: on a room or on a user.
#[derive(ToSchema)]
#[schema(as = PlaceHold)]
pub struct PlaceHoldRequest {
    /// A room.
    #[schema(value_type = Option<Uuid>)]
    room: Option<RoomId>,
    /// A user.
    #[schema(value_type = Option<i64>)]
    user: Option<UserId>,
    /// What it is for; whoever is refused a deletion is told.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
}

impl FromFields for PlaceHoldRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let room = fields.uuid("room").map(RoomId);
        let user = fields.id("user").map(UserId);
        let name = fields.text("name", NAME_CHARS_MAX);
        let name = fields.require("name", name);
        if name.as_ref().is_some_and(String::is_empty) {
            fields.add_error("name", "This field may not be blank.");
        }
        if fields.has("room") == fields.has("user") {
            fields.add_error("room", "Name either a room or a user.");
        }
        Some(Self { room, user, name: name? })
    }
}

/// A hold.
#[derive(Serialize, ToSchema)]
#[schema(as = Hold)]
pub struct ApiHold {
    /// The hold's id.
    pub id: Uuid,
    /// The room that it is on; null for one on a user.
    pub room_id: Option<Uuid>,
    /// The user that it is on; null for one on a room.
    pub user_id: Option<i64>,
    /// What it is for.
    pub name: String,
    /// Who placed it; null for the host application.
    pub created_by: Option<i64>,
    /// When.
    pub created_at: DateTime<Utc>,
    /// Who released it; null for the host application, and as long as it is on.
    pub released_by: Option<i64>,
    /// When; null as long as it is on.
    pub released_at: Option<DateTime<Utc>>,
}

impl From<Hold> for ApiHold {
    fn from(hold: Hold) -> Self {
        let (room_id, user_id) = match hold.subject {
            HoldSubject::Room(room) => (Some(room.0), None),
            HoldSubject::User(user) => (None, Some(user.0)),
        };
        Self {
            id: hold.id,
            room_id,
            user_id,
            name: hold.name,
            created_by: hold.created_by.map(|user| user.0),
            created_at: hold.created_at,
            released_by: hold.released_by.map(|user| user.0),
            released_at: hold.released_at,
        }
    }
}

/// The query of `GET /api/chat/holds/{id}/messages/`.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListHeldMessagesParams {
    /// The messages after the one of this id
    #[param(value_type = Option<Uuid>)]
    after: Option<MessageId>,
    /// How many, 100 at most
    #[param(value_type = Option<Number>)]
    limit: usize,
}

impl FromQuery for ListHeldMessagesParams {
    fn from_query(fields: &mut QueryFields<'_>) -> Self {
        Self {
            after: fields.uuid("after").map(MessageId),
            limit: fields.count("limit", PER_PAGE_DEFAULT, PAGE_SIZE_MAX),
        }
    }
}

/// A message that was deleted under a hold.
#[derive(Serialize, ToSchema)]
#[schema(as = HeldMessage)]
pub struct ApiHeldMessage {
    /// The message's id.
    pub id: Uuid,
    /// Its room.
    pub room_id: Uuid,
    /// Who sent it.
    pub sender_id: i64,
    /// The text that it had.
    pub content: String,
    /// The texts before: `[{content, at}]`, the oldest first.
    #[schema(value_type = Vec<Object>)]
    pub versions: Value,
    /// The name of its file, which is kept too; empty without one.
    pub attachment_name: String,
    /// When it was sent.
    pub created_at: DateTime<Utc>,
    /// When it was deleted.
    pub deleted_at: DateTime<Utc>,
}

impl From<HeldMessage> for ApiHeldMessage {
    fn from(message: HeldMessage) -> Self {
        Self {
            id: message.id.0,
            room_id: message.room.0,
            sender_id: message.sender.0,
            content: message.content,
            versions: message.versions,
            attachment_name: message.attachment_name.unwrap_or_default(),
            created_at: message.created_at,
            deleted_at: message.deleted_at,
        }
    }
}

/// Messages that were deleted under a hold.
#[derive(Serialize, ToSchema)]
#[schema(as = HeldMessages)]
pub struct ApiHeldMessages {
    /// The messages, by their ids.
    pub results: Vec<ApiHeldMessage>,
    /// Whether more follow: ask with `after` the last one's id.
    pub has_more: bool,
}

/// Places a hold on a room or a user: until it is released the room isn't deleted, the user isn't erased, and of
/// messages that are deleted a copy is kept. For the staff and the host application.
#[utoipa::path(post, path = "/api/chat/holds/", tag = "record", request_body = PlaceHoldRequest,
    responses((status = 201, body = ApiHold)))]
pub async fn create(
    state: Data<ApiState>,
    caller: Caller,
    body: RequestBody,
) -> Result<HttpResponse, ApiError> {
    require_moderator(&caller)?;
    let PlaceHoldRequest { room, user, name } = body.object().await?;
    let (subject, field) = match (room, user) {
        (Some(room), _) => (HoldSubject::Room(room), "room"),
        (None, Some(user)) => (HoldSubject::User(user), "user"),
        (None, None) => return Err(ApiError::field("room", "Name either a room or a user.")),
    };
    match state.store.place_hold(subject, &name, caller.actor()).await? {
        HoldOutcome::Placed(hold) => Ok(HttpResponse::Created().json(ApiHold::from(hold))),
        HoldOutcome::Unknown => Err(ApiError::field(field, format!("This {field} does not exist."))),
        HoldOutcome::TooMany => {
            Err(ApiError::field(field, format!("No more than {HOLDS_MAX} holds are on.")))
        }
    }
}

/// Lists holds, the newest first, those that were released too. For the staff and the host application.
#[utoipa::path(get, path = "/api/chat/holds/", tag = "record", params(Pagination),
    responses((status = 200, body = Page<ApiHold>)))]
pub async fn list(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    query: QueryString,
) -> Result<Json<Page<ApiHold>>, ApiError> {
    require_moderator(&caller)?;
    let pagination = Pagination::read(&query, PER_PAGE_DEFAULT)?;
    let (count, holds) = state.store.holds(pagination.limit(), pagination.offset()).await?;
    let holds = holds.into_iter().map(ApiHold::from).collect();
    Ok(Json(pagination.page(&request, &query, count, holds)?))
}

/// Releases a hold; what was deleted under it goes, unless another one keeps it. For the staff and the host
/// application.
#[utoipa::path(delete, path = "/api/chat/holds/{id}/", tag = "record",
    params(("id" = Uuid, Path)), responses((status = 204)))]
pub async fn delete(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    require_moderator(&caller)?;
    let id = parse_uuid(&id).ok_or_else(ApiError::not_found)?;
    match state.store.release_hold(id, caller.actor()).await? {
        true => Ok(HttpResponse::NoContent().finish()),
        false => Err(ApiError::not_found()),
    }
}

/// Lists the messages that were deleted under a hold, as they were. The audit log records that they were read. For the
/// staff and the host application.
#[utoipa::path(get, path = "/api/chat/holds/{id}/messages/", tag = "record",
    params(("id" = Uuid, Path), ListHeldMessagesParams), responses((status = 200, body = ApiHeldMessages)))]
pub async fn messages(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
    query: QueryString,
) -> Result<Json<ApiHeldMessages>, ApiError> {
    require_moderator(&caller)?;
    let id = parse_uuid(&id).ok_or_else(ApiError::not_found)?;
    let ListHeldMessagesParams { after, limit } = query.read()?;
    let hold = state.store.hold(id).await?.ok_or_else(ApiError::not_found)?;
    let after = after.unwrap_or(MessageId(Uuid::nil()));
    let wanted = i64::try_from(limit + 1).unwrap_or(i64::MAX);
    let mut found = state.store.held_messages(&hold, after, wanted, caller.actor()).await?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    Ok(Json(ApiHeldMessages { results: found.into_iter().map(Into::into).collect(), has_more }))
}
