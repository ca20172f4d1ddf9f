//! An acked message is in the log exactly once, at the position of the ack and as it was sent.

use std::collections::BTreeMap;

use crate::history::{End, Fact, History, Request};

pub(super) fn check(history: &History) -> Result<(), String> {
    let rows: BTreeMap<_, _> = history.rows().map(|(at, row)| ((row.room, row.seq), (at, row))).collect();
    let mut asked = BTreeMap::new();
    for (at, fact) in history.facts() {
        let (op, end) = match fact {
            Fact::Asked { op, room, request, .. } => {
                asked.insert(*op, (*room, request));
                continue;
            }
            Fact::Answered { op, end } => (op, end),
            _ => continue,
        };
        let Some((room, request)) = asked.get(op) else { return Err(format!("{op} was never asked")) };
        match (request, end) {
            (Request::Post { client_id, text, .. }, End::Acked { message, seq, .. }) => {
                let Some((stored_at, row)) = rows.get(&(*room, *seq)) else {
                    return Err(format!("op {op} is acked at {seq} of {room}, where nothing is"));
                };
                let is_it = row.message == Some(*message)
                    && row.client_id == Some(*client_id)
                    && row.kind == "chat_message"
                    && row.text.as_ref() == Some(text);
                if !is_it || *stored_at > at {
                    return Err(format!(
                        "op {op} is acked as {message} at {seq}, where at {stored_at} is {row:?}"
                    ));
                }
            }
            (Request::Edit { message, text }, End::Done) => {
                once(history, op, |row| {
                    row.kind == "message_updated"
                        && row.message == Some(*message)
                        && row.text.as_ref() == Some(text)
                })?;
            }
            (Request::Delete { message }, End::Done) => {
                once(history, op, |row| row.kind == "message_deleted" && row.message == Some(*message))?;
            }
            (Request::Rename { name }, End::Done)
                if !history.rows().any(|(_, row)| row.text.as_ref() == Some(name)) =>
            {
                return Err(format!("op {op} is done and not in the log"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn once(history: &History, op: &u64, is_it: impl Fn(&crate::history::Row) -> bool) -> Result<(), String> {
    match history.rows().filter(|(_, row)| is_it(row)).count() {
        1 => Ok(()),
        count => Err(format!("op {op} is done and {count} times in the log")),
    }
}
