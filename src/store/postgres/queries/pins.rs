//! The pinned messages of a room.

use actors::domain::ids::{RoomId, UserId};
use actors::ports::store::StoreError;

use super::{MessagePage, page_columns, read_page};
use crate::store::postgres::PostgresStore;
use crate::store::postgres::rows::message_tables;
use crate::store::postgres::rules::is_visible;

impl PostgresStore {
    /// Reads a page of the pinned messages of a room, the one that was pinned last first. Who isn't in the room
    /// sees none of them, unless `sees_all`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn pinned_messages(
        &self,
        viewer: UserId,
        room: RoomId,
        sees_all: bool,
        limit: i64,
        offset: i64,
    ) -> Result<MessagePage, StoreError> {
        const FIND: &str = concat!(
            "WITH shown AS MATERIALIZED (
                 SELECT p.room_id, p.message_id, p.seq FROM pins p
                 CROSS JOIN LATERAL (SELECT seq, deleted_at FROM messages
                     WHERE room_id = p.room_id AND id = p.message_id LIMIT 1) m
                 WHERE p.room_id = $2 AND m.deleted_at IS NULL AND coalesce((SELECT ",
            is_visible!("m", "me"),
            " FROM participants me WHERE me.room_id = $2 AND me.user_id = $1 AND me.left_at IS NULL), $3))
             SELECT (SELECT count(*) FROM shown), r.head, ",
            page_columns!(),
            " FROM rooms r
              LEFT JOIN (SELECT * FROM shown ORDER BY seq DESC LIMIT $4 OFFSET $5) pin ON true
              LEFT JOIN messages m ON m.room_id = pin.room_id AND m.id = pin.message_id",
            message_tables!(),
            "WHERE r.id = $2 AND r.deleted_at IS NULL ORDER BY pin.seq DESC"
        );
        let client = self.read_client().await?;
        let rows = client.rows(FIND, &[&viewer.0, &room.0, &sees_all, &limit, &offset]).await?;
        read_page(&client, viewer, &rows).await
    }
}
