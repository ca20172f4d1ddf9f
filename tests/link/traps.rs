//! How brokers fail.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use actors::ports::link::{Incoming, Topic};
use lapin::{
    Channel, Connection, ConnectionProperties,
    options::{ExchangeDeleteOptions, QueueDeleteOptions, QueuePurgeOptions},
    types::FieldTable,
};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    broker::Broker,
    proxy::{Mode, Proxy},
    world::{Node, broker, topics},
};

const ROOM: Topic = Topic::Room(7);
/// The promise, with a little for a busy machine.
const NOTICED: Duration = Duration::from_millis(2_500);

/// What an operator's hands would do at the broker.
async fn hands(broker: &Broker) -> (Connection, Channel) {
    let connection = Connection::connect(&broker.url(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

async fn pair(broker: &Broker) -> (Node, Node) {
    (Node::at(&broker.url(), &[]).await, Node::at(&broker.url(), &[ROOM]).await)
}

#[tokio::test]
async fn a_killed_broker_is_noticed_and_had_again_with_all_that_stood_there() {
    let mut broker = broker().await;
    let (a, mut b) = pair(&broker).await;
    broker.kill();
    assert!(b.sees(&Incoming::Down).await < NOTICED);
    let begin = Instant::now();
    for _ in 0..10_000 {
        a.says(&[ROOM], "into the void");
    }
    assert!(begin.elapsed() < Duration::from_secs(1), "publishing doesn't wait");
    broker.restart();
    b.sees(&Incoming::Up).await;
    a.gets_through(&mut b, ROOM, "after the restart").await;
}

#[tokio::test]
async fn a_frozen_broker_is_noticed_within_two_seconds_and_costs_no_threads() {
    let broker = broker().await;
    let (a, mut b) = pair(&broker).await;
    let before = threads();
    broker.freeze();
    assert!(b.sees(&Incoming::Down).await < NOTICED);
    for _ in 0..100_000 {
        a.says(&[ROOM], "into the void");
    }
    // Several tries to connect come and go meanwhile, each with a thread of the client's.
    sleep(Duration::from_secs(12)).await;
    assert!(threads() <= before + 2, "{} threads, {before} before", threads());
    broker.thaw();
    b.sees(&Incoming::Up).await;
    a.gets_through(&mut b, ROOM, "after the thaw").await;
}

#[tokio::test]
async fn a_memory_alarm_makes_nobody_wait_and_passes() {
    let broker = broker().await;
    let (a, mut b) = pair(&broker).await;
    broker.set_memory_alarm(true);
    b.sees(&Incoming::Down).await;
    let begin = Instant::now();
    for _ in 0..100_000 {
        a.says(&[ROOM], "into the void");
    }
    assert!(begin.elapsed() < Duration::from_secs(2), "publishing doesn't wait");
    // Longer than a beacon is waited for: the connection is kept, and told of as down.
    assert!(timeout(Duration::from_secs(4), b.sees(&Incoming::Up)).await.is_err());
    broker.set_memory_alarm(false);
    b.sees(&Incoming::Up).await;
    a.gets_through(&mut b, ROOM, "after the alarm").await;
}

#[tokio::test]
async fn a_deleted_queue_is_noticed_and_made_again() {
    let broker = broker().await;
    let (a, mut b) = pair(&broker).await;
    let (_connection, channel) = hands(&broker).await;
    channel.queue_delete(b.queue.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
    assert!(b.sees(&Incoming::Down).await < NOTICED);
    b.sees(&Incoming::Up).await;
    a.gets_through(&mut b, ROOM, "to the new queue").await;
}

#[tokio::test]
async fn a_deleted_exchange_is_noticed_and_made_again() {
    let broker = broker().await;
    let (a, mut b) = pair(&broker).await;
    let (_connection, channel) = hands(&broker).await;
    channel.exchange_delete("chat.v1".into(), ExchangeDeleteOptions::default()).await.unwrap();
    assert!(b.sees(&Incoming::Down).await < NOTICED);
    b.sees(&Incoming::Up).await;
    a.gets_through(&mut b, ROOM, "by the new exchange").await;
}

#[tokio::test]
async fn a_deleted_binding_comes_back() {
    let broker = broker().await;
    let (a, mut b) = pair(&broker).await;
    let (_connection, channel) = hands(&broker).await;
    let unbind = |key: String| {
        let queue = b.queue.as_str().into();
        channel.queue_unbind(queue, "chat.v1".into(), key.into(), FieldTable::default())
    };
    unbind("room.7".to_owned()).await.unwrap();
    assert!(a.gets_through(&mut b, ROOM, "bound again").await < Duration::from_secs(3));
    let boot = b.queue.rsplit('.').next().unwrap().to_owned();
    let queue = b.queue.as_str().into();
    channel
        .queue_unbind(queue, "chat.v1".into(), format!("beacon.{boot}").into(), FieldTable::default())
        .await
        .unwrap();
    assert!(b.sees(&Incoming::Down).await < NOTICED);
    b.sees(&Incoming::Up).await;
    a.gets_through(&mut b, ROOM, "all bound again").await;
}

#[tokio::test]
async fn a_connection_that_an_operator_closes_is_made_again() {
    let broker = broker().await;
    let (a, mut b) = pair(&broker).await;
    broker.ctl(&["close_all_connections", "test"]);
    b.sees(&Incoming::Down).await;
    b.sees(&Incoming::Up).await;
    a.gets_through(&mut b, ROOM, "on a new connection").await;
}

/// To the broker the old connection looks alive for a while, and its consumer would get every second
/// message.
#[tokio::test]
async fn a_half_dead_connection_takes_nothing_from_the_new_one() {
    let broker = broker().await;
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, broker.port()));
    let proxy = Proxy::start(vec![server]).await;
    let a = Node::at(&broker.url(), &[]).await;
    let mut b = Node::at(&broker.url_at(proxy.port()), &[ROOM]).await;
    proxy.set(Mode::HoldOld);
    assert!(b.sees(&Incoming::Down).await < NOTICED);
    b.sees(&Incoming::Up).await;
    let texts: Vec<String> = (0..100).map(|n| format!("envelope {n}")).collect();
    for text in &texts {
        a.says(&[ROOM], text);
    }
    assert_eq!(b.hears_until("envelope 99").await, texts);
}

#[tokio::test]
async fn a_one_way_partition_is_noticed() {
    let broker = broker().await;
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, broker.port()));
    let proxy = Proxy::start(vec![server]).await;
    let mut b = Node::at(&broker.url_at(proxy.port()), &[ROOM]).await;
    proxy.set(Mode::HoldClients);
    assert!(b.sees(&Incoming::Down).await < NOTICED);
    proxy.set(Mode::Pass);
    b.sees(&Incoming::Up).await;
}

#[tokio::test]
async fn a_broker_that_comes_late_is_found() {
    let broker = broker().await;
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, broker.port()));
    let proxy = Proxy::start(vec![server]).await;
    proxy.set(Mode::Cut);
    let mut b = Node::starting_at(&broker.url_at(proxy.port()), &[ROOM]).await;
    b.sees(&Incoming::Down).await;
    // Past the tries at which the client's own recovery gives up.
    sleep(Duration::from_secs(8)).await;
    proxy.set(Mode::Pass);
    assert!(b.sees(&Incoming::Up).await < Duration::from_secs(4));
}

#[tokio::test]
async fn the_queue_is_own_named_bounded_and_goes_with_its_node() {
    let broker = broker().await;
    let (a, b) = pair(&broker).await;
    let queues = broker.ctl(&["list_queues", "name", "exclusive", "arguments"]);
    let own = queues.lines().find(|line| line.contains(&b.queue)).expect("its queue");
    assert!(own.contains("false"), "{own}");
    for argument in ["x-expires", "x-max-length", "x-max-length-bytes", "drop-head"] {
        assert!(own.contains(argument), "{own}");
    }
    let bindings = broker.ctl(&["list_bindings", "destination_name", "routing_key"]);
    let keys: Vec<&str> = bindings
        .lines()
        .filter(|line| line.contains(&b.queue))
        .filter_map(|line| line.split('\t').nth(1))
        .collect();
    assert!(keys.contains(&"room.7") && keys.iter().any(|key| key.starts_with("beacon.")), "{keys:?}");
    b.link.stop().await;
    a.link.stop().await;
    let queues = broker.ctl(&["list_queues", "name"]);
    assert!(!queues.contains(&b.queue) && !queues.contains(&a.queue), "{queues}");
}

#[tokio::test]
async fn an_engine_that_is_behind_loses_hints_and_not_the_link() {
    let broker = broker().await;
    let (a, mut b) = pair(&broker).await;
    for n in 0..5_000 {
        a.says(&[ROOM], &format!("envelope {n}"));
        if n % 500 == 0 {
            sleep(Duration::from_millis(50)).await;
        }
    }
    // Nothing is taken for longer than a beacon is waited for.
    sleep(Duration::from_secs(3)).await;
    let mut heard = 0;
    while let Ok(came) = b.incoming.try_recv() {
        assert_ne!(came, Incoming::Down);
        heard += 1;
    }
    assert!(heard > 0 && heard <= 1_024, "{heard}");
    a.gets_through(&mut b, ROOM, "caught up").await;
}

#[tokio::test]
async fn a_purged_queue_loses_what_was_in_it_and_nothing_else() {
    let broker = broker().await;
    let (a, mut b) = pair(&broker).await;
    let (_connection, channel) = hands(&broker).await;
    a.says(&[ROOM], "perhaps");
    channel.queue_purge(b.queue.as_str().into(), QueuePurgeOptions::default()).await.unwrap();
    a.gets_through(&mut b, ROOM, "afterwards").await;
}

#[tokio::test]
async fn a_burst_of_changes_ends_at_what_was_wanted_last() {
    let broker = broker().await;
    let (a, mut b) = pair(&broker).await;
    for shard in 0..256 {
        b.link.listen(topics(&[Topic::Room(shard), Topic::User(shard)]));
    }
    let all: Vec<Topic> = (0..256).flat_map(|shard| [Topic::Room(shard), Topic::User(shard)]).collect();
    b.link.listen(topics(&all));
    let begin = Instant::now();
    a.gets_through(&mut b, Topic::User(255), "all shards").await;
    println!("512 bindings after {:?}", begin.elapsed());
    b.link.listen(topics(&[ROOM]));
    a.gets_through(&mut b, ROOM, "one shard").await;
}
