//! A RabbitMQ that the tests of this target share one after another, and nodes on it.

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
    time::Duration,
};

use actors::{
    domain::ids::NodeId,
    ports::broker::{Broker, BrokerEvent, Topic},
};
use aristay_chat::broker::rabbitmq::RabbitMqBroker;
use bytes::Bytes;
use tokio::{
    sync::{Mutex, MutexGuard, mpsc},
    time::{Instant, timeout},
};
use uuid::Uuid;

use crate::rabbitmq::RabbitMq;

/// Capacity of a test's channel, as large as the engine's.
const INCOMING_MAX: usize = 1_024;
/// Longer than anything may take on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Acquires the RabbitMQ for one test.
pub(crate) async fn broker() -> MutexGuard<'static, RabbitMq> {
    static BROKER: OnceLock<Mutex<RabbitMq>> = OnceLock::new();
    BROKER.get_or_init(|| Mutex::new(RabbitMq::start())).lock().await
}

/// A node as its broker adapter sees it.
pub(crate) struct Node {
    pub(crate) link: Arc<dyn Broker>,
    pub(crate) incoming: mpsc::Receiver<BrokerEvent>,
    /// Name of its queue at RabbitMQ.
    pub(crate) queue: String,
}

impl Node {
    /// A node on an adapter that may not be connected yet.
    pub(crate) async fn on(link: Arc<dyn Broker>, topics: &[Topic]) -> Self {
        let (sender, incoming) = mpsc::channel(INCOMING_MAX);
        link.listen(topics.iter().copied().collect());
        link.start(sender).await;
        Self { link, incoming, queue: String::new() }
    }

    /// A node on RabbitMQ, once it is connected.
    pub(crate) async fn at(url: &str, topics: &[Topic]) -> Self {
        let mut node = Self::starting_at(url, topics).await;
        node.sees(&BrokerEvent::Up).await;
        node
    }

    /// A node on RabbitMQ, without waiting until it is connected.
    pub(crate) async fn starting_at(url: &str, topics: &[Topic]) -> Self {
        let boot = NodeId(Uuid::new_v4());
        let link = Arc::new(RabbitMqBroker::new(url, "test", boot).unwrap());
        Self { queue: format!("chat.test.{boot}"), ..Self::on(link, topics).await }
    }

    pub(crate) fn says(&self, topics: &[Topic], text: &str) {
        self.link.publish(&topics.iter().copied().collect(), Bytes::copy_from_slice(text.as_bytes()));
    }

    /// Waits for an event, and returns how long that took; other events may precede it.
    pub(crate) async fn sees(&mut self, what: &BrokerEvent) -> Duration {
        let begin = Instant::now();
        let seen = timeout(SOON, async {
            while let Some(event) = self.incoming.recv().await {
                if event == *what {
                    return;
                }
            }
            panic!("the link ended");
        });
        assert!(seen.await.is_ok(), "{what:?} doesn't come");
        begin.elapsed()
    }

    /// Waits for an envelope.
    pub(crate) async fn hears(&mut self, text: &str) -> Duration {
        self.sees(&BrokerEvent::Envelope(Bytes::copy_from_slice(text.as_bytes()))).await
    }

    /// All envelopes up to `last`.
    pub(crate) async fn hears_until(&mut self, last: &str) -> Vec<String> {
        let mut received = Vec::new();
        loop {
            let event = timeout(SOON, self.incoming.recv()).await.expect("the last one").expect("a link");
            if let BrokerEvent::Envelope(bytes) = event {
                received.push(String::from_utf8(bytes.to_vec()).unwrap());
                if received.last().is_some_and(|text| text == last) {
                    return received;
                }
            }
        }
    }

    /// Repeats `text` until the other node receives it, because a reconnect may take a moment.
    pub(crate) async fn gets_through(&self, other: &mut Self, topic: Topic, text: &str) -> Duration {
        let begin = Instant::now();
        let received = BrokerEvent::Envelope(Bytes::copy_from_slice(text.as_bytes()));
        while begin.elapsed() < SOON {
            self.says(&[topic], text);
            let next = timeout(Duration::from_millis(100), other.sees(&received)).await;
            if next.is_ok() {
                return begin.elapsed();
            }
        }
        panic!("{text} doesn't get through");
    }
}

pub(crate) fn topics(topics: &[Topic]) -> BTreeSet<Topic> {
    topics.iter().copied().collect()
}
