//! Memberships that end by themselves.

use actors::domain::ids::{RoomId, UserId};
use actors::ports::store::StoreError;
use tokio_postgres::Row;

use crate::store::postgres::PostgresStore;

impl PostgresStore {
    /// Reads some of the memberships whose time is over, those that ended first before others.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn ended_memberships(&self, limit: i64) -> Result<Vec<(RoomId, UserId)>, StoreError> {
        const FIND: &str = "SELECT room_id, user_id FROM participants
            WHERE left_at IS NULL AND until <= now() ORDER BY until LIMIT $1";
        let rows = self.read_client().await?.rows(FIND, &[&limit]).await?;
        let membership = |row: &Row| (RoomId(row.get(0)), UserId(row.get(1)));
        Ok(rows.iter().map(membership).collect())
    }

    /// Forgets when a membership of a deleted room was to end: nobody is in that room any more.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn forget_end_of_membership(&self, room: RoomId, user: UserId) -> Result<(), StoreError> {
        const FORGET: &str = "UPDATE participants p SET until = NULL FROM rooms r
            WHERE p.room_id = $1 AND p.user_id = $2 AND r.id = p.room_id AND r.deleted_at IS NOT NULL";
        let mut client = self.background_write_client().await?;
        let transaction = client.begin().await?;
        transaction.rows(FORGET, &[&room.0, &user.0]).await?;
        transaction.commit().await
    }
}
