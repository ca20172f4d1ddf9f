//! Reads a room as of one moment: one transaction on one snapshot, in one round trip.

use actors::domain::ids::{MessageId, RoomId, Seq, UserId};
use actors::domain::signal::ReadMark;
use actors::ports::store::{PersonChange, RoomSnapshot, Visit, Visitor};
use deadpool_postgres::ClientWrapper;
use tokio_postgres::{Error, Row};

use super::ledgers::{ask, prepare};
use super::rows::{self, author_columns, participant_columns, room_columns};

const ROOM: &str =
    concat!("SELECT ", room_columns!(), " FROM rooms r WHERE r.id = $1 AND r.deleted_at IS NULL");

/// Each visitor's right to be here and, of those who are in the room and may be, what they have not read.
/// What lies between two marks is counted once, however many visitors are before it, and summed up from the
/// end; what a visitor wrote after the mark is taken off.
const VISITORS: &str = concat!(
    "WITH asked AS (SELECT u.id AS user_id, ",
    author_columns!(),
    " AS is_erased, u.is_active, u.tokens_valid_from, \
      CASE WHEN u.is_active THEN greatest(p.read_seq, p.joined_seq, p.visible_from_seq - 1) END AS mark \
      FROM people u LEFT JOIN participants p \
      ON p.room_id = $1 AND p.user_id = u.id AND p.left_at IS NULL WHERE u.id = ANY($2)), \
      steps AS (SELECT mark, lead(mark, 1, 9223372036854775807) OVER (ORDER BY mark) AS next \
      FROM (SELECT DISTINCT mark FROM asked WHERE mark IS NOT NULL) d), \
      marks AS (SELECT mark, sum((SELECT count(*) FROM messages m \
      WHERE m.room_id = $1 AND m.seq > mark AND m.seq <= next AND m.deleted_at IS NULL)) \
      OVER (ORDER BY mark DESC)::bigint AS after FROM steps) \
      SELECT user_id, username, full_name, is_erased, is_active, tokens_valid_from, \
      CASE WHEN after > 0 THEN after - \
      (SELECT count(*) FROM messages m WHERE m.room_id = $1 AND m.sender_id = user_id AND m.seq > mark \
      AND m.deleted_at IS NULL) ELSE after END FROM asked LEFT JOIN marks USING (mark) ORDER BY user_id"
);

const ROSTER: &str = concat!(
    "SELECT ",
    participant_columns!(),
    ", p.read_at FROM participants p JOIN people u ON u.id = p.user_id \
     WHERE p.room_id = $1 AND p.left_at IS NULL ORDER BY p.id"
);

/// The newest message at or before each mark.
const MARKED: &str = "SELECT d.mark, m.id FROM (SELECT DISTINCT read_seq AS mark FROM participants \
     WHERE room_id = $1 AND left_at IS NULL AND read_seq > 0) d CROSS JOIN LATERAL \
     (SELECT id FROM messages WHERE room_id = $1 AND seq <= d.mark ORDER BY seq DESC LIMIT 1) m";

/// Reads the room, what each of `visitors` sees of it and may, and who is in it.
pub(super) async fn read(
    client: &ClientWrapper,
    room: RoomId,
    visitors: &[i64],
    roster: bool,
) -> Result<Visit, Error> {
    let whole = client.prepare_cached(ROOM).await?;
    let visits = prepare(client, VISITORS, !visitors.is_empty()).await?;
    let people = prepare(client, ROSTER, roster).await?;
    let marked = prepare(client, MARKED, roster).await?;
    let (begun, found, visits, people, marked, ended) = futures_util::join!(
        client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
        ask(client, Some(&whole), [&room.0]),
        ask(client, visits.as_ref(), [&room.0, &visitors]),
        ask(client, people.as_ref(), [&room.0]),
        ask(client, marked.as_ref(), [&room.0]),
        client.batch_execute("COMMIT"),
    );
    begun?;
    let (found, visits, people, marked) = (found?, visits?, people?, marked?);
    ended?;
    let rights = visits.iter().map(right).collect();
    let Some(found) = found.first() else { return Ok(Visit { room: None, rights }) };
    let marked: Vec<(Seq, MessageId)> =
        marked.iter().map(|row| (Seq(row.get(0)), MessageId(row.get(1)))).collect();
    let room = RoomSnapshot {
        room: rows::room(found, 0),
        visitors: visits.iter().filter_map(visitor).collect(),
        roster: people.iter().map(|row| rows::participant(row, 0)).collect(),
        marks: people.iter().filter_map(|row| mark(row, &marked)).collect(),
    };
    Ok(Visit { room: Some(room), rights })
}

fn right(row: &Row) -> PersonChange {
    PersonChange { user: UserId(row.get(0)), is_active: row.get(4), tokens_valid_from: row.get(5) }
}

fn visitor(row: &Row) -> Option<Visitor> {
    let unread = row.get::<_, Option<i64>>(6)?;
    Some(Visitor { person: rows::author(row, UserId(row.get(0)), 1), unread })
}

fn mark(row: &Row, marked: &[(Seq, MessageId)]) -> Option<ReadMark> {
    let participant = rows::participant(row, 0);
    let at = row.get::<_, Option<_>>(rows::PARTICIPANT_WIDTH)?;
    let up_to = participant.read_seq;
    let message = marked.iter().find(|(mark, _)| *mark == up_to).map(|(_, id)| *id);
    (up_to > Seq::START).then_some(ReadMark { user: participant.user.id, up_to, message, at })
}
