//! 10 s after the last fault, the unread counts in lists of rooms equal a recount.

use std::collections::BTreeMap;

use crate::history::{Fact, History};

pub(super) fn check(history: &History) -> Result<(), String> {
    let mut counts = BTreeMap::new();
    for (_, fact) in history.facts() {
        if let Fact::Recount { user, rooms, total } = fact {
            counts.insert(*user, (rooms, *total));
        }
    }
    for (_, fact) in history.facts() {
        let Fact::Unread { conn, user, rooms, total } = fact else { continue };
        let Some((recount, recounted)) = counts.get(user) else { continue };
        for (room, unread) in rooms {
            if recount.get(room) != Some(unread) {
                let counted = recount.get(room);
                return Err(format!("{conn} of {user} shows {unread} in {room}, where {counted:?} are"));
            }
        }
        if total.is_some_and(|total| total != *recounted) {
            return Err(format!("{conn} of {user} shows {total:?} in all, where {recounted} are"));
        }
    }
    Ok(())
}
