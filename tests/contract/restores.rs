//! A database that was restored from a dump into a cluster that hasn't reached the transaction ids in it: the log is read
//! in pieces, and webhooks go on where they were.

use std::collections::BTreeMap;

use actors::domain::ids::{RoomId, Seq};
use actors::ports::store::Store as _;
use aristay_chat::consumers::{WebhookPlanner, catch_up};
use aristay_chat::store::postgres::{ChangesCursor, ConsumerRound};
use uuid::Uuid;

use crate::webhooks::{ALL, adds, plans, sends_all};
use crate::world::{ANN, BOB, CAT, World};

/// Makes the database one of another cluster, with ids that this one hasn't reached.
const MOVE_AHEAD: &str = "
    UPDATE events SET xid = (xid::text::bigint + 1000000000)::text::xid8;
    UPDATE personal_log SET xid = (xid::text::bigint + 1000000000)::text::xid8;
    UPDATE log_consumers SET position = (position::text::bigint + 1000000000)::text::xid8;
    UPDATE webhooks w SET created_in = (k.id || ':' || k.id || ':')::pg_snapshot FROM (
        SELECT id AS webhook, pg_snapshot_xmax(created_in)::text::bigint + 1000000000 AS id FROM webhooks) k
    WHERE k.webhook = w.id;
    UPDATE installation SET timeline = timeline + 1";

#[tokio::test]
async fn webhooks_go_on_where_they_were() {
    let world = World::postgres().await;
    let postgres = world.database();
    let rooms = [world.group(&[ANN, BOB]).await, world.group(&[ANN, CAT]).await];
    world.says(ANN, rooms[0], "before the webhook").await;
    let webhook = adds(&postgres.store, ALL).await;
    let first = world.says(ANN, rooms[0], "sent before the dump").await;
    plans(&world, &rooms).await;
    assert_eq!(sends_all(&postgres.store, &webhook).await, [(rooms[0], first.seq.0)]);
    // The planner hasn't seen these when the database is dumped.
    let mut expected = Vec::new();
    for room in rooms {
        expected.push((room, world.says(ANN, room, "not yet planned").await.seq.0));
    }
    world.types(ANN, rooms[0], "a draft").await;

    postgres.database.run(MOVE_AHEAD).await;
    let store = postgres.second_node().await;
    let cursor = store.changes(None).await.unwrap().next;
    let changes = store.changes(Some(cursor)).await.unwrap();
    assert!(changes.rooms.is_empty() && changes.personal.is_empty(), "{changes:?}");
    catch_up(&store, &WebhookPlanner).await.unwrap();
    expected.sort_unstable();
    let mut sent = sends_all(&store, &webhook).await;
    sent.sort_unstable();
    assert_eq!(sent, expected);
    let next = world.says(ANN, rooms[1], "after the restore").await;
    plans(&world, &rooms).await;
    assert_eq!(sends_all(&store, &webhook).await, [(rooms[1], next.seq.0)]);
}

#[tokio::test]
async fn the_whole_log_is_read_in_pieces() {
    let world = World::postgres().await;
    let postgres = world.database();
    // Large transactions, the later ones with lower ids, and one whose id this cluster has reached.
    let log = "INSERT INTO events (room_id, seq, kind, at, xid)
        SELECT md5('room' || r)::uuid, s, 'room_updated', now(),
            (CASE WHEN s <= 5 THEN 4 ELSE 1000000000 - s / 700 END)::text::xid8
        FROM generate_series(1, 3) r, generate_series(1, 1500) s";
    postgres.database.run(MOVE_AHEAD).await;
    postgres.database.run(log).await;
    let store = postgres.second_node().await;
    let client = postgres.database.client().await;
    let ids = "SELECT count(DISTINCT xid), max(xid::text::bigint) FROM events";
    let row = client.query_one(ids, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (5, 7));

    // By a consumer.
    store.start_consumer("webhooks").await.unwrap();
    let mut consumed = 0;
    loop {
        let round = store.consume(&WebhookPlanner, Uuid::nil(), 400).await.unwrap();
        let ConsumerRound::Consumed { events, has_more } = round else { panic!("{round:?}") };
        assert!(events <= 1_000, "{events}");
        consumed += events;
        if !has_more {
            break;
        }
    }
    assert_eq!(consumed, 4_500);
    // By the host application, which has to begin anew.
    let mut cursor = ChangesCursor::start(store.epoch());
    let mut read: BTreeMap<RoomId, Vec<Seq>> = BTreeMap::new();
    loop {
        let page = store.changes_page(cursor, 500).await.unwrap();
        for (room, seq) in &page.positions {
            read.entry(*room).or_default().push(*seq);
        }
        cursor = page.cursor_after(page.positions.len());
        if !page.has_more {
            break;
        }
    }
    assert_eq!(read.len(), 3);
    for seqs in read.values() {
        assert_eq!(*seqs, (1..=1_500).map(Seq).collect::<Vec<Seq>>());
    }
}
