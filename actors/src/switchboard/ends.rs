//! How sockets end: when nothing is heard of them, when their right does, one by one, or all of them when
//! the node goes.

use std::time::Duration;

use actix::{Context, Handler, Message};
use slab::Slab;

use super::{Entry, OutboxId, SwitchboardActor};
use crate::limits;
use crate::protocol::close::CloseCode;
use crate::protocol::codec;
use crate::protocol::server::ServerFrame;

impl SwitchboardActor {
    /// Pings a socket that has been silent for long, and closes one that has been for too long.
    pub(super) fn look_for_life(&mut self, slot: u32, ctx: &mut Context<Self>) {
        let now = self.clock.now();
        let entry = self.entries.get_mut(slot as usize).filter(|entry| !entry.outbox.closing);
        let Some(entry) = entry else { return };
        let silence = entry.outbox.wire.silence();
        if silence >= self.limits.silent_after {
            self.begin_close(slot, CloseCode::Silent, ctx);
        } else if silence >= self.limits.ping_every && now - entry.pinged_at >= self.limits.ping_every {
            entry.pinged_at = now;
            let id = OutboxId { slot, generation: entry.generation };
            self.push(id, codec::ping(), 1, ctx);
        }
    }
}

/// Sets when the right to this socket ends.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Expire {
    /// Which one.
    pub outbox: OutboxId,
    /// When, on the engine's clock; never, when unset.
    pub at: Option<Duration>,
}

impl Handler<Expire> for SwitchboardActor {
    type Result = ();

    fn handle(&mut self, Expire { outbox, at }: Expire, _: &mut Self::Context) {
        self.expire(outbox, at);
    }
}

/// Ends a connection after what is queued.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Close {
    /// Which one.
    pub outbox: OutboxId,
    /// Why.
    pub code: CloseCode,
}

impl Handler<Close> for SwitchboardActor {
    type Result = ();

    fn handle(&mut self, Close { outbox, code }: Close, ctx: &mut Self::Context) {
        if self.entry(outbox).is_some() {
            self.begin_close(outbox.slot, code, ctx);
        }
    }
}

/// Forgets a socket whose connection has ended.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Detach {
    /// Which one.
    pub outbox: OutboxId,
}

impl Handler<Detach> for SwitchboardActor {
    type Result = ();

    fn handle(&mut self, Detach { outbox }: Detach, _: &mut Self::Context) {
        if self.entry(outbox).is_none() {
            return;
        }
        // Also those that the session doesn't know of yet: its slot will be another socket's.
        while let Some((room, place)) = self.entry(outbox).and_then(|entry| entry.hears.pop()) {
            self.remove_listener(room, place);
        }
        self.expire(outbox, None);
        self.watched.remove(&outbox.slot);
        let mut entry = self.entries.remove(outbox.slot as usize);
        entry.outbox.wire.close();
        if self.entries.is_empty() {
            self.entries = Slab::new();
        }
    }
}

/// Tells every socket that the server goes, and when to come back.
#[derive(Message)]
#[rtype(result = "usize")]
pub struct GoAway {
    /// The longest time after which a client shall come back; each gets its own share of it.
    pub spread: Duration,
}

impl Handler<GoAway> for SwitchboardActor {
    type Result = usize;

    fn handle(&mut self, GoAway { spread }: GoAway, ctx: &mut Self::Context) -> Self::Result {
        // Who is not let in yet is refused; nothing may come before the greeting.
        let ids: Vec<OutboxId> = self
            .entries
            .iter()
            .filter(|(_, entry)| !entry.outbox.corked)
            .map(|(slot, entry)| OutboxId {
                slot: u32::try_from(slot).unwrap_or(u32::MAX),
                generation: entry.generation,
            })
            .collect();
        let steps = u32::try_from(ids.len()).unwrap_or(u32::MAX).max(1);
        for (step, id) in ids.iter().enumerate() {
            let share = spread * u32::try_from(step).unwrap_or(u32::MAX) / steps;
            let frame =
                ServerFrame::GoingAway { retry_after: (share.as_secs_f64() * 1_000.0).round() / 1_000.0 };
            self.push(*id, codec::encode(&frame), 1, ctx);
        }
        ids.len()
    }
}

/// Closes every socket.
#[derive(Message)]
#[rtype(result = "()")]
pub struct CloseAll {
    /// Why.
    pub code: CloseCode,
}

impl Handler<CloseAll> for SwitchboardActor {
    type Result = ();

    fn handle(&mut self, CloseAll { code }: CloseAll, ctx: &mut Self::Context) {
        let slots: Vec<usize> = self.entries.iter().map(|(slot, _)| slot).collect();
        let by = self.clock.now() + limits::CLOSE_PATIENCE;
        for slot in slots {
            self.begin_close(u32::try_from(slot).unwrap_or(u32::MAX), code, ctx);
            if let Some(entry) = self.entries.get_mut(slot) {
                entry.close_by = entry.close_by.map(|old| old.min(by));
            }
        }
    }
}

/// Asks how many sockets have not taken all that is for them. One that was not let in yet is told
/// nothing, and comes back.
#[derive(Message)]
#[rtype(result = "usize")]
pub struct Unsent;

impl Handler<Unsent> for SwitchboardActor {
    type Result = usize;

    fn handle(&mut self, _: Unsent, _: &mut Self::Context) -> Self::Result {
        let waits = |entry: &Entry| !entry.outbox.corked && !entry.outbox.is_empty();
        self.entries.iter().filter(|(_, entry)| waits(entry)).count()
    }
}
