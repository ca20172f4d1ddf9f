//! What the tests of actors share: engines on the memory ports and on paused time, users, and rooms.

#![allow(clippy::disallowed_types, reason = "a test looks at the calls that an engine makes")]

use std::cell::Cell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix::System;
use async_trait::async_trait;
use chrono::{DateTime, TimeZone, Utc};
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::command::{
    Command, CommandReply, DraftExtras, MessageDraft, MissingReplyTarget, OpenRoom, Principal, RoomChange,
};
use crate::domain::entry::{EntryTerms, HostRoster};
use crate::domain::event::EventBody;
use crate::domain::ids::{ClientId, MessageId, NodeId, RoomId, Seq, UserId};
use crate::domain::mentions::Mentions;
use crate::domain::message::MessageType;
use crate::domain::room::RoomType;
use crate::domain::user::UserSummary;
use crate::engine::{ConnectRequest, ConnectTarget, EngineHandle, EngineParts};
use crate::error::EngineError;
use crate::limits::Limits;
use crate::memory::broker::Hub;
use crate::memory::connection::connection;
use crate::memory::engine::{Client, MemoryEngine};
use crate::memory::store::{CallFate, Fault, Faults, MemoryStore, StoreCall};
use crate::ports::broker::Broker;
use crate::ports::clock::Clock;
use crate::ports::identity::{Credential, Identity};
use crate::ports::store::{Store, StoreError};
use crate::protocol::codec;
use crate::protocol::envelope::EnvelopeKey;

pub(crate) const ANN: UserId = UserId(1);
pub(crate) const BOB: UserId = UserId(2);
pub(crate) const CAROL: UserId = UserId(3);

/// Longer than any test takes in its own time.
pub(crate) const FOREVER: Duration = Duration::from_secs(86_400);
/// Long enough for whatever waits for no timer.
pub(crate) const SOON: Duration = Duration::from_millis(100);

/// Runs a test on paused time.
pub(crate) fn paused(test: impl Future<Output = ()>) {
    let system = System::with_tokio_rt(|| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true).build().expect("it needs nothing")
    });
    system.block_on(test);
}

/// Records the calls of a store, and decides what happens to them.
#[derive(Clone, Default)]
pub(crate) struct Probe(Arc<Mutex<Calls>>);

type Rule = Box<dyn FnMut(StoreCall<'_>) -> Fault + Send>;

#[derive(Default)]
struct Calls {
    appends: Vec<AppendCall>,
    inbox_reads: Vec<(UserId, Instant)>,
    changes: usize,
    rule: Option<Rule>,
}

/// One call of [`Store::append`].
#[derive(Clone, Debug)]
pub(crate) struct AppendCall {
    pub(crate) at: Instant,
    pub(crate) rooms: Vec<RoomId>,
    pub(crate) waits: bool,
}

impl Probe {
    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets `rule` decide on each call from now on.
    pub(crate) fn set(&self, rule: impl FnMut(StoreCall<'_>) -> Fault + Send + 'static) {
        self.calls().rule = Some(Box::new(rule));
    }

    /// Lets all go well from now on.
    pub(crate) fn clear(&self) {
        self.calls().rule = None;
    }

    /// The appends so far.
    pub(crate) fn appends(&self) -> Vec<AppendCall> {
        self.calls().appends.clone()
    }

    /// When the inbox of `user` was read.
    pub(crate) fn inbox_reads(&self, user: UserId) -> Vec<Instant> {
        self.calls().inbox_reads.iter().filter(|(whose, _)| *whose == user).map(|(_, at)| *at).collect()
    }

    /// How often the feed of commits was read.
    pub(crate) fn feed_reads(&self) -> usize {
        self.calls().changes
    }
}

impl Faults for Probe {
    fn fault_for(&self, call: StoreCall<'_>) -> Fault {
        let mut calls = self.calls();
        match call {
            StoreCall::Append { batch, wait } => {
                let rooms = batch.iter().map(|command| command.room).collect();
                calls.appends.push(AppendCall { at: Instant::now(), rooms, waits: wait });
            }
            StoreCall::Inbox(user) => calls.inbox_reads.push((user, Instant::now())),
            StoreCall::Changes => calls.changes += 1,
            _ => {}
        }
        calls.rule.as_mut().map(|rule| rule(call)).unwrap_or_default()
    }
}

/// The call begins late.
pub(crate) fn begins_after(before: Duration) -> Fault {
    Fault { before, ..Fault::default() }
}

/// The call is carried out at once and answered late.
pub(crate) fn answers_after(after: Duration) -> Fault {
    Fault { after, ..Fault::default() }
}

/// The call fails, and nothing is stored.
pub(crate) fn fails() -> Fault {
    Fault { fate: CallFate::Fails(StoreError::Unavailable("it is away".into())), ..Fault::default() }
}

/// A token `user/issued_at` is valid for a day.
struct PlainTokens;

#[async_trait]
impl Identity for PlainTokens {
    async fn verify(&self, token: &str) -> Option<Credential> {
        let (user, issued_at) = token.split_once('/')?;
        Some(Credential {
            user: UserId(user.parse().ok()?),
            issued_at: issued_at.parse().ok()?,
            expires_at: DateTime::UNIX_EPOCH,
            expires_in: FOREVER,
        })
    }
}

/// One store, one hub, and what the nodes on them are made of.
pub(crate) struct Setup {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) probe: Probe,
    pub(crate) hub: Hub,
    pub(crate) clock: Clock,
    pub(crate) limits: Limits,
    rooms: Cell<u128>,
}

impl Setup {
    /// A store with three users, and nodes with the default limits.
    pub(crate) fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    /// A store with three users.
    pub(crate) fn with_limits(limits: Limits) -> Self {
        let probe = Probe::default();
        let store = Arc::new(MemoryStore::new(probe.clone()));
        for (user, name) in [(ANN, "ann"), (BOB, "bob"), (CAROL, "carol")] {
            store.put_user(UserSummary::new(user, name, name), true);
        }
        // The date of the store, whose clock starts now too.
        let date = Utc.timestamp_opt(1_800_000_000, 0).single().expect("it is a time");
        Self { store, probe, hub: Hub::new(1), clock: Clock::start(date), limits, rooms: Cell::default() }
    }

    /// A node without others.
    pub(crate) fn node(&self) -> MemoryEngine {
        self.start(1, None)
    }

    /// A node on the hub. Nodes take the hub's places in the order of their starts.
    pub(crate) fn linked_node(&self, node: u128) -> MemoryEngine {
        self.start(node, Some(self.hub.broker()))
    }

    /// A node over this broker.
    pub(crate) fn start(&self, node: u128, broker: Option<Arc<dyn Broker>>) -> MemoryEngine {
        let handle = EngineHandle::start(EngineParts {
            node: NodeId(Uuid::from_u128(node)),
            limits: self.limits.clone(),
            clock: self.clock,
            store: self.store.clone(),
            identity: Arc::new(PlainTokens),
            broker,
            envelope_key: key(),
        });
        let worker = handle.worker();
        MemoryEngine { handle, worker, store: self.store.clone(), clock: self.clock }
    }

    /// A group of these users, made by the first.
    pub(crate) async fn room(&self, users: &[UserId]) -> RoomId {
        self.room_of_type(RoomType::Group, users).await
    }

    /// The direct room of these two.
    pub(crate) async fn direct_room(&self, user: UserId, other: UserId) -> RoomId {
        self.room_of_type(RoomType::Direct, &[user, other]).await
    }

    async fn room_of_type(&self, room_type: RoomType, users: &[UserId]) -> RoomId {
        self.rooms.set(self.rooms.get() + 1);
        let open = OpenRoom {
            id: RoomId(Uuid::from_u128(self.rooms.get())),
            by: Principal::User(users[0]),
            room_type,
            name: String::new(),
            subject: None,
            title: None,
            users: users[1..].to_vec(),
            granted: None,
            granted_terms: EntryTerms::default(),
            roster: HostRoster::default(),
            open_subjects: true,
        };
        self.store.open_room(&open).await.expect("it works").expect("it may be").room
    }

    /// Stores a message without any node.
    pub(crate) async fn stores(&self, room: RoomId, by: UserId, text: &str) {
        let stored = self.store.append(&[Arc::new(post(room, by, text))], true).await.expect("it works");
        assert!(matches!(stored[0], Some(Ok(_))));
    }

    /// The texts of a room's messages, in order.
    pub(crate) async fn texts(&self, room: RoomId) -> Vec<String> {
        let log = self.store.events(room, Seq::START, 10_000).await.expect("it works");
        let texts = log.into_iter().filter_map(|event| match event.body {
            EventBody::MessagePosted(message) => Some(message.content),
            _ => None,
        });
        texts.collect()
    }
}

/// What the nodes seal envelopes with.
pub(crate) fn key() -> EnvelopeKey {
    EnvelopeKey::new(b"nodes in memory")
}

/// A command to post a message.
pub(crate) fn post(room: RoomId, by: UserId, text: &str) -> Command {
    post_as(room, by, text, None)
}

/// A command to post a message that the client calls so.
pub(crate) fn post_as(room: RoomId, by: UserId, text: &str, client_id: Option<ClientId>) -> Command {
    change(
        room,
        by,
        RoomChange::Post(MessageDraft {
            id: MessageId(Uuid::new_v4()),
            client_id,
            digest: MessageDraft::digest_of(text, None, None),
            content: text.to_owned(),
            message_type: MessageType::Text,
            attachment: None,
            reply_to: None,
            missing_reply_target: MissingReplyTarget::Ignore,
            extras: DraftExtras::default(),
            mentions: Mentions::default(),
        }),
    )
}

/// A command of a user.
pub(crate) fn change(room: RoomId, by: UserId, change: RoomChange) -> Command {
    Command { room, by: Principal::User(by), change }
}

/// Has a node carry out a command that must succeed.
pub(crate) async fn does(node: &MemoryEngine, command: Command) -> CommandReply {
    node.handle.command(command).await.expect("it is carried out")
}

/// Hands a node all of these commands at once, and gives the answers in their order.
pub(crate) async fn all_at_once(
    node: &MemoryEngine,
    commands: impl IntoIterator<Item = Command>,
) -> Vec<Result<CommandReply, EngineError>> {
    let under_way: Vec<_> = commands.into_iter().map(|command| starts(node, command)).collect();
    let mut answers = Vec::new();
    for answer in under_way {
        answers.push(answer.await.expect("no panic"));
    }
    answers
}

/// Hands a node a command, whose answer is waited for elsewhere.
pub(crate) fn starts(
    node: &MemoryEngine,
    command: Command,
) -> tokio::task::JoinHandle<Result<CommandReply, EngineError>> {
    let handle = node.handle.clone();
    actix::spawn(async move { handle.command(command).await })
}

/// An accepted socket for all rooms of a user.
pub(crate) async fn opens_inbox(node: &MemoryEngine, user: UserId) -> Client {
    let mut client = node.connect(user, 0, ConnectTarget::User);
    client.hears("connection_established").await.expect("to be accepted");
    client
}

/// An accepted socket for one room, after it has been sent the state of the room.
pub(crate) async fn opens_room(node: &MemoryEngine, user: UserId, room: RoomId) -> Client {
    let mut client = node.connect(user, 0, ConnectTarget::Room { room, since: None, epoch: None });
    client.hears("presence_state").await.expect("to be accepted");
    client
}

/// A socket whose connection holds so few bytes that the test decides how fast it is, with a token that
/// expires.
pub(crate) fn connects_with(
    node: &MemoryEngine,
    user: UserId,
    target: ConnectTarget,
    capacity: usize,
    expires_in: Duration,
) -> Client {
    let (writer, peer) = connection(capacity, node.clock);
    let session = node.worker.connect(ConnectRequest {
        credential: Credential { user, issued_at: 0, expires_at: DateTime::UNIX_EPOCH, expires_in },
        grace: Duration::ZERO,
        target,
        writer: Box::new(writer),
        accept: codec::ping(),
        refuse: None,
    });
    Client::new(session, peer)
}

/// The next frame of this type, unless there is none for so long.
pub(crate) async fn hears_within(client: &mut Client, kind: &str, patience: Duration) -> Option<Value> {
    tokio::time::timeout(patience, client.hears(kind)).await.ok().flatten()
}

/// How much a node holds of this.
pub(crate) async fn held(node: &MemoryEngine, what: &str) -> usize {
    let counts = node.handle.diagnostics().await;
    let mut named = counts.iter().filter(|(name, _)| *name == what).peekable();
    assert!(named.peek().is_some(), "nothing is called {what}");
    named.map(|(_, count)| count).sum()
}

/// Lets time pass.
pub(crate) async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}
