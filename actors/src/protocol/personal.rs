//! Frames of a personal log, which only its user's own sockets are sent.

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::domain::ids::{ClientId, Epoch, MessageId, PersonalSeq, RoomId, Seq};
use crate::domain::notifications::Notification;
use crate::domain::participant::NotificationLevel;
use crate::domain::personal::{
    Draft, OwnRoomSettings, PersonalEntry, PersonalState, Reminder, SavedMessage, ScheduledMessage,
    ScheduledState,
};

/// A frame of a personal log; `type` is the variant's name in snake case.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields are the wire's, described in docs/PROTOCOL.md")]
pub enum PersonalFrame<'a> {
    PersonalSynced {
        position: PersonalSeq,
    },
    PersonalReset {
        position: PersonalSeq,
        epoch: Epoch,
    },
    RoomSettings {
        room_id: RoomId,
        is_muted: bool,
        muted_until: Option<DateTime<Utc>>,
        level: NotificationLevel,
        favourite: bool,
        position: PersonalSeq,
    },
    Draft {
        room_id: RoomId,
        content: &'a str,
        reply_to_id: Option<MessageId>,
        updated_at: DateTime<Utc>,
        position: PersonalSeq,
    },
    Saved {
        message_id: MessageId,
        room_id: Option<RoomId>,
        saved_at: Option<DateTime<Utc>>,
        position: PersonalSeq,
    },
    Reminder {
        id: Uuid,
        room_id: RoomId,
        message_id: MessageId,
        at: DateTime<Utc>,
        fired_at: Option<DateTime<Utc>>,
        position: PersonalSeq,
    },
    ReminderRemoved {
        id: Uuid,
        position: PersonalSeq,
    },
    Scheduled {
        id: Uuid,
        room_id: RoomId,
        client_id: ClientId,
        content: &'a str,
        reply_to_id: Option<MessageId>,
        at: DateTime<Utc>,
        created_at: DateTime<Utc>,
        state: ScheduledState,
        error: Option<&'a str>,
        message_id: Option<MessageId>,
        position: PersonalSeq,
    },
    ScheduledRemoved {
        id: Uuid,
        position: PersonalSeq,
    },
    Notification {
        id: Uuid,
        kind: &'static str,
        room_id: RoomId,
        seq: Seq,
        message_id: MessageId,
        title: &'a str,
        body: &'a str,
        urgent: bool,
        position: PersonalSeq,
    },
    NotificationGone {
        ids: [Uuid; 1],
        position: PersonalSeq,
    },
}

impl<'a> From<&'a PersonalEntry> for PersonalFrame<'a> {
    fn from(entry: &'a PersonalEntry) -> Self {
        let position = entry.position;
        match &entry.state {
            PersonalState::RoomSettings(settings) => {
                let &OwnRoomSettings { room: room_id, is_muted, muted_until, level, is_favourite } = settings;
                Self::RoomSettings {
                    room_id,
                    is_muted,
                    muted_until,
                    level,
                    favourite: is_favourite,
                    position,
                }
            }
            PersonalState::Draft(Draft { room, content, reply_to, updated_at }) => Self::Draft {
                room_id: *room,
                content,
                reply_to_id: *reply_to,
                updated_at: *updated_at,
                position,
            },
            PersonalState::Saved(SavedMessage { message, saved }) => {
                let (room_id, saved_at) = saved.unzip();
                Self::Saved { message_id: *message, room_id, saved_at, position }
            }
            PersonalState::Reminder(Reminder { id, room, message, at, fired_at, .. }) => Self::Reminder {
                id: *id,
                room_id: *room,
                message_id: *message,
                at: *at,
                fired_at: *fired_at,
                position,
            },
            PersonalState::ReminderRemoved(id) => Self::ReminderRemoved { id: *id, position },
            PersonalState::Scheduled(scheduled) => Self::scheduled(scheduled, position),
            PersonalState::ScheduledRemoved(id) => Self::ScheduledRemoved { id: *id, position },
            PersonalState::Notification(notification) => Self::notification(notification, position),
            PersonalState::NotificationGone(id) => Self::NotificationGone { ids: [*id], position },
        }
    }
}

impl<'a> PersonalFrame<'a> {
    fn scheduled(scheduled: &'a ScheduledMessage, position: PersonalSeq) -> Self {
        Self::Scheduled {
            id: scheduled.id,
            room_id: scheduled.room,
            client_id: scheduled.client_id,
            content: &scheduled.content,
            reply_to_id: scheduled.reply_to,
            at: scheduled.at,
            created_at: scheduled.created_at,
            state: scheduled.state,
            error: scheduled.error.as_deref(),
            message_id: scheduled.message,
            position,
        }
    }

    fn notification(notification: &'a Notification, position: PersonalSeq) -> Self {
        Self::Notification {
            id: notification.id,
            kind: notification.rule.kind(),
            room_id: notification.room,
            seq: notification.seq,
            message_id: notification.message,
            title: &notification.title,
            body: &notification.body,
            urgent: notification.is_urgent(),
            position,
        }
    }
}
