//! Single rooms as REST shows them, and counts over rooms. Lists of rooms are in `room_list.rs`.

use actors::domain::ids::{MessageId, RoomId, Seq, UserId};
use actors::domain::room::{Room, Subject};
use actors::ports::store::StoreError;
use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use uuid::Uuid;

use super::messages::{MessageDetails, page_columns, read_page};
use super::participants::{ParticipantDetails, roster};
use crate::store::postgres::PostgresStore;
use crate::store::postgres::pool::client::ReadClient;
use crate::store::postgres::rows::{
    ROOM_WIDTH, message_tables, room, room_columns, user_summary, user_summary_columns,
};
use crate::store::postgres::rules::{
    is_muted, is_visible, last_post, mention_count, timeline_count, unread_after, unread_count, user_name,
};
use crate::store::postgres::users::UserProfile;

/// A room with everything that REST shows of it.
#[derive(Clone, Debug)]
pub struct RoomDetails {
    /// The room itself.
    pub room: Room,
    /// Who created it.
    pub created_by: Option<UserProfile>,
    /// The name of the other user of a direct room.
    pub partner: Option<String>,
    /// Its current participants.
    pub participants: Vec<ParticipantDetails>,
    /// The newest message, if the viewer may see it.
    pub last_message: Option<MessageDetails>,
    /// When the viewer sent a message last, where slow mode is on.
    pub last_post: Option<DateTime<Utc>>,
    /// When all of this was read.
    pub read_at: DateTime<Utc>,
}

/// The result of looking a room up for a viewer.
#[derive(Clone, Debug)]
pub enum RoomLookup {
    /// The room doesn't exist or was deleted.
    NotFound,
    /// The viewer isn't in the room.
    Forbidden,
    /// The room.
    Found(Box<RoomDetails>),
}

/// Counts over a room, for one viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomStats {
    /// Undeleted messages that the viewer may see.
    pub message_count: i64,
    /// Current participants.
    pub participant_count: i64,
    /// Messages that the viewer hasn't read.
    pub unread_count: i64,
    /// When the newest message was sent, or the room created if the viewer sees none.
    pub last_message_at: DateTime<Utc>,
}

/// A room with its unread count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnreadRoom {
    /// The room.
    pub room: RoomId,
    /// The number of unread messages.
    pub unread: i64,
    /// How many of them mention the viewer.
    pub mentions: i64,
    /// Whether it is archived, so that it counts toward no total.
    pub is_archived: bool,
    /// Whether it counts toward the total; muted and archived rooms don't.
    pub counts_toward_total: bool,
}

impl PostgresStore {
    /// Reads a room for a viewer who is in it or, with `as_host`, for the host application if it is a task or
    /// property room.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn room_details(
        &self,
        viewer: Option<UserId>,
        as_host: bool,
        id: RoomId,
    ) -> Result<RoomLookup, StoreError> {
        const FIND: &str = concat!(
            "SELECT ",
            room_columns!(),
            ", r.created_by, ",
            user_summary_columns!(),
            ", coalesce(u.email, ''), r.last_message_id,
               EXISTS (SELECT FROM participants me
                       WHERE me.room_id = r.id AND me.user_id = $2 AND me.left_at IS NULL),
               (SELECT ",
            user_name!("other"),
            " FROM people other
                WHERE other.id = CASE WHEN r.pair_low = $2 THEN r.pair_high ELSE r.pair_low END),
               CASE WHEN r.slow_mode_seconds > 0 THEN ",
            last_post!("r.id", "$2"),
            " END, now()
             FROM rooms r LEFT JOIN people u ON u.id = r.created_by
             WHERE r.id = $1 AND r.deleted_at IS NULL"
        );
        let client = self.read_client().await?;
        let viewer_id = viewer.map(|viewer| viewer.0);
        let Some(row) = client.row(FIND, &[&id.0, &viewer_id]).await? else {
            return Ok(RoomLookup::NotFound);
        };
        let room = room(&row, 0);
        let is_in: bool = row.get(ROOM_WIDTH + 6);
        let is_host = as_host && room.room_type.is_host_managed();
        if !is_in && !is_host {
            return Ok(RoomLookup::Forbidden);
        }
        let participants = roster(&client, viewer, id).await?;
        let last: Option<Uuid> = row.get(ROOM_WIDTH + 5);
        let last_message = match last {
            Some(last) => last_message(&client, viewer, id, MessageId(last)).await?,
            None => None,
        };
        let created_by = room.created_by.map(|creator| UserProfile {
            summary: user_summary(&row, creator, ROOM_WIDTH + 1),
            email: row.get(ROOM_WIDTH + 4),
        });
        Ok(RoomLookup::Found(Box::new(RoomDetails {
            room,
            created_by,
            partner: row.get(ROOM_WIDTH + 7),
            participants,
            last_message,
            last_post: row.get(ROOM_WIDTH + 8),
            read_at: row.get(ROOM_WIDTH + 9),
        })))
    }

    /// Counts over a room for a viewer whose access to it has been checked.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn room_stats(&self, viewer: Option<UserId>, id: RoomId) -> Result<RoomStats, StoreError> {
        const FIND: &str = concat!(
            "SELECT ",
            timeline_count!(concat!("n.room_id = $1 AND ", is_visible!("n", "v"))),
            ", (SELECT count(*) FROM participants p WHERE p.room_id = $1 AND p.left_at IS NULL),
                 coalesce((SELECT ",
            unread_count!("me.room_id", unread_after!("me"), "me.user_id"),
            " FROM participants me WHERE me.room_id = $1 AND me.user_id = $2 AND me.left_at IS NULL), 0),
              (SELECT CASE WHEN r.last_message_seq >= v.visible_from_seq THEN r.last_message_at ELSE r.created_at END
               FROM rooms r WHERE r.id = $1)
              FROM (SELECT coalesce((SELECT visible_from_seq FROM participants
                        WHERE room_id = $1 AND user_id = $2 AND left_at IS NULL), 0) AS visible_from_seq) v"
        );
        let viewer = viewer.map(|viewer| viewer.0);
        let row = self.long_read_client().await?.row(FIND, &[&id.0, &viewer]).await?;
        let row = row.ok_or_else(|| StoreError::Unavailable("a count gave no row".into()))?;
        Ok(RoomStats {
            message_count: row.get(0),
            participant_count: row.get(1),
            unread_count: row.get(2),
            last_message_at: row.get(3),
        })
    }

    /// Reads the head of a room; `None`: the room doesn't exist or was deleted.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn room_head(&self, id: RoomId) -> Result<Option<Seq>, StoreError> {
        const FIND: &str = "SELECT head FROM rooms WHERE id = $1 AND deleted_at IS NULL";
        Ok(self.read_client().await?.row(FIND, &[&id.0]).await?.map(|row| Seq(row.get(0))))
    }

    /// Finds the room of a task or property.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn room_of_subject(&self, subject: Subject) -> Result<Option<RoomId>, StoreError> {
        const FIND: &str = "SELECT id FROM rooms WHERE deleted_at IS NULL AND (task = $1 OR property = $2)";
        let (task, property) = match subject {
            Subject::Task(id) => (Some(id), None),
            Subject::Property(id) => (None, Some(id)),
        };
        let row = self.read_client().await?.row(FIND, &[&task, &property]).await?;
        Ok(row.map(|row| RoomId(row.get(0))))
    }

    /// Lists the rooms that a user is in.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn room_ids_of(&self, user: UserId) -> Result<Vec<RoomId>, StoreError> {
        const FIND: &str = "SELECT me.room_id FROM participants me
            JOIN rooms r ON r.id = me.room_id AND r.deleted_at IS NULL
            WHERE me.user_id = $1 AND me.left_at IS NULL ORDER BY me.room_id";
        let rows = self.read_client().await?.rows(FIND, &[&user.0]).await?;
        Ok(rows.iter().map(|row| RoomId(row.get(0))).collect())
    }

    /// Lists the rooms that a user is in, with their unread counts.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn unread_rooms(&self, viewer: UserId) -> Result<Vec<UnreadRoom>, StoreError> {
        const FIND: &str = concat!(
            "SELECT me.room_id, ",
            unread_count!("me.room_id", unread_after!("me"), "me.user_id"),
            ", r.archived_at IS NULL AND NOT ",
            is_muted!("me"),
            ", r.archived_at IS NOT NULL, ",
            mention_count!("me.room_id", unread_after!("me"), "me.user_id"),
            " FROM participants me JOIN rooms r ON r.id = me.room_id AND r.deleted_at IS NULL
             WHERE me.user_id = $1 AND me.left_at IS NULL ORDER BY me.room_id"
        );
        let rows = self.long_read_client().await?.rows(FIND, &[&viewer.0]).await?;
        let unread = |row: &Row| UnreadRoom {
            room: RoomId(row.get(0)),
            unread: row.get(1),
            counts_toward_total: row.get(2),
            is_archived: row.get(3),
            mentions: row.get(4),
        };
        Ok(rows.iter().map(unread).collect())
    }
}

/// Reads the message `id` for a viewer whose access to its room has been checked.
async fn last_message(
    client: &ReadClient,
    viewer: Option<UserId>,
    room: RoomId,
    id: MessageId,
) -> Result<Option<MessageDetails>, StoreError> {
    const FIND: &str = concat!(
        "SELECT 0::bigint, NULL::bigint, ",
        page_columns!(),
        " FROM messages m ",
        message_tables!(),
        "WHERE m.room_id = $1 AND m.id = $2 AND m.deleted_at IS NULL
           AND coalesce((SELECT ",
        is_visible!("m", "me"),
        " FROM participants me WHERE me.room_id = m.room_id AND me.user_id = $3), true)"
    );
    // The host application reads as no user: user ids begin at 1.
    let viewer = viewer.unwrap_or(UserId(0));
    let rows = client.rows(FIND, &[&room.0, &id.0, &viewer.0]).await?;
    Ok(read_page(client, viewer, &rows).await?.messages.pop())
}
