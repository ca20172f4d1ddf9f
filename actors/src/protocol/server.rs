//! Frames to clients, in the shapes of the wire.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Number;
use uuid::Uuid;

use crate::domain::event::{Event, EventBody};
use crate::domain::ids::{ClientId, Epoch, MessageId, RoomId, Seq, UserId};
use crate::domain::message::{Message, Quote, RemovedBy};
use crate::domain::participant::{Participant, Role};
use crate::domain::person::Author;
use crate::domain::room::Room;
use crate::domain::signal::{ReadMark, Signal};
use crate::error::ErrorCode;

/// The version of the protocol that `connection_established` tells.
pub const PROTOCOL: u8 = 1;

/// Any frame to a client; `type` is the variant's name in snake case.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields are the wire's, described in docs/PROTOCOL.md")]
pub enum ServerFrame<'a> {
    ConnectionEstablished {
        #[serde(skip_serializing_if = "Option::is_none")]
        room_id: Option<RoomId>,
        unread_count: i64,
        user_id: UserId,
        username: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        seq: Option<Seq>,
        #[serde(skip_serializing_if = "Option::is_none")]
        epoch: Option<Epoch>,
        protocol: u8,
    },
    Subscribed {
        room_id: RoomId,
        seq: Seq,
        epoch: Epoch,
        unread_count: i64,
    },
    Synced {
        room_id: RoomId,
        seq: Seq,
    },
    Reset {
        room_id: RoomId,
        seq: Seq,
        epoch: Epoch,
    },
    ReadState {
        room_id: RoomId,
        marks: Vec<MarkView>,
    },
    PresenceState {
        room_id: RoomId,
        online: &'a [UserId],
    },
    ChatMessage {
        room_id: RoomId,
        seq: Seq,
        message: MessageView<'a>,
    },
    MessageUpdated {
        room_id: RoomId,
        seq: Seq,
        message: MessageView<'a>,
    },
    MessageDeleted {
        room_id: RoomId,
        seq: Seq,
        message_id: MessageId,
        removed_by: RemovedBy,
    },
    ParticipantJoined {
        room_id: RoomId,
        seq: Seq,
        participant: ParticipantView<'a>,
    },
    ParticipantLeft {
        room_id: RoomId,
        seq: Seq,
        participant: ParticipantView<'a>,
    },
    ParticipantUpdated {
        room_id: RoomId,
        seq: Seq,
        participant: ParticipantView<'a>,
    },
    RoomUpdated {
        room_id: RoomId,
        seq: Seq,
        room: RoomView<'a>,
    },
    Typing {
        room_id: RoomId,
        user_id: UserId,
        username: &'a str,
        is_typing: bool,
    },
    ReadReceipt {
        room_id: RoomId,
        message_id: Option<MessageId>,
        user_id: UserId,
        read_at: DateTime<Utc>,
        up_to: Seq,
    },
    Presence {
        room_id: RoomId,
        user_id: UserId,
        status: Status,
        last_seen: Option<DateTime<Utc>>,
    },
    RoomMarkedRead {
        room_id: RoomId,
    },
    Ack {
        room_id: RoomId,
        client_id: ClientId,
        message_id: MessageId,
        seq: Seq,
        created_at: DateTime<Utc>,
        duplicate: bool,
    },
    Error {
        code: ErrorCode,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        room_id: Option<RoomId>,
        #[serde(skip_serializing_if = "Option::is_none")]
        client_id: Option<ClientId>,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after: Option<f64>,
    },
    Inbox {
        room_id: RoomId,
        unread_count: i64,
        total_unread: i64,
        last_message_preview: &'a str,
        last_message_time: DateTime<Utc>,
        last_message_sender: Option<&'a Author>,
        display_name: &'a str,
        partner: Option<&'a Author>,
        is_active: bool,
        is_muted: bool,
    },
    RoomAdded {
        room_id: RoomId,
        room: RoomView<'a>,
    },
    RoomRemoved {
        room_id: RoomId,
        total_unread: i64,
    },
    Pong {
        #[serde(skip_serializing_if = "Option::is_none")]
        n: Option<Number>,
    },
    AuthOk {
        expires_at: DateTime<Utc>,
    },
    GoingAway {
        retry_after: f64,
    },
}

/// Whether someone is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// At least one socket is open.
    Online,
    /// None is.
    Offline,
}

/// A message in a frame; the same for everyone in the room.
#[derive(Serialize)]
#[allow(missing_docs, reason = "the fields are the wire's, described in docs/PROTOCOL.md")]
pub struct MessageView<'a> {
    pub id: MessageId,
    pub room_id: RoomId,
    pub sender: &'a Author,
    pub content: &'a str,
    pub message_type: &'static str,
    pub attachment: Option<String>,
    pub attachment_name: &'a str,
    pub attachment_size: Option<i64>,
    pub reply_to_id: Option<MessageId>,
    pub reply_to: Option<QuoteView<'a>>,
    pub created_at: DateTime<Utc>,
    pub is_edited: bool,
    pub edited_at: Option<DateTime<Utc>>,
    pub is_deleted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed_by: Option<RemovedBy>,
    pub seq: Seq,
    pub rev: Seq,
    pub client_id: Option<ClientId>,
}

impl<'a> From<&'a Message> for MessageView<'a> {
    fn from(message: &'a Message) -> Self {
        let file = message.attachment.as_ref();
        Self {
            id: message.id,
            room_id: message.room,
            sender: &message.sender,
            content: &message.content,
            message_type: message.message_type.as_str(),
            attachment: file.map(|file| file_path(file.file.0)),
            attachment_name: file.map_or("", |file| file.name.as_str()),
            attachment_size: file.map(|file| file.size),
            reply_to_id: message.reply_to.as_ref().map(|quote| quote.id),
            reply_to: message.reply_to.as_ref().map(QuoteView::from),
            created_at: message.created_at,
            is_edited: message.edited_at.is_some(),
            edited_at: message.edited_at,
            is_deleted: message.deleted_at.is_some(),
            removed_by: message.removed_by,
            seq: message.seq,
            rev: message.rev,
            client_id: message.client_id,
        }
    }
}

/// The path under which a stored file is fetched.
#[must_use]
pub fn file_path(file: Uuid) -> String {
    format!("/api/chat/files/{file}/")
}

/// The message that another one answers.
#[derive(Serialize)]
#[allow(missing_docs, reason = "the fields are the wire's, described in docs/PROTOCOL.md")]
pub struct QuoteView<'a> {
    pub id: MessageId,
    pub sender: QuotedSender<'a>,
    pub content: &'a str,
    pub created_at: DateTime<Utc>,
}

/// Who wrote the message that another one answers.
#[derive(Serialize)]
#[allow(missing_docs, reason = "the fields are the wire's, described in docs/PROTOCOL.md")]
pub struct QuotedSender<'a> {
    pub id: UserId,
    pub username: &'a str,
}

impl<'a> From<&'a Quote> for QuoteView<'a> {
    fn from(quote: &'a Quote) -> Self {
        Self {
            id: quote.id,
            sender: QuotedSender { id: quote.sender, username: &quote.username },
            content: &quote.content,
            created_at: quote.created_at,
        }
    }
}

/// A participant in a frame.
#[derive(Serialize)]
#[allow(missing_docs, reason = "the fields are the wire's, described in docs/PROTOCOL.md")]
pub struct ParticipantView<'a> {
    pub id: i64,
    pub user: &'a Author,
    pub room: RoomId,
    pub joined_at: DateTime<Utc>,
    pub left_at: Option<DateTime<Utc>>,
    pub is_admin: bool,
}

impl<'a> From<&'a Participant> for ParticipantView<'a> {
    fn from(participant: &'a Participant) -> Self {
        Self {
            id: participant.id.0,
            user: &participant.user,
            room: participant.room,
            joined_at: participant.joined_at,
            left_at: participant.left_at,
            is_admin: participant.role == Role::Admin,
        }
    }
}

/// A room in a frame.
#[derive(Serialize)]
#[allow(missing_docs, reason = "the fields are the wire's, described in docs/PROTOCOL.md")]
pub struct RoomView<'a> {
    pub id: RoomId,
    pub name: &'a str,
    pub room_type: &'static str,
    pub task: Option<i64>,
    pub property: Option<i64>,
    pub title: &'a str,
    pub is_active: bool,
    pub archived_at: Option<DateTime<Utc>>,
    pub modified_at: DateTime<Utc>,
}

impl<'a> From<&'a Room> for RoomView<'a> {
    fn from(room: &'a Room) -> Self {
        Self {
            id: room.id,
            name: &room.name,
            room_type: room.room_type.as_str(),
            task: room.task(),
            property: room.property(),
            title: &room.title,
            is_active: room.archived_at.is_none(),
            archived_at: room.archived_at,
            modified_at: room.modified_at,
        }
    }
}

/// How far someone has read, in `read_state`.
#[derive(Serialize)]
#[allow(missing_docs, reason = "the fields are the wire's, described in docs/PROTOCOL.md")]
pub struct MarkView {
    pub user_id: UserId,
    pub seq: Seq,
    pub read_at: DateTime<Utc>,
}

impl From<&ReadMark> for MarkView {
    fn from(mark: &ReadMark) -> Self {
        Self { user_id: mark.user, seq: mark.up_to, read_at: mark.at }
    }
}

impl<'a> ServerFrame<'a> {
    /// The frame of an event; none for a deletion of the room, which closes sockets instead.
    #[must_use]
    pub fn of_event(event: &'a Event) -> Option<Self> {
        let (room_id, seq) = (event.room, event.seq);
        Some(match &event.body {
            EventBody::RoomCreated(room) | EventBody::RoomUpdated(room) => {
                Self::RoomUpdated { room_id, seq, room: room.as_ref().into() }
            }
            EventBody::RoomDeleted => return None,
            EventBody::MessagePosted(message) => {
                Self::ChatMessage { room_id, seq, message: message.as_ref().into() }
            }
            EventBody::MessageEdited(message) => {
                Self::MessageUpdated { room_id, seq, message: message.as_ref().into() }
            }
            EventBody::MessageDeleted { message, removed_by, .. } => {
                Self::MessageDeleted { room_id, seq, message_id: *message, removed_by: *removed_by }
            }
            EventBody::ParticipantJoined(participant) => {
                Self::ParticipantJoined { room_id, seq, participant: participant.as_ref().into() }
            }
            EventBody::ParticipantLeft(participant) => {
                Self::ParticipantLeft { room_id, seq, participant: participant.as_ref().into() }
            }
            EventBody::ParticipantUpdated(participant) => {
                Self::ParticipantUpdated { room_id, seq, participant: participant.as_ref().into() }
            }
        })
    }

    /// The frame of a signal; none for what concerns one person's badges alone.
    #[must_use]
    pub fn of_signal(room_id: RoomId, signal: &'a Signal) -> Option<Self> {
        Some(match signal {
            // Inherited clients take it for given that a receipt names a message.
            Signal::Read(ReadMark { message: None, .. }) => return None,
            Signal::Read(mark) => Self::ReadReceipt {
                room_id,
                message_id: mark.message,
                user_id: mark.user,
                read_at: mark.at,
                up_to: mark.up_to,
            },
            Signal::Typing { user, username, is_typing } => {
                Self::Typing { room_id, user_id: *user, username, is_typing: *is_typing }
            }
            Signal::Presence { user, online, last_seen } => Self::Presence {
                room_id,
                user_id: *user,
                status: if *online { Status::Online } else { Status::Offline },
                last_seen: *last_seen,
            },
            Signal::Muted { .. } => return None,
        })
    }
}
