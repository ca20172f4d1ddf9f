//! Consumers of the log: each event at least once and in order, whatever is killed; one owner at a time; a
//! consumer that can't get past an event stops alone.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use actors::domain::ids::{MessageId, RoomId, Seq};
use actors::ports::store::Store as _;
use aristay_chat::store::postgres::{
    ConsumerError, ConsumerRound, LogConsumer, LogEvent, PostgresStore, WriteTransaction,
};
use async_trait::async_trait;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::world::{ANN, BOB, CAT, Postgres, World, say};

/// What the recorder writes down: each event, in the order of consuming.
const TABLE: &str = "CREATE TABLE recorded (number bigserial, room_id uuid, seq bigint)";

/// A consumer that records events in a table.
struct Recorder {
    name: &'static str,
    /// The message that it can't get past; none if it is nil.
    refuses: std::sync::Mutex<MessageId>,
    /// The number of events from which on a statement of it takes too long.
    is_slow_from: usize,
    /// Whether it freezes in the middle of a round.
    is_frozen: AtomicBool,
    /// How often it was called.
    calls: AtomicI64,
}

impl Recorder {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            refuses: MessageId(Uuid::nil()).into(),
            is_slow_from: usize::MAX,
            is_frozen: AtomicBool::new(false),
            calls: AtomicI64::new(0),
        }
    }
}

#[async_trait]
impl LogConsumer for Recorder {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn consume(
        &self,
        transaction: &WriteTransaction<'_>,
        events: &[LogEvent],
    ) -> Result<(), ConsumerError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if events.len() >= self.is_slow_from {
            transaction.rows("SELECT pg_sleep(5)", &[]).await?;
        }
        for event in events {
            let insert = "INSERT INTO recorded (room_id, seq) VALUES ($1, $2)";
            transaction.rows(insert, &[&event.room.0, &event.seq.0]).await?;
            if self.is_frozen.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            let refused = *self.refuses.lock().unwrap();
            if event.message == Some(refused) {
                return Err(ConsumerError::Event("it is refused".into()));
            }
        }
        Ok(())
    }
}

async fn start(postgres: &Postgres, consumer: &Recorder) {
    postgres.store.start_consumer(consumer.name).await.unwrap();
}

/// The recorded positions of each room, in the order of recording.
async fn recorded(postgres: &Postgres) -> BTreeMap<RoomId, Vec<i64>> {
    let client = postgres.database.client().await;
    let rows = client.query("SELECT room_id, seq FROM recorded ORDER BY number", &[]).await.unwrap();
    let mut recorded: BTreeMap<RoomId, Vec<i64>> = BTreeMap::new();
    for row in rows {
        recorded.entry(RoomId(row.get(0))).or_default().push(row.get(1));
    }
    recorded
}

/// Consumes until the head of each room is recorded.
async fn consume_all(
    postgres: &Postgres,
    store: &PostgresStore,
    consumer: &Recorder,
    owner: Uuid,
    heads: &BTreeMap<RoomId, Seq>,
) {
    let deadline = Instant::now() + Duration::from_secs(30);
    let is_done = |recorded: &BTreeMap<RoomId, Vec<i64>>| {
        heads.iter().all(|(room, head)| recorded.get(room).is_some_and(|seqs| seqs.contains(&head.0)))
    };
    while !is_done(&recorded(postgres).await) {
        assert!(Instant::now() < deadline, "not everything is consumed in time");
        // The rounds of nodes that were killed may still be rolled back.
        drop(store.consume(consumer, owner, 7).await);
        sleep(Duration::from_millis(20)).await;
    }
}

async fn heads(world: &World, rooms: &[RoomId]) -> BTreeMap<RoomId, Seq> {
    let mut heads = BTreeMap::new();
    for room in rooms {
        heads.insert(*room, world.head(*room).await);
    }
    heads
}

/// What happens to a round of one node.
#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    /// Nobody waits for it any more after so many microseconds.
    Dropped(u64),
    /// Its connections end after so many microseconds.
    Killed(u64),
}

fn faults() -> impl Strategy<Value = Vec<(bool, Fault)>> {
    let fault = prop_oneof![
        Just(Fault::None),
        (0..20_000_u64).prop_map(Fault::Dropped),
        (0..20_000_u64).prop_map(Fault::Killed),
    ];
    proptest::collection::vec((any::<bool>(), fault), 10..20)
}

#[tokio::test]
async fn each_event_is_recorded_once_and_in_order_whatever_is_killed() {
    let config = Config { failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    for _ in 0..4 {
        let faults = faults().new_tree(&mut runner).unwrap().current();
        let world = World::postgres().await;
        let postgres = world.database();
        postgres.database.run(TABLE).await;
        let (consumer, other) = (Recorder::new("recorder"), postgres.second_node().await);
        start(postgres, &consumer).await;
        let mut rooms = Vec::new();
        for _ in 0..3 {
            rooms.push(world.group(&[ANN, BOB, CAT]).await);
        }
        let writing = async {
            // Batches of several rooms, of two nodes at once, so that transactions overlap.
            let write = async |store: &PostgresStore, who| {
                for n in 0..20 {
                    let batch = rooms.iter().map(|room| say(who, *room, &n.to_string()).into());
                    let batch: Vec<_> = batch.collect();
                    drop(store.append(&batch, false).await);
                }
            };
            futures_util::join!(write(&postgres.store, ANN), write(&other, BOB));
        };
        let killer = postgres.database.client().await;
        let consuming = async {
            let owners = [Uuid::new_v4(), Uuid::new_v4()];
            for (is_other, fault) in &faults {
                let (store, owner) =
                    if *is_other { (&other, owners[1]) } else { (&postgres.store, owners[0]) };
                let round = store.consume(&consumer, owner, 5);
                match fault {
                    Fault::None => drop(round.await),
                    Fault::Dropped(after) => drop(timeout(Duration::from_micros(*after), round).await),
                    Fault::Killed(after) => {
                        let kill = async {
                            sleep(Duration::from_micros(*after)).await;
                            let sessions = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                                WHERE datname = current_database() AND pid <> pg_backend_pid()
                                  AND query LIKE '%log_consumers%'";
                            killer.query(sessions, &[]).await.unwrap();
                        };
                        drop(futures_util::join!(round, kill));
                    }
                }
                // The lease of the other node counts as expired.
                killer.execute("UPDATE log_consumers SET owned_until = now()", &[]).await.unwrap();
            }
        };
        futures_util::join!(writing, consuming);
        let heads = heads(&world, &rooms).await;
        consume_all(postgres, &other, &consumer, Uuid::new_v4(), &heads).await;
        for (room, seqs) in recorded(postgres).await {
            let expected: Vec<i64> = (1..=heads[&room].0).collect();
            assert_eq!(seqs, expected, "after {faults:?}");
        }
    }
}

#[tokio::test]
async fn a_consumer_has_one_owner_that_another_node_replaces_within_5_s() {
    let world = World::postgres().await;
    let postgres = world.database();
    postgres.database.run(TABLE).await;
    let (consumer, other) = (Recorder::new("recorder"), postgres.second_node().await);
    start(postgres, &consumer).await;
    let room = world.group(&[ANN, BOB]).await;
    let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
    postgres.store.consume(&consumer, first, 100).await.unwrap();
    for _ in 0..3 {
        let round = other.consume(&consumer, second, 100).await.unwrap();
        assert_eq!(round, ConsumerRound::NotOwner);
    }

    // The owner freezes in the middle of a round, with the row locked.
    world.says(ANN, room, "hi").await;
    let frozen = Recorder::new("recorder");
    frozen.is_frozen.store(true, Ordering::Relaxed);
    let freezing = async {
        // Transactions of other tests, which share the cluster, may leave a round without events.
        let deadline = Instant::now() + Duration::from_secs(30);
        while frozen.calls.load(Ordering::Relaxed) == 0 {
            assert!(Instant::now() < deadline, "no round has events");
            postgres.store.consume(&frozen, first, 100).await.unwrap();
            sleep(Duration::from_millis(20)).await;
        }
        panic!("it ends a round in which it is frozen");
    };
    let replacing = async {
        while frozen.calls.load(Ordering::Relaxed) == 0 {
            sleep(Duration::from_millis(20)).await;
        }
        let began = Instant::now();
        while other.consume(&consumer, second, 100).await.unwrap() == ConsumerRound::NotOwner {
            sleep(Duration::from_millis(20)).await;
        }
        began.elapsed()
    };
    let took = tokio::select! {
        () = freezing => unreachable!(),
        took = replacing => took,
    };
    assert!(took < Duration::from_secs(5), "{took:?}");
    let heads = heads(&world, &[room]).await;
    consume_all(postgres, &other, &consumer, second, &heads).await;
}

#[tokio::test]
async fn a_consumer_that_cannot_get_past_an_event_stops_alone() {
    let world = World::postgres().await;
    let postgres = world.database();
    postgres.database.run(TABLE).await;
    let (stopping, healthy) = (Recorder::new("stopping"), Recorder::new("healthy"));
    start(postgres, &stopping).await;
    start(postgres, &healthy).await;
    let owner = Uuid::new_v4();
    let store = &postgres.store;
    let room = world.group(&[ANN, BOB]).await;
    let mut sent = Vec::new();
    for n in 0..9 {
        sent.push(world.says(ANN, room, &n.to_string()).await);
    }
    *stopping.refuses.lock().unwrap() = sent[5].id;

    let stopped = ConsumerRound::Stopped("it is refused".into());
    // Transactions of other tests, which share the cluster, may hold a round up.
    let until_stopped = async || {
        let deadline = Instant::now() + Duration::from_secs(30);
        while store.consume(&stopping, owner, 100).await.unwrap() != stopped {
            assert!(Instant::now() < deadline, "it doesn't stop");
            sleep(Duration::from_millis(20)).await;
        }
    };
    until_stopped().await;
    let expected: Vec<i64> = (1..sent[5].seq.0).collect();
    assert_eq!(recorded(postgres).await.remove(&room), Some(expected), "everything before it");
    let calls = stopping.calls.load(Ordering::Relaxed);
    assert_eq!(store.consume(&stopping, owner, 100).await.unwrap(), stopped);
    assert_eq!(stopping.calls.load(Ordering::Relaxed), calls, "it isn't called again");
    let heads = heads(&world, &[room]).await;
    consume_all(postgres, store, &healthy, owner, &heads).await;
    let failures: Vec<_> = store.consumers().await.unwrap();
    let failures: Vec<_> = failures.into_iter().map(|status| (status.name, status.failure)).collect();
    let expected = [
        ("healthy", None),
        ("notifications", None),
        ("search", None),
        ("stopping", Some("it is refused".to_owned())),
        ("webhooks", None),
    ];
    assert_eq!(failures, expected.map(|(name, failure)| (name.to_owned(), failure)));

    // A restart tries it again.
    start(postgres, &stopping).await;
    until_stopped().await;
    assert!(stopping.calls.load(Ordering::Relaxed) > calls);
    // An operator skips it.
    postgres.database.run("TRUNCATE recorded").await;
    assert!(!store.skip_failure("healthy").await.unwrap());
    assert!(store.skip_failure("stopping").await.unwrap());
    consume_all(postgres, store, &stopping, owner, &heads).await;
    let expected: Vec<i64> = (sent[6].seq.0..=heads[&room].0).collect();
    assert_eq!(recorded(postgres).await.remove(&room), Some(expected), "everything after it");
}

#[tokio::test]
async fn a_rebuild_consumes_the_log_from_its_start() {
    let world = World::postgres().await;
    let postgres = world.database();
    postgres.database.run(TABLE).await;
    let consumer = Recorder::new("recorder");
    start(postgres, &consumer).await;
    let rooms = [world.group(&[ANN, BOB]).await, world.group(&[ANN, CAT]).await];
    for n in 0..10 {
        world.says(ANN, rooms[n % 2], "hi").await;
    }
    let (heads, owner) = (heads(&world, &rooms).await, Uuid::new_v4());
    consume_all(postgres, &postgres.store, &consumer, owner, &heads).await;
    let once = recorded(postgres).await;

    assert!(!postgres.store.rebuild_consumer("nobody").await.unwrap());
    assert!(postgres.store.rebuild_consumer("recorder").await.unwrap());
    postgres.database.run("TRUNCATE recorded").await;
    consume_all(postgres, &postgres.store, &consumer, owner, &heads).await;
    assert_eq!(recorded(postgres).await, once);
}

#[tokio::test]
async fn what_takes_too_long_is_consumed_in_smaller_batches() {
    let world = World::postgres().await;
    let postgres = world.database();
    postgres.database.run(TABLE).await;
    let consumer = Recorder { is_slow_from: 6, ..Recorder::new("recorder") };
    start(postgres, &consumer).await;
    let room = world.group(&[ANN, BOB]).await;
    let head = world.head(room).await;
    for n in 0..20 {
        world.says(ANN, room, &n.to_string()).await;
    }
    // Everything up to the room's making, which is one transaction.
    let store = &postgres.store;
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut round = ConsumerRound::NotOwner;
    while recorded(postgres).await.is_empty() {
        assert!(Instant::now() < deadline, "nothing is consumed in time");
        round = store.consume(&consumer, Uuid::nil(), 10).await.unwrap();
        sleep(Duration::from_millis(20)).await;
    }
    let ConsumerRound::Consumed { events, has_more: true } = round else { panic!("{round:?}") };
    assert!((1..6).contains(&events), "{events} of {head}");
    assert_eq!(store.consumer_behind_at("nobody").await.unwrap(), None);
    let behind = store.consumer_behind_at("recorder").await.unwrap();
    assert!(behind.is_some());
    store.consume(&consumer, Uuid::nil(), 4).await.unwrap();
    assert!(store.consumer_behind_at("recorder").await.unwrap() > behind, "it makes progress");
}
