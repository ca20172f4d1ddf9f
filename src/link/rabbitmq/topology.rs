//! What stands at the broker: one exchange for all, and for each node a queue with its bindings.

use std::collections::BTreeSet;

use actors::{domain::ids::NodeId, ports::link::Topic};
use futures_util::future::try_join_all;
use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable, ShortString},
};

/// The exchange; its number is that of the way topics are written.
pub(super) const EXCHANGE: &str = "chat.v1";
/// How long the broker keeps the queue of a node that is gone.
const QUEUE_EXPIRES_MS: i32 = 60_000;
/// Messages that may wait for one node; beyond, the oldest go. A node that is so far behind reads the
/// store anyway.
const QUEUE_MESSAGES_MAX: i32 = 10_000;
/// The same in bytes.
const QUEUE_BYTES_MAX: i32 = 64 << 20;
/// How long a message is worth passing on: the store has been read by then.
const MESSAGE_LIVES_MS: i32 = 10_000;
/// Bindings asked for at once.
const BINDINGS_AT_ONCE: usize = 64;

/// The names of one node at the broker.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// The node's queue. Named by the node, for a name that the broker gives is refused when the
    /// connection is made anew; with the id of this process, so that no other process ever reads it.
    pub(super) queue: ShortString,
    /// The topic of this node's beacons.
    pub(super) beacon: ShortString,
}

impl Names {
    pub(super) fn new(node_name: &str, boot: NodeId) -> Self {
        Self { queue: format!("chat.{node_name}.{boot}").into(), beacon: format!("beacon.{boot}").into() }
    }
}

/// The routing key of a topic.
pub(super) fn key(topic: Topic) -> ShortString {
    match topic {
        Topic::Room(shard) => format!("room.{shard}").into(),
        Topic::User(shard) => format!("user.{shard}").into(),
        Topic::Nodes => "nodes".into(),
    }
}

/// Makes the exchange and a new, empty queue with the beacon's binding.
///
/// A queue of an earlier connection is thrown away: the broker may still hold that connection for alive
/// and give it every second message.
pub(super) async fn declare(channel: &Channel, names: &Names) -> lapin::Result<()> {
    channel
        .exchange_declare(
            EXCHANGE.into(),
            ExchangeKind::Topic,
            ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() },
            FieldTable::default(),
        )
        .await?;
    channel.queue_delete(names.queue.clone(), QueueDeleteOptions::default()).await?;
    let mut arguments = FieldTable::default();
    for (name, value) in [
        ("x-expires", QUEUE_EXPIRES_MS),
        ("x-max-length", QUEUE_MESSAGES_MAX),
        ("x-max-length-bytes", QUEUE_BYTES_MAX),
        ("x-message-ttl", MESSAGE_LIVES_MS),
    ] {
        arguments.insert(name.into(), AMQPValue::LongInt(value));
    }
    arguments.insert("x-overflow".into(), AMQPValue::LongString("drop-head".into()));
    // Durable by name only, as newer brokers want it of a queue that isn't exclusive (an exclusive one
    // stays locked after a half-dead connection): its messages are not, and it expires.
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(names.queue.clone(), options, arguments).await?;
    bind(channel, names, [names.beacon.clone()]).await
}

/// Binds the queue to keys; those that are bound already stay so.
pub(super) async fn bind(
    channel: &Channel,
    names: &Names,
    keys: impl IntoIterator<Item = ShortString>,
) -> lapin::Result<()> {
    let keys: Vec<ShortString> = keys.into_iter().collect();
    for keys in keys.chunks(BINDINGS_AT_ONCE) {
        try_join_all(keys.iter().map(|key| {
            channel.queue_bind(
                names.queue.clone(),
                EXCHANGE.into(),
                key.clone(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
        }))
        .await?;
    }
    Ok(())
}

/// Unbinds the queue from topics.
pub(super) async fn unbind(channel: &Channel, names: &Names, topics: &BTreeSet<Topic>) -> lapin::Result<()> {
    let topics: Vec<Topic> = topics.iter().copied().collect();
    for topics in topics.chunks(BINDINGS_AT_ONCE) {
        try_join_all(topics.iter().map(|topic| {
            channel.queue_unbind(names.queue.clone(), EXCHANGE.into(), key(*topic), FieldTable::default())
        }))
        .await?;
    }
    Ok(())
}
