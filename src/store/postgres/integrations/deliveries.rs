//! The list of what was sent to a webhook.

use std::time::Duration;

use actors::domain::ids::{RoomId, Seq};
use actors::ports::store::StoreError;
use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::store::postgres::pool::client::WriteTransaction;
use crate::store::postgres::{LogEvent, PostgresStore};

/// Deliveries that one call forgets.
const FORGOTTEN_AT_ONCE: i64 = 10_000;

/// What became of an event that was sent to a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The room.
    pub room: RoomId,
    /// The event's position.
    pub seq: Seq,
    /// Its kind, as the log names it.
    pub kind: String,
    /// Where it was sent last.
    pub url: String,
    /// `delivered`, `retrying` or `given_up`.
    pub state: String,
    /// How often it was sent.
    pub attempts: i32,
    /// When it was sent first.
    pub first_at: DateTime<Utc>,
    /// When it was sent last.
    pub last_at: DateTime<Utc>,
    /// When it is sent again.
    pub next_at: Option<DateTime<Utc>>,
    /// How long the last answer took, in milliseconds.
    pub duration_ms: i32,
    /// The status of the last answer; none without one.
    pub status: Option<i32>,
    /// The start of its body.
    pub answer: String,
    /// Why there was none; empty where there was.
    pub error: String,
}

impl PostgresStore {
    /// Lists what was sent to a webhook, the newest first, with the number of all.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn webhook_deliveries(
        &self,
        webhook: Uuid,
        limit: i64,
        offset: i64,
    ) -> Result<(i64, Vec<Delivery>), StoreError> {
        const COUNT: &str = "SELECT count(*) FROM webhook_deliveries WHERE webhook_id = $1";
        const LIST: &str =
            "SELECT d.room_id, d.seq, d.kind, d.url, d.state, d.attempts, d.first_at, d.last_at,
                CASE WHEN d.state = 'retrying' AND w.state = 'active' AND l.sent < d.seq THEN l.due_at END,
                d.duration_ms, d.status, d.answer, d.error
            FROM (SELECT * FROM webhook_deliveries WHERE webhook_id = $1
                ORDER BY last_at DESC, room_id, seq LIMIT $2 OFFSET $3) d
            LEFT JOIN webhook_lanes l ON l.webhook_id = d.webhook_id AND l.room_id = d.room_id
            LEFT JOIN webhooks w ON w.id = d.webhook_id
            ORDER BY d.last_at DESC, d.room_id, d.seq";
        let client = self.long_read_client().await?;
        let count = client.row(COUNT, &[&webhook]).await?.map_or(0, |row| row.get(0));
        let rows = client.rows(LIST, &[&webhook, &limit, &offset]).await?;
        Ok((count, rows.iter().map(delivery_of).collect()))
    }

    /// Forgets some of what was sent longer than `age` ago. Returns whether there may be more.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn forget_deliveries(&self, age: Duration) -> Result<bool, StoreError> {
        const FORGET: &str = "WITH deleted AS (
                DELETE FROM webhook_deliveries WHERE ctid = ANY (ARRAY(
                    SELECT ctid FROM webhook_deliveries WHERE last_at < now() - make_interval(secs => $1)
                    ORDER BY last_at LIMIT $2 FOR UPDATE SKIP LOCKED)) RETURNING 1)
            SELECT count(*) >= $2 FROM deleted";
        let mut client = self.background_write_client().await?;
        let transaction = client.begin().await?;
        let deleted = transaction.row(FORGET, &[&age.as_secs_f64(), &FORGOTTEN_AT_ONCE]).await?;
        transaction.commit().await?;
        Ok(deleted.is_some_and(|row| row.get(0)))
    }
}

fn delivery_of(row: &Row) -> Delivery {
    Delivery {
        room: RoomId(row.get(0)),
        seq: Seq(row.get(1)),
        kind: row.get(2),
        url: row.get(3),
        state: row.get(4),
        attempts: row.get(5),
        first_at: row.get(6),
        last_at: row.get(7),
        next_at: row.get(8),
        duration_ms: row.get(9),
        status: row.get(10),
        answer: row.get(11),
        error: row.get(12),
    }
}

/// Erases what answers may repeat of messages that are deleted by `events`.
pub(super) async fn erase_answers(
    transaction: &WriteTransaction<'_>,
    events: &[LogEvent],
) -> Result<(), StoreError> {
    const ERASE: &str = "UPDATE webhook_deliveries SET answer = '' WHERE ctid = ANY (ARRAY(
        SELECT d.ctid FROM unnest($1::uuid[], $2::uuid[]) k (room_id, id)
        CROSS JOIN LATERAL (SELECT room_id, id FROM messages
            WHERE room_id = k.room_id AND id = k.id AND deleted_at IS NOT NULL LIMIT 1) m
        CROSS JOIN LATERAL (SELECT ctid FROM webhook_deliveries
            WHERE room_id = m.room_id AND message_id = m.id AND answer <> '' FOR UPDATE) d))";
    let messages = events.iter().filter_map(|event| Some((event.room.0, event.message?.0)));
    let (rooms, messages): (Vec<Uuid>, Vec<Uuid>) = messages.unzip();
    if !messages.is_empty() {
        transaction.rows(ERASE, &[&rooms, &messages]).await?;
    }
    Ok(())
}
