//! Rows of the database and what they are to the engine. Each list of columns stands beside the
//! function that reads it.

use std::sync::Arc;

use actors::domain::ids::{ClientId, FileId, MessageId, ParticipantId, RoomId, Seq, UserId};
use actors::domain::ledger::{Member, Sent};
use actors::domain::message::{Attachment, DELETED_TEXT, Message, MessageType, Quote, RemovedBy};
use actors::domain::participant::{Participant, Role};
use actors::domain::person::{Author, Person};
use actors::domain::room::{Room, RoomType, Subject};
use chrono::{DateTime, Utc};
use tokio_postgres::Row;

/// The columns of a room `r`, for [`room`].
macro_rules! room_columns {
    () => {
        "r.id, r.room_type, r.name, r.task, r.property, r.title, r.created_at, r.modified_at, r.created_by, \
         r.archived_at, r.deleted_at IS NOT NULL, r.head"
    };
}

/// The columns of a person `u`, for [`author`].
macro_rules! author_columns {
    () => {
        "u.username, u.full_name, u.erased_at IS NOT NULL"
    };
}

/// The columns of a participant `p` who is the person `u`, for [`participant`].
macro_rules! participant_columns {
    () => {
        concat!(
            "p.room_id, p.user_id, p.id, p.role, p.joined_at, p.joined_seq, p.visible_from_seq, p.left_at, \
             p.read_seq, ",
            author_columns!()
        )
    };
}

/// What stands behind the columns of a participant `p` who is the person `u`, for [`member`].
macro_rules! member_columns {
    () => {
        "u.is_active, p.is_muted, p.muted_until, p.left_willingly, u.tokens_valid_from"
    };
}

/// The columns of a message `m` of [`message_tables`], for [`message`].
macro_rules! message_columns {
    () => {
        concat!(
            "m.room_id, m.id, m.seq, m.rev, m.sender_id, m.message_type, m.content, m.file_id, \
             m.attachment_name, m.attachment_size, m.created_at, m.modified_at, m.edited_at, m.deleted_at, \
             m.client_id, m.removed_by, ",
            author_columns!(),
            ", q.id, q.sender_id, v.username, v.erased_at IS NOT NULL, left(q.content, 100), q.created_at, \
             q.deleted_at IS NOT NULL"
        )
    };
}

/// What stands beside a message `m`: its sender `u`, and what it answers, `q` by `v`.
macro_rules! message_tables {
    () => {
        " LEFT JOIN people u ON u.id = m.sender_id \
          LEFT JOIN messages q ON q.room_id = m.room_id AND q.id = m.reply_to \
          LEFT JOIN people v ON v.id = q.sender_id "
    };
}

pub(super) use {
    author_columns, member_columns, message_columns, message_tables, participant_columns, room_columns,
};

/// How many columns [`room_columns`] names.
pub(super) const ROOM_WIDTH: usize = 12;
/// How many columns [`message_columns`] names.
pub(super) const MESSAGE_WIDTH: usize = 26;
/// How many columns [`participant_columns`] names.
pub(super) const PARTICIPANT_WIDTH: usize = 12;

/// Reads the room whose columns begin at `at`.
pub(super) fn room(row: &Row, at: usize) -> Room {
    let (task, property): (Option<i64>, Option<i64>) = (row.get(at + 3), row.get(at + 4));
    Room {
        id: RoomId(row.get(at)),
        room_type: RoomType::parse(row.get(at + 1)).expect("the table holds known types only"),
        name: row.get(at + 2),
        subject: task.map(Subject::Task).or(property.map(Subject::Property)),
        title: row.get(at + 5),
        created_at: row.get(at + 6),
        modified_at: row.get(at + 7),
        created_by: row.get::<_, Option<i64>>(at + 8).map(UserId),
        archived_at: row.get(at + 9),
        is_deleted: row.get(at + 10),
        head: Seq(row.get(at + 11)),
    }
}

/// Reads the person `id` whose columns begin at `at`; one who isn't in the directory any more is shown
/// as one who was erased.
pub(super) fn author(row: &Row, id: UserId, at: usize) -> Author {
    match (row.get::<_, Option<&str>>(at), row.get::<_, Option<&str>>(at + 1), row.get(at + 2)) {
        (Some(username), Some(full_name), false) => Author::new(id, username, full_name),
        _ => Author::erased(id),
    }
}

/// Reads a person of `u.id`, the author's columns, `u.is_active`, `u.is_staff` and `u.tokens_valid_from`.
pub(super) fn person(row: &Row) -> Person {
    Person {
        author: author(row, UserId(row.get(0)), 1),
        is_active: row.get(4),
        is_staff: row.get(5),
        tokens_valid_from: row.get(6),
    }
}

/// Reads the participant whose columns begin at `at`.
pub(super) fn participant(row: &Row, at: usize) -> Participant {
    Participant {
        room: RoomId(row.get(at)),
        user: author(row, UserId(row.get(at + 1)), at + 9),
        id: ParticipantId(row.get(at + 2)),
        role: Role::parse(row.get(at + 3)),
        joined_at: row.get(at + 4),
        joined_seq: Seq(row.get(at + 5)),
        visible_from: Seq(row.get(at + 6)),
        left_at: row.get(at + 7),
        read_seq: Seq(row.get(at + 8)),
    }
}

/// Reads a participant's columns and then those of [`member_columns`].
pub(super) fn member(row: &Row) -> Member {
    Member {
        participant: participant(row, 0),
        is_active: row.get(PARTICIPANT_WIDTH),
        is_muted: row.get(PARTICIPANT_WIDTH + 1),
        muted_until: row.get(PARTICIPANT_WIDTH + 2),
        left_willingly: row.get(PARTICIPANT_WIDTH + 3),
        tokens_valid_from: row.get(PARTICIPANT_WIDTH + 4),
    }
}

/// Reads the message whose columns begin at `at`, as it is now.
pub(super) fn message(row: &Row, at: usize) -> Message {
    let sender = UserId(row.get(at + 4));
    let deleted_at: Option<DateTime<Utc>> = row.get(at + 13);
    let file: Option<_> = row.get(at + 7);
    let attachment = file.filter(|_| deleted_at.is_none()).map(|file| Attachment {
        file: FileId(file),
        name: row.get::<_, Option<String>>(at + 8).unwrap_or_default(),
        size: row.get::<_, Option<i64>>(at + 9).unwrap_or_default(),
    });
    let content = if deleted_at.is_some() { DELETED_TEXT.to_owned() } else { row.get(at + 6) };
    Message {
        room: RoomId(row.get(at)),
        id: MessageId(row.get(at + 1)),
        seq: Seq(row.get(at + 2)),
        rev: Seq(row.get(at + 3)),
        sender: author(row, sender, at + 16),
        message_type: MessageType::parse(row.get(at + 5)).expect("the table holds known types only"),
        content,
        attachment,
        reply_to: quote(row, at + 19),
        created_at: row.get(at + 10),
        modified_at: row.get(at + 11),
        edited_at: row.get(at + 12),
        deleted_at,
        removed_by: deleted_at.map(|_| RemovedBy::parse(row.get(at + 15))),
        client_id: row.get::<_, Option<_>>(at + 14).map(ClientId),
    }
}

fn quote(row: &Row, at: usize) -> Option<Quote> {
    let id = MessageId(row.get::<_, Option<_>>(at)?);
    let sender = UserId(row.get(at + 1));
    let username: Arc<str> = match (row.get::<_, Option<&str>>(at + 2), row.get(at + 3)) {
        (Some(username), false) => username.into(),
        _ => Author::erased(sender).username,
    };
    let is_deleted: bool = row.get(at + 6);
    Some(Quote {
        id,
        sender,
        username: username.to_string(),
        content: if is_deleted { DELETED_TEXT.to_owned() } else { row.get(at + 4) },
        created_at: row.get(at + 5),
    })
}

/// Reads a message's columns and then `m.client_digest`.
pub(super) fn sent(row: &Row) -> Sent {
    let mut digest = [0; 16];
    if let Some(stored) = row.get::<_, Option<&[u8]>>(MESSAGE_WIDTH).filter(|stored| stored.len() == 16) {
        digest.copy_from_slice(stored);
    }
    Sent { message: message(row, 0), digest }
}
