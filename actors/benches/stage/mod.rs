//! What the benches stand on: rooms in a memory store, and a switchboard whose sockets take everything.

use std::io::{self, IoSlice};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use actix::{Actor, Addr};
use actors::domain::command::{Actor as Author, Change, Command, Draft, OpenRoom, StrayReply};
use actors::domain::event::Event;
use actors::domain::ids::{ClientId, MessageId, NodeId, RoomId, Seq, UserId};
use actors::domain::message::MessageType;
use actors::domain::person;
use actors::domain::room::RoomType;
use actors::engine::{EngineHandle, Parts};
use actors::limits::Limits;
use actors::memory::store::MemoryStore;
use actors::ports::clock::Clock;
use actors::ports::identity::{Credential, Identity};
use actors::ports::store::Store;
use actors::ports::wire::Wire;
use actors::protocol::envelope::LinkKey;
use actors::session::{Connect, Target};
use actors::switchboard::{Attach, Batch, Deliver, Enter, SwitchboardActor, Uncork, Unsent};
use actors::worker::Worker;
use async_trait::async_trait;
use bytes::Bytes;
use chrono::DateTime;
use uuid::Uuid;

const ANN: UserId = UserId(1);
const BOB: UserId = UserId(2);
/// The length of a frame that tells of a message with 64 letters of text.
const FRAME_BYTES: usize = 387;

/// A memory store with rooms of two people.
pub(crate) struct Village {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) rooms: Vec<RoomId>,
    runtime: tokio::runtime::Runtime,
}

impl Village {
    pub(crate) fn new(rooms: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let store = {
            let _inside = runtime.enter();
            Arc::new(MemoryStore::default())
        };
        for (id, name) in [(ANN, "ann"), (BOB, "bob")] {
            store.put_person(person::Author::new(id, name, ""), true);
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

    /// Messages in all rooms by turns.
    pub(crate) fn batch(&self, size: usize) -> Vec<Arc<Command>> {
        (0..size).map(|n| Arc::new(post(self.rooms[n % self.rooms.len()]))).collect()
    }

    /// Posts so many messages in the first room and gives its log.
    pub(crate) fn replay(&self, messages: usize) -> Vec<Event> {
        let batch: Vec<_> = (0..messages).map(|_| Arc::new(post(self.rooms[0]))).collect();
        self.wait(self.store.append(&batch, false)).expect("the store works");
        self.wait(self.store.events(self.rooms[0], Seq(0), usize::MAX)).expect("the store works")
    }
}

fn opening() -> OpenRoom {
    OpenRoom {
        id: RoomId(Uuid::new_v4()),
        by: Author::Person(ANN),
        room_type: RoomType::Group,
        name: "a room".into(),
        subject: None,
        title: None,
        people: vec![BOB],
        granted: None,
        open_subjects: true,
    }
}

fn post(room: RoomId) -> Command {
    let content = "x".repeat(64);
    let draft = Draft {
        id: MessageId(Uuid::new_v4()),
        client_id: Some(ClientId(Uuid::new_v4())),
        digest: Draft::digest_of(&content, None, None),
        content,
        message_type: MessageType::Text,
        attachment: None,
        reply_to: None,
        stray_reply: StrayReply::Drop,
    };
    Command { room, by: Author::Person(ANN), change: Change::Post(draft) }
}

/// People who all come into one room and go again.
pub(crate) struct Crowd {
    system: actix::SystemRunner,
    engine: EngineHandle,
    worker: Rc<Worker>,
    room: RoomId,
    people: usize,
}

impl Crowd {
    pub(crate) fn new(people: usize) -> Self {
        let system = actix::System::new();
        let users: Vec<UserId> = (1..).map(UserId).take(people).collect();
        let (engine, worker, room) = system.block_on(async {
            let store = Arc::new(MemoryStore::default());
            for user in &users {
                store.put_person(person::Author::new(*user, &format!("user{user}"), ""), true);
            }
            let open = OpenRoom { people: users[1..].to_vec(), ..opening() };
            let opened = store.open_room(&open).await.expect("the store works").expect("it may be made");
            let engine = EngineHandle::start(parts(store, Clock::start(DateTime::UNIX_EPOCH)));
            let worker = engine.worker();
            (engine, worker, opened.room)
        });
        Self { system, engine, worker, room, people }
    }

    /// Lets all of them come and, when all have been let in, go at once; how long each took.
    pub(crate) fn comes_and_goes(&self) -> (Duration, Duration) {
        self.system.block_on(async {
            let greeted = Arc::new(AtomicUsize::new(0));
            let began = tokio::time::Instant::now();
            let users = (1..).map(UserId).take(self.people);
            let target = Target::Room { room: self.room, since: None, epoch: None };
            let sessions: Vec<_> = users
                .map(|user| {
                    let wire = Box::new(Door { greeted: greeted.clone(), is_fresh: true });
                    self.worker.connect(connect(user, target, wire))
                })
                .collect();
            while greeted.load(Ordering::Relaxed) < self.people {
                tokio::task::yield_now().await;
            }
            let came = began.elapsed();
            let began = tokio::time::Instant::now();
            drop(sessions);
            loop {
                let counts = self.engine.census().await;
                if counts.iter().all(|(what, count)| *what != "sockets" || *count == 0) {
                    return (came, began.elapsed());
                }
            }
        })
    }
}

fn parts(store: Arc<MemoryStore>, clock: Clock) -> Parts {
    Parts {
        node: NodeId(Uuid::nil()),
        limits: Limits::default(),
        clock,
        store,
        identity: Arc::new(Nobody),
        link: None,
        link_key: LinkKey::new(b"a key of the bench, of no use elsewhere"),
    }
}

fn connect(user: UserId, target: Target, wire: Box<dyn Wire>) -> Connect {
    let expires_in = Duration::from_secs(3_600);
    Connect {
        credential: Credential { user, issued_at: 0, expires_at: DateTime::UNIX_EPOCH, expires_in },
        grace: Duration::ZERO,
        target,
        wire,
        accept: Bytes::from_static(b"HTTP/1.1 101 Switching Protocols"),
        refuse: None,
    }
}

/// A socket that takes everything, and counts itself when it is let in.
struct Door {
    greeted: Arc<AtomicUsize>,
    is_fresh: bool,
}

impl Wire for Door {
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

/// A socket that takes everything at once.
struct Abyss;

impl Wire for Abyss {
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
pub(crate) struct Board {
    system: actix::SystemRunner,
    switchboard: Addr<SwitchboardActor>,
    room: RoomId,
}

impl Board {
    pub(crate) fn new(sockets: usize) -> Self {
        let system = actix::System::new();
        let room = RoomId(Uuid::new_v4());
        let switchboard = system.block_on(async {
            let clock = Clock::start(DateTime::UNIX_EPOCH);
            let worker = EngineHandle::start(parts(Arc::default(), clock)).worker();
            let session = worker.connect(connect(ANN, Target::User, Box::new(Abyss)));
            let switchboard = SwitchboardActor::new(Arc::new(Limits::default()), clock).start();
            for _ in 0..sockets {
                let attach = Attach { wire: Box::new(Abyss), session: session.downgrade() };
                let outbox = switchboard.send(attach).await.expect("it lives");
                switchboard.do_send(Uncork { outbox, first: Bytes::new() });
                switchboard.do_send(Enter { room, outbox, position: Seq(0) });
            }
            switchboard
        });
        Self { system, switchboard, room }
    }

    /// Delivers so many batches, one after another, and waits until each is written.
    pub(crate) fn deliver(&self, after: i64, batches: u64, frames: u64) -> Duration {
        let frames = i64::try_from(frames).expect("few");
        let bytes = Bytes::from(vec![b'x'; FRAME_BYTES * frames.unsigned_abs() as usize]);
        let ends: Arc<[u32]> =
            (1..=frames.unsigned_abs() as u32).map(|frame| frame * FRAME_BYTES as u32).collect();
        self.system.block_on(async {
            let began = tokio::time::Instant::now();
            for batch in 0..i64::try_from(batches).expect("few") {
                let after = Seq(after + batch * frames);
                let batch = Batch { after, bytes: bytes.clone(), ends: ends.clone() };
                self.switchboard.do_send(Deliver { room: self.room, batch });
                while self.switchboard.send(Unsent).await.expect("it lives") > 0 {}
            }
            began.elapsed()
        })
    }
}
