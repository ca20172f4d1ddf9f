//! Rows of the database as values of the domain. Each list of columns has a function that reads it.

use std::sync::Arc;

use actors::domain::aggregate::{ParticipantState, SentMessage};
use actors::domain::attachment::Media;
use actors::domain::ids::{ClientId, FileId, MessageId, ParticipantId, RoomId, Seq, UploadId, UserId};
use actors::domain::message::{
    self, Attachment, DELETED_TEXT, Message, MessageType, Quote, QuotedMessage, RemovedBy,
};
use actors::domain::message_extras::MessageExtras;
use actors::domain::participant::{NotificationLevel, Participant, Role};
use actors::domain::room::{Room, RoomType, Subject};
use actors::domain::room_settings::{RoomSettings, RoomSettingsPatch, SettingInput, SettingKind};
use actors::domain::thread::ThreadPlace;
use actors::domain::upload::{Upload, UploadState};
use actors::domain::user::{User, UserSummary};
use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use tokio_postgres::types::Json;

/// The columns of a room `r`, for [`room`].
macro_rules! room_columns {
    () => {
        concat!(
            "r.id, r.room_type, r.name, r.task, r.property, r.title, r.created_at, r.modified_at, r.created_by, \
             r.archived_at, r.deleted_at IS NOT NULL, r.head, r.visible_to_all_from, r.is_blocked, \
             r.is_held",
            actors::with_room_settings!($crate::store::postgres::rows::setting_columns)
        )
    };
}

/// The columns of the settings of a room `r`, each behind a comma.
macro_rules! setting_columns {
    ($(#[doc = $about:literal] $name:ident: $type:ty = $default:expr;)+) => {
        concat!($(", r.", stringify!($name)),+)
    };
}

/// Sets the columns of the settings from a row `s` of the same names, each behind a comma.
macro_rules! setting_assignments {
    ($(#[doc = $about:literal] $name:ident: $type:ty = $default:expr;)+) => {
        concat!($(", ", stringify!($name), " = s.", stringify!($name)),+)
    };
}

/// The columns of a user `u`, for [`user_summary`].
macro_rules! user_summary_columns {
    () => {
        "u.username, u.full_name, u.erased_at IS NOT NULL"
    };
}

/// The columns of a user `u`, for [`user`].
macro_rules! user_columns {
    () => {
        concat!(
            "u.id, ",
            $crate::store::postgres::rows::user_summary_columns!(),
            ", u.is_active, u.is_staff, u.tokens_valid_from, ",
            $crate::store::postgres::rules::is_guest_account!("u")
        )
    };
}

/// The columns of a participant `p` who is the user `u`, for [`participant`].
macro_rules! participant_columns {
    () => {
        concat!(
            "p.room_id, p.user_id, p.id, p.role, p.joined_at, p.joined_seq, p.visible_from_seq, p.left_at, \
             p.read_seq, p.unread_from, p.until, ",
            $crate::store::postgres::rows::user_summary_columns!()
        )
    };
}

/// The columns that follow those of a participant `p` who is the user `u`, for [`participant_state`].
macro_rules! participant_state_columns {
    () => {
        "u.is_active, p.is_muted, p.muted_until, p.left_willingly, u.tokens_valid_from, p.level, p.is_favourite"
    };
}

/// The columns of a message `m` with its [`message_tables`], for [`message`].
macro_rules! message_columns {
    () => {
        concat!(
            "m.room_id, m.id, m.seq, m.rev, m.sender_id, m.message_type, m.content, m.file_id, \
             m.attachment_name, m.attachment_size, m.created_at, m.modified_at, m.edited_at, m.deleted_at, \
             m.client_id, m.removed_by, m.extras, m.thread_root, m.in_timeline, ",
            $crate::store::postgres::rows::user_summary_columns!(),
            ", q.id, q.sender_id, v.username, v.erased_at IS NOT NULL, ",
            $crate::store::postgres::rules::excerpt!("q.content"),
            ", q.created_at, q.deleted_at IS NOT NULL, q.seq, o.username, o.full_name, o.erased_at IS NOT NULL, \
             l.content_type, l.width, l.height, coalesce(l.has_previews, false)"
        )
    };
}

/// The joins of a message `m`: its sender `u`, the message `q` by `v` that it replies to, `o`, from whom it
/// was forwarded, and its first file `l`. Users and files are looked up one by one: a plan made for empty tables might otherwise read all of them.
macro_rules! message_tables {
    () => {
        " LEFT JOIN LATERAL (SELECT * FROM people WHERE id = m.sender_id LIMIT 1) u ON true \
          LEFT JOIN messages q ON q.room_id = m.room_id AND q.id = m.reply_to \
          LEFT JOIN LATERAL (SELECT * FROM people WHERE id = q.sender_id LIMIT 1) v ON true \
          LEFT JOIN LATERAL (SELECT username, full_name, erased_at FROM people WHERE m.extras ? 'forwarded' \
              AND id = (m.extras #>> '{forwarded,sender,id}')::bigint LIMIT 1) o ON true \
          LEFT JOIN LATERAL (SELECT content_type, width, height, has_previews FROM files WHERE id = m.file_id \
              LIMIT 1) l ON true "
    };
}

pub(crate) use {
    message_columns, message_tables, participant_columns, participant_state_columns, room_columns,
    setting_assignments, setting_columns, user_columns, user_summary_columns,
};

/// How many columns [`room_columns`] names before those of the settings.
const SETTINGS_AT: usize = 15;
/// How many columns [`room_columns`] names.
pub(crate) const ROOM_WIDTH: usize = SETTINGS_AT + RoomSettings::ALL.len();
/// How many columns [`message_columns`] names.
pub(crate) const MESSAGE_WIDTH: usize = 37;
/// How many columns [`participant_columns`] names.
pub(crate) const PARTICIPANT_WIDTH: usize = 14;

/// Reads the room whose columns begin at `at`.
pub(crate) fn room(row: &Row, at: usize) -> Room {
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
        visible_to_all_from: Seq(row.get(at + 12)),
        is_blocked: row.get(at + 13),
        is_held: row.get(at + 14),
        settings: room_settings(row, at + SETTINGS_AT),
    }
}

fn room_settings(row: &Row, at: usize) -> RoomSettings {
    let mut columns = at..;
    let patch = RoomSettingsPatch::read(|setting| {
        let column = columns.next()?;
        Some(match setting.kind {
            SettingKind::Choice(_) | SettingKind::Text { .. } => {
                SettingInput::Text(row.get::<_, &str>(column).into())
            }
            SettingKind::Number { .. } => SettingInput::Number(row.get::<_, i32>(column).into()),
            SettingKind::Flag => SettingInput::Flag(row.get(column)),
        })
    });
    let mut settings = RoomSettings::default();
    patch.apply_to(&mut settings);
    settings
}

/// Reads the user `id` whose columns begin at `at`. A user who is no longer in the directory is shown as an
/// erased one.
pub(crate) fn user_summary(row: &Row, id: UserId, at: usize) -> UserSummary {
    match (row.get::<_, Option<&str>>(at), row.get::<_, Option<&str>>(at + 1), row.get(at + 2)) {
        (Some(username), Some(full_name), false) => UserSummary::new(id, username, full_name),
        _ => UserSummary::erased(id),
    }
}

/// Reads a user from [`user_columns`].
pub(crate) fn user(row: &Row) -> User {
    User {
        summary: user_summary(row, UserId(row.get(0)), 1),
        is_active: row.get(4),
        is_staff: row.get(5),
        tokens_valid_from: row.get(6),
        is_guest: row.get(7),
    }
}

/// Reads the participant whose columns begin at `at`.
pub(crate) fn participant(row: &Row, at: usize) -> Participant {
    Participant {
        room: RoomId(row.get(at)),
        user: user_summary(row, UserId(row.get(at + 1)), at + 11),
        id: ParticipantId(row.get(at + 2)),
        role: Role::parse(row.get(at + 3)),
        joined_at: row.get(at + 4),
        joined_seq: Seq(row.get(at + 5)),
        visible_from: Seq(row.get(at + 6)),
        left_at: row.get(at + 7),
        read_seq: Seq(row.get(at + 8)),
        unread_from: row.get::<_, Option<_>>(at + 9).map(Seq),
        until: row.get(at + 10),
    }
}

/// Reads a participant's columns followed by those of [`participant_state_columns`].
pub(crate) fn participant_state(row: &Row) -> ParticipantState {
    ParticipantState {
        participant: participant(row, 0),
        is_active: row.get(PARTICIPANT_WIDTH),
        is_muted: row.get(PARTICIPANT_WIDTH + 1),
        muted_until: row.get(PARTICIPANT_WIDTH + 2),
        left_willingly: row.get(PARTICIPANT_WIDTH + 3),
        tokens_valid_from: row.get(PARTICIPANT_WIDTH + 4),
        level: level(row, PARTICIPANT_WIDTH + 5),
        is_favourite: row.get(PARTICIPANT_WIDTH + 6),
    }
}

/// Reads what a participant wants to be told of; a newer node may write levels that this one doesn't know.
pub(crate) fn level(row: &Row, at: usize) -> NotificationLevel {
    NotificationLevel::parse(row.get(at)).unwrap_or_default()
}

/// Reads the message whose columns begin at `at`.
pub(crate) fn message(row: &Row, at: usize) -> Message {
    let sender = UserId(row.get(at + 4));
    let deleted_at: Option<DateTime<Utc>> = row.get(at + 13);
    let file: Option<_> = row.get(at + 7);
    let attachment = file.filter(|_| deleted_at.is_none()).map(|file| Attachment {
        file: FileId(file),
        name: row.get::<_, Option<String>>(at + 8).unwrap_or_default(),
        size: row.get::<_, Option<i64>>(at + 9).unwrap_or_default(),
        media: Media {
            content_type: row.get::<_, Option<String>>(at + 33).unwrap_or_default(),
            width: row.get(at + 34),
            height: row.get(at + 35),
            has_previews: row.get(at + 36),
        },
    });
    let content = if deleted_at.is_some() { DELETED_TEXT.to_owned() } else { row.get(at + 6) };
    Message {
        room: RoomId(row.get(at)),
        id: MessageId(row.get(at + 1)),
        seq: Seq(row.get(at + 2)),
        rev: Seq(row.get(at + 3)),
        sender: user_summary(row, sender, at + 19),
        message_type: MessageType::parse(row.get(at + 5)).expect("the table holds known types only"),
        content,
        attachment,
        reply_to: quote(row, at + 22),
        thread: row
            .get::<_, Option<_>>(at + 17)
            .map(|root| ThreadPlace { root: MessageId(root), in_timeline: row.get(at + 18) }),
        created_at: row.get(at + 10),
        modified_at: row.get(at + 11),
        edited_at: row.get(at + 12),
        deleted_at,
        removed_by: deleted_at.map(|_| RemovedBy::parse(row.get(at + 15))),
        client_id: row.get::<_, Option<_>>(at + 14).map(ClientId),
        extras: extras(row, at),
    }
}

/// Reads what the message whose columns begin at `at` carries beside its text and its file, with the names of now.
fn extras(row: &Row, at: usize) -> MessageExtras {
    let stored = row.get::<_, Option<Json<MessageExtras>>>(at + 16);
    let mut extras = stored.map(|Json(extras)| extras).unwrap_or_default();
    if let Some(origin) = &mut extras.forwarded {
        origin.sender = user_summary(row, origin.sender.id, at + 30);
    }
    extras
}

fn quote(row: &Row, at: usize) -> Option<Quote> {
    let id = MessageId(row.get::<_, Option<_>>(at)?);
    let sender = UserId(row.get(at + 1));
    let username: Arc<str> = match (row.get::<_, Option<&str>>(at + 2), row.get(at + 3)) {
        (Some(username), false) => username.into(),
        _ => UserSummary::erased(sender).username,
    };
    let is_deleted: bool = row.get(at + 6);
    let shown = QuotedMessage {
        sender,
        username: username.to_string(),
        content: if is_deleted { DELETED_TEXT.to_owned() } else { row.get(at + 4) },
        created_at: row.get(at + 5),
    };
    Some(Quote { id, seq: Seq(row.get(at + 7)), shown: Some(shown) })
}

/// Reads the preview of a message from the two columns that begin at `at`; `None`: there is no message.
pub(crate) fn preview(row: &Row, at: usize) -> Option<String> {
    let message_type = row.get::<_, Option<&str>>(at).and_then(MessageType::parse)?;
    Some(message::preview(message_type, false, row.get(at + 1)))
}

/// Reads an upload and the file that it became.
pub(crate) fn upload(row: &Row) -> (UploadId, Upload) {
    let file = row.get::<_, Option<_>>(3).map(|file| Attachment {
        file: FileId(file),
        name: row.get(4),
        size: row.get(5),
        media: Media {
            content_type: row.get(6),
            width: row.get(7),
            height: row.get(8),
            has_previews: row.get(9),
        },
    });
    let state = match (row.get(2), file) {
        (Some(why), _) => UploadState::Refused(why),
        (None, Some(file)) => UploadState::Ready(Box::new(file)),
        (None, None) => UploadState::Unfinished,
    };
    (UploadId(row.get(0)), Upload { owner: UserId(row.get(1)), state })
}

/// Reads a message's columns followed by `m.client_digest`.
pub(crate) fn sent_message(row: &Row) -> SentMessage {
    let mut digest = [0; 16];
    if let Some(stored) = row.get::<_, Option<&[u8]>>(MESSAGE_WIDTH).filter(|stored| stored.len() == 16) {
        digest.copy_from_slice(stored);
    }
    SentMessage { message: message(row, 0), digest }
}
