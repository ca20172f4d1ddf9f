//! The plans of what is asked often: by index, however many rows there are.

use std::sync::Arc;
use std::time::Duration;

use actors::domain::ids::{RoomId, Seq, UserId};
use actors::domain::room::Subject;
use actors::ports::store::Store;
use aristay_chat::store::postgres::PostgresStore;
use aristay_chat::store::postgres::messages::{MessageFilter, Place};
use aristay_chat::store::postgres::participants::ParticipantFilter;
use aristay_chat::store::postgres::people::PeopleScope;
use aristay_chat::store::postgres::room_pages::{RoomFilter, RoomOrder};
use aristay_chat::store::postgres::search::SearchError;
use uuid::Uuid;

use crate::world::{ANN, BOB, Postgres, World, say_once};

/// A hundred thousand messages in a thousand rooms, half of them in one, and twenty thousand rooms of others.
const SEED: &str = "
    INSERT INTO people (id, username) SELECT n, 'user' || n FROM generate_series(1, 1000) n;
    INSERT INTO rooms (id, room_type, created_at, modified_at, head, last_message_id, last_message_seq, last_message_at)
        SELECT md5('room' || n)::uuid, 'group', now(), now(), CASE WHEN n = 1 THEN 50003 ELSE 53 END,
               md5(n || ' ' || CASE WHEN n = 1 THEN 50003 ELSE 53 END)::uuid, 53, now()
        FROM generate_series(1, 1000) n;
    INSERT INTO participants (room_id, user_id, role, joined_at, joined_seq, read_seq)
        SELECT md5('room' || n)::uuid, u, 'member', now(), 3, CASE WHEN n = 1 THEN 50000 ELSE 50 END
        FROM generate_series(1, 1000) n,
             LATERAL (SELECT 1 AS u UNION SELECT 2 UNION SELECT 3 + (n * 7 + k) % 997 FROM generate_series(1, 10) k) p;
    INSERT INTO messages (room_id, id, seq, rev, sender_id, client_id, message_type, content, created_at, modified_at)
        SELECT md5('room' || n)::uuid, md5(n || ' ' || s)::uuid, s, s, 1 + s % 2, md5(s || ' ' || n)::uuid, 'text',
               'message ' || s, now(), now()
        FROM generate_series(1, 1000) n, generate_series(4, CASE WHEN n = 1 THEN 50003 ELSE 53 END) s;
    INSERT INTO events (room_id, seq, kind, actor, message_id, at, xid)
        SELECT room_id, seq, 'message_posted', sender_id, id, created_at, '3' FROM messages;
    INSERT INTO read_moves (room_id, user_id, seq, at, xid)
        SELECT room_id, sender_id, seq, created_at, '3' FROM messages;
    INSERT INTO texts (room_id, message_id, rev, folded) SELECT room_id, id, rev, ' ' || content || ' ' FROM messages;
    INSERT INTO people (id, username) SELECT n, 'user' || n FROM generate_series(1001, 21000) n;
    INSERT INTO rooms (id, room_type, created_at, modified_at, head)
        SELECT md5('other' || n)::uuid, 'group', now(), now(), 0 FROM generate_series(1, 20000) n;
    INSERT INTO participants (room_id, user_id, role, joined_at, joined_seq)
        SELECT md5('other' || n)::uuid, 1000 + n, 'member', now(), 1 FROM generate_series(1, 20000) n;
    ANALYZE;";

/// Twenty thousand more of everything, of which the planner is told nothing.
const GROWTH: &str = "
    INSERT INTO people (id, username) SELECT n, 'user' || n FROM generate_series(1001, 21000) n;
    INSERT INTO rooms (id, room_type, created_at, modified_at, head)
        SELECT md5('more' || n)::uuid, 'group', now(), now(), 0 FROM generate_series(1, 20000) n;
    INSERT INTO participants (room_id, user_id, role, joined_at, joined_seq)
        SELECT md5('more' || n)::uuid, 1000 + n, 'member', now(), 1 FROM generate_series(1, 20000) n;
    INSERT INTO messages (room_id, id, seq, rev, sender_id, client_id, message_type, content, created_at, modified_at)
        SELECT md5('more' || n)::uuid, md5(n || 'more')::uuid, 1, 1, 1000 + n, md5('once' || n)::uuid, 'text', 'hi',
               now(), now()
        FROM generate_series(1, 20000) n;";

/// Indexes of which more rows were read since the statistics were reset than so many.
const BY_INDEX: &str =
    "SELECT indexrelname::text, idx_tup_read FROM pg_stat_user_indexes WHERE idx_tup_read > $1";

/// How many rows were read in sequence from these tables since the statistics were reset.
const SEQUENTIAL: &str = "SELECT relname::text, seq_tup_read FROM pg_stat_user_tables \
     WHERE relname::text = ANY($1) AND seq_tup_read > 0";

/// Tables of which nothing reads more than the rows that it asks for.
const LARGEST: [&str; 5] = ["messages", "texts", "events", "participants", "read_moves"];
/// The same for those who read lists: a list of a few rooms doesn't go through all there are.
const LISTED: [&str; 7] = ["messages", "texts", "events", "participants", "read_moves", "rooms", "people"];

#[tokio::test]
async fn what_is_asked_often_reads_no_large_table_in_sequence() {
    let (postgres, store, large) = seeded().await;
    let cursor = store.changes(None).await.unwrap().next;
    reset(&postgres).await;

    // Often enough that the planner turns to its generic plans.
    for n in 0..8 {
        let batch: Vec<_> = (0..50)
            .map(|k| say_once(ANN, large, &format!("{n} {k}"), Uuid::new_v4()))
            .map(Arc::new)
            .collect();
        assert!(store.append(&batch, false).await.unwrap().iter().flatten().all(Result::is_ok));
        let snapshot = store.snapshot(large, &[ANN, BOB], true).await.unwrap().unwrap();
        assert_eq!(snapshot.visitors.len(), 2);
        assert_eq!(store.events(large, Seq(40_000), 200).await.unwrap().len(), 200);
        assert!(!store.inbox(BOB, Some(&[large])).await.unwrap().is_empty());
        assert!(!store.changes(Some(cursor.clone())).await.unwrap().rooms.is_empty());
        assert!((5..30).contains(&store.inbox(UserId(500), None).await.unwrap().len()));
    }

    assert_eq!(read_in_sequence(&postgres, store, &LARGEST).await, []);
}

#[tokio::test]
async fn pages_and_searches_read_no_large_table_in_sequence() {
    let (postgres, store, large) = seeded().await;
    let someone = UserId(500);
    let small = RoomId(Uuid::from_bytes(md5(&postgres, "room2").await));
    let in_large = MessageFilter { room: Some(large), ..MessageFilter::default() };
    let anywhere = MessageFilter::default();
    reset(&postgres).await;

    // Often enough that the planner turns to its generic plans.
    for n in 0..8 {
        for place in [Place::Newest, Place::Before(Seq(20_000 + n)), Place::After(Seq(20_000 + n))] {
            assert_eq!(store.message_run(BOB, &in_large, place, 50).await.unwrap().messages.len(), 50);
        }
        assert_eq!(store.message_page(someone, &anywhere, 20, 0).await.unwrap().messages.len(), 20);
        // One that a busy machine makes too slow is given up, which shows its plan as well.
        for (who, text, filter) in
            [(BOB, format!("{}", 30_000 + n), &in_large), (someone, "message 40".into(), &anywhere)]
        {
            match store.search_messages(who, &text, filter, 20, 0).await {
                Ok(found) => assert!(found.count > 0),
                Err(error) => assert!(matches!(error, SearchError::TooBroad), "{error}"),
            }
        }
        // Every list as it is asked for without its filters, and with one of them.
        for (room, user) in [(None, None), (Some(large), None), (None, Some(ANN))] {
            let filter = ParticipantFilter { room, user, is_admin: None };
            let (count, people) = store.participant_page(Some(someone), false, &filter, 20, 0).await.unwrap();
            // The large room isn't one of theirs.
            assert_eq!(count == 0, room.is_some(), "{count}");
            assert!(people.len() <= 20);
        }
        for oldest_first in [false, true] {
            let anywhere = MessageFilter { oldest_first, ..MessageFilter::default() };
            assert_eq!(store.message_page(someone, &anywhere, 20, 20).await.unwrap().messages.len(), 20);
        }
        for order in
            [RoomOrder::LatestActivity, RoomOrder::EarliestActivity, RoomOrder::Newest, RoomOrder::Oldest]
        {
            let filter = RoomFilter { order, ..RoomFilter::default() };
            let page = store.room_page(someone, &filter, 2, 0).await.unwrap();
            assert!((5..30).contains(&page.count));
            let next = page.next.unwrap();
            assert_eq!(store.room_page_after(someone, &filter, 2, &next).await.unwrap().rooms.len(), 2);
        }
        assert_eq!(store.room_stats(Some(BOB), small).await.unwrap().message_count, 50);
        assert!(store.subject_room(Subject::Task(n)).await.unwrap().is_none());
        let newest = &store.message_run(BOB, &in_large, Place::Newest, 1).await.unwrap().messages[0].message;
        assert!(store.message(BOB, newest.id).await.unwrap().is_some());
        assert_eq!(store.room_of(newest.id).await.unwrap(), Some(large));
        let known = PeopleScope::SharedRooms(someone);
        assert!(store.people_named(known, "user", 20, 0).await.unwrap().0 > 20);
        assert_eq!(store.people(known, &[ANN, UserId(9_999)]).await.unwrap().len(), 1);
        assert!(!store.unread_rooms(someone).await.unwrap().is_empty());
        assert!((5..30).contains(&store.rooms_of(someone).await.unwrap().len()));
        let after = (large, Seq(20_000 + n));
        assert_eq!(store.messages_by(ANN, after, 100).await.unwrap().len(), 100);
        store.erase_texts_of_deleted_rooms(someone).await.unwrap();
        assert!(store.head(large).await.unwrap().is_some());
    }

    assert_eq!(read_in_sequence(&postgres, store, &LISTED).await, []);
}

/// A connection keeps its plans, and the tables that they were made for grow.
#[tokio::test]
async fn a_plan_made_for_empty_tables_reads_none_of_them_from_end_to_end() {
    let world = World::postgres().await;
    let postgres = world.database();
    postgres.database.run("ANALYZE").await;
    let room = world.group(&[ANN, BOB]).await;
    let cursor = world.store.changes(None).await.unwrap().next;
    let work = async || {
        // More often than there are connections, and than it takes until a plan is kept.
        for _ in 0..16 {
            let batch = (0..3).map(|k| say_once(ANN, room, &k.to_string(), Uuid::new_v4()));
            let answers = world.append(batch.collect(), false).await.unwrap();
            assert!(answers.iter().flatten().all(Result::is_ok));
            assert!(world.store.snapshot(room, &[ANN, BOB], true).await.unwrap().is_some());
            assert!(!world.store.events(room, Seq(3), 50).await.unwrap().is_empty());
            assert_eq!(world.store.inbox(BOB, Some(&[room])).await.unwrap().len(), 1);
            assert_eq!(world.store.inbox(BOB, None).await.unwrap().len(), 1);
            assert!(!world.store.changes(Some(cursor.clone())).await.unwrap().rooms.is_empty());
        }
    };
    work().await;
    postgres.database.run(GROWTH).await;
    reset(postgres).await;

    work().await;

    let read = postgres.database.client().await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let read = read.query(BY_INDEX, &[&20_000_i64]).await.unwrap();
    let read: Vec<(String, i64)> = read.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(read, []);
}

/// A store on the seeded tables, which plans its statements anew, as a new process would; and the large
/// room.
async fn seeded() -> (Postgres, PostgresStore, RoomId) {
    let postgres = Postgres::new().await;
    postgres.database.run(SEED).await;
    let store = postgres.second_node().await;
    let large = RoomId(Uuid::from_bytes(md5(&postgres, "room1").await));
    (postgres, store, large)
}

async fn reset(postgres: &Postgres) {
    let client = postgres.database.client().await;
    client.batch_execute("SELECT pg_stat_reset()").await.unwrap();
}

/// Those of `tables` that were read in sequence since [`reset`], each with how many rows.
async fn read_in_sequence(postgres: &Postgres, store: PostgresStore, tables: &[&str]) -> Vec<(String, i64)> {
    let client = postgres.database.client().await;
    // Statistics are sent when a connection has been idle for a moment, or ends.
    store.close();
    drop(store);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let read = client.query(SEQUENTIAL, &[&tables]).await.unwrap();
    read.iter().map(|row| (row.get(0), row.get(1))).collect()
}

async fn md5(postgres: &Postgres, text: &str) -> [u8; 16] {
    let row = postgres.database.client().await;
    let row = row.query_one("SELECT md5($1)::uuid", &[&text]).await.unwrap();
    *row.get::<_, Uuid>(0).as_bytes()
}
