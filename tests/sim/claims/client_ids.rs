//! No `client_id` of a user is in a room's log twice.

use std::collections::BTreeSet;

use crate::history::History;

pub(super) fn check(history: &History) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for (_, row) in history.rows().filter(|(_, row)| row.kind == "chat_message") {
        if let Some(client_id) = row.client_id
            && !seen.insert((row.room, row.user, client_id))
        {
            return Err(format!("{client_id} is stored again at {} of {}", row.seq, row.room));
        }
    }
    Ok(())
}
