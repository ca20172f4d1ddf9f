//! Erasing everything that a user has written.

use actors::domain::ids::{MessageId, RoomId, Seq, UserId};
use actors::ports::store::StoreError;
use uuid::Uuid;

use super::feature_tables;
use super::statements::{DELETE_FILES, LOCK_FILES};
use crate::store::postgres::PostgresStore;

/// Messages erased by one transaction, which takes some 10 ms.
const ERASED_AT_ONCE: i64 = 500;

/// The rooms that the user `$1` is or was in. Each half has its own index.
macro_rules! memberships {
    () => {
        "(SELECT room_id FROM participants WHERE user_id = $1 AND left_at IS NULL UNION ALL
          SELECT room_id FROM participants WHERE user_id = $1 AND left_at IS NOT NULL)"
    };
}

impl PostgresStore {
    /// Lists at most `limit` undeleted messages of one user after `after`, ordered by room and position, for
    /// erasing them. Leaves out deleted rooms.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn messages_of_sender(
        &self,
        sender: UserId,
        after: (RoomId, Seq),
        limit: i64,
    ) -> Result<Vec<(RoomId, Seq, MessageId)>, StoreError> {
        const FIND: &str = concat!(
            "SELECT p.room_id, m.seq, m.id FROM ",
            memberships!(),
            " p JOIN rooms r ON r.id = p.room_id AND r.deleted_at IS NULL
              CROSS JOIN LATERAL (
                  SELECT m.seq, m.id FROM messages m
                  WHERE m.room_id = p.room_id AND m.sender_id = $1 AND m.deleted_at IS NULL
                    AND m.seq > CASE WHEN p.room_id = $2 THEN $3::bigint ELSE 0 END
                  ORDER BY m.seq LIMIT $4) m
              WHERE p.room_id >= $2 ORDER BY p.room_id, m.seq LIMIT $4"
        );
        let rows = self.read_client().await?.rows(FIND, &[&sender.0, &after.0.0, &after.1.0, &limit]).await?;
        Ok(rows.iter().map(|row| (RoomId(row.get(0)), Seq(row.get(1)), MessageId(row.get(2)))).collect())
    }

    /// Erases what one user wrote in deleted rooms, which commands can't change any more. The search index has nothing
    /// of such a room once it has consumed the room's last event.
    ///
    /// # Errors
    /// [`StoreError`]; doing it again is safe.
    pub async fn erase_messages_in_deleted_rooms(&self, sender: UserId) -> Result<(), StoreError> {
        const ROOMS: &str = concat!(
            "SELECT p.room_id FROM ",
            memberships!(),
            " p JOIN rooms r ON r.id = p.room_id AND r.deleted_at IS NOT NULL
              WHERE EXISTS (SELECT FROM messages m
                  WHERE m.room_id = p.room_id AND m.sender_id = $1 AND m.deleted_at IS NULL)"
        );
        // Rows are looked up by key, whatever the planner thinks of the tables' sizes.
        const ERASE: &str = "WITH erased AS MATERIALIZED (
                SELECT id, file_id FROM messages
                WHERE room_id = $1 AND sender_id = $2 AND deleted_at IS NULL ORDER BY seq LIMIT $3),
            updated AS (
                UPDATE messages SET content = '', file_id = NULL, attachment_name = NULL,
                    attachment_size = NULL, extras = NULL, deleted_at = now()
                WHERE room_id = $1 AND id = ANY (ARRAY(SELECT id FROM erased)))
            SELECT id, file_id FROM erased";
        let rooms = self.read_client().await?.rows(ROOMS, &[&sender.0]).await?;
        let mut client = self.background_write_client().await?;
        for room in rooms.iter().map(|row| row.get::<_, Uuid>(0)) {
            loop {
                let transaction = client.begin().await?;
                let erased = transaction.rows(ERASE, &[&room, &sender.0, &ERASED_AT_ONCE]).await?;
                let rooms = vec![room; erased.len()];
                let ids: Vec<Uuid> = erased.iter().map(|row| row.get(0)).collect();
                for removal in feature_tables::removals_with_messages() {
                    transaction.rows(removal, &[&rooms, &ids]).await?;
                }
                let mut files: Vec<Uuid> = erased.iter().filter_map(|row| row.get(1)).collect();
                // In the order in which files are locked; other messages may carry them.
                files.sort_unstable();
                transaction.rows(LOCK_FILES, &[&files]).await?;
                transaction.rows(DELETE_FILES, &[&files]).await?;
                transaction.commit().await?;
                if erased.is_empty() {
                    break;
                }
            }
        }
        Ok(())
    }
}
