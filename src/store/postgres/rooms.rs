//! Rooms as REST shows them: one in full, lists of them, and what they add up to.

use actors::domain::ids::{MessageId, RoomId, Seq, UserId};
use actors::domain::message::{self, MessageType};
use actors::domain::person::Author;
use actors::domain::room::{Room, RoomType, Subject};
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

/// A room in a list.
#[derive(Clone, Debug)]
pub struct ListedRoom {
    /// The room.
    pub room: Room,
    /// The other's full name in a direct room.
    pub partner: Option<String>,
    /// The count of unread messages.
    pub unread: i64,
    /// How many are in it.
    pub participant_count: i64,
    /// One line about its newest message, when that was sent, and by whom.
    pub last_message: Option<(String, DateTime<Utc>, Author)>,
    /// Whether it is muted for this person now.
    pub is_muted: bool,
}

/// Which of a person's rooms are wanted.
#[derive(Clone, Debug, Default)]
pub struct RoomFilter {
    /// Of this kind alone.
    pub room_type: Option<RoomType>,
    /// Those whose names hold this.
    pub search: Option<String>,
    /// Those that are archived, or those that aren't; `None` for both.
    pub is_active: Option<bool>,
    /// In which order.
    pub order: RoomOrder,
}

/// The order of a list of rooms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RoomOrder {
    /// The latest activity first.
    #[default]
    LatestActivity,
    /// The latest activity last.
    EarliestActivity,
    /// The newest first.
    Newest,
    /// The oldest first.
    Oldest,
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
    /// Whether it is muted, and so not in the total.
    pub is_muted: bool,
}

/// The unread messages of the participant `me`.
macro_rules! unread_of_me {
    () => {
        "(SELECT count(*) FROM messages m WHERE m.room_id = me.room_id AND m.deleted_at IS NULL
          AND m.seq > greatest(me.read_seq, me.joined_seq) AND m.sender_id <> me.user_id)"
    };
}

const ROOM_WIDTH: usize = 12;

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

    /// Reads a page of a person's rooms and counts them all, in one statement.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn room_page(
        &self,
        viewer: UserId,
        filter: &RoomFilter,
        limit: i64,
        offset: i64,
    ) -> Result<(i64, Vec<ListedRoom>), StoreError> {
        // A name to be found is any by which the room is shown to this person.
        macro_rules! page {
            ($order:literal) => {
                concat!(
                    "WITH mine AS MATERIALIZED (
                         SELECT r.*, me.user_id, me.read_seq, me.joined_seq, partner.full_name AS partner,
                             me.is_muted AND (me.muted_until IS NULL OR me.muted_until > now()) AS is_muted
                         FROM participants me JOIN rooms r ON r.id = me.room_id AND r.deleted_at IS NULL
                         LEFT JOIN LATERAL (
                             SELECT coalesce(nullif(other.full_name, ''), other.username) AS full_name
                             FROM people other WHERE r.room_type = 'direct'
                               AND other.id = CASE WHEN r.pair_low = me.user_id THEN r.pair_high ELSE r.pair_low END
                         ) partner ON true
                         WHERE me.user_id = $1 AND me.left_at IS NULL
                           AND ($2::text IS NULL OR r.room_type = $2)
                           AND ($3::boolean IS NULL OR (r.archived_at IS NULL) = $3)
                           AND ($4::text[] IS NULL OR folded_name(CASE
                               WHEN r.name <> '' THEN r.name
                               WHEN partner.full_name IS NOT NULL THEN partner.full_name
                               WHEN r.title <> '' AND r.room_type = 'task' THEN 'Task: ' || r.title
                               WHEN r.title <> '' AND r.room_type = 'property' THEN 'Property: ' || r.title
                               ELSE 'Chat #' || left(r.id::text, 8) END)
                               LIKE ALL (ARRAY(SELECT name_pattern(term) FROM unnest($4) term))))
                     SELECT ", room_columns!(), ", (SELECT count(*) FROM mine), r.partner,
                         (SELECT count(*) FROM messages m WHERE m.room_id = r.id AND m.deleted_at IS NULL
                              AND m.seq > greatest(r.read_seq, r.joined_seq) AND m.sender_id <> r.user_id),
                         (SELECT count(*) FROM participants p WHERE p.room_id = r.id AND p.left_at IS NULL),
                         m.message_type, left(m.content, 100), m.created_at, r.is_muted,
                         m.sender_id, s.username, s.full_name, s.erased_at IS NOT NULL
                     FROM (SELECT 1) one
                     LEFT JOIN (SELECT * FROM mine ORDER BY ", $order, ", id LIMIT $5 OFFSET $6) r ON true
                     LEFT JOIN messages m ON m.room_id = r.id AND m.id = r.last_message_id
                     LEFT JOIN people s ON s.id = m.sender_id
                     ORDER BY r.", $order, ", r.id"
                )
            };
        }
        let sql = match filter.order {
            RoomOrder::LatestActivity => page!("modified_at DESC"),
            RoomOrder::EarliestActivity => page!("modified_at"),
            RoomOrder::Newest => page!("created_at DESC"),
            RoomOrder::Oldest => page!("created_at"),
        };
        let room_type = filter.room_type.map(RoomType::as_str);
        let terms = filter.search.as_deref().map(|text| text.split_whitespace().collect::<Vec<_>>());
        let reader = self.long_reader().await?;
        let rows =
            reader.rows(sql, &[&viewer.0, &room_type, &filter.is_active, &terms, &limit, &offset]).await?;
        let count = rows.first().map_or(0, |row| row.get(ROOM_WIDTH));
        let is_one = |row: &&Row| row.get::<_, Option<Uuid>>(0).is_some();
        Ok((count, rows.iter().filter(is_one).map(listed).collect()))
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
            ", me.is_muted AND (me.muted_until IS NULL OR me.muted_until > now())
             FROM participants me JOIN rooms r ON r.id = me.room_id AND r.deleted_at IS NULL
             WHERE me.user_id = $1 AND me.left_at IS NULL ORDER BY me.room_id"
        );
        let rows = self.long_reader().await?.rows(FIND, &[&viewer.0]).await?;
        let unread =
            |row: &Row| UnreadRoom { room: RoomId(row.get(0)), unread: row.get(1), is_muted: row.get(2) };
        Ok(rows.iter().map(unread).collect())
    }
}

fn listed(row: &Row) -> ListedRoom {
    let message_type = row.get::<_, Option<&str>>(ROOM_WIDTH + 4).and_then(MessageType::parse);
    let last_message = message_type.map(|message_type| {
        let content: &str = row.get(ROOM_WIDTH + 5);
        let sender = author(row, UserId(row.get(ROOM_WIDTH + 8)), ROOM_WIDTH + 9);
        (message::preview(message_type, false, content), row.get(ROOM_WIDTH + 6), sender)
    });
    ListedRoom {
        room: room(row, 0),
        partner: row.get(ROOM_WIDTH + 1),
        unread: row.get(ROOM_WIDTH + 2),
        participant_count: row.get(ROOM_WIDTH + 3),
        last_message,
        is_muted: row.get(ROOM_WIDTH + 7),
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
