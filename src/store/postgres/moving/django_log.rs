//! Reads a room of Django's as a log.

use chrono::{DateTime, Utc};
use tokio_postgres::{Portal, Row};
use uuid::Uuid;

use super::MoveError;
use super::django::{DjangoSnapshot, known_moment, moment};
use super::records::{OldEvent, OldEventKind, OldMessage, OldParticipant, OldReply};

/// When a message was edited, if it was.
macro_rules! edited_at {
    () => {
        concat!(
            "(CASE WHEN o.is_edited THEN coalesce(",
            moment!("o.edited_at"),
            ", ",
            known_moment!("o.modified_at"),
            ") END)"
        )
    };
}

/// When a message was deleted, if it was.
macro_rules! deleted_at {
    () => {
        concat!(
            "(CASE WHEN o.is_deleted THEN coalesce(",
            moment!("o.deleted_at"),
            ", ",
            known_moment!("o.modified_at"),
            ") END)"
        )
    };
}

/// The columns of a message `o`, and whether the message `t` that it replies to is of the rooms `$1` and was sent later.
macro_rules! message_columns {
    () => {
        concat!(
            "o.message_type::text, o.content, nullif(o.attachment, '')::text,
            coalesce(o.attachment_name, '')::text, ",
            known_moment!("o.created_at"),
            ", ",
            known_moment!("o.modified_at"),
            ", ",
            edited_at!(),
            ", ",
            deleted_at!(),
            ", o.read_by::text, o.reply_to_id, t.is_here, t.is_later"
        )
    };
}

/// The join of that message.
macro_rules! reply_table {
    () => {
        " LEFT JOIN LATERAL (
            SELECT r.room_id = ANY($1) AS is_here, (r.created_at, r.id) > (o.created_at, o.id) AS is_later
            FROM api_chatmessage r WHERE r.id = o.reply_to_id LIMIT 1) t ON true "
    };
}

/// The log of the rooms `$1`, of which a merged one has more than one, without the room's making, which is its first
/// event. `$2` to `$5` are the participants, `$6` is when the room was archived.
///
/// It is sorted by time, then by what happened, then by id; nothing is edited before it was sent, or left before it was
/// joined. Only keys are sorted: the messages themselves are looked up one by one, in that order.
const LOG: &str = concat!(
    "WITH m AS MATERIALIZED (SELECT o.id, o.sender_id::bigint, ",
    known_moment!("o.created_at"),
    " AS created_at, ",
    edited_at!(),
    " AS edited_at, ",
    deleted_at!(),
    " AS deleted_at FROM api_chatmessage o WHERE o.room_id = ANY($1)),
    p AS MATERIALIZED (SELECT * FROM unnest($2::bigint[], $3::bigint[], $4::timestamptz[], $5::timestamptz[])
        u (id, user_id, joined_at, left_at))
    SELECT k.seq, k.rev, k.kind, k.at, k.user_id, k.message_id, k.sender_id, ",
    message_columns!(),
    "
    FROM (
        SELECT s.*, max(s.seq) OVER (PARTITION BY s.message_id) AS rev FROM (
            SELECT e.*, 1 + row_number() OVER (ORDER BY e.sort_at, e.kind, e.participant_id, e.message_id) AS seq
            FROM (
                SELECT 1 AS kind, joined_at AS sort_at, joined_at AS at, id AS participant_id, user_id,
                    NULL::uuid AS message_id, NULL::bigint AS sender_id FROM p
                UNION ALL
                SELECT 2, created_at, created_at, NULL, NULL, id, sender_id FROM m
                UNION ALL
                SELECT 3, greatest(edited_at, created_at), edited_at, NULL, NULL, id, sender_id FROM m
                    WHERE edited_at IS NOT NULL
                UNION ALL
                SELECT 4, greatest(deleted_at, edited_at, created_at), deleted_at, NULL, NULL, id, sender_id FROM m
                    WHERE deleted_at IS NOT NULL
                UNION ALL
                SELECT 5, greatest(left_at, joined_at), left_at, id, user_id, NULL, NULL FROM p
                    WHERE left_at IS NOT NULL
                UNION ALL
                SELECT 6, at, at, NULL, NULL, NULL, NULL FROM (SELECT $6::timestamptz AS at) a WHERE at IS NOT NULL
            ) e
        ) s
        ORDER BY s.seq
    ) k
    LEFT JOIN LATERAL (SELECT * FROM api_chatmessage WHERE k.kind = 2 AND id = k.message_id LIMIT 1) o ON true",
    reply_table!(),
    "ORDER BY k.seq"
);

/// The messages of the rooms `$1` by their ids, in the form of [`LOG`].
const MESSAGES: &str = concat!(
    "SELECT 0::bigint, 0::bigint, 2, ",
    known_moment!("o.created_at"),
    ", NULL::bigint, o.id, o.sender_id::bigint, ",
    message_columns!(),
    " FROM api_chatmessage o",
    reply_table!(),
    "WHERE o.room_id = ANY($1) ORDER BY o.id"
);

/// Replies to messages that were sent later, of the rooms `$1`.
const LATER_REPLIES: &str =
    "SELECT m.id, t.id FROM api_chatmessage m JOIN api_chatmessage t ON t.id = m.reply_to_id
    WHERE m.room_id = ANY($1) AND t.room_id = ANY($1) AND (t.created_at, t.id) > (m.created_at, m.id)";

/// A room's log that is being read. Another one can be read at the same time.
pub struct OldLog<'a> {
    snapshot: &'a DjangoSnapshot<'a>,
    portal: Portal,
}

impl DjangoSnapshot<'_> {
    /// Begins to read the log of the rooms that make up one room.
    ///
    /// # Errors
    /// [`MoveError::Django`].
    pub async fn log<'s>(
        &'s self,
        rooms: &[Uuid],
        participants: &[OldParticipant],
        archived_at: Option<DateTime<Utc>>,
    ) -> Result<OldLog<'s>, MoveError> {
        let ids: Vec<i64> = participants.iter().map(|participant| participant.id).collect();
        let users: Vec<i64> = participants.iter().map(|participant| participant.user).collect();
        let joined: Vec<DateTime<Utc>> =
            participants.iter().map(|participant| participant.joined_at).collect();
        let left: Vec<Option<DateTime<Utc>>> =
            participants.iter().map(|participant| participant.left_at).collect();
        let bound = async {
            let statement = self.transaction.prepare_cached(LOG).await?;
            self.transaction.bind(&statement, &[&rooms, &ids, &users, &joined, &left, &archived_at]).await
        };
        Ok(OldLog { snapshot: self, portal: bound.await.map_err(MoveError::Django)? })
    }

    /// Begins to read the messages of the rooms that make up one room, by their ids.
    ///
    /// # Errors
    /// [`MoveError::Django`].
    pub async fn messages<'s>(&'s self, rooms: &[Uuid]) -> Result<OldLog<'s>, MoveError> {
        let bound = async {
            let statement = self.transaction.prepare_cached(MESSAGES).await?;
            self.transaction.bind(&statement, &[&rooms]).await
        };
        Ok(OldLog { snapshot: self, portal: bound.await.map_err(MoveError::Django)? })
    }

    /// Reads which messages of these rooms reply to a later one: their ids, and those of the later ones.
    ///
    /// # Errors
    /// [`MoveError::Django`].
    pub async fn later_replies(&self, rooms: &[Uuid]) -> Result<Vec<(Uuid, Uuid)>, MoveError> {
        let rows = self.rows(LATER_REPLIES, &[&rooms]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }
}

impl OldLog<'_> {
    /// Reads at most `count` more events; none at the end.
    ///
    /// # Errors
    /// [`MoveError::Django`].
    pub async fn next(&self, count: i32) -> Result<Vec<OldEvent>, MoveError> {
        let rows = self.snapshot.transaction.query_portal(&self.portal, count).await;
        Ok(rows.map_err(MoveError::Django)?.iter().map(event).collect())
    }
}

fn event(row: &Row) -> OldEvent {
    let kind = match row.get::<_, i32>(2) {
        1 => OldEventKind::Joined,
        2 => OldEventKind::Posted,
        3 => OldEventKind::Edited,
        4 => OldEventKind::Deleted,
        5 => OldEventKind::Left,
        _ => OldEventKind::Archived,
    };
    let message = row.get::<_, Option<Uuid>>(5).map(|id| (id, row.get(6)));
    let posted = match (kind, message) {
        (OldEventKind::Posted, Some((id, sender))) => Some(Box::new(posted_message(row, id, sender))),
        _ => None,
    };
    OldEvent { seq: row.get(0), rev: row.get(1), kind, at: row.get(3), user: row.get(4), message, posted }
}

fn posted_message(row: &Row, id: Uuid, sender: Option<i64>) -> OldMessage {
    let is = |at| row.get::<_, Option<bool>>(at).unwrap_or_default();
    let reply = match row.get::<_, Option<Uuid>>(16) {
        None => OldReply::Nothing,
        Some(target) if target == id => OldReply::Itself,
        Some(target) if !is(17) => OldReply::Elsewhere(target),
        Some(target) if is(18) => OldReply::Later(target),
        Some(target) => OldReply::Earlier(target),
    };
    OldMessage {
        id,
        sender,
        message_type: row.get(7),
        content: row.get(8),
        attachment: row.get(9),
        attachment_name: row.get(10),
        created_at: row.get(11),
        modified_at: row.get(12),
        edited_at: row.get(13),
        deleted_at: row.get(14),
        read_by: row.get::<_, Option<String>>(15).unwrap_or_default(),
        reply,
    }
}
