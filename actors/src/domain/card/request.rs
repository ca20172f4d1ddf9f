//! Reads a card that a client sends. What a client may not set, as ticks and votes, is ignored.

use serde_json::{Map, Value};

use super::json::{CardError, ENTRY_CHARS_MAX, list, required_text, text};
use super::{CARD_BYTES_MAX, CARD_VERSION, Card, CardBody, CardField, buttons, checklist, poll};
use crate::domain::text::{NAME_CHARS_MAX, TextError};

const FIELDS_MAX: usize = 20;
const TEXT_CHARS_MAX: usize = 4_000;
const STATE_CHARS_MAX: usize = 40;
const LINK_CHARS_MAX: usize = 2_048;

impl Card {
    /// Reads a card.
    ///
    /// # Errors
    /// [`CardError`], for the first thing that is wrong.
    pub fn read(given: &Value) -> Result<Self, CardError> {
        let given = given.as_object().ok_or_else(|| CardError::new("Expected an object."))?;
        if given.get("v") != Some(&Value::from(CARD_VERSION)) {
            return Err(CardError::at("v", "Only version 1 is known."));
        }
        let body = match given.get("kind").and_then(Value::as_str) {
            Some("card") => CardBody::Card,
            Some("checklist") => checklist::read(given)?,
            Some("poll") => poll::read(given)?,
            _ => return Err(CardError::at("kind", "Must be card, checklist or poll.")),
        };
        let card = Self {
            title: text(given, "title", NAME_CHARS_MAX)?,
            text: text(given, "text", TEXT_CHARS_MAX)?,
            fields: fields(given)?,
            state: Some(text(given, "state", STATE_CHARS_MAX)?).filter(|state| !state.is_empty()),
            link: link(given)?,
            buttons: buttons::read(given)?,
            body,
        };
        if card.body == CardBody::Card && card.title.is_empty() && card.text.is_empty() {
            return Err(CardError::at("title", TextError::Blank));
        }
        if card.json_bytes() > CARD_BYTES_MAX {
            return Err(CardError::new(format!("Ensure the card has no more than {CARD_BYTES_MAX} bytes.")));
        }
        Ok(card)
    }
}

fn fields(card: &Map<String, Value>) -> Result<Vec<CardField>, CardError> {
    let list = list(card, "fields")?;
    if list.len() > FIELDS_MAX {
        return Err(CardError::at("fields", format_args!("Ensure there are no more than {FIELDS_MAX}.")));
    }
    let field = |field: &Value| {
        let field = field.as_object().ok_or_else(|| CardError::at("fields", "Expected objects."))?;
        let name = required_text(field, "name", NAME_CHARS_MAX)?;
        Ok(CardField { name, value: text(field, "value", ENTRY_CHARS_MAX)? })
    };
    list.iter().map(field).collect()
}

/// Clients open a link as it is, so nothing but web addresses is one.
fn link(card: &Map<String, Value>) -> Result<Option<String>, CardError> {
    let link = text(card, "link", LINK_CHARS_MAX)?;
    let is_web = ["https://", "http://"].iter().any(|scheme| link.starts_with(scheme));
    if link.is_empty() {
        Ok(None)
    } else if is_web && !link.chars().any(|c| c.is_whitespace() || c.is_control()) {
        Ok(Some(link))
    } else {
        Err(CardError::at("link", "Enter an address that begins with https:// or http://."))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ids(card: &Card) -> Vec<&str> {
        match &card.body {
            CardBody::Checklist { items } => items.iter().map(|item| &*item.id).collect(),
            CardBody::Poll(poll) => poll.choices.iter().map(|choice| &*choice.id).collect(),
            CardBody::Card => Vec::new(),
        }
    }

    #[test]
    fn missing_ids_are_made_and_ticks_are_ignored() {
        let card = json!({"v": 1, "kind": "checklist", "title": " Turnover ", "rev": 5, "items": [
            {"text": " Beds "}, {"id": "1", "text": "Bins", "done_by": 7, "done_at": "2026-11-30T08:00:00Z"},
            {"id": "towels", "text": "Towels"}, {"text": "Keys"}]});
        let card = Card::read(&card).expect("a card");
        assert_eq!((card.title.as_str(), ids(&card)), ("Turnover", vec!["2", "1", "towels", "3"]));
        let CardBody::Checklist { items } = &card.body else { panic!("a checklist") };
        assert!(items.iter().all(|item| item.done_by.is_none() && item.done_at.is_none()));
        assert_eq!(items[0].text, "Beds");
        let poll = json!({"v": 1, "kind": "poll", "closed": true, "multiple": true, "choices": [
            {"id": "a", "text": "Monday", "votes": 9, "users": [1, 2]}]});
        let poll = Card::read(&poll).expect("a card");
        let CardBody::Poll(poll) = &poll.body else { panic!("a poll") };
        assert_eq!((poll.closed, poll.multiple, poll.choices[0].votes), (false, true, 0));
    }

    #[test]
    fn what_is_no_card_is_refused() {
        let checklist = |items: Value| json!({"v": 1, "kind": "checklist", "items": items});
        let many = |count: usize| (0..count).map(|_| json!({"text": "x"})).collect::<Value>();
        let plain = |field: &str, value: Value| {
            let mut card = json!({"v": 1, "kind": "card", "title": "Unit 4"});
            card[field] = value;
            card
        };
        for wrong in [
            json!(null),
            json!("card"),
            json!([]),
            json!({}),
            json!({"kind": "card", "title": "x"}),
            json!({"v": 2, "kind": "card", "title": "x"}),
            json!({"v": "1", "kind": "card", "title": "x"}),
            json!({"v": 1, "kind": "hologram", "title": "x"}),
            json!({"v": 1, "kind": 5, "title": "x"}),
            json!({"v": 1, "kind": "card"}),
            json!({"v": 1, "kind": "card", "title": " \u{200b} "}),
            json!({"v": 1, "kind": "poll", "title": "x"}),
            json!({"v": 1, "kind": "poll", "choices": [{"text": "x"}], "multiple": "yes"}),
            checklist(json!([])),
            checklist(json!("x")),
            checklist(json!(["x"])),
            checklist(json!([{"text": ""}])),
            checklist(json!([{"text": "a\0b"}])),
            checklist(json!([{"text": "x".repeat(501)}])),
            checklist(json!([{"id": "a", "text": "x"}, {"id": "a", "text": "y"}])),
            checklist(json!([{"id": "", "text": "x"}])),
            checklist(json!([{"id": " a", "text": "x"}])),
            checklist(json!([{"id": 5, "text": "x"}])),
            checklist(json!([{"id": "x".repeat(41), "text": "x"}])),
            checklist(many(51)),
            plain("title", json!("x".repeat(256))),
            plain("text", json!("x".repeat(4_001))),
            plain("text", json!({"a": 1})),
            plain("state", json!("x".repeat(41))),
            plain("fields", json!([{"value": "x"}])),
            plain("fields", (0..21).map(|_| json!({"name": "a", "value": "b"})).collect()),
            plain("buttons", json!([{"id": "ok"}])),
            plain("link", json!("javascript:alert(1)")),
            plain("link", json!("https://example.com/a b")),
            plain("link", json!("//example.com")),
        ] {
            assert!(Card::read(&wrong).is_err(), "{wrong}");
        }
        for right in [
            checklist(many(50)),
            checklist(json!([{"id": "x".repeat(40), "text": "x".repeat(500)}])),
            plain("title", json!("x".repeat(255))),
            plain("buttons", json!([])),
            plain("buttons", json!([{"id": "ok", "text": "OK"}])),
            plain("link", json!("https://example.com/units/4?a=b#c")),
            plain("fields", json!([{"name": "Guests"}])),
        ] {
            assert!(Card::read(&right).is_ok(), "{right}");
        }
    }

    #[test]
    fn a_card_as_a_whole_has_its_bound() {
        let card = |text: String| {
            let items: Value = (0..40).map(|_| json!({"text": text})).collect();
            json!({"v": 1, "kind": "checklist", "items": items})
        };
        assert!(Card::read(&card("x".repeat(300))).is_ok());
        let error = Card::read(&card("ä".repeat(300))).expect_err("over 16 KiB");
        assert_eq!(error.to_string(), "Ensure the card has no more than 16384 bytes.");
    }
}
