//! The exchange, queues and bindings at the broker.

use std::collections::BTreeSet;

use actors::{domain::ids::NodeId, ports::broker::Topic};
use futures_util::future::try_join_all;
use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable, ShortString},
};

/// The exchange of all nodes. The version is that of the topics' encoding.
pub(super) const EXCHANGE: &str = "chat.v1";
/// How long the broker keeps the queue of a node that is gone.
const QUEUE_EXPIRES_MS: i32 = 60_000;
/// Messages queued for one node; beyond that the oldest are dropped. A node that is this far behind reads the
/// store anyway.
const QUEUE_MESSAGES_MAX: i32 = 10_000;
/// The same limit in bytes.
const QUEUE_BYTES_MAX: i32 = 64 << 20;
/// How long a message is worth delivering; by then the node has read the store.
const MESSAGE_LIVES_MS: i32 = 10_000;
/// Concurrent binding requests.
const BINDINGS_AT_ONCE: usize = 64;

/// The names of one node at the broker.
#[derive(Clone, Debug)]
pub(super) struct NodeNames {
    /// The node's queue. Not named by the broker, because such a name can't be declared again after a
    /// reconnect. It contains the id of this process, so that no other process reads from it.
    pub(super) queue: ShortString,
    /// The routing key of the node's heartbeats.
    pub(super) heartbeat_key: ShortString,
}

impl NodeNames {
    pub(super) fn new(node_name: &str, boot: NodeId) -> Self {
        Self {
            queue: format!("chat.{node_name}.{boot}").into(),
            heartbeat_key: format!("beacon.{boot}").into(),
        }
    }
}

/// The routing key of a topic.
pub(super) fn routing_key(topic: Topic) -> ShortString {
    match topic {
        Topic::Room(shard) => format!("room.{shard}").into(),
        Topic::User(shard) => format!("user.{shard}").into(),
        Topic::Nodes => "nodes".into(),
    }
}

/// Declares the exchange and a new, empty queue that receives the node's heartbeats.
///
/// A queue of an earlier connection is deleted: the broker may still consider that connection alive and
/// deliver every second message to it.
pub(super) async fn declare(channel: &Channel, names: &NodeNames) -> lapin::Result<()> {
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
    // Durable, because newer brokers require that of a queue that isn't exclusive, and an exclusive one stays
    // locked after a half-open connection. Its messages are not persistent, and it expires.
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(names.queue.clone(), options, arguments).await?;
    bind(channel, names, [names.heartbeat_key.clone()]).await
}

/// Binds the queue to routing keys; existing bindings stay.
pub(super) async fn bind(
    channel: &Channel,
    names: &NodeNames,
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

/// Removes the bindings of topics.
pub(super) async fn unbind(
    channel: &Channel,
    names: &NodeNames,
    topics: &BTreeSet<Topic>,
) -> lapin::Result<()> {
    let topics: Vec<Topic> = topics.iter().copied().collect();
    for topics in topics.chunks(BINDINGS_AT_ONCE) {
        try_join_all(topics.iter().map(|topic| {
            channel.queue_unbind(
                names.queue.clone(),
                EXCHANGE.into(),
                routing_key(*topic),
                FieldTable::default(),
            )
        }))
        .await?;
    }
    Ok(())
}
