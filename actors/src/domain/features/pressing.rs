//! Pressing a button on a message's card, of which its author is told.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::aggregate::RoomAggregate;
use super::command::{CommandOutcome, CommandRules, Principal, RateClass, Refusal, RequiredState};
use super::event::{Event, EventBody, EventFacts, EventRules, EventSubject, LogRow};
use crate::domain::card::CardRefusal;
use crate::domain::ids::{ClientId, MessageId, RoomId, Seq, UserId};
use crate::domain::permission::Action;
use crate::domain::row_change::{Cell, ColumnType, RowChange, RowSelection, Table};

/// What users' clients called their presses of which message's buttons, so that a retry presses nothing again.
pub(super) static CARD_PRESSES: Table = Table {
    name: "card_presses",
    columns: &[
        ("room_id", ColumnType::Uuid),
        ("message_id", ColumnType::Uuid),
        ("user_id", ColumnType::BigInt),
        ("client_id", ColumnType::Uuid),
        ("at", ColumnType::Timestamp),
    ],
    key_columns: 4,
    removals: &[2],
    selections: &[4],
    goes_with_message: true,
};

/// The event of a button that was pressed.
pub enum CardActionEvent {}

/// A button that was pressed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ButtonPress {
    /// The message.
    pub message: MessageId,
    /// Its author, who is told.
    pub author: UserId,
    /// The user who pressed it.
    pub user: UserId,
    /// The button's id.
    pub button: String,
}

/// The frame of a button that was pressed.
#[derive(Serialize)]
pub struct CardActionFrame<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    room_id: RoomId,
    seq: Seq,
    message_id: MessageId,
    action: &'a str,
    user_id: UserId,
}

impl EventRules for CardActionEvent {
    type Payload = ButtonPress;
    type Frame<'a> = CardActionFrame<'a>;

    const STORE_NAME: &'static str = "card_action";

    fn facts(press: &ButtonPress) -> EventFacts<'_> {
        EventFacts {
            is_activity: false,
            tells: Some(press.author),
            ..EventFacts::about(EventSubject::MessageExtras(press.message))
        }
    }

    fn frame<'a>(event: &'a Event, press: &'a ButtonPress) -> CardActionFrame<'a> {
        CardActionFrame {
            kind: Self::FRAME_TYPE,
            room_id: event.room,
            seq: event.seq,
            message_id: press.message,
            action: &press.button,
            user_id: press.user,
        }
    }

    fn data(press: &ButtonPress) -> Option<serde_json::Value> {
        Some(json!({ "by": press.user, "button": press.button }))
    }

    fn restore(row: &impl LogRow) -> ButtonPress {
        let null = serde_json::Value::Null;
        let (data, message) = (row.data().unwrap_or(&null), row.message());
        ButtonPress {
            message: message.id,
            author: message.sender.id,
            user: UserId(data["by"].as_i64().unwrap_or_default()),
            button: data["button"].as_str().unwrap_or_default().to_owned(),
        }
    }
}

pub(super) fn rules(by: Principal, message: MessageId, client_id: Option<ClientId>) -> CommandRules {
    let earlier = by.user_id().zip(client_id).map(|(user, client_id)| RowSelection {
        table: &CARD_PRESSES,
        prefix: vec![message.0.into(), user.0.into(), client_id.0.into()],
    });
    CommandRules {
        required: RequiredState { message: Some(message), rows: earlier, ..RequiredState::default() },
        needs_active_room: true,
        rate: Some(RateClass::Changes),
        ..CommandRules::of(Action::ChangeCard)
    }
}

impl RoomAggregate {
    /// Presses a button. Bots press none, so that no two of them keep each other busy.
    pub(super) fn press(
        &mut self,
        by: Principal,
        id: MessageId,
        button: &str,
        client_id: Option<ClientId>,
    ) -> Result<CommandOutcome, Refusal> {
        let user = by.user_id().filter(|user| !user.is_bot()).ok_or(Refusal::Forbidden)?;
        let mut message = self.visible_message(by, id)?.clone();
        let card = message.extras.card.as_ref().ok_or(CardRefusal::NoCard)?;
        if card.buttons.iter().all(|known| known.id != button) {
            return Err(CardRefusal::UnknownButton.into());
        }
        if let Some(client_id) = client_id {
            let key: [Cell; 4] = [self.room.id.0.into(), id.0.into(), user.0.into(), client_id.0.into()];
            if self.has_row(&CARD_PRESSES, &key) {
                return Ok(CommandOutcome::of(Vec::new(), self.changed_reply(by, &message, true)));
            }
            let [room, id, user, client_id] = key;
            self.change_row(RowChange::insert(&CARD_PRESSES, [room, id, user, client_id, self.now.into()]));
        }
        message.rev = self.room.head.next();
        let press = ButtonPress { message: id, author: message.sender.id, user, button: button.to_owned() };
        let event = self.event(by, EventBody::CardAction(Box::new(press)));
        self.cache_message(&message);
        Ok(CommandOutcome::of(vec![event], self.changed_reply(by, &message, false)))
    }
}
