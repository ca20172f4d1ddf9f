//! What is read of Django's tables, and what is written into a log.

use actors::domain::message::MessageType;
use actors::domain::room::RoomType;
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// How much there is in Django's tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OldCounts {
    /// People.
    pub users: i64,
    /// Rooms.
    pub rooms: i64,
    /// Messages, deleted ones too.
    pub messages: i64,
    /// Participants, those who left too.
    pub participants: i64,
    /// The greatest id of a participant.
    pub last_participant: i64,
    /// The greatest id of a user.
    pub last_user: i64,
}

/// A row of `auth_user`.
#[derive(Clone, Debug)]
pub struct OldUser {
    /// The id.
    pub id: i64,
    /// The sign-in name.
    pub username: String,
    /// First and last name.
    pub full_name: String,
    /// The mail address.
    pub email: String,
    /// Whether the account may sign in.
    pub is_active: bool,
    /// Whether the user is staff.
    pub is_staff: bool,
    /// When the account was made.
    pub joined_at: DateTime<Utc>,
}

/// A row of `api_chatroom` with what the plan of a move needs to know of its other rows.
#[derive(Clone, Debug)]
pub struct OldRoom {
    /// The id.
    pub id: Uuid,
    /// The type, as Django calls it.
    pub room_type: String,
    /// The name; empty for most.
    pub name: String,
    /// The title of the task or the name of the property.
    pub title: String,
    /// The task.
    pub task: Option<i64>,
    /// The property.
    pub property: Option<i64>,
    /// Who made it.
    pub created_by: Option<i64>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub modified_at: DateTime<Utc>,
    /// Since when it is archived; none while it is active.
    pub archived_at: Option<DateTime<Utc>>,
    /// The first three users of a direct room by their ids, those who left too.
    pub members: Vec<i64>,
    /// The number of its messages.
    pub messages: i64,
    /// A hash of all that it is made of.
    pub fingerprint: String,
}

/// A row of `api_chatparticipant`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldParticipant {
    /// The id.
    pub id: i64,
    /// The room.
    pub room: Uuid,
    /// The user.
    pub user: i64,
    /// When the user joined.
    pub joined_at: DateTime<Utc>,
    /// When the user left.
    pub left_at: Option<DateTime<Utc>>,
    /// Up to when all is read.
    pub last_read_at: Option<DateTime<Utc>>,
    /// Whether the room is muted.
    pub is_muted: bool,
    /// Until when.
    pub muted_until: Option<DateTime<Utc>>,
    /// Whether the user is an admin of the room.
    pub is_admin: bool,
}

/// What a message replies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldReply {
    /// Nothing.
    Nothing,
    /// A message of the room that stands before it in the log.
    Earlier(Uuid),
    /// A message of the room that stands after it.
    Later(Uuid),
    /// Itself.
    Itself,
    /// A message of another room.
    Elsewhere(Uuid),
}

/// A row of `api_chatmessage`.
#[derive(Clone, Debug)]
pub struct OldMessage {
    /// The id.
    pub id: Uuid,
    /// The author; none if the account is gone.
    pub sender: Option<i64>,
    /// The type, as Django has it.
    pub message_type: String,
    /// The text.
    pub content: String,
    /// The path of its file under `MEDIA_ROOT`.
    pub attachment: Option<String>,
    /// The name of its file.
    pub attachment_name: String,
    /// When it was sent.
    pub created_at: DateTime<Utc>,
    /// When its row was last saved.
    pub modified_at: DateTime<Utc>,
    /// When its text last changed.
    pub edited_at: Option<DateTime<Utc>>,
    /// When it was deleted.
    pub deleted_at: Option<DateTime<Utc>>,
    /// Who has read it when, as the JSON that Django has.
    pub read_by: String,
    /// What it replies to.
    pub reply: OldReply,
}

/// What happened, as far as Django's rows tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldEventKind {
    /// A user joined.
    Joined,
    /// A message was sent.
    Posted,
    /// A message's text changed.
    Edited,
    /// A message was deleted.
    Deleted,
    /// A user left.
    Left,
    /// The room was archived.
    Archived,
}

/// One event of a room's log, as it follows from Django's rows.
#[derive(Clone, Debug)]
pub struct OldEvent {
    /// Its position; 1 is the room's making, which isn't among these.
    pub seq: i64,
    /// Of a message's event, the position of the message's last one.
    pub rev: i64,
    /// What happened.
    pub kind: OldEventKind,
    /// When.
    pub at: DateTime<Utc>,
    /// Who joined or left.
    pub user: Option<i64>,
    /// The message that it is about, and its author.
    pub message: Option<(Uuid, Option<i64>)>,
    /// The message itself, where it was sent by this event.
    pub posted: Option<Box<OldMessage>>,
}

/// The kinds of events that a move writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogEntryKind {
    /// The room was made.
    Created,
    /// A user joined.
    Joined,
    /// A message was sent.
    Posted,
    /// A message's text changed.
    Edited,
    /// A message was deleted.
    Deleted,
    /// A user left.
    Left,
    /// The room was archived.
    Archived,
}

/// One event to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Its position.
    pub seq: i64,
    /// What happened.
    pub kind: LogEntryKind,
    /// Who did it.
    pub actor: Option<i64>,
    /// The message that it is about.
    pub message: Option<Uuid>,
    /// When.
    pub at: DateTime<Utc>,
    /// Who joined or left, and whether as an admin.
    pub participant: Option<(i64, bool)>,
}

/// A file that was moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedFile {
    /// Its id in the file storage.
    pub id: Uuid,
    /// Its name, cleaned.
    pub name: String,
    /// Its size, as it is stored.
    pub size: i64,
    /// Whether it is shown inline.
    pub is_image: bool,
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileFate {
    /// It is in the storage.
    Moved(MovedFile),
    /// It was refused by the judge of files, for good.
    Refused(String),
    /// It isn't where Django says, or could not be read; another move tries again.
    Missing(String),
}

/// One message to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedMessage {
    /// The id.
    pub id: Uuid,
    /// The position of its sending.
    pub seq: i64,
    /// The position of its last change.
    pub rev: i64,
    /// The author.
    pub sender: i64,
    /// The type.
    pub message_type: MessageType,
    /// The text; empty if it is deleted.
    pub content: String,
    /// The file.
    pub file: Option<MovedFile>,
    /// What it replies to.
    pub reply_to: Option<Uuid>,
    /// When it was sent.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub modified_at: DateTime<Utc>,
    /// When its text last changed.
    pub edited_at: Option<DateTime<Utc>>,
    /// When it was deleted.
    pub deleted_at: Option<DateTime<Utc>>,
}

/// A room to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedRoomRow {
    /// The id.
    pub id: Uuid,
    /// The type.
    pub room_type: RoomType,
    /// The name.
    pub name: String,
    /// The title of its task or property.
    pub title: String,
    /// The task.
    pub task: Option<i64>,
    /// The property.
    pub property: Option<i64>,
    /// The two users of a direct room, the lower id first.
    pub pair: Option<(i64, i64)>,
    /// Who made it.
    pub created_by: Option<i64>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub modified_at: DateTime<Utc>,
    /// Since when it is archived.
    pub archived_at: Option<DateTime<Utc>>,
}

/// A participant to be written, without the read mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedParticipant {
    /// The id; none for one who is only here.
    pub id: Option<i64>,
    /// The user.
    pub user: i64,
    /// When the user joined.
    pub joined_at: DateTime<Utc>,
    /// When the user left.
    pub left_at: Option<DateTime<Utc>>,
    /// Whether the room is muted.
    pub is_muted: bool,
    /// Until when.
    pub muted_until: Option<DateTime<Utc>>,
    /// Whether the user is an admin of the room.
    pub is_admin: bool,
}

/// A user's read mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MovedReadMark {
    /// The user.
    pub user: i64,
    /// The position up to which all is read.
    pub seq: i64,
    /// When it last moved.
    pub at: Option<DateTime<Utc>>,
}

/// One forward move of a read mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadMove {
    /// The user.
    pub user: i64,
    /// The position up to which all was read by it.
    pub seq: i64,
    /// When.
    pub at: DateTime<Utc>,
}
