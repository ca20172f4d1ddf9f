//! Telling of urgent messages again, until they are acknowledged or the time for that is over.
//!
//! The consumer that makes rooms due puts down a row for each urgent message. A round takes the rows that are due, and
//! each says when the next time is; so nobody is told twice at one time, whichever node comes first.

use actors::domain::ids::{MessageId, RoomId, Seq, UserId};
use actors::domain::notifications::rules::{Telling, TellingRule};
use actors::domain::urgency::REPEAT_INTERVAL;
use actors::ports::store::StoreError;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::store::postgres::pool::client::WriteTransaction;

/// What came of the messages that were due.
pub(super) struct DueRepeats {
    /// How many messages there were.
    pub(super) count: usize,
    /// Their rooms, a room once for each.
    pub(super) rooms: Vec<RoomId>,
    /// Who is told again.
    pub(super) told: Vec<(RoomId, UserId, Telling)>,
}

/// Takes at most `limit` messages that are due, and finds who hasn't acknowledged them. One that is acknowledged by
/// all, deleted, out of time or in a room that is archived is not taken again.
pub(super) async fn take_due(
    transaction: &WriteTransaction<'_>,
    limit: usize,
) -> Result<DueRepeats, StoreError> {
    const TAKE: &str = "WITH due AS MATERIALIZED (
            SELECT room_id, message_id, seq, until > now() AS goes_on, ctid AS tid FROM notification_repeats
            WHERE due_at <= now() ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED),
        waiting AS MATERIALIZED (
            SELECT d.room_id, d.message_id, p.user_id FROM due d
            CROSS JOIN LATERAL (SELECT FROM rooms
                WHERE id = d.room_id AND archived_at IS NULL AND deleted_at IS NULL LIMIT 1) r
            CROSS JOIN LATERAL (SELECT sender_id FROM messages
                WHERE room_id = d.room_id AND id = d.message_id AND deleted_at IS NULL LIMIT 1) m
            CROSS JOIN LATERAL (SELECT user_id FROM participants
                WHERE room_id = d.room_id AND left_at IS NULL AND user_id <> m.sender_id
                    AND greatest(joined_seq, visible_from_seq - 1) < d.seq OFFSET 0) p
            CROSS JOIN LATERAL (SELECT FROM people WHERE id = p.user_id AND is_active LIMIT 1) u
            LEFT JOIN LATERAL (SELECT true AS is_given FROM acknowledgements
                WHERE room_id = d.room_id AND message_id = d.message_id AND user_id = p.user_id LIMIT 1) a ON true
            LEFT JOIN LATERAL (SELECT true AS is_set FROM blocks
                WHERE user_id = p.user_id AND blocked_id = m.sender_id LIMIT 1) b ON true
            WHERE d.goes_on AND a.is_given IS NULL AND b.is_set IS NULL),
        again AS (
            UPDATE notification_repeats SET due_at = least(now() + make_interval(secs => $2), until)
            WHERE ctid = ANY (ARRAY(SELECT tid FROM due d WHERE EXISTS (
                SELECT FROM waiting WHERE room_id = d.room_id AND message_id = d.message_id)))),
        over AS (
            DELETE FROM notification_repeats
            WHERE ctid = ANY (ARRAY(SELECT tid FROM due d WHERE NOT EXISTS (
                SELECT FROM waiting WHERE room_id = d.room_id AND message_id = d.message_id))))
        SELECT d.room_id, d.message_id, d.seq, w.user_id FROM due d
        LEFT JOIN waiting w ON w.room_id = d.room_id AND w.message_id = d.message_id
        ORDER BY d.room_id, d.seq, w.user_id";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = transaction.rows(TAKE, &[&limit, &REPEAT_INTERVAL.as_seconds_f64()]).await?;
    let mut messages: Vec<(RoomId, Seq)> = rows.iter().map(|row| (room_of(row), Seq(row.get(2)))).collect();
    messages.dedup();
    let told = rows.iter().filter_map(|row| {
        let user = UserId(row.get::<_, Option<i64>>(3)?);
        let (seq, message) = (Seq(row.get(2)), MessageId(row.get(1)));
        Some((room_of(row), user, Telling { rule: TellingRule::Urgent, first: seq, last: seq, message }))
    });
    Ok(DueRepeats {
        count: messages.len(),
        told: told.collect(),
        rooms: messages.into_iter().map(|(room, _)| room).collect(),
    })
}

fn room_of(row: &Row) -> RoomId {
    RoomId(row.get(0))
}

/// Finds the notifications in these rooms that have done their work: of urgent messages that their users have
/// acknowledged, or had read before they were told again until the time was over.
pub(super) async fn find_settled(
    transaction: &WriteTransaction<'_>,
    rooms: &[Uuid],
) -> Result<Vec<(Uuid, UserId)>, StoreError> {
    const SETTLED: &str = "SELECT n.id, n.user_id FROM notifications n
        LEFT JOIN LATERAL (SELECT true AS is_given FROM acknowledgements
            WHERE room_id = n.room_id AND message_id = n.message_id AND user_id = n.user_id LIMIT 1) a ON true
        LEFT JOIN LATERAL (SELECT true AS goes_on FROM notification_repeats
            WHERE room_id = n.room_id AND message_id = n.message_id LIMIT 1) r ON true
        LEFT JOIN LATERAL (SELECT read_seq FROM participants
            WHERE room_id = n.room_id AND user_id = n.user_id LIMIT 1) p ON true
        WHERE n.room_id = ANY($1) AND n.state = 'told' AND n.rule = $2
            AND (a.is_given OR (r.goes_on IS NULL AND p.read_seq >= n.last_seq))";
    let rule = TellingRule::Urgent.as_str();
    let rows = transaction.rows(SETTLED, &[&rooms, &rule]).await?;
    Ok(rows.iter().map(|row| (row.get(0), UserId(row.get(1)))).collect())
}
