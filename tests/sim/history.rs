//! What happened in a run, in order: recorded by the clients, the store and the run itself, checked by the
//! claims.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use actors::domain::ids::{ClientId, MessageId, RoomId, Seq, UserId};
use actors::domain::room_settings::RoomSettings;
use actors::ports::clock::Clock;

/// One attempt of a client.
pub(crate) type Op = u64;
/// One connection of a client.
pub(crate) type Conn = u64;

/// A fact with its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Milliseconds since the start.
    pub(crate) at: u64,
    pub(crate) fact: Fact,
}

/// What an attempt asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// A message; on this connection, if a socket sends it.
    Post { client_id: ClientId, text: String, conn: Option<Conn> },
    /// Several messages, all of them or none.
    Forward { client_ids: Vec<ClientId> },
    /// A new text for a message.
    Edit { message: MessageId, text: String },
    /// The deletion of a message.
    Delete { message: MessageId },
    /// A new name for the room.
    Rename { name: String },
    /// Anything else; judged by its effects.
    Other(&'static str),
}

impl Request {
    /// What the client calls the messages that it asks for.
    pub(crate) fn client_ids(&self) -> &[ClientId] {
        match self {
            Self::Post { client_id, .. } => std::slice::from_ref(client_id),
            Self::Forward { client_ids } => client_ids,
            _ => &[],
        }
    }
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The message is stored.
    Acked { message: MessageId, seq: Seq, duplicate: bool },
    /// It was carried out.
    Done,
    /// It was refused, and nothing of it is ever stored.
    Refused(String),
    /// It may be stored or not: the answer said so, or the connection broke.
    Unknown,
}

/// A row of a log, or what a frame shows of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) room: RoomId,
    pub(crate) seq: Seq,
    /// The frame's type.
    pub(crate) kind: String,
    pub(crate) message: Option<MessageId>,
    /// The text of the message, if the frame has it.
    pub(crate) text: Option<String>,
    /// The position of the message's last change.
    pub(crate) rev: Option<Seq>,
    pub(crate) client_id: Option<ClientId>,
    /// The root of the thread, where it is about a reply's sending or deletion.
    pub(crate) root: Option<MessageId>,
    /// The sender or participant.
    pub(crate) user: Option<UserId>,
    /// In whose right a message was deleted, what reaction, whether one is pinned, a participant's role, or a room's type.
    pub(crate) says: Option<String>,
    /// The user who did it; only the log knows.
    pub(crate) by: Option<UserId>,
    /// The room's settings from then on; only the log knows them.
    pub(crate) settings: Option<RoomSettings>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    /// The store committed a row.
    Committed(Row),
    /// The store changed a user's access.
    RightsChanged { user: UserId, is_active: bool },
    /// The store revoked a user's tokens issued before this second.
    Revoked { user: UserId, from: i64 },
    /// A client asked for something.
    Asked { op: Op, user: UserId, room: RoomId, request: Request },
    /// The attempt ended.
    Answered { op: Op, end: End },
    /// A client opened a socket, with a token issued in that second.
    Opened { conn: Conn, user: UserId, node: usize, issued_at: i64 },
    /// The connection was greeted.
    LetIn { conn: Conn },
    /// The client asked for a room.
    Joining { conn: Conn, room: RoomId, since: Option<Seq> },
    /// The client was told the room's head.
    Joined { conn: Conn, room: RoomId, head: Seq },
    /// The client was told to reset.
    Reset { conn: Conn, room: RoomId, seq: Seq },
    /// The replay was complete.
    Synced { conn: Conn, room: RoomId, seq: Seq },
    /// The subscription was refused.
    Denied { conn: Conn, room: RoomId, code: String },
    /// The client unsubscribed.
    Parted { conn: Conn, room: RoomId },
    /// The client received an event.
    Received { conn: Conn, row: Row },
    /// The client received a frame before the greeting.
    ReceivedEarly { conn: Conn, kind: String },
    /// The client received a read mark.
    Marked { conn: Conn, room: RoomId, user: UserId, up_to: Seq },
    /// The connection ended.
    Closed { conn: Conn, code: Option<u16> },
    /// The faults ended.
    Healed,
    /// At the time when all should be at the head: the position of each client.
    Reached { conn: Conn, user: UserId, room: RoomId, seq: Seq },
    /// The participants of a room with access at that time.
    Roster { room: RoomId, head: Seq, users: BTreeSet<UserId> },
    /// The users with clients that want a room at that time.
    Wanting { user: UserId, room: RoomId },
    /// The unread counts of a list of rooms.
    Unread { conn: Conn, user: UserId, rooms: BTreeMap<RoomId, i64>, total: Option<i64> },
    /// What a client has folded of a room's messages from frames.
    Folded { conn: Conn, room: RoomId, messages: BTreeMap<MessageId, String> },
    /// The same by the store.
    StoredMessages { room: RoomId, messages: BTreeMap<MessageId, String> },
    /// A list of rooms, folded from what the store had at some moment and the frames since.
    Listed {
        conn: Conn,
        user: UserId,
        listed_rows: BTreeMap<RoomId, String>,
        total: i64,
        total_mentions: i64,
    },
    /// The same list by the store.
    StoredList { user: UserId, listed_rows: BTreeMap<RoomId, String>, total: i64, total_mentions: i64 },
    /// The same counts by the store.
    Recount { user: UserId, rooms: BTreeMap<RoomId, i64>, total: i64 },
    /// Who is typing at the end, by a node.
    Typing { node: usize, room: RoomId, users: Vec<UserId> },
    /// Who is online in a room, by a client.
    SeesOnline { conn: Conn, room: RoomId, users: BTreeSet<UserId> },
    /// What an engine still holds after everyone has gone.
    Left { node: usize, what: &'static str, count: usize },
}

/// What happened in one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct History(pub(crate) Vec<Entry>);

impl History {
    /// All facts with their times.
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

/// Records a history. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Recorder {
    clock: Clock,
    entries: Arc<Mutex<Vec<Entry>>>,
}

impl Recorder {
    /// A recorder that takes the time from `clock`.
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, entries: Arc::default() }
    }

    /// Records a fact.
    pub(crate) fn note(&self, fact: Fact) {
        let at = u64::try_from(self.clock.now().as_millis()).unwrap_or(u64::MAX);
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).push(Entry { at, fact });
    }

    /// The history so far.
    pub(crate) fn history(&self) -> History {
        History(self.entries.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}
