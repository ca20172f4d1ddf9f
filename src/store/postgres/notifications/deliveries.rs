//! Sending pushes: one node claims what is due, and settles what became of it.
//!
//! A claim is a lease. What a node that dies has claimed is sent by another one afterwards, once more at most, and takes
//! the place of the first.

use std::time::Duration;

use actors::domain::ids::{RoomId, UserId};
use actors::domain::notifications::Notification;
use actors::ports::store::StoreError;
use tokio_postgres::Row;
use uuid::Uuid;

use super::view::{SHOWN, details_of};
use crate::store::postgres::PostgresStore;

/// A push that this node has claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedPush {
    /// The subscription.
    pub subscription: Uuid,
    /// Whose it is.
    pub user: UserId,
    /// The room.
    pub room: RoomId,
    /// The notification that is shown or taken back.
    pub notification: Uuid,
    /// Whether it is taken back.
    pub is_withdrawal: bool,
    /// How often it was tried, this time included.
    pub attempts: u32,
    /// How long it has been waiting.
    pub age: Duration,
    /// Where to send it.
    pub endpoint: String,
    /// Whose service that is.
    pub origin: String,
    /// The browser's public key.
    pub p256dh: Vec<u8>,
    /// The browser's secret.
    pub auth: Vec<u8>,
    /// Whether the subscription is still good: its user is active and hasn't signed out.
    pub is_authorized: bool,
}

/// What became of a claimed push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushOutcome {
    /// The push service has taken it.
    Sent,
    /// There is nothing to show any more.
    Cancelled,
    /// It is given up.
    Failed,
    /// It is tried again after this time, as is everything else for the same subscription.
    Postponed(Duration),
}

impl PostgresStore {
    /// Claims at most `limit` pushes that are due, but for those to the services of `busy`. They are `claim`'s for as
    /// long as `lease`.
    ///
    /// # Errors
    /// [`StoreError`]; what was claimed without this node knowing lapses.
    pub async fn claim_pushes(
        &self,
        claim: Uuid,
        lease: Duration,
        limit: i64,
        busy: &[String],
    ) -> Result<Vec<ClaimedPush>, StoreError> {
        const IS_ANY_DUE: &str =
            "SELECT FROM push_deliveries WHERE state IN ('pending', 'sending') AND due_at <= now() LIMIT 1";
        const CLAIM: &str = "WITH due AS MATERIALIZED (
                SELECT d.subscription_id, d.room_id, s.user_id, s.endpoint, s.origin, s.p256dh, s.auth,
                    u.is_active AND (u.tokens_valid_from IS NULL
                            OR s.created_at >= to_timestamp(u.tokens_valid_from))
                        AND (s.family_id IS NULL OR EXISTS (
                            SELECT FROM token_families f WHERE f.id = s.family_id AND f.expires_at > now()))
                        AS is_authorized
                FROM push_deliveries d
                CROSS JOIN LATERAL (SELECT * FROM push_subscriptions WHERE id = d.subscription_id LIMIT 1) s
                CROSS JOIN LATERAL (SELECT * FROM people WHERE id = s.user_id LIMIT 1) u
                WHERE d.state IN ('pending', 'sending') AND d.due_at <= now() AND s.origin <> ALL($4)
                ORDER BY d.due_at LIMIT $3 FOR UPDATE OF d SKIP LOCKED)
            UPDATE push_deliveries d SET state = 'sending', claim = $1, attempts = d.attempts + 1,
                due_at = clock_timestamp() + make_interval(secs => $2)
            FROM due WHERE d.subscription_id = due.subscription_id AND d.room_id = due.room_id
            RETURNING d.subscription_id, due.user_id, d.room_id, d.notification_id, d.is_withdrawal, d.attempts,
                extract(epoch FROM clock_timestamp() - d.created_at)::float8, due.endpoint, due.origin, due.p256dh,
                due.auth, due.is_authorized";
        if self.read_client().await?.row(IS_ANY_DUE, &[]).await?.is_none() {
            return Ok(Vec::new());
        }
        let mut client = self.background_write_client().await?;
        let transaction = client.begin().await?;
        let rows = transaction.rows(CLAIM, &[&claim, &lease.as_secs_f64(), &limit, &busy]).await?;
        transaction.commit().await?;
        Ok(rows.iter().map(claimed_of).collect())
    }

    /// Settles a push that `claim` holds, unless what is to be sent has changed meanwhile.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn settle_push(
        &self,
        claim: Uuid,
        push: &ClaimedPush,
        outcome: PushOutcome,
    ) -> Result<(), StoreError> {
        const SETTLE: &str = "UPDATE push_deliveries SET state = $4, claim = NULL, finished_at = now(),
                is_shown = CASE WHEN $4 = 'sent' THEN NOT is_withdrawal ELSE is_shown END
            WHERE subscription_id = $1 AND room_id = $2 AND claim = $3";
        const CANCEL: &str = "DELETE FROM push_deliveries
            WHERE subscription_id = $1 AND room_id = $2 AND claim = $3 AND NOT is_shown";
        const POSTPONE: &str = "UPDATE push_deliveries SET state = 'pending', claim = NULL,
                due_at = clock_timestamp() + make_interval(secs => $4)
            WHERE subscription_id = $1 AND room_id = $2 AND claim = $3";
        // In the order in which pushes are put down.
        const LOCK: &str = "SELECT FROM push_deliveries
            WHERE subscription_id = $1 AND state IN ('pending', 'sending') ORDER BY room_id FOR UPDATE";
        // One answer speaks for everything that waits for the same subscription.
        const POSTPONE_OTHERS: &str = "UPDATE push_deliveries SET
                due_at = greatest(due_at, clock_timestamp() + make_interval(secs => $2))
            WHERE subscription_id = $1 AND state = 'pending'";
        let mut client = self.background_write_client().await?;
        let transaction = client.begin().await?;
        let (subscription, room) = (&push.subscription, &push.room.0);
        match outcome {
            PushOutcome::Sent => {
                transaction.rows(SETTLE, &[subscription, room, &claim, &"sent"]).await?;
            }
            PushOutcome::Failed => {
                transaction.rows(SETTLE, &[subscription, room, &claim, &"failed"]).await?;
            }
            PushOutcome::Cancelled => {
                transaction.rows(CANCEL, &[subscription, room, &claim]).await?;
                transaction.rows(SETTLE, &[subscription, room, &claim, &"failed"]).await?;
            }
            PushOutcome::Postponed(pause) => {
                let pause = pause.as_secs_f64();
                transaction.rows(LOCK, &[subscription]).await?;
                transaction.rows(POSTPONE, &[subscription, room, &claim, &pause]).await?;
                transaction.rows(POSTPONE_OTHERS, &[subscription, &pause]).await?;
            }
        }
        transaction.commit().await
    }

    /// Reads a notification as it is to be shown now, and the number of messages that its user hasn't read, over all
    /// rooms that count.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn push_content(
        &self,
        user: UserId,
        notification: Uuid,
    ) -> Result<(Option<Notification>, i64), StoreError> {
        let rows = self.read_client().await?.rows(SHOWN, &[&user.0, &[notification].as_slice()]).await?;
        let shown = rows.first().and_then(|row| details_of(row, 0)).map(|details| details.notification);
        let rooms = self.unread_rooms(user).await?;
        Ok((shown, rooms.iter().filter(|room| room.counts_toward_total).map(|room| room.unread).sum()))
    }
}

fn claimed_of(row: &Row) -> ClaimedPush {
    ClaimedPush {
        subscription: row.get(0),
        user: UserId(row.get(1)),
        room: RoomId(row.get(2)),
        notification: row.get(3),
        is_withdrawal: row.get(4),
        attempts: u32::try_from(row.get::<_, i32>(5)).unwrap_or(u32::MAX),
        age: Duration::try_from_secs_f64(row.get(6)).unwrap_or_default(),
        endpoint: row.get(7),
        origin: row.get(8),
        p256dh: row.get(9),
        auth: row.get(10),
        is_authorized: row.get(11),
    }
}
