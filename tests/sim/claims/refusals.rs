//! A refused connection has no effect and receives nothing but the refusal: a token that was already revoked is
//! not accepted, and a message that was only sent on refused connections is not in the log.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Conn, Fact, History, Request};

/// The close code of a client that doesn't read: what is queued for it is thrown away.
const TOO_SLOW: u16 = 4431;

pub(super) fn check(history: &History) -> Result<(), String> {
    let (mut valid_from, mut whose) = (BTreeMap::new(), BTreeMap::new());
    let mut void: BTreeSet<Conn> = BTreeSet::new();
    let (mut let_in, mut refused) = (BTreeSet::new(), BTreeSet::new());
    for (_, fact) in history.facts() {
        match fact {
            Fact::Revoked { user, from } => _ = valid_from.insert(*user, *from),
            Fact::Opened { conn, user, issued_at, .. } => {
                whose.insert(*conn, *user);
                if valid_from.get(user).is_some_and(|from| issued_at < from) {
                    void.insert(*conn);
                }
            }
            Fact::LetIn { conn } if void.contains(conn) => {
                return Err(format!("{conn} of {} was let in with a token that was void", whose[conn]));
            }
            Fact::LetIn { conn } => _ = let_in.insert(*conn),
            Fact::ReceivedEarly { conn, kind } => {
                return Err(format!("{conn} received {kind} before it was accepted"));
            }
            // One that broke, or was too slow for its greeting, may have been accepted without knowing.
            Fact::Closed { conn, code: Some(code) } if *code != TOO_SLOW && !let_in.contains(conn) => {
                refused.insert(*conn);
            }
            _ => {}
        }
    }
    refused.extend(void);
    let mut counts = BTreeSet::new();
    let mut sent_in_vain = BTreeMap::new();
    for (_, fact) in history.facts() {
        match fact {
            Fact::Asked { request: Request::Post { client_id, conn, .. }, .. } => {
                match conn.filter(|conn| refused.contains(conn)) {
                    Some(conn) => _ = sent_in_vain.insert(*client_id, conn),
                    None => _ = counts.insert(*client_id),
                }
            }
            Fact::Committed(row) => {
                let sent = row.client_id.filter(|id| !counts.contains(id));
                if let Some(conn) = sent.and_then(|id| sent_in_vain.get(&id)) {
                    return Err(format!("{} of {} was sent on {conn}, which was refused", row.seq, row.room));
                }
            }
            _ => {}
        }
    }
    Ok(())
}
