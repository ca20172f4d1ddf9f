//! The tables that a transaction writes: for each its statement, and its rows as columns of arrays.
//! Only what has rows is written.

use std::collections::{BTreeMap, BTreeSet};

use actors::domain::event::{Event, EventBody, EventKind};
use actors::domain::ids::{MessageId, RoomId, UserId};
use actors::domain::ledger::Ledger;
use actors::domain::message::{Message, RemovedBy};
use chrono::{DateTime, Utc};
use deadpool_postgres::ClientWrapper;
use serde_json::json;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Statement};

use super::writes::{Before, Post};

const EVENTS: &str = "INSERT INTO events (room_id, seq, kind, actor, message_id, at, data) \
     SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[], $5::uuid[], $6::timestamptz[], \
     $7::jsonb[])";

// The rooms of a batch are locked, so their rows stay where they are: each is found by its key and changed
// in its place, whatever the planner thinks of the table's size.

/// New messages, their events, and the rooms that they are the newest of: one statement, for to begin
/// and to end one is most of what a lone message costs.
const POSTED: &str = "WITH posted AS (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], \
     $5::uuid[], $6::bytea[], $7::text[], $8::text[], $9::uuid[], $10::text[], $11::bigint[], $12::uuid[], \
     $13::timestamptz[]) \
     k (room_id, id, seq, sender_id, client_id, client_digest, message_type, content, file_id, \
     attachment_name, attachment_size, reply_to, at)), \
     told AS (INSERT INTO events (room_id, seq, kind, actor, message_id, at) \
     SELECT room_id, seq, 'message_posted', sender_id, id, at FROM posted), \
     kept AS (INSERT INTO messages (room_id, id, seq, rev, sender_id, client_id, client_digest, \
     message_type, content, file_id, attachment_name, attachment_size, reply_to, created_at, modified_at) \
     SELECT room_id, id, seq, seq, sender_id, client_id, client_digest, message_type, content, file_id, \
     attachment_name, attachment_size, reply_to, at, at FROM posted) \
     UPDATE rooms r SET head = k.head, modified_at = k.modified_at, \
     last_message_id = k.id, last_message_seq = k.seq, last_message_at = k.at \
     FROM unnest($14::uuid[], $15::bigint[], $16::timestamptz[], $17::uuid[], $18::bigint[], \
     $19::timestamptz[]) k (room_id, head, modified_at, id, seq, at) \
     CROSS JOIN LATERAL (SELECT ctid FROM rooms WHERE id = k.room_id LIMIT 1) x WHERE r.ctid = x.ctid";

const SENT_FILES: &str = "UPDATE files f SET room_id = k.room_id, message_id = k.message_id \
     FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) k (id, room_id, message_id) \
     WHERE f.id = k.id AND f.id = ANY($1)";

const VERSIONS: &str = "INSERT INTO message_versions (room_id, message_id, rev, content, at) \
     SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::timestamptz[])";

const CHANGED: &str = "UPDATE messages m SET rev = k.rev, content = k.content, modified_at = k.modified_at, \
     edited_at = k.edited_at, deleted_at = k.deleted_at, removed_by = k.removed_by, \
     file_id = CASE WHEN k.deleted_at IS NULL THEN m.file_id END, \
     attachment_name = CASE WHEN k.deleted_at IS NULL THEN m.attachment_name END, \
     attachment_size = CASE WHEN k.deleted_at IS NULL THEN m.attachment_size END \
     FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::timestamptz[], $6::timestamptz[], \
     $7::timestamptz[], $8::text[]) \
     k (room_id, id, rev, content, modified_at, edited_at, deleted_at, removed_by) \
     WHERE m.room_id = k.room_id AND m.id = k.id AND m.room_id = ANY($1) AND m.id = ANY($2)";

const NO_VERSIONS: &str = "DELETE FROM message_versions v USING unnest($1::uuid[], $2::uuid[]) k (room_id, id) \
     WHERE v.room_id = k.room_id AND v.message_id = k.id AND v.room_id = ANY($1)";

const NO_FILES: &str = "WITH gone AS (DELETE FROM files WHERE id = ANY($1) RETURNING id) \
     INSERT INTO files_to_erase (id) SELECT id FROM gone ON CONFLICT DO NOTHING";

const PARTICIPANTS: &str = "INSERT INTO participants AS p (id, room_id, user_id, role, joined_at, joined_seq, \
     visible_from_seq, left_at, read_seq, read_at, is_muted, muted_until, left_willingly) \
     SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::text[], $5::timestamptz[], $6::bigint[], \
     $7::bigint[], $8::timestamptz[], $9::bigint[], $10::timestamptz[], $11::boolean[], $12::timestamptz[], \
     $13::boolean[]) \
     ON CONFLICT (room_id, user_id) DO UPDATE SET role = excluded.role, joined_at = excluded.joined_at, \
     joined_seq = excluded.joined_seq, visible_from_seq = excluded.visible_from_seq, \
     left_at = excluded.left_at, read_seq = excluded.read_seq, \
     read_at = coalesce(excluded.read_at, p.read_at), is_muted = excluded.is_muted, \
     muted_until = excluded.muted_until, left_willingly = excluded.left_willingly, own_xid = CASE WHEN (p.is_muted, p.muted_until) \
     IS DISTINCT FROM (excluded.is_muted, excluded.muted_until) THEN pg_current_xact_id() ELSE p.own_xid END";

const READ_MOVES: &str = "INSERT INTO read_moves (room_id, user_id, seq, at) \
     SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::timestamptz[])";

const ROOMS: &str = "UPDATE rooms r SET head = k.head, modified_at = k.modified_at \
     FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[]) k (room_id, head, modified_at) \
     CROSS JOIN LATERAL (SELECT ctid FROM rooms WHERE id = k.room_id LIMIT 1) x WHERE r.ctid = x.ctid";

const ROOM_STATES: &str = "UPDATE rooms r SET name = k.name, title = k.title, archived_at = k.archived_at, \
     deleted_at = k.deleted_at \
     FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[]) \
     k (room_id, name, title, archived_at, deleted_at) \
     CROSS JOIN LATERAL (SELECT ctid FROM rooms WHERE id = k.room_id LIMIT 1) x WHERE r.ctid = x.ctid";

const LAST_MESSAGES: &str = "UPDATE rooms r SET last_message_id = m.id, last_message_seq = m.seq, \
     last_message_at = m.created_at \
     FROM unnest($1::uuid[]) k (room_id) LEFT JOIN LATERAL \
     (SELECT id, seq, created_at FROM messages WHERE room_id = k.room_id AND deleted_at IS NULL \
     ORDER BY seq DESC LIMIT 1) m ON true \
     CROSS JOIN LATERAL (SELECT ctid FROM rooms WHERE id = k.room_id LIMIT 1) x WHERE r.ctid = x.ctid";

/// The statements of this file, for connections to prepare at once.
pub(super) const PREPARED: [&str; 12] = [
    EVENTS,
    POSTED,
    SENT_FILES,
    VERSIONS,
    CHANGED,
    NO_VERSIONS,
    NO_FILES,
    PARTICIPANTS,
    READ_MOVES,
    ROOMS,
    ROOM_STATES,
    LAST_MESSAGES,
];

/// One statement with its columns.
pub(super) struct Put<'a> {
    /// The statement.
    pub(super) sql: &'static str,
    columns: Vec<Box<dyn ToSql + Sync + Send + 'a>>,
}

impl Put<'_> {
    /// Puts the columns of `other`, which has the same statement, behind its own.
    fn with(mut self, other: Self) -> Self {
        self.columns.extend(other.columns);
        self
    }

    /// Runs it.
    pub(super) async fn run(&self, client: &ClientWrapper, statement: &Statement) -> Result<(), Error> {
        let params: Vec<&(dyn ToSql + Sync)> =
            self.columns.iter().map(|column| &**column as &(dyn ToSql + Sync)).collect();
        client.execute(statement, &params).await.map(drop)
    }
}

/// A statement over one array for each named column, made from each of `$rows`; none without rows.
macro_rules! put {
    ($sql:ident, $rows:expr, |$row:pat_param| [$($value:expr),+ $(,)?]) => {{
        let rows = $rows;
        let mut columns: Vec<Box<dyn ToSql + Sync + Send + '_>> = Vec::new();
        let mut is_empty = true;
        $(
            #[allow(unused_variables, reason = "each column looks at a part of the row")]
            let column: Vec<_> = rows.clone().map(|$row| $value).collect();
            is_empty = is_empty && column.is_empty();
            columns.push(Box::new(column));
        )+
        if is_empty { None } else { Some(Put { sql: $sql, columns }) }
    }};
}

/// The log's new events, but for those of new messages. `data` says whom a participant's event is about,
/// and why a message was deleted.
pub(super) fn events<'a>(events: &[&'a Event]) -> Option<Put<'a>> {
    let others = events.iter().copied().filter(|event| event.body.kind() != EventKind::MessagePosted);
    put!(EVENTS, others, |event| [
        event.room.0,
        event.seq.0,
        event.body.kind().as_str(),
        event.by.map(|by| by.0),
        event.body.message().map(|id| id.0),
        event.at,
        data(&event.body),
    ])
}

fn data(body: &EventBody) -> Option<serde_json::Value> {
    match body {
        EventBody::MessageDeleted { removed_by, reason, .. } => {
            Some(json!({ "removed_by": removed_by.as_str(), "reason": reason }))
        }
        body => body.participant().map(|who| json!({ "user": who.user.id, "role": who.role.as_str() })),
    }
}

/// New messages with their events, and the rooms that grew by them.
pub(super) fn posted<'a>(
    posts: &[Post<'a>],
    rooms: &'a BTreeMap<RoomId, Option<&'a Message>>,
    ledgers: &'a BTreeMap<RoomId, Ledger>,
) -> Option<Put<'a>> {
    let sent = posts.iter().map(|post| (post.message, post.digest));
    let messages = put!(POSTED, sent, |(message, digest)| [
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
    ])?;
    let grown = rooms.iter().filter_map(|(id, newest)| Some((&ledgers.get(id)?.room, (*newest)?)));
    let rooms = put!(POSTED, grown, |(room, newest)| [
        room.id.0,
        room.head.0,
        room.modified_at,
        newest.id.0,
        newest.seq.0,
        newest.created_at,
    ])?;
    Some(messages.with(rooms))
}

/// Files that are sent now.
pub(super) fn sent_files<'a>(posts: &[Post<'a>]) -> Option<Put<'a>> {
    let sent = posts.iter().filter_map(|post| Some((post.message.attachment.as_ref()?.file, post.message)));
    put!(SENT_FILES, sent, |(file, message)| [file.0, message.room.0, message.id.0])
}

/// The texts that edits replace.
pub(super) fn versions(before: &[Before]) -> Option<Put<'_>> {
    let edited = before.iter().filter(|before| before.is_edit).map(|before| &before.message);
    put!(VERSIONS, edited, |message| [
        message.room.0,
        message.id.0,
        message.rev.0,
        message.content.as_str(),
        message.modified_at,
    ])
}

/// Messages as they are after edits and deletions; of a deleted one's content nothing stays.
pub(super) fn changed_messages<'a>(changed: &BTreeMap<(RoomId, MessageId), &'a Message>) -> Option<Put<'a>> {
    put!(CHANGED, changed.values().copied(), |message| [
        message.room.0,
        message.id.0,
        message.rev.0,
        if message.deleted_at.is_some() { "" } else { message.content.as_str() },
        message.modified_at,
        message.edited_at,
        message.deleted_at,
        message.removed_by.map(RemovedBy::as_str),
    ])
}

fn deleted(before: &[Before]) -> impl Iterator<Item = &Message> + Clone {
    before.iter().filter(|before| !before.is_edit).map(|before| &before.message)
}

/// Takes away the earlier texts of deleted messages.
pub(super) fn no_versions(before: &[Before]) -> Option<Put<'_>> {
    put!(NO_VERSIONS, deleted(before), |message| [message.room.0, message.id.0])
}

/// Takes away the files of deleted messages.
pub(super) fn no_files(before: &[Before]) -> Option<Put<'_>> {
    let files = deleted(before).filter_map(|message| message.attachment.as_ref());
    put!(NO_FILES, files, |attachment| [attachment.file.0])
}

/// Participants as they are now; with a time, their read mark moved at it.
pub(super) fn participants<'a>(
    members: &'a BTreeMap<(RoomId, UserId), Option<DateTime<Utc>>>,
    ledgers: &'a BTreeMap<RoomId, Ledger>,
) -> Option<Put<'a>> {
    let changed = members.iter().filter_map(|((room, user), read_at)| {
        let member = ledgers.get(room)?.members.get(user)?;
        Some((member, &member.participant, *read_at))
    });
    put!(PARTICIPANTS, changed, |(member, participant, read_at)| [
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
        member.is_muted,
        member.muted_until,
        member.left_willingly,
    ])
}

/// Read marks that moved.
pub(super) fn read_moves(moves: &BTreeMap<(RoomId, UserId, i64), DateTime<Utc>>) -> Option<Put<'_>> {
    put!(READ_MOVES, moves.iter(), |((room, user, seq), at)| [room.0, user.0, *seq, *at])
}

/// The heads of rooms that have new events and no new message.
pub(super) fn rooms<'a>(
    rooms: &'a BTreeMap<RoomId, Option<&'a Message>>,
    ledgers: &'a BTreeMap<RoomId, Ledger>,
) -> Option<Put<'a>> {
    let others = rooms.iter().filter(|(_, newest)| newest.is_none());
    let moved = others.filter_map(|(id, _)| Some(&ledgers.get(id)?.room));
    put!(ROOMS, moved, |room| [room.id.0, room.head.0, room.modified_at])
}

/// Rooms whose name, title or state changed.
pub(super) fn room_states<'a>(
    states: &'a BTreeSet<RoomId>,
    ledgers: &'a BTreeMap<RoomId, Ledger>,
) -> Option<Put<'a>> {
    let changed = states.iter().filter_map(|id| Some(&ledgers.get(id)?.room));
    put!(ROOM_STATES, changed, |room| [
        room.id.0,
        room.name.as_str(),
        room.title.as_str(),
        room.archived_at,
        room.is_deleted.then_some(room.modified_at),
    ])
}

/// Finds the newest messages of rooms in which one was deleted.
pub(super) fn last_messages(before: &[Before]) -> Option<Put<'_>> {
    put!(LAST_MESSAGES, deleted(before), |message| [message.room.0])
}
