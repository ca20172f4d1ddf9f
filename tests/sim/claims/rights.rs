//! Who may not be here at all sends nothing from that moment on, and 10 s after the last fault has no
//! connection.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Fact, History};

pub(super) fn check(history: &History) -> Result<(), String> {
    let end = history.healed_at().saturating_add(10_000);
    let mut inactive = BTreeSet::new();
    let (mut asked, mut open) = (BTreeMap::new(), BTreeMap::new());
    let mut is_late = false;
    for (at, fact) in history.facts() {
        if at >= end && !is_late {
            is_late = true;
            if let Some((conn, user)) = open.iter().find(|(_, user)| inactive.contains(*user)) {
                return Err(format!("{user} may not be here and still has connection {conn}"));
            }
        }
        match fact {
            Fact::RightsChanged { user, is_active: false } => _ = inactive.insert(*user),
            Fact::RightsChanged { user, is_active: true } => _ = inactive.remove(user),
            Fact::Committed(row) if row.kind == "chat_message" => {
                if let Some(user) = row.user.filter(|user| inactive.contains(user)) {
                    return Err(format!("{user} may not be here and wrote {} of {}", row.seq, row.room));
                }
            }
            Fact::Opened { conn, user, .. } => _ = asked.insert(*conn, *user),
            Fact::LetIn { conn } => open.extend(asked.get(conn).map(|user| (*conn, *user))),
            Fact::Closed { conn, .. } => _ = open.remove(conn),
            _ => {}
        }
    }
    Ok(())
}
