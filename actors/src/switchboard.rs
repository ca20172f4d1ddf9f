//! One switchboard per worker thread: it owns the outboxes of that thread's sockets and knows which
//! of them are subscribed to which room.
//!
//! A room sends the bytes of its new frames once per worker. The switchboard pushes them into the
//! outboxes, and when its mailbox is empty it writes each socket that got something once.

mod closing;
mod rooms;
mod signals;
#[cfg(all(test, feature = "memory"))]
mod tests;
mod writing;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, MessageResult, SpawnHandle};
use bytes::Bytes;
use slab::Slab;

use self::writing::{Flush, Writable};
use crate::domain::ids::{RoomId, Seq};
use crate::limits::{self, Limits, MailboxBound};
use crate::mailbox::Bounded;
use crate::messages::diagnostics::{CountResources, ResourceCounts};
use crate::messages::switchboard::{
    AcquireReplaySlot, AttachSocket, DetachSocket, OpenSocket, OutboxId, PushFrame, PushReplayPage,
    RefreshState, RejectSocket, SocketClosing,
};
use crate::outbox::{FlushOutcome, Outbox};
use crate::ports::clock::Clock;
use crate::protocol::close::CloseCode;
use crate::protocol::codec;

/// How often the switchboard looks at sockets that are blocked, expiring or closing.
const TICK: Duration = Duration::from_secs(1);
/// The ticks in which every socket is checked for silence, at most.
const WHEEL_MAX: u64 = 5;

struct SocketEntry {
    outbox: Outbox,
    generation: u32,
    expires_at: Option<Duration>,
    stalled_since: Duration,
    pinged_at: Duration,
    close_by: Option<Duration>,
    /// The rooms that it is subscribed to, and its place among the subscribers of each. Thousands may leave
    /// at once, and none of them may search all others.
    subscriptions: Vec<(RoomId, u32)>,
}

// There is one for each socket.
const _: () = assert!(size_of::<SocketEntry>() <= 200);

impl SocketEntry {
    /// Frees space that isn't needed now.
    fn shrink(&mut self) {
        self.outbox.shrink();
        self.subscriptions.shrink_to_fit();
    }
}

/// A socket that is subscribed to a room.
struct RoomSubscriber {
    outbox: OutboxId,
    /// The last position that it was sent.
    position: Seq,
    /// The position from which on its user may see the room.
    visible_from: Seq,
}

/// See the [module](self).
pub(crate) struct SwitchboardActor {
    limits: Arc<Limits>,
    clock: Clock,
    entries: Slab<SocketEntry>,
    generation: u32,
    rooms: HashMap<RoomId, Vec<RoomSubscriber>>,
    /// Sockets to be flushed, in the order in which they got something.
    dirty: VecDeque<u32>,
    flush_is_due: bool,
    /// Sockets that are checked at each tick: those that are held, blocked or closing.
    watched: BTreeSet<u32>,
    expiries: BTreeSet<(Duration, u32)>,
    /// When silent sockets are to be pinged or closed, before all are checked again.
    liveness_checks: BTreeSet<(Duration, u32)>,
    tick: usize,
    heartbeat: Option<SpawnHandle>,
}

impl SwitchboardActor {
    /// A switchboard without sockets.
    pub(crate) fn new(limits: Arc<Limits>, clock: Clock) -> Self {
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
            liveness_checks: BTreeSet::new(),
            tick: 0,
            heartbeat: None,
        }
    }

    fn entry(&mut self, id: OutboxId) -> Option<&mut SocketEntry> {
        self.entries.get_mut(id.slot as usize).filter(|entry| entry.generation == id.generation)
    }

    /// Queues frames for one socket, or closes it if that exceeds its bound.
    fn push(&mut self, id: OutboxId, bytes: Bytes, frames: u32, ctx: &mut Context<Self>) {
        let limits = self.limits.clone();
        let Some(entry) = self.entry(id) else { return };
        if entry.outbox.closing {
            return;
        }
        let fits = entry.outbox.push(bytes, frames, &limits);
        self.mark_dirty(id.slot, fits, ctx);
    }

    /// Marks a socket to be flushed when the mailbox is empty, or closes it as too slow if its queue exceeds
    /// the bound.
    fn mark_dirty(&mut self, slot: u32, fits: bool, ctx: &mut Context<Self>) {
        if !fits {
            metrics::counter!("chat_sockets_closed_slow_total").increment(1);
            self.begin_close(slot, CloseCode::TooSlow, ctx);
            return;
        }
        let entry = &mut self.entries[slot as usize];
        if entry.outbox.dirty || entry.outbox.is_held || entry.outbox.blocked {
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
        if entry.outbox.is_held {
            return;
        }
        let mut progress = false;
        match entry.outbox.flush(&limits, &mut progress) {
            FlushOutcome::All => {
                entry.outbox.blocked = false;
                if entry.outbox.closing {
                    // The peer shall see at once that nothing follows the close frame.
                    entry.outbox.writer.finish();
                } else {
                    if let Some(refresh) = entry.outbox.take_refresh() {
                        entry.outbox.session.tell(RefreshState { refresh });
                    }
                    self.watched.remove(&slot);
                }
            }
            FlushOutcome::Blocked => {
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
            FlushOutcome::Gone => entry.outbox.writer.close(),
        }
    }

    /// Begins to close a connection: nothing follows the close frame, and soon the connection itself is
    /// closed.
    fn begin_close(&mut self, slot: u32, code: CloseCode, ctx: &mut Context<Self>) {
        let is_slow = code == CloseCode::TooSlow;
        let patience = if is_slow { limits::SLOW_CLOSE_TIMEOUT } else { limits::CLOSE_TIMEOUT };
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
        entry.outbox.session.tell(SocketClosing { code });
        self.watched.insert(slot);
        self.flush(slot, ctx);
    }

    fn on_tick(&mut self, ctx: &mut Context<Self>) {
        let now = self.clock.now();
        self.tick = self.tick.wrapping_add(1);
        while let Some(&(at, slot)) = self.expiries.first().filter(|(at, _)| *at <= now) {
            self.expiries.remove(&(at, slot));
            self.entries[slot as usize].expires_at = None;
            self.begin_close(slot, CloseCode::Unauthorized, ctx);
        }
        for slot in self.watched.iter().copied().collect::<Vec<_>>() {
            let Some(entry) = self.entries.get_mut(slot as usize) else { continue };
            if entry.outbox.is_held && !entry.outbox.session.is_alive() {
                // The session ended before it was told of its outbox.
                let outbox = OutboxId { slot, generation: entry.generation };
                self.handle(DetachSocket { outbox }, ctx);
            } else if entry.close_by.is_some_and(|by| by <= now) {
                entry.outbox.writer.close();
            } else if entry.outbox.is_held && now - entry.stalled_since >= limits::COMMAND_TIMEOUT {
                // What its client has sent meanwhile must be answered, or the connection closed.
                self.begin_close(slot, CloseCode::Restarting, ctx);
            } else if !entry.outbox.closing
                && entry.outbox.blocked
                && now - entry.stalled_since >= self.limits.write_stall_timeout
            {
                self.mark_dirty(slot, false, ctx);
            }
        }
        let ping_interval = self.limits.ping_interval;
        // Twice between two pings, so that a client that answers them is never taken for silent.
        let wheel = usize::try_from((ping_interval.as_secs() / 2).clamp(1, WHEEL_MAX)).unwrap_or(1);
        let turn = self.tick % wheel;
        let next_turn = now + TICK * u32::try_from(wheel).unwrap_or(u32::MAX);
        for (slot, entry) in self.entries.iter_mut().filter(|(slot, _)| slot % wheel == turn) {
            entry.shrink();
            if entry.outbox.is_held {
                continue;
            }
            let heard_at = now.saturating_sub(entry.outbox.writer.silence());
            let ping_at = heard_at.max(entry.pinged_at) + ping_interval;
            let due_at = ping_at.min(heard_at + self.limits.idle_timeout);
            if due_at < next_turn {
                self.liveness_checks.insert((due_at, u32::try_from(slot).unwrap_or(u32::MAX)));
            }
        }
        while let Some(&(at, slot)) = self.liveness_checks.first().filter(|(at, _)| *at <= now) {
            self.liveness_checks.remove(&(at, slot));
            self.check_liveness(slot, ctx);
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
        self.heartbeat = Some(ctx.run_interval(TICK, Self::on_tick));
    }
}

impl Bounded for SwitchboardActor {
    const MAILBOX: MailboxBound = limits::SWITCHBOARD_MAILBOX;
}

impl Handler<AttachSocket> for SwitchboardActor {
    type Result = MessageResult<AttachSocket>;

    fn handle(
        &mut self,
        AttachSocket { writer, session }: AttachSocket,
        _: &mut Self::Context,
    ) -> Self::Result {
        self.generation = self.generation.wrapping_add(1);
        let (generation, now) = (self.generation, self.clock.now());
        let slot = self.entries.insert(SocketEntry {
            outbox: Outbox::new(writer, session),
            generation,
            expires_at: None,
            stalled_since: now,
            pinged_at: now,
            close_by: None,
            subscriptions: Vec::new(),
        });
        let slot = u32::try_from(slot).expect("fewer sockets than 2^32");
        self.watched.insert(slot);
        MessageResult(OutboxId { slot, generation })
    }
}

impl Handler<OpenSocket> for SwitchboardActor {
    type Result = ();

    fn handle(&mut self, OpenSocket { outbox, first }: OpenSocket, ctx: &mut Self::Context) {
        let Some(entry) = self.entry(outbox) else { return };
        entry.outbox.push_first(first);
        entry.outbox.is_held = false;
        self.mark_dirty(outbox.slot, true, ctx);
    }
}

impl Handler<RejectSocket> for SwitchboardActor {
    type Result = ();

    fn handle(&mut self, RejectSocket { outbox, last }: RejectSocket, ctx: &mut Self::Context) {
        let by = self.clock.now() + limits::CLOSE_TIMEOUT;
        let Some(entry) = self.entry(outbox) else { return };
        entry.outbox.close_with(last);
        entry.outbox.is_held = false;
        entry.close_by = Some(by);
        self.watched.insert(outbox.slot);
        self.flush(outbox.slot, ctx);
    }
}

impl Handler<PushFrame> for SwitchboardActor {
    type Result = ();

    fn handle(&mut self, PushFrame { outbox, bytes }: PushFrame, ctx: &mut Self::Context) {
        self.push(outbox, bytes, 1, ctx);
    }
}

impl Handler<AcquireReplaySlot> for SwitchboardActor {
    type Result = ();

    fn handle(&mut self, AcquireReplaySlot { outbox, request }: AcquireReplaySlot, _: &mut Self::Context) {
        let limits = self.limits.clone();
        if let Some(entry) = self.entry(outbox) {
            entry.outbox.acquire_replay_slot(request, &limits);
        }
    }
}

impl Handler<PushReplayPage> for SwitchboardActor {
    type Result = ();

    fn handle(&mut self, page: PushReplayPage, ctx: &mut Self::Context) {
        self.push(page.outbox, page.bytes, page.frames, ctx);
        let limits = self.limits.clone();
        if let Some(entry) = self.entry(page.outbox) {
            entry.outbox.release_replay_slot(page.room, &limits);
        }
    }
}

impl Handler<CountResources> for SwitchboardActor {
    type Result = MessageResult<CountResources>;

    fn handle(&mut self, _: CountResources, _: &mut Self::Context) -> Self::Result {
        let counts: ResourceCounts = vec![
            ("sockets", self.entries.len()),
            ("subscribed rooms", self.rooms.len()),
            ("watched sockets", self.watched.len()),
            ("expiries", self.expiries.len()),
        ];
        MessageResult(counts)
    }
}
