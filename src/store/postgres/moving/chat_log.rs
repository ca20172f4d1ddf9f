//! Writes a room's log: events, messages and read marks.
//!
//! The log is compared before it is written to: what stands there already, from an earlier move or from one that was
//! killed, stays, and the rest is appended. A log that differs is removed as a whole and written again.

use actors::domain::event::EventKind;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::records::{LogEntry, LogEntryKind, MovedMessage, MovedReadMark, ReadMove};
use super::{ChatWriter, MoveError};

const ENTRIES: &str = "SELECT seq, kind, actor, message_id, at, (data ->> 'user')::bigint FROM events
    WHERE room_id = $1 AND seq BETWEEN $2 AND $3 ORDER BY seq";

const INSERT_EVENTS: &str = "INSERT INTO events (room_id, seq, kind, actor, message_id, at, data)
    SELECT $1, seq, kind, actor, message_id, at, data
    FROM unnest($2::bigint[], $3::text[], $4::bigint[], $5::uuid[], $6::timestamptz[], $7::jsonb[])
        k (seq, kind, actor, message_id, at, data)";

/// The columns of messages as arrays, from `$2` on.
macro_rules! message_arrays {
    () => {
        "unnest($2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::uuid[], $9::text[],
            $10::bigint[], $11::uuid[], $12::timestamptz[], $13::timestamptz[], $14::timestamptz[],
            $15::timestamptz[])
            k (id, seq, rev, sender_id, message_type, content, file_id, attachment_name, attachment_size, reply_to,
            created_at, modified_at, edited_at, deleted_at)"
    };
}

/// Messages of a log that was removed are still there, see [`REMOVE_LOG`].
const PUT_MESSAGES: &str = concat!(
    "INSERT INTO messages (room_id, id, seq, rev, sender_id, message_type, content, file_id, attachment_name,
        attachment_size, reply_to, created_at, modified_at, edited_at, deleted_at, removed_by)
    SELECT $1, k.*, CASE WHEN k.deleted_at IS NOT NULL THEN 'author' END FROM ",
    message_arrays!(),
    " ON CONFLICT (room_id, id) DO UPDATE SET seq = excluded.seq, rev = excluded.rev,
        sender_id = excluded.sender_id, message_type = excluded.message_type, content = excluded.content,
        file_id = excluded.file_id, attachment_name = excluded.attachment_name,
        attachment_size = excluded.attachment_size, reply_to = excluded.reply_to,
        created_at = excluded.created_at, modified_at = excluded.modified_at, edited_at = excluded.edited_at,
        deleted_at = excluded.deleted_at, removed_by = excluded.removed_by"
);

/// Updates those that differ. Returns whether one of them did so without an event after `$16` that says so.
const UPDATE_MESSAGES: &str = concat!(
    "WITH changed AS (
        UPDATE messages m SET rev = k.rev, sender_id = k.sender_id, message_type = k.message_type,
            content = k.content, file_id = k.file_id, attachment_name = k.attachment_name,
            attachment_size = k.attachment_size, reply_to = k.reply_to, modified_at = k.modified_at,
            edited_at = k.edited_at, deleted_at = k.deleted_at,
            removed_by = CASE WHEN k.deleted_at IS NOT NULL THEN 'author' END
        FROM (SELECT k.*, (o.sender_id, o.message_type, o.content, o.file_id, o.attachment_name, o.attachment_size,
                    o.reply_to, o.edited_at, o.deleted_at, o.rev)
                IS DISTINCT FROM (k.sender_id, k.message_type, k.content, k.file_id, k.attachment_name,
                    k.attachment_size, k.reply_to, k.edited_at, k.deleted_at, k.rev) AS differs
            FROM ",
    message_arrays!(),
    "       CROSS JOIN LATERAL (SELECT * FROM messages WHERE room_id = $1 AND id = k.id LIMIT 1) o
            WHERE o.seq = k.seq) k
        WHERE m.room_id = $1 AND m.id = k.id AND (k.differs OR m.modified_at <> k.modified_at)
        RETURNING k.differs AND k.rev <= $16 AS is_silent)
    SELECT coalesce(bool_or(is_silent), false) FROM changed"
);

const SET_HEAD: &str = "WITH room AS (UPDATE rooms SET head = $2 WHERE id = $1)
    UPDATE moved_rooms SET head = $2 WHERE old_id = $1";

const INSERT_MOVES: &str = "INSERT INTO read_moves AS r (room_id, user_id, seq, at)
    SELECT $1, user_id, seq, at FROM unnest($2::bigint[], $3::bigint[], $4::timestamptz[]) k (user_id, seq, at)
    ON CONFLICT (room_id, user_id, seq) DO UPDATE SET at = excluded.at WHERE r.at <> excluded.at";

const SET_MARKS: &str = "UPDATE participants p SET read_seq = k.seq, read_at = k.at
    FROM unnest($2::bigint[], $3::bigint[], $4::timestamptz[]) k (user_id, seq, at)
    WHERE p.room_id = $1 AND p.user_id = k.user_id AND (p.read_seq, p.read_at) IS DISTINCT FROM (k.seq, k.at)";

/// Moves beyond the marks are those of an earlier move that took the furthest marks.
const DELETE_MOVES_BEYOND: &str = "DELETE FROM read_moves r USING participants p
    WHERE p.room_id = $1 AND r.room_id = $1 AND r.user_id = p.user_id AND r.seq > p.read_seq";

const SET_REPLIES: &str = "UPDATE messages m SET reply_to = k.target
    FROM unnest($2::uuid[], $3::uuid[]) k (id, target)
    WHERE m.room_id = $1 AND m.id = k.id AND m.reply_to IS DISTINCT FROM k.target";

const SET_LAST_MESSAGE: &str =
    "UPDATE rooms r SET last_message_id = m.id, last_message_seq = m.seq, last_message_at = m.created_at
    FROM (SELECT 1) one LEFT JOIN LATERAL (SELECT id, seq, created_at FROM messages
        WHERE room_id = $1 AND deleted_at IS NULL AND in_timeline ORDER BY seq DESC LIMIT 1) m ON true
    WHERE r.id = $1";

/// What a log consists of, with what was derived from it. Messages only leave their positions: most of them come back,
/// and deleting one looks for replies to it among all of the room. Files stay for the same reason.
const REMOVE_LOG: [&str; 5] = [
    "UPDATE messages SET seq = least(0, (SELECT min(seq) FROM messages WHERE room_id = $1)) - seq
        WHERE room_id = $1 AND seq > 0",
    "DELETE FROM events WHERE room_id = $1",
    "DELETE FROM read_moves WHERE room_id = $1",
    "DELETE FROM search_blocks WHERE room_id = $1",
    "DELETE FROM search_rooms WHERE room_id = $1",
];

impl ChatWriter {
    /// Reads the events of a room between two positions, both included.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn entries(&self, room: Uuid, first: i64, last: i64) -> Result<Vec<EntryKey>, MoveError> {
        let rows = self.rows(ENTRIES, &[&room, &first, &last]).await?;
        let key = |row: &tokio_postgres::Row| EntryKey {
            seq: row.get(0),
            kind: row.get(1),
            actor: row.get(2),
            message: row.get(3),
            at: row.get(4),
            user: row.get(5),
        };
        Ok(rows.iter().map(key).collect())
    }

    /// Appends events with the messages that they are about. The caller has begun a transaction.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn append(
        &self,
        room: Uuid,
        entries: &[LogEntry],
        messages: &[&MovedMessage],
    ) -> Result<(), MoveError> {
        let Some(last) = entries.last() else { return Ok(()) };
        if !messages.is_empty() {
            self.with_messages(PUT_MESSAGES, room, messages, None).await?;
        }
        let seqs: Vec<i64> = entries.iter().map(|entry| entry.seq).collect();
        let kinds: Vec<&str> = entries.iter().map(|entry| entry.kind.name()).collect();
        let actors: Vec<Option<i64>> = entries.iter().map(|entry| entry.actor).collect();
        let about: Vec<Option<Uuid>> = entries.iter().map(|entry| entry.message).collect();
        let at: Vec<DateTime<Utc>> = entries.iter().map(|entry| entry.at).collect();
        let data: Vec<Option<Value>> = entries.iter().map(LogEntry::data).collect();
        self.run(INSERT_EVENTS, &[&room, &seqs, &kinds, &actors, &about, &at, &data]).await?;
        self.run(SET_HEAD, &[&room, &last.seq]).await.map(drop)
    }

    /// Updates messages that are in the log and differ. Returns whether one changed that no event after `head` tells
    /// of: then those who follow the log would miss it.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn update_messages(
        &self,
        room: Uuid,
        messages: &[&MovedMessage],
        head: i64,
    ) -> Result<bool, MoveError> {
        if messages.is_empty() {
            return Ok(false);
        }
        let rows = self.with_messages(UPDATE_MESSAGES, room, messages, Some(head)).await?;
        Ok(rows.first().is_some_and(|row| row.get(0)))
    }

    /// Which of these messages are in the room.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn present_messages(&self, room: Uuid, ids: &[Uuid]) -> Result<Vec<Uuid>, MoveError> {
        const FIND: &str = "SELECT k.id FROM unnest($2::uuid[]) k (id)
            CROSS JOIN LATERAL (SELECT FROM messages WHERE room_id = $1 AND id = k.id LIMIT 1) m";
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.rows(FIND, &[&room, &ids]).await?.iter().map(|row| row.get(0)).collect())
    }

    /// Writes moves of read marks.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn put_read_moves(&self, room: Uuid, moves: &[ReadMove]) -> Result<(), MoveError> {
        if moves.is_empty() {
            return Ok(());
        }
        let users: Vec<i64> = moves.iter().map(|one| one.user).collect();
        let seqs: Vec<i64> = moves.iter().map(|one| one.seq).collect();
        let at: Vec<DateTime<Utc>> = moves.iter().map(|one| one.at).collect();
        self.run(INSERT_MOVES, &[&room, &users, &seqs, &at]).await.map(drop)
    }

    /// Writes read marks, and removes moves beyond them.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn put_read_marks(&self, room: Uuid, marks: &[MovedReadMark]) -> Result<(), MoveError> {
        let users: Vec<i64> = marks.iter().map(|mark| mark.user).collect();
        let seqs: Vec<i64> = marks.iter().map(|mark| mark.seq).collect();
        let at: Vec<Option<DateTime<Utc>>> = marks.iter().map(|mark| mark.at).collect();
        self.run(SET_MARKS, &[&room, &users, &seqs, &at]).await?;
        self.run(DELETE_MOVES_BEYOND, &[&room]).await.map(drop)
    }

    /// Sets what messages reply to, once the targets are there.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn set_replies(&self, room: Uuid, replies: &[(Uuid, Uuid)]) -> Result<(), MoveError> {
        let (ids, targets): (Vec<Uuid>, Vec<Uuid>) = replies.iter().copied().unzip();
        self.run(SET_REPLIES, &[&room, &ids, &targets]).await.map(drop)
    }

    /// Notes that a room is moved as far as Django has it, and deletes messages that Django has no longer.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn finish_room(&self, room: Uuid, fingerprint: &str) -> Result<(), MoveError> {
        const DELETE_VANISHED: &str = "DELETE FROM messages WHERE room_id = $1 AND seq < 0";
        const FINISHED: &str = "UPDATE moved_rooms SET fingerprint = $2 WHERE old_id = $1";
        self.run(DELETE_VANISHED, &[&room]).await?;
        self.run(SET_LAST_MESSAGE, &[&room]).await?;
        self.run(FINISHED, &[&room, &fingerprint]).await.map(drop)
    }

    /// Removes a room's log, to write it again. The caller has begun a transaction.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn remove_log(&self, room: Uuid) -> Result<(), MoveError> {
        const RESET_ROOM: &str = "UPDATE rooms SET last_message_id = NULL, last_message_seq = NULL,
            last_message_at = NULL WHERE id = $1";
        for statement in REMOVE_LOG {
            self.run(statement, &[&room]).await?;
        }
        self.run(RESET_ROOM, &[&room]).await?;
        self.run(SET_HEAD, &[&room, &0_i64]).await.map(drop)
    }

    /// Removes a room that is now a part of another one. The caller has begun a transaction.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn remove_room(&self, room: Uuid) -> Result<(), MoveError> {
        self.remove_log(room).await?;
        self.run("DELETE FROM messages WHERE room_id = $1", &[&room]).await?;
        self.run("DELETE FROM participants WHERE room_id = $1", &[&room]).await?;
        self.run("DELETE FROM rooms WHERE id = $1", &[&room]).await.map(drop)
    }

    async fn with_messages(
        &self,
        sql: &'static str,
        room: Uuid,
        messages: &[&MovedMessage],
        head: Option<i64>,
    ) -> Result<Vec<tokio_postgres::Row>, MoveError> {
        macro_rules! column {
            (|$message:ident| $value:expr) => {
                messages.iter().map(|$message| $value).collect::<Vec<_>>()
            };
        }
        let ids = column!(|message| message.id);
        let seqs = column!(|message| message.seq);
        let revs = column!(|message| message.rev);
        let senders = column!(|message| message.sender);
        let types = column!(|message| message.message_type.as_str());
        let contents = column!(|message| message.content.as_str());
        let files = column!(|message| message.file.as_ref().map(|file| file.id));
        let names = column!(|message| message.file.as_ref().map(|file| file.name.as_str()));
        let sizes = column!(|message| message.file.as_ref().map(|file| file.size));
        let replies = column!(|message| message.reply_to);
        let created = column!(|message| message.created_at);
        let modified = column!(|message| message.modified_at);
        let edited = column!(|message| message.edited_at);
        let deleted = column!(|message| message.deleted_at);
        let mut params: Vec<&(dyn ToSql + Sync)> = vec![
            &room, &ids, &seqs, &revs, &senders, &types, &contents, &files, &names, &sizes, &replies,
            &created, &modified, &edited, &deleted,
        ];
        if let Some(head) = &head {
            params.push(head);
        }
        self.rows(sql, &params).await
    }
}

/// What an event of the chat is compared by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryKey {
    seq: i64,
    kind: String,
    actor: Option<i64>,
    message: Option<Uuid>,
    at: DateTime<Utc>,
    user: Option<i64>,
}

impl EntryKey {
    /// Whether it is the event that the log should have there.
    #[must_use]
    pub fn is(&self, entry: &LogEntry) -> bool {
        self.seq == entry.seq
            && self.kind == entry.kind.name()
            && self.actor == entry.actor
            && self.message == entry.message
            && self.at == entry.at
            && self.user == entry.participant.map(|(user, _)| user)
    }
}

impl LogEntryKind {
    /// The name in the log.
    fn name(self) -> &'static str {
        let kind = match self {
            Self::Created => EventKind::RoomCreated,
            Self::Joined => EventKind::ParticipantJoined,
            Self::Posted => EventKind::MessagePosted,
            Self::Edited => EventKind::MessageEdited,
            Self::Deleted => EventKind::MessageDeleted,
            Self::Left => EventKind::ParticipantLeft,
            Self::Archived => EventKind::RoomUpdated,
        };
        kind.as_str()
    }
}

impl LogEntry {
    /// What the log keeps of the event beside its kind and its message, in the form that the engine gives it.
    fn data(&self) -> Option<Value> {
        match self.kind {
            LogEntryKind::Joined | LogEntryKind::Left => self.participant.map(
                |(user, is_admin)| json!({ "user": user, "role": if is_admin { "admin" } else { "member" } }),
            ),
            LogEntryKind::Deleted => Some(json!({ "removed_by": "author", "reason": null })),
            LogEntryKind::Archived => Some(json!({ "changed": { "archived": [false, true] } })),
            LogEntryKind::Created | LogEntryKind::Posted | LogEntryKind::Edited => None,
        }
    }
}
