//! What was refused at every attempt is never in the log; what nobody sent isn't either.

use std::collections::{BTreeMap, BTreeSet};

use actors::domain::ids::ClientId;

use crate::history::{End, Fact, History, Wish};

pub(super) fn check(history: &History) -> Result<(), String> {
    let mut texts = BTreeMap::new();
    let mut sends = BTreeMap::new();
    let (mut sent, mut may_be) = (BTreeSet::new(), BTreeSet::<ClientId>::new());
    for (_, fact) in history.facts() {
        match fact {
            Fact::Asked { op, wish: Wish::Post { client_id, .. }, .. } => {
                sends.insert(*op, *client_id);
                sent.insert(*client_id);
            }
            Fact::Asked { op, wish: Wish::Edit { text, .. }, .. } => {
                texts.insert(*op, text.clone());
            }
            Fact::Answered { op, end: End::Refused(code) } => {
                if let Some(text) = texts.get(op)
                    && history.rows().any(|(_, row)| row.text.as_ref() == Some(text))
                {
                    return Err(format!("op {op} was refused ({code}) and is in the log"));
                }
            }
            Fact::Answered { op, .. } => may_be.extend(sends.get(op)),
            _ => {}
        }
    }
    for (_, row) in history.rows().filter(|(_, row)| row.kind == "chat_message") {
        let Some(client_id) = row.client_id else { return Err(format!("nobody sent {row:?}")) };
        if !sent.contains(&client_id) {
            return Err(format!("nobody sent {client_id}, which is at {}", row.seq));
        }
        if !may_be.contains(&client_id) {
            return Err(format!("{client_id} was only ever refused and is at {} of {}", row.seq, row.room));
        }
    }
    Ok(())
}
