//! Pinning a message in its room, and taking it off again.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::aggregate::RoomAggregate;
use super::command::{CommandOutcome, CommandRules, Principal, RateClass, Refusal, RequiredState};
use super::event::{Event, EventBody, EventFacts, EventRules, EventSubject, LogRow};
use crate::domain::ids::{MessageId, RoomId, Seq, UserId};
use crate::domain::message_extras::Pinned;
use crate::domain::permission::Action;
use crate::domain::row_change::{ColumnType, RowChange, RowSelection, Table};

/// The most pinned messages of one room.
const PINS_MAX: usize = 50;

/// The pinned messages, each with the position at which it was pinned.
pub(super) static PINS: Table = Table {
    name: "pins",
    columns: &[("room_id", ColumnType::Uuid), ("message_id", ColumnType::Uuid), ("seq", ColumnType::BigInt)],
    key_columns: 2,
    removals: &[2],
    selections: &[1],
    goes_with_message: true,
};

/// The event of a message that was pinned, or taken off.
pub enum MessagePinnedEvent {}

/// A message that was pinned, or taken off. The event says who did it and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinChange {
    /// The message.
    pub message: MessageId,
    /// The position at which it was sent.
    #[serde(default)]
    pub sent: Seq,
    /// Whether it is pinned now.
    pub pinned: bool,
}

/// The frame of a message that was pinned, or taken off.
#[derive(Serialize)]
pub struct MessagePinnedFrame {
    #[serde(rename = "type")]
    kind: &'static str,
    room_id: RoomId,
    seq: Seq,
    message_id: MessageId,
    pinned_by: Option<UserId>,
    pinned_at: Option<DateTime<Utc>>,
    pinned: bool,
}

impl EventRules for MessagePinnedEvent {
    type Payload = PinChange;
    type Frame<'a> = MessagePinnedFrame;

    const STORE_NAME: &'static str = "message_pinned";

    fn facts(change: &PinChange) -> EventFacts<'_> {
        EventFacts {
            is_activity: false,
            shows_since: Some(change.sent),
            ..EventFacts::about(EventSubject::MessageExtras(change.message))
        }
    }

    fn frame<'a>(event: &'a Event, change: &'a PinChange) -> MessagePinnedFrame {
        MessagePinnedFrame {
            kind: "message_pinned",
            room_id: event.room,
            seq: event.seq,
            message_id: change.message,
            pinned_by: event.by,
            pinned_at: change.pinned.then_some(event.at),
            pinned: change.pinned,
        }
    }

    fn data(change: &PinChange) -> Option<serde_json::Value> {
        Some(json!({ "pinned": change.pinned }))
    }

    fn restore(row: &impl LogRow) -> PinChange {
        let pinned = row.data().and_then(|data| data["pinned"].as_bool()).unwrap_or_default();
        let message = row.message();
        PinChange { message: message.id, sent: message.seq, pinned }
    }
}

pub(super) fn rules(message: MessageId, pinned: bool) -> CommandRules {
    let all = RowSelection { table: &PINS, prefix: Vec::new() };
    CommandRules {
        required: RequiredState {
            message: Some(message),
            rows: pinned.then_some(all),
            ..RequiredState::default()
        },
        needs_active_room: true,
        rate: Some(RateClass::Changes),
        ..CommandRules::of(Action::Pin)
    }
}

impl RoomAggregate {
    pub(super) fn pin(
        &mut self,
        by: Principal,
        id: MessageId,
        pinned: bool,
    ) -> Result<CommandOutcome, Refusal> {
        let mut message = self.visible_message(by, id)?.clone();
        if message.extras.pinned.is_some() == pinned {
            return Ok(CommandOutcome::of(Vec::new(), self.changed_reply(by, &message, true)));
        }
        let (room, seq) = (self.room.id.0, self.room.head.next());
        if pinned {
            if self.rows.select(&PINS, &[room.into()]).count() >= PINS_MAX {
                return Err(Refusal::TooManyPins);
            }
            self.change_row(RowChange::insert(&PINS, [room.into(), id.0.into(), seq.0.into()]));
        } else {
            self.change_row(RowChange::remove(&PINS, [room.into(), id.0.into()]));
        }
        message.extras.pinned = pinned.then(|| Pinned { at: self.now, by: by.user_id() });
        message.rev = seq;
        let change = PinChange { message: id, sent: message.seq, pinned };
        let event = self.event(by, EventBody::MessagePinned(Box::new(change)));
        self.cache_message(&message);
        Ok(CommandOutcome::of(vec![event], self.changed_reply(by, &message, false)))
    }
}
