//! What one connection sends to one room is committed in the order of sending, as far as it is committed at the
//! first attempt.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{End, Fact, History, Request};

pub(super) fn check(history: &History) -> Result<(), String> {
    let mut asked = BTreeMap::new();
    let mut tried = BTreeSet::new();
    let mut acked: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (_, fact) in history.facts() {
        match fact {
            Fact::Asked { op, room, request: Request::Post { client_id, conn, .. }, .. } => {
                if let (true, Some(conn)) = (tried.insert(*client_id), conn) {
                    asked.insert(*op, (*conn, *room));
                }
            }
            Fact::Answered { op, end: End::Acked { seq, duplicate: false, .. } } => {
                if let Some(to) = asked.get(op) {
                    acked.entry(*to).or_default().push((*op, *seq));
                }
            }
            _ => {}
        }
    }
    for ((conn, room), mut sends) in acked {
        sends.sort();
        if let Some(pair) = sends.windows(2).find(|pair| pair[0].1 > pair[1].1) {
            return Err(format!("connection {conn} sent {pair:?} to {room} in another order"));
        }
    }
    Ok(())
}
