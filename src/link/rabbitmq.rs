//! The link over RabbitMQ: a topic exchange, a queue for each node, bindings to the shards that the node
//! listens to.
//!
//! Everything it does may fail at any time without harm, for the log repairs what is lost here; what it
//! must never do is make anyone wait, grow without a bound, or give up.

mod cord;
mod line;
mod pulse;
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
    ports::link::{Incoming, Link, Topic},
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
    line::{Ending, Line},
    topology::Names,
};

/// Envelopes that may wait for the broker: a second's worth at full load. Beyond, they are dropped.
const OUTGOING_MAX: usize = 1_024;
/// The same in bytes.
const OUTGOING_BYTES_MAX: usize = 16 << 20;
/// The first pause between tries to connect; the following ones double.
const PAUSE_MIN: Duration = Duration::from_millis(200);
/// The longest pause between tries to connect, of which there is no end.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// How long one try may take, the bindings included. A frozen broker lets one wait for ever.
const OPEN_PATIENCE: Duration = Duration::from_secs(10);
/// The AMQP heartbeat, by which the broker notices that this node is gone. This node has its beacon.
const HEARTBEAT_SECONDS: u16 = 10;

/// The URL of the broker can't be understood.
#[derive(Debug, thiserror::Error)]
#[error("AMQP_URL: is no amqp://user:password@host:port/vhost")]
pub struct BadUrl;

/// The link of one node. Nothing happens before [`Link::start`].
pub struct RabbitLink {
    shared: Arc<Shared>,
    outgoing: mpsc::Sender<Outgoing>,
    /// The other end, until the link starts.
    waiting: Mutex<Option<mpsc::Receiver<Outgoing>>>,
    running: Mutex<Option<JoinHandle<()>>>,
}

/// What the link and its task share.
struct Shared {
    uri: AMQPUri,
    node_name: String,
    names: Names,
    wanted: watch::Sender<BTreeSet<Topic>>,
    is_stopped: watch::Sender<bool>,
    /// Whether there is a connection that takes messages.
    is_open: AtomicBool,
    outgoing_bytes: AtomicUsize,
}

/// An envelope on its way out.
struct Outgoing {
    topics: Vec<Topic>,
    envelope: Bytes,
}

impl RabbitLink {
    /// A link over the broker at `amqp_url` for the process `boot` of the node `node_name`.
    ///
    /// # Errors
    /// [`BadUrl`]; the text doesn't repeat it, for it holds a password.
    pub fn new(amqp_url: &str, node_name: &str, boot: NodeId) -> Result<Self, BadUrl> {
        let mut uri: AMQPUri = amqp_url.parse().map_err(|_| BadUrl)?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        let (outgoing, waiting) = mpsc::channel(OUTGOING_MAX);
        let shared = Shared {
            uri,
            node_name: node_name.to_owned(),
            names: Names::new(node_name, boot),
            wanted: watch::Sender::default(),
            is_stopped: watch::Sender::default(),
            is_open: AtomicBool::default(),
            outgoing_bytes: AtomicUsize::default(),
        };
        Ok(Self {
            shared: Arc::new(shared),
            outgoing,
            waiting: Mutex::new(Some(waiting)),
            running: Mutex::default(),
        })
    }
}

#[async_trait]
impl Link for RabbitLink {
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
        // Counted first: the task may take it off before this line's next one.
        self.shared.outgoing_bytes.fetch_add(bytes, Ordering::Relaxed);
        let outgoing = Outgoing { topics: topics.iter().copied().collect(), envelope };
        if self.outgoing.try_send(outgoing).is_err() {
            self.shared.outgoing_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.shared.count_dropped("full", 1);
        }
    }

    fn listen(&self, topics: BTreeSet<Topic>) {
        self.shared.wanted.send_if_modified(|wanted| {
            let is_new = *wanted != topics;
            *wanted = topics;
            is_new
        });
    }

    async fn start(&self, incoming: mpsc::Sender<Incoming>) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(outgoing) = waiting else { return };
        let task = tokio::spawn(run(self.shared.clone(), outgoing, Teller::new(incoming)));
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    }

    async fn stop(&self) {
        self.shared.is_stopped.send_replace(true);
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(running) = running {
            let _ended_or_late = running.await;
        }
    }
}

impl Drop for RabbitLink {
    fn drop(&mut self) {
        self.shared.is_stopped.send_replace(true);
    }
}

impl Shared {
    async fn stopped(&self) {
        let mut is_stopped = self.is_stopped.subscribe();
        let _stopped_or_gone = is_stopped.wait_for(|is_stopped| *is_stopped).await;
    }

    /// Takes envelopes over from the queue.
    fn take_off(&self, batch: &mut Vec<Outgoing>) -> Vec<Outgoing> {
        let bytes: usize = batch.iter().map(|outgoing| outgoing.envelope.len()).sum();
        self.outgoing_bytes.fetch_sub(bytes, Ordering::Relaxed);
        std::mem::take(batch)
    }

    fn count_dropped(&self, reason: &'static str, count: usize) {
        metrics::counter!("chat_link_dropped_total", "reason" => reason).increment(count as u64);
    }
}

/// Connects and serves until the link is stopped.
async fn run(shared: Arc<Shared>, mut outgoing: mpsc::Receiver<Outgoing>, teller: Teller) {
    let mut wanted = shared.wanted.subscribe();
    let mut pause = PAUSE_MIN;
    let mut failures = 0_u64;
    loop {
        let opening = timeout(OPEN_PATIENCE, Line::open(&shared, &mut wanted));
        let opened = tokio::select! {
            opened = opening => opened.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into())),
            () = shared.stopped() => return,
        };
        let ending = match opened {
            Ok((line, ears)) => {
                shared.drop_what_is_old(&mut outgoing);
                shared.is_open.store(true, Ordering::Relaxed);
                let ending = line.serve(&shared, ears, &mut outgoing, &mut wanted, &teller).await;
                shared.is_open.store(false, Ordering::Relaxed);
                if let Ending::Stopped = ending {
                    return line.finish(&shared, &mut outgoing).await;
                }
                if line.was_up() {
                    (pause, failures) = (PAUSE_MIN, 0);
                }
                ending
            }
            Err(error) => error.into(),
        };
        metrics::counter!("chat_link_failures_total").increment(1);
        failures += 1;
        if failures == 1 {
            tracing::warn!(error = %ending, "the link to the broker broke; it is tried again without end");
        } else {
            tracing::debug!(error = %ending, failures, "the broker can't be had");
        }
        let until = tokio::time::Instant::now() + spread(pause);
        while tokio::time::Instant::now() < until {
            teller.tell(State::Down);
            tokio::select! {
                () = sleep(PAUSE_MIN / 2) => {}
                () = shared.stopped() => return,
            }
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

impl Shared {
    /// Drops what was queued for an earlier connection: by now others have read it from the store.
    fn drop_what_is_old(&self, outgoing: &mut mpsc::Receiver<Outgoing>) {
        let mut old = Vec::new();
        while let Ok(one) = outgoing.try_recv() {
            old.push(one);
        }
        self.count_dropped("down", self.take_off(&mut old).len());
    }
}

/// A pause of 80 to 120 % of `pause`, so that nodes don't come back all at once.
fn spread(pause: Duration) -> Duration {
    let percent = 80 + u32::from(uuid::Uuid::new_v4().as_bytes()[0]) % 41;
    pause * percent / 100
}

/// How the link stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Up,
    Down,
}

/// Tells the engine what comes and how the link stands, without ever waiting for it.
struct Teller {
    incoming: mpsc::Sender<Incoming>,
    told: Mutex<Option<State>>,
}

impl Teller {
    fn new(incoming: mpsc::Sender<Incoming>) -> Self {
        Self { incoming, told: Mutex::default() }
    }

    /// Tells how the link stands, unless that was told. Called again and again, so that a full channel
    /// only delays it.
    fn tell(&self, state: State) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if *told == Some(state) {
            return;
        }
        let news = match state {
            State::Up => Incoming::Up,
            State::Down => Incoming::Down,
        };
        if self.incoming.try_send(news).is_ok() {
            metrics::gauge!("chat_link_up").set(if state == State::Up { 1.0 } else { 0.0 });
            *told = Some(state);
        }
    }

    /// Lets [`Incoming::Up`] be told once more: what is listened to has grown, and the engine reads
    /// what it may have missed until now.
    fn forget_up(&self) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if *told == Some(State::Up) {
            *told = None;
        }
    }
}
