//! What all parts of a run share: the nodes, the store, the link between them, the people.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actors::domain::command::{Actor, Change, Command, OpenRoom, Reply};
use actors::domain::ids::{MessageId, NodeId, RoomId, UserId};
use actors::domain::person::Author;
use actors::domain::room::{RoomType, Subject};
use actors::engine::{EngineHandle, Parts};
use actors::limits::Limits;
use actors::memory::link::Hub;
use actors::memory::wire::Peer;
use actors::ports::clock::Clock;
use actors::ports::identity::{Credential, Identity};
use actors::ports::link::Link;
use actors::ports::store::{PersonChange, Store};
use actors::protocol::envelope::LinkKey;
use actors::worker::Worker;
use async_trait::async_trait;
use chrono::DateTime;
use tokio::sync::Notify;

use crate::chance::Chance;
use crate::history::{Conn, End, Fact, Op, Recorder, Wish};
use crate::store::{Life, NodeStore, Truth};

/// A text that the store refuses.
pub(crate) const POISON: &str = "poison";

/// One of the staff.
pub(crate) const STAFF: UserId = UserId(4);

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Faults and traffic.
    Stormy,
    /// Traffic without faults.
    Healed,
    /// What is under way comes to its end.
    Quiet,
    /// All should be where the log is.
    Settled,
    /// All should see who is online.
    Seen,
    /// Everyone goes.
    Over,
}

/// One incarnation of a node.
pub(crate) struct Node {
    pub(crate) place: usize,
    pub(crate) engine: EngineHandle,
    pub(crate) worker: Rc<Worker>,
    pub(crate) life: Arc<Life>,
    /// Its place on the hub.
    pub(crate) link: usize,
    peers: RefCell<Vec<Peer>>,
    death: Notify,
}

impl Node {
    /// Remembers a connection, to be cut when the node dies.
    pub(crate) fn keep(&self, peer: Peer) {
        self.peers.borrow_mut().push(peer);
    }

    async fn died(&self) {
        let death = self.death.notified();
        if !self.life.is_dead() {
            death.await;
        }
    }
}

/// What all parts of a run share.
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) recorder: Recorder,
    pub(crate) truth: Arc<Truth>,
    pub(crate) hub: Hub,
    pub(crate) users: Vec<UserId>,
    pub(crate) rooms: Vec<RoomId>,
    /// What each person is called, and whether that one may be here.
    people: RefCell<BTreeMap<UserId, (String, bool)>>,
    /// What a connection holds on its way.
    pub(crate) wire_bytes: usize,
    /// What each person has written in each room.
    pub(crate) written: RefCell<BTreeMap<(UserId, RoomId), Vec<MessageId>>>,
    /// Whether each person may be here, and since when tokens count.
    rights: RefCell<BTreeMap<UserId, PersonChange>>,
    phase: Cell<Phase>,
    /// Wakes in the order of waiting; a watch channel's order is random.
    next_phase: Notify,
    nodes: RefCell<Vec<Option<Rc<Node>>>>,
    limits: Limits,
    chance: RefCell<Chance>,
    ops: Cell<Op>,
    conns: Cell<Conn>,
}

/// Nobody renews a token here.
struct NoTokens;

#[async_trait]
impl Identity for NoTokens {
    async fn verify(&self, _: &str) -> Option<Credential> {
        None
    }
}

impl World {
    /// A world of `nodes` nodes, with people and rooms. To be made on a paused clock.
    pub(crate) async fn new(mut chance: Chance) -> Rc<Self> {
        let clock = Clock::start(DateTime::UNIX_EPOCH);
        let recorder = Recorder::new(clock);
        let truth = Arc::new(Truth::new(recorder.clone()));
        truth.store.refuse(|command| match &command.change {
            Change::Post(draft) => draft.content.contains(POISON),
            _ => false,
        });
        let users: Vec<UserId> = (1..=5).map(UserId).collect();
        for user in &users {
            let name = format!("user{user}");
            truth.store.put_person(Author::new(*user, &name, &name), true);
        }
        truth.store.set_staff(STAFF, true);
        let nodes = 2 + chance.below(2);
        let limits = Limits {
            outbox_frames_max: chance.pick(&[48, 200, 1_000]),
            outbox_bytes_max: chance.pick(&[24 << 10, 1 << 20]),
            replay_events_max: chance.pick(&[30, 1_000]),
            ..Limits::default()
        };
        let mut world = Self {
            clock,
            recorder,
            truth,
            hub: Hub::new(chance.next()),
            people: RefCell::new(users.iter().map(|user| (*user, (format!("user{user}"), true))).collect()),
            users,
            rooms: Vec::new(),
            wire_bytes: chance.pick(&[700, 4 << 10, 64 << 10]),
            rights: RefCell::default(),
            phase: Cell::new(Phase::Stormy),
            next_phase: Notify::new(),
            written: RefCell::default(),
            nodes: RefCell::new(vec![None; nodes]),
            limits,
            chance: RefCell::new(chance),
            ops: Cell::new(0),
            conns: Cell::new(0),
        };
        world.make_rooms().await;
        for place in 0..nodes {
            world.start_node(place);
        }
        Rc::new(world)
    }

    async fn make_rooms(&mut self) {
        let open = |room_type, by: i64, people: &[i64], subject| OpenRoom {
            id: RoomId(self.chance.borrow_mut().uuid()),
            by: Actor::Person(UserId(by)),
            room_type,
            name: String::new(),
            subject,
            title: None,
            people: people.iter().copied().map(UserId).collect(),
            granted: None,
            open_subjects: true,
        };
        let opens = [
            open(RoomType::Group, 1, &[2, 3, 4], None),
            open(RoomType::Direct, 1, &[2], None),
            open(RoomType::Task, 3, &[1, 5], Some(Subject::Task(7))),
        ];
        for open in opens {
            let opened = self.truth.store.open_room(&open).await.expect("no faults yet").expect("it may be");
            self.truth.record(&opened.events);
            self.rooms.push(opened.room);
        }
    }

    /// Starts a node in this place, on what the store has.
    pub(crate) fn start_node(&self, place: usize) {
        let mut chance = self.chance();
        let life = Arc::new(Life::default());
        let link = self.hub.link();
        let hub_place = link.place();
        let store = NodeStore::new(self.truth.clone(), life.clone(), chance.fork());
        let engine = EngineHandle::start(Parts {
            node: NodeId(chance.uuid()),
            limits: self.limits.clone(),
            clock: self.clock,
            store: Arc::new(store),
            identity: Arc::new(NoTokens),
            link: Some(link as Arc<dyn Link>),
            link_key: key(),
        });
        let worker = engine.worker();
        let (peers, death) = (RefCell::default(), Notify::new());
        let node = Node { place, engine, worker, life, link: hub_place, peers, death };
        self.nodes.borrow_mut()[place] = Some(Rc::new(node));
    }

    /// Ends a node at once, as kill -9 does: from this moment on the store, the link and the clients hear
    /// nothing of it, and it hears nothing of them.
    pub(crate) fn kill_node(&self, place: usize) {
        let Some(node) = self.nodes.borrow_mut()[place].take() else { return };
        node.life.end();
        self.hub.set_up(node.link, false);
        for peer in node.peers.borrow_mut().drain(..) {
            peer.cut();
        }
        node.death.notify_waiters();
    }

    /// The nodes that live.
    pub(crate) fn nodes(&self) -> Vec<Rc<Node>> {
        self.nodes.borrow().iter().flatten().cloned().collect()
    }

    /// What all have written in a room.
    pub(crate) fn written_in(&self, room: RoomId) -> Vec<MessageId> {
        let written = self.written.borrow();
        written.iter().filter(|((_, at), _)| *at == room).flat_map(|(_, all)| all.iter().copied()).collect()
    }

    /// How many places for nodes there are.
    pub(crate) fn places(&self) -> usize {
        self.nodes.borrow().len()
    }

    pub(crate) fn is_up(&self, place: usize) -> bool {
        self.nodes.borrow()[place].is_some()
    }

    /// A sequence for a part of the run.
    pub(crate) fn chance(&self) -> Chance {
        self.chance.borrow_mut().fork()
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Goes on to the next phase.
    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.next_phase.notify_waiters();
    }

    /// Waits until the phase is another one.
    pub(crate) async fn phase_after(&self, phase: Phase) -> Phase {
        while self.phase() == phase {
            let next = self.next_phase.notified();
            if self.phase() == phase {
                next.await;
            }
        }
        self.phase()
    }

    pub(crate) fn next_conn(&self) -> Conn {
        self.conns.set(self.conns.get() + 1);
        self.conns.get()
    }

    /// Writes down that someone wants something.
    pub(crate) fn ask(&self, user: UserId, room: RoomId, wish: Wish) -> Op {
        self.ops.set(self.ops.get() + 1);
        let op = self.ops.get();
        self.recorder.note(Fact::Asked { op, user, room, wish });
        op
    }

    /// Has a command carried out by a node, as a REST call does.
    pub(crate) async fn command(
        &self,
        node: &Node,
        user: UserId,
        room: RoomId,
        change: Change,
        wish: Wish,
    ) -> End {
        let op = self.ask(user, room, wish);
        let command = Command { room, by: Actor::Person(user), change };
        let answer = tokio::select! {
            biased;
            () = node.died() => None,
            answer = node.engine.command(command) => Some(answer),
        };
        let end = match answer {
            Some(Ok(Reply::Posted { message, duplicate })) => {
                End::Acked { message: message.id, seq: message.seq, duplicate }
            }
            Some(Ok(Reply::SentBefore { message, seq, .. })) => End::Acked { message, seq, duplicate: true },
            Some(Ok(_)) => End::Done,
            Some(Err(error)) if error.code().as_str() == "unknown_outcome" => End::Unknown,
            Some(Err(error)) => End::Refused(error.code().as_str().to_owned()),
            None => End::Unknown,
        };
        self.recorder.note(Fact::Answered { op, end: end.clone() });
        end
    }

    /// Changes what someone is called, and perhaps tells a node.
    pub(crate) fn rename(&self, user: UserId, full_name: &str, tell: Option<&Node>) {
        let is_active = {
            let mut people = self.people.borrow_mut();
            let person = people.get_mut(&user).expect("one of those there are");
            full_name.clone_into(&mut person.0);
            person.1
        };
        self.put_person(user, is_active, tell);
    }

    /// Changes whether someone may be here at all, and perhaps tells a node.
    pub(crate) fn set_right(&self, user: UserId, is_active: bool, tell: Option<&Node>) {
        self.people.borrow_mut().get_mut(&user).expect("one of those there are").1 = is_active;
        self.recorder.note(Fact::RightsChanged { user, is_active });
        self.put_person(user, is_active, tell);
    }

    fn put_person(&self, user: UserId, is_active: bool, tell: Option<&Node>) {
        let full_name = self.people.borrow()[&user].0.clone();
        self.truth.store.put_person(Author::new(user, &format!("user{user}"), &full_name), is_active);
        self.tell_right(user, tell, |right| right.is_active = is_active);
    }

    /// Makes a person's tokens void that are from before this second, and perhaps tells a node.
    pub(crate) fn revoke(&self, user: UserId, tell: Option<&Node>) {
        let from = self.second();
        self.truth.store.revoke_tokens(user, from);
        self.recorder.note(Fact::Revoked { user, from });
        self.tell_right(user, tell, |right| right.tokens_valid_from = Some(from));
    }

    fn tell_right(&self, user: UserId, tell: Option<&Node>, change: impl FnOnce(&mut PersonChange)) {
        let mut rights = self.rights.borrow_mut();
        let right =
            rights.entry(user).or_insert(PersonChange { user, is_active: true, tokens_valid_from: None });
        change(right);
        if let Some(node) = tell {
            node.engine.person_changed(*right);
        }
    }

    /// The second that it is, by which tokens are issued.
    pub(crate) fn second(&self) -> i64 {
        i64::try_from(self.clock.now().as_secs()).expect("a run takes minutes")
    }
}

/// What the nodes sign envelopes with.
pub(crate) fn key() -> LinkKey {
    LinkKey::new(b"simulation")
}

/// Lets time pass.
pub(crate) async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}
