//! Changing a message's text, and whom it mentions.

use super::aggregate::RoomAggregate;
use super::command::{
    CommandOutcome, CommandReply, CommandRules, Principal, RateClass, Refusal, RequiredState,
};
use super::event::{Event, EventBody, EventFacts, EventRules, EventSubject, InboxChange, LogRow};
use super::sending::MessageFrame;
use crate::domain::ids::MessageId;
use crate::domain::mentions::MentionsEdit;
use crate::domain::message::Message;
use crate::domain::permission::Action;
use crate::domain::row_change::{ColumnType, RowChange, Table};

/// The texts that edits replaced, each with the time when it was written; they go with the message.
pub(super) static MESSAGE_VERSIONS: Table = Table {
    name: "message_versions",
    columns: &[
        ("room_id", ColumnType::Uuid),
        ("message_id", ColumnType::Uuid),
        ("rev", ColumnType::BigInt),
        ("content", ColumnType::Text),
        ("at", ColumnType::Timestamp),
    ],
    key_columns: 3,
    removals: &[2],
    selections: &[],
    goes_with_message: true,
};

/// The event of a message whose text or mentions changed.
pub enum MessageEditedEvent {}

impl EventRules for MessageEditedEvent {
    type Payload = Message;
    type Frame<'a> = MessageFrame<'a>;

    const STORE_NAME: &'static str = "message_edited";
    const FRAME_TYPE: &'static str = "message_updated";

    fn facts(message: &Message) -> EventFacts<'_> {
        EventFacts {
            is_activity: false,
            inbox: InboxChange::ChangedMessage,
            ..EventFacts::about(EventSubject::Message(message))
        }
    }

    fn frame<'a>(event: &'a Event, message: &'a Message) -> MessageFrame<'a> {
        let message = message.into();
        MessageFrame { kind: Self::FRAME_TYPE, room_id: event.room, seq: event.seq, message }
    }

    fn restore(row: &impl LogRow) -> Message {
        row.message()
    }
}

pub(super) fn rules(message: MessageId, mentions: &MentionsEdit) -> CommandRules {
    CommandRules {
        required: RequiredState {
            message: Some(message),
            participants: mentions.users.clone().unwrap_or_default(),
            participant_count: mentions.room == Some(true),
            ..RequiredState::default()
        },
        needs_active_room: true,
        rate: Some(RateClass::Changes),
        ..CommandRules::of(Action::ChangeOwnMessage)
    }
}

impl RoomAggregate {
    pub(super) fn edit(
        &mut self,
        by: Principal,
        id: MessageId,
        content: Option<&str>,
        mentions: &MentionsEdit,
    ) -> Result<CommandOutcome, Refusal> {
        let message = self.own_message(by, id)?;
        if message.extras.forwarded.is_some() {
            // They are the words of the one who wrote them first.
            return Err(Refusal::Forbidden);
        }
        if content.is_some_and(str::is_empty) && message.attachment.is_none() {
            return Err(Refusal::Blank);
        }
        let mut message = message.clone();
        let mentioned_before = message.extras.mentions.clone();
        message.extras.mentions = mentions.applied_to(&mentioned_before);
        self.check_mentions(by, &message.extras.mentions, &mentioned_before, None)?;
        let is_mentioning_same = message.extras.mentions == mentioned_before;
        if content.is_none() && is_mentioning_same {
            let reply = CommandReply::Edited(self.shown_to(by, &message));
            return Ok(CommandOutcome::of(Vec::new(), reply));
        }
        if let Some(content) = content {
            self.keep_version(&message);
            content.clone_into(&mut message.content);
            message.edited_at = Some(self.now);
        }
        if !is_mentioning_same {
            self.replace_mentions(&message);
        }
        message.rev = self.room.head.next();
        message.modified_at = self.now;
        let shown = self.shown_to_all(&message);
        let event = self.event(by, EventBody::MessageEdited(shown));
        self.cache_message(&message);
        let reply = CommandReply::Edited(self.shown_to(by, &message));
        Ok(CommandOutcome::of(vec![event], reply))
    }

    /// Keeps the text of a message that is about to change.
    fn keep_version(&mut self, message: &Message) {
        let row = [
            message.room.0.into(),
            message.id.0.into(),
            message.rev.0.into(),
            message.content.clone().into(),
            message.edited_at.unwrap_or(message.created_at).into(),
        ];
        self.change_row(RowChange::insert(&MESSAGE_VERSIONS, row));
    }

    fn own_message(&self, by: Principal, id: MessageId) -> Result<&Message, Refusal> {
        let message = self.visible_message(by, id)?;
        if Some(message.sender.id) == by.user_id() { Ok(message) } else { Err(Refusal::Forbidden) }
    }
}
