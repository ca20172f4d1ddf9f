//! What happened in a run, in order: written by the clients, the store and the run itself, read by the
//! claims.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use actors::domain::ids::{ClientId, MessageId, RoomId, Seq, UserId};
use actors::ports::clock::Clock;

/// One attempt of a client to have something done.
pub(crate) type Op = u64;
/// One connection of a client.
pub(crate) type Conn = u64;

/// Something that happened, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Milliseconds since the start.
    pub(crate) at: u64,
    /// What happened.
    pub(crate) fact: Fact,
}

/// What is wanted by an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// A message; on this connection, where it is sent by a socket.
    Post { client_id: ClientId, text: String, conn: Option<Conn> },
    /// Another text for a message.
    Edit { message: MessageId, text: String },
    /// A message's end.
    Delete { message: MessageId },
    /// Another name for the room.
    Rename { name: String },
    /// Anything else; judged by what is seen of it.
    Other(&'static str),
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The message is stored.
    Acked { message: MessageId, seq: Seq, duplicate: bool },
    /// It is done.
    Done,
    /// It is not done and never will be.
    Refused(String),
    /// It may be done or not: so the answer says, or the connection broke.
    Unknown,
}

/// What a row of a log or a frame of it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) room: RoomId,
    pub(crate) seq: Seq,
    /// The frame's type.
    pub(crate) kind: String,
    pub(crate) message: Option<MessageId>,
    /// The text of the message, where the frame carries it.
    pub(crate) text: Option<String>,
    /// The position of the message's last change.
    pub(crate) rev: Option<Seq>,
    pub(crate) client_id: Option<ClientId>,
    /// The sender, or whom it is about.
    pub(crate) user: Option<UserId>,
    /// In whose right a message is gone, a person's role, a room's kind.
    pub(crate) says: Option<String>,
    /// Who did it, which the log alone knows.
    pub(crate) by: Option<UserId>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    /// The store committed a row.
    Committed(Row),
    /// The store changed whether someone may be here.
    RightsChanged { user: UserId, is_active: bool },
    /// The store made a person's tokens from before this second void.
    Revoked { user: UserId, from: i64 },
    /// A client wants something.
    Asked { op: Op, user: UserId, room: RoomId, wish: Wish },
    /// It has its answer.
    Answered { op: Op, end: End },
    /// A client opens a socket, with a token from that second.
    Opened { conn: Conn, user: UserId, node: usize, issued_at: i64 },
    /// It is let in.
    LetIn { conn: Conn },
    /// It wants to hear a room.
    Joining { conn: Conn, room: RoomId, since: Option<Seq> },
    /// It is told where the room stands.
    Joined { conn: Conn, room: RoomId, head: Seq },
    /// It can't be told what it missed.
    Reset { conn: Conn, room: RoomId, seq: Seq },
    /// It has been told what it missed.
    Synced { conn: Conn, room: RoomId, seq: Seq },
    /// It may not hear the room.
    Denied { conn: Conn, room: RoomId, code: String },
    /// It no longer wants to hear the room.
    Parted { conn: Conn, room: RoomId },
    /// It is told an event.
    Told { conn: Conn, row: Row },
    /// It is told something before it is let in.
    ToldEarly { conn: Conn, kind: String },
    /// It is told how far someone has read.
    Marked { conn: Conn, room: RoomId, user: UserId, up_to: Seq },
    /// It has ended.
    Closed { conn: Conn, code: Option<u16> },
    /// No more faults.
    Healed,
    /// All should be where the log is: how far each client has come.
    Reached { conn: Conn, user: UserId, room: RoomId, seq: Seq },
    /// Who is in a room at that time, and may be.
    Roster { room: RoomId, head: Seq, users: BTreeSet<UserId> },
    /// Which people have clients that want to hear a room at that time.
    Wanting { user: UserId, room: RoomId },
    /// What a list of rooms shows of the unread.
    Unread { conn: Conn, user: UserId, rooms: BTreeMap<RoomId, i64>, total: Option<i64> },
    /// What a list of rooms shows, folded from what the store had at some moment and what was told since.
    Listed { conn: Conn, user: UserId, lines: BTreeMap<RoomId, String>, total: i64 },
    /// What the store has of it.
    Lines { user: UserId, lines: BTreeMap<RoomId, String>, total: i64 },
    /// What the store counts.
    Recount { user: UserId, rooms: BTreeMap<RoomId, i64>, total: i64 },
    /// Who is typing at the end, as a node has it.
    Typing { node: usize, room: RoomId, users: Vec<UserId> },
    /// Who is online in a room, as a client has it.
    SeesOnline { conn: Conn, room: RoomId, users: BTreeSet<UserId> },
    /// What is left in an engine when all have gone.
    Left { node: usize, what: &'static str, count: usize },
}

/// What happened in one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct History(pub(crate) Vec<Entry>);

impl History {
    /// Every fact with its time.
    pub(crate) fn facts(&self) -> impl Iterator<Item = (u64, &Fact)> {
        self.0.iter().map(|entry| (entry.at, &entry.fact))
    }

    /// The rows of the logs, in the order of their commits.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (u64, &Row)> {
        self.facts().filter_map(|(at, fact)| match fact {
            Fact::Committed(row) => Some((at, row)),
            _ => None,
        })
    }

    /// When the faults ended.
    pub(crate) fn healed_at(&self) -> u64 {
        self.facts().find(|(_, fact)| matches!(fact, Fact::Healed)).map_or(u64::MAX, |(at, _)| at)
    }
}

/// Writes a history. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Recorder {
    clock: Clock,
    entries: Arc<Mutex<Vec<Entry>>>,
}

impl Recorder {
    /// A recorder that dates by `clock`.
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, entries: Arc::default() }
    }

    /// Writes down what happens now.
    pub(crate) fn note(&self, fact: Fact) {
        let at = u64::try_from(self.clock.now().as_millis()).unwrap_or(u64::MAX);
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).push(Entry { at, fact });
    }

    /// What was written so far.
    pub(crate) fn history(&self) -> History {
        History(self.entries.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}
