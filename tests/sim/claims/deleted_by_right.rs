//! A message is deleted by its author, or, outside of direct rooms, by an admin or the staff, and the log has in
//! whose right.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Fact, History};
use crate::world::STAFF;

pub(super) fn check(history: &History) -> Result<(), String> {
    let (mut senders, mut direct) = (BTreeMap::new(), BTreeSet::new());
    let (mut admins, mut inactive) = (BTreeSet::new(), BTreeSet::new());
    for (_, fact) in history.facts() {
        let row = match fact {
            Fact::RightsChanged { user, is_active: false } => {
                inactive.insert(*user);
                continue;
            }
            Fact::RightsChanged { user, .. } => {
                inactive.remove(user);
                continue;
            }
            Fact::Committed(row) => row,
            _ => continue,
        };
        let says = row.says.as_deref();
        match row.kind.as_str() {
            "chat_message" => _ = senders.insert(row.message, row.user),
            "room_updated" if says == Some("direct") => _ = direct.insert(row.room),
            "participant_left" => _ = admins.remove(&(row.room, row.user)),
            "participant_joined" | "participant_updated" if says == Some("admin") => {
                admins.insert((row.room, row.user));
            }
            "participant_joined" | "participant_updated" => _ = admins.remove(&(row.room, row.user)),
            "message_deleted" => {
                let is_own = senders.get(&row.message) == Some(&row.by);
                let looks_after = admins.contains(&(row.room, row.by)) || row.by == Some(STAFF);
                let right = match (is_own, looks_after && !direct.contains(&row.room)) {
                    (true, _) => "author",
                    (false, true) => "moderator",
                    (false, false) => return Err(format!("nobody gave the right to {row:?}")),
                };
                if says != Some(right) || row.by.is_some_and(|by| inactive.contains(&by)) {
                    return Err(format!("not in this right, which is the {right}'s: {row:?}"));
                }
            }
            _ => {}
        }
    }
    Ok(())
}
