//! Some time after the last fault every client sees who is online in a room, except for users who come and go at
//! that moment.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Fact, History};

/// How long a user who has gone may count as online.
const UNSURE_MS: u64 = 10_000;

pub(super) fn check(history: &History) -> Result<(), String> {
    let Some(now) =
        history.facts().find_map(|(at, fact)| matches!(fact, Fact::SeesOnline { .. }).then_some(at))
    else {
        return Ok(());
    };
    let (mut whose, mut open, mut rosters) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut unsure = BTreeSet::new();
    for (at, fact) in history.facts() {
        match fact {
            Fact::Opened { conn, user, .. } => _ = whose.insert(*conn, *user),
            Fact::LetIn { conn } if at <= now => _ = open.insert(*conn, at),
            Fact::Closed { conn, .. } if at <= now => {
                open.remove(conn);
                if at + UNSURE_MS > now {
                    unsure.insert(whose[conn]);
                }
            }
            Fact::Roster { room, users, .. } => _ = rosters.insert(*room, users),
            _ => {}
        }
    }
    let online: BTreeSet<_> = open.keys().map(|conn| whose[conn]).collect();
    for (_, fact) in history.facts() {
        let Fact::SeesOnline { conn, room, users } = fact else { continue };
        let people = rosters.get(room).into_iter().flat_map(|users| users.iter());
        for user in people.filter(|user| online.contains(user) || !unsure.contains(user)) {
            if users.contains(user) != online.contains(user) {
                let is = if online.contains(user) { "online" } else { "offline" };
                return Err(format!("{user} is {is}, and {conn} in {room} sees otherwise"));
            }
        }
    }
    Ok(())
}
