//! Puts down what browsers are to be sent, in the transaction that tells or withdraws. `deliveries.rs` sends it.

use actors::domain::ids::{RoomId, UserId};
use actors::ports::store::StoreError;
use uuid::Uuid;

use crate::store::postgres::pool::client::WriteTransaction;

/// A notification that its user is told of.
#[derive(Clone, Copy, Debug)]
pub(super) struct ToldNotification {
    pub(super) id: Uuid,
    pub(super) user: UserId,
    pub(super) room: RoomId,
}

/// Has notifications pushed to all subscriptions of their users. Where a push service has asked to wait, the newest
/// notification waits in place of the older one.
pub(super) async fn push(
    transaction: &WriteTransaction<'_>,
    told: &[ToldNotification],
) -> Result<(), StoreError> {
    const PUSH: &str =
        "INSERT INTO push_deliveries AS d (subscription_id, room_id, notification_id, due_at, created_at)
        SELECT s.id, k.room_id, k.notification_id, now(), now()
        FROM unnest($1::bigint[], $2::uuid[], $3::uuid[]) k (user_id, room_id, notification_id)
        CROSS JOIN LATERAL (SELECT id FROM push_subscriptions WHERE user_id = k.user_id OFFSET 0) s
        ORDER BY s.id, k.room_id
        ON CONFLICT (subscription_id, room_id) DO UPDATE SET notification_id = excluded.notification_id,
            is_withdrawal = false, state = 'pending', claim = NULL, finished_at = NULL,
            due_at = CASE WHEN d.state = 'pending' THEN greatest(d.due_at, now()) ELSE now() END,
            attempts = CASE WHEN d.state = 'pending' THEN d.attempts ELSE 0 END, created_at = now()";
    let users: Vec<i64> = told.iter().map(|told| told.user.0).collect();
    let rooms: Vec<Uuid> = told.iter().map(|told| told.room.0).collect();
    let ids: Vec<Uuid> = told.iter().map(|told| told.id).collect();
    transaction.rows(PUSH, &[&users, &rooms, &ids]).await.map(drop)
}

/// Has notifications taken back where a browser may show them, and not sent where they weren't yet.
pub(super) async fn withdraw(transaction: &WriteTransaction<'_>, ids: &[Uuid]) -> Result<(), StoreError> {
    const FORGET: &str = "DELETE FROM push_deliveries
        WHERE notification_id = ANY($1) AND NOT is_withdrawal AND NOT is_shown AND state IN ('pending', 'failed')";
    const WITHDRAW: &str = "UPDATE push_deliveries SET is_withdrawal = true, state = 'pending', claim = NULL,
            due_at = now(), attempts = 0, created_at = now(), finished_at = NULL
        WHERE notification_id = ANY($1) AND NOT is_withdrawal";
    if ids.is_empty() {
        return Ok(());
    }
    transaction.rows(FORGET, &[&ids]).await?;
    transaction.rows(WITHDRAW, &[&ids]).await.map(drop)
}
