//! One switchboard per worker thread: it owns the outboxes of that thread's sockets and knows which
//! of them hear which room.
//!
//! A room sends the bytes of its new frames once per worker; the switchboard pushes them into the
//! outboxes, and when its mailbox has been worked off it writes each touched socket once.

mod ends;
mod rooms;
mod signals;
#[cfg(all(test, feature = "memory"))]
mod tests;
mod writing;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, AsyncContext, Context, Handler, Message, MessageResult, SpawnHandle, WeakAddr};
use bytes::Bytes;
use slab::Slab;

pub use self::ends::{Close, CloseAll, Detach, Expire, GoAway, Unsent};
pub use self::rooms::{Batch, Broadcast, Deliver, Enter, Exit};
pub use self::signals::{AskWhenOut, ForgetSignal, PushSignal};
use self::writing::{Flush, Writable};
use crate::census::Counts;
use crate::domain::ids::{RoomId, Seq};
use crate::limits::{self, Limits};
use crate::outbox::{Flushed, Outbox, Turn};
use crate::ports::clock::Clock;
use crate::ports::wire::Wire;
use crate::protocol::close::CloseCode;
use crate::protocol::codec;
use crate::protocol::server::ServerFrame;
use crate::room::RoomActor;
use crate::session::{Closing, SessionActor, SessionId, TellAnew};

/// How often the switchboard looks at sockets that are blocked, expiring or closing.
const TICK: Duration = Duration::from_secs(1);
/// In how many ticks every socket is looked at for silence, at most.
const WHEEL_MAX: u64 = 5;

/// Names one outbox of one switchboard, for as long as its socket lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutboxId {
    slot: u32,
    generation: u32,
}

/// An outbox, and where it is.
#[derive(Clone)]
pub struct OutboxRef {
    /// The switchboard that owns it.
    pub switchboard: Addr<SwitchboardActor>,
    /// The worker thread of that switchboard.
    pub worker: usize,
    /// Which one it is there.
    pub id: OutboxId,
}

impl OutboxRef {
    /// Queues one frame.
    pub fn push(&self, bytes: Bytes) {
        self.switchboard.do_send(Push { outbox: self.id, bytes });
    }

    /// Encodes and queues one frame.
    pub fn send(&self, frame: &ServerFrame<'_>) {
        self.push(codec::encode(frame));
    }

    /// Ends the connection after what is queued.
    pub fn close(&self, code: CloseCode) {
        self.switchboard.do_send(Close { outbox: self.id, code });
    }
}

struct Entry {
    outbox: Outbox,
    generation: u32,
    expires_at: Option<Duration>,
    stalled_since: Duration,
    pinged_at: Duration,
    close_by: Option<Duration>,
    /// The rooms that it hears, and where it stands among those who hear each: thousands may go at once, and
    /// none of them shall look through all others.
    hears: Vec<(RoomId, u32)>,
}

// There is one for each socket.
const _: () = assert!(size_of::<Entry>() <= 200);

impl Entry {
    /// Gives back the space that isn't needed now.
    fn rest(&mut self) {
        self.outbox.rest();
        self.hears.shrink_to_fit();
    }
}

struct Listener {
    outbox: OutboxId,
    position: Seq,
}

/// The actor.
pub struct SwitchboardActor {
    limits: Arc<Limits>,
    clock: Clock,
    entries: Slab<Entry>,
    generation: u32,
    rooms: HashMap<RoomId, Vec<Listener>>,
    /// Sockets to be written to, in the order in which they got something.
    dirty: VecDeque<u32>,
    flush_is_due: bool,
    /// Sockets that need a look at each tick: those that open, that are blocked or that close.
    watched: BTreeSet<u32>,
    expiries: BTreeSet<(Duration, u32)>,
    /// When which silent sockets are to be pinged or closed before all are looked at again.
    silences: BTreeSet<(Duration, u32)>,
    tick: usize,
    heartbeat: Option<SpawnHandle>,
}

impl SwitchboardActor {
    /// A switchboard without sockets.
    #[must_use]
    pub fn new(limits: Arc<Limits>, clock: Clock) -> Self {
        Self {
            limits,
            clock,
            entries: Slab::new(),
            generation: 0,
            rooms: HashMap::new(),
            dirty: VecDeque::new(),
            flush_is_due: false,
            watched: BTreeSet::new(),
            expiries: BTreeSet::new(),
            silences: BTreeSet::new(),
            tick: 0,
            heartbeat: None,
        }
    }

    /// How much is held.
    pub(crate) fn counts(&self) -> Counts {
        vec![
            ("sockets", self.entries.len()),
            ("heard rooms", self.rooms.len()),
            ("watched sockets", self.watched.len()),
            ("expiries", self.expiries.len()),
        ]
    }

    fn entry(&mut self, id: OutboxId) -> Option<&mut Entry> {
        self.entries.get_mut(id.slot as usize).filter(|entry| entry.generation == id.generation)
    }

    /// Queues frames for one socket; over its bound the socket is closed.
    fn push(&mut self, id: OutboxId, bytes: Bytes, frames: u32, ctx: &mut Context<Self>) {
        let limits = self.limits.clone();
        let Some(entry) = self.entry(id) else { return };
        if entry.outbox.closing {
            return;
        }
        let fits = entry.outbox.push(bytes, frames, &limits);
        self.touched(id.slot, fits, ctx);
    }

    /// Marks a socket to be flushed at the end of this turn, or closes it where it is too slow.
    fn touched(&mut self, slot: u32, fits: bool, ctx: &mut Context<Self>) {
        if !fits {
            metrics::counter!("chat_sockets_closed_slow_total").increment(1);
            self.begin_close(slot, CloseCode::TooSlow, ctx);
            return;
        }
        let entry = &mut self.entries[slot as usize];
        if entry.outbox.dirty || entry.outbox.corked || entry.outbox.blocked {
            return;
        }
        entry.outbox.dirty = true;
        self.dirty.push_back(slot);
        if !self.flush_is_due {
            self.flush_is_due = true;
            ctx.notify(Flush);
        }
    }

    fn flush(&mut self, slot: u32, ctx: &mut Context<Self>) {
        let (limits, now) = (self.limits.clone(), self.clock.now());
        let Some(entry) = self.entries.get_mut(slot as usize) else { return };
        entry.outbox.dirty = false;
        if entry.outbox.corked {
            return;
        }
        let mut progress = false;
        match entry.outbox.flush(&limits, &mut progress) {
            Flushed::All => {
                entry.outbox.blocked = false;
                if entry.outbox.closing {
                    // The peer needn't wait to see that nothing follows the close frame.
                    entry.outbox.wire.finish();
                } else {
                    if let Some(untold) = entry.outbox.take_untold()
                        && let Some(session) = entry.outbox.session.upgrade()
                    {
                        session.do_send(TellAnew { untold });
                    }
                    self.watched.remove(&slot);
                }
            }
            Flushed::Blocked => {
                if progress || !entry.outbox.blocked {
                    entry.stalled_since = now;
                }
                self.watched.insert(slot);
                if !entry.outbox.blocked {
                    entry.outbox.blocked = true;
                    let generation = entry.generation;
                    ctx.spawn(Writable { id: OutboxId { slot, generation } });
                }
            }
            Flushed::Gone => entry.outbox.wire.close(),
        }
    }

    /// Ends a connection: nothing follows its last frame, and soon the connection itself is closed.
    fn begin_close(&mut self, slot: u32, code: CloseCode, ctx: &mut Context<Self>) {
        let is_slow = code == CloseCode::TooSlow;
        let patience = if is_slow { limits::CLOSE_PATIENCE_SLOW } else { limits::CLOSE_PATIENCE };
        let by = self.clock.now() + patience;
        let Some(entry) = self.entries.get_mut(slot as usize) else { return };
        if entry.outbox.closing {
            return;
        }
        entry.close_by = Some(by);
        if is_slow {
            entry.outbox.close_with(codec::close(code));
        } else {
            entry.outbox.push(codec::close(code), 1, &self.limits);
            entry.outbox.closing = true;
        }
        if let Some(session) = entry.outbox.session.upgrade() {
            session.do_send(Closing { code });
        }
        self.watched.insert(slot);
        self.flush(slot, ctx);
    }

    fn look_after(&mut self, ctx: &mut Context<Self>) {
        let now = self.clock.now();
        self.tick = self.tick.wrapping_add(1);
        while let Some(&(at, slot)) = self.expiries.first().filter(|(at, _)| *at <= now) {
            self.expiries.remove(&(at, slot));
            self.entries[slot as usize].expires_at = None;
            self.begin_close(slot, CloseCode::Unauthorized, ctx);
        }
        for slot in self.watched.iter().copied().collect::<Vec<_>>() {
            let Some(entry) = self.entries.get_mut(slot as usize) else { continue };
            if entry.outbox.corked && entry.outbox.session.upgrade().is_none() {
                // It ended before it was told where its outbox is.
                let outbox = OutboxId { slot, generation: entry.generation };
                self.handle(Detach { outbox }, ctx);
            } else if entry.close_by.is_some_and(|by| by <= now) {
                entry.outbox.wire.close();
            } else if entry.outbox.corked && now - entry.stalled_since >= limits::ANSWER_WITHIN {
                // What its client has sent meanwhile must have an answer, or the connection end.
                self.begin_close(slot, CloseCode::Restarting, ctx);
            } else if !entry.outbox.closing
                && entry.outbox.blocked
                && now - entry.stalled_since >= self.limits.stalled_after
            {
                self.touched(slot, false, ctx);
            }
        }
        let ping_every = self.limits.ping_every;
        // Twice between two pings, so that one who answers them is never taken for silent.
        let wheel = usize::try_from((ping_every.as_secs() / 2).clamp(1, WHEEL_MAX)).unwrap_or(1);
        let turn = self.tick % wheel;
        let next_turn = now + TICK * u32::try_from(wheel).unwrap_or(u32::MAX);
        for (slot, entry) in self.entries.iter_mut().filter(|(slot, _)| slot % wheel == turn) {
            entry.rest();
            if entry.outbox.corked {
                continue;
            }
            let heard_at = now.saturating_sub(entry.outbox.wire.silence());
            let ping_at = heard_at.max(entry.pinged_at) + ping_every;
            let due_at = ping_at.min(heard_at + self.limits.silent_after);
            if due_at < next_turn {
                self.silences.insert((due_at, u32::try_from(slot).unwrap_or(u32::MAX)));
            }
        }
        while let Some(&(at, slot)) = self.silences.first().filter(|(at, _)| *at <= now) {
            self.silences.remove(&(at, slot));
            self.look_for_life(slot, ctx);
        }
    }

    fn expire(&mut self, id: OutboxId, at: Option<Duration>) {
        let Some(entry) = self.entry(id) else { return };
        let old = std::mem::replace(&mut entry.expires_at, at);
        if let Some(old) = old {
            self.expiries.remove(&(old, id.slot));
        }
        if let Some(at) = at {
            self.expiries.insert((at, id.slot));
        }
    }
}

impl Actor for SwitchboardActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.heartbeat = Some(ctx.run_interval(TICK, Self::look_after));
    }
}

/// Takes a socket in; its frames are held back until [`Uncork`].
#[derive(Message)]
#[rtype(result = "OutboxId")]
pub struct Attach {
    /// The socket.
    pub wire: Box<dyn Wire>,
    /// Its session.
    pub session: WeakAddr<SessionActor>,
}

impl Handler<Attach> for SwitchboardActor {
    type Result = MessageResult<Attach>;

    fn handle(&mut self, Attach { wire, session }: Attach, _: &mut Self::Context) -> Self::Result {
        self.generation = self.generation.wrapping_add(1);
        let (generation, now) = (self.generation, self.clock.now());
        let slot = self.entries.insert(Entry {
            outbox: Outbox::new(wire, session),
            generation,
            expires_at: None,
            stalled_since: now,
            pinged_at: now,
            close_by: None,
            hears: Vec::new(),
        });
        let slot = u32::try_from(slot).expect("fewer sockets than 2^32");
        self.watched.insert(slot);
        MessageResult(OutboxId { slot, generation })
    }
}

/// Lets the frames of a socket go out, after these bytes.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Uncork {
    /// Which one.
    pub outbox: OutboxId,
    /// What goes out first: the answer to the handshake.
    pub first: Bytes,
}

impl Handler<Uncork> for SwitchboardActor {
    type Result = ();

    fn handle(&mut self, Uncork { outbox, first }: Uncork, ctx: &mut Self::Context) {
        let Some(entry) = self.entry(outbox) else { return };
        entry.outbox.push_first(first);
        entry.outbox.corked = false;
        self.touched(outbox.slot, true, ctx);
    }
}

/// Turns a socket away before it was let in: these bytes go out, nothing else, not even what waits, and it is
/// closed.
#[derive(Message)]
#[rtype(result = "()")]
pub struct TurnAway {
    /// Which one.
    pub outbox: OutboxId,
    /// The answer to the handshake.
    pub last: Bytes,
}

impl Handler<TurnAway> for SwitchboardActor {
    type Result = ();

    fn handle(&mut self, TurnAway { outbox, last }: TurnAway, ctx: &mut Self::Context) {
        let by = self.clock.now() + limits::CLOSE_PATIENCE;
        let Some(entry) = self.entry(outbox) else { return };
        entry.outbox.close_with(last);
        entry.outbox.corked = false;
        entry.close_by = Some(by);
        self.watched.insert(outbox.slot);
        self.flush(outbox.slot, ctx);
    }
}

/// Queues one frame for one socket.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Push {
    /// Which one.
    pub outbox: OutboxId,
    /// The frame.
    pub bytes: Bytes,
}

impl Handler<Push> for SwitchboardActor {
    type Result = ();

    fn handle(&mut self, Push { outbox, bytes }: Push, ctx: &mut Self::Context) {
        self.push(outbox, bytes, 1, ctx);
    }
}

/// Asks for a turn with a page of a replay. Answered with [`crate::room::Drained`].
#[derive(Message)]
#[rtype(result = "()")]
pub struct AskTurn {
    /// Which one.
    pub outbox: OutboxId,
    /// The session that the page is for.
    pub session: SessionId,
    /// The room.
    pub room: RoomId,
    /// Its actor.
    pub addr: Addr<RoomActor>,
}

impl Handler<AskTurn> for SwitchboardActor {
    type Result = ();

    fn handle(&mut self, AskTurn { outbox, session, room, addr }: AskTurn, _: &mut Self::Context) {
        let limits = self.limits.clone();
        if let Some(entry) = self.entry(outbox) {
            entry.outbox.ask_turn(Turn { room, addr, session }, &limits);
        }
    }
}

/// Queues a page of a replay, which ends the room's turn.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Replay {
    /// Which one.
    pub outbox: OutboxId,
    /// The frames.
    pub bytes: Bytes,
    /// How many they are.
    pub frames: u32,
    /// The room.
    pub room: RoomId,
}

impl Handler<Replay> for SwitchboardActor {
    type Result = ();

    fn handle(&mut self, page: Replay, ctx: &mut Self::Context) {
        self.push(page.outbox, page.bytes, page.frames, ctx);
        let limits = self.limits.clone();
        if let Some(entry) = self.entry(page.outbox) {
            entry.outbox.end_turn(page.room, &limits);
        }
    }
}
