//! Signals for single sockets, and what follows if some were dropped.

use actix::Handler;

use super::SwitchboardActor;
use crate::messages::switchboard::{DropSignal, PushSignal, RefreshWhenDrained};

impl Handler<PushSignal> for SwitchboardActor {
    type Result = ();

    fn handle(&mut self, PushSignal { outbox, key, bytes }: PushSignal, ctx: &mut Self::Context) {
        let limits = self.limits.clone();
        let Some(entry) = self.entry(outbox).filter(|entry| !entry.outbox.closing) else { return };
        let fits = entry.outbox.signal(key, bytes, &limits);
        self.mark_dirty(outbox.slot, fits, ctx);
    }
}

impl Handler<DropSignal> for SwitchboardActor {
    type Result = ();

    fn handle(&mut self, DropSignal { outbox, key }: DropSignal, _: &mut Self::Context) {
        if let Some(entry) = self.entry(outbox) {
            entry.outbox.drop_signal(key);
        }
    }
}

impl Handler<RefreshWhenDrained> for SwitchboardActor {
    type Result = ();

    fn handle(
        &mut self,
        RefreshWhenDrained { outbox, refresh }: RefreshWhenDrained,
        ctx: &mut Self::Context,
    ) {
        let Some(entry) = self.entry(outbox).filter(|entry| !entry.outbox.closing) else { return };
        entry.outbox.refresh_when_drained(refresh);
        self.mark_dirty(outbox.slot, true, ctx);
    }
}
