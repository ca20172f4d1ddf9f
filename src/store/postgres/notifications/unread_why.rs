//! Which rooms make a user's badge.

use actors::domain::ids::{MessageId, RoomId, Seq, UserId};
use actors::ports::store::StoreError;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::store::postgres::PostgresStore;
use crate::store::postgres::rules::{display_name, is_muted, mention_count, unread_after, unread_count};

/// The most rooms that are named.
const ROOMS_MAX: i64 = 500;

/// A room with messages that its user hasn't read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadReasons {
    /// The room.
    pub room: RoomId,
    /// Its name, as the user sees it.
    pub display_name: String,
    /// How many messages are unread.
    pub unread: i64,
    /// How many of them mention the user.
    pub mentions: i64,
    /// The first of them, and its position.
    pub first: Option<(MessageId, Seq)>,
    /// Whether the room is muted.
    pub is_muted: bool,
    /// Whether it is archived.
    pub is_archived: bool,
    /// Whether the user has marked it as unread.
    pub is_marked_unread: bool,
}

impl PostgresStore {
    /// Lists the rooms in which a user has unread messages, the latest activity first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn unread_reasons(&self, user: UserId) -> Result<Vec<UnreadReasons>, StoreError> {
        const FIND: &str = concat!(
            "SELECT c.room_id, ",
            display_name!("r", "w"),
            ", c.unread, c.mentions, f.id, f.seq, c.is_muted, r.archived_at IS NOT NULL, c.is_marked
             FROM (
                 SELECT p.room_id, k.mark, ",
            is_muted!("p"),
            " AS is_muted, p.unread_from IS NOT NULL AS is_marked, ",
            unread_count!("p.room_id", "k.mark", "p.user_id"),
            " AS unread, ",
            mention_count!("p.room_id", "k.mark", "p.user_id"),
            " AS mentions
                 FROM participants p CROSS JOIN LATERAL (SELECT ",
            unread_after!("p"),
            " AS mark) k WHERE p.user_id = $1 AND p.left_at IS NULL OFFSET 0) c
             CROSS JOIN LATERAL (SELECT * FROM rooms WHERE id = c.room_id AND deleted_at IS NULL LIMIT 1) r
             LEFT JOIN LATERAL (SELECT o.* FROM people o
                 WHERE o.id = CASE WHEN r.pair_low = $1 THEN r.pair_high ELSE r.pair_low END LIMIT 1) w ON true
             LEFT JOIN LATERAL (SELECT m.id, m.seq FROM messages m
                 WHERE m.room_id = c.room_id AND m.seq > c.mark AND m.sender_id <> $1 AND m.deleted_at IS NULL
                     AND m.in_timeline ORDER BY m.seq LIMIT 1) f ON true
             WHERE c.unread > 0 OR c.mentions > 0 ORDER BY r.modified_at DESC, r.id LIMIT $2"
        );
        let rows = self.long_read_client().await?.rows(FIND, &[&user.0, &ROOMS_MAX]).await?;
        Ok(rows.iter().map(unread_of).collect())
    }
}

fn unread_of(row: &Row) -> UnreadReasons {
    let first = row.get::<_, Option<Uuid>>(4).map(MessageId);
    UnreadReasons {
        room: RoomId(row.get(0)),
        display_name: row.get(1),
        unread: row.get(2),
        mentions: row.get(3),
        first: first.zip(row.get::<_, Option<i64>>(5).map(Seq)),
        is_muted: row.get(6),
        is_archived: row.get(7),
        is_marked_unread: row.get(8),
    }
}
