//! In each stay the rows follow the client's position one by one: none is missing, none is repeated. So over all
//! its connections a client receives exactly the log.

use actors::domain::ids::Seq;

use super::stays::{self, RoomStay};
use crate::history::History;

pub(super) fn check(history: &History) -> Result<(), String> {
    stays::all(history)?.iter().try_for_each(follows)
}

fn follows(stay: &RoomStay<'_>) -> Result<(), String> {
    let RoomStay { conn, room, since, head, reset, synced, received, .. } = stay;
    let start = reset.or(*since).unwrap_or(*head);
    if reset.is_some() && since.is_none() {
        return Err(format!("{conn} received to reset {room} and had asked for nothing"));
    }
    let mut last = start;
    for row in received {
        if row.seq != last.next() {
            return Err(format!("{conn} received {} after {last} of {room} (since {since:?})", row.seq));
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
