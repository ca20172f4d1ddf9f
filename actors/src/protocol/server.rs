//! Frames to clients that carry no event: greetings, signals, answers, lists of rooms. An event's frame stands
//! with its feature, see [`EventFrame`](crate::domain::event::EventFrame).

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Number;

use crate::domain::ids::{ClientId, Epoch, MessageId, PersonalSeq, RoomId, Seq, UserId};
use crate::domain::participant::NotificationLevel;
use crate::domain::room::RoomView;
use crate::domain::signal::{ReadMark, Signal};
use crate::domain::user::UserSummary;
use crate::error::ErrorCode;

/// The version of the protocol that `connection_established` tells.
pub const PROTOCOL: u8 = 1;

/// A frame without an event; `type` is the variant's name in snake case.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields are the wire's, described in docs/PROTOCOL.md")]
pub enum ServerFrame<'a> {
    ConnectionEstablished {
        #[serde(skip_serializing_if = "Option::is_none")]
        room_id: Option<RoomId>,
        unread_count: i64,
        #[serde(skip_serializing_if = "Option::is_none")]
        mention_count: Option<i64>,
        user_id: UserId,
        username: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        seq: Option<Seq>,
        #[serde(skip_serializing_if = "Option::is_none")]
        epoch: Option<Epoch>,
        #[serde(skip_serializing_if = "Option::is_none")]
        personal_position: Option<PersonalSeq>,
        protocol: u8,
        #[serde(skip_serializing_if = "Option::is_none")]
        capabilities: Option<Vec<&'static str>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        next_post_at: Option<DateTime<Utc>>,
    },
    Subscribed {
        room_id: RoomId,
        seq: Seq,
        epoch: Epoch,
        unread_count: i64,
        capabilities: Vec<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        next_post_at: Option<DateTime<Utc>>,
    },
    EventHidden {
        room_id: RoomId,
        seq: Seq,
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
        marks: Vec<ReadMarkView>,
    },
    PresenceState {
        room_id: RoomId,
        online: &'a [UserId],
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
        status: PresenceStatus,
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
    Command {
        room_id: RoomId,
        name: &'a str,
        text: &'a str,
        user_id: UserId,
        token: &'a str,
    },
    CommandSent {
        room_id: RoomId,
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        client_id: Option<ClientId>,
    },
    CommandAnswer {
        room_id: RoomId,
        name: &'a str,
        user_id: UserId,
        content: &'a str,
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
        mention_count: u32,
        total_unread: i64,
        total_mentions: i64,
        last_message_preview: &'a str,
        last_message_time: DateTime<Utc>,
        last_message_sender: Option<&'a UserSummary>,
        display_name: &'a str,
        partner: Option<&'a UserSummary>,
        is_active: bool,
        is_muted: bool,
        description: &'a str,
        level: NotificationLevel,
        favourite: bool,
    },
    RoomAdded {
        room_id: RoomId,
        room: RoomView<'a>,
    },
    RoomRemoved {
        room_id: RoomId,
        total_unread: i64,
        total_mentions: i64,
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

/// Whether a user is online.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PresenceStatus {
    /// The user has an open socket.
    Online,
    /// The user has none.
    Offline,
}

/// How far a user has read, in `read_state`.
#[derive(Serialize)]
#[allow(missing_docs, reason = "the fields are the wire's, described in docs/PROTOCOL.md")]
pub struct ReadMarkView {
    pub user_id: UserId,
    pub seq: Seq,
    pub read_at: DateTime<Utc>,
}

impl From<&ReadMark> for ReadMarkView {
    fn from(mark: &ReadMark) -> Self {
        Self { user_id: mark.user, seq: mark.up_to, read_at: mark.at }
    }
}

impl<'a> ServerFrame<'a> {
    /// The frame of a signal; none for one that concerns a single user's badges.
    #[must_use]
    pub fn of_signal(room_id: RoomId, signal: &'a Signal) -> Option<Self> {
        Some(match signal {
            // Inherited clients rely on a receipt naming a message.
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
                status: if *online { PresenceStatus::Online } else { PresenceStatus::Offline },
                last_seen: *last_seen,
            },
            Signal::OwnState { .. } => return None,
        })
    }
}
