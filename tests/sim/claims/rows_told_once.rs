//! In each stay the rows follow where the client was, one after another: none missing, none twice. So
//! over all connections a client has exactly the log.

use actors::domain::ids::Seq;

use super::stays::{self, Stay};
use crate::history::History;

pub(super) fn check(history: &History) -> Result<(), String> {
    stays::all(history)?.iter().try_for_each(follows)
}

fn follows(stay: &Stay<'_>) -> Result<(), String> {
    let Stay { conn, room, since, head, reset, synced, told, .. } = stay;
    let start = reset.or(*since).unwrap_or(*head);
    if reset.is_some() && since.is_none() {
        return Err(format!("{conn} was told to reset {room} and had asked for nothing"));
    }
    let mut last = start;
    for row in told {
        if row.seq != last.next() {
            return Err(format!("{conn} was told {} after {last} of {room} (since {since:?})", row.seq));
        }
        last = row.seq;
    }
    match synced {
        Some((seq, count)) if *seq != Seq(start.0 + *count as i64) || *seq < *head => Err(format!(
            "{conn} is said to be at {seq} of {room} after {count} rows from {start}, head {head}"
        )),
        _ => Ok(()),
    }
}
