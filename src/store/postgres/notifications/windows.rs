//! Windows: the rooms in which someone may have to be told of something, and when that is decided.

use actors::domain::ids::{RoomId, Seq};
use actors::domain::notifications::settings::DELAY_SECONDS_DEFAULT;
use actors::domain::urgency::{REPEAT_INTERVAL, REPEATED_FOR};
use actors::ports::store::StoreError;
use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::store::postgres::pool::client::WriteTransaction;
use crate::store::postgres::{ConsumerError, LogEvent};

/// The name of the consumer that makes rooms due.
pub(crate) const CONSUMER: &str = "notifications";
/// The kind of event that someone may have to be told of.
const POSTED: &str = "message_posted";
/// The kinds of events after which there may be nothing to tell any more.
const ENDING: [&str; 4] = ["message_deleted", "message_acknowledged", "participant_left", "room_deleted"];
/// How many days later nobody is told of a message any more: after a restore, or when the consumer starts anew.
const AGE_DAYS_MAX: i32 = 1;

/// A window that is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct DueWindow {
    pub(super) room: RoomId,
    pub(super) first: Seq,
    pub(super) last: Seq,
    pub(super) has_urgent: bool,
}

/// When a window is to be looked at again.
#[derive(Clone, Copy, Debug)]
pub(super) struct NextLook {
    pub(super) room: RoomId,
    pub(super) first: Seq,
    pub(super) at: DateTime<Utc>,
}

/// Extends the windows of the rooms that `events` are of. A room is due when the first of its users may be told: at
/// once in a direct room, where that depends on who is connected, and after an urgent message. Of that one users are told
/// again.
pub(crate) async fn extend_windows(
    transaction: &WriteTransaction<'_>,
    events: &[LogEvent],
) -> Result<(), ConsumerError> {
    const EXTEND: &str = "WITH found AS MATERIALIZED (
            SELECT e.*, m.until FROM unnest($1::uuid[], $2::bigint[]) k (room_id, seq)
            CROSS JOIN LATERAL (SELECT room_id, seq, kind, at, message_id FROM events
                WHERE room_id = k.room_id AND seq = k.seq LIMIT 1) e
            LEFT JOIN LATERAL (
                SELECT coalesce((extras #>> '{urgent,ack_by}')::timestamptz, e.at + make_interval(secs => $8)) AS until
                FROM messages
                WHERE room_id = e.room_id AND id = e.message_id AND e.kind = $3 AND extras ? 'urgent' LIMIT 1) m ON true
            WHERE (e.kind = $3 OR e.kind = ANY($4)) AND e.at > now() - make_interval(days => $5)),
        repeats AS (
            INSERT INTO notification_repeats (room_id, message_id, seq, due_at, until)
            SELECT room_id, message_id, seq, least(at + make_interval(secs => $7), until), until FROM found
            WHERE until > now() ORDER BY room_id, message_id
            ON CONFLICT DO NOTHING),
        news AS (
            SELECT room_id, min(seq) AS first_seq, max(seq) AS last_seq, min(at) FILTER (WHERE kind = $3) AS posted_at,
                bool_or(kind <> $3) AS has_ending, bool_or(until IS NOT NULL) AS has_urgent
            FROM found GROUP BY room_id)
        INSERT INTO notification_windows AS w (room_id, first_seq, last_seq, has_urgent, due_at)
        SELECT n.room_id, n.first_seq, n.last_seq, n.has_urgent, CASE
            WHEN n.has_ending THEN now()
            WHEN n.has_urgent OR r.room_type = 'direct' THEN n.posted_at
            ELSE n.posted_at + make_interval(secs => least($6::float8, (
                SELECT min(s.delay_seconds) FROM participants p CROSS JOIN LATERAL (
                    SELECT delay_seconds FROM notification_settings WHERE user_id = p.user_id LIMIT 1) s
                WHERE p.room_id = n.room_id AND p.left_at IS NULL))) END
        FROM news n CROSS JOIN LATERAL (SELECT room_type FROM rooms WHERE id = n.room_id LIMIT 1) r
        ORDER BY n.room_id
        ON CONFLICT (room_id) DO UPDATE SET first_seq = least(w.first_seq, excluded.first_seq),
            last_seq = greatest(w.last_seq, excluded.last_seq), due_at = least(w.due_at, excluded.due_at),
            has_urgent = w.has_urgent OR excluded.has_urgent";
    let rooms: Vec<Uuid> = events.iter().map(|event| event.room.0).collect();
    let seqs: Vec<i64> = events.iter().map(|event| event.seq.0).collect();
    let delay = f64::from(DELAY_SECONDS_DEFAULT);
    let (interval, duration) = (REPEAT_INTERVAL.as_seconds_f64(), REPEATED_FOR.as_seconds_f64());
    let params: [&(dyn ToSql + Sync); 8] =
        [&rooms, &seqs, &POSTED, &&ENDING[..], &AGE_DAYS_MAX, &delay, &interval, &duration];
    transaction.rows(EXTEND, &params).await?;
    Ok(())
}

/// Takes at most `limit` windows that are due, and locks them.
pub(super) async fn take_due(
    transaction: &WriteTransaction<'_>,
    limit: usize,
) -> Result<Vec<DueWindow>, StoreError> {
    const DUE: &str =
        "SELECT room_id, first_seq, last_seq, has_urgent FROM notification_windows WHERE due_at <= now()
        ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = transaction.rows(DUE, &[&limit]).await?;
    let window = |row: &Row| DueWindow {
        room: RoomId(row.get(0)),
        first: Seq(row.get(1)),
        last: Seq(row.get(2)),
        has_urgent: row.get(3),
    };
    Ok(rows.iter().map(window).collect())
}

/// Closes windows that were looked at, but for those that are to be looked at again.
pub(super) async fn close(
    transaction: &WriteTransaction<'_>,
    windows: &[DueWindow],
    again: &[NextLook],
) -> Result<(), StoreError> {
    const AGAIN: &str = "UPDATE notification_windows w SET first_seq = k.first_seq, due_at = k.due_at
        FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[]) k (room_id, first_seq, due_at)
        WHERE w.room_id = k.room_id AND w.room_id = ANY($1)";
    const CLOSE: &str = "DELETE FROM notification_windows WHERE room_id = ANY($1)";
    let rooms: Vec<Uuid> = again.iter().map(|look| look.room.0).collect();
    let firsts: Vec<i64> = again.iter().map(|look| look.first.0).collect();
    let times: Vec<DateTime<Utc>> = again.iter().map(|look| look.at).collect();
    let closed: Vec<Uuid> =
        windows.iter().map(|window| window.room.0).filter(|room| !rooms.contains(room)).collect();
    transaction.rows(AGAIN, &[&rooms, &firsts, &times]).await?;
    transaction.rows(CLOSE, &[&closed]).await.map(drop)
}

/// Has the windows of a user's rooms looked at now, because the user's settings have changed.
pub(super) async fn hurry(transaction: &WriteTransaction<'_>, user: i64) -> Result<(), StoreError> {
    const HURRY: &str = "WITH mine AS MATERIALIZED (
            SELECT room_id FROM notification_windows
            WHERE due_at > now() AND room_id = ANY (ARRAY(
                SELECT room_id FROM participants WHERE user_id = $1 AND left_at IS NULL))
            ORDER BY room_id FOR UPDATE)
        UPDATE notification_windows w SET due_at = now() FROM mine WHERE w.room_id = mine.room_id";
    transaction.rows(HURRY, &[&user]).await.map(drop)
}
