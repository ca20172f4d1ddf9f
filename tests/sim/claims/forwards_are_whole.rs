//! The messages of a forward are in the log together and in their order, or none of them is.

use std::collections::BTreeMap;

use crate::history::{End, Fact, History, Request};

pub(super) fn check(history: &History) -> Result<(), String> {
    let mut stored = BTreeMap::new();
    for (_, row) in history.rows().filter(|(_, row)| row.kind == "chat_message") {
        stored.extend(row.client_id.map(|client_id| ((row.room, client_id), row.seq)));
    }
    let mut asked = BTreeMap::new();
    for (_, fact) in history.facts() {
        match fact {
            Fact::Asked { op, room, request: Request::Forward { client_ids }, .. } => {
                let seqs: Vec<_> = client_ids.iter().filter_map(|id| stored.get(&(*room, *id))).collect();
                let is_whole = seqs.len() == client_ids.len();
                if !(is_whole || seqs.is_empty()) || seqs.windows(2).any(|pair| *pair[1] != pair[0].next()) {
                    return Err(format!("of the forward {op}, which is {client_ids:?}, {seqs:?} are there"));
                }
                asked.insert(*op, is_whole);
            }
            Fact::Answered { op, end: End::Done } if asked.get(op) == Some(&false) => {
                return Err(format!("the forward {op} is done and not in the log"));
            }
            _ => {}
        }
    }
    Ok(())
}
