//! Reads a room in one round trip and one snapshot.

use actors::domain::ids::{MessageId, RoomId, Seq, UserId};
use actors::domain::participant::Role;
use actors::domain::permission::AccessLevel;
use actors::domain::room::Room;
use actors::domain::signal::ReadMark;
use actors::ports::store::{AdmittedUser, JoinContext, RoomSnapshot, UserAccess};
use deadpool_postgres::ClientWrapper;
use tokio_postgres::{Error, Row};

use crate::store::postgres::pool::pipeline::{prepare_if, query_if};
use crate::store::postgres::rows::{
    self, PARTICIPANT_WIDTH, participant_columns, room_columns, user_summary_columns,
};
use crate::store::postgres::rules::{last_post, timeline_count, unread_after};

const ROOM: &str =
    concat!("SELECT ", room_columns!(), " FROM rooms r WHERE r.id = $1 AND r.deleted_at IS NULL");

/// The access of each candidate and, for active users who are in the room, their unread count. Messages between
/// two read marks are counted once, however many candidates need them, and summed up from the end of the log;
/// then each candidate's own messages after their mark are subtracted.
const CANDIDATES: &str = concat!(
    "WITH asked AS (SELECT u.id AS user_id, ",
    user_summary_columns!(),
    " AS is_erased, u.is_active, u.tokens_valid_from, u.is_staff, p.role, p.visible_from_seq, \
      CASE WHEN u.is_active THEN ",
    unread_after!("p"),
    " END AS mark \
      FROM people u LEFT JOIN participants p \
      ON p.room_id = $1 AND p.user_id = u.id AND p.left_at IS NULL WHERE u.id = ANY($2)), \
      steps AS (SELECT mark, lead(mark, 1, 9223372036854775807) OVER (ORDER BY mark) AS next \
      FROM (SELECT DISTINCT mark FROM asked WHERE mark IS NOT NULL) d), \
      marks AS (SELECT mark, sum(",
    timeline_count!("n.room_id = $1 AND n.seq > mark AND n.seq <= next"),
    ") OVER (ORDER BY mark DESC)::bigint AS after FROM steps) \
      SELECT user_id, username, full_name, is_erased, is_active, tokens_valid_from, \
      CASE WHEN after > 0 THEN after - ",
    timeline_count!("n.room_id = $1 AND n.sender_id = user_id AND n.seq > mark"),
    " ELSE after END, role, is_staff, visible_from_seq, \
      CASE WHEN (SELECT slow_mode_seconds > 0 FROM rooms WHERE id = $1) THEN ",
    last_post!("$1", "user_id"),
    " END, now() FROM asked LEFT JOIN marks USING (mark) ORDER BY user_id"
);

const ROSTER: &str = concat!(
    "SELECT ",
    participant_columns!(),
    ", p.read_at FROM participants p JOIN people u ON u.id = p.user_id \
     WHERE p.room_id = $1 AND p.left_at IS NULL ORDER BY p.id"
);

/// The newest message of the timeline at or before each mark.
const MARKED_MESSAGES: &str = "SELECT d.mark, m.id FROM (SELECT DISTINCT read_seq AS mark FROM participants \
     WHERE room_id = $1 AND left_at IS NULL AND read_seq > 0) d CROSS JOIN LATERAL \
     (SELECT id FROM messages WHERE room_id = $1 AND seq <= d.mark AND in_timeline ORDER BY seq DESC LIMIT 1) m";

/// Reads the room, the access and unread count of each of `candidates` and, if `roster` is set, the current
/// participants with their read marks.
pub(crate) async fn read(
    client: &ClientWrapper,
    room: RoomId,
    candidates: &[i64],
    roster: bool,
) -> Result<JoinContext, Error> {
    let room_statement = client.prepare_cached(ROOM).await?;
    let users = prepare_if(client, CANDIDATES, !candidates.is_empty()).await?;
    let participants = prepare_if(client, ROSTER, roster).await?;
    let marked = prepare_if(client, MARKED_MESSAGES, roster).await?;
    let (begun, found, users, participants, marked, ended) = futures_util::join!(
        client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
        query_if(client, Some(&room_statement), [&room.0]),
        query_if(client, users.as_ref(), [&room.0, &candidates]),
        query_if(client, participants.as_ref(), [&room.0]),
        query_if(client, marked.as_ref(), [&room.0]),
        client.batch_execute("COMMIT"),
    );
    begun?;
    let (found, users, participants, marked) = (found?, users?, participants?, marked?);
    ended?;
    let rights = users.iter().map(access).collect();
    let Some(found) = found.first() else { return Ok(JoinContext { room: None, rights }) };
    let marked: Vec<(Seq, MessageId)> =
        marked.iter().map(|row| (Seq(row.get(0)), MessageId(row.get(1)))).collect();
    let found = rows::room(found, 0);
    let room = RoomSnapshot {
        admitted_users: users.iter().filter_map(|row| admitted_user(&found, row)).collect(),
        room: found,
        roster: participants.iter().map(|row| rows::participant(row, 0)).collect(),
        marks: participants.iter().filter_map(|row| mark(row, &marked)).collect(),
    };
    Ok(JoinContext { room: Some(room), rights })
}

fn access(row: &Row) -> UserAccess {
    UserAccess { user: UserId(row.get(0)), is_active: row.get(4), tokens_valid_from: row.get(5) }
}

fn admitted_user(room: &Room, row: &Row) -> Option<AdmittedUser> {
    let unread = row.get::<_, Option<i64>>(6)?;
    let role = Role::parse(row.get(7));
    Some(AdmittedUser {
        user: rows::user_summary(row, UserId(row.get(0)), 1),
        unread,
        role,
        is_staff: row.get(8),
        visible_from: Seq(row.get(9)),
        next_post_at: room.next_post_at(AccessLevel::Participant(role), row.get(10), row.get(11)),
    })
}

fn mark(row: &Row, marked: &[(Seq, MessageId)]) -> Option<ReadMark> {
    let participant = rows::participant(row, 0);
    let at = row.get::<_, Option<_>>(PARTICIPANT_WIDTH)?;
    let up_to = participant.read_seq;
    let message = marked.iter().find(|(mark, _)| *mark == up_to).map(|(_, id)| *id);
    (up_to > Seq::START).then_some(ReadMark { user: participant.user.id, up_to, message, at })
}
