//! Buttons: what a bot offers on its card. Pressing one changes nothing on the card; the bot is told of it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::json::{self, CardError};

/// The most buttons of one card.
const BUTTONS_MAX: usize = 10;
/// The most code points of a button's text.
const TEXT_CHARS_MAX: usize = 40;

/// Something to press; kept and shown in this form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardButton {
    /// The id, unique on its card.
    pub id: String,
    /// What it says.
    pub text: String,
    /// How it stands out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub style: Option<ButtonStyle>,
}

/// How a button stands out among others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ButtonStyle {
    /// As what most people will want.
    Primary,
    /// As what can't be undone.
    Danger,
    /// Not at all. A style that only newer nodes know is taken for this.
    #[serde(other)]
    Plain,
}

impl ButtonStyle {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Danger => "danger",
            Self::Plain => "plain",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Primary, Self::Danger, Self::Plain].into_iter().find(|style| style.as_str() == name)
    }
}

/// Reads the buttons of a card that is sent. None are needed.
pub(super) fn read(card: &Map<String, Value>) -> Result<Vec<CardButton>, CardError> {
    let list = json::list(card, "buttons")?;
    if list.is_empty() {
        return Ok(Vec::new());
    }
    if list.len() > BUTTONS_MAX {
        return Err(CardError::at("buttons", format_args!("Ensure there are no more than {BUTTONS_MAX}.")));
    }
    let styles: Vec<Option<ButtonStyle>> = list.iter().map(style).collect::<Result<_, _>>()?;
    let entries = json::entries(card, "buttons")?;
    if entries.iter().any(|(_, text)| text.chars().count() > TEXT_CHARS_MAX) {
        let problem = format_args!("Ensure a text has no more than {TEXT_CHARS_MAX} characters.");
        return Err(CardError::at("buttons", problem));
    }
    let button = |((id, text), style)| CardButton { id, text, style };
    Ok(entries.into_iter().zip(styles).map(button).collect())
}

fn style(button: &Value) -> Result<Option<ButtonStyle>, CardError> {
    match button.get("style") {
        None | Some(Value::Null) => Ok(None),
        Some(style) => match style.as_str().and_then(ButtonStyle::parse) {
            Some(style) => Ok(Some(style)),
            None => Err(CardError::at("buttons", "A style is primary, danger or plain.")),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn buttons(buttons: &Value) -> Result<Vec<CardButton>, CardError> {
        let card = json!({ "buttons": buttons });
        read(card.as_object().expect("an object"))
    }

    #[test]
    fn buttons_have_ids_texts_and_styles() {
        let read = buttons(&json!([{"id": "yes", "text": " Yes ", "style": "primary"}, {"text": "No"}]));
        let button =
            |id: &str, text: &str, style| CardButton { id: id.to_owned(), text: text.to_owned(), style };
        assert_eq!(read, Ok(vec![button("yes", "Yes", Some(ButtonStyle::Primary)), button("1", "No", None)]));
        for none in [json!(null), json!([])] {
            assert_eq!(buttons(&none), Ok(Vec::new()));
        }
        for wrong in [
            json!("yes"),
            json!(["yes"]),
            json!([{"id": "yes"}]),
            json!([{"text": "x".repeat(41)}]),
            json!([{"text": "Yes", "style": "loud"}]),
            json!([{"text": "Yes", "style": 1}]),
            json!([{"id": "a", "text": "Yes"}, {"id": "a", "text": "No"}]),
            (0..11).map(|_| json!({"text": "Yes"})).collect(),
        ] {
            assert!(buttons(&wrong).is_err(), "{wrong}");
        }
        let newer: CardButton =
            serde_json::from_value(json!({"id": "a", "text": "b", "style": "neon"})).expect("a button");
        assert_eq!(newer.style, Some(ButtonStyle::Plain));
    }
}
