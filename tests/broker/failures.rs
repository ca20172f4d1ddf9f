//! Failures of RabbitMQ.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use actors::ports::broker::{BrokerEvent, Topic};
use lapin::{
    Channel, Connection, ConnectionProperties,
    options::{ExchangeDeleteOptions, QueueDeleteOptions, QueuePurgeOptions},
    types::FieldTable,
};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    proxy::{Mode, Proxy},
    rabbitmq::RabbitMq,
    world::{Node, broker, topics},
};

const ROOM: Topic = Topic::Room(7);
/// The promised two seconds, with some tolerance for a busy machine.
const NOTICED: Duration = Duration::from_millis(2_500);

/// A connection with which a test changes the broker as an operator could.
async fn operator_connection(broker: &RabbitMq) -> (Connection, Channel) {
    let connection = Connection::connect(&broker.url(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

async fn pair(broker: &RabbitMq) -> (Node, Node) {
    (Node::at(&broker.url(), &[]).await, Node::at(&broker.url(), &[ROOM]).await)
}

#[tokio::test]
async fn a_killed_broker_is_detected_and_everything_is_declared_again() {
    let mut broker = broker().await;
    let (a, mut b) = pair(&broker).await;
    broker.kill();
    assert!(b.sees(&BrokerEvent::Down).await < NOTICED);
    let begin = Instant::now();
    for _ in 0..10_000 {
        a.says(&[ROOM], "into the void");
    }
    assert!(begin.elapsed() < Duration::from_secs(1), "publishing doesn't wait");
    broker.restart();
    b.sees(&BrokerEvent::Up).await;
    a.gets_through(&mut b, ROOM, "after the restart").await;
}

#[tokio::test]
async fn a_frozen_broker_is_detected_in_two_seconds_and_leaks_no_threads() {
    let broker = broker().await;
    let (a, mut b) = pair(&broker).await;
    let before = threads();
    broker.freeze();
    assert!(b.sees(&BrokerEvent::Down).await < NOTICED);
    for _ in 0..100_000 {
        a.says(&[ROOM], "into the void");
    }
    // Meanwhile several attempts to reconnect come and go, each with a thread of the client library.
    sleep(Duration::from_secs(12)).await;
    assert!(threads() <= before + 2, "{} threads, {before} before", threads());
    broker.thaw();
    b.sees(&BrokerEvent::Up).await;
    a.gets_through(&mut b, ROOM, "after the thaw").await;
}

#[tokio::test]
async fn a_memory_alarm_blocks_nobody_and_ends() {
    let broker = broker().await;
    let (a, mut b) = pair(&broker).await;
    broker.set_memory_alarm(true);
    b.sees(&BrokerEvent::Down).await;
    let begin = Instant::now();
    for _ in 0..100_000 {
        a.says(&[ROOM], "into the void");
    }
    assert!(begin.elapsed() < Duration::from_secs(2), "publishing doesn't wait");
    // Longer than a heartbeat may be missing: the connection is kept and reported as down.
    assert!(timeout(Duration::from_secs(4), b.sees(&BrokerEvent::Up)).await.is_err());
    broker.set_memory_alarm(false);
    b.sees(&BrokerEvent::Up).await;
    a.gets_through(&mut b, ROOM, "after the alarm").await;
}

#[tokio::test]
async fn a_deleted_queue_is_detected_and_declared_again() {
    let broker = broker().await;
    let (a, mut b) = pair(&broker).await;
    let (_connection, channel) = operator_connection(&broker).await;
    channel.queue_delete(b.queue.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
    assert!(b.sees(&BrokerEvent::Down).await < NOTICED);
    b.sees(&BrokerEvent::Up).await;
    a.gets_through(&mut b, ROOM, "to the new queue").await;
}

#[tokio::test]
async fn a_deleted_exchange_is_detected_and_declared_again() {
    let broker = broker().await;
    let (a, mut b) = pair(&broker).await;
    let (_connection, channel) = operator_connection(&broker).await;
    channel.exchange_delete("chat.v1".into(), ExchangeDeleteOptions::default()).await.unwrap();
    assert!(b.sees(&BrokerEvent::Down).await < NOTICED);
    b.sees(&BrokerEvent::Up).await;
    a.gets_through(&mut b, ROOM, "by the new exchange").await;
}

#[tokio::test]
async fn a_deleted_binding_is_restored() {
    let broker = broker().await;
    let (a, mut b) = pair(&broker).await;
    let (_connection, channel) = operator_connection(&broker).await;
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
    assert!(b.sees(&BrokerEvent::Down).await < NOTICED);
    b.sees(&BrokerEvent::Up).await;
    a.gets_through(&mut b, ROOM, "all bound again").await;
}

#[tokio::test]
async fn a_connection_closed_by_an_operator_is_reopened() {
    let broker = broker().await;
    let (a, mut b) = pair(&broker).await;
    broker.ctl(&["close_all_connections", "test"]);
    b.sees(&BrokerEvent::Down).await;
    b.sees(&BrokerEvent::Up).await;
    a.gets_through(&mut b, ROOM, "on a new connection").await;
}

/// The broker considers the old connection alive for a while, and would deliver every second message to it.
#[tokio::test]
async fn a_half_open_connection_takes_nothing_from_the_new_one() {
    let broker = broker().await;
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, broker.port()));
    let proxy = Proxy::start(vec![server]).await;
    let a = Node::at(&broker.url(), &[]).await;
    let mut b = Node::at(&broker.url_at(proxy.port()), &[ROOM]).await;
    proxy.set(Mode::HoldOld);
    assert!(b.sees(&BrokerEvent::Down).await < NOTICED);
    b.sees(&BrokerEvent::Up).await;
    let texts: Vec<String> = (0..100).map(|n| format!("envelope {n}")).collect();
    for text in &texts {
        a.says(&[ROOM], text);
    }
    assert_eq!(b.hears_until("envelope 99").await, texts);
}

#[tokio::test]
async fn a_one_way_partition_is_detected() {
    let broker = broker().await;
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, broker.port()));
    let proxy = Proxy::start(vec![server]).await;
    let mut b = Node::at(&broker.url_at(proxy.port()), &[ROOM]).await;
    proxy.set(Mode::HoldClients);
    assert!(b.sees(&BrokerEvent::Down).await < NOTICED);
    proxy.set(Mode::Pass);
    b.sees(&BrokerEvent::Up).await;
}

#[tokio::test]
async fn a_broker_that_starts_late_is_found() {
    let broker = broker().await;
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, broker.port()));
    let proxy = Proxy::start(vec![server]).await;
    proxy.set(Mode::Cut);
    let mut b = Node::starting_at(&broker.url_at(proxy.port()), &[ROOM]).await;
    b.sees(&BrokerEvent::Down).await;
    // Longer than the client library's own recovery would try.
    sleep(Duration::from_secs(8)).await;
    proxy.set(Mode::Pass);
    assert!(b.sees(&BrokerEvent::Up).await < Duration::from_secs(4));
}

#[tokio::test]
async fn the_queue_is_named_bounded_and_deleted_with_its_node() {
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
async fn an_engine_that_is_behind_loses_envelopes_but_not_the_connection() {
    let broker = broker().await;
    let (a, mut b) = pair(&broker).await;
    for n in 0..5_000 {
        a.says(&[ROOM], &format!("envelope {n}"));
        if n % 500 == 0 {
            sleep(Duration::from_millis(50)).await;
        }
    }
    // Nothing is received for longer than a heartbeat may be missing.
    sleep(Duration::from_secs(3)).await;
    let mut received = 0;
    while let Ok(event) = b.incoming.try_recv() {
        assert_ne!(event, BrokerEvent::Down);
        received += 1;
    }
    assert!(received > 0 && received <= 1_024, "{received}");
    a.gets_through(&mut b, ROOM, "caught up").await;
}

#[tokio::test]
async fn a_purged_queue_loses_only_its_content() {
    let broker = broker().await;
    let (a, mut b) = pair(&broker).await;
    let (_connection, channel) = operator_connection(&broker).await;
    a.says(&[ROOM], "perhaps");
    channel.queue_purge(b.queue.as_str().into(), QueuePurgeOptions::default()).await.unwrap();
    a.gets_through(&mut b, ROOM, "afterwards").await;
}

#[tokio::test]
async fn a_burst_of_changes_ends_with_the_last_topics() {
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
