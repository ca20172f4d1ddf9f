//! Fixtures of the benches: rooms in a memory store, and a switchboard whose sockets accept everything.

use std::io::{self, IoSlice};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use actors::domain::command::{
    Command, DraftExtras, MessageDraft, MissingReplyTarget, OpenRoom, Principal, RoomChange,
};
use actors::domain::entry::{EntryTerms, HostRoster};
use actors::domain::event::Event;
use actors::domain::ids::{ClientId, MessageId, NodeId, RoomId, Seq, UserId};
use actors::domain::mentions::Mentions;
use actors::domain::message::MessageType;
use actors::domain::room::RoomType;
use actors::domain::user::UserSummary;
use actors::engine::{ConnectRequest, ConnectTarget, EngineHandle, EngineParts, Worker};
use actors::limits::Limits;
use actors::memory::store::MemoryStore;
use actors::memory::switchboard::MemorySwitchboard;
use actors::ports::clock::Clock;
use actors::ports::connection::ConnectionWriter;
use actors::ports::identity::{Credential, Identity};
use actors::ports::store::Store;
use actors::protocol::envelope::EnvelopeKey;
use async_trait::async_trait;
use bytes::Bytes;
use chrono::DateTime;
use uuid::Uuid;

const ANN: UserId = UserId(1);
const BOB: UserId = UserId(2);
/// The length of a frame of a message with 64 letters of text.
const FRAME_BYTES: usize = 387;

/// A memory store with rooms of two users.
pub(crate) struct RoomsFixture {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) rooms: Vec<RoomId>,
    runtime: tokio::runtime::Runtime,
}

impl RoomsFixture {
    pub(crate) fn new(rooms: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let store = {
            let _inside = runtime.enter();
            Arc::new(MemoryStore::default())
        };
        for (id, name) in [(ANN, "ann"), (BOB, "bob")] {
            store.put_user(UserSummary::new(id, name, ""), true);
        }
        let rooms = (0..rooms).map(|_| {
            let opened = runtime.block_on(store.open_room(&opening())).expect("the store works");
            opened.expect("a room may be made").room
        });
        let rooms = rooms.collect();
        Self { store, rooms, runtime }
    }

    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Messages in all rooms in turn.
    pub(crate) fn batch(&self, size: usize) -> Vec<Arc<Command>> {
        (0..size).map(|n| Arc::new(post(self.rooms[n % self.rooms.len()]))).collect()
    }

    /// Posts messages in the first room and returns its log.
    pub(crate) fn replay(&self, messages: usize) -> Vec<Event> {
        let batch: Vec<_> = (0..messages).map(|_| Arc::new(post(self.rooms[0]))).collect();
        self.wait(self.store.append(&batch, false)).expect("the store works");
        self.wait(self.store.events(self.rooms[0], Seq(0), usize::MAX)).expect("the store works")
    }
}

fn opening() -> OpenRoom {
    OpenRoom {
        id: RoomId(Uuid::new_v4()),
        by: Principal::User(ANN),
        room_type: RoomType::Group,
        name: "a room".into(),
        subject: None,
        title: None,
        users: vec![BOB],
        granted: None,
        granted_terms: EntryTerms::default(),
        roster: HostRoster::default(),
        open_subjects: true,
    }
}

fn post(room: RoomId) -> Command {
    let content = "x".repeat(64);
    let draft = MessageDraft {
        id: MessageId(Uuid::new_v4()),
        client_id: Some(ClientId(Uuid::new_v4())),
        digest: MessageDraft::digest_of(&content, None, None),
        content,
        message_type: MessageType::Text,
        attachment: None,
        reply_to: None,
        missing_reply_target: MissingReplyTarget::Ignore,
        extras: DraftExtras::default(),
        mentions: Mentions::default(),
    };
    Command { room, by: Principal::User(ANN), change: RoomChange::Post(draft) }
}

/// Users who all join one room and leave again.
pub(crate) struct AudienceFixture {
    system: actix::SystemRunner,
    engine: EngineHandle,
    worker: Rc<Worker>,
    room: RoomId,
    people: usize,
}

impl AudienceFixture {
    pub(crate) fn new(people: usize) -> Self {
        let system = actix::System::new();
        let users: Vec<UserId> = (1..).map(UserId).take(people).collect();
        let (engine, worker, room) = system.block_on(async {
            let store = Arc::new(MemoryStore::default());
            for user in &users {
                store.put_user(UserSummary::new(*user, &format!("user{user}"), ""), true);
            }
            let open = OpenRoom { users: users[1..].to_vec(), ..opening() };
            let opened = store.open_room(&open).await.expect("the store works").expect("it may be made");
            let engine = EngineHandle::start(parts(store, Clock::start(DateTime::UNIX_EPOCH)));
            let worker = engine.worker();
            (engine, worker, opened.room)
        });
        Self { system, engine, worker, room, people }
    }

    /// Lets all of them join and, once all are accepted, leave; returns how long each took.
    pub(crate) fn comes_and_goes(&self) -> (Duration, Duration) {
        self.system.block_on(async {
            let greeted = Arc::new(AtomicUsize::new(0));
            let began = tokio::time::Instant::now();
            let users = (1..).map(UserId).take(self.people);
            let target = ConnectTarget::Room { room: self.room, since: None, epoch: None };
            let sessions: Vec<_> = users
                .map(|user| {
                    let writer = Box::new(Door { greeted: greeted.clone(), is_fresh: true });
                    self.worker.connect(connect(user, target, writer))
                })
                .collect();
            while greeted.load(Ordering::Relaxed) < self.people {
                tokio::task::yield_now().await;
            }
            let came = began.elapsed();
            let began = tokio::time::Instant::now();
            drop(sessions);
            loop {
                let counts = self.engine.diagnostics().await;
                if counts.iter().all(|(what, count)| *what != "sockets" || *count == 0) {
                    return (came, began.elapsed());
                }
            }
        })
    }
}

fn parts(store: Arc<MemoryStore>, clock: Clock) -> EngineParts {
    EngineParts {
        node: NodeId(Uuid::nil()),
        limits: Limits::default(),
        clock,
        store,
        identity: Arc::new(Nobody),
        broker: None,
        envelope_key: EnvelopeKey::new(b"a key of the bench, of no use elsewhere"),
    }
}

fn connect(user: UserId, target: ConnectTarget, writer: Box<dyn ConnectionWriter>) -> ConnectRequest {
    let expires_in = Duration::from_secs(3_600);
    ConnectRequest {
        credential: Credential { user, issued_at: 0, expires_at: DateTime::UNIX_EPOCH, expires_in },
        grace: Duration::ZERO,
        target,
        writer,
        accept: Bytes::from_static(b"HTTP/1.1 101 Switching Protocols"),
        refuse: None,
    }
}

/// A socket that accepts everything, and counts itself when it is greeted.
struct Door {
    greeted: Arc<AtomicUsize>,
    is_fresh: bool,
}

impl ConnectionWriter for Door {
    fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if std::mem::replace(&mut self.is_fresh, false) {
            self.greeted.fetch_add(1, Ordering::Relaxed);
        }
        Abyss.try_write_vectored(slices)
    }

    fn poll_writable(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn silence(&self) -> Duration {
        Duration::ZERO
    }

    fn finish(&mut self) {}

    fn close(&mut self) {}
}

/// A socket that accepts everything at once.
struct Abyss;

impl ConnectionWriter for Abyss {
    fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    fn poll_writable(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn silence(&self) -> Duration {
        Duration::ZERO
    }

    fn finish(&mut self) {}

    fn close(&mut self) {}
}

struct Nobody;

#[async_trait]
impl Identity for Nobody {
    async fn verify(&self, _: &str) -> Option<Credential> {
        None
    }
}

/// A switchboard with sockets in one room.
pub(crate) struct SwitchboardFixture {
    system: actix::SystemRunner,
    switchboard: MemorySwitchboard,
}

impl SwitchboardFixture {
    pub(crate) fn new(sockets: usize) -> Self {
        let system = actix::System::new();
        let clock = system.block_on(async { Clock::start(DateTime::UNIX_EPOCH) });
        let switchboard = system.block_on(MemorySwitchboard::start(RoomId(Uuid::new_v4()), sockets, clock));
        Self { system, switchboard }
    }

    /// Delivers batches one after another, and waits until each is written.
    pub(crate) fn deliver(&self, after: i64, batches: u64, frames: u64) -> Duration {
        let frames = i64::try_from(frames).expect("few");
        let bytes = Bytes::from(vec![b'x'; FRAME_BYTES * frames.unsigned_abs() as usize]);
        let ends: Arc<[u32]> =
            (1..=frames.unsigned_abs() as u32).map(|frame| frame * FRAME_BYTES as u32).collect();
        self.system.block_on(async {
            let began = tokio::time::Instant::now();
            for batch in 0..i64::try_from(batches).expect("few") {
                let after = Seq(after + batch * frames);
                self.switchboard.deliver(after, bytes.clone(), ends.clone()).await;
            }
            began.elapsed()
        })
    }
}
