//! Rooms as REST shows them: one in full, and one in a list.

use actix_web::HttpRequest;
use actors::domain::message::NO_MESSAGES_TEXT;
use actors::domain::permission::AccessLevel;
use actors::domain::room::{RoomType, RoomView};
use actors::domain::user::UserSummary;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::settings::ApiRoomSettings;
use crate::http::caller::Caller;
use crate::http::messages::ApiMessage;
use crate::http::messages::view::MessagePresenter;
use crate::http::participants::ApiParticipant;
use crate::http::state::ApiState;
use crate::http::users::ApiUser;
use crate::store::postgres::queries::{ListedRoom, RoomDetails};

/// A room in full.
#[derive(Serialize, ToSchema)]
#[schema(as = Room)]
pub struct ApiRoom {
    /// The room's id.
    pub id: Uuid,
    /// The name that its admins gave it.
    pub name: String,
    /// `direct`, `group`, `task` or `property`.
    pub room_type: &'static str,
    /// The task that it is about.
    pub task: Option<i64>,
    /// The property that it is about.
    pub property: Option<i64>,
    /// The subject's own title.
    pub title: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When something in it last changed.
    pub modified_at: DateTime<Utc>,
    /// Who made it.
    pub created_by: Option<ApiUser>,
    /// Whether it takes new messages.
    pub is_active: bool,
    /// Since when it doesn't.
    pub archived_at: Option<DateTime<Utc>>,
    /// Who is in it.
    pub participants: Vec<ApiParticipant>,
    /// How many that are.
    pub participant_count: usize,
    /// Its newest message.
    pub last_message: Option<ApiMessage>,
    /// What the caller has not read.
    pub unread_count: i64,
    /// What to call it.
    pub display_name: String,
    /// The position of its last event.
    pub seq: i64,
    /// Its settings.
    #[serde(flatten)]
    pub settings: ApiRoomSettings,
    /// What the caller may do in it now: `post`, `react`, `pin`, `urgent`, `moderate`, `manage_participants`,
    /// `manage`.
    pub capabilities: Vec<&'static str>,
    /// From when on slow mode lets the caller write; null if that is at once.
    pub next_post_at: Option<DateTime<Utc>>,
}

impl ApiRoom {
    /// Shows a room to `caller`: what frames say, and what only REST does.
    #[must_use]
    pub fn seen_by(request: &HttpRequest, state: &ApiState, caller: &Caller, details: RoomDetails) -> Self {
        let RoomDetails { room, participants, last_post, read_at, .. } = details;
        let frame = RoomView::from(&room);
        let viewer = caller.viewer();
        let own = participants.iter().find(|details| Some(details.participant.user.id) == viewer);
        let access_level = match own {
            _ if caller.is_service() => AccessLevel::Service,
            Some(details) => AccessLevel::Participant(details.participant.role),
            None => AccessLevel::Outsider,
        };
        let partner = (room.room_type == RoomType::Direct).then_some(details.partner).flatten();
        let presenter = MessagePresenter::new(request, state, caller);
        Self {
            id: frame.id.0,
            name: frame.name.to_owned(),
            room_type: frame.room_type,
            task: frame.task,
            property: frame.property,
            title: frame.title.to_owned(),
            created_at: room.created_at,
            modified_at: frame.modified_at,
            created_by: details.created_by.as_ref().map(|creator| ApiUser::seen_by(caller, creator)),
            is_active: frame.is_active,
            archived_at: frame.archived_at,
            unread_count: own.map_or(0, |details| details.unread),
            participant_count: participants.len(),
            participants: participants
                .into_iter()
                .map(|details| ApiParticipant::seen_by(caller, details))
                .collect(),
            last_message: details.last_message.map(|details| presenter.present(details)),
            display_name: room.display_name(partner.as_deref()),
            seq: room.head.0,
            settings: ApiRoomSettings(frame.settings.clone()),
            capabilities: room.capabilities(access_level, caller.is_staff()),
            next_post_at: room.next_post_at(access_level, last_post, read_at),
        }
    }
}

/// A room in a list.
#[derive(Serialize, ToSchema)]
#[schema(as = ListedRoom)]
pub struct ApiListedRoom {
    /// The room's id.
    pub id: Uuid,
    /// What to call it.
    pub display_name: String,
    /// The other person of a direct room.
    pub partner: Option<ApiUserSummary>,
    /// `direct`, `group`, `task` or `property`.
    pub room_type: &'static str,
    /// Whether it takes new messages.
    pub is_active: bool,
    /// What the caller has not read.
    pub unread_count: i64,
    /// How much of that mentions the caller.
    pub mention_count: i64,
    /// One line about its newest message.
    pub last_message_preview: String,
    /// When that was sent; the room's making when there is none.
    pub last_message_time: DateTime<Utc>,
    /// Who sent that.
    pub last_message_sender: Option<ApiUserSummary>,
    /// Whether it is muted for the caller.
    pub is_muted: bool,
    /// What the caller wants to be told of: `all`, `mentions` or `nothing`.
    pub level: &'static str,
    /// Whether it is one of the caller's favourites.
    pub favourite: bool,
    /// How many are in it.
    pub participant_count: i64,
    /// When something in it last changed, but for edits and deletions of messages.
    pub modified_at: DateTime<Utc>,
    /// What it is for; may be empty.
    pub description: String,
}

/// A person, as frames tell of one.
#[derive(Serialize, ToSchema)]
#[schema(as = MessageSender)]
pub struct ApiUserSummary {
    /// The person's id.
    pub id: i64,
    /// The sign-in name.
    pub username: String,
    /// The name to show.
    pub full_name: String,
}

impl From<UserSummary> for ApiUserSummary {
    fn from(user: UserSummary) -> Self {
        Self { id: user.id.0, username: user.username.to_string(), full_name: user.full_name.to_string() }
    }
}

impl From<ListedRoom> for ApiListedRoom {
    fn from(listed: ListedRoom) -> Self {
        let room = listed.room;
        let (last_message_preview, last_message_time, last_message_sender) = match listed.last_message {
            Some((preview, at, sender)) => (preview, at, Some(sender.into())),
            None => (NO_MESSAGES_TEXT.to_owned(), room.created_at, None),
        };
        Self {
            display_name: room.display_name(listed.partner.as_ref().map(|partner| &*partner.full_name)),
            partner: listed.partner.map(ApiUserSummary::from),
            id: room.id.0,
            room_type: room.room_type.as_str(),
            is_active: room.archived_at.is_none(),
            unread_count: listed.unread,
            mention_count: listed.mentions,
            last_message_preview,
            last_message_time,
            last_message_sender,
            is_muted: listed.is_muted,
            level: listed.level.as_str(),
            favourite: listed.is_favourite,
            participant_count: listed.participant_count,
            modified_at: room.modified_at,
            description: room.settings.description.as_str().to_owned(),
        }
    }
}
