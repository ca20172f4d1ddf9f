//! On one connection, each user's read mark in a room only rises, and never past the head.

use std::collections::BTreeMap;

use crate::history::{Fact, History};

pub(super) fn check(history: &History) -> Result<(), String> {
    let (mut marks, mut heads) = (BTreeMap::new(), BTreeMap::new());
    for (at, fact) in history.facts() {
        match fact {
            Fact::Committed(row) => _ = heads.insert(row.room, row.seq),
            Fact::Marked { conn, room, user, up_to } => {
                let before = marks.insert((*conn, *room, *user), *up_to);
                if before.is_some_and(|before| before > *up_to) {
                    return Err(format!(
                        "{conn} heard at {at} ms that {user} went back from {before:?} to {up_to}"
                    ));
                }
                if heads.get(room).is_none_or(|head| head < up_to) {
                    return Err(format!("{conn} heard of a mark at {up_to}, past the head of {room}"));
                }
            }
            _ => {}
        }
    }
    Ok(())
}
