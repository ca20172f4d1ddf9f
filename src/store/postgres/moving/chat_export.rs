//! Reads the chat for Django: rooms, participants and messages, all as they were at one moment.

use actors::domain::room::RoomType;
use chrono::{DateTime, Utc};
use deadpool_postgres::Transaction;
use tokio_postgres::{IsolationLevel, Portal, Row};
use uuid::Uuid;

use super::records::MovedRoomRow;
use super::{ChatWriter, MoveError, Params};

/// The chat's tables at one moment.
pub struct ChatSnapshot<'a> {
    transaction: Transaction<'a>,
}

/// A room with its number of messages, deleted ones too.
#[derive(Clone, Debug)]
pub struct ExportedRoom {
    /// The room.
    pub row: MovedRoomRow,
    /// The number of its messages.
    pub messages: i64,
}

/// A participant as Django has it.
#[derive(Clone, Debug)]
pub struct ExportedParticipant {
    /// The id.
    pub id: i64,
    /// The user.
    pub user: i64,
    /// When the user joined.
    pub joined_at: DateTime<Utc>,
    /// When the user left.
    pub left_at: Option<DateTime<Utc>>,
    /// Whether the room is muted.
    pub is_muted: bool,
    /// Until when.
    pub muted_until: Option<DateTime<Utc>>,
    /// Whether the user is an admin of the room.
    pub is_admin: bool,
    /// The newest message that is read, and when it was sent.
    pub read: Option<(Uuid, DateTime<Utc>)>,
    /// When the read mark last moved.
    pub read_at: Option<DateTime<Utc>>,
}

/// A message as Django has it.
#[derive(Clone, Debug)]
pub struct ExportedMessage {
    /// The id.
    pub id: Uuid,
    /// The author.
    pub sender: i64,
    /// The type.
    pub message_type: String,
    /// The text; empty if it is deleted.
    pub content: String,
    /// Its file: the id, the name and the size.
    pub file: Option<(Uuid, String, i64)>,
    /// What it replies to, and whether that was sent later.
    pub reply_to: Option<(Uuid, bool)>,
    /// When it was sent.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub modified_at: DateTime<Utc>,
    /// When its text last changed.
    pub edited_at: Option<DateTime<Utc>>,
    /// When it was deleted.
    pub deleted_at: Option<DateTime<Utc>>,
    /// Who has read it when, as Django's JSON; only for an export.
    pub read_by: Option<String>,
    /// What is known of its file in Django.
    pub django_file: Option<DjangoFile>,
}

/// A file in Django, of a message that was moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DjangoFile {
    /// The path under `MEDIA_ROOT`.
    pub path: String,
    /// The name.
    pub name: String,
    /// Why it isn't here.
    pub refusal: Option<String>,
    /// Whether another move would refuse it again.
    pub is_final: bool,
}

/// Messages that are being read.
pub struct ExportedMessages<'a> {
    snapshot: &'a ChatSnapshot<'a>,
    portal: Portal,
}

/// What has no place in Django's tables, with its number.
const LOST: &str = "SELECT 'earlier versions of texts', count(*) FROM message_versions
    UNION ALL SELECT 'reactions', count(*) FROM reactions
    UNION ALL SELECT 'mentions', count(*) FROM mentions
    UNION ALL SELECT 'pins', count(*) FROM pins
    UNION ALL SELECT 'files of messages beside the first', coalesce(sum(jsonb_array_length(extras -> 'more_files')), 0)
        FROM messages WHERE extras ? 'more_files'
    UNION ALL SELECT 'cards, of which the text stays', count(*) FROM messages WHERE extras ? 'card'
    UNION ALL SELECT 'marks of forwarded messages', count(*) FROM messages WHERE extras ? 'forwarded'
    UNION ALL SELECT 'marks of urgent messages', count(*) FROM messages WHERE extras ? 'urgent'
    UNION ALL SELECT 'places in threads', count(*) FROM messages WHERE thread_root IS NOT NULL
    UNION ALL SELECT 'client_ids', count(*) FROM messages WHERE client_id IS NOT NULL
    UNION ALL SELECT 'drafts', count(*) FROM drafts
    UNION ALL SELECT 'saved messages', count(*) FROM saved_messages
    UNION ALL SELECT 'reminders', count(*) FROM reminders
    UNION ALL SELECT 'messages to be sent later', count(*) FROM scheduled_messages WHERE state = 'pending'
    UNION ALL SELECT 'deleted rooms', count(*) FROM rooms WHERE deleted_at IS NOT NULL";

const ROOMS: &str = "SELECT r.id, r.room_type, r.name, r.title, r.task, r.property, r.pair_low, r.pair_high,
        r.created_by, r.created_at, r.modified_at, r.archived_at,
        (SELECT count(*) FROM messages WHERE room_id = r.id)
    FROM rooms r WHERE r.deleted_at IS NULL ORDER BY r.created_at, r.id";

const PARTICIPANTS: &str = "SELECT p.id, p.user_id, p.joined_at, p.left_at, p.is_muted, p.muted_until,
        p.role = 'admin', m.id, m.created_at, p.read_at
    FROM participants p LEFT JOIN LATERAL (SELECT id, created_at FROM messages
        WHERE room_id = p.room_id AND seq <= p.read_seq ORDER BY seq DESC LIMIT 1) m ON true
    WHERE p.room_id = $1 ORDER BY p.id";

/// The messages of the room `$1` with `$read_by`, in the order `$order`.
macro_rules! messages {
    ($read_by:expr, $order:literal) => {
        concat!(
            "SELECT m.id, m.sender_id, m.message_type, m.content, m.file_id, m.attachment_name, m.attachment_size,
                m.reply_to, q.seq > m.seq, m.created_at, m.modified_at, m.edited_at, m.deleted_at, ",
            $read_by,
            ", k.path, k.name, k.refusal, k.is_final
            FROM messages m
            LEFT JOIN LATERAL (SELECT seq FROM messages WHERE room_id = m.room_id AND id = m.reply_to LIMIT 1) q ON true
            LEFT JOIN LATERAL (SELECT * FROM moved_files WHERE message_id = m.id LIMIT 1) k ON true
            WHERE m.room_id = $1 ORDER BY ",
            $order
        )
    };
}

/// A user has read a message when the user's mark first moved past it.
const EXPORTED: &str = messages!(
    "(SELECT coalesce(jsonb_object_agg(x.user_id::text,
            to_char(x.at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US') || '+00:00'), '{}')::text
        FROM (SELECT p.user_id, (SELECT r.at FROM read_moves r WHERE r.room_id = m.room_id
                AND r.user_id = p.user_id AND r.seq >= m.seq ORDER BY r.seq LIMIT 1) AS at
            FROM participants p
            WHERE p.room_id = m.room_id AND p.user_id <> m.sender_id AND p.read_seq >= m.seq) x
        WHERE x.at IS NOT NULL)",
    "m.seq"
);

const BY_ID: &str = messages!("NULL::text", "m.id");

impl ChatWriter {
    /// Begins to read.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn snapshot(&mut self) -> Result<ChatSnapshot<'_>, MoveError> {
        let begin = self.client.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
        let transaction = begin.read_only(true).start().await.map_err(MoveError::Chat)?;
        Ok(ChatSnapshot { transaction })
    }
}

impl ChatSnapshot<'_> {
    /// Reads the rooms that aren't deleted, the oldest first.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn rooms(&self) -> Result<Vec<ExportedRoom>, MoveError> {
        let room = |row: &Row| ExportedRoom {
            row: MovedRoomRow {
                id: row.get(0),
                room_type: RoomType::parse(row.get(1)).expect("the table holds known types only"),
                name: row.get(2),
                title: row.get(3),
                task: row.get(4),
                property: row.get(5),
                pair: row.get::<_, Option<i64>>(6).zip(row.get(7)),
                created_by: row.get(8),
                created_at: row.get(9),
                modified_at: row.get(10),
                archived_at: row.get(11),
            },
            messages: row.get(12),
        };
        Ok(self.rows(ROOMS, &[]).await?.iter().map(room).collect())
    }

    /// Reads the participants of a room.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn participants(&self, room: Uuid) -> Result<Vec<ExportedParticipant>, MoveError> {
        let participant = |row: &Row| ExportedParticipant {
            id: row.get(0),
            user: row.get(1),
            joined_at: row.get(2),
            left_at: row.get(3),
            is_muted: row.get(4),
            muted_until: row.get(5),
            is_admin: row.get(6),
            read: row.get::<_, Option<Uuid>>(7).zip(row.get(8)),
            read_at: row.get(9),
        };
        Ok(self.rows(PARTICIPANTS, &[&room]).await?.iter().map(participant).collect())
    }

    /// The positions of a room's log that should be there and aren't, and events of messages that aren't there.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn log_gaps(&self, room: Uuid) -> Result<i64, MoveError> {
        const GAPS: &str = "SELECT abs(r.head - (SELECT count(*) FROM events WHERE room_id = r.id))
                + (SELECT count(*) FROM events e WHERE e.room_id = r.id AND e.kind = 'message_posted'
                    AND NOT EXISTS (SELECT FROM messages WHERE room_id = e.room_id AND id = e.message_id
                        AND seq = e.seq OFFSET 0))
                + (SELECT count(*) FROM events e WHERE e.room_id = r.id AND (e.seq < 1 OR e.seq > r.head))
            FROM rooms r WHERE r.id = $1";
        Ok(self.rows(GAPS, &[&room]).await?.first().map(|row| row.get(0)).unwrap_or_default())
    }

    /// What has no place in Django's tables, with its number.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn lost(&self) -> Result<Vec<(String, i64)>, MoveError> {
        Ok(self.rows(LOST, &[]).await?.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// The greatest id of a participant.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn last_participant(&self) -> Result<i64, MoveError> {
        let rows = self.rows("SELECT coalesce(max(id), 0) FROM participants", &[]).await?;
        Ok(rows.first().map(|row| row.get(0)).unwrap_or_default())
    }

    /// Begins to read the messages of a room, by their positions, for an export.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn messages<'s>(&'s self, room: Uuid) -> Result<ExportedMessages<'s>, MoveError> {
        self.bind(EXPORTED, room).await
    }

    /// Begins to read the messages of a room, by their ids, for a comparison.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn messages_by_id<'s>(&'s self, room: Uuid) -> Result<ExportedMessages<'s>, MoveError> {
        self.bind(BY_ID, room).await
    }

    async fn bind<'s>(&'s self, sql: &'static str, room: Uuid) -> Result<ExportedMessages<'s>, MoveError> {
        let bound = async {
            let statement = self.transaction.prepare_cached(sql).await?;
            self.transaction.bind(&statement, &[&room]).await
        };
        Ok(ExportedMessages { snapshot: self, portal: bound.await.map_err(MoveError::Chat)? })
    }

    async fn rows(&self, sql: &'static str, params: Params<'_>) -> Result<Vec<Row>, MoveError> {
        let read = async {
            let statement = self.transaction.prepare_cached(sql).await?;
            self.transaction.query(&statement, params).await
        };
        read.await.map_err(MoveError::Chat)
    }
}

impl ExportedMessages<'_> {
    /// Reads at most `count` more messages; none at the end.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn next(&self, count: i32) -> Result<Vec<ExportedMessage>, MoveError> {
        let rows = self.snapshot.transaction.query_portal(&self.portal, count).await;
        Ok(rows.map_err(MoveError::Chat)?.iter().map(message).collect())
    }
}

fn message(row: &Row) -> ExportedMessage {
    let named = |id| {
        let name = row.get::<_, Option<String>>(5).unwrap_or_default();
        (id, name, row.get::<_, Option<i64>>(6).unwrap_or_default())
    };
    let is_later = row.get::<_, Option<bool>>(8).unwrap_or_default();
    ExportedMessage {
        id: row.get(0),
        sender: row.get(1),
        message_type: row.get(2),
        content: row.get(3),
        file: row.get::<_, Option<Uuid>>(4).map(named),
        reply_to: row.get::<_, Option<Uuid>>(7).map(|target| (target, is_later)),
        created_at: row.get(9),
        modified_at: row.get(10),
        edited_at: row.get(11),
        deleted_at: row.get(12),
        read_by: row.get(13),
        django_file: row.get::<_, Option<String>>(14).map(|path| DjangoFile {
            path,
            name: row.get::<_, Option<String>>(15).unwrap_or_default(),
            refusal: row.get(16),
            is_final: row.get::<_, Option<bool>>(17).unwrap_or_default(),
        }),
    }
}
