//! 10 s after the last fault, what clients have folded of each message from frames equals the store's: its card, and
//! the sums of its thread.

use std::collections::BTreeMap;

use crate::history::{Fact, History};

pub(super) fn check(history: &History) -> Result<(), String> {
    let mut stored = BTreeMap::new();
    for (_, fact) in history.facts() {
        if let Fact::StoredMessages { room, messages } = fact {
            stored.insert(*room, messages);
        }
    }
    for (_, fact) in history.facts() {
        let Fact::Folded { conn, room, messages } = fact else { continue };
        let Some(stored) = stored.get(room) else { continue };
        for (id, shown) in messages {
            let right = stored.get(id);
            if right != Some(shown) {
                return Err(format!("{conn} shows {shown} for {id} of {room}, where {right:?} is right"));
            }
        }
    }
    Ok(())
}
