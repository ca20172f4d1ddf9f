//! Reads a room's log, each event as things are now.

use actors::domain::event::{Event, EventBody, EventKind};
use actors::domain::ids::{MessageId, RoomId, Seq, UserId};
use deadpool_postgres::ClientWrapper;
use tokio_postgres::{Error, Row};

use super::rows::{
    self, MESSAGE_WIDTH, PARTICIPANT_WIDTH, author_columns, message_columns, participant_columns,
    room_columns,
};

const FIXED: usize = 6;

/// One statement, so that all of it is of one moment. A participant's event is joined with the
/// participant, a message's with the message, a room's with the room. The second reading of the people
/// is the participant's, whose columns call the person `u` too: hence the inner
/// statement, whose limit also keeps the planner from reading all participants for a long page.
const EVENTS: &str = concat!(
    "SELECT e.seq, e.kind, e.actor, e.at, e.message_id, e.data ->> 'reason', ",
    message_columns!(),
    ", w.*, ",
    room_columns!(),
    " FROM (SELECT * FROM events WHERE room_id = $1 AND seq > $2 ORDER BY seq LIMIT $3) e \
      LEFT JOIN messages m ON m.room_id = e.room_id AND m.id = e.message_id \
      LEFT JOIN people u ON u.id = m.sender_id \
      LEFT JOIN messages q ON q.room_id = m.room_id AND q.id = m.reply_to \
      LEFT JOIN people v ON v.id = q.sender_id \
      LEFT JOIN LATERAL (SELECT ",
    participant_columns!(),
    " FROM participants p JOIN people u ON u.id = p.user_id \
      WHERE p.room_id = e.room_id AND p.user_id = (e.data ->> 'user')::bigint LIMIT 1) w ON true \
      LEFT JOIN rooms r ON r.id = e.room_id AND e.kind IN ('room_created', 'room_updated') \
      ORDER BY e.seq"
);

/// Reads at most `limit` events after `after`.
pub(super) async fn read(
    client: &ClientWrapper,
    room: RoomId,
    after: Seq,
    limit: usize,
) -> Result<Vec<Event>, Error> {
    let statement = client.prepare_cached(EVENTS).await?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = client.query(&statement, &[&room.0, &after.0, &limit]).await?;
    Ok(rows.iter().map_while(|row| event(room, row)).collect())
}

/// Reads one event. A kind that a newer node has written ends the page: what this node doesn't know it
/// can't pass on, and may not skip either.
fn event(room: RoomId, row: &Row) -> Option<Event> {
    let message = || Box::new(rows::message(row, FIXED));
    let participant = || Box::new(rows::participant(row, FIXED + MESSAGE_WIDTH));
    let whole_room = || Box::new(rows::room(row, FIXED + MESSAGE_WIDTH + PARTICIPANT_WIDTH));
    let body = match EventKind::parse(row.get(1))? {
        EventKind::RoomCreated => EventBody::RoomCreated(whole_room()),
        EventKind::RoomUpdated => EventBody::RoomUpdated(whole_room()),
        EventKind::RoomDeleted => EventBody::RoomDeleted,
        EventKind::MessagePosted => EventBody::MessagePosted(message()),
        EventKind::MessageEdited => EventBody::MessageEdited(message()),
        EventKind::MessageDeleted => {
            let gone = message();
            EventBody::MessageDeleted {
                message: MessageId(row.get(4)),
                sent: gone.seq,
                sender: gone.sender.id,
                removed_by: gone.removed_by.unwrap_or_default(),
                reason: row.get(5),
            }
        }
        EventKind::ParticipantJoined => EventBody::ParticipantJoined(participant()),
        EventKind::ParticipantLeft => EventBody::ParticipantLeft(participant()),
        EventKind::ParticipantUpdated => EventBody::ParticipantUpdated(participant()),
    };
    Some(Event {
        room,
        seq: Seq(row.get(0)),
        at: row.get(3),
        by: row.get::<_, Option<i64>>(2).map(UserId),
        body,
    })
}
