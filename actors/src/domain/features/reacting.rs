//! Reacting to a message with an emoji, and taking a reaction back.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::aggregate::RoomAggregate;
use super::command::{CommandOutcome, CommandRules, Principal, RateClass, Refusal, RequiredState};
use super::event::{Event, EventBody, EventFacts, EventRules, EventSubject, LogRow};
use crate::domain::ids::{MessageId, RoomId, Seq, UserId};
use crate::domain::message_extras::Reaction;
use crate::domain::permission::Action;
use crate::domain::row_change::{ColumnType, RowChange, RowSelection, Table};

/// The most different emojis on one message.
const EMOJIS_MAX: usize = 20;

/// Who reacted to which message with what.
pub(super) static REACTIONS: Table = Table {
    name: "reactions",
    columns: &[
        ("room_id", ColumnType::Uuid),
        ("message_id", ColumnType::Uuid),
        ("user_id", ColumnType::BigInt),
        ("emoji", ColumnType::Text),
        ("at", ColumnType::Timestamp),
    ],
    key_columns: 4,
    removals: &[2, 4],
    selections: &[3],
    goes_with_message: true,
};

/// The event of a reaction.
pub enum ReactionEvent {}

/// A reaction that was given or taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReactionChange {
    /// The message.
    pub message: MessageId,
    /// The position at which it was sent.
    #[serde(default)]
    pub sent: Seq,
    /// The user whose reaction it is.
    pub user: UserId,
    /// The emoji.
    pub emoji: String,
    /// Whether it was given.
    pub added: bool,
}

/// The frame of a reaction.
#[derive(Serialize)]
pub struct ReactionFrame<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    room_id: RoomId,
    seq: Seq,
    message_id: MessageId,
    user_id: UserId,
    emoji: &'a str,
    added: bool,
}

impl EventRules for ReactionEvent {
    type Payload = ReactionChange;
    type Frame<'a> = ReactionFrame<'a>;

    const STORE_NAME: &'static str = "reaction";

    fn facts(change: &ReactionChange) -> EventFacts<'_> {
        EventFacts {
            is_activity: false,
            shows_since: Some(change.sent),
            ..EventFacts::about(EventSubject::MessageExtras(change.message))
        }
    }

    fn frame<'a>(event: &'a Event, change: &'a ReactionChange) -> ReactionFrame<'a> {
        ReactionFrame {
            kind: "reaction",
            room_id: event.room,
            seq: event.seq,
            message_id: change.message,
            user_id: change.user,
            emoji: &change.emoji,
            added: change.added,
        }
    }

    fn data(change: &ReactionChange) -> Option<serde_json::Value> {
        Some(json!({ "by": change.user, "emoji": change.emoji, "added": change.added }))
    }

    fn restore(row: &impl LogRow) -> ReactionChange {
        let null = serde_json::Value::Null;
        let data = row.data().unwrap_or(&null);
        let message = row.message();
        ReactionChange {
            message: message.id,
            sent: message.seq,
            user: UserId(data["by"].as_i64().unwrap_or_default()),
            emoji: data["emoji"].as_str().unwrap_or_default().to_owned(),
            added: data["added"].as_bool().unwrap_or_default(),
        }
    }
}

pub(super) fn rules(by: Principal, message: MessageId) -> CommandRules {
    let own = by
        .user_id()
        .map(|user| RowSelection { table: &REACTIONS, prefix: vec![message.0.into(), user.0.into()] });
    CommandRules {
        required: RequiredState { message: Some(message), rows: own, ..RequiredState::default() },
        needs_active_room: true,
        rate: Some(RateClass::Changes),
        ..CommandRules::of(Action::React)
    }
}

impl RoomAggregate {
    pub(super) fn react(
        &mut self,
        by: Principal,
        id: MessageId,
        emoji: &str,
        on: bool,
    ) -> Result<CommandOutcome, Refusal> {
        let user = by.user_id().ok_or(Refusal::Forbidden)?;
        let mut message = self.visible_message(by, id)?.clone();
        let key = [self.room.id.0.into(), id.0.into(), user.0.into(), emoji.to_owned().into()];
        if self.has_row(&REACTIONS, &key) == on {
            return Ok(CommandOutcome::of(Vec::new(), self.changed_reply(by, &message, true)));
        }
        let reactions = &mut message.extras.reactions;
        if on {
            if reactions.len() >= EMOJIS_MAX && reactions.iter().all(|reaction| reaction.emoji != emoji) {
                return Err(Refusal::TooManyReactions);
            }
            Reaction::add(reactions, emoji, user);
            let [room, id, user, emoji] = key;
            self.change_row(RowChange::insert(&REACTIONS, [room, id, user, emoji, self.now.into()]));
        } else {
            Reaction::remove(reactions, emoji, user);
            self.change_row(RowChange::remove(&REACTIONS, key));
        }
        message.rev = self.room.head.next();
        let change =
            ReactionChange { message: id, sent: message.seq, user, emoji: emoji.to_owned(), added: on };
        let event = self.event(by, EventBody::Reaction(Box::new(change)));
        self.cache_message(&message);
        Ok(CommandOutcome::of(vec![event], self.changed_reply(by, &message, false)))
    }
}
