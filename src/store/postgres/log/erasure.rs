//! Erasing everything that a user has written.

use actors::domain::ids::{MessageId, RoomId, Seq, UserId};
use actors::domain::message::RemovedBy;
use actors::ports::store::StoreError;
use tokio_postgres::Row;
use uuid::Uuid;

use super::feature_tables;
use super::statements::{DELETE_FILES, LOCK_FILES};
use crate::store::postgres::PostgresStore;
use crate::store::postgres::pool::client::WriteTransaction;

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
                SELECT id, file_id, extras FROM messages
                WHERE room_id = $1 AND sender_id = $2 AND deleted_at IS NULL ORDER BY seq LIMIT $3),
            updated AS (
                UPDATE messages SET content = '', file_id = NULL, attachment_name = NULL,
                    attachment_size = NULL, extras = NULL, deleted_at = now()
                WHERE room_id = $1 AND id = ANY (ARRAY(SELECT id FROM erased)))
            SELECT id, file_id, ARRAY(SELECT (file ->> 'file')::uuid
                FROM jsonb_array_elements(extras -> 'more_files') file) FROM erased";
        let rooms = self.read_client().await?.rows(ROOMS, &[&sender.0]).await?;
        let mut client = self.background_write_client().await?;
        for room in rooms.iter().map(|row| row.get::<_, Uuid>(0)) {
            loop {
                let transaction = client.begin().await?;
                let erased = transaction.rows(ERASE, &[&room, &sender.0, &ERASED_AT_ONCE]).await?;
                erase_what_belongs_to(&transaction, room, &erased).await?;
                transaction.commit().await?;
                if erased.is_empty() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Erases a message of a deleted room that a rule doesn't keep any longer, unless a hold is on the room.
    ///
    /// # Errors
    /// [`StoreError`]; doing it again is safe.
    pub async fn expire_in_deleted_room(&self, room: RoomId, message: MessageId) -> Result<(), StoreError> {
        const LOCK: &str = "SELECT FROM rooms WHERE id = $1 AND NOT is_held FOR NO KEY UPDATE";
        const ERASE: &str = "WITH expired AS MATERIALIZED (
                SELECT id, file_id, extras FROM messages WHERE room_id = $1 AND id = $2 AND deleted_at IS NULL),
            updated AS (
                UPDATE messages SET content = '', file_id = NULL, attachment_name = NULL,
                    attachment_size = NULL, extras = NULL, deleted_at = now(), removed_by = $3
                WHERE room_id = $1 AND id = ANY (ARRAY(SELECT id FROM expired)))
            SELECT id, file_id, ARRAY(SELECT (file ->> 'file')::uuid
                FROM jsonb_array_elements(extras -> 'more_files') file) FROM expired";
        let mut client = self.background_write_client().await?;
        let transaction = client.begin().await?;
        if transaction.row(LOCK, &[&room.0]).await?.is_none() {
            return Ok(());
        }
        let removed_by = RemovedBy::Retention.as_str();
        let expired = transaction.rows(ERASE, &[&room.0, &message.0, &removed_by]).await?;
        erase_what_belongs_to(&transaction, room.0, &expired).await?;
        transaction.commit().await
    }
}

/// Erases what features keep of messages of one room, and their files unless other messages carry them. Each row has the
/// message, its first file and its other ones.
async fn erase_what_belongs_to(
    transaction: &WriteTransaction<'_>,
    room: Uuid,
    erased: &[Row],
) -> Result<(), StoreError> {
    let rooms = vec![room; erased.len()];
    let ids: Vec<Uuid> = erased.iter().map(|row| row.get(0)).collect();
    for removal in feature_tables::removals_with_messages() {
        transaction.rows(removal, &[&rooms, &ids]).await?;
    }
    let firsts = erased.iter().filter_map(|row| row.get::<_, Option<Uuid>>(1));
    let others = erased.iter().flat_map(|row| row.get::<_, Vec<Uuid>>(2));
    let mut files: Vec<Uuid> = firsts.chain(others).collect();
    // In the order in which files are locked; other messages may carry them.
    files.sort_unstable();
    transaction.rows(LOCK_FILES, &[&files]).await?;
    transaction.rows(DELETE_FILES, &[&files]).await.map(drop)
}
