//! In a room that leaves sending to its admins nobody else sends, and in one with slow mode nobody else sends twice
//! within its time; what is forwarded at once counts once.

use std::collections::{BTreeMap, BTreeSet};

use actors::domain::room_settings::Audience;

use crate::history::{Fact, History, Request};

pub(super) fn check(history: &History) -> Result<(), String> {
    let (mut settings, mut admins, mut last) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
    let mut forwards = BTreeMap::new();
    for (_, fact) in history.facts() {
        if let Fact::Asked { request: Request::Forward { client_ids }, .. } = fact {
            forwards.extend(client_ids.iter().map(|id| (*id, client_ids[0])));
        }
    }
    for (at, row) in history.rows() {
        settings.extend(row.settings.as_ref().map(|settings| (row.room, settings)));
        let place = (row.room, row.user);
        match row.kind.as_str() {
            "participant_joined" | "participant_updated" if row.says.as_deref() == Some("admin") => {
                admins.insert(place);
            }
            "participant_joined" | "participant_updated" | "participant_left" => _ = admins.remove(&place),
            "chat_message" => {
                let forward = row.client_id.and_then(|id| forwards.get(&id));
                let before = last.insert(place, (at, forward));
                let Some(settings) = settings.get(&row.room).filter(|_| !admins.contains(&place)) else {
                    continue;
                };
                if settings.posting == Audience::Admins {
                    return Err(format!("{:?} is no admin of {} and wrote {}", row.user, row.room, row.seq));
                }
                let interval = settings.slow_mode_seconds.interval();
                let interval = interval.map_or(0, |interval| interval.num_milliseconds().unsigned_abs());
                // The clocks of the history and of the store are read one after the other.
                let before = before.filter(|(_, before)| forward.is_none() || forward != *before);
                if let Some((before, _)) = before.filter(|(before, _)| at + 1 < before + interval) {
                    return Err(format!(
                        "{:?} wrote in {} at {before} ms and {} at {at} ms",
                        row.user, row.room, row.seq
                    ));
                }
            }
            _ => {}
        }
    }
    Ok(())
}
