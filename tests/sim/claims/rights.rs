//! A user without access sends nothing from that moment on, and has no connection 10 s after the last fault; nor
//! has one whose token was revoked.

use std::collections::{BTreeMap, BTreeSet};

use actors::domain::ids::UserId;

use crate::history::{Fact, History};

pub(super) fn check(history: &History) -> Result<(), String> {
    let end = history.healed_at().saturating_add(10_000);
    let (mut inactive, mut valid_from) = (BTreeSet::new(), BTreeMap::new());
    let (mut asked, mut open) = (BTreeMap::new(), BTreeMap::new());
    let mut is_late = false;
    for (at, fact) in history.facts() {
        if at >= end && !is_late {
            is_late = true;
            let may_not = |(_, (user, issued_at)): &(&u64, &(UserId, i64))| {
                inactive.contains(user) || valid_from.get(user).is_some_and(|from| issued_at < from)
            };
            if let Some((conn, (user, _))) = open.iter().find(may_not) {
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
            Fact::Revoked { user, from } => _ = valid_from.insert(*user, *from),
            Fact::Opened { conn, user, issued_at, .. } => _ = asked.insert(*conn, (*user, *issued_at)),
            Fact::LetIn { conn } => open.extend(asked.get(conn).map(|whose| (*conn, *whose))),
            Fact::Closed { conn, .. } => _ = open.remove(conn),
            _ => {}
        }
    }
    Ok(())
}
