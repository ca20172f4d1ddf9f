//! The parts of a card in the JSON of a client.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::CARD_ID_CHARS_MAX;
use crate::domain::text::{self, TextError};

/// The most items, or choices.
const ENTRIES_MAX: usize = 50;
/// The most code points of an item, a choice, or the value of a field.
pub(super) const ENTRY_CHARS_MAX: usize = 500;

/// What is wrong with a card that is sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CardError(String);

impl CardError {
    /// An error of the card as a whole.
    pub(super) fn new(problem: impl Into<String>) -> Self {
        Self(problem.into())
    }

    /// An error of one field.
    pub(super) fn at(field: &str, problem: impl std::fmt::Display) -> Self {
        Self(format!("{field}: {problem}"))
    }
}

/// The entries of a list, each with its id: the client's, or a number that no other entry has.
pub(super) fn entries(
    card: &Map<String, Value>,
    name: &'static str,
) -> Result<Vec<(String, String)>, CardError> {
    let list = list(card, name)?;
    if list.is_empty() {
        return Err(CardError::at(name, "At least one is required."));
    }
    if list.len() > ENTRIES_MAX {
        return Err(CardError::at(name, format_args!("Ensure there are no more than {ENTRIES_MAX}.")));
    }
    let mut known = BTreeSet::new();
    let mut entries = Vec::with_capacity(list.len());
    for entry in list {
        let entry = entry.as_object().ok_or_else(|| CardError::at(name, "Expected objects."))?;
        let id = id(entry).map_err(|wrong| CardError::at(name, wrong))?;
        if id.is_some_and(|id| !known.insert(id)) {
            return Err(CardError::at(name, "Two have the same id."));
        }
        entries.push((id, required_text(entry, "text", ENTRY_CHARS_MAX)?));
    }
    let mut unused = (1..).map(|number: u32| number.to_string()).filter(|id| !known.contains(id.as_str()));
    let with_id = |(id, text): (Option<&str>, String)| {
        let id = id.map(str::to_owned).or_else(|| unused.next());
        (id.unwrap_or_default(), text)
    };
    Ok(entries.into_iter().map(with_id).collect())
}

/// A boolean that is false unless it is given.
pub(super) fn flag(card: &Map<String, Value>, name: &'static str) -> Result<bool, CardError> {
    match card.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(CardError::at(name, "Must be a valid boolean.")),
    }
}

/// An id is taken as it is, so that its client finds it again.
fn id(entry: &Map<String, Value>) -> Result<Option<&str>, &'static str> {
    match entry.get("id") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(id)) if text::content(id, CARD_ID_CHARS_MAX) == Ok(id) => Ok(Some(id)),
        Some(_) => Err("An id is a text of 1 to 40 characters."),
    }
}

/// A list that is empty unless it is given.
pub(super) fn list<'a>(card: &'a Map<String, Value>, name: &'static str) -> Result<&'a [Value], CardError> {
    match card.get(name) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(list)) => Ok(list),
        Some(_) => Err(CardError::at(name, "Expected a list.")),
    }
}

/// A trimmed text that is empty unless it is given.
pub(super) fn text(
    of: &Map<String, Value>,
    name: &'static str,
    chars_max: usize,
) -> Result<String, CardError> {
    match of.get(name) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(given)) => {
            text::optional(given, chars_max).map(str::to_owned).map_err(|error| CardError::at(name, error))
        }
        Some(_) => Err(CardError::at(name, "Not a valid string.")),
    }
}

/// A trimmed text that shows something.
pub(super) fn required_text(
    of: &Map<String, Value>,
    name: &'static str,
    chars_max: usize,
) -> Result<String, CardError> {
    let given = text(of, name, chars_max)?;
    if given.is_empty() { Err(CardError::at(name, TextError::Blank)) } else { Ok(given) }
}
