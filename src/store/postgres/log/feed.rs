//! The feed of all commits, read by transaction id rather than by time.
//!
//! A cursor is a database snapshot, in the form `oldest:future:open,open`. It doesn't see transactions from
//! `future` on and those that were open. So the feed misses nothing that commits late, and a transaction that
//! stays open for an hour doesn't make each read repeat that hour.

use std::time::Duration;

use actors::domain::ids::{Epoch, MessageId, PersonalSeq, RoomId, Seq, UserId};
use actors::domain::signal::ReadMark;
use actors::ports::store::{Changes, Cursor, UserAccess};
use deadpool_postgres::ClientWrapper;
use tokio_postgres::Error;
use tokio_postgres::types::ToSql;

use crate::store::postgres::pool::client::SET_STATEMENT_TIMEOUT;
use crate::store::postgres::pool::pipeline::{prepare_if, query_if};

const SNAPSHOT: &str = "SELECT pg_current_snapshot()::text, (SELECT epoch FROM installation)";

/// Rows that the previous snapshot didn't see: of transactions from `$1` on and of those in `$2`, which were
/// in progress.
macro_rules! unseen {
    () => {
        "(xid >= $1::text::xid8 OR xid = ANY($2::text[]::xid8[]))"
    };
}

pub(crate) use unseen;

const GROWN_ROOMS: &str =
    concat!("SELECT room_id, max(seq) FROM events WHERE ", unseen!(), " GROUP BY room_id ORDER BY room_id");

const JOINS: &str = concat!(
    "SELECT DISTINCT room_id, (data ->> 'user')::bigint FROM events WHERE kind = 'participant_joined' AND ",
    unseen!(),
    " ORDER BY 1, 2"
);

const READ_MARKS: &str = concat!(
    "SELECT DISTINCT ON (v.room_id, v.user_id) v.room_id, v.user_id, v.seq, v.at, m.id FROM read_moves v \
     LEFT JOIN LATERAL (SELECT id FROM messages WHERE room_id = v.room_id AND seq <= v.seq \
     AND in_timeline ORDER BY seq DESC LIMIT 1) m ON true WHERE ",
    "(v.xid >= $1::text::xid8 OR v.xid = ANY($2::text[]::xid8[]))",
    " ORDER BY v.room_id, v.user_id, v.seq DESC"
);

const OWN_STATES: &str = "SELECT room_id, user_id FROM participants \
     WHERE own_xid >= $1::text::xid8 OR own_xid = ANY($2::text[]::xid8[]) ORDER BY 1, 2";

const USER_CHANGES: &str = "SELECT id, is_active, tokens_valid_from FROM people \
     WHERE changed_xid >= $1::text::xid8 OR changed_xid = ANY($2::text[]::xid8[]) ORDER BY id";

const PERSONAL_HEADS: &str = concat!(
    "SELECT user_id, max(position) FROM personal_log WHERE ",
    unseen!(),
    " GROUP BY user_id ORDER BY user_id"
);

/// The transactions that a snapshot didn't see.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct UnseenTransactions {
    /// The first transaction that had not begun.
    pub(crate) future: String,
    /// The transactions in progress.
    pub(crate) open: Vec<String>,
}

impl UnseenTransactions {
    pub(crate) fn of(cursor: &Cursor) -> Self {
        let mut parts = cursor.0.split(':').skip(1);
        let future = parts.next().unwrap_or_default().to_owned();
        let open = parts.next().unwrap_or_default();
        Self { future, open: open.split(',').filter(|id| !id.is_empty()).map(str::to_owned).collect() }
    }
}

/// Reads what committed since `since`, with statements that take at most `time_limit` each; see
/// [`actors::ports::store::Store::changes`].
pub(crate) async fn read(
    client: &ClientWrapper,
    since: Option<Cursor>,
    time_limit: Duration,
) -> Result<Changes, Error> {
    let UnseenTransactions { future, open } = since.as_ref().map(UnseenTransactions::of).unwrap_or_default();
    let has_cursor = since.is_some();
    let time_limit = time_limit.as_millis().to_string();
    let timeout: [&(dyn ToSql + Sync); 1] = [&time_limit];
    let set_timeout = client.prepare_cached(SET_STATEMENT_TIMEOUT).await?;
    let snapshot = client.prepare_cached(SNAPSHOT).await?;
    let rooms = prepare_if(client, GROWN_ROOMS, has_cursor).await?;
    let joined = prepare_if(client, JOINS, has_cursor).await?;
    let marks = prepare_if(client, READ_MARKS, has_cursor).await?;
    let own_states = prepare_if(client, OWN_STATES, has_cursor).await?;
    let users = prepare_if(client, USER_CHANGES, has_cursor).await?;
    let personal = prepare_if(client, PERSONAL_HEADS, has_cursor).await?;
    // All statements share one snapshot; what it doesn't see is reported by the next read.
    let (begun, timeout_set, snapshot, rooms, joined, marks, own_states, users, personal, ended) = futures_util::join!(
        client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
        client.query_one(&set_timeout, &timeout),
        client.query_one(&snapshot, &[]),
        query_if(client, rooms.as_ref(), [&future, &open]),
        query_if(client, joined.as_ref(), [&future, &open]),
        query_if(client, marks.as_ref(), [&future, &open]),
        query_if(client, own_states.as_ref(), [&future, &open]),
        query_if(client, users.as_ref(), [&future, &open]),
        query_if(client, personal.as_ref(), [&future, &open]),
        client.batch_execute("COMMIT"),
    );
    begun?;
    timeout_set?;
    let snapshot = snapshot?;
    let next = Cursor(snapshot.get::<_, &str>(0).into());
    let (rooms, joined, marks, own_states, users) = (rooms?, joined?, marks?, own_states?, users?);
    let personal = personal?;
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
        own_states: own_states.iter().map(|row| (RoomId(row.get(0)), UserId(row.get(1)))).collect(),
        people: users
            .iter()
            .map(|row| UserAccess {
                user: UserId(row.get(0)),
                is_active: row.get(1),
                tokens_valid_from: row.get(2),
            })
            .collect(),
        personal: personal.iter().map(|row| (UserId(row.get(0)), PersonalSeq(row.get(1)))).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_names_the_transactions_that_its_snapshot_did_not_see() {
        let unseen = |snapshot: &str| UnseenTransactions::of(&Cursor(snapshot.into()));
        assert_eq!(
            unseen("10:20:10,14"),
            UnseenTransactions { future: "20".into(), open: vec!["10".into(), "14".into()] }
        );
        assert_eq!(unseen("20:20:"), UnseenTransactions { future: "20".into(), open: Vec::new() });
    }
}
