//! What a node tells the others, what it believes of them, and what it finds without them.

#![allow(clippy::disallowed_types, reason = "a test looks at what an engine hands its broker")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::json;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::domain::ids::{Epoch, NodeId, RoomId, UserId};
use crate::limits::{
    FEED_POLL_INTERVAL, FEED_POLL_INTERVAL_WITHOUT_BROKER, OFFLINE_DELAY, ROOM_IDLE_TIMEOUT,
};
use crate::memory::broker::EnvelopeFate;
use crate::memory::engine::{Client, MemoryEngine};
use crate::memory::store::{Fault, StoreCall};
use crate::ports::broker::{Broker, BrokerEvent, Topic};
use crate::ports::store::Store;
use crate::protocol::envelope::{Envelope, EnvelopeKey, Notice};
use crate::setup::{
    ANN, BOB, CAROL, SOON, Setup, all_at_once, does, fails, hears_within, held, key, opens_inbox, opens_room,
    pass, paused, post,
};

/// A broker without other nodes, which records its calls.
#[derive(Default)]
struct LoneBroker(Mutex<Recorded>);

#[derive(Default)]
struct Recorded {
    published: Vec<(BTreeSet<Topic>, Bytes)>,
    topics: BTreeSet<Topic>,
    incoming: Option<mpsc::Sender<BrokerEvent>>,
}

impl LoneBroker {
    fn recorded(&self) -> MutexGuard<'_, Recorded> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The envelopes so far, with their topics.
    fn published(&self) -> Vec<(BTreeSet<Topic>, Envelope)> {
        let recorded = self.recorded();
        let open = |bytes| Envelope::open(bytes, &key()).expect("its own envelope");
        recorded.published.iter().map(|(topics, bytes)| (topics.clone(), open(bytes))).collect()
    }

    fn listens_to(&self, topic: Topic) -> bool {
        self.recorded().topics.contains(&topic)
    }
}

#[async_trait]
impl Broker for LoneBroker {
    fn publish(&self, topics: &BTreeSet<Topic>, envelope: Bytes) {
        self.recorded().published.push((topics.clone(), envelope));
    }

    fn listen(&self, topics: BTreeSet<Topic>) {
        self.recorded().topics = topics;
    }

    async fn start(&self, incoming: mpsc::Sender<BrokerEvent>) {
        let _full = incoming.try_send(BrokerEvent::Up);
        self.recorded().incoming = Some(incoming);
    }

    async fn stop(&self) {
        self.recorded().incoming = None;
    }
}

/// An envelope by which another node says that a user is online there.
fn online_elsewhere(user: UserId, node: u128, epoch: Epoch, key: &EnvelopeKey) -> Bytes {
    Envelope::new(NodeId(Uuid::from_u128(node)), epoch, vec![Notice::Online(vec![user])]).seal(key)
}

/// A node on the hub, with a room of three and the socket of one of them.
async fn linked() -> (Setup, MemoryEngine, RoomId, Client) {
    let setup = Setup::new();
    let node = setup.linked_node(1);
    let room = setup.room(&[ANN, BOB, CAROL]).await;
    let bob = opens_room(&node, BOB, room).await;
    (setup, node, room, bob)
}

#[test]
fn a_node_drops_its_own_envelopes() {
    paused(async {
        let (setup, node, _room, mut bob) = linked().await;
        let own = Arc::new(Mutex::new(Vec::new()));
        let kept = own.clone();
        setup.hub.set_filter(Some(Box::new(move |_, _, envelope| {
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(envelope.clone());
            EnvelopeFate::Pass
        })));
        let ann = opens_inbox(&node, ANN).await;
        let online = hears_within(&mut bob, "presence", SOON).await.expect("it is sent");
        assert_eq!(online["status"], "online");
        // Long enough for an announcement of everyone who is here.
        pass(Duration::from_secs(6)).await;
        setup.hub.set_filter(None);
        let own = own.lock().unwrap_or_else(PoisonError::into_inner).clone();
        assert!(own.len() >= 2, "{} envelopes", own.len());
        drop(ann);
        // Were they taken for another node's, she would be online there.
        own.iter().for_each(|envelope| setup.hub.forge(0, envelope.clone()));
        let offline = hears_within(&mut bob, "presence", OFFLINE_DELAY + SOON).await.expect("it is sent");
        assert_eq!((&offline["user_id"], &offline["status"]), (&json!(ANN), &json!("offline")));
    });
}

#[test]
fn a_node_drops_envelopes_that_no_node_of_this_history_has_sealed() {
    paused(async {
        let (setup, _node, _room, mut bob) = linked().await;
        let epoch = setup.store.epoch();
        let genuine = online_elsewhere(CAROL, 9, epoch, &key());
        let mut bent = genuine.to_vec();
        let middle = bent.len() / 2;
        bent[middle] ^= 1;
        let forged = [
            online_elsewhere(CAROL, 9, epoch, &EnvelopeKey::new(b"someone else's")),
            online_elsewhere(CAROL, 9, Epoch(Uuid::from_u128(99)), &key()),
            bent.into(),
            genuine.slice(..genuine.len() - 1),
            Bytes::new(),
        ];
        for envelope in forged {
            setup.hub.forge(0, envelope);
            assert_eq!(hears_within(&mut bob, "presence", SOON).await, None);
        }
        setup.hub.forge(0, genuine);
        let online = hears_within(&mut bob, "presence", SOON).await.expect("the genuine one is believed");
        assert_eq!((&online["user_id"], &online["status"]), (&json!(CAROL), &json!("online")));
    });
}

#[test]
fn a_lost_last_event_is_found_in_the_feed() {
    paused(async {
        let (setup, _node, room, mut bob) = linked().await;
        let far = setup.linked_node(2);
        pass(SOON).await;
        does(&far, post(room, ANN, "published")).await;
        let heard = hears_within(&mut bob, "chat_message", SOON).await.expect("the envelope tells it");
        assert_eq!(heard["message"]["content"], "published");
        setup.hub.set_filter(Some(Box::new(|_, _, _| EnvelopeFate::Drop)));
        let since = far.clock.now();
        does(&far, post(room, ANN, "lost")).await;
        let heard =
            hears_within(&mut bob, "chat_message", FEED_POLL_INTERVAL * 2).await.expect("it is found");
        assert_eq!(heard["message"]["content"], "lost");
        assert!(far.clock.now() - since <= FEED_POLL_INTERVAL + SOON);
        assert_eq!(
            hears_within(&mut bob, "chat_message", FEED_POLL_INTERVAL * 3).await,
            None,
            "and sent once"
        );
    });
}

#[test]
fn a_feed_that_cannot_be_read_is_read_later() {
    paused(async {
        let (setup, _node, room, mut bob) = linked().await;
        setup.probe.set(|call| if matches!(call, StoreCall::Changes) { fails() } else { Fault::default() });
        setup.stores(room, ANN, "late").await;
        assert_eq!(hears_within(&mut bob, "chat_message", FEED_POLL_INTERVAL * 3).await, None);
        setup.probe.clear();
        let heard =
            hears_within(&mut bob, "chat_message", FEED_POLL_INTERVAL + SOON).await.expect("it is found");
        assert_eq!(heard["message"]["content"], "late");
    });
}

#[test]
fn the_feed_is_read_more_often_while_the_broker_is_away() {
    paused(async {
        let (setup, _node, _room, _bob) = linked().await;
        let reads_in = async |span: Duration| {
            let before = setup.probe.feed_reads();
            pass(span).await;
            setup.probe.feed_reads() - before
        };
        let (polls, span) = (10, FEED_POLL_INTERVAL * 10);
        let with_broker = reads_in(span).await;
        assert!(with_broker.abs_diff(polls) <= 1, "{with_broker}");
        setup.hub.set_up(0, false);
        let without = reads_in(FEED_POLL_INTERVAL_WITHOUT_BROKER * 10).await;
        assert!((polls..=polls + 2).contains(&without), "{without}");
        // What was missed meanwhile is looked for at once.
        pass(FEED_POLL_INTERVAL_WITHOUT_BROKER / 4).await;
        setup.hub.set_up(0, true);
        assert_eq!(reads_in(SOON * 2).await, 1);
    });
}

#[test]
fn one_envelope_tells_all_of_a_turn() {
    paused(async {
        let setup = Setup::new();
        let broker = Arc::new(LoneBroker::default());
        let node = setup.start(1, Some(broker.clone()));
        let (room, other) = (setup.room(&[ANN, BOB]).await, setup.room(&[ANN, BOB]).await);
        // The announcement that follows the broker's start goes out first.
        pass(SOON * 2).await;
        let before = broker.published().len();
        let posts = (0..40).map(|n| post(if n % 2 == 0 { room } else { other }, ANN, &n.to_string()));
        all_at_once(&node, posts).await;
        let published = broker.published().split_off(before);
        assert!(published.len() <= 4, "{} envelopes", published.len());
        let events = |of: RoomId| {
            let notices = published.iter().flat_map(|(_, envelope)| &envelope.notices);
            let events = notices.filter_map(move |notice| match notice {
                Notice::Events(room, events) if *room == of => Some(events.len()),
                _ => None,
            });
            events.sum::<usize>()
        };
        assert_eq!((events(room), events(other)), (20, 20));
        let topics: BTreeSet<Topic> = published.iter().flat_map(|(topics, _)| topics.clone()).collect();
        assert_eq!(topics, BTreeSet::from([Topic::of_room(room), Topic::of_room(other)]));
    });
}

#[test]
fn a_node_listens_to_what_concerns_its_sockets() {
    paused(async {
        let setup = Setup::new();
        let broker = Arc::new(LoneBroker::default());
        let node = setup.start(1, Some(broker.clone()));
        let (room, listed) = (setup.room(&[ANN, CAROL]).await, setup.room(&[BOB, CAROL]).await);
        pass(SOON).await;
        let topics = [Topic::of_room(room), Topic::of_room(listed), Topic::of_user(ANN), Topic::of_user(BOB)];
        let listens = || topics.map(|topic| broker.listens_to(topic));
        assert!(broker.listens_to(Topic::Nodes));
        assert_eq!(listens(), [false; 4]);
        let ann = opens_room(&node, ANN, room).await;
        pass(SOON).await;
        assert_eq!(listens(), [true, false, true, false]);
        let bob = opens_inbox(&node, BOB).await;
        pass(SOON).await;
        assert_eq!(listens(), [true; 4]);
        drop((ann, bob));
        pass(OFFLINE_DELAY + SOON).await;
        assert_eq!(listens(), [true, false, false, false], "a room stays a while for those who come back");
        pass(ROOM_IDLE_TIMEOUT * 2 + SOON).await;
        assert_eq!(listens(), [false; 4]);
        assert_eq!(held(&node, "subscribed topics").await, 0);
        assert!(broker.listens_to(Topic::Nodes));
    });
}

#[test]
fn a_node_that_stops_says_so_last() {
    paused(async {
        let setup = Setup::new();
        let broker = Arc::new(LoneBroker::default());
        let node = setup.start(1, Some(broker.clone()));
        let room = setup.room(&[ANN, BOB]).await;
        does(&node, post(room, ANN, "hello")).await;
        let _report = node.handle.drain(Duration::ZERO, Duration::ZERO).await;
        let (topics, last) = broker.published().pop().expect("an envelope");
        assert_eq!(last.notices.last(), Some(&Notice::Leaving));
        assert!(topics.contains(&Topic::Nodes));
        let reads = setup.probe.feed_reads();
        pass(FEED_POLL_INTERVAL * 3).await;
        assert_eq!(setup.probe.feed_reads(), reads, "the store goes too");
    });
}
