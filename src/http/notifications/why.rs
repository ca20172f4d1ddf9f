//! Why the caller was told of a message, or wasn't, and what makes the badge.

use actix_web::web::{Data, Json, Path};
use actors::domain::ids::MessageId;
use actors::domain::notifications::rules::{SilenceRule, TellingRule, due_time, rule_for};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::http::caller::Caller;
use crate::http::error::ApiError;
use crate::http::fields::parse_uuid;
use crate::http::state::ApiState;
use crate::store::postgres::notifications::{MessageReasons, PushState, UnreadReasons, WayState};

/// The age up to which a message may not have been looked at yet.
const NOT_LOOKED_AT: TimeDelta = TimeDelta::minutes(1);

/// Why the caller was told of a message, or wasn't.
#[derive(Serialize, ToSchema)]
#[schema(as = MessageReasons)]
pub struct ApiMessageReasons {
    /// Whether the caller was told.
    pub told: bool,
    /// What became of it on each way to the caller.
    pub ways: Vec<ApiWay>,
    /// Why.
    pub reasons: Vec<ApiReason>,
}

/// A way to the caller.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = NotificationWay)]
pub struct ApiWay {
    /// `in_app`, `web_push` or `fcm`.
    pub way: &'static str,
    /// Of `in_app`: `waiting`, `told`, `read` or `gone`; of pushes: `pending`, `sending`, `sent`, `failed` or
    /// `withdrawn`.
    pub state: String,
    /// Since when; of `waiting`: until when.
    pub at: DateTime<Utc>,
}

/// A reason.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = NotificationReason)]
pub struct ApiReason {
    /// The rule, by its name.
    pub rule: &'static str,
    /// The rule in a sentence.
    pub text: String,
}

impl ApiReason {
    fn new(rule: &'static str, text: impl Into<String>) -> Self {
        Self { rule, text: text.into() }
    }
}

impl From<TellingRule> for ApiReason {
    fn from(rule: TellingRule) -> Self {
        Self::new(rule.as_str(), rule.text())
    }
}

impl From<SilenceRule> for ApiReason {
    fn from(rule: SilenceRule) -> Self {
        Self::new(rule.as_str(), rule.text())
    }
}

impl ApiWay {
    fn new(way: &'static str, WayState { state, at }: WayState) -> Self {
        Self { way, state, at }
    }
}

impl From<MessageReasons> for ApiMessageReasons {
    fn from(found: MessageReasons) -> Self {
        let MessageReasons { message, is_direct, reader, is_waiting, told, pushes, now } = found;
        let rule = rule_for(is_direct, &message, &reader);
        // What was told between two messages was told as well only if its own rule says so.
        if let Some(told) = told.filter(|told| told.message == message.id || rule.is_ok()) {
            let pushes = pushes.into_iter().map(|PushState { is_to_phone, state }| {
                ApiWay::new(if is_to_phone { "fcm" } else { "web_push" }, state)
            });
            return Self {
                told: true,
                ways: std::iter::once(ApiWay::new("in_app", told.state)).chain(pushes).collect(),
                reasons: vec![rule.unwrap_or(told.rule).into()],
            };
        }
        let not_told = |ways, reasons| Self { told: false, ways, reasons };
        let rule = match rule {
            Err(silence) => return not_told(Vec::new(), vec![silence.into()]),
            Ok(rule) => rule,
        };
        if reader.after >= message.seq {
            return not_told(
                Vec::new(),
                vec![ApiReason::new("read", "You had read it before you would have been told.")],
            );
        }
        if !is_waiting && now - message.at > NOT_LOOKED_AT {
            let text = "It was sent before you could be told of it, or too long ago for that to be known.";
            return not_told(Vec::new(), vec![ApiReason::new("not_kept", text)]);
        }
        let state =
            WayState { state: "waiting".to_owned(), at: due_time(rule, is_direct, message.at, &reader) };
        let waiting = ApiReason::new("waiting", "You are told of it unless you read it before.");
        let quiet_until = reader.quiet_until.filter(|_| rule != TellingRule::Urgent);
        let quiet = quiet_until.map(|_| ApiReason::new("quiet_hours", "These are your quiet hours."));
        let reasons = [Some(rule.into()), Some(waiting), quiet].into_iter().flatten().collect();
        not_told(vec![ApiWay::new("in_app", state)], reasons)
    }
}

/// Says why the caller was told of a message, or wasn't: by what was told, and by the settings of now where nothing
/// was.
#[utoipa::path(get, path = "/api/chat/messages/{id}/why/", tag = "notifications",
    params(("id" = Uuid, Path)), responses((status = 200, body = ApiMessageReasons)))]
pub async fn message(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<Json<ApiMessageReasons>, ApiError> {
    let user = caller.user_id()?;
    let message = parse_uuid(&id).map(MessageId).ok_or_else(ApiError::not_found)?;
    let found = state.store.message_reasons(user, message).await?;
    Ok(Json(found.ok_or_else(ApiError::not_found)?.into()))
}

/// What makes the caller's badge.
#[derive(Serialize, ToSchema)]
#[schema(as = UnreadReasons)]
pub struct ApiUnreadReasons {
    /// The sum of the rooms that count.
    pub unread_count: i64,
    /// How many unread messages mention the caller, over all rooms that are not archived.
    pub mention_count: i64,
    /// The rooms with unread messages, the latest activity first.
    pub rooms: Vec<ApiUnreadRoom>,
}

/// A room with messages that the caller hasn't read.
#[derive(Serialize, ToSchema)]
#[schema(as = UnreadRoomReasons)]
pub struct ApiUnreadRoom {
    /// The room.
    pub room_id: Uuid,
    /// Its name.
    pub display_name: String,
    /// How many messages are unread.
    pub unread_count: i64,
    /// How many of them mention the caller.
    pub mention_count: i64,
    /// Whether they count in the badge.
    pub counts: bool,
    /// The first of them.
    pub first_unread: Option<ApiFirstUnread>,
    /// Why they count, or don't.
    pub reasons: Vec<ApiReason>,
}

/// The first unread message of a room.
#[derive(Serialize, ToSchema)]
#[schema(as = FirstUnread)]
pub struct ApiFirstUnread {
    /// The message.
    pub message_id: Uuid,
    /// Its position.
    pub seq: i64,
}

impl From<UnreadReasons> for ApiUnreadRoom {
    fn from(found: UnreadReasons) -> Self {
        let reasons = [
            (found.is_archived, "archived", "The room is archived, so its messages don't count."),
            (found.is_muted, "muted", "The room is muted for you, so its messages don't count; mentions do."),
            (found.is_marked_unread, "marked_unread", "You have marked the room as unread."),
            (!found.is_marked_unread, "unread", "Others have written after what you have read."),
        ];
        let reasons = reasons.into_iter().filter(|(applies, ..)| *applies);
        Self {
            room_id: found.room.0,
            display_name: found.display_name,
            unread_count: found.unread,
            mention_count: found.mentions,
            counts: !found.is_muted && !found.is_archived,
            first_unread: found
                .first
                .map(|(message, seq)| ApiFirstUnread { message_id: message.0, seq: seq.0 }),
            reasons: reasons.map(|(_, rule, text)| ApiReason::new(rule, text)).collect(),
        }
    }
}

/// Says which rooms make the caller's badge: the 500 with the latest activity.
#[utoipa::path(get, path = "/api/chat/unread/why/", tag = "notifications",
    responses((status = 200, body = ApiUnreadReasons)))]
pub async fn unread(state: Data<ApiState>, caller: Caller) -> Result<Json<ApiUnreadReasons>, ApiError> {
    let found = state.store.unread_reasons(caller.user_id()?).await?;
    let counted = found.iter().filter(|room| !room.is_muted && !room.is_archived);
    let open = found.iter().filter(|room| !room.is_archived);
    Ok(Json(ApiUnreadReasons {
        unread_count: counted.map(|room| room.unread).sum(),
        mention_count: open.map(|room| room.mentions).sum(),
        rooms: found.into_iter().map(ApiUnreadRoom::from).collect(),
    }))
}
