//! Entries of the audit log for what is in the logs of rooms.

use std::collections::BTreeSet;

use actors::domain::event::EventKind;
use actors::domain::ids::{RoomId, Seq, UserId};
use actors::domain::message::RemovedBy;
use actors::domain::room::RoomType;
use actors::ports::store::StoreError;
use serde_json::{Value, json};
use tokio_postgres::Row;
use uuid::Uuid;

use super::audit::{AuditKind, LockedHead, NewAuditEntry};
use crate::store::postgres::LogEvent;
use crate::store::postgres::pool::client::WriteTransaction;

/// The kinds of events of which some are entries.
const AUDITED: [EventKind; 6] = [
    EventKind::RoomUpdated,
    EventKind::RoomDeleted,
    EventKind::MessageDeleted,
    EventKind::ParticipantJoined,
    EventKind::ParticipantLeft,
    EventKind::ParticipantUpdated,
];

/// Adds entries for those of `events` that need one and have none. Returns how many.
pub(crate) async fn add_entries_of_events(
    transaction: &WriteTransaction<'_>,
    events: &[LogEvent],
) -> Result<usize, StoreError> {
    const FIND: &str = "SELECT e.room_id, e.seq, e.kind, e.actor, e.at, e.data, e.message_id, m.sender_id, r.room_type
        FROM unnest($1::uuid[], $2::bigint[]) k (room_id, seq)
        CROSS JOIN LATERAL (SELECT * FROM events WHERE room_id = k.room_id AND seq = k.seq LIMIT 1) e
        CROSS JOIN LATERAL (SELECT room_type FROM rooms WHERE id = k.room_id LIMIT 1) r
        LEFT JOIN LATERAL (SELECT sender_id FROM messages WHERE room_id = e.room_id AND id = e.message_id LIMIT 1) m
            ON true
        WHERE e.kind = ANY($3)
        ORDER BY e.at, e.room_id, e.seq";
    const KNOWN: &str = "SELECT a.room_id, a.seq FROM unnest($1::uuid[], $2::bigint[]) k (room_id, seq)
        CROSS JOIN LATERAL (SELECT room_id, seq FROM audit_log
            WHERE room_id = k.room_id AND seq = k.seq AND seq IS NOT NULL LIMIT 1) a";
    let (rooms, seqs): (Vec<Uuid>, Vec<i64>) = events.iter().map(|event| (event.room.0, event.seq.0)).unzip();
    let kinds = AUDITED.map(EventKind::as_str);
    let rows = transaction.rows(FIND, &[&rooms, &seqs, &&kinds[..]]).await?;
    let mut new: Vec<NewAuditEntry> = rows.iter().filter_map(entry_of).collect();
    if new.is_empty() {
        return Ok(0);
    }
    let head = LockedHead::lock(transaction).await?;
    let known = transaction.rows(KNOWN, &[&rooms, &seqs]).await?;
    let known: BTreeSet<_> = known.iter().map(|row| (RoomId(row.get(0)), Seq(row.get(1)))).collect();
    new.retain(|entry| !entry.room.zip(entry.seq).is_some_and(|place| known.contains(&place)));
    let added = new.len();
    if added > 0 {
        head.append(transaction, new).await?;
    }
    Ok(added)
}

/// The entry of a row of events, if it needs one: for what a user does to oneself there is none.
fn entry_of(row: &Row) -> Option<NewAuditEntry> {
    let actor: Option<i64> = row.get(3);
    let data: Value = row.get::<_, Option<Value>>(5).unwrap_or_else(|| json!({}));
    let participant = data["user"].as_i64();
    let is_direct = row.get::<_, &str>(8) == RoomType::Direct.as_str();
    let by_other = !is_direct && actor != participant;
    let (kind, user, data) = match EventKind::parse(row.get(2))? {
        EventKind::RoomUpdated => (AuditKind::RoomUpdated, None, data),
        EventKind::RoomDeleted => (AuditKind::RoomDeleted, None, json!({})),
        EventKind::MessageDeleted => {
            let removed_by = data["removed_by"].as_str().unwrap_or_default();
            if removed_by != RemovedBy::Moderator.as_str() {
                return None;
            }
            let message: Option<Uuid> = row.get(6);
            let data = json!({"message": message, "reason": data["reason"]});
            (AuditKind::MessageDeleted, row.get(7), data)
        }
        EventKind::ParticipantJoined if by_other => {
            (AuditKind::ParticipantAdded, participant, json!({"role": data["role"]}))
        }
        EventKind::ParticipantLeft if by_other => (AuditKind::ParticipantRemoved, participant, json!({})),
        EventKind::ParticipantUpdated => {
            (AuditKind::ParticipantChanged, participant, json!({"role": data["role"]}))
        }
        _ => return None,
    };
    Some(NewAuditEntry {
        at: Some(row.get(4)),
        kind,
        actor: actor.map(UserId),
        user: user.map(UserId),
        room: Some(RoomId(row.get(0))),
        seq: Some(Seq(row.get(1))),
        data,
    })
}
