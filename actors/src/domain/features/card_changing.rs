//! Changing a message's card: ticking an item, voting for a choice, closing a poll.

use serde::{Deserialize, Serialize};

use super::aggregate::RoomAggregate;
use super::command::{CommandOutcome, CommandRules, Principal, RateClass, Refusal, RequiredState};
use super::event::{Event, EventBody, EventFacts, EventRules, EventSubject, LogRow};
use crate::domain::card::{Card, CardChange, CardRefusal, CardView};
use crate::domain::ids::{MessageId, RoomId, Seq};
use crate::domain::permission::Action;
use crate::domain::row_change::{Cell, ColumnType, RowChange, RowSelection, Table};

/// Who voted for which choice of which message's card.
pub(super) static CARD_VOTES: Table = Table {
    name: "card_votes",
    columns: &[
        ("room_id", ColumnType::Uuid),
        ("message_id", ColumnType::Uuid),
        ("user_id", ColumnType::BigInt),
        ("choice", ColumnType::Text),
        ("at", ColumnType::Timestamp),
    ],
    key_columns: 4,
    removals: &[2, 4],
    selections: &[3],
    goes_with_message: true,
};

/// The event of a card that changed.
pub enum CardChangedEvent {}

/// A message's card after a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedCard {
    /// The message.
    pub message: MessageId,
    /// The position of its sending.
    pub sent: Seq,
    /// The card; none where the message has been deleted since.
    pub card: Option<Box<Card>>,
    /// What the log keeps of the change.
    pub change: serde_json::Value,
}

/// The frame of a card that changed. It has the whole card: in a replay as it is now, so that the last one of
/// several is right, and `rev` is still the position of this change.
#[derive(Serialize)]
pub struct CardChangedFrame<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    room_id: RoomId,
    seq: Seq,
    message_id: MessageId,
    rev: Seq,
    card: Option<CardView<'a>>,
}

impl EventRules for CardChangedEvent {
    type Payload = ChangedCard;
    type Frame<'a> = CardChangedFrame<'a>;

    const STORE_NAME: &'static str = "card_changed";

    fn facts(changed: &ChangedCard) -> EventFacts<'_> {
        EventFacts {
            is_activity: false,
            shows_since: Some(changed.sent),
            ..EventFacts::about(EventSubject::MessageId(changed.message))
        }
    }

    fn frame<'a>(event: &'a Event, changed: &'a ChangedCard) -> CardChangedFrame<'a> {
        CardChangedFrame {
            kind: "card_changed",
            room_id: event.room,
            seq: event.seq,
            message_id: changed.message,
            rev: event.seq,
            card: changed.card.as_deref().map(CardView::from),
        }
    }

    fn data(changed: &ChangedCard) -> Option<serde_json::Value> {
        Some(changed.change.clone())
    }

    fn restore(row: &impl LogRow) -> ChangedCard {
        let message = row.message();
        let change = row.data().cloned().unwrap_or_default();
        ChangedCard { message: message.id, sent: message.seq, card: message.extras.card, change }
    }
}

pub(super) fn rules(by: Principal, message: MessageId, change: &CardChange) -> CommandRules {
    let is_vote = matches!(change, CardChange::Choice { .. });
    let own = by
        .user_id()
        .filter(|_| is_vote)
        .map(|user| RowSelection { table: &CARD_VOTES, prefix: vec![message.0.into(), user.0.into()] });
    CommandRules {
        required: RequiredState { message: Some(message), rows: own, ..RequiredState::default() },
        needs_active_room: true,
        rate: Some(RateClass::Changes),
        ..CommandRules::of(Action::ChangeCard)
    }
}

impl RoomAggregate {
    pub(super) fn change_card(
        &mut self,
        by: Principal,
        id: MessageId,
        change: &CardChange,
    ) -> Result<CommandOutcome, Refusal> {
        let user = by.user_id().ok_or(Refusal::Forbidden)?;
        let mut message = self.visible_message(by, id)?.clone();
        let is_author = message.sender.id == user;
        let card = message.extras.card.as_mut().ok_or(CardRefusal::NoCard)?;
        if *change == CardChange::Close && !is_author {
            return Err(Refusal::Forbidden);
        }
        let key: [Cell; 3] = [self.room.id.0.into(), id.0.into(), user.0.into()];
        let own = self.rows.select(&CARD_VOTES, &key);
        let own: Vec<String> = own.filter_map(|vote| vote[3].as_text().map(str::to_owned)).collect();
        let Some(votes) = card.change(change, user, self.now, &own)? else {
            return Ok(CommandOutcome::of(Vec::new(), self.changed_reply(by, &message, true)));
        };
        for vote in votes {
            let [room, id, user] = key.clone();
            let choice = vote.choice.into();
            self.change_row(if vote.added {
                RowChange::insert(&CARD_VOTES, [room, id, user, choice, self.now.into()])
            } else {
                RowChange::remove(&CARD_VOTES, [room, id, user, choice])
            });
        }
        message.rev = self.room.head.next();
        let changed = ChangedCard {
            message: id,
            sent: message.seq,
            card: message.extras.card.clone(),
            change: change.data(),
        };
        let event = self.event(by, EventBody::CardChanged(Box::new(changed)));
        self.cache_message(&message);
        Ok(CommandOutcome::of(vec![event], self.changed_reply(by, &message, false)))
    }
}
