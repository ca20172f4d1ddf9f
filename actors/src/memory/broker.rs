//! The broker in memory: a hub that connects several engines of one process, and does to their envelopes what
//! a broker and a network may do. The same seed and calls give the same results.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::ports::broker::{Broker, BrokerEvent, Topic};

/// What happens to envelopes; each number is in thousandths, by envelope and receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkConditions {
    /// How many are lost.
    pub lost: u32,
    /// How many are delivered twice.
    pub repeated: u32,
    /// How many are delivered with a flipped bit.
    pub corrupt: u32,
    /// The range of delays, random for each, so that envelopes can overtake each other.
    pub delay: Range<Duration>,
}

/// What an [`EnvelopeFilter`] decides on an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnvelopeFate {
    /// It is sent.
    Pass,
    /// It is dropped.
    Drop,
}

/// Decides on each envelope that a node publishes; the first argument is the node's port.
pub type EnvelopeFilter = Box<dyn FnMut(usize, &BTreeSet<Topic>, &Bytes) -> EnvelopeFate + Send>;

/// Connects the brokers of several nodes. Cheap to clone.
#[derive(Clone)]
pub struct Hub(Arc<Mutex<State>>);

struct State {
    random: u64,
    conditions: NetworkConditions,
    filter: Option<EnvelopeFilter>,
    ports: BTreeMap<usize, HubPort>,
    next_port: usize,
    /// Pairs of ports with no delivery from the first to the second.
    cut: BTreeSet<(usize, usize)>,
    published: u64,
}

struct HubPort {
    topics: BTreeSet<Topic>,
    incoming: Option<mpsc::Sender<BrokerEvent>>,
    is_up: bool,
}

impl Hub {
    /// A hub without faults. All that is random follows from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            random: seed,
            conditions: NetworkConditions::default(),
            filter: None,
            ports: BTreeMap::new(),
            next_port: 0,
            cut: BTreeSet::new(),
            published: 0,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A broker for one more node.
    #[must_use]
    pub fn broker(&self) -> Arc<MemoryBroker> {
        let mut state = self.state();
        let port = state.next_port;
        state.next_port += 1;
        state.ports.insert(port, HubPort { topics: BTreeSet::new(), incoming: None, is_up: true });
        Arc::new(MemoryBroker { hub: self.clone(), port })
    }

    /// Changes what happens to envelopes from now on.
    pub fn set_conditions(&self, conditions: NetworkConditions) {
        self.state().conditions = conditions;
    }

    /// Sets a filter for all envelopes.
    pub fn set_filter(&self, filter: Option<EnvelopeFilter>) {
        self.state().filter = filter;
    }

    /// Makes one node's broker work or not, and reports that to the node.
    pub fn set_up(&self, port: usize, is_up: bool) {
        let mut state = self.state();
        if let Some(port) = state.ports.get_mut(&port).filter(|port| port.is_up != is_up) {
            port.is_up = is_up;
            port.tell(if is_up { BrokerEvent::Up } else { BrokerEvent::Down });
        }
    }

    /// Cuts delivery from one node to another without reporting it to either, or restores it.
    pub fn set_cut(&self, from: usize, to: usize, is_cut: bool) {
        let mut state = self.state();
        if is_cut {
            state.cut.insert((from, to));
        } else {
            state.cut.remove(&(from, to));
        }
    }

    /// Delivers bytes to a node that no node has sent.
    pub fn forge(&self, to: usize, envelope: Bytes) {
        if let Some(port) = self.state().ports.get(&to) {
            port.tell(BrokerEvent::Envelope(envelope));
        }
    }

    /// How many envelopes were published, delivered or not.
    #[must_use]
    pub fn published(&self) -> u64 {
        self.state().published
    }
}

impl State {
    /// The next random number (splitmix64).
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn chance(&mut self, thousandths: u32) -> bool {
        thousandths > 0 && self.draw() % 1_000 < u64::from(thousandths)
    }

    fn delay(&mut self) -> Duration {
        let Range { start, end } = self.conditions.delay.clone();
        let span = u64::try_from(end.saturating_sub(start).as_micros()).unwrap_or(u64::MAX);
        start + Duration::from_micros(if span == 0 { 0 } else { self.draw() % span })
    }

    fn publish(&mut self, from: usize, topics: &BTreeSet<Topic>, envelope: &Bytes) {
        self.published += 1;
        if !self.ports.get(&from).is_some_and(|port| port.is_up) {
            return;
        }
        if let Some(filter) = &mut self.filter
            && filter(from, topics, envelope) == EnvelopeFate::Drop
        {
            return;
        }
        let receivers: Vec<usize> = self
            .ports
            .iter()
            .filter(|(to, port)| {
                port.is_up && !port.topics.is_disjoint(topics) && !self.cut.contains(&(from, **to))
            })
            .map(|(to, _)| *to)
            .collect();
        for to in receivers {
            if self.chance(self.conditions.lost) {
                continue;
            }
            let copies = if self.chance(self.conditions.repeated) { 2 } else { 1 };
            for _ in 0..copies {
                let envelope = if self.chance(self.conditions.corrupt) {
                    self.corrupted(envelope)
                } else {
                    envelope.clone()
                };
                let delay = self.delay();
                let Some(incoming) = self.ports.get(&to).and_then(|port| port.incoming.clone()) else {
                    continue;
                };
                if delay.is_zero() {
                    let _full = incoming.try_send(BrokerEvent::Envelope(envelope));
                } else {
                    tokio::spawn(async move {
                        tokio::time::sleep(delay).await;
                        let _full = incoming.try_send(BrokerEvent::Envelope(envelope));
                    });
                }
            }
        }
    }

    fn corrupted(&mut self, envelope: &Bytes) -> Bytes {
        let mut bent = envelope.to_vec();
        if !bent.is_empty() {
            let at = usize::try_from(self.draw() % bent.len() as u64).unwrap_or_default();
            bent[at] ^= 1 << (self.draw() % 8);
        }
        bent.into()
    }
}

impl HubPort {
    fn tell(&self, incoming: BrokerEvent) {
        if let Some(sender) = &self.incoming {
            let _full = sender.try_send(incoming);
        }
    }
}

/// One node's end of a [`Hub`].
pub struct MemoryBroker {
    hub: Hub,
    port: usize,
}

impl MemoryBroker {
    /// The number of this node, from 0 in the order of [`Hub::broker`] calls.
    #[must_use]
    pub fn port(&self) -> usize {
        self.port
    }
}

#[async_trait]
impl Broker for MemoryBroker {
    fn publish(&self, topics: &BTreeSet<Topic>, envelope: Bytes) {
        self.hub.state().publish(self.port, topics, &envelope);
    }

    fn listen(&self, topics: BTreeSet<Topic>) {
        if let Some(port) = self.hub.state().ports.get_mut(&self.port) {
            port.topics = topics;
        }
    }

    async fn start(&self, incoming: mpsc::Sender<BrokerEvent>) {
        if let Some(port) = self.hub.state().ports.get_mut(&self.port) {
            port.incoming = Some(incoming);
            port.tell(if port.is_up { BrokerEvent::Up } else { BrokerEvent::Down });
        }
    }

    async fn stop(&self) {
        if let Some(port) = self.hub.state().ports.get_mut(&self.port) {
            port.incoming = None;
        }
    }
}
