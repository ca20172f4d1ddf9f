//! A room as it stood at a time, from its log.
//!
//! What was deleted since is not shown, whenever that was: a deletion takes the text out of the database.

use std::collections::BTreeMap;

use actors::domain::ids::{MessageId, RoomId, Seq, UserId};
use actors::domain::participant::Role;
use actors::domain::room::Room;
use actors::domain::user::UserSummary;
use actors::ports::store::StoreError;
use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::store::postgres::PostgresStore;
use crate::store::postgres::queries::RECEIPTS_LISTED_MAX;
use crate::store::postgres::rows::{self, ROOM_WIDTH, room_columns, user_summary_columns};

/// The most participants that are listed.
const PARTICIPANTS_MAX: i64 = 5_000;

/// Which part of a room to show.
#[derive(Clone, Copy, Debug)]
pub struct PastRequest {
    /// The room.
    pub room: RoomId,
    /// The position from which on the viewer may read.
    pub visible_from: Seq,
    /// When.
    pub time: DateTime<Utc>,
    /// The messages before this position.
    pub before: Seq,
    /// How many of them, the newest ones.
    pub limit: i64,
}

/// A room as it stood.
#[derive(Clone, Debug)]
pub struct PastRoom {
    /// The position of its last event then.
    pub seq: Seq,
    /// The room as it is now.
    pub room: Room,
    /// What was different of it then, by its name in the log: the value, or none where the log keeps none.
    pub differences: BTreeMap<String, Option<Value>>,
    /// Who was in it.
    pub participants: Vec<PastParticipant>,
    /// The messages, the newest first.
    pub messages: Vec<PastMessage>,
    /// Who had read up to where; none in a large room, which doesn't keep it.
    pub read_marks: Option<Vec<PastReadMark>>,
}

/// A participant as it was.
#[derive(Clone, Debug)]
pub struct PastParticipant {
    /// The user, by the name of today.
    pub user: UserSummary,
    /// The role.
    pub role: Role,
    /// Since when in the room.
    pub joined_at: DateTime<Utc>,
}

/// A message as it was.
#[derive(Clone, Debug)]
pub struct PastMessage {
    /// The message.
    pub id: MessageId,
    /// Its position.
    pub seq: Seq,
    /// The sender, by the name of today.
    pub sender: UserSummary,
    /// The type.
    pub message_type: String,
    /// The text; none if it was deleted since, or if the room doesn't show earlier texts and it has changed.
    pub content: Option<String>,
    /// The name of its file.
    pub attachment_name: Option<String>,
    /// When it was sent.
    pub created_at: DateTime<Utc>,
    /// When the text was last changed before that time.
    pub edited_at: Option<DateTime<Utc>>,
    /// When it was deleted, perhaps later.
    pub deleted_at: Option<DateTime<Utc>>,
    /// The message that it replies to.
    pub reply_to: Option<MessageId>,
    /// The root of its thread.
    pub thread_root: Option<MessageId>,
}

/// How far a user had read.
#[derive(Clone, Copy, Debug)]
pub struct PastReadMark {
    /// The user.
    pub user: UserId,
    /// Up to where.
    pub seq: Seq,
    /// Since when.
    pub read_at: DateTime<Utc>,
}

impl PostgresStore {
    /// Reads a room as it stood, all of it on one snapshot. `None` if it isn't there, or wasn't then.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn room_at(&self, request: PastRequest) -> Result<Option<PastRoom>, StoreError> {
        // Halves the log until its last event of that time is found: positions have no gaps, and their times ascend.
        const ROOM: &str = concat!(
            "WITH RECURSIVE halved (low, high) AS (
                 SELECT 0::bigint, head + 1 FROM rooms WHERE id = $1
                 UNION ALL
                 SELECT CASE WHEN e.at <= $2 THEN h.middle ELSE h.low END,
                     CASE WHEN e.at <= $2 THEN h.high ELSE h.middle END
                 FROM (SELECT low, high, (low + high) / 2 AS middle FROM halved WHERE high - low > 1) h
                 CROSS JOIN LATERAL (SELECT at FROM events WHERE room_id = $1 AND seq = h.middle LIMIT 1) e)
             SELECT ",
            room_columns!(),
            ", (SELECT low FROM halved ORDER BY high - low LIMIT 1)
             FROM rooms r WHERE r.id = $1 AND r.deleted_at IS NULL"
        );
        let PastRequest { room: id, time, .. } = request;
        let mut client = self.long_read_client().await?;
        let snapshot = client.snapshot().await?;
        let rows = snapshot.rows(ROOM, &[&id.0, &time]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (room, seq) = (rows::room(row, 0), Seq(row.get(ROOM_WIDTH)));
        if seq == Seq::START {
            return Ok(None);
        }
        let differences = snapshot.rows(DIFFERENCES, &[&id.0, &seq.0]).await?;
        let participants = snapshot.rows(PARTICIPANTS, &[&id.0, &seq.0, &PARTICIPANTS_MAX]).await?;
        let participants: Vec<PastParticipant> = participants.iter().map(participant_of).collect();
        let shows_versions = room.settings.edit_history;
        let PastRequest { visible_from, before, limit, .. } = request;
        let messages = snapshot
            .rows(MESSAGES, &[&id.0, &seq.0, &visible_from.0, &before.0, &limit, &time, &shows_versions])
            .await?;
        let is_small = i64::try_from(participants.len()).is_ok_and(|count| count <= RECEIPTS_LISTED_MAX);
        let read_marks = if is_small {
            let users: Vec<i64> = participants.iter().map(|participant| participant.user.id.0).collect();
            let marks = snapshot.rows(READ_MARKS, &[&id.0, &users, &time, &seq.0]).await?;
            Some(marks.iter().map(read_mark_of).collect())
        } else {
            None
        };
        snapshot.end().await?;
        Ok(Some(PastRoom {
            seq,
            room,
            differences: differences.iter().map(|row| (row.get(0), row.get(1))).collect(),
            participants,
            messages: messages.iter().map(message_of).collect(),
            read_marks,
        }))
    }
}

/// For each thing that changed after the position, what it was before the first change.
const DIFFERENCES: &str = "SELECT DISTINCT ON (c.key) c.key, nullif(c.value, 'null') -> 0
    FROM events e CROSS JOIN LATERAL jsonb_each(e.data -> 'changed') c
    WHERE e.room_id = $1 AND e.seq > $2 AND e.kind = 'room_updated'
    ORDER BY c.key, e.seq";

/// The last event of each participant up to the position, and the last entry.
const PARTICIPANTS: &str = concat!(
    "SELECT p.user_id, ",
    user_summary_columns!(),
    ", p.role, p.joined_at FROM (
         SELECT DISTINCT ON (e.data -> 'user') (e.data ->> 'user')::bigint AS user_id, e.kind,
             coalesce(e.data ->> 'role', 'member') AS role,
             max(e.at) FILTER (WHERE e.kind = 'participant_joined') OVER (PARTITION BY e.data -> 'user') AS joined_at
         FROM events e WHERE e.room_id = $1 AND e.seq <= $2
             AND e.kind IN ('participant_joined', 'participant_left', 'participant_updated')
         ORDER BY e.data -> 'user', e.seq DESC) p
     LEFT JOIN people u ON u.id = p.user_id
     WHERE p.kind <> 'participant_left' AND p.joined_at IS NOT NULL ORDER BY p.user_id LIMIT $3"
);

fn participant_of(row: &Row) -> PastParticipant {
    let user = UserId(row.get(0));
    PastParticipant {
        user: rows::user_summary(row, user, 1),
        role: Role::parse(row.get(4)),
        joined_at: row.get(5),
    }
}

/// Messages with the newest text of the time, of which `message_versions` has those that were replaced.
const MESSAGES: &str = concat!(
    "SELECT m.id, m.seq, m.sender_id, ",
    user_summary_columns!(),
    ", m.message_type,
        CASE WHEN m.deleted_at IS NOT NULL THEN NULL
            WHEN coalesce(m.edited_at, m.created_at) <= $6 THEN m.content
            WHEN $7 THEN v.content END,
        m.attachment_name, m.created_at,
        CASE WHEN m.edited_at <= $6 THEN m.edited_at ELSE nullif(v.at, m.created_at) END,
        m.deleted_at, m.reply_to, m.thread_root
     FROM (SELECT * FROM messages WHERE room_id = $1 AND seq <= $2 AND seq >= $3 AND seq < $4
         ORDER BY seq DESC LIMIT $5) m
     LEFT JOIN LATERAL (SELECT * FROM people WHERE id = m.sender_id LIMIT 1) u ON true
     LEFT JOIN LATERAL (SELECT content, at FROM message_versions
         WHERE room_id = m.room_id AND message_id = m.id AND at <= $6 ORDER BY rev DESC LIMIT 1) v ON true
     ORDER BY m.seq DESC"
);

fn message_of(row: &Row) -> PastMessage {
    let message = |at: usize| row.get::<_, Option<Uuid>>(at).map(MessageId);
    let sender = UserId(row.get(2));
    PastMessage {
        id: MessageId(row.get(0)),
        seq: Seq(row.get(1)),
        sender: rows::user_summary(row, sender, 3),
        message_type: row.get(6),
        content: row.get(7),
        attachment_name: row.get(8),
        created_at: row.get(9),
        edited_at: row.get(10),
        deleted_at: row.get(11),
        reply_to: message(12),
        thread_root: message(13),
    }
}

const READ_MARKS: &str = "SELECT k.user_id, v.seq, v.at FROM unnest($2::bigint[]) k (user_id)
    CROSS JOIN LATERAL (SELECT seq, at FROM read_moves
        WHERE room_id = $1 AND user_id = k.user_id AND at <= $3 AND seq <= $4 ORDER BY seq DESC LIMIT 1) v
    ORDER BY k.user_id";

fn read_mark_of(row: &Row) -> PastReadMark {
    PastReadMark { user: UserId(row.get(0)), seq: Seq(row.get(1)), read_at: row.get(2) }
}
