//! What was refused at every attempt is never in the log, nor is anything that nobody sent.

use std::collections::{BTreeMap, BTreeSet};

use actors::domain::ids::ClientId;

use crate::history::{End, Fact, History, Request};

pub(super) fn check(history: &History) -> Result<(), String> {
    let mut texts = BTreeMap::new();
    let mut sends: BTreeMap<_, &[ClientId]> = BTreeMap::new();
    let (mut sent, mut may_be) = (BTreeSet::<ClientId>::new(), BTreeSet::<ClientId>::new());
    for (_, fact) in history.facts() {
        match fact {
            Fact::Asked { op, request: Request::Edit { text, .. }, .. } => {
                texts.insert(*op, text.clone());
            }
            Fact::Asked { op, request, .. } => {
                sends.insert(*op, request.client_ids());
                sent.extend(request.client_ids());
            }
            Fact::Answered { op, end: End::Refused(code) } => {
                if let Some(text) = texts.get(op)
                    && history.rows().any(|(_, row)| row.text.as_ref() == Some(text))
                {
                    return Err(format!("op {op} was refused ({code}) and is in the log"));
                }
            }
            Fact::Answered { op, .. } => may_be.extend(sends.get(op).copied().unwrap_or_default()),
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
