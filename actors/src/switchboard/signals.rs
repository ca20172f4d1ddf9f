//! Signals for single sockets, and what follows when some were dropped.

use actix::{Handler, Message};
use bytes::Bytes;

use super::{OutboxId, SwitchboardActor};
use crate::outbox::{SignalKey, Untold};

/// Queues a signal for one socket.
#[derive(Message)]
#[rtype(result = "()")]
pub struct PushSignal {
    /// Which one.
    pub outbox: OutboxId,
    /// What it is about.
    pub key: SignalKey,
    /// The frame.
    pub bytes: Bytes,
}

impl Handler<PushSignal> for SwitchboardActor {
    type Result = ();

    fn handle(&mut self, PushSignal { outbox, key, bytes }: PushSignal, ctx: &mut Self::Context) {
        let limits = self.limits.clone();
        let Some(entry) = self.entry(outbox).filter(|entry| !entry.outbox.closing) else { return };
        let fits = entry.outbox.signal(key, bytes, &limits);
        self.touched(outbox.slot, fits, ctx);
    }
}

/// Drops a signal that is kept back for one socket: what it tells of is no more.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ForgetSignal {
    /// Which one.
    pub outbox: OutboxId,
    /// What it is about.
    pub key: SignalKey,
}

impl Handler<ForgetSignal> for SwitchboardActor {
    type Result = ();

    fn handle(&mut self, ForgetSignal { outbox, key }: ForgetSignal, _: &mut Self::Context) {
        if let Some(entry) = self.entry(outbox) {
            entry.outbox.forget_signal(key);
        }
    }
}

/// More of the list of rooms is to be told once what waits for this socket has gone out.
#[derive(Message)]
#[rtype(result = "()")]
pub struct AskWhenOut {
    /// Which one.
    pub outbox: OutboxId,
}

impl Handler<AskWhenOut> for SwitchboardActor {
    type Result = ();

    fn handle(&mut self, AskWhenOut { outbox }: AskWhenOut, ctx: &mut Self::Context) {
        let Some(entry) = self.entry(outbox).filter(|entry| !entry.outbox.closing) else { return };
        entry.outbox.tell_when_out(Untold::RestOfList);
        self.touched(outbox.slot, true, ctx);
    }
}
