//! A removed participant receives nothing that follows, on any connection that was accepted before.

use super::stays;
use crate::history::{Fact, History};

pub(super) fn check(history: &History) -> Result<(), String> {
    for stay in stays::all(history)? {
        let user = history.facts().find_map(|(_, fact)| match fact {
            Fact::Opened { conn, user, .. } if *conn == stay.conn => Some(*user),
            _ => None,
        });
        let removal = history.rows().map(|(_, row)| row).find(|row| {
            row.room == stay.room && row.seq > stay.head && row.kind == "participant_left" && row.user == user
        });
        if let Some(removal) = removal
            && let Some(late) = stay.received.iter().find(|row| row.seq > removal.seq)
        {
            return Err(format!(
                "{} received {} of {}, after the removal at {}",
                stay.conn, late.seq, stay.room, removal.seq
            ));
        }
    }
    Ok(())
}
