//! Every bound of the engine, with its unit and its reason.

use std::time::Duration;

use crate::domain::rate::Rate;

/// What an operator may set.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Messages of one person in one room.
    pub messages: Rate,
    /// Edits and deletions of one person in one room.
    pub changes: Rate,
    /// Moves of one person's read mark in one room.
    pub reads: Rate,
    /// Rooms that one person asks for and that nobody is in on this node; who turns out to be in the room
    /// is given it back.
    pub lookups: Rate,
    /// Frames of one socket.
    pub frames: Rate,
    /// Sockets of one person at once, on this node.
    pub sockets_per_user: usize,
    /// Events that a reconnecting client is replayed; beyond, it is told to reset.
    pub replay_events_max: usize,
    /// Bytes that may wait for one socket.
    pub outbox_bytes_max: usize,
    /// Frames that may wait for one socket.
    pub outbox_frames_max: usize,
    /// How long a socket with something waiting may make no progress.
    pub stalled_after: Duration,
    /// Bad frames in [`BAD_FRAMES_WITHIN`] that end a connection.
    pub bad_frames_max: u32,
    /// Refusals for their rate in [`REFUSALS_WITHIN`] that end a connection.
    pub refusals_max: u32,
    /// How often a silent socket is pinged.
    pub ping_every: Duration,
    /// How long a socket may say nothing, not even a pong.
    pub silent_after: Duration,
    /// How long a command may wait for the store.
    pub store_patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            messages: Rate::new(10.0, 100),
            changes: Rate::new(5.0, 50),
            reads: Rate::new(10.0, 100),
            lookups: Rate::new(10.0, 1_000),
            frames: Rate::new(50.0, 200),
            sockets_per_user: 20,
            replay_events_max: 1_000,
            outbox_bytes_max: 1 << 20,
            outbox_frames_max: 1_000,
            stalled_after: Duration::from_secs(10),
            bad_frames_max: 10,
            refusals_max: 100,
            ping_every: Duration::from_secs(25),
            silent_after: Duration::from_secs(60),
            store_patience: Duration::from_secs(5),
        }
    }
}

/// Commands in one transaction: enough to make the commit's cost vanish, few enough that a batch
/// takes some ten milliseconds.
pub const BATCH_COMMANDS_MAX: usize = 500;
/// Transactions under way at once: one writes while another waits for its commit.
pub const BATCHES_IN_FLIGHT_MAX: usize = 2;
/// Rooms waited for on their own at once, because another transaction holds their lock.
pub const LANES_MAX: usize = 4;
/// How long a room is left alone whose lock was not had, and the store that could not be reached.
pub const STORE_RETRY: Duration = Duration::from_millis(100);
/// Commands that may wait for the store on one node; at 20,000 a second, half a second's worth.
pub const QUEUED_COMMANDS_MAX: usize = 10_000;
/// Commands of one room that may wait for the store.
pub const ROOM_PENDING_MAX: usize = 1_000;
/// Commands of one session that may be unanswered.
pub const SESSION_PENDING_MAX: usize = 128;
/// How long a command may be unanswered, whatever the store does: a second less than is promised.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(9);
/// How often it is looked for those who wait longer.
pub const ANSWER_LOOK_EVERY: Duration = Duration::from_millis(500);
/// Frames that a room keeps for those who come back.
pub const RING_FRAMES_MAX: usize = 256;
/// Bytes that a room keeps for those who come back.
pub const RING_BYTES_MAX: usize = 256 * 1024;
/// Events read at once for a replay or a gap.
pub const REPLAY_PAGE: usize = 200;
/// How long a gap waits for the link before the store is read.
pub const GAP_PATIENCE: Duration = Duration::from_millis(50);
/// How long it waits for a store that could not be read.
pub const GAP_RETRY: Duration = Duration::from_millis(500);
/// How long a socket waits at the start until the feed of commits is being followed.
pub const OPEN_PATIENCE: Duration = Duration::from_secs(5);
/// How often the feed of commits is read while the link works.
pub const SWEEP_EVERY: Duration = Duration::from_millis(1_500);
/// How soon it is read when something may have been missed, and no sooner after the last time.
pub const SWEEP_SOON: Duration = Duration::from_millis(100);
/// How often the feed of commits is read while the link doesn't work.
pub const SWEEP_EVERY_ALONE: Duration = Duration::from_millis(500);
/// How long a room without sockets stays.
pub const ROOM_IDLE: Duration = Duration::from_secs(30);
/// Rooms of more people tell no presence.
pub const PRESENCE_PEOPLE_MAX: usize = 200;
/// In rooms of more people one who comes is told of his own read mark alone: of all of them, some 70 bytes
/// for each, his socket could not take in more than one room's.
pub const READ_STATE_PEOPLE_MAX: usize = 1_000;
/// How long someone whose last socket closed counts as online still: a page that is reloaded.
pub const OFFLINE_AFTER: Duration = Duration::from_secs(4);
/// How long another node's announcement of who is there holds: with [`ANNOUNCE_EVERY`], which is also
/// how often that is looked at, a dead node's people are gone after 25 s at most, and three lost
/// announcements do no harm.
pub const NODE_SILENT_AFTER: Duration = Duration::from_secs(20);
/// How often a node announces who is there.
pub const ANNOUNCE_EVERY: Duration = Duration::from_secs(5);
/// How long an announcement waits that is due before its time, for others that ask for it too.
pub const ANNOUNCE_SOON: Duration = Duration::from_millis(100);
/// How long a socket gets to take its close frame.
pub const CLOSE_PATIENCE: Duration = Duration::from_secs(2);
/// The same for one that was too slow: it may read on only now, and is to learn why it was closed.
/// Meanwhile it holds no more than one piece of what waited for it.
pub const CLOSE_PATIENCE_SLOW: Duration = Duration::from_secs(30);
/// See [`Limits::bad_frames_max`].
pub const BAD_FRAMES_WITHIN: Duration = Duration::from_secs(60);
/// See [`Limits::refusals_max`].
pub const REFUSALS_WITHIN: Duration = Duration::from_secs(10);
/// How long nothing is read from a socket whose command found too many waiting: its next ones come together
/// then, and refusing them costs less than committing those of others.
pub const OVERLOAD_PAUSE: Duration = Duration::from_millis(100);
/// Rooms that one user socket may be subscribed to.
pub const SUBSCRIPTIONS_MAX: usize = 500;
/// Subscriptions and their ends that may wait for the answer to an earlier one of the same room.
pub const WISHES_MAX: usize = 16;
/// How long typing lasts without being told again.
pub const TYPING_LASTS: Duration = Duration::from_secs(6);
/// How long typing that another node told of lasts: that node tells of its end, unless it died.
pub const TYPING_LASTS_ELSEWHERE: Duration = Duration::from_secs(10);
/// A repeat of typing that is passed on no sooner than this.
pub const TYPING_REPEAT: Duration = Duration::from_secs(2);
/// Changes of typing passed on within [`TYPING_CHANGES_WITHIN`], of whichever moment that begins.
pub const TYPING_CHANGES_MAX: usize = 4;
/// See [`TYPING_CHANGES_MAX`].
pub const TYPING_CHANGES_WITHIN: Duration = Duration::from_secs(10);
/// A state that has lasted for this long is passed on beyond [`TYPING_CHANGES_MAX`]: it is the last one.
pub const TYPING_SETTLES: Duration = Duration::from_millis(2_500);
/// How often it is looked for rooms that are no longer muted.
pub const LAPSES_EVERY: Duration = Duration::from_millis(500);
/// How long changes of someone's list of rooms are gathered before they are told.
pub const INBOX_GATHER: Duration = Duration::from_millis(50);
/// Lines of such a list that a socket is told at once when it is told all of them anew: a quarter of the
/// signals that may wait for it, so that what changes meanwhile has room too.
pub const INBOX_RETOLD_AT_ONCE: usize = 64;
/// How long lines of such lists wait for a store that could not be read; longer each time, up to
/// [`INBOX_RETRY_MAX`].
pub const INBOX_RETRY: Duration = Duration::from_millis(250);
/// See [`INBOX_RETRY`].
pub const INBOX_RETRY_MAX: Duration = Duration::from_secs(2);
