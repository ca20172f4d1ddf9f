//! What all parts of a run share: the nodes, the store, the broker between them, the users.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actors::domain::command::{Command, CommandReply, OpenRoom, Principal, RoomChange};
use actors::domain::entry::{EntryTerms, HostRoster};
use actors::domain::ids::{MessageId, NodeId, RoomId, UserId};
use actors::domain::room::{RoomType, Subject};
use actors::domain::user::UserSummary;
use actors::engine::{EngineHandle, EngineParts, Worker};
use actors::limits::Limits;
use actors::memory::broker::Hub;
use actors::memory::connection::Peer;
use actors::ports::broker::Broker;
use actors::ports::clock::Clock;
use actors::ports::identity::{Credential, Identity};
use actors::ports::store::{Store, UserAccess};
use actors::protocol::envelope::EnvelopeKey;
use async_trait::async_trait;
use chrono::DateTime;
use tokio::sync::Notify;

use crate::history::{Conn, End, Fact, Op, Recorder, Request};
use crate::rng::Rng;
use crate::store::{Liveness, NodeStore, SharedStore};

/// A text that the store refuses.
pub(crate) const POISON: &str = "poison";

/// The user on the staff.
pub(crate) const STAFF: UserId = UserId(4);

/// The phases of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Faults and traffic.
    Stormy,
    /// Traffic without faults.
    Healed,
    /// What is under way completes.
    Quiet,
    /// All should be at the head.
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
    pub(crate) liveness: Arc<Liveness>,
    /// Its port on the hub.
    pub(crate) link: usize,
    peers: RefCell<Vec<Peer>>,
    death: Notify,
}

impl Node {
    /// Keeps a connection, to be cut when the node dies.
    pub(crate) fn keep(&self, peer: Peer) {
        self.peers.borrow_mut().push(peer);
    }

    async fn died(&self) {
        let death = self.death.notified();
        if !self.liveness.is_dead() {
            death.await;
        }
    }
}

/// What all parts of a run share.
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) recorder: Recorder,
    pub(crate) shared_store: Arc<SharedStore>,
    pub(crate) hub: Hub,
    pub(crate) users: Vec<UserId>,
    pub(crate) rooms: Vec<RoomId>,
    /// Each user's name and access.
    people: RefCell<BTreeMap<UserId, (String, bool)>>,
    /// The bytes that a connection buffers.
    pub(crate) wire_bytes: usize,
    /// The messages of each user in each room.
    pub(crate) written: RefCell<BTreeMap<(UserId, RoomId), Vec<MessageId>>>,
    /// Each user's access to the service.
    rights: RefCell<BTreeMap<UserId, UserAccess>>,
    phase: Cell<Phase>,
    /// Wakes in the order of waiting; a watch channel's order is random.
    next_phase: Notify,
    nodes: RefCell<Vec<Option<Rc<Node>>>>,
    limits: Limits,
    rng: RefCell<Rng>,
    ops: Cell<Op>,
    conns: Cell<Conn>,
}

/// An identity that accepts no token.
struct NoTokens;

#[async_trait]
impl Identity for NoTokens {
    async fn verify(&self, _: &str) -> Option<Credential> {
        None
    }
}

impl World {
    /// A world with nodes, users and rooms. The clock must be paused.
    pub(crate) async fn new(mut rng: Rng) -> Rc<Self> {
        let clock = Clock::start(DateTime::UNIX_EPOCH);
        let recorder = Recorder::new(clock);
        let shared_store = Arc::new(SharedStore::new(recorder.clone()));
        shared_store.store.refuse(|command| match &command.change {
            RoomChange::Post(draft) => draft.content.contains(POISON),
            RoomChange::Forward(messages) => messages.iter().any(|part| part.draft.content.contains(POISON)),
            _ => false,
        });
        let users: Vec<UserId> = (1..=5).map(UserId).collect();
        for user in &users {
            let name = format!("user{user}");
            shared_store.store.put_user(UserSummary::new(*user, &name, &name), true);
        }
        shared_store.store.set_staff(STAFF, true);
        let nodes = 2 + rng.below(2);
        let limits = Limits {
            outbox_frames_max: rng.pick(&[48, 200, 1_000]),
            outbox_bytes_max: rng.pick(&[24 << 10, 1 << 20]),
            replay_events_max: rng.pick(&[30, 1_000]),
            ..Limits::default()
        };
        let mut world = Self {
            clock,
            recorder,
            shared_store,
            hub: Hub::new(rng.next()),
            people: RefCell::new(users.iter().map(|user| (*user, (format!("user{user}"), true))).collect()),
            users,
            rooms: Vec::new(),
            wire_bytes: rng.pick(&[700, 4 << 10, 64 << 10]),
            rights: RefCell::default(),
            phase: Cell::new(Phase::Stormy),
            next_phase: Notify::new(),
            written: RefCell::default(),
            nodes: RefCell::new(vec![None; nodes]),
            limits,
            rng: RefCell::new(rng),
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
            id: RoomId(self.rng.borrow_mut().uuid()),
            by: Principal::User(UserId(by)),
            room_type,
            name: String::new(),
            subject,
            title: None,
            users: people.iter().copied().map(UserId).collect(),
            granted: None,
            granted_terms: EntryTerms::default(),
            roster: HostRoster::default(),
            open_subjects: true,
        };
        let opens = [
            open(RoomType::Group, 1, &[2, 3, 4], None),
            open(RoomType::Direct, 1, &[2], None),
            open(RoomType::Task, 3, &[1, 5], Some(Subject::Task(7))),
        ];
        for open in opens {
            let opened =
                self.shared_store.store.open_room(&open).await.expect("no faults yet").expect("it may be");
            self.shared_store.record(&opened.events);
            self.rooms.push(opened.room);
        }
    }

    /// Starts a node, on what the store has.
    pub(crate) fn start_node(&self, place: usize) {
        let mut rng = self.rng();
        let liveness = Arc::new(Liveness::default());
        let link = self.hub.broker();
        let hub_place = link.port();
        let store = NodeStore::new(self.shared_store.clone(), liveness.clone(), rng.fork());
        let engine = EngineHandle::start(EngineParts {
            node: NodeId(rng.uuid()),
            limits: self.limits.clone(),
            clock: self.clock,
            store: Arc::new(store),
            identity: Arc::new(NoTokens),
            broker: Some(link as Arc<dyn Broker>),
            envelope_key: key(),
        });
        let worker = engine.worker();
        let (peers, death) = (RefCell::default(), Notify::new());
        let node = Node { place, engine, worker, liveness, link: hub_place, peers, death };
        self.nodes.borrow_mut()[place] = Some(Rc::new(node));
    }

    /// Kills a node at once, as kill -9 does: from this moment on it exchanges nothing with the store, the
    /// broker and the clients.
    pub(crate) fn kill_node(&self, place: usize) {
        let Some(node) = self.nodes.borrow_mut()[place].take() else { return };
        node.liveness.end();
        self.hub.set_up(node.link, false);
        for peer in node.peers.borrow_mut().drain(..) {
            peer.cut();
        }
        node.death.notify_waiters();
    }

    /// The nodes that are alive.
    pub(crate) fn nodes(&self) -> Vec<Rc<Node>> {
        self.nodes.borrow().iter().flatten().cloned().collect()
    }

    /// All messages of a room.
    pub(crate) fn written_in(&self, room: RoomId) -> Vec<MessageId> {
        let written = self.written.borrow();
        written.iter().filter(|((_, at), _)| *at == room).flat_map(|(_, all)| all.iter().copied()).collect()
    }

    /// How many nodes there can be.
    pub(crate) fn places(&self) -> usize {
        self.nodes.borrow().len()
    }

    pub(crate) fn is_up(&self, place: usize) -> bool {
        self.nodes.borrow()[place].is_some()
    }

    /// A sequence of random numbers for a part of the run.
    pub(crate) fn rng(&self) -> Rng {
        self.rng.borrow_mut().fork()
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Enters a phase.
    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.next_phase.notify_waiters();
    }

    /// Waits until the phase changes.
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

    /// Records a request.
    pub(crate) fn record_request(&self, user: UserId, room: RoomId, request: Request) -> Op {
        self.ops.set(self.ops.get() + 1);
        let op = self.ops.get();
        self.recorder.note(Fact::Asked { op, user, room, request });
        op
    }

    /// Has a node carry out a command, as a REST call does.
    pub(crate) async fn command(
        &self,
        node: &Node,
        user: UserId,
        room: RoomId,
        change: RoomChange,
        request: Request,
    ) -> End {
        let op = self.record_request(user, room, request);
        let command = Command { room, by: Principal::User(user), change };
        let answer = tokio::select! {
            biased;
            () = node.died() => None,
            answer = node.engine.command(command) => Some(answer),
        };
        let end = match answer {
            Some(Ok(CommandReply::Posted { message, duplicate })) => {
                End::Acked { message: message.id, seq: message.seq, duplicate }
            }
            Some(Ok(CommandReply::AlreadyPosted { message, seq, .. })) => {
                End::Acked { message, seq, duplicate: true }
            }
            Some(Ok(_)) => End::Done,
            Some(Err(error)) if error.code().as_str() == "unknown_outcome" => End::Unknown,
            Some(Err(error)) => End::Refused(error.code().as_str().to_owned()),
            None => End::Unknown,
        };
        self.recorder.note(Fact::Answered { op, end: end.clone() });
        end
    }

    /// Renames a user, and may report it to a node.
    pub(crate) fn rename(&self, user: UserId, full_name: &str, report_to: Option<&Node>) {
        let is_active = {
            let mut people = self.people.borrow_mut();
            let person = people.get_mut(&user).expect("one of those there are");
            full_name.clone_into(&mut person.0);
            person.1
        };
        self.put_user(user, is_active, report_to);
    }

    /// Changes a user's access, and may report it to a node.
    pub(crate) fn set_access(&self, user: UserId, is_active: bool, report_to: Option<&Node>) {
        self.people.borrow_mut().get_mut(&user).expect("one of those there are").1 = is_active;
        self.recorder.note(Fact::RightsChanged { user, is_active });
        self.put_user(user, is_active, report_to);
    }

    fn put_user(&self, user: UserId, is_active: bool, report_to: Option<&Node>) {
        let full_name = self.people.borrow()[&user].0.clone();
        self.shared_store
            .store
            .put_user(UserSummary::new(user, &format!("user{user}"), &full_name), is_active);
        self.report_access(user, report_to, |right| right.is_active = is_active);
    }

    /// Revokes a user's tokens issued before this second, and may report it to a node.
    pub(crate) fn revoke(&self, user: UserId, report_to: Option<&Node>) {
        let from = self.second();
        self.shared_store.store.revoke_tokens(user, from);
        self.recorder.note(Fact::Revoked { user, from });
        self.report_access(user, report_to, |right| right.tokens_valid_from = Some(from));
    }

    fn report_access(&self, user: UserId, report_to: Option<&Node>, change: impl FnOnce(&mut UserAccess)) {
        let mut rights = self.rights.borrow_mut();
        let right =
            rights.entry(user).or_insert(UserAccess { user, is_active: true, tokens_valid_from: None });
        change(right);
        if let Some(node) = report_to {
            node.engine.user_changed(*right);
        }
    }

    /// The current second, in which tokens are issued.
    pub(crate) fn second(&self) -> i64 {
        i64::try_from(self.clock.now().as_secs()).expect("a run takes minutes")
    }
}

/// The key with which the nodes seal envelopes.
pub(crate) fn key() -> EnvelopeKey {
    EnvelopeKey::new(b"simulation")
}

/// Lets time pass.
pub(crate) async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}
