//! Rooms as REST shows them: one in full, and what they add up to. Lists of them are in `room_pages.rs`.

use actors::domain::ids::{MessageId, RoomId, Seq, UserId};
use actors::domain::room::{Room, Subject};
use actors::ports::store::StoreError;
use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use uuid::Uuid;

use super::PostgresStore;
use super::messages::{ReadMessage, page_columns, page_of};
use super::participants::{SeenParticipant, roster};
use super::people::Profile;
use super::rows::{author, author_columns, message_columns, message_tables, room, room_columns};

/// A room with all that REST shows of it.
#[derive(Clone, Debug)]
pub struct FullRoom {
    /// The room.
    pub room: Room,
    /// Who made it.
    pub created_by: Option<Profile>,
    /// The other's full name in a direct room.
    pub partner: Option<String>,
    /// Who is in it.
    pub participants: Vec<SeenParticipant>,
    /// Its newest message.
    pub last_message: Option<ReadMessage>,
}

/// What one who asks for a room gets to see.
#[derive(Clone, Debug)]
pub enum RoomLookup {
    /// There is no such room, or it was deleted.
    Missing,
    /// It isn't for this one.
    NotForThis,
    /// It.
    Seen(Box<FullRoom>),
}

/// What a room adds up to, for one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomStats {
    /// Undeleted messages.
    pub message_count: i64,
    /// Who is in it.
    pub participant_count: i64,
    /// What the person has not read.
    pub unread_count: i64,
    /// When the newest message was sent; without one, when the room was made.
    pub last_message_at: DateTime<Utc>,
}

/// What a person has not read of one room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnreadRoom {
    /// The room.
    pub room: RoomId,
    /// The count of unread messages.
    pub unread: i64,
    /// Whether it is in the total: rooms that are muted or archived are not.
    pub counts: bool,
}

/// The unread messages of the participant `me`.
macro_rules! unread_of_me {
    () => {
        "(SELECT count(*) FROM messages m WHERE m.room_id = me.room_id AND m.deleted_at IS NULL
          AND m.seq > greatest(me.read_seq, me.joined_seq) AND m.sender_id <> me.user_id)"
    };
}

pub(super) const ROOM_WIDTH: usize = 12;

impl PostgresStore {
    /// Reads a room in full, for one who is in it or, with `as_host`, for the host application where it
    /// is a task's or a property's.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn full_room(
        &self,
        viewer: Option<UserId>,
        as_host: bool,
        id: RoomId,
    ) -> Result<RoomLookup, StoreError> {
        const FIND: &str = concat!(
            "SELECT ",
            room_columns!(),
            ", r.created_by, ",
            author_columns!(),
            ", coalesce(u.email, ''), r.last_message_id,
               EXISTS (SELECT FROM participants me
                       WHERE me.room_id = r.id AND me.user_id = $2 AND me.left_at IS NULL),
               (SELECT coalesce(nullif(other.full_name, ''), other.username) FROM people other
                WHERE other.id = CASE WHEN r.pair_low = $2 THEN r.pair_high ELSE r.pair_low END)
             FROM rooms r LEFT JOIN people u ON u.id = r.created_by
             WHERE r.id = $1 AND r.deleted_at IS NULL"
        );
        let reader = self.reader().await?;
        let viewer_id = viewer.map(|viewer| viewer.0);
        let Some(row) = reader.row(FIND, &[&id.0, &viewer_id]).await? else { return Ok(RoomLookup::Missing) };
        let room = room(&row, 0);
        let is_in: bool = row.get(ROOM_WIDTH + 6);
        let is_host = as_host && room.room_type.is_of_host();
        if !is_in && !is_host {
            return Ok(RoomLookup::NotForThis);
        }
        let participants = roster(&reader, id).await?;
        let last: Option<Uuid> = row.get(ROOM_WIDTH + 5);
        let last_message = match last {
            Some(last) => newest(&reader, viewer, id, MessageId(last)).await?,
            None => None,
        };
        let created_by = room.created_by.map(|maker| Profile {
            author: author(&row, maker, ROOM_WIDTH + 1),
            email: row.get(ROOM_WIDTH + 4),
        });
        Ok(RoomLookup::Seen(Box::new(FullRoom {
            room,
            created_by,
            partner: row.get(ROOM_WIDTH + 7),
            participants,
            last_message,
        })))
    }

    /// Adds a room up for one who is in it, or for the host; the standing has been checked.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn room_stats(&self, viewer: Option<UserId>, id: RoomId) -> Result<RoomStats, StoreError> {
        const FIND: &str = concat!(
            "SELECT (SELECT count(*) FROM messages m WHERE m.room_id = $1 AND m.deleted_at IS NULL),
                 (SELECT count(*) FROM participants p WHERE p.room_id = $1 AND p.left_at IS NULL),
                 coalesce((SELECT ",
            unread_of_me!(),
            " FROM participants me WHERE me.room_id = $1 AND me.user_id = $2 AND me.left_at IS NULL), 0),
              (SELECT coalesce(last_message_at, created_at) FROM rooms WHERE id = $1)"
        );
        let viewer = viewer.map(|viewer| viewer.0);
        let row = self.long_reader().await?.row(FIND, &[&id.0, &viewer]).await?;
        let row = row.ok_or_else(|| StoreError::Unavailable("a count gave no row".into()))?;
        Ok(RoomStats {
            message_count: row.get(0),
            participant_count: row.get(1),
            unread_count: row.get(2),
            last_message_at: row.get(3),
        })
    }

    /// Reads the head of a room; `None`: no such room, or deleted.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn head(&self, id: RoomId) -> Result<Option<Seq>, StoreError> {
        const FIND: &str = "SELECT head FROM rooms WHERE id = $1 AND deleted_at IS NULL";
        Ok(self.reader().await?.row(FIND, &[&id.0]).await?.map(|row| Seq(row.get(0))))
    }

    /// Finds the room of a task or property.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn subject_room(&self, subject: Subject) -> Result<Option<RoomId>, StoreError> {
        const FIND: &str = "SELECT id FROM rooms WHERE deleted_at IS NULL AND (task = $1 OR property = $2)";
        let (task, property) = match subject {
            Subject::Task(id) => (Some(id), None),
            Subject::Property(id) => (None, Some(id)),
        };
        let row = self.reader().await?.row(FIND, &[&task, &property]).await?;
        Ok(row.map(|row| RoomId(row.get(0))))
    }

    /// Lists the rooms that a person is in.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn rooms_of(&self, user: UserId) -> Result<Vec<RoomId>, StoreError> {
        const FIND: &str = "SELECT me.room_id FROM participants me
            JOIN rooms r ON r.id = me.room_id AND r.deleted_at IS NULL
            WHERE me.user_id = $1 AND me.left_at IS NULL ORDER BY me.room_id";
        let rows = self.reader().await?.rows(FIND, &[&user.0]).await?;
        Ok(rows.iter().map(|row| RoomId(row.get(0))).collect())
    }

    /// Lists the rooms that a person is in, with what is unread there.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn unread_rooms(&self, viewer: UserId) -> Result<Vec<UnreadRoom>, StoreError> {
        const FIND: &str = concat!(
            "SELECT me.room_id, ",
            unread_of_me!(),
            ", r.archived_at IS NULL
                 AND NOT (me.is_muted AND (me.muted_until IS NULL OR me.muted_until > now()))
             FROM participants me JOIN rooms r ON r.id = me.room_id AND r.deleted_at IS NULL
             WHERE me.user_id = $1 AND me.left_at IS NULL ORDER BY me.room_id"
        );
        let rows = self.long_reader().await?.rows(FIND, &[&viewer.0]).await?;
        let unread =
            |row: &Row| UnreadRoom { room: RoomId(row.get(0)), unread: row.get(1), counts: row.get(2) };
        Ok(rows.iter().map(unread).collect())
    }
}

async fn newest(
    reader: &super::reader::Reader,
    viewer: Option<UserId>,
    room: RoomId,
    id: MessageId,
) -> Result<Option<ReadMessage>, StoreError> {
    const FIND: &str = concat!(
        "SELECT 0::bigint, NULL::bigint, ",
        page_columns!(),
        " FROM messages m ",
        message_tables!(),
        "WHERE m.room_id = $1 AND m.id = $2 AND m.deleted_at IS NULL"
    );
    let rows = reader.rows(FIND, &[&room.0, &id.0]).await?;
    // The host reads as nobody: ids of people begin at 1.
    Ok(page_of(reader, viewer.unwrap_or(UserId(0)), &rows).await?.messages.pop())
}
