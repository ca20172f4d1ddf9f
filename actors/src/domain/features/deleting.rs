//! Deleting a message: by its author, by a moderator, or with its author's account.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::TABLES;
use super::aggregate::RoomAggregate;
use super::command::{
    CommandOutcome, CommandReply, CommandRules, Principal, RateClass, Refusal, RequiredAccess, RequiredState,
};
use super::event::{Event, EventBody, EventFacts, EventRules, EventSubject, InboxChange, LogRow};
use crate::domain::ids::{MessageId, RoomId, Seq, UserId};
use crate::domain::message::RemovedBy;
use crate::domain::permission::Action;
use crate::domain::row_change::RowChange;
use crate::domain::thread::ThreadView;

/// The event of a message that was deleted.
pub enum MessageDeletedEvent {}

/// A deletion, with what lists need to know of the message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageDeletion {
    /// The message.
    pub message: MessageId,
    /// The position of its sending.
    pub sent: Seq,
    /// The user who had written it.
    pub sender: UserId,
    /// In whose right; a node that doesn't say acts for authors alone.
    #[serde(default)]
    pub removed_by: RemovedBy,
    /// Why, where a reason was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The thread that it was a reply in, with the sums after the deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<ThreadView>,
}

/// The frame of a deletion.
#[derive(Serialize)]
pub struct MessageDeletedFrame {
    #[serde(rename = "type")]
    kind: &'static str,
    room_id: RoomId,
    seq: Seq,
    message_id: MessageId,
    removed_by: RemovedBy,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread: Option<ThreadView>,
}

impl EventRules for MessageDeletedEvent {
    type Payload = MessageDeletion;
    type Frame<'a> = MessageDeletedFrame;

    const STORE_NAME: &'static str = "message_deleted";

    fn facts(deletion: &MessageDeletion) -> EventFacts<'_> {
        EventFacts {
            is_activity: false,
            inbox: InboxChange::Changed,
            thread_root: deletion.thread.map(|thread| thread.root_id),
            ..EventFacts::about(EventSubject::MessageId(deletion.message))
        }
    }

    fn frame<'a>(event: &'a Event, deletion: &'a MessageDeletion) -> MessageDeletedFrame {
        MessageDeletedFrame {
            kind: "message_deleted",
            room_id: event.room,
            seq: event.seq,
            message_id: deletion.message,
            removed_by: deletion.removed_by,
            thread: deletion.thread,
        }
    }

    fn data(deletion: &MessageDeletion) -> Option<serde_json::Value> {
        let mut data = json!({ "removed_by": deletion.removed_by.as_str(), "reason": deletion.reason });
        if let Some(thread) = deletion.thread {
            data["thread"] = json!(thread);
        }
        Some(data)
    }

    fn restore(row: &impl LogRow) -> MessageDeletion {
        let message = row.message();
        let reason = row.data().and_then(|data| data["reason"].as_str());
        let thread = row.data().and_then(|data| ThreadView::deserialize(&data["thread"]).ok());
        MessageDeletion {
            message: message.id,
            sent: message.seq,
            sender: message.sender.id,
            removed_by: message.removed_by.unwrap_or_default(),
            reason: reason.map(str::to_owned),
            thread,
        }
    }
}

pub(super) fn rules(by: Principal, message: MessageId) -> CommandRules {
    CommandRules {
        access: RequiredAccess::ToMessage {
            message,
            own: Action::ChangeOwnMessage,
            others: Action::ModerateMessage,
        },
        required: RequiredState {
            message: Some(message),
            replies: Some(message),
            staff: by.user_id(),
            ..RequiredState::default()
        },
        needs_active_room: false,
        rate: Some(RateClass::Changes),
    }
}

pub(super) fn erasure_rules(message: MessageId) -> CommandRules {
    CommandRules {
        required: RequiredState {
            message: Some(message),
            replies: Some(message),
            ..RequiredState::default()
        },
        ..CommandRules::of(Action::EraseMessage)
    }
}

impl RoomAggregate {
    pub(super) fn delete(
        &mut self,
        by: Principal,
        id: MessageId,
        reason: Option<String>,
    ) -> Result<CommandOutcome, Refusal> {
        let is_author = Some(self.live_message(id)?.sender.id) == by.user_id();
        let removed_by = if is_author { RemovedBy::Author } else { RemovedBy::Moderator };
        self.remove_message(by, id, removed_by, reason)
    }

    pub(super) fn erase(&mut self, by: Principal, id: MessageId) -> Result<CommandOutcome, Refusal> {
        self.remove_message(by, id, RemovedBy::Author, None)
    }

    pub(super) fn expire(&mut self, by: Principal, id: MessageId) -> Result<CommandOutcome, Refusal> {
        if self.room.is_held {
            return Err(Refusal::OnHold);
        }
        self.remove_message(by, id, RemovedBy::Retention, None)
    }

    fn remove_message(
        &mut self,
        by: Principal,
        id: MessageId,
        removed_by: RemovedBy,
        reason: Option<String>,
    ) -> Result<CommandOutcome, Refusal> {
        let mut message = self.live_message(id)?.clone();
        self.removed.push(message.clone());
        for table in TABLES.iter().filter(|table| table.goes_with_message) {
            self.change_row(RowChange::remove(table, [message.room.0.into(), id.0.into()]));
        }
        let seq = self.room.head.next();
        message.delete(removed_by, seq, self.now);
        let thread = self.uncount_reply(&message, seq);
        let (sent, sender) = (message.seq, message.sender.id);
        let body = EventBody::MessageDeleted(Box::new(MessageDeletion {
            message: id,
            sent,
            sender,
            removed_by,
            reason,
            thread,
        }));
        let event = self.event(by, body);
        self.cache_message(&message);
        Ok(CommandOutcome::of(vec![event], CommandReply::Done))
    }
}
