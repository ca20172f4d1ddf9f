//! Writing to sockets: once to each that got something, and to a blocked one when it takes more.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use actix::{ActorFuture, ActorFutureExt, AsyncContext, Context, Handler, Message};

use super::SwitchboardActor;
use crate::messages::switchboard::OutboxId;

/// Sockets that are written to before the other actors of the thread run: what is committed meanwhile goes
/// out with the next writes. More saves yields, fewer gathers more; 16 to 64 measure alike.
const SOCKETS_PER_TURN: usize = 32;

/// Waits until a blocked socket takes more.
pub(super) struct Writable {
    pub(super) id: OutboxId,
}

impl ActorFuture<SwitchboardActor> for Writable {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        board: &mut SwitchboardActor,
        ctx: &mut Context<SwitchboardActor>,
        task: &mut TaskContext<'_>,
    ) -> Poll<()> {
        let id = self.id;
        let Some(entry) = board.entry(id) else { return Poll::Ready(()) };
        match entry.outbox.writer.poll_writable(task) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) => {
                entry.outbox.blocked = false;
                let stalled_since = entry.stalled_since;
                board.flush(id.slot, ctx);
                if let Some(entry) = board.entry(id).filter(|entry| entry.outbox.blocked) {
                    // A socket that says it is writable and takes nothing has made no progress.
                    entry.stalled_since = entry.stalled_since.max(stalled_since);
                }
                Poll::Ready(())
            }
            Poll::Ready(Err(_)) => {
                entry.outbox.writer.close();
                Poll::Ready(())
            }
        }
    }
}

/// Writes to the sockets that got something, once to each.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Flush;

impl Handler<Flush> for SwitchboardActor {
    type Result = ();

    fn handle(&mut self, _: Flush, ctx: &mut Self::Context) {
        for _ in 0..SOCKETS_PER_TURN {
            let Some(slot) = self.dirty.pop_front() else { break };
            self.flush(slot, ctx);
        }
        self.flush_is_due = !self.dirty.is_empty();
        if self.flush_is_due {
            // A message to itself would be handled before any other actor runs.
            let pause = actix::fut::wrap_future::<_, Self>(tokio::task::yield_now());
            ctx.spawn(pause.map(|(), board, ctx| board.handle(Flush, ctx)));
        }
    }
}
