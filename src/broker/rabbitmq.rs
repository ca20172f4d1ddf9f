//! The broker port over RabbitMQ: a topic exchange, and for each node a queue bound to the shards that the
//! node listens to.
//!
//! Any operation may fail without harm, because the nodes read from the store what is lost here. It must
//! never make a caller wait, grow without a bound, or stop reconnecting.

mod connection;
mod connector;
mod dispatcher;
mod heartbeat;
mod topology;

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use actors::{
    domain::ids::NodeId,
    ports::broker::{Broker, BrokerEvent, Topic},
};
use async_trait::async_trait;
use bytes::Bytes;
use lapin::uri::AMQPUri;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};

use self::{
    connection::{BrokerConnection, ConnectionEnd},
    dispatcher::{BrokerStatus, Dispatcher},
    topology::NodeNames,
};

/// Envelopes queued for the broker, about a second's worth at full load. Further ones are dropped.
const OUTGOING_MAX: usize = 1_024;
/// The same limit in bytes.
const OUTGOING_BYTES_MAX: usize = 16 << 20;
/// The first pause before reconnecting; it doubles with each attempt.
const BACKOFF_MIN: Duration = Duration::from_millis(200);
/// The longest pause before reconnecting, which is attempted forever.
const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// How long connecting may take, including the bindings. With a frozen broker it would never end.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The AMQP heartbeat, by which the broker notices that this node is gone. The node itself relies on
/// [`heartbeat`].
const AMQP_HEARTBEAT_SECONDS: u16 = 10;

/// The URL of the broker is invalid.
#[derive(Debug, thiserror::Error)]
#[error("AMQP_URL: is no amqp://user:password@host:port/vhost")]
pub struct BadUrl;

/// The broker of one node. Does nothing before [`Broker::start`].
pub struct RabbitMqBroker {
    shared: Arc<SharedState>,
    outgoing: mpsc::Sender<OutgoingEnvelope>,
    /// The receiving end of `outgoing`, until the task starts.
    outgoing_receiver: Mutex<Option<mpsc::Receiver<OutgoingEnvelope>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// State shared with the task.
struct SharedState {
    uri: AMQPUri,
    node_name: String,
    names: NodeNames,
    wanted_topics: watch::Sender<BTreeSet<Topic>>,
    is_stopped: watch::Sender<bool>,
    /// Whether there is a connection that accepts messages.
    is_open: AtomicBool,
    outgoing_bytes: AtomicUsize,
}

/// An envelope to be published.
struct OutgoingEnvelope {
    topics: Vec<Topic>,
    envelope: Bytes,
}

impl RabbitMqBroker {
    /// A broker at `amqp_url` for the process `boot` of the node `node_name`.
    ///
    /// # Errors
    /// [`BadUrl`]; its message omits the URL, which contains a password.
    pub fn new(amqp_url: &str, node_name: &str, boot: NodeId) -> Result<Self, BadUrl> {
        let mut uri: AMQPUri = amqp_url.parse().map_err(|_| BadUrl)?;
        uri.query.heartbeat.get_or_insert(AMQP_HEARTBEAT_SECONDS);
        let (outgoing, outgoing_receiver) = mpsc::channel(OUTGOING_MAX);
        let shared = SharedState {
            uri,
            node_name: node_name.to_owned(),
            names: NodeNames::new(node_name, boot),
            wanted_topics: watch::Sender::default(),
            is_stopped: watch::Sender::default(),
            is_open: AtomicBool::default(),
            outgoing_bytes: AtomicUsize::default(),
        };
        Ok(Self {
            shared: Arc::new(shared),
            outgoing,
            outgoing_receiver: Mutex::new(Some(outgoing_receiver)),
            task: Mutex::default(),
        })
    }
}

#[async_trait]
impl Broker for RabbitMqBroker {
    fn publish(&self, topics: &BTreeSet<Topic>, envelope: Bytes) {
        let bytes = envelope.len();
        if topics.is_empty() {
            return;
        }
        if !self.shared.is_open.load(Ordering::Relaxed) {
            return self.shared.count_dropped("down", 1);
        }
        if self.shared.outgoing_bytes.load(Ordering::Relaxed) + bytes > OUTGOING_BYTES_MAX {
            return self.shared.count_dropped("full", 1);
        }
        // Counted before it is sent: the task may receive it and subtract it before the next line runs.
        self.shared.outgoing_bytes.fetch_add(bytes, Ordering::Relaxed);
        let outgoing = OutgoingEnvelope { topics: topics.iter().copied().collect(), envelope };
        if self.outgoing.try_send(outgoing).is_err() {
            self.shared.outgoing_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.shared.count_dropped("full", 1);
        }
    }

    fn listen(&self, topics: BTreeSet<Topic>) {
        self.shared.wanted_topics.send_if_modified(|wanted_topics| {
            let is_new = *wanted_topics != topics;
            *wanted_topics = topics;
            is_new
        });
    }

    async fn start(&self, incoming: mpsc::Sender<BrokerEvent>) {
        let outgoing_receiver = self.outgoing_receiver.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(outgoing) = outgoing_receiver else { return };
        let task = tokio::spawn(run(self.shared.clone(), outgoing, Dispatcher::new(incoming)));
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    }

    async fn stop(&self) {
        self.shared.is_stopped.send_replace(true);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            let _ended_or_late = task.await;
        }
    }
}

impl Drop for RabbitMqBroker {
    fn drop(&mut self) {
        self.shared.is_stopped.send_replace(true);
    }
}

impl SharedState {
    async fn stopped(&self) {
        let mut is_stopped = self.is_stopped.subscribe();
        let _stopped_or_gone = is_stopped.wait_for(|is_stopped| *is_stopped).await;
    }

    /// Takes over envelopes that were received from the queue.
    fn take_batch(&self, batch: &mut Vec<OutgoingEnvelope>) -> Vec<OutgoingEnvelope> {
        let bytes: usize = batch.iter().map(|outgoing| outgoing.envelope.len()).sum();
        self.outgoing_bytes.fetch_sub(bytes, Ordering::Relaxed);
        std::mem::take(batch)
    }

    fn count_dropped(&self, reason: &'static str, count: usize) {
        metrics::counter!("chat_broker_dropped_total", "reason" => reason).increment(count as u64);
    }
}

/// Connects and serves until the broker is stopped.
async fn run(
    shared: Arc<SharedState>,
    mut outgoing: mpsc::Receiver<OutgoingEnvelope>,
    dispatcher: Dispatcher,
) {
    let mut wanted_topics = shared.wanted_topics.subscribe();
    let mut backoff = BACKOFF_MIN;
    let mut failures = 0_u64;
    loop {
        let opening = timeout(CONNECT_TIMEOUT, BrokerConnection::open(&shared, &mut wanted_topics));
        let opened = tokio::select! {
            opened = opening => opened.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into())),
            () = shared.stopped() => return,
        };
        let end = match opened {
            Ok((connection, streams)) => {
                shared.drop_stale(&mut outgoing);
                shared.is_open.store(true, Ordering::Relaxed);
                let end =
                    connection.serve(&shared, streams, &mut outgoing, &mut wanted_topics, &dispatcher).await;
                shared.is_open.store(false, Ordering::Relaxed);
                if let ConnectionEnd::Stopped = end {
                    return connection.drain(&shared, &mut outgoing).await;
                }
                if connection.was_confirmed() {
                    (backoff, failures) = (BACKOFF_MIN, 0);
                }
                end
            }
            Err(error) => error.into(),
        };
        metrics::counter!("chat_broker_failures_total").increment(1);
        failures += 1;
        if failures == 1 {
            tracing::warn!(error = %end, "the connection to the broker failed; retrying");
        } else {
            tracing::debug!(error = %end, failures, "the broker is unreachable");
        }
        let until = tokio::time::Instant::now() + with_jitter(backoff);
        while tokio::time::Instant::now() < until {
            dispatcher.notify_status(BrokerStatus::Down);
            tokio::select! {
                () = sleep(BACKOFF_MIN / 2) => {}
                () = shared.stopped() => return,
            }
        }
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

impl SharedState {
    /// Drops what was queued for an earlier connection; by now the other nodes have read it from the store.
    fn drop_stale(&self, outgoing: &mut mpsc::Receiver<OutgoingEnvelope>) {
        let mut old = Vec::new();
        while let Ok(one) = outgoing.try_recv() {
            old.push(one);
        }
        self.count_dropped("down", self.take_batch(&mut old).len());
    }
}

/// A pause of 80 to 120 % of `backoff`, so that the nodes don't reconnect at the same moment.
fn with_jitter(backoff: Duration) -> Duration {
    let percent = 80 + u32::from(uuid::Uuid::new_v4().as_bytes()[0]) % 41;
    backoff * percent / 100
}
