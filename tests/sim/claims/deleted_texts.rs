//! A replay after a message was deleted doesn't contain its text.

use std::collections::BTreeMap;

use super::stays;
use crate::history::History;

pub(super) fn check(history: &History) -> Result<(), String> {
    let deleted: BTreeMap<_, _> = history
        .rows()
        .filter(|(_, row)| row.kind == "message_deleted")
        .filter_map(|(at, row)| Some((row.message?, at)))
        .collect();
    for stay in stays::all(history)? {
        for row in &stay.received {
            let gone_at = row.message.and_then(|message| deleted.get(&message));
            let shows = row.text.as_deref().is_some_and(|text| text != "[Message deleted]");
            if shows && gone_at.is_some_and(|gone_at| *gone_at < stay.asked_at) {
                return Err(format!(
                    "{} was given the deleted text of {} of {}",
                    stay.conn, row.seq, row.room
                ));
            }
        }
    }
    Ok(())
}
