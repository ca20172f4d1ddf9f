//! 10 s after the last fault, everyone who wants a room and may read it is subscribed, at its head.

use std::collections::BTreeMap;

use crate::history::{Fact, History};

pub(super) fn check(history: &History) -> Result<(), String> {
    let mut rosters = BTreeMap::new();
    let mut wanting: BTreeMap<_, usize> = BTreeMap::new();
    let mut reached: BTreeMap<_, usize> = BTreeMap::new();
    for (_, fact) in history.facts() {
        match fact {
            Fact::Roster { room, head, users } => _ = rosters.entry(*room).or_insert((*head, users)),
            Fact::Wanting { user, room } => *wanting.entry((*user, *room)).or_default() += 1,
            _ => {}
        }
    }
    for (_, fact) in history.facts() {
        let Fact::Reached { conn, user, room, seq } = fact else { continue };
        let Some((head, users)) = rosters.get(room) else { continue };
        if users.contains(user) && seq != head {
            return Err(format!("{user} is at {seq} of {room} by {conn}, whose head is {head}"));
        }
        *reached.entry((*user, *room)).or_default() += 1;
    }
    for ((user, room), wanted) in wanting {
        let (_, users) = rosters[&room];
        let count = reached.get(&(user, room)).copied().unwrap_or_default();
        if users.contains(&user) && count < wanted {
            return Err(format!("{count} of {wanted} clients of {user} are in {room}"));
        }
    }
    Ok(())
}
