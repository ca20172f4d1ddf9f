//! What a client receives of a log is already in it, with the same content.

use std::collections::BTreeMap;

use crate::history::{Fact, History};

pub(super) fn check(history: &History) -> Result<(), String> {
    let mut rows = BTreeMap::new();
    let mut versions = BTreeMap::new();
    let mut texts = BTreeMap::new();
    for (at, fact) in history.facts() {
        let (conn, received) = match fact {
            Fact::Committed(row) => {
                rows.insert((row.room, row.seq), row);
                if let Some(message) = row.message {
                    let text = match (&row.text, row.kind.as_str()) {
                        (Some(text), _) => text.clone(),
                        (
                            None,
                            "reaction"
                            | "card_changed"
                            | "card_action"
                            | "message_pinned"
                            | "message_acknowledged",
                        ) => texts.get(&message).cloned().unwrap_or_default(),
                        (None, _) => "[Message deleted]".to_owned(),
                    };
                    texts.insert(message, text.clone());
                    versions.insert((message, row.seq), text);
                }
                // A root's frame tells the position of the last change of its sums, too.
                if let Some(root) = row.root {
                    versions.insert((root, row.seq), texts.get(&root).cloned().unwrap_or_default());
                }
                continue;
            }
            Fact::Received { conn, row } => (conn, row),
            _ => continue,
        };
        let Some(row) = rows.get(&(received.room, received.seq)) else {
            return Err(format!("{conn} received at {at} ms what isn't in the log: {received:?}"));
        };
        // In its place stands that there is something.
        if received.kind == "event_hidden" {
            continue;
        }
        if (&row.kind, row.message, row.root) != (&received.kind, received.message, received.root)
            || (received.kind.starts_with("participant") && row.user != received.user)
            || (received.kind == "message_deleted" && row.says != received.says)
            || (matches!(received.kind.as_str(), "reaction" | "message_pinned" | "message_acknowledged")
                && (row.user, &row.says) != (received.user, &received.says))
        {
            return Err(format!("{conn} received {received:?} in place of {row:?}"));
        }
        if let (Some(message), Some(rev)) = (received.message, received.rev)
            && versions.get(&(message, rev)) != received.text.as_ref()
        {
            return Err(format!("{conn} received a text that {message} did not have: {received:?}"));
        }
    }
    Ok(())
}
