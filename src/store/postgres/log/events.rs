//! Reads a room's log, with each event showing the current state of what it is about.

use actors::domain::event::{Event, EventBody, EventKind, LogRow};
use actors::domain::ids::{RoomId, Seq, UserId};
use actors::domain::message::Message;
use actors::domain::participant::Participant;
use actors::domain::room::Room;
use deadpool_postgres::ClientWrapper;
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use crate::store::postgres::rows::{
    self, MESSAGE_WIDTH, PARTICIPANT_WIDTH, ROOM_WIDTH, message_columns, message_tables, participant_columns,
    room_columns,
};

/// How many columns precede those of the message.
const EVENT_WIDTH: usize = 6;
/// Where the id of the room stands, behind everything else.
const ROOM_AT: usize = EVENT_WIDTH + MESSAGE_WIDTH + PARTICIPANT_WIDTH + ROOM_WIDTH;

/// One statement, so that the page shows one snapshot. An event is joined with the message, participant or room
/// that it is about. The participant is read in a subquery because its columns also name their user `u`; the
/// `LIMIT` keeps the planner from reading all participants for a long page.
macro_rules! events_of {
    ($events:literal, $order:literal) => {
        concat!(
            "SELECT e.seq, e.kind, e.actor, e.at, e.data, \
             (SELECT visible_to_all_from FROM rooms WHERE id = e.room_id), ",
            message_columns!(),
            ", w.*, ",
            room_columns!(),
            ", e.room_id FROM ",
            $events,
            " e LEFT JOIN messages m ON m.room_id = e.room_id AND m.id = e.message_id",
            message_tables!(),
            "LEFT JOIN LATERAL (SELECT ",
            participant_columns!(),
            " FROM participants p JOIN people u ON u.id = p.user_id \
              WHERE p.room_id = e.room_id AND p.user_id = (e.data ->> 'user')::bigint LIMIT 1) w ON true \
              LEFT JOIN rooms r ON r.id = e.room_id AND e.kind IN ('room_created', 'room_updated') \
              ORDER BY ",
            $order
        )
    };
}

const EVENTS: &str =
    events_of!("(SELECT * FROM events WHERE room_id = $1 AND seq > $2 ORDER BY seq LIMIT $3)", "e.seq");

/// Events by their positions, each looked up by key.
const EVENTS_AT: &str = events_of!(
    "(SELECT found.*, k.number FROM unnest($1::uuid[], $2::bigint[]) WITH ORDINALITY k (room_id, seq, number) \
      CROSS JOIN LATERAL (SELECT * FROM events WHERE room_id = k.room_id AND seq = k.seq LIMIT 1) found)",
    "e.number"
);

/// Reads at most `limit` events after `after`.
pub(crate) async fn read(
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

/// Reads the events at these positions, in this order.
pub(crate) async fn read_at(
    client: &ClientWrapper,
    positions: &[(RoomId, Seq)],
) -> Result<Vec<Event>, Error> {
    let statement = client.prepare_cached(EVENTS_AT).await?;
    let (rooms, seqs): (Vec<Uuid>, Vec<i64>) = positions.iter().map(|(room, seq)| (room.0, seq.0)).unzip();
    let rows = client.query(&statement, &[&rooms, &seqs]).await?;
    Ok(rows.iter().map_while(|row| event(RoomId(row.get(ROOM_AT)), row)).collect())
}

/// Reads one event. A kind that a newer node has written ends the page: this node can't pass on what it
/// doesn't know, and may not skip it either.
fn event(room: RoomId, row: &Row) -> Option<Event> {
    let kind = EventKind::parse(row.get(1))?;
    Some(Event {
        room,
        seq: Seq(row.get(0)),
        at: row.get(3),
        by: row.get::<_, Option<i64>>(2).map(UserId),
        body: EventBody::restore(kind, &EventRow { row, data: row.get(4) }),
    })
}

/// A row of [`EVENTS`].
struct EventRow<'a> {
    row: &'a Row,
    data: Option<serde_json::Value>,
}

impl LogRow for EventRow<'_> {
    fn message(&self) -> Message {
        let mut message = rows::message(self.row, EVENT_WIDTH);
        message.hide_quote_before(Seq(self.row.get(EVENT_WIDTH - 1)));
        message
    }

    fn participant(&self) -> Participant {
        rows::participant(self.row, EVENT_WIDTH + MESSAGE_WIDTH)
    }

    fn room(&self) -> Room {
        rows::room(self.row, EVENT_WIDTH + MESSAGE_WIDTH + PARTICIPANT_WIDTH)
    }

    fn data(&self) -> Option<&serde_json::Value> {
        self.data.as_ref()
    }
}
