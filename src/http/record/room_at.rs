//! A room as it stood at a time.

use actix_web::web::{Data, Json, Path};
use actors::domain::ids::Seq;
use actors::domain::message::DELETED_TEXT;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::http::caller::Caller;
use crate::http::error::ApiError;
use crate::http::fields::REQUIRED;
use crate::http::query::{FromQuery, QueryFields, QueryString};
use crate::http::rooms::{require_access, room_id};
use crate::http::schema::{Number, SeqParam};
use crate::http::state::ApiState;
use crate::http::users::ApiUser;
use crate::store::postgres::record::room_at::{
    PastMessage, PastParticipant, PastReadMark, PastRequest, PastRoom,
};

/// Messages in one response when the client names no limit.
const MESSAGES_DEFAULT: usize = 50;
/// The most messages in one response.
const MESSAGES_MAX: usize = 100;

/// The query of `GET /api/chat/rooms/{id}/at/`.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RoomAtParams {
    /// The time, or the beginning of a date
    // `None` only where an error was added.
    #[param(value_type = String)]
    time: Option<DateTime<Utc>>,
    /// The messages before this `seq`
    #[param(value_type = Option<SeqParam>)]
    before: Option<i64>,
    /// How many messages, 100 at most
    #[param(value_type = Option<Number>)]
    limit: usize,
}

impl FromQuery for RoomAtParams {
    fn from_query(fields: &mut QueryFields<'_>) -> Self {
        let time = fields.time("time");
        if fields.raw("time").is_none_or(|given| given.is_empty()) {
            fields.add_error("time", REQUIRED);
        }
        Self {
            time,
            before: fields.seq("before"),
            limit: fields.count("limit", MESSAGES_DEFAULT, MESSAGES_MAX),
        }
    }
}

/// A room as it stood.
#[derive(Serialize, ToSchema)]
#[schema(as = RoomAt)]
pub struct ApiRoomAt {
    /// The room's id.
    pub id: Uuid,
    /// The time that was asked for.
    pub time: DateTime<Utc>,
    /// The position of the room's last event then.
    pub seq: i64,
    /// The room's state: `room_type`, `name`, `title`, `task`, `property`, `is_active` and its settings.
    #[schema(value_type = Object)]
    pub room: Map<String, Value>,
    /// What of it is shown as it is today, though it has changed since: the log keeps no texts.
    pub changed_since: Vec<String>,
    /// Who was in the room.
    pub participants: Vec<ApiPastParticipant>,
    /// The newest messages of that time, the newest first.
    pub messages: Vec<ApiPastMessage>,
    /// Whether there are earlier ones: ask with `before` the last one's `seq`.
    pub has_more: bool,
    /// Who had read up to where; null in rooms of over 50 people, which keep only the newest marks.
    pub read_marks: Option<Vec<ApiPastReadMark>>,
}

/// A participant as it was.
#[derive(Serialize, ToSchema)]
#[schema(as = ParticipantAt)]
pub struct ApiPastParticipant {
    /// The user, by the name of today.
    pub user: ApiUser,
    /// `admin`, `member` or `guest`.
    pub role: &'static str,
    /// Since when in the room.
    pub joined_at: DateTime<Utc>,
}

/// A message as it was.
#[derive(Serialize, ToSchema)]
#[schema(as = MessageAt)]
pub struct ApiPastMessage {
    /// The message's id.
    pub id: Uuid,
    /// Its position.
    pub seq: i64,
    /// The sender, by the name of today.
    pub sender: ApiUser,
    /// `text`, `image`, `file` or `system`.
    pub message_type: String,
    /// The text of that time. Null if it has changed since and the room doesn't show earlier texts.
    pub content: Option<String>,
    /// The name of its file; empty without one.
    pub attachment_name: String,
    /// When it was sent.
    pub created_at: DateTime<Utc>,
    /// When the text was changed last, up to that time.
    pub edited_at: Option<DateTime<Utc>>,
    /// Whether it was deleted: by that time, or since.
    pub is_deleted: bool,
    /// When it was deleted.
    pub deleted_at: Option<DateTime<Utc>>,
    /// The message that it replies to.
    pub reply_to_id: Option<Uuid>,
    /// The root of its thread.
    pub thread_root: Option<Uuid>,
}

/// How far a user had read.
#[derive(Serialize, ToSchema)]
#[schema(as = ReadMarkAt)]
pub struct ApiPastReadMark {
    /// The user.
    pub user_id: i64,
    /// Up to where.
    pub seq: i64,
    /// Since when.
    pub read_at: DateTime<Utc>,
}

impl From<PastParticipant> for ApiPastParticipant {
    fn from(participant: PastParticipant) -> Self {
        let PastParticipant { user, role, joined_at } = participant;
        Self { user: ApiUser::without_email(&user), role: role.as_str(), joined_at }
    }
}

impl From<PastMessage> for ApiPastMessage {
    fn from(message: PastMessage) -> Self {
        let is_deleted = message.deleted_at.is_some();
        Self {
            id: message.id.0,
            seq: message.seq.0,
            sender: ApiUser::without_email(&message.sender),
            message_type: message.message_type,
            content: if is_deleted { Some(DELETED_TEXT.to_owned()) } else { message.content },
            attachment_name: message.attachment_name.unwrap_or_default(),
            created_at: message.created_at,
            edited_at: message.edited_at,
            is_deleted,
            deleted_at: message.deleted_at,
            reply_to_id: message.reply_to.map(|id| id.0),
            thread_root: message.thread_root.map(|id| id.0),
        }
    }
}

impl From<PastReadMark> for ApiPastReadMark {
    fn from(mark: PastReadMark) -> Self {
        Self { user_id: mark.user.0, seq: mark.seq.0, read_at: mark.read_at }
    }
}

/// Returns the room's state, and the names of what isn't as it was.
fn state_of(past: &PastRoom) -> (Map<String, Value>, Vec<String>) {
    let room = &past.room;
    let mut state = match serde_json::to_value(&room.settings) {
        Ok(Value::Object(settings)) => settings,
        _ => Map::new(),
    };
    for (name, value) in [
        ("room_type", json!(room.room_type.as_str())),
        ("name", json!(room.name)),
        ("title", json!(room.title)),
        ("task", json!(room.task())),
        ("property", json!(room.property())),
        ("is_active", json!(room.archived_at.is_none())),
    ] {
        state.insert(name.to_owned(), value);
    }
    let mut changed_since = Vec::new();
    for (name, value) in &past.differences {
        match value {
            Some(value) if name == "archived" => {
                state.insert("is_active".to_owned(), json!(value != &json!(true)));
            }
            Some(value) => {
                state.insert(name.clone(), value.clone());
            }
            None => changed_since.push(name.clone()),
        }
    }
    (state, changed_since)
}

/// Shows a room as it stood at a time, to those who are in it: who was in it, and the messages with their texts of
/// then. What was deleted since is shown as deleted.
#[utoipa::path(get, path = "/api/chat/rooms/{id}/at/", tag = "record",
    params(("id" = Uuid, Path), RoomAtParams), responses((status = 200, body = ApiRoomAt)))]
pub async fn get(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
    query: QueryString,
) -> Result<Json<ApiRoomAt>, ApiError> {
    let room = room_id(&id)?;
    let RoomAtParams { time, before, limit } = query.read()?;
    let time = time.ok_or_else(ApiError::not_found)?;
    let visible_from = require_access(&state, &caller, room).await?.visible_from;
    let wanted = i64::try_from(limit + 1).unwrap_or(i64::MAX);
    let before = Seq(before.unwrap_or(i64::MAX));
    let request = PastRequest { room, visible_from, time, before, limit: wanted };
    let unknown = || ApiError::field("time", "The room did not exist then.");
    let mut past = state.store.room_at(request).await?.ok_or_else(unknown)?;
    if past.seq < visible_from {
        return Err(ApiError::forbidden());
    }
    let has_more = past.messages.len() > limit;
    past.messages.truncate(limit);
    let (room_state, changed_since) = state_of(&past);
    Ok(Json(ApiRoomAt {
        id: room.0,
        time,
        seq: past.seq.0,
        room: room_state,
        changed_since,
        participants: past.participants.into_iter().map(Into::into).collect(),
        messages: past.messages.into_iter().map(Into::into).collect(),
        has_more,
        read_marks: past.read_marks.map(|marks| marks.into_iter().map(Into::into).collect()),
    }))
}
