//! The statements of a commit, one for each table and kind of write. Each takes its rows as one array a
//! column, and runs only when there are rows.

use std::collections::{BTreeMap, BTreeSet};

use actors::domain::aggregate::RoomAggregate;
use actors::domain::event::Event;
use actors::domain::ids::{MessageId, RoomId, UploadId, UserId};
use actors::domain::message::{Message, RemovedBy};
use actors::domain::message_extras::MessageExtras;
use actors::domain::personal::{ENTRIES_KEPT, PersonalChange};
use chrono::{DateTime, Utc};
use deadpool_postgres::ClientWrapper;
use tokio_postgres::types::{Json, ToSql};
use tokio_postgres::{Error, Row, Statement};

use crate::store::postgres::personal::log::APPEND as APPEND_PERSONAL;
use crate::store::postgres::rows::setting_assignments;

const INSERT_EVENTS: &str = "INSERT INTO events (room_id, seq, kind, actor, message_id, at, data) \
     SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[], $5::uuid[], $6::timestamptz[], \
     $7::jsonb[])";

// The rooms of a batch are locked, so their rows don't move: each is looked up by key and updated by its
// `ctid`, whatever the planner thinks of the table's size.

/// New messages, their events, and the rooms in whose timelines they are the newest ones. They share one statement, since
/// starting and ending a statement is most of what a single message costs.
const INSERT_MESSAGES: &str = "WITH posted AS (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], \
     $5::uuid[], $6::bytea[], $7::text[], $8::text[], $9::uuid[], $10::text[], $11::bigint[], $12::uuid[], \
     $13::timestamptz[], $14::jsonb[], $15::uuid[], $16::boolean[]) \
     k (room_id, id, seq, sender_id, client_id, client_digest, message_type, content, file_id, \
     attachment_name, attachment_size, reply_to, at, extras, thread_root, in_timeline)), \
     new_events AS (INSERT INTO events (room_id, seq, kind, actor, message_id, at) \
     SELECT room_id, seq, 'message_posted', sender_id, id, at FROM posted), \
     new_messages AS (INSERT INTO messages (room_id, id, seq, rev, sender_id, client_id, client_digest, \
     message_type, content, file_id, attachment_name, attachment_size, reply_to, created_at, modified_at, extras, \
     thread_root, in_timeline) \
     SELECT room_id, id, seq, seq, sender_id, client_id, client_digest, message_type, content, file_id, \
     attachment_name, attachment_size, reply_to, at, at, extras, thread_root, in_timeline FROM posted) \
     UPDATE rooms r SET head = k.head, modified_at = k.modified_at, \
     last_message_id = k.id, last_message_seq = k.seq, last_message_at = k.at \
     FROM unnest($17::uuid[], $18::bigint[], $19::timestamptz[], $20::uuid[], $21::bigint[], \
     $22::timestamptz[]) k (room_id, head, modified_at, id, seq, at) \
     CROSS JOIN LATERAL (SELECT ctid FROM rooms WHERE id = k.room_id LIMIT 1) x WHERE r.ctid = x.ctid";

const ATTACH_FILES: &str = "UPDATE files f SET room_id = k.room_id, message_id = k.message_id \
     FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) k (id, room_id, message_id) \
     WHERE f.id = k.id AND f.id = ANY($1)";

const UPDATE_MESSAGES: &str = "UPDATE messages m SET rev = k.rev, content = k.content, modified_at = k.modified_at, \
     edited_at = k.edited_at, deleted_at = k.deleted_at, removed_by = k.removed_by, extras = k.extras, \
     file_id = CASE WHEN k.deleted_at IS NULL THEN m.file_id END, \
     attachment_name = CASE WHEN k.deleted_at IS NULL THEN m.attachment_name END, \
     attachment_size = CASE WHEN k.deleted_at IS NULL THEN m.attachment_size END \
     FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::timestamptz[], $6::timestamptz[], \
     $7::timestamptz[], $8::text[], $9::jsonb[]) \
     k (room_id, id, rev, content, modified_at, edited_at, deleted_at, removed_by, extras) \
     WHERE m.room_id = k.room_id AND m.id = k.id AND m.room_id = ANY($1) AND m.id = ANY($2)";

const ATTACH_UPLOADS: &str = "DELETE FROM uploads WHERE id = ANY($1)";

/// Locks files, so that no transaction under way makes another message carry one.
pub(super) const LOCK_FILES: &str = "SELECT FROM unnest($1::uuid[]) k (id) CROSS JOIN LATERAL \
     (SELECT FROM files WHERE id = k.id LIMIT 1 FOR UPDATE) f";

/// Deletes those of the locked files that no message carries any more: as its first file, as one of several with
/// which it came, or as a copy. It looks at each file's messages by themselves (`OFFSET 0`), whatever the planner thinks
/// of the tables' sizes.
pub(super) const DELETE_FILES: &str = "WITH gone AS (DELETE FROM files f WHERE f.id = ANY($1) \
     AND NOT EXISTS (SELECT FROM messages WHERE file_id = f.id OFFSET 0) \
     AND NOT EXISTS (SELECT FROM messages WHERE room_id = f.room_id AND id = f.message_id \
     AND deleted_at IS NULL OFFSET 0) \
     AND NOT EXISTS (SELECT FROM forwarded_files WHERE file_id = f.id OFFSET 0) RETURNING f.id) \
     INSERT INTO files_to_erase (id) SELECT id FROM gone ON CONFLICT DO NOTHING";

const UPSERT_PARTICIPANTS: &str = "INSERT INTO participants AS p (id, room_id, user_id, role, joined_at, joined_seq, \
     visible_from_seq, left_at, read_seq, read_at, is_muted, muted_until, left_willingly, level, is_favourite, \
     unread_from, until) \
     SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::text[], $5::timestamptz[], $6::bigint[], \
     $7::bigint[], $8::timestamptz[], $9::bigint[], $10::timestamptz[], $11::boolean[], $12::timestamptz[], \
     $13::boolean[], $14::text[], $15::boolean[], $16::bigint[], $17::timestamptz[]) \
     ON CONFLICT (room_id, user_id) DO UPDATE SET role = excluded.role, joined_at = excluded.joined_at, \
     joined_seq = excluded.joined_seq, visible_from_seq = excluded.visible_from_seq, \
     left_at = excluded.left_at, read_seq = excluded.read_seq, \
     read_at = coalesce(excluded.read_at, p.read_at), is_muted = excluded.is_muted, \
     muted_until = excluded.muted_until, left_willingly = excluded.left_willingly, level = excluded.level, \
     is_favourite = excluded.is_favourite, unread_from = excluded.unread_from, until = excluded.until, \
     own_xid = CASE WHEN (p.is_muted, p.muted_until, p.level, p.is_favourite, p.unread_from) IS DISTINCT FROM \
     (excluded.is_muted, excluded.muted_until, excluded.level, excluded.is_favourite, excluded.unread_from) \
     THEN pg_current_xact_id() ELSE p.own_xid END";

const UPDATE_HEADS: &str = "UPDATE rooms r SET head = k.head, modified_at = k.modified_at \
     FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[]) k (room_id, head, modified_at) \
     CROSS JOIN LATERAL (SELECT ctid FROM rooms WHERE id = k.room_id LIMIT 1) x WHERE r.ctid = x.ctid";

/// The settings come as one object, whose fields are named like their columns.
const UPDATE_ROOM_STATES: &str = concat!(
    "UPDATE rooms r SET name = k.name, title = k.title, archived_at = k.archived_at, deleted_at = k.deleted_at, \
     visible_to_all_from = k.visible_to_all_from",
    actors::with_room_settings!(setting_assignments),
    " FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::bigint[], \
     $7::jsonb[]) k (room_id, name, title, archived_at, deleted_at, visible_to_all_from, settings) \
     CROSS JOIN LATERAL jsonb_populate_record(NULL::rooms, k.settings) s \
     CROSS JOIN LATERAL (SELECT ctid FROM rooms WHERE id = k.room_id LIMIT 1) x WHERE r.ctid = x.ctid"
);

const UPDATE_LAST_MESSAGES: &str = "UPDATE rooms r SET last_message_id = m.id, last_message_seq = m.seq, \
     last_message_at = m.created_at \
     FROM unnest($1::uuid[]) k (room_id) LEFT JOIN LATERAL \
     (SELECT id, seq, created_at FROM messages WHERE room_id = k.room_id AND deleted_at IS NULL AND in_timeline \
     ORDER BY seq DESC LIMIT 1) m ON true \
     CROSS JOIN LATERAL (SELECT ctid FROM rooms WHERE id = k.room_id LIMIT 1) x WHERE r.ctid = x.ctid";

/// The statements of commits, for connections to prepare at once.
pub(super) const PREPARED: [&str; 12] = [
    INSERT_EVENTS,
    INSERT_MESSAGES,
    ATTACH_FILES,
    ATTACH_UPLOADS,
    UPDATE_MESSAGES,
    LOCK_FILES,
    DELETE_FILES,
    UPSERT_PARTICIPANTS,
    UPDATE_HEADS,
    UPDATE_ROOM_STATES,
    UPDATE_LAST_MESSAGES,
    APPEND_PERSONAL,
];

/// A statement with its parameters, one array for each column of its rows.
pub(super) struct BatchStatement<'a> {
    pub(super) sql: &'static str,
    /// Its parameters.
    pub(super) columns: Vec<Column<'a>>,
}

/// One column of rows, as an array.
pub(super) type Column<'a> = Box<dyn ToSql + Sync + Send + 'a>;

impl BatchStatement<'_> {
    /// Appends the columns of `other`, which belongs to the same statement.
    fn with(mut self, other: Self) -> Self {
        self.columns.extend(other.columns);
        self
    }

    pub(super) async fn run(&self, client: &ClientWrapper, statement: &Statement) -> Result<(), Error> {
        client.execute(statement, &self.params()).await.map(drop)
    }

    pub(super) async fn rows(
        &self,
        client: &ClientWrapper,
        statement: &Statement,
    ) -> Result<Vec<Row>, Error> {
        client.query(statement, &self.params()).await
    }

    fn params(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.columns.iter().map(|column| &**column as &(dyn ToSql + Sync)).collect()
    }
}

/// A statement with one array for each listed column of `$rows`, of which there may be none.
macro_rules! statement_of {
    ($sql:ident, $rows:expr, |$row:pat_param| [$($value:expr),+ $(,)?]) => {{
        let rows = $rows;
        let mut columns: Vec<Column<'_>> = Vec::new();
        $(
            #[allow(unused_variables, reason = "each column looks at a part of the row")]
            let column: Vec<_> = rows.clone().map(|$row| $value).collect();
            columns.push(Box::new(column));
        )+
        BatchStatement { sql: $sql, columns }
    }};
}

/// The same; `None` if there are no rows.
macro_rules! write_statement {
    ($sql:ident, $rows:expr, |$row:pat_param| [$($value:expr),+ $(,)?]) => {{
        let rows = $rows;
        let is_empty = rows.clone().next().is_none();
        (!is_empty).then(|| statement_of!($sql, rows, |$row| [$($value),+]))
    }};
}

/// The log's new events, except those of new messages.
pub(super) fn insert_events<'a>(events: &[&'a Event]) -> Option<BatchStatement<'a>> {
    let others = events.iter().copied().filter(|event| event.body.facts().new_message().is_none());
    write_statement!(INSERT_EVENTS, others, |event| [
        event.room.0,
        event.seq.0,
        event.body.kind().as_str(),
        event.by.map(|by| by.0),
        event.body.facts().message_id().map(|id| id.0),
        event.at,
        event.body.data(),
    ])
}

/// New messages with their events, and the rooms whose timelines grew by them.
pub(super) fn insert_messages<'a>(
    new_messages: &[&'a Message],
    rooms: &'a BTreeMap<RoomId, Option<&'a Message>>,
    aggregates: &'a BTreeMap<RoomId, RoomAggregate>,
) -> Option<BatchStatement<'a>> {
    let sent = new_messages.iter().map(|message| (*message, digest(message, aggregates)));
    let messages = write_statement!(INSERT_MESSAGES, sent, |(message, digest)| [
        message.room.0,
        message.id.0,
        message.seq.0,
        message.sender.id.0,
        message.client_id.map(|id| id.0),
        digest.map(<[u8; 16]>::as_slice),
        message.message_type.as_str(),
        message.content.as_str(),
        message.attachment.as_ref().map(|file| file.file.0),
        message.attachment.as_ref().map(|file| file.name.as_str()),
        message.attachment.as_ref().map(|file| file.size),
        message.reply_to.as_ref().map(|quote| quote.id.0),
        message.created_at,
        extras(message),
        message.thread.map(|place| place.root.0),
        message.is_in_timeline(),
    ])?;
    let posted_to = rooms.iter().filter_map(|(id, newest)| Some((&aggregates.get(id)?.room, (*newest)?)));
    let rooms = statement_of!(INSERT_MESSAGES, posted_to, |(room, newest)| [
        room.id.0,
        room.head.0,
        room.modified_at,
        newest.id.0,
        newest.seq.0,
        newest.created_at,
    ]);
    Some(messages.with(rooms))
}

/// The digest of what a client sent, if it may send the message again.
fn digest<'a>(message: &Message, aggregates: &'a BTreeMap<RoomId, RoomAggregate>) -> Option<&'a [u8; 16]> {
    let key = (message.sender.id, message.client_id?);
    aggregates.get(&message.room)?.sent.get(&key).map(|sent| &sent.digest)
}

/// The files of new messages; a copy leaves its files with the message with which they came.
pub(super) fn attach_files<'a>(new_messages: &[&'a Message]) -> Option<BatchStatement<'a>> {
    let originals = new_messages.iter().filter(|message| message.extras.forwarded.is_none());
    let files = originals.flat_map(|message| message.files().map(|attachment| (attachment.file, *message)));
    let sent: Vec<_> = files.collect();
    write_statement!(ATTACH_FILES, sent.iter(), |(file, message)| [file.0, message.room.0, message.id.0])
}

/// Takes away the uploads that new messages carry.
pub(super) fn attach_uploads<'a>(
    uploads: impl Iterator<Item = &'a UploadId> + Clone,
) -> Option<BatchStatement<'a>> {
    write_statement!(ATTACH_UPLOADS, uploads, |upload| [upload.0])
}

/// Messages after their changes; a deleted message loses its content.
pub(super) fn update_messages<'a>(
    changed: &BTreeSet<(RoomId, MessageId)>,
    aggregates: &'a BTreeMap<RoomId, RoomAggregate>,
) -> Option<BatchStatement<'a>> {
    let messages = changed.iter().filter_map(|(room, id)| aggregates.get(room)?.messages.get(id));
    write_statement!(UPDATE_MESSAGES, messages, |message| [
        message.room.0,
        message.id.0,
        message.rev.0,
        if message.deleted_at.is_some() { "" } else { message.content.as_str() },
        message.modified_at,
        message.edited_at,
        message.deleted_at,
        message.removed_by.map(RemovedBy::as_str),
        extras(message),
    ])
}

/// What a message carries beside its text and its file, if anything.
fn extras(message: &Message) -> Option<Json<MessageExtras>> {
    (!message.extras.is_empty()).then(|| Json(message.extras.without_names()))
}

/// Deletes the files of removed messages, unless others carry them. They are locked by a statement before, in
/// the one order in which files are locked: what a statement sees is older than its wait for a lock.
pub(super) fn delete_files<'a>(removed: impl Iterator<Item = &'a Message>) -> Vec<BatchStatement<'a>> {
    let files: BTreeSet<_> = removed.flat_map(Message::files).map(|attachment| attachment.file).collect();
    let statements = [LOCK_FILES, DELETE_FILES];
    statements.into_iter().filter_map(|sql| write_statement!(sql, files.iter(), |file| [file.0])).collect()
}

/// Participants in their current state, each with the time of its read mark if that moved.
pub(super) fn upsert_participants<'a>(
    participants: &'a BTreeMap<(RoomId, UserId), Option<DateTime<Utc>>>,
    aggregates: &'a BTreeMap<RoomId, RoomAggregate>,
) -> Option<BatchStatement<'a>> {
    let changed = participants.iter().filter_map(|((room, user), read_at)| {
        let state = aggregates.get(room)?.participants.get(user)?;
        Some((state, &state.participant, *read_at))
    });
    write_statement!(UPSERT_PARTICIPANTS, changed, |(state, participant, read_at)| [
        participant.id.0,
        participant.room.0,
        participant.user.id.0,
        participant.role.as_str(),
        participant.joined_at,
        participant.joined_seq.0,
        participant.visible_from.0,
        participant.left_at,
        participant.read_seq.0,
        read_at,
        state.is_muted,
        state.muted_until,
        state.left_willingly,
        state.level.as_str(),
        state.is_favourite,
        participant.unread_from.map(|from| from.0),
        participant.until,
    ])
}

/// The heads of rooms that have new events and no new message in their timelines.
pub(super) fn update_heads<'a>(
    rooms: &'a BTreeMap<RoomId, Option<&'a Message>>,
    aggregates: &'a BTreeMap<RoomId, RoomAggregate>,
) -> Option<BatchStatement<'a>> {
    let others = rooms.iter().filter(|(_, newest)| newest.is_none());
    let moved = others.filter_map(|(id, _)| Some(&aggregates.get(id)?.room));
    write_statement!(UPDATE_HEADS, moved, |room| [room.id.0, room.head.0, room.modified_at])
}

/// Rooms whose own state changed.
pub(super) fn update_room_states<'a>(
    changed_rooms: &'a BTreeSet<RoomId>,
    aggregates: &'a BTreeMap<RoomId, RoomAggregate>,
) -> Option<BatchStatement<'a>> {
    let changed = changed_rooms.iter().filter_map(|id| Some(&aggregates.get(id)?.room));
    write_statement!(UPDATE_ROOM_STATES, changed, |room| [
        room.id.0,
        room.name.as_str(),
        room.title.as_str(),
        room.archived_at,
        room.is_deleted.then_some(room.modified_at),
        room.visible_to_all_from.0,
        Json(&room.settings),
    ])
}

/// What changed that only one user sees.
pub(super) fn append_personal<'a>(
    changes: impl Iterator<Item = &'a PersonalChange> + Clone,
) -> Option<BatchStatement<'a>> {
    let mut append = write_statement!(APPEND_PERSONAL, changes, |change| [
        change.user.0,
        change.kind.as_str(),
        change.id,
    ])?;
    append.columns.push(Box::new(ENTRIES_KEPT));
    Some(append)
}

/// Finds the newest messages of rooms from which one was removed.
pub(super) fn update_last_messages<'a>(
    removed: impl Iterator<Item = &'a Message> + Clone,
) -> Option<BatchStatement<'a>> {
    write_statement!(UPDATE_LAST_MESSAGES, removed, |message| [message.room.0])
}
