//! The list of changes: complete, without doubles and in each room's order, whatever overlaps and however short its
//! pages are.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use actors::domain::ids::{RoomId, Seq};
use actors::ports::store::Store as _;
use aristay_chat::store::postgres::{ChangesCursor, PostgresStore};
use futures_util::join;
use tokio::time::sleep;
use uuid::Uuid;

use crate::world::{ANN, BOB, CAT, World, say};

/// Reads one page and adds it to what was read. Returns the next cursor, and whether there is more.
async fn read_page(
    store: &PostgresStore,
    cursor: ChangesCursor,
    limit: usize,
    read: &mut BTreeMap<RoomId, Vec<i64>>,
) -> (ChangesCursor, bool) {
    let page = store.changes_page(cursor, limit).await.unwrap();
    assert!(page.positions.len() <= limit, "{} of {limit}", page.positions.len());
    for (room, seq) in &page.positions {
        read.entry(*room).or_default().push(seq.0);
    }
    // As text, as a client keeps it.
    let cursor = page.cursor_after(page.positions.len()).to_string().parse().unwrap();
    (cursor, page.has_more)
}

/// Reads until the heads of these rooms are read. Transactions of other tests, which share the cluster, hold it up.
async fn read_up_to(
    store: &PostgresStore,
    mut cursor: ChangesCursor,
    limit: usize,
    heads: &BTreeMap<RoomId, Seq>,
    read: &mut BTreeMap<RoomId, Vec<i64>>,
) -> ChangesCursor {
    let deadline = Instant::now() + Duration::from_secs(30);
    let is_done = |read: &BTreeMap<RoomId, Vec<i64>>| {
        heads.iter().all(|(room, head)| read.get(room).is_some_and(|seqs| seqs.contains(&head.0)))
    };
    while !is_done(read) {
        assert!(Instant::now() < deadline, "not everything is read in time");
        let (next, has_more) = read_page(store, cursor, limit, read).await;
        cursor = next;
        if !has_more {
            sleep(Duration::from_millis(20)).await;
        }
    }
    cursor
}

#[tokio::test]
async fn everything_is_read_once_and_in_order_while_it_is_written() {
    let world = World::postgres().await;
    let postgres = world.database();
    let other = postgres.second_node().await;
    let mut rooms = Vec::new();
    for _ in 0..3 {
        rooms.push(world.group(&[ANN, BOB, CAT]).await);
    }
    for limit in [1, 4, 50] {
        let start = ChangesCursor::start(postgres.store.epoch());
        // Batches of several rooms, of two nodes at once, so that transactions overlap.
        let write = async |store: &PostgresStore, who| {
            for n in 0..20 {
                let batch: Vec<_> = rooms.iter().map(|room| say(who, *room, &n.to_string()).into()).collect();
                drop(store.append(&batch, false).await);
            }
        };
        let mut read = BTreeMap::new();
        let reading = async {
            let mut cursor = start;
            for _ in 0..40 {
                (cursor, _) = read_page(&postgres.store, cursor, limit, &mut read).await;
                sleep(Duration::from_millis(2)).await;
            }
            cursor
        };
        let (cursor, (), ()) = join!(reading, write(&postgres.store, ANN), write(&other, BOB));
        let mut heads = BTreeMap::new();
        for room in &rooms {
            heads.insert(*room, world.head(*room).await);
        }
        let cursor = read_up_to(&postgres.store, cursor, limit, &heads, &mut read).await;
        for (room, head) in &heads {
            assert_eq!(read[room], (1..=head.0).collect::<Vec<i64>>(), "{limit} a page");
        }
        let page = postgres.store.changes_page(cursor, limit).await.unwrap();
        assert!(page.positions.is_empty(), "{page:?}");
    }
}

#[tokio::test]
async fn a_transaction_with_more_events_than_a_page_is_read_in_parts() {
    let world = World::postgres().await;
    let postgres = world.database();
    let room = world.group(&[ANN, BOB]).await;
    let batch: Vec<_> = (0..25).map(|n| say(ANN, room, &n.to_string()).into()).collect();
    postgres.store.append(&batch, false).await.unwrap();
    let heads = BTreeMap::from([(room, world.head(room).await)]);
    let mut read = BTreeMap::new();
    let start = ChangesCursor::start(postgres.store.epoch());
    read_up_to(&postgres.store, start, 4, &heads, &mut read).await;
    assert_eq!(read[&room], (1..=heads[&room].0).collect::<Vec<i64>>());
}

#[tokio::test]
async fn events_are_read_by_their_positions_with_what_they_are_about() {
    let world = World::postgres().await;
    let store = &world.database().store;
    let rooms = [world.group(&[ANN, BOB]).await, world.group(&[ANN, CAT]).await];
    let sent = [world.says(ANN, rooms[0], "one").await, world.says(ANN, rooms[1], "two").await];
    let positions: Vec<(RoomId, Seq)> =
        [&sent[1], &sent[0]].iter().map(|message| (message.room, message.seq)).collect();
    let positions = [positions, vec![(rooms[0], Seq(1)), (RoomId(Uuid::nil()), Seq(1))]].concat();
    let events = store.events_at(&positions).await.unwrap();
    let found: Vec<(RoomId, Seq)> = events.iter().map(|event| (event.room, event.seq)).collect();
    assert_eq!(found, positions[..3], "in the order that was asked for");
    for event in &events {
        let alone = store.events(event.room, Seq(event.seq.0 - 1), 1).await.unwrap();
        assert_eq!(alone, [event.clone()], "as a room's log has it");
    }
}
