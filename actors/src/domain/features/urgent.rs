//! Sending a message as urgent, and acknowledging one.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::aggregate::RoomAggregate;
use super::command::{CommandOutcome, CommandRules, Principal, RateClass, Refusal, RequiredState};
use super::event::{Event, EventBody, EventFacts, EventRules, EventSubject, LogRow};
use crate::domain::ids::{MessageId, RoomId, Seq, UserId};
use crate::domain::permission::Action;
use crate::domain::row_change::{ColumnType, RowChange, RowSelection, Table};
use crate::domain::urgency::{UrgencyRefusal, UrgentDraft, UrgentMark};

/// Who has acknowledged which message.
pub(super) static ACKNOWLEDGEMENTS: Table = Table {
    name: "acknowledgements",
    columns: &[
        ("room_id", ColumnType::Uuid),
        ("message_id", ColumnType::Uuid),
        ("user_id", ColumnType::BigInt),
        ("at", ColumnType::Timestamp),
    ],
    key_columns: 3,
    removals: &[2],
    selections: &[3],
    goes_with_message: true,
};

/// The event of an urgent message that was acknowledged.
pub enum MessageAcknowledgedEvent {}

/// That a user has acknowledged an urgent message. The event says when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageAcknowledgement {
    /// The message.
    pub message: MessageId,
    /// The user.
    pub user: UserId,
}

/// The frame of an urgent message that was acknowledged.
#[derive(Serialize)]
pub struct MessageAcknowledgedFrame {
    #[serde(rename = "type")]
    kind: &'static str,
    room_id: RoomId,
    seq: Seq,
    message_id: MessageId,
    user_id: UserId,
    at: DateTime<Utc>,
}

impl EventRules for MessageAcknowledgedEvent {
    type Payload = MessageAcknowledgement;
    type Frame<'a> = MessageAcknowledgedFrame;

    const STORE_NAME: &'static str = "message_acknowledged";

    fn facts(given: &MessageAcknowledgement) -> EventFacts<'_> {
        EventFacts { is_activity: false, ..EventFacts::about(EventSubject::MessageExtras(given.message)) }
    }

    fn frame<'a>(event: &'a Event, given: &'a MessageAcknowledgement) -> MessageAcknowledgedFrame {
        MessageAcknowledgedFrame {
            kind: "message_acknowledged",
            room_id: event.room,
            seq: event.seq,
            message_id: given.message,
            user_id: given.user,
            at: event.at,
        }
    }

    fn data(given: &MessageAcknowledgement) -> Option<serde_json::Value> {
        Some(json!({ "by": given.user }))
    }

    fn restore(row: &impl LogRow) -> MessageAcknowledgement {
        let user = row.data().and_then(|data| data["by"].as_i64()).unwrap_or_default();
        MessageAcknowledgement { message: row.message().id, user: UserId(user) }
    }
}

pub(super) fn acknowledge_rules(by: Principal, message: MessageId) -> CommandRules {
    let own = by
        .user_id()
        .map(|user| RowSelection { table: &ACKNOWLEDGEMENTS, prefix: vec![message.0.into(), user.0.into()] });
    CommandRules {
        required: RequiredState { message: Some(message), rows: own, ..RequiredState::default() },
        rate: Some(RateClass::Changes),
        ..CommandRules::of(Action::Acknowledge)
    }
}

impl RoomAggregate {
    /// The mark of a message that `by` sends as urgent, if it is.
    pub(super) fn urgent_mark(
        &self,
        by: Principal,
        draft: Option<UrgentDraft>,
    ) -> Result<Option<Box<UrgentMark>>, Refusal> {
        let Some(draft) = draft else { return Ok(None) };
        if !self.room.allows(self.access_level(by), Action::MarkUrgent) {
            return Err(Refusal::Forbidden);
        }
        Ok(Some(Box::new(draft.mark(self.now)?)))
    }

    pub(super) fn acknowledge(&mut self, by: Principal, id: MessageId) -> Result<CommandOutcome, Refusal> {
        let user = by.user_id().ok_or(Refusal::Forbidden)?;
        let mut message = self.visible_message(by, id)?.clone();
        let mut mark = message.extras.urgent.clone().ok_or(UrgencyRefusal::NotUrgent)?;
        if message.sender.id == user {
            return Err(UrgencyRefusal::Own.into());
        }
        let key = [self.room.id.0.into(), id.0.into(), user.0.into()];
        if self.has_row(&ACKNOWLEDGEMENTS, &key) {
            return Ok(CommandOutcome::of(Vec::new(), self.changed_reply(by, &message, true)));
        }
        let [room, message_id, user_id] = key;
        self.change_row(RowChange::insert(&ACKNOWLEDGEMENTS, [room, message_id, user_id, self.now.into()]));
        mark.acknowledge(user, self.now);
        message.extras.urgent = Some(mark);
        message.rev = self.room.head.next();
        let given = MessageAcknowledgement { message: id, user };
        let event = self.event(by, EventBody::MessageAcknowledged(Box::new(given)));
        self.cache_message(&message);
        Ok(CommandOutcome::of(vec![event], self.changed_reply(by, &message, false)))
    }
}
