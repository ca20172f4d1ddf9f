//! Deletes moves of read marks that nobody needs any more.
//!
//! Rooms of up to [`RECEIPTS_LISTED_MAX`] participants list who has read a message and when. In rooms of more than
//! twice that size only each user's newest move is needed, for the feed, and older ones are deleted after a while.
//! If such a room shrinks, it shows the time of the newest move for older messages.

use std::time::Duration;

use actors::domain::ids::RoomId;
use actors::ports::store::StoreError;

use crate::store::postgres::PostgresStore;
use crate::store::postgres::queries::RECEIPTS_LISTED_MAX;

/// The size from which a room counts as large.
const LARGE_ROOM_MIN: i64 = 2 * RECEIPTS_LISTED_MAX + 1;
/// Rooms examined by one call.
const ROOMS_AT_ONCE: i64 = 200;
/// Moves deleted by one transaction, which takes some 10 ms.
const MOVES_AT_ONCE: i64 = 1_000;
/// Transactions for one room in one call.
const TRANSACTIONS_MAX: usize = 20;

impl PostgresStore {
    /// Deletes moves older than `age` that newer ones supersede, in some of the large rooms after `after`.
    /// Returns the room to continue after, or `None` at the end. A room where it fails is skipped.
    ///
    /// # Errors
    /// [`StoreError`] when the rooms can't be read.
    pub async fn delete_old_read_moves(
        &self,
        after: RoomId,
        age: Duration,
    ) -> Result<Option<RoomId>, StoreError> {
        // Jumps from room to room by the index, however many moves each has.
        const ROOMS: &str = "WITH RECURSIVE moved AS (
                (SELECT room_id, 1::bigint AS number FROM read_moves WHERE room_id > $1 ORDER BY room_id LIMIT 1)
                UNION ALL
                SELECT (SELECT v.room_id FROM read_moves v WHERE v.room_id > moved.room_id
                        ORDER BY v.room_id LIMIT 1), number + 1
                FROM moved WHERE moved.room_id IS NOT NULL AND number < $2)
            SELECT room_id, (SELECT count(*) FROM (SELECT FROM participants p
                WHERE p.room_id = moved.room_id AND p.left_at IS NULL LIMIT $3) p) = $3
            FROM moved WHERE room_id IS NOT NULL ORDER BY room_id";
        let rooms =
            self.read_client().await?.rows(ROOMS, &[&after.0, &ROOMS_AT_ONCE, &LARGE_ROOM_MIN]).await?;
        for room in rooms.iter().filter(|row| row.get(1)).map(|row| RoomId(row.get(0))) {
            if let Err(error) = self.delete_old_read_moves_of(room, age).await {
                tracing::warn!(%room, %error, "old moves of read marks can't be deleted");
            }
        }
        Ok(rooms.last().map(|row| RoomId(row.get(0))))
    }

    async fn delete_old_read_moves_of(&self, room: RoomId, age: Duration) -> Result<(), StoreError> {
        const DELETE: &str = "WITH deleted AS (
                DELETE FROM read_moves WHERE ctid = ANY (ARRAY(
                    SELECT v.ctid FROM read_moves v
                    WHERE v.room_id = $1 AND v.at < now() - make_interval(secs => $2) AND EXISTS (
                        SELECT FROM read_moves newer WHERE newer.room_id = v.room_id
                            AND newer.user_id = v.user_id AND newer.seq > v.seq)
                    LIMIT $3)) RETURNING 1)
            SELECT count(*) FROM deleted";
        let mut client = self.background_write_client().await?;
        for _ in 0..TRANSACTIONS_MAX {
            let transaction = client.begin().await?;
            let deleted = transaction.row(DELETE, &[&room.0, &age.as_secs_f64(), &MOVES_AT_ONCE]).await?;
            transaction.commit().await?;
            if deleted.is_none_or(|row| row.get::<_, i64>(0) < MOVES_AT_ONCE) {
                break;
            }
        }
        Ok(())
    }
}
