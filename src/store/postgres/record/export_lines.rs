//! What exports contain, as lines of JSON that the database makes.

use actors::domain::ids::{RoomId, UserId};
use actors::ports::store::StoreError;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::store::postgres::PostgresStore;

/// A table of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportTable {
    /// A room's own state.
    Room,
    /// Who is or was in a room.
    Participants,
    /// A room's log.
    Events,
    /// A room's messages.
    Messages,
    /// The texts that messages had before.
    Versions,
    /// What was deleted under holds.
    Held,
    /// The files of a room: `{file_ids}` of each message.
    Files,
    /// The files of what was deleted under holds: `{file_ids}` of each message.
    HeldFiles,
    /// All users.
    Users,
    /// The audit log.
    Audit,
    /// A user's account.
    Account,
    /// A user's memberships.
    Memberships,
    /// A user's messages.
    OwnMessages,
    /// The files of a user's messages: `{file_ids}` of each.
    OwnFiles,
}

/// Of which room or user, and as of when.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExportScope {
    /// The room.
    pub room: Option<RoomId>,
    /// The user.
    pub user: Option<UserId>,
    /// The time; none for now.
    pub at: Option<DateTime<Utc>>,
}

/// Where a page of lines ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportCursor(Uuid, i64);

impl ExportCursor {
    /// Before the first line.
    pub const START: Self = Self(Uuid::nil(), i64::MIN);
}

/// A statement whose rows are the two parts of a cursor and a line: of `$from`, which may use the parameters `p`.
macro_rules! lines {
    ($cursor:literal, $line:expr, $from:expr, $order:literal) => {
        concat!(
            "WITH p AS (SELECT $1::uuid AS room_id, $2::bigint AS user_id,
                 coalesce($3::timestamptz, 'infinity') AS at, $4::uuid AS k1, $5::bigint AS k2)
             SELECT ",
            $cursor,
            ", ",
            $line,
            "::text FROM p CROSS JOIN LATERAL (",
            $from,
            " LIMIT 200) m ORDER BY ",
            $order
        )
    };
}

/// A message `m` as it was at the time `p.at`; without its text if it was deleted.
macro_rules! message_line {
    () => {
        "jsonb_build_object('id', m.id, 'room_id', m.room_id, 'seq', m.seq, 'sender_id', m.sender_id,
             'message_type', m.message_type, 'content', CASE WHEN m.deleted_at IS NOT NULL THEN NULL
                 WHEN coalesce(m.edited_at, m.created_at) <= p.at THEN m.content
                 ELSE (SELECT v.content FROM message_versions v WHERE v.room_id = m.room_id AND v.message_id = m.id
                     AND v.at <= p.at ORDER BY v.rev DESC LIMIT 1) END,
             'file_id', m.file_id, 'attachment_name', m.attachment_name, 'attachment_size', m.attachment_size,
             'reply_to', m.reply_to, 'thread_root', m.thread_root, 'created_at', m.created_at,
             'edited_at', m.edited_at, 'deleted_at', m.deleted_at, 'removed_by', m.removed_by, 'extras', m.extras)"
    };
}

/// A user's messages behind the cursor, in the order of rooms and positions, where `$condition` holds.
macro_rules! own_messages {
    ($condition:literal) => {
        concat!(
            "SELECT o.* FROM (SELECT room_id FROM participants WHERE user_id = p.user_id AND room_id >= p.k1) r
             CROSS JOIN LATERAL (SELECT * FROM messages
                 WHERE room_id = r.room_id AND sender_id = p.user_id AND deleted_at IS NULL AND created_at <= p.at
                     AND seq > CASE WHEN room_id = p.k1 THEN p.k2 ELSE 0 END AND ",
            $condition,
            " ORDER BY seq LIMIT 200) o ORDER BY o.room_id, o.seq"
        )
    };
}

/// The files of a message `m`.
macro_rules! files_line {
    () => {
        "jsonb_build_object('file_ids', array_prepend(m.file_id, ARRAY(SELECT (file ->> 'file')::uuid
             FROM jsonb_array_elements(m.extras -> 'more_files') file)))"
    };
}

impl ExportTable {
    fn sql(self) -> &'static str {
        match self {
            Self::Room => lines!(
                "m.id, 0::bigint",
                "to_jsonb(m)",
                "SELECT * FROM rooms WHERE id = p.room_id AND id > p.k1 ORDER BY id",
                "m.id"
            ),
            Self::Participants => lines!(
                "m.room_id, m.user_id",
                "jsonb_build_object('user_id', m.user_id, 'username', m.username, 'full_name', m.full_name,
                     'role', m.role, 'joined_at', m.joined_at, 'left_at', m.left_at, 'read_seq', m.read_seq,
                     'read_at', m.read_at)",
                "SELECT q.*, u.username, u.full_name FROM participants q JOIN people u ON u.id = q.user_id
                 WHERE q.room_id = p.room_id AND q.user_id > p.k2 ORDER BY q.user_id",
                "m.user_id"
            ),
            Self::Events => lines!(
                "m.room_id, m.seq",
                "jsonb_build_object('seq', m.seq, 'kind', m.kind, 'actor', m.actor, 'message_id', m.message_id,
                     'at', m.at, 'data', m.data)",
                "SELECT * FROM events WHERE room_id = p.room_id AND seq > p.k2 AND at <= p.at ORDER BY seq",
                "m.seq"
            ),
            Self::Messages => lines!(
                "m.room_id, m.seq",
                message_line!(),
                "SELECT * FROM messages WHERE room_id = p.room_id AND seq > p.k2 AND created_at <= p.at ORDER BY seq",
                "m.seq"
            ),
            Self::Versions => lines!(
                "m.message_id, m.rev",
                "jsonb_build_object('message_id', m.message_id, 'rev', m.rev, 'content', m.content, 'at', m.at)",
                "SELECT * FROM message_versions WHERE room_id = p.room_id
                     AND (message_id, rev) > (p.k1, p.k2) AND at <= p.at ORDER BY message_id, rev",
                "m.message_id, m.rev"
            ),
            Self::Held => lines!(
                "m.message_id, 0::bigint",
                "to_jsonb(m)",
                "SELECT * FROM held_messages WHERE room_id = p.room_id AND message_id > p.k1
                     AND created_at <= p.at ORDER BY message_id",
                "m.message_id"
            ),
            Self::Files => lines!(
                "m.room_id, m.seq",
                files_line!(),
                "SELECT * FROM messages WHERE room_id = p.room_id AND seq > p.k2 AND created_at <= p.at
                     AND file_id IS NOT NULL AND deleted_at IS NULL ORDER BY seq",
                "m.seq"
            ),
            Self::HeldFiles => lines!(
                "m.message_id, 0::bigint",
                "jsonb_build_object('file_ids', m.file_ids)",
                "SELECT * FROM held_messages WHERE room_id = p.room_id AND message_id > p.k1
                     AND created_at <= p.at AND file_ids <> '{}' ORDER BY message_id",
                "m.message_id"
            ),
            Self::Users => lines!(
                "p.k1, m.id",
                "to_jsonb(m)",
                "SELECT id, username, full_name, email, is_active, is_staff, erased_at, created_at
                 FROM people WHERE id > p.k2 ORDER BY id",
                "m.id"
            ),
            Self::Audit => lines!(
                "p.k1, m.id",
                "jsonb_build_object('id', m.id, 'at', m.at, 'kind', m.kind, 'actor_id', m.actor_id,
                     'user_id', m.user_id, 'room_id', m.room_id, 'seq', m.seq, 'data', m.data,
                     'previous', encode(m.previous, 'hex'), 'hash', encode(m.hash, 'hex'))",
                "SELECT * FROM audit_log WHERE id > p.k2 AND at <= p.at ORDER BY id",
                "m.id"
            ),
            Self::Account => lines!(
                "p.k1, m.id",
                "to_jsonb(m)",
                "SELECT id, username, full_name, email, is_active, is_staff, created_at, last_seen_at
                 FROM people WHERE id = p.user_id AND id > p.k2 ORDER BY id",
                "m.id"
            ),
            Self::Memberships => lines!(
                "m.room_id, 0::bigint",
                "jsonb_build_object('room_id', m.room_id, 'room_type', m.room_type, 'name', m.name,
                     'role', m.role, 'joined_at', m.joined_at, 'left_at', m.left_at, 'read_at', m.read_at)",
                "SELECT q.*, r.room_type, r.name FROM participants q JOIN rooms r ON r.id = q.room_id
                 WHERE q.user_id = p.user_id AND q.room_id > p.k1 ORDER BY q.room_id",
                "m.room_id"
            ),
            Self::OwnMessages => {
                lines!("m.room_id, m.seq", message_line!(), own_messages!("true"), "m.room_id, m.seq")
            }
            Self::OwnFiles => {
                lines!("m.room_id, m.seq", files_line!(), own_messages!("file_id IS NOT NULL"), "m.room_id, m.seq")
            }
        }
    }
}

impl PostgresStore {
    /// Reads the next lines of a table, and where they end; none at the end.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn export_lines(
        &self,
        table: ExportTable,
        scope: ExportScope,
        after: ExportCursor,
    ) -> Result<Option<(Vec<String>, ExportCursor)>, StoreError> {
        let (room, user) = (scope.room.map(|room| room.0), scope.user.map(|user| user.0));
        let ExportCursor(k1, k2) = after;
        let client = self.long_read_client().await?;
        let rows = client.rows(table.sql(), &[&room, &user, &scope.at, &k1, &k2]).await?;
        let end = rows.last().map(|row| ExportCursor(row.get(0), row.get(1)));
        Ok(end.map(|end| (rows.iter().map(|row| row.get(2)).collect(), end)))
    }

    /// Lists the next rooms of an export of everything.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn rooms_to_export(&self, after: RoomId, limit: i64) -> Result<Vec<RoomId>, StoreError> {
        const LIST: &str = "SELECT id FROM rooms WHERE id > $1 ORDER BY id LIMIT $2";
        let rows = self.read_client().await?.rows(LIST, &[&after.0, &limit]).await?;
        Ok(rows.iter().map(|row| RoomId(row.get(0))).collect())
    }
}
