//! Every bound of the engine, with its unit and its reason.

use std::time::Duration;

use crate::domain::rate::Rate;

/// The bounds that an operator may set.
#[derive(Clone, Debug)]
pub struct Limits {
    /// New messages of one user in one room.
    pub messages: Rate,
    /// New messages of one user in one room that are urgent; they don't count among the others.
    pub urgent_messages: Rate,
    /// Edits and deletions of one user in one room.
    pub changes: Rate,
    /// Moves of one user's read mark in one room.
    pub reads: Rate,
    /// Rooms that one user asks for and that aren't loaded on this node. A user who turns out to be in the
    /// room gets the use back.
    pub lookups: Rate,
    /// Frames from one socket.
    pub frames: Rate,
    /// Concurrent sockets of one user on this node.
    pub sockets_per_user: usize,
    /// Events replayed to a reconnecting client; a client that missed more is told to reset.
    pub replay_events_max: usize,
    /// Bytes queued for one socket.
    pub outbox_bytes_max: usize,
    /// Frames queued for one socket.
    pub outbox_frames_max: usize,
    /// How long a socket with queued frames may make no progress.
    pub write_stall_timeout: Duration,
    /// Bad frames within [`BAD_FRAMES_WINDOW`] that close a connection.
    pub bad_frames_max: u32,
    /// Rate-limit refusals within [`REFUSALS_WINDOW`] that close a connection.
    pub refusals_max: u32,
    /// How often an idle socket is pinged.
    pub ping_interval: Duration,
    /// How long a socket may send nothing, not even a pong.
    pub idle_timeout: Duration,
    /// How long a command may wait for the store.
    pub store_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            messages: Rate::new(10.0, 100),
            urgent_messages: Rate::new(5.0 / 60.0, 5),
            changes: Rate::new(5.0, 50),
            reads: Rate::new(10.0, 100),
            lookups: Rate::new(10.0, 1_000),
            frames: Rate::new(50.0, 200),
            sockets_per_user: 20,
            replay_events_max: 1_000,
            outbox_bytes_max: 1 << 20,
            outbox_frames_max: 1_000,
            write_stall_timeout: Duration::from_secs(10),
            bad_frames_max: 10,
            refusals_max: 100,
            ping_interval: Duration::from_secs(25),
            idle_timeout: Duration::from_secs(60),
            store_timeout: Duration::from_secs(5),
        }
    }
}

/// Commands in one transaction, by their weight: enough to amortise the commit, few enough that a batch takes
/// about ten milliseconds.
pub const BATCH_COMMANDS_MAX: usize = 500;
/// Concurrent transactions: one writes while another waits for its commit.
pub const BATCHES_IN_FLIGHT_MAX: usize = 2;
/// Rooms whose lock another transaction holds that are appended to concurrently, each on its own.
pub const LOCKED_ROOM_RETRIES_MAX: usize = 4;
/// The pause before a locked room, or a store that could not be reached, is tried again.
pub const STORE_RETRY_DELAY: Duration = Duration::from_millis(100);
/// Commands queued for the store on one node, by their weight: half a second's worth at 20,000 a second.
pub const QUEUED_COMMANDS_MAX: usize = 10_000;
/// Commands of one room queued for the store.
pub const ROOM_PENDING_MAX: usize = 1_000;
/// Unanswered commands of one session.
pub const SESSION_PENDING_MAX: usize = 128;
/// How long a command may be unanswered, whatever the store does: a second less than promised.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(9);
/// How often commands are checked against [`COMMAND_TIMEOUT`].
pub const COMMAND_TIMEOUT_SCAN_INTERVAL: Duration = Duration::from_millis(500);
/// Frames that a room keeps for reconnecting clients.
pub const RING_FRAMES_MAX: usize = 256;
/// Bytes that a room keeps for reconnecting clients.
pub const RING_BYTES_MAX: usize = 256 * 1024;
/// Events read at once for a replay or a gap.
pub const REPLAY_PAGE_EVENTS: usize = 200;
/// How long a gap may be filled by the broker before the store is read.
pub const GAP_READ_DELAY: Duration = Duration::from_millis(50);
/// The pause before a gap is read again from a store that failed.
pub const GAP_RETRY_DELAY: Duration = Duration::from_millis(500);
/// How long a new socket waits at startup until the change feed is followed.
pub const FEED_START_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the change feed is read while the broker works.
pub const FEED_POLL_INTERVAL: Duration = Duration::from_millis(1_500);
/// The pause before the change feed is read out of turn, because something may have been missed.
pub const FEED_POLL_MIN_INTERVAL: Duration = Duration::from_millis(100);
/// How often the change feed is read while the broker doesn't work.
pub const FEED_POLL_INTERVAL_WITHOUT_BROKER: Duration = Duration::from_millis(500);
/// How long a room without sockets stays loaded.
pub const ROOM_IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Larger rooms send no presence.
pub const PRESENCE_PARTICIPANTS_MAX: usize = 200;
/// In larger rooms a new subscriber gets only the user's own read mark: at about 70 bytes each, a socket's
/// queue would hold the marks of no more than one such room.
pub const READ_STATE_PARTICIPANTS_MAX: usize = 1_000;
/// How long a user counts as online after the last socket closed, so that a page reload doesn't show.
pub const OFFLINE_DELAY: Duration = Duration::from_secs(4);
/// How long another node's heartbeat is valid. With [`HEARTBEAT_INTERVAL`], which is also how often this is
/// checked, a dead node's users are offline after 25 s at most, and three lost heartbeats do no harm.
pub const NODE_TIMEOUT: Duration = Duration::from_secs(20);
/// How often a node announces its online users.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);
/// How long an announcement out of turn waits, to cover further requests.
pub const HEARTBEAT_MIN_DELAY: Duration = Duration::from_millis(100);
/// How long a socket has to take its close frame.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// The same for a socket that was too slow: it may resume reading only now, and should learn why it was closed.
/// Meanwhile it holds one chunk of its queue at most.
pub const SLOW_CLOSE_TIMEOUT: Duration = Duration::from_secs(30);
/// See [`Limits::bad_frames_max`].
pub const BAD_FRAMES_WINDOW: Duration = Duration::from_secs(60);
/// See [`Limits::refusals_max`].
pub const REFUSALS_WINDOW: Duration = Duration::from_secs(10);
/// How long nothing is read from a socket after its command was refused as overload: its next commands arrive
/// together then, and refusing those costs less than committing those of others.
pub const OVERLOAD_PAUSE: Duration = Duration::from_millis(100);
/// Subscriptions of one user socket.
pub const SUBSCRIPTIONS_MAX: usize = 500;
/// Subscribe and unsubscribe requests queued behind an unanswered one of the same room.
pub const PENDING_JOINS_MAX: usize = 16;
/// How long a user counts as typing without a repeat.
pub const TYPING_TTL: Duration = Duration::from_secs(6);
/// The same for typing reported by another node, which also reports its end unless it died.
pub const REMOTE_TYPING_TTL: Duration = Duration::from_secs(10);
/// The shortest interval between repeats that are passed on.
pub const TYPING_REPEAT_INTERVAL: Duration = Duration::from_secs(2);
/// Changes of one user's typing passed on within any [`TYPING_CHANGES_WINDOW`].
pub const TYPING_CHANGES_MAX: usize = 4;
/// See [`TYPING_CHANGES_MAX`].
pub const TYPING_CHANGES_WINDOW: Duration = Duration::from_secs(10);
/// A typing state that has lasted this long is passed on beyond [`TYPING_CHANGES_MAX`]: it is the last one.
pub const TYPING_SETTLE_DELAY: Duration = Duration::from_millis(2_500);
/// How often expired mutes are looked for.
pub const MUTE_EXPIRY_INTERVAL: Duration = Duration::from_millis(500);
/// How long changes of a user's list of rooms are gathered before they are sent.
pub const INBOX_COALESCE_DELAY: Duration = Duration::from_millis(50);
/// Rows of a list that are sent at once when a socket gets all of them again: a quarter of the signals that may
/// be queued for it, so that there is room for changes too.
pub const INBOX_RESEND_ROWS_MAX: usize = 64;
/// The pause before rows are read again from a store that failed; it doubles up to [`INBOX_RETRY_DELAY_MAX`].
pub const INBOX_RETRY_DELAY: Duration = Duration::from_millis(250);
/// See [`INBOX_RETRY_DELAY`].
pub const INBOX_RETRY_DELAY_MAX: Duration = Duration::from_secs(2);

/// Entries of a personal log that are read at once. One may hold a text of 20,000 code points.
pub const PERSONAL_PAGE_ENTRIES: usize = 25;
/// Bytes of a personal log queued for a socket at once: a quarter of its queue by default.
pub const PERSONAL_PAGE_BYTES: usize = 256 * 1024;

/// How long a command waits until a socket of its bot has it: half a second less than promised.
pub const BOT_CALL_TIMEOUT: Duration = Duration::from_millis(2_500);
/// Commands that wait for bots on one node.
pub const BOT_CALLS_MAX: usize = 1_000;
/// Budgets of who calls bots that are kept before full ones are dropped.
pub const BOT_BUDGETS_MIN: usize = 64;

/// Events of the broker that wait for the relay; what doesn't fit is dropped, and found in the log.
pub const BROKER_EVENTS_MAX: usize = 1_024;

/// What keeps the messages of one kind of sender few while they wait in a mailbox.
///
/// actix bounds a mailbox only for senders that wait for an answer. Any other sender holds one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credit {
    /// Each of them has at most this number of messages waiting.
    Each(usize),
    /// Each of them sends one message for a client's frame, and [`Limits::frames`] bounds those.
    Frames,
    /// They send one message for each room of a batch, and [`BATCHES_IN_FLIGHT_MAX`] batches are under way.
    Commits,
    /// They pass on what other nodes and the feed of commits tell, one envelope or page at a time.
    Relayed,
    /// All of them together have at most this number of messages waiting.
    All(usize),
}

/// The kinds of senders that may send to an actor without waiting, each with its credit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MailboxBound(pub(crate) &'static [(&'static str, Credit)]);

impl MailboxBound {
    /// Returns whether there is an entry, and none that lets nobody send.
    pub(crate) const fn is_declared(self) -> bool {
        let mut at = 0;
        while at < self.0.len() {
            if matches!(self.0[at].1, Credit::Each(0) | Credit::All(0)) {
                return false;
            }
            at += 1;
        }
        at > 0
    }
}

/// A room asks to be confirmed once, and retires once; a session that ends leaves the rooms it was joining.
pub(crate) const REGISTRY_MAILBOX: MailboxBound = MailboxBound(&[
    ("room", Credit::Each(2)),
    ("session", Credit::Each(SUBSCRIPTIONS_MAX)),
    ("persistence", Credit::Commits),
    ("relay", Credit::Relayed),
    ("users", Credit::Relayed),
]);
/// A room counts what its sessions send, too: [`ROOM_PENDING_MAX`] and [`SESSION_PENDING_MAX`].
pub(crate) const ROOM_MAILBOX: MailboxBound = MailboxBound(&[
    ("session", Credit::Frames),
    ("caller of the engine", Credit::All(ROOM_PENDING_MAX)),
    ("persistence", Credit::Commits),
    ("registry", Credit::Relayed),
    ("switchboard", Credit::Each(SUBSCRIPTIONS_MAX)),
    ("users", Credit::Relayed),
]);
/// A connection hands over one read at a time; a room answers what it was asked.
pub(crate) const SESSION_MAILBOX: MailboxBound = MailboxBound(&[
    ("connection", Credit::Each(1)),
    ("room", Credit::Frames),
    ("bots", Credit::Frames),
    ("switchboard", Credit::Each(2)),
    ("users", Credit::Each(1)),
]);
/// What a socket doesn't take in time fills its outbox, whose bounds close it.
pub(crate) const SWITCHBOARD_MAILBOX: MailboxBound = MailboxBound(&[
    ("session", Credit::Frames),
    ("room", Credit::Commits),
    ("inbox", Credit::Each(INBOX_RESEND_ROWS_MAX)),
]);
/// More than this are refused, by sessions before they are sent.
pub(crate) const PERSISTENCE_MAILBOX: MailboxBound =
    MailboxBound(&[("room", Credit::All(QUEUED_COMMANDS_MAX))]);
/// A session registers, is activated, renews its token and unregisters; a room watches and unwatches.
pub(crate) const USERS_MAILBOX: MailboxBound =
    MailboxBound(&[("session", Credit::Each(4)), ("room", Credit::Commits), ("relay", Credit::Relayed)]);
/// A session subscribes and unsubscribes, and asks for one page of the list and of the personal log at a time.
pub(crate) const INBOX_MAILBOX: MailboxBound = MailboxBound(&[
    ("session", Credit::Each(4)),
    ("persistence", Credit::Commits),
    ("relay", Credit::Relayed),
]);
/// Rooms throttle typing before they publish it, by [`TYPING_CHANGES_MAX`].
pub(crate) const RELAY_MAILBOX: MailboxBound = MailboxBound(&[
    ("broker", Credit::Each(1)),
    ("persistence", Credit::Commits),
    ("room", Credit::Each(TYPING_CHANGES_MAX)),
    ("users", Credit::Each(2)),
    ("inbox", Credit::Commits),
    ("bots", Credit::All(BOT_CALLS_MAX)),
]);
/// Whoever calls a bot waits for the answer.
pub(crate) const BOTS_MAILBOX: MailboxBound = MailboxBound(&[("relay", Credit::Relayed)]);
