//! Checklists: items that anyone in the room ticks, with who did it and when.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::json::{self, CardError};
use super::{CardBody, CardRefusal};
use crate::domain::ids::UserId;

/// Something to be done; kept and shown in this form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChecklistItem {
    /// The id, unique on its card.
    pub id: String,
    /// What is to be done.
    pub text: String,
    /// The user who ticked it; none if it isn't ticked.
    pub done_by: Option<UserId>,
    /// When that was.
    pub done_at: Option<DateTime<Utc>>,
}

/// Reads the items of a card that is sent; nothing of them is ticked.
pub(super) fn read(card: &Map<String, Value>) -> Result<CardBody, CardError> {
    let entries = json::entries(card, "items")?;
    let items =
        entries.into_iter().map(|(id, text)| ChecklistItem { id, text, done_by: None, done_at: None });
    Ok(CardBody::Checklist { items: items.collect() })
}

/// Ticks an item, or takes its tick away, whoever ticked it; false if it was so already.
pub(super) fn tick(
    items: &mut [ChecklistItem],
    id: &str,
    on: bool,
    by: UserId,
    at: DateTime<Utc>,
) -> Result<bool, CardRefusal> {
    let item = items.iter_mut().find(|item| item.id == id).ok_or(CardRefusal::UnknownItem)?;
    if item.done_by.is_some() == on {
        return Ok(false);
    }
    (item.done_by, item.done_at) = if on { (Some(by), Some(at)) } else { (None, None) };
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_tick_counts_until_it_is_taken_away() {
        let item =
            |id: &str| ChecklistItem { id: id.to_owned(), text: "Beds".into(), done_by: None, done_at: None };
        let mut items = [item("a"), item("b")];
        let at = |second| DateTime::from_timestamp(second, 0).expect("a time");
        assert_eq!(tick(&mut items, "a", true, UserId(1), at(1)), Ok(true));
        assert_eq!(tick(&mut items, "a", true, UserId(2), at(2)), Ok(false));
        assert_eq!((items[0].done_by, items[0].done_at), (Some(UserId(1)), Some(at(1))));
        assert_eq!(items[1], item("b"));
        assert_eq!(tick(&mut items, "a", false, UserId(2), at(3)), Ok(true));
        assert_eq!(tick(&mut items, "a", false, UserId(1), at(4)), Ok(false));
        assert_eq!(items[0], item("a"));
        assert_eq!(tick(&mut items, "c", true, UserId(1), at(5)), Err(CardRefusal::UnknownItem));
    }
}
