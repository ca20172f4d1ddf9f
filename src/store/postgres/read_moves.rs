//! Takes away moves of read marks that nobody asks for any more.
//!
//! When someone had read what is told in rooms of up to [`READERS_TOLD_MAX`] people. Of a person in a room
//! of more than twice as many only the newest move is needed, which the feed tells; the others go after a
//! while. Should such a room become a small one, it tells the time of the newest move for older messages.

use std::time::Duration;

use actors::domain::ids::RoomId;
use actors::ports::store::StoreError;

use super::PostgresStore;
use super::messages::READERS_TOLD_MAX;

/// From how many people on a room counts as large here.
const PEOPLE_MIN: i64 = 2 * READERS_TOLD_MAX + 1;
/// Rooms of one round.
const ROOMS_AT_ONCE: i64 = 200;
/// Moves that one transaction takes away: some ten milliseconds.
const MOVES_AT_ONCE: i64 = 1_000;
/// Transactions for one room in one round.
const PIECES_MAX: usize = 20;

impl PostgresStore {
    /// Takes away moves older than `age` that newer ones cover, in some large rooms after `after`. Gives the
    /// room to go on after; none when there is none left. A room where that fails is left for the next time.
    ///
    /// # Errors
    /// [`StoreError`] when the rooms can't be read.
    pub async fn forget_read_moves(
        &self,
        after: RoomId,
        age: Duration,
    ) -> Result<Option<RoomId>, StoreError> {
        // From room to room by the index, however many moves each has.
        const ROOMS: &str = "WITH RECURSIVE moved AS (
                (SELECT room_id, 1::bigint AS number FROM read_moves WHERE room_id > $1 ORDER BY room_id LIMIT 1)
                UNION ALL
                SELECT (SELECT v.room_id FROM read_moves v WHERE v.room_id > moved.room_id
                        ORDER BY v.room_id LIMIT 1), number + 1
                FROM moved WHERE moved.room_id IS NOT NULL AND number < $2)
            SELECT room_id, (SELECT count(*) FROM (SELECT FROM participants p
                WHERE p.room_id = moved.room_id AND p.left_at IS NULL LIMIT $3) p) = $3
            FROM moved WHERE room_id IS NOT NULL ORDER BY room_id";
        let rooms = self.reader().await?.rows(ROOMS, &[&after.0, &ROOMS_AT_ONCE, &PEOPLE_MIN]).await?;
        for room in rooms.iter().filter(|row| row.get(1)).map(|row| RoomId(row.get(0))) {
            if let Err(error) = self.forget_read_moves_of(room, age).await {
                tracing::warn!(%room, %error, "old moves of read marks stay");
            }
        }
        Ok(rooms.last().map(|row| RoomId(row.get(0))))
    }

    async fn forget_read_moves_of(&self, room: RoomId, age: Duration) -> Result<(), StoreError> {
        const FORGET: &str = "WITH gone AS (
                DELETE FROM read_moves WHERE ctid = ANY (ARRAY(
                    SELECT v.ctid FROM read_moves v
                    WHERE v.room_id = $1 AND v.at < now() - make_interval(secs => $2) AND EXISTS (
                        SELECT FROM read_moves newer WHERE newer.room_id = v.room_id
                            AND newer.user_id = v.user_id AND newer.seq > v.seq)
                    LIMIT $3)) RETURNING 1)
            SELECT count(*) FROM gone";
        let mut client = self.background_writer().await?;
        for _ in 0..PIECES_MAX {
            let writer = client.begin().await?;
            let gone = writer.row(FORGET, &[&room.0, &age.as_secs_f64(), &MOVES_AT_ONCE]).await?;
            writer.commit().await?;
            if gone.is_none_or(|row| row.get::<_, i64>(0) < MOVES_AT_ONCE) {
                break;
            }
        }
        Ok(())
    }
}
