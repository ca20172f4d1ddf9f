//! 10 s after the last fault, the lists of rooms folded from frames equal the store's: every row of every room,
//! and the totals of unread messages and mentions.

use std::collections::BTreeMap;

use crate::history::{Fact, History};

pub(super) fn check(history: &History) -> Result<(), String> {
    let mut stored = BTreeMap::new();
    for (_, fact) in history.facts() {
        if let Fact::StoredList { user, listed_rows, total, total_mentions } = fact {
            stored.insert(*user, (listed_rows, *total, *total_mentions));
        }
    }
    for (_, fact) in history.facts() {
        let Fact::Listed { conn, user, listed_rows, total, total_mentions } = fact else { continue };
        let Some((stored, stored_total, stored_mentions)) = stored.get(user) else { continue };
        for room in listed_rows.keys().chain(stored.keys()) {
            let (shown, right) = (listed_rows.get(room), stored.get(room));
            if shown != right {
                return Err(format!("{conn} of {user} shows {shown:?} of {room}, where {right:?} is right"));
            }
        }
        if total != stored_total {
            return Err(format!("{conn} of {user} shows {total} in all, where {stored_total} are"));
        }
        if total_mentions != stored_mentions {
            return Err(format!(
                "{conn} of {user} shows {total_mentions} mentions, where {stored_mentions} are"
            ));
        }
    }
    Ok(())
}
