//! Rooms as REST shows them: one in full, and one in a list.

use actix_web::HttpRequest;
use actors::domain::person::Author;
use actors::domain::room::RoomType;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::http::caller::Caller;
use crate::http::messages::MessageBody;
use crate::http::messages::view::Showing;
use crate::http::participants::ParticipantBody;
use crate::http::rest::Rest;
use crate::http::users::User;
use crate::store::postgres::room_pages::ListedRoom;
use crate::store::postgres::rooms::FullRoom;

/// What stands for the last message of a room without one.
const NO_MESSAGES: &str = "No messages yet";

/// A room in full.
#[derive(Serialize, ToSchema)]
#[schema(as = Room)]
pub struct RoomBody {
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
    pub created_by: Option<User>,
    /// Whether it takes new messages.
    pub is_active: bool,
    /// Since when it doesn't.
    pub archived_at: Option<DateTime<Utc>>,
    /// Who is in it.
    pub participants: Vec<ParticipantBody>,
    /// How many that are.
    pub participant_count: usize,
    /// Its newest message.
    pub last_message: Option<MessageBody>,
    /// What the caller has not read.
    pub unread_count: i64,
    /// What to call it.
    pub display_name: String,
    /// The position of its last event.
    pub seq: i64,
}

impl RoomBody {
    /// A room as `caller` may see it.
    #[must_use]
    pub fn seen_by(request: &HttpRequest, rest: &Rest, caller: &Caller, full: FullRoom) -> Self {
        let room = full.room;
        let viewer = caller.viewer();
        let own = full.participants.iter().find(|seen| Some(seen.participant.user.id) == viewer);
        let unread_count = own.map_or(0, |seen| seen.unread);
        let partner = (room.room_type == RoomType::Direct).then_some(full.partner).flatten();
        Self {
            display_name: room.display_name(partner.as_deref()),
            id: room.id.0,
            room_type: room.room_type.as_str(),
            task: room.task(),
            property: room.property(),
            created_at: room.created_at,
            modified_at: room.modified_at,
            created_by: full.created_by.as_ref().map(|maker| User::seen_by(caller, maker)),
            is_active: room.archived_at.is_none(),
            archived_at: room.archived_at,
            participant_count: full.participants.len(),
            participants: full
                .participants
                .into_iter()
                .map(|seen| ParticipantBody::seen_by(caller, seen))
                .collect(),
            last_message: full.last_message.map(|read| Showing::new(request, rest, caller).message(read)),
            unread_count,
            seq: room.head.0,
            name: room.name,
            title: room.title,
        }
    }
}

/// A room in a list.
#[derive(Serialize, ToSchema)]
#[schema(as = ListedRoom)]
pub struct ListedRoomBody {
    /// The room's id.
    pub id: Uuid,
    /// What to call it.
    pub display_name: String,
    /// The other person of a direct room.
    pub partner: Option<PersonInFrames>,
    /// `direct`, `group`, `task` or `property`.
    pub room_type: &'static str,
    /// Whether it takes new messages.
    pub is_active: bool,
    /// What the caller has not read.
    pub unread_count: i64,
    /// One line about its newest message.
    pub last_message_preview: String,
    /// When that was sent; the room's making when there is none.
    pub last_message_time: DateTime<Utc>,
    /// Who sent that.
    pub last_message_sender: Option<PersonInFrames>,
    /// Whether it is muted for the caller.
    pub is_muted: bool,
    /// How many are in it.
    pub participant_count: i64,
    /// When something in it last changed, but for edits and deletions of messages.
    pub modified_at: DateTime<Utc>,
}

/// A person, as frames tell of one.
#[derive(Serialize, ToSchema)]
#[schema(as = MessageSender)]
pub struct PersonInFrames {
    /// The person's id.
    pub id: i64,
    /// The sign-in name.
    pub username: String,
    /// The name to show.
    pub full_name: String,
}

impl From<Author> for PersonInFrames {
    fn from(author: Author) -> Self {
        Self {
            id: author.id.0,
            username: author.username.to_string(),
            full_name: author.full_name.to_string(),
        }
    }
}

impl From<ListedRoom> for ListedRoomBody {
    fn from(listed: ListedRoom) -> Self {
        let room = listed.room;
        let (last_message_preview, last_message_time, last_message_sender) = match listed.last_message {
            Some((preview, at, sender)) => (preview, at, Some(sender.into())),
            None => (NO_MESSAGES.to_owned(), room.created_at, None),
        };
        Self {
            display_name: room.display_name(listed.partner.as_ref().map(|partner| &*partner.full_name)),
            partner: listed.partner.map(PersonInFrames::from),
            id: room.id.0,
            room_type: room.room_type.as_str(),
            is_active: room.archived_at.is_none(),
            unread_count: listed.unread,
            last_message_preview,
            last_message_time,
            last_message_sender,
            is_muted: listed.is_muted,
            participant_count: listed.participant_count,
            modified_at: room.modified_at,
        }
    }
}
