//! Who joined a room that shows its history from joining on, or any room as a guest, is sent nothing from before, neither by its place in the
//! log nor by a message that changed later. All else is sent.

use std::collections::BTreeMap;

use actors::domain::ids::{RoomId, Seq, UserId};
use actors::domain::room_settings::HistoryAccess;

use super::stays;
use crate::history::{Fact, History};

pub(super) fn check(history: &History) -> Result<(), String> {
    let joins = joins(history);
    let sent: BTreeMap<_, Seq> = history
        .rows()
        .filter(|(_, row)| row.kind == "chat_message")
        .map(|(_, row)| (row.message, row.seq))
        .collect();
    let users: BTreeMap<_, UserId> = history
        .facts()
        .filter_map(|(_, fact)| match fact {
            Fact::Opened { conn, user, .. } => Some((*conn, *user)),
            _ => None,
        })
        .collect();
    let logged: BTreeMap<_, _> = history.rows().map(|(_, row)| ((row.room, row.seq), row)).collect();
    for stay in stays::all(history)? {
        let Some(user) = users.get(&stay.conn) else { continue };
        let place = joins.range((stay.room, *user, Seq::START)..=(stay.room, *user, stay.head)).next_back();
        let visible_from = place.map_or(Seq::START, |(_, visible_from)| *visible_from);
        for received in &stay.received {
            let Some(row) = logged.get(&(received.room, received.seq)) else { continue };
            let is_of_message = matches!(
                row.kind.as_str(),
                "chat_message" | "message_updated" | "card_changed" | "reaction" | "message_pinned"
            );
            let message = sent.get(&row.message).filter(|_| is_of_message);
            let since = message.map_or(row.seq, |message| row.seq.min(*message));
            let is_hidden = received.kind == "event_hidden";
            if is_hidden != (since < visible_from) {
                return Err(format!(
                    "{user} sees {} from {visible_from} on and got {received:?}, which shows {since}",
                    stay.room
                ));
            }
        }
    }
    Ok(())
}

/// The joins of users, and the position from which on each lets its user see the room.
fn joins(history: &History) -> BTreeMap<(RoomId, UserId, Seq), Seq> {
    let (mut joins, mut history_of) = (BTreeMap::new(), BTreeMap::new());
    for (_, row) in history.rows() {
        if let Some(settings) = &row.settings {
            history_of.insert(row.room, settings.history);
        }
        if let (Some(user), "participant_joined") = (row.user, row.kind.as_str()) {
            let is_guest = row.says.as_deref() == Some("guest");
            let is_limited = is_guest || history_of.get(&row.room) == Some(&HistoryAccess::Joined);
            joins.insert((row.room, user, row.seq), if is_limited { row.seq } else { Seq::START });
        }
    }
    joins
}
