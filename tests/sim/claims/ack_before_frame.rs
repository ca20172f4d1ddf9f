//! On the connection that sent a message, the ack comes before the message's own frame.

use std::collections::BTreeMap;

use crate::history::{End, Fact, History, Request};

pub(super) fn check(history: &History) -> Result<(), String> {
    let (mut sent, mut received) = (BTreeMap::new(), BTreeMap::new());
    for (at, fact) in history.facts() {
        match fact {
            Fact::Asked { op, request: Request::Post { client_id, conn: Some(conn), .. }, .. } => {
                sent.insert(*op, (*conn, *client_id));
            }
            Fact::Received { conn, row } if row.kind == "chat_message" => {
                if let Some(client_id) = row.client_id {
                    received.insert((*conn, client_id), at);
                }
            }
            Fact::Answered { op, end: End::Acked { duplicate: false, .. } } => {
                if let Some(at) = sent.get(op).and_then(|key| received.get(key)) {
                    return Err(format!("op {op} received to its sender at {at} ms, before its ack"));
                }
            }
            _ => {}
        }
    }
    Ok(())
}
