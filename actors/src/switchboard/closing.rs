//! How sockets are closed: for silence, for an expired token, one by one, or all of them when the node
//! stops.

use actix::{Context, Handler};
use slab::Slab;

use super::{SocketEntry, SwitchboardActor};
use crate::limits;
use crate::messages::switchboard::{
    AnnounceShutdown, CloseAllSockets, CloseSocket, CountUnsent, DetachSocket, OutboxId, SetSocketExpiry,
};
use crate::protocol::close::CloseCode;
use crate::protocol::codec;
use crate::protocol::server::ServerFrame;

impl SwitchboardActor {
    /// Pings a socket that has been silent for long, and closes one that has been silent for too long.
    pub(super) fn check_liveness(&mut self, slot: u32, ctx: &mut Context<Self>) {
        let now = self.clock.now();
        let entry = self.entries.get_mut(slot as usize).filter(|entry| !entry.outbox.closing);
        let Some(entry) = entry else { return };
        let silence = entry.outbox.writer.silence();
        if silence >= self.limits.idle_timeout {
            self.begin_close(slot, CloseCode::Silent, ctx);
        } else if silence >= self.limits.ping_interval && now - entry.pinged_at >= self.limits.ping_interval {
            entry.pinged_at = now;
            let id = OutboxId { slot, generation: entry.generation };
            self.push(id, codec::ping(), 1, ctx);
        }
    }
}

impl Handler<SetSocketExpiry> for SwitchboardActor {
    type Result = ();

    fn handle(&mut self, SetSocketExpiry { outbox, at }: SetSocketExpiry, _: &mut Self::Context) {
        self.expire(outbox, at);
    }
}

impl Handler<CloseSocket> for SwitchboardActor {
    type Result = ();

    fn handle(&mut self, CloseSocket { outbox, code }: CloseSocket, ctx: &mut Self::Context) {
        if self.entry(outbox).is_some() {
            self.begin_close(outbox.slot, code, ctx);
        }
    }
}

impl Handler<DetachSocket> for SwitchboardActor {
    type Result = ();

    fn handle(&mut self, DetachSocket { outbox }: DetachSocket, _: &mut Self::Context) {
        if self.entry(outbox).is_none() {
            return;
        }
        // Also subscriptions that the session doesn't know of yet: the slot will be another socket's.
        while let Some((room, place)) = self.entry(outbox).and_then(|entry| entry.subscriptions.pop()) {
            self.remove_subscriber(room, place);
        }
        self.expire(outbox, None);
        self.watched.remove(&outbox.slot);
        let mut entry = self.entries.remove(outbox.slot as usize);
        entry.outbox.writer.close();
        if self.entries.is_empty() {
            self.entries = Slab::new();
        }
    }
}

impl Handler<AnnounceShutdown> for SwitchboardActor {
    type Result = usize;

    fn handle(
        &mut self,
        AnnounceShutdown { spread }: AnnounceShutdown,
        ctx: &mut Self::Context,
    ) -> Self::Result {
        // A socket that isn't accepted yet is rejected; nothing may come before the greeting.
        let ids: Vec<OutboxId> = self
            .entries
            .iter()
            .filter(|(_, entry)| !entry.outbox.is_held)
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

impl Handler<CloseAllSockets> for SwitchboardActor {
    type Result = ();

    fn handle(&mut self, CloseAllSockets { code }: CloseAllSockets, ctx: &mut Self::Context) {
        let slots: Vec<usize> = self.entries.iter().map(|(slot, _)| slot).collect();
        let by = self.clock.now() + limits::CLOSE_TIMEOUT;
        for slot in slots {
            self.begin_close(u32::try_from(slot).unwrap_or(u32::MAX), code, ctx);
            if let Some(entry) = self.entries.get_mut(slot) {
                entry.close_by = entry.close_by.map(|old| old.min(by));
            }
        }
    }
}

impl Handler<CountUnsent> for SwitchboardActor {
    type Result = usize;

    fn handle(&mut self, _: CountUnsent, _: &mut Self::Context) -> Self::Result {
        let waits = |entry: &SocketEntry| !entry.outbox.is_held && !entry.outbox.is_empty();
        self.entries.iter().filter(|(_, entry)| waits(entry)).count()
    }
}
