//! A broker that all tests of this target share, one after another, and nodes on it.

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
    time::Duration,
};

use actors::{
    domain::ids::NodeId,
    ports::link::{Incoming, Link, Topic},
};
use aristay_chat::link::rabbitmq::RabbitLink;
use bytes::Bytes;
use tokio::{
    sync::{Mutex, MutexGuard, mpsc},
    time::{Instant, timeout},
};
use uuid::Uuid;

use crate::broker::Broker;

/// What may wait for a test, as much as for the engine.
const INCOMING_MAX: usize = 1_024;
/// Longer than anything may take on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Takes the broker for one test.
pub(crate) async fn broker() -> MutexGuard<'static, Broker> {
    static BROKER: OnceLock<Mutex<Broker>> = OnceLock::new();
    BROKER.get_or_init(|| Mutex::new(Broker::start())).lock().await
}

/// A node as its link sees it.
pub(crate) struct Node {
    pub(crate) link: Arc<dyn Link>,
    pub(crate) incoming: mpsc::Receiver<Incoming>,
    /// The name of its queue, over RabbitMQ.
    pub(crate) queue: String,
}

impl Node {
    /// A node on the link, before it is known whether that works.
    pub(crate) async fn on(link: Arc<dyn Link>, topics: &[Topic]) -> Self {
        let (sender, incoming) = mpsc::channel(INCOMING_MAX);
        link.listen(topics.iter().copied().collect());
        link.start(sender).await;
        Self { link, incoming, queue: String::new() }
    }

    /// A node on a broker, once its link works.
    pub(crate) async fn at(url: &str, topics: &[Topic]) -> Self {
        let mut node = Self::starting_at(url, topics).await;
        node.sees(&Incoming::Up).await;
        node
    }

    /// The same, at once.
    pub(crate) async fn starting_at(url: &str, topics: &[Topic]) -> Self {
        let boot = NodeId(Uuid::new_v4());
        let link = Arc::new(RabbitLink::new(url, "test", boot).unwrap());
        Self { queue: format!("chat.test.{boot}"), ..Self::on(link, topics).await }
    }

    pub(crate) fn says(&self, topics: &[Topic], text: &str) {
        self.link.publish(&topics.iter().copied().collect(), Bytes::copy_from_slice(text.as_bytes()));
    }

    /// Waits for this to come, and gives how long that took; other things may come first.
    pub(crate) async fn sees(&mut self, what: &Incoming) -> Duration {
        let begin = Instant::now();
        let seen = timeout(SOON, async {
            while let Some(came) = self.incoming.recv().await {
                if came == *what {
                    return;
                }
            }
            panic!("the link ended");
        });
        assert!(seen.await.is_ok(), "{what:?} doesn't come");
        begin.elapsed()
    }

    /// Waits for an envelope to come.
    pub(crate) async fn hears(&mut self, text: &str) -> Duration {
        self.sees(&Incoming::Envelope(Bytes::copy_from_slice(text.as_bytes()))).await
    }

    /// All envelopes that come until `last` does.
    pub(crate) async fn hears_until(&mut self, last: &str) -> Vec<String> {
        let mut heard = Vec::new();
        loop {
            let came = timeout(SOON, self.incoming.recv()).await.expect("the last one").expect("a link");
            if let Incoming::Envelope(bytes) = came {
                heard.push(String::from_utf8(bytes.to_vec()).unwrap());
                if heard.last().is_some_and(|text| text == last) {
                    return heard;
                }
            }
        }
    }

    /// Says `text` again and again until the other one hears it: a broker's return may take a moment.
    pub(crate) async fn gets_through(&self, other: &mut Self, topic: Topic, text: &str) -> Duration {
        let begin = Instant::now();
        let heard = Incoming::Envelope(Bytes::copy_from_slice(text.as_bytes()));
        while begin.elapsed() < SOON {
            self.says(&[topic], text);
            let next = timeout(Duration::from_millis(100), other.sees(&heard)).await;
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
