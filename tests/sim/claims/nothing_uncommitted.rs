//! What a client is told of a log stands there already, and as it is told.

use std::collections::BTreeMap;

use crate::history::{Fact, History};

pub(super) fn check(history: &History) -> Result<(), String> {
    let mut rows = BTreeMap::new();
    let mut versions = BTreeMap::new();
    for (at, fact) in history.facts() {
        let (conn, told) = match fact {
            Fact::Committed(row) => {
                rows.insert((row.room, row.seq), row);
                if let Some(message) = row.message {
                    let text = row.text.clone().unwrap_or_else(|| "[Message deleted]".to_owned());
                    versions.insert((message, row.seq), text);
                }
                continue;
            }
            Fact::Told { conn, row } => (conn, row),
            _ => continue,
        };
        let Some(row) = rows.get(&(told.room, told.seq)) else {
            return Err(format!("{conn} was told at {at} ms what isn't in the log: {told:?}"));
        };
        if (&row.kind, row.message) != (&told.kind, told.message)
            || (told.kind.starts_with("participant") && row.user != told.user)
            || (told.kind == "message_deleted" && row.says != told.says)
        {
            return Err(format!("{conn} was told {told:?} in place of {row:?}"));
        }
        if let (Some(message), Some(rev)) = (told.message, told.rev)
            && versions.get(&(message, rev)) != told.text.as_ref()
        {
            return Err(format!("{conn} was told a text that {message} did not have: {told:?}"));
        }
    }
    Ok(())
}
