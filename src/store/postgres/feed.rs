//! The feed of all commits, read by transaction ids and not by any clock.
//!
//! A cursor is a snapshot, as the database writes it: `oldest:future:open,open`. What it did not show
//! are the transactions from `future` on and those that were open; so nothing that commits late is
//! missed, and a transaction that stays open for an hour doesn't make each read repeat that hour.

use std::time::Duration;

use actors::domain::ids::{Epoch, MessageId, RoomId, Seq, UserId};
use actors::domain::signal::ReadMark;
use actors::ports::store::{Changes, Cursor, PersonChange};
use deadpool_postgres::ClientWrapper;
use tokio_postgres::Error;
use tokio_postgres::types::ToSql;

use super::ledgers::{ask, prepare};
use super::reader::LIMIT;

const SNAPSHOT: &str = "SELECT pg_current_snapshot()::text, (SELECT epoch FROM installation)";

/// What the last snapshot did not show: transactions from `$1` on, and those that were under way.
macro_rules! unseen {
    () => {
        "(xid >= $1::text::xid8 OR xid = ANY($2::text[]::xid8[]))"
    };
}

const ROOMS: &str =
    concat!("SELECT room_id, max(seq) FROM events WHERE ", unseen!(), " GROUP BY room_id ORDER BY room_id");

const JOINED: &str = concat!(
    "SELECT DISTINCT room_id, (data ->> 'user')::bigint FROM events WHERE kind = 'participant_joined' AND ",
    unseen!(),
    " ORDER BY 1, 2"
);

const MARKS: &str = concat!(
    "SELECT DISTINCT ON (v.room_id, v.user_id) v.room_id, v.user_id, v.seq, v.at, m.id FROM read_moves v \
     LEFT JOIN LATERAL (SELECT id FROM messages WHERE room_id = v.room_id AND seq <= v.seq \
     ORDER BY seq DESC LIMIT 1) m ON true WHERE ",
    "(v.xid >= $1::text::xid8 OR v.xid = ANY($2::text[]::xid8[]))",
    " ORDER BY v.room_id, v.user_id, v.seq DESC"
);

const MUTES: &str = "SELECT room_id, user_id FROM participants \
     WHERE own_xid >= $1::text::xid8 OR own_xid = ANY($2::text[]::xid8[]) ORDER BY 1, 2";

const PEOPLE: &str = "SELECT id, is_active, tokens_valid_from FROM people \
     WHERE changed_xid >= $1::text::xid8 OR changed_xid = ANY($2::text[]::xid8[]) ORDER BY id";

/// The transactions that a snapshot did not show.
#[derive(Debug, Default, PartialEq, Eq)]
struct Unseen {
    /// The first one that had not begun.
    future: String,
    /// Those that had begun and not ended.
    open: Vec<String>,
}

impl Unseen {
    fn by(cursor: &Cursor) -> Self {
        let mut parts = cursor.0.split(':').skip(1);
        let future = parts.next().unwrap_or_default().to_owned();
        let open = parts.next().unwrap_or_default();
        Self { future, open: open.split(',').filter(|id| !id.is_empty()).map(str::to_owned).collect() }
    }
}

/// Reads what committed since `since`, in statements that take `patience` at most; see
/// [`actors::ports::store::Store::changes`].
pub(super) async fn read(
    client: &ClientWrapper,
    since: Option<Cursor>,
    patience: Duration,
) -> Result<Changes, Error> {
    let Unseen { future, open } = since.as_ref().map(Unseen::by).unwrap_or_default();
    let is_told = since.is_some();
    let patience = patience.as_millis().to_string();
    let limits: [&(dyn ToSql + Sync); 1] = [&patience];
    let limit = client.prepare_cached(LIMIT).await?;
    let snapshot = client.prepare_cached(SNAPSHOT).await?;
    let rooms = prepare(client, ROOMS, is_told).await?;
    let joined = prepare(client, JOINED, is_told).await?;
    let marks = prepare(client, MARKS, is_told).await?;
    let mutes = prepare(client, MUTES, is_told).await?;
    let people = prepare(client, PEOPLE, is_told).await?;
    // One snapshot for all of them: what it shows is told, what it doesn't show is told next time.
    let (begun, limited, snapshot, rooms, joined, marks, mutes, people, ended) = futures_util::join!(
        client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
        client.query_one(&limit, &limits),
        client.query_one(&snapshot, &[]),
        ask(client, rooms.as_ref(), [&future, &open]),
        ask(client, joined.as_ref(), [&future, &open]),
        ask(client, marks.as_ref(), [&future, &open]),
        ask(client, mutes.as_ref(), [&future, &open]),
        ask(client, people.as_ref(), [&future, &open]),
        client.batch_execute("COMMIT"),
    );
    begun?;
    limited?;
    let snapshot = snapshot?;
    let next = Cursor(snapshot.get::<_, &str>(0).into());
    let (rooms, joined, marks, mutes, people) = (rooms?, joined?, marks?, mutes?, people?);
    ended?;
    Ok(Changes {
        epoch: Epoch(snapshot.get(1)),
        next,
        rooms: rooms.iter().map(|row| (RoomId(row.get(0)), Seq(row.get(1)))).collect(),
        joined: joined.iter().map(|row| (RoomId(row.get(0)), UserId(row.get(1)))).collect(),
        marks: marks
            .iter()
            .map(|row| {
                let message = row.get::<_, Option<_>>(4).map(MessageId);
                let (user, up_to) = (UserId(row.get(1)), Seq(row.get(2)));
                (RoomId(row.get(0)), ReadMark { user, up_to, message, at: row.get(3) })
            })
            .collect(),
        mutes: mutes.iter().map(|row| (RoomId(row.get(0)), UserId(row.get(1)))).collect(),
        people: people
            .iter()
            .map(|row| PersonChange {
                user: UserId(row.get(0)),
                is_active: row.get(1),
                tokens_valid_from: row.get(2),
            })
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_tells_what_its_snapshot_did_not_show() {
        let unseen = |snapshot: &str| Unseen::by(&Cursor(snapshot.into()));
        assert_eq!(
            unseen("10:20:10,14"),
            Unseen { future: "20".into(), open: vec!["10".into(), "14".into()] }
        );
        assert_eq!(unseen("20:20:"), Unseen { future: "20".into(), open: Vec::new() });
    }
}
