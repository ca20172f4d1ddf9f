//! The link in memory: a hub that connects several engines of one process, and does to their envelopes
//! what a broker and a network may do. With the same seed and calls it does the same.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::ports::link::{Incoming, Link, Topic};

/// What happens to envelopes; each figure is in thousandths, for each envelope and receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// Lost.
    pub lost: u32,
    /// Delivered twice.
    pub repeated: u32,
    /// Delivered with a bent byte.
    pub corrupt: u32,
    /// How long they take, drawn anew for each, so that a later one may come first.
    pub delay: Range<Duration>,
}

/// What a [`Watcher`] wants to become of an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes its way.
    Pass,
    /// It is lost.
    Lose,
}

/// Sees each envelope that a node publishes, by the place of the node.
pub type Watcher = Box<dyn FnMut(usize, &BTreeSet<Topic>, &Bytes) -> Fate + Send>;

/// What connects the links. Cheap to clone.
#[derive(Clone)]
pub struct Hub(Arc<Mutex<State>>);

struct State {
    random: u64,
    weather: Weather,
    watcher: Option<Watcher>,
    places: BTreeMap<usize, Place>,
    next_place: usize,
    /// Pairs of places between which nothing goes, in that direction.
    cut: BTreeSet<(usize, usize)>,
    published: u64,
}

struct Place {
    topics: BTreeSet<Topic>,
    incoming: Option<mpsc::Sender<Incoming>>,
    is_up: bool,
}

impl Hub {
    /// A hub in fair weather; what it draws follows from the seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            random: seed,
            weather: Weather::default(),
            watcher: None,
            places: BTreeMap::new(),
            next_place: 0,
            cut: BTreeSet::new(),
            published: 0,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A link for one more node.
    #[must_use]
    pub fn link(&self) -> Arc<MemoryLink> {
        let mut state = self.state();
        let place = state.next_place;
        state.next_place += 1;
        state.places.insert(place, Place { topics: BTreeSet::new(), incoming: None, is_up: true });
        Arc::new(MemoryLink { hub: self.clone(), place })
    }

    /// Changes what happens to envelopes from now on.
    pub fn set_weather(&self, weather: Weather) {
        self.state().weather = weather;
    }

    /// Lets `watcher` decide on each envelope first.
    pub fn set_watcher(&self, watcher: Option<Watcher>) {
        self.state().watcher = watcher;
    }

    /// Makes one node's link work or not, and tells it so.
    pub fn set_up(&self, place: usize, is_up: bool) {
        let mut state = self.state();
        if let Some(place) = state.places.get_mut(&place).filter(|place| place.is_up != is_up) {
            place.is_up = is_up;
            place.tell(if is_up { Incoming::Up } else { Incoming::Down });
        }
    }

    /// Lets nothing pass from one node to another, without telling either, or lets it pass again.
    pub fn set_cut(&self, from: usize, to: usize, is_cut: bool) {
        let mut state = self.state();
        if is_cut {
            state.cut.insert((from, to));
        } else {
            state.cut.remove(&(from, to));
        }
    }

    /// Hands a node bytes that no node has sent.
    pub fn forge(&self, to: usize, envelope: Bytes) {
        if let Some(place) = self.state().places.get(&to) {
            place.tell(Incoming::Envelope(envelope));
        }
    }

    /// How many envelopes were published, whatever became of them.
    #[must_use]
    pub fn published(&self) -> u64 {
        self.state().published
    }
}

impl State {
    /// The next number of the sequence that follows from the seed (splitmix64).
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
        let Range { start, end } = self.weather.delay.clone();
        let span = u64::try_from(end.saturating_sub(start).as_micros()).unwrap_or(u64::MAX);
        start + Duration::from_micros(if span == 0 { 0 } else { self.draw() % span })
    }

    fn publish(&mut self, from: usize, topics: &BTreeSet<Topic>, envelope: &Bytes) {
        self.published += 1;
        if !self.places.get(&from).is_some_and(|place| place.is_up) {
            return;
        }
        if let Some(watcher) = &mut self.watcher
            && watcher(from, topics, envelope) == Fate::Lose
        {
            return;
        }
        let receivers: Vec<usize> = self
            .places
            .iter()
            .filter(|(to, place)| {
                place.is_up && !place.topics.is_disjoint(topics) && !self.cut.contains(&(from, **to))
            })
            .map(|(to, _)| *to)
            .collect();
        for to in receivers {
            if self.chance(self.weather.lost) {
                continue;
            }
            let copies = if self.chance(self.weather.repeated) { 2 } else { 1 };
            for _ in 0..copies {
                let envelope =
                    if self.chance(self.weather.corrupt) { self.bend(envelope) } else { envelope.clone() };
                let delay = self.delay();
                let Some(incoming) = self.places.get(&to).and_then(|place| place.incoming.clone()) else {
                    continue;
                };
                if delay.is_zero() {
                    let _full = incoming.try_send(Incoming::Envelope(envelope));
                } else {
                    tokio::spawn(async move {
                        tokio::time::sleep(delay).await;
                        let _full = incoming.try_send(Incoming::Envelope(envelope));
                    });
                }
            }
        }
    }

    fn bend(&mut self, envelope: &Bytes) -> Bytes {
        let mut bent = envelope.to_vec();
        if !bent.is_empty() {
            let at = usize::try_from(self.draw() % bent.len() as u64).unwrap_or_default();
            bent[at] ^= 1 << (self.draw() % 8);
        }
        bent.into()
    }
}

impl Place {
    fn tell(&self, incoming: Incoming) {
        if let Some(sender) = &self.incoming {
            let _full = sender.try_send(incoming);
        }
    }
}

/// One node's end of a [`Hub`].
pub struct MemoryLink {
    hub: Hub,
    place: usize,
}

impl MemoryLink {
    /// Which node this is, counted from 0 in the order of their links.
    #[must_use]
    pub fn place(&self) -> usize {
        self.place
    }
}

#[async_trait]
impl Link for MemoryLink {
    fn publish(&self, topics: &BTreeSet<Topic>, envelope: Bytes) {
        self.hub.state().publish(self.place, topics, &envelope);
    }

    fn listen(&self, topics: BTreeSet<Topic>) {
        if let Some(place) = self.hub.state().places.get_mut(&self.place) {
            place.topics = topics;
        }
    }

    async fn start(&self, incoming: mpsc::Sender<Incoming>) {
        if let Some(place) = self.hub.state().places.get_mut(&self.place) {
            place.incoming = Some(incoming);
            place.tell(if place.is_up { Incoming::Up } else { Incoming::Down });
        }
    }

    async fn stop(&self) {
        if let Some(place) = self.hub.state().places.get_mut(&self.place) {
            place.incoming = None;
        }
    }
}
