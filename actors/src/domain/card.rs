//! Cards: messages whose body is data. A card is read from what a client sends, kept with its message, changed by
//! everyone in the room, and shown. What holds for one kind alone stands in a module of that kind.

mod buttons;
mod checklist;
mod json;
mod poll;
mod request;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use self::buttons::{ButtonStyle, CardButton};
pub use self::checklist::ChecklistItem;
pub use self::json::CardError;
pub use self::poll::{Poll, PollChoice, Vote};
use super::ids::UserId;
use super::text;

/// The version of cards that there is.
pub const CARD_VERSION: u8 = 1;
/// The most bytes of a card that is sent, as JSON.
pub const CARD_BYTES_MAX: usize = 16 * 1024;
/// The most code points of the id of an item or a choice.
pub const CARD_ID_CHARS_MAX: usize = 40;

/// A card as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// The title; empty for none.
    #[serde(default)]
    pub title: String,
    /// The text; empty for none.
    #[serde(default)]
    pub text: String,
    /// Facts, each with its name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<CardField>,
    /// A word about how things stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Where there is more about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// What can be pressed; only bots, integrations and the host application send buttons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buttons: Vec<CardButton>,
    /// What cards of its kind have.
    #[serde(flatten)]
    pub body: CardBody,
}

/// A fact on a card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardField {
    /// What it is about.
    pub name: String,
    /// What is the case.
    pub value: String,
}

/// What cards of one kind have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum CardBody {
    /// Items to tick.
    Checklist {
        /// The items, in order.
        items: Vec<ChecklistItem>,
    },
    /// A question to vote on.
    Poll(Poll),
    /// No more than every card has. A kind that only newer nodes know is taken for this.
    #[serde(other)]
    Card,
}

/// What someone in the room does to a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CardChange {
    /// Tick an item, or take its tick away.
    Item {
        /// The item.
        id: String,
        /// Whether it shall be ticked.
        on: bool,
    },
    /// Vote for a choice, or take the vote back.
    Choice {
        /// The choice.
        id: String,
        /// Whether the vote shall be there.
        on: bool,
    },
    /// Close a poll.
    Close,
}

/// Why a card isn't changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CardRefusal {
    /// The message has no card.
    #[error("This message has no card")]
    NoCard,
    /// It has no such item.
    #[error("This card has no such item")]
    UnknownItem,
    /// It has no such choice.
    #[error("This card has no such choice")]
    UnknownChoice,
    /// Nobody votes any more.
    #[error("This poll is closed")]
    PollClosed,
    /// There is nothing to close.
    #[error("This card is no poll")]
    NoPoll,
    /// It has no such button.
    #[error("This card has no such button")]
    UnknownButton,
    /// A person sends a card with buttons.
    #[error("buttons: Only bots may send buttons.")]
    ButtonsFromPerson,
}

impl CardRefusal {
    /// The field of a request that it is about.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::NoCard | Self::ButtonsFromPerson => "card",
            Self::UnknownItem => "item",
            Self::UnknownChoice | Self::PollClosed => "choice",
            Self::NoPoll => "close",
            Self::UnknownButton => "button",
        }
    }
}

impl CardChange {
    /// What the log keeps of the change: no text, and who did it stands beside.
    #[must_use]
    pub fn data(&self) -> Value {
        match self {
            Self::Item { id, on } => json!({ "item": id, "on": on }),
            Self::Choice { id, on } => json!({ "choice": id, "on": on }),
            Self::Close => json!({ "close": true }),
        }
    }
}

impl Card {
    /// Changes the card for `by`, who has voted for the choices `own`. Returns the votes that are given and taken
    /// back by it; `None` where the card was so already.
    ///
    /// # Errors
    /// [`CardRefusal`], which leaves the card as it was.
    pub fn change(
        &mut self,
        change: &CardChange,
        by: UserId,
        at: DateTime<Utc>,
        own: &[String],
    ) -> Result<Option<Vec<Vote>>, CardRefusal> {
        match (change, &mut self.body) {
            (CardChange::Item { id, on }, CardBody::Checklist { items }) => {
                checklist::tick(items, id, *on, by, at).map(|is_new| is_new.then(Vec::new))
            }
            (CardChange::Item { .. }, _) => Err(CardRefusal::UnknownItem),
            (CardChange::Choice { id, on }, CardBody::Poll(poll)) => poll.vote(id, *on, by, own),
            (CardChange::Choice { .. }, _) => Err(CardRefusal::UnknownChoice),
            (CardChange::Close, CardBody::Poll(poll)) => Ok(poll.close().then(Vec::new)),
            (CardChange::Close, _) => Err(CardRefusal::NoPoll),
        }
    }

    /// What clients show that know nothing of cards, and what searches find. It is never blank.
    #[must_use]
    pub fn as_text(&self) -> String {
        let fields = self.fields.iter().map(|field| format!("{}: {}", field.name, field.value));
        let entries: Vec<&str> = match &self.body {
            CardBody::Checklist { items } => items.iter().map(|item| item.text.as_str()).collect(),
            CardBody::Poll(poll) => poll.choices.iter().map(|choice| choice.text.as_str()).collect(),
            CardBody::Card => Vec::new(),
        };
        let heading = [&self.title, &self.text].into_iter().filter(|part| !part.is_empty()).cloned();
        let lines: Vec<String> =
            heading.chain(fields).chain(entries.into_iter().map(|entry| format!("- {entry}"))).collect();
        text::prefix(&lines.join("\n"), text::CONTENT_CHARS_MAX).trim_end().to_owned()
    }

    /// The bytes of the card on the wire.
    #[must_use]
    pub fn json_bytes(&self) -> usize {
        serde_json::to_vec(&CardView::from(self)).map_or(0, |json| json.len())
    }
}

/// A card on the wire; the same for everyone in the room.
#[derive(Serialize)]
#[allow(missing_docs, reason = "the fields are the wire's, described in docs/PROTOCOL.md")]
pub struct CardView<'a> {
    pub v: u8,
    pub kind: &'static str,
    pub title: &'a str,
    pub text: &'a str,
    pub fields: &'a [CardField],
    pub items: &'a [ChecklistItem],
    /// With `choices`, `multiple` and `closed`.
    #[serde(flatten)]
    pub poll: Option<&'a Poll>,
    pub state: Option<&'a str>,
    pub link: Option<&'a str>,
    pub buttons: &'a [CardButton],
}

impl<'a> From<&'a Card> for CardView<'a> {
    fn from(card: &'a Card) -> Self {
        let (kind, items, poll): (_, &[ChecklistItem], _) = match &card.body {
            CardBody::Checklist { items } => ("checklist", items, None),
            CardBody::Poll(poll) => ("poll", &[], Some(poll)),
            CardBody::Card => ("card", &[], None),
        };
        Self {
            v: CARD_VERSION,
            kind,
            title: &card.title,
            text: &card.text,
            fields: &card.fields,
            items,
            poll,
            state: card.state.as_deref(),
            link: card.link.as_deref(),
            buttons: &card.buttons,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_kept_as_it_is_and_a_newer_kind_is_a_plain_one() {
        for sent in [
            json!({"v": 1, "kind": "card", "title": "Unit 4", "state": "ready", "link": "https://example.com/4",
                "fields": [{"name": "Guests", "value": "2"}]}),
            json!({"v": 1, "kind": "checklist", "items": [{"text": "Beds"}]}),
            json!({"v": 1, "kind": "card", "title": "Unit 4", "buttons": [
                {"id": "accept", "text": "Accept", "style": "primary"}, {"text": "Later"}]}),
            json!({"v": 1, "kind": "poll", "text": "When?", "choices": [{"text": "Now"}, {"text": "Later"}]}),
        ] {
            let card = Card::read(&sent).expect("a card");
            let stored = serde_json::to_value(&card).expect("plain data");
            assert_eq!(stored["kind"], sent["kind"]);
            assert_eq!(serde_json::from_value::<Card>(stored).expect("a card"), card);
        }
        let newer = json!({"kind": "hologram", "title": "Unit 4", "angles": [1, 2]});
        let card: Card = serde_json::from_value(newer).expect("a card");
        assert_eq!((card.title.as_str(), card.body), ("Unit 4", CardBody::Card));
    }

    #[test]
    fn a_card_reads_as_text() {
        let card = json!({"v": 1, "kind": "checklist", "title": "Turnover", "text": "Before 3 pm",
            "fields": [{"name": "Guests", "value": "2"}], "items": [{"text": "Beds"}, {"text": "Bins"}]});
        let text = "Turnover\nBefore 3 pm\nGuests: 2\n- Beds\n- Bins";
        assert_eq!(Card::read(&card).expect("a card").as_text(), text);
        let long = json!({"v": 1, "kind": "card", "title": "Long", "text": "ä".repeat(4_000)});
        assert_eq!(Card::read(&long).expect("a card").as_text().chars().count(), 4_000);
    }
}
