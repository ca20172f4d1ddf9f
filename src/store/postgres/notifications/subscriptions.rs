//! Where browsers wait for pushes, and the key that these are signed with.

use actors::domain::ids::UserId;
use actors::ports::store::StoreError;
use uuid::Uuid;

use crate::store::postgres::PostgresStore;
use crate::store::postgres::pool::client::WriteTransaction;

/// The most subscriptions of one user: the oldest one gives way to a new one.
pub const SUBSCRIPTIONS_MAX: i64 = 20;

/// A subscription of a browser.
#[derive(Clone, Copy, Debug)]
pub struct NewPushSubscription<'a> {
    /// Where to send pushes.
    pub endpoint: &'a str,
    /// Whose service that is.
    pub origin: &'a str,
    /// The browser's public key, an uncompressed point.
    pub p256dh: &'a [u8],
    /// The browser's secret.
    pub auth: &'a [u8],
    /// The sign-in that the subscription ends with.
    pub family: Option<Uuid>,
}

impl PostgresStore {
    /// Returns the private key that pushes are signed with: `made`, at the first call of all nodes.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn vapid_key(&self, made: &[u8]) -> Result<Vec<u8>, StoreError> {
        const KEEP: &str = "UPDATE installation SET vapid_key = $1 WHERE vapid_key IS NULL";
        const FIND: &str = "SELECT vapid_key FROM installation";
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        let mut found: Option<Vec<u8>> = transaction.row(FIND, &[]).await?.and_then(|row| row.get(0));
        if found.is_none() {
            // Of several nodes that come at once, one keeps its key.
            transaction.rows(KEEP, &[&made]).await?;
            found = transaction.row(FIND, &[]).await?.and_then(|row| row.get(0));
        }
        transaction.commit().await?;
        found.ok_or_else(|| StoreError::Unavailable("the key of pushes is not stored".into()))
    }

    /// Stores a subscription. An endpoint that is known keeps its id and becomes this user's: it is one browser.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn add_push_subscription(
        &self,
        user: UserId,
        new: NewPushSubscription<'_>,
    ) -> Result<Uuid, StoreError> {
        const UPSERT: &str = "INSERT INTO push_subscriptions (id, user_id, endpoint, origin, p256dh, auth, family_id)
            VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (endpoint) DO UPDATE SET user_id = excluded.user_id,
                p256dh = excluded.p256dh, auth = excluded.auth, family_id = excluded.family_id, created_at = now()
            RETURNING id";
        // What an earlier user of the browser was to be sent is nobody else's.
        const FOREIGN: &str = "DELETE FROM push_deliveries WHERE subscription_id = ANY (ARRAY(
                SELECT id FROM push_subscriptions WHERE endpoint = $1 AND user_id <> $2))";
        const EXCESS: &str = "SELECT id FROM push_subscriptions WHERE user_id = $1
            ORDER BY created_at DESC, id DESC OFFSET $2";
        let NewPushSubscription { endpoint, origin, p256dh, auth, family } = new;
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        transaction.rows(FOREIGN, &[&endpoint, &user.0]).await?;
        let id = Uuid::now_v7();
        let stored =
            transaction.row(UPSERT, &[&id, &user.0, &endpoint, &origin, &p256dh, &auth, &family]).await?;
        let excess = transaction.rows(EXCESS, &[&user.0, &SUBSCRIPTIONS_MAX]).await?;
        let excess: Vec<Uuid> = excess.iter().map(|row| row.get(0)).collect();
        remove(&transaction, &excess).await?;
        transaction.commit().await?;
        Ok(stored.map_or(id, |row| row.get(0)))
    }

    /// Ends a subscription of a user. Returns whether there was one.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn delete_push_subscription(&self, user: UserId, id: Uuid) -> Result<bool, StoreError> {
        const FIND: &str = "SELECT FROM push_subscriptions WHERE id = $2 AND user_id = $1";
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        let is_found = transaction.row(FIND, &[&user.0, &id]).await?.is_some();
        if is_found {
            remove(&transaction, &[id]).await?;
        }
        transaction.commit().await?;
        Ok(is_found)
    }

    /// Ends a subscription that its push service no longer knows, or that nothing may be sent to any more.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn end_push_subscription(&self, id: Uuid) -> Result<(), StoreError> {
        let mut client = self.background_write_client().await?;
        let transaction = client.begin().await?;
        remove(&transaction, &[id]).await?;
        transaction.commit().await
    }
}

async fn remove(transaction: &WriteTransaction<'_>, ids: &[Uuid]) -> Result<(), StoreError> {
    const SUBSCRIPTIONS: &str = "DELETE FROM push_subscriptions WHERE id = ANY($1)";
    const DELIVERIES: &str = "DELETE FROM push_deliveries WHERE subscription_id = ANY($1)";
    transaction.rows(SUBSCRIPTIONS, &[&ids]).await?;
    transaction.rows(DELIVERIES, &[&ids]).await.map(drop)
}
