//! 10 s after the last fault what sockets were told of their person's list of rooms comes to what the store
//! has: every line of every room, and what is unread in all.

use std::collections::BTreeMap;

use crate::history::{Fact, History};

pub(super) fn check(history: &History) -> Result<(), String> {
    let mut stored = BTreeMap::new();
    for (_, fact) in history.facts() {
        if let Fact::Lines { user, lines, total } = fact {
            stored.insert(*user, (lines, *total));
        }
    }
    for (_, fact) in history.facts() {
        let Fact::Listed { conn, user, lines, total } = fact else { continue };
        let Some((stored, stored_total)) = stored.get(user) else { continue };
        for room in lines.keys().chain(stored.keys()) {
            let (shown, right) = (lines.get(room), stored.get(room));
            if shown != right {
                return Err(format!("{conn} of {user} shows {shown:?} of {room}, where {right:?} is right"));
            }
        }
        if total != stored_total {
            return Err(format!("{conn} of {user} shows {total} in all, where {stored_total} are"));
        }
    }
    Ok(())
}
