//! Mailboxes: how one actor reaches another.
//!
//! An actor knows the others by what it may send them, never by their types. A handle is an
//! `Arc<dyn …>` over a set of [`Tell`] and [`Ask`], implemented here for the address of every actor
//! that handles the messages. So the messages and handles in [`crate::messages`] form a floor below the
//! actors, and no actor's module imports another's.
//!
//! actix doesn't bound what is sent without waiting, therefore every actor that can be told something
//! declares in [`limits`](crate::limits) what bounds its mailbox. The lint in `actors/clippy.toml`
//! forbids `do_send` everywhere but in this file.

use std::pin::Pin;

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, MailboxError, Message, WeakAddr};

use crate::limits::MailboxBound;

/// An actor whose mailbox has a declared bound.
pub(crate) trait Bounded: Actor {
    /// What bounds the mailbox.
    const MAILBOX: MailboxBound;
}

/// A mailbox that takes messages of type `M` without waiting.
pub(crate) trait Tell<M>: Send + Sync + 'static {
    /// Queues a message. If the actor has ended, the message is dropped.
    fn tell(&self, message: M);

    /// Queues a message, or gives it back if the actor has ended.
    fn try_tell(&self, message: M) -> Result<(), M>;
}

/// A mailbox that answers messages of type `M`.
pub(crate) trait Ask<M: Message>: Send + Sync + 'static {
    /// Queues a message, once the mailbox has room for it, and waits for the answer.
    fn ask(&self, message: M) -> Answer<M::Result>;
}

/// A mailbox of an actor that may end.
pub(crate) trait Liveness: Send + Sync + 'static {
    /// Whether the actor still takes messages.
    fn is_alive(&self) -> bool;
}

/// A pending answer to a message.
pub(crate) type Answer<T> = Pin<Box<dyn Future<Output = Result<T, MailboxError>> + Send>>;

/// Sends without waiting. The one place that may: whoever calls this holds the credit that the receiver's
/// [`Bounded::MAILBOX`] names.
#[allow(clippy::disallowed_methods, reason = "only actors with a declared bound are sent to")]
fn post<A, M>(addr: &Addr<A>, message: M)
where
    A: Bounded + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message<Result: Send> + Send + 'static,
{
    const { assert!(A::MAILBOX.is_declared(), "who may send to an actor must be declared") };
    addr.do_send(message);
}

impl<A, M> Tell<M> for Addr<A>
where
    A: Bounded + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message<Result: Send> + Send + 'static,
{
    fn tell(&self, message: M) {
        post(self, message);
    }

    fn try_tell(&self, message: M) -> Result<(), M> {
        if !self.connected() {
            return Err(message);
        }
        post(self, message);
        Ok(())
    }
}

/// A weak address doesn't keep its actor running.
impl<A, M> Tell<M> for WeakAddr<A>
where
    A: Bounded + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message<Result: Send> + Send + 'static,
{
    fn tell(&self, message: M) {
        if let Some(addr) = self.upgrade() {
            post(&addr, message);
        }
    }

    fn try_tell(&self, message: M) -> Result<(), M> {
        let Some(addr) = self.upgrade() else { return Err(message) };
        post(&addr, message);
        Ok(())
    }
}

impl<A, M> Ask<M> for Addr<A>
where
    A: Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message<Result: Send> + Send + 'static,
{
    fn ask(&self, message: M) -> Answer<M::Result> {
        Box::pin(self.send(message))
    }
}

impl<A, M> Ask<M> for WeakAddr<A>
where
    A: Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message<Result: Send> + Send + 'static,
{
    fn ask(&self, message: M) -> Answer<M::Result> {
        match self.upgrade() {
            Some(addr) => Box::pin(addr.send(message)),
            None => Box::pin(std::future::ready(Err(MailboxError::Closed))),
        }
    }
}

impl<A: Actor> Liveness for Addr<A> {
    fn is_alive(&self) -> bool {
        self.connected()
    }
}

impl<A: Actor> Liveness for WeakAddr<A> {
    fn is_alive(&self) -> bool {
        self.upgrade().is_some()
    }
}

/// Names a set of messages that a handle takes.
macro_rules! mailbox {
    ($(#[$doc:meta])* $name:ident: $($takes:path),+ $(,)?) => {
        $(#[$doc])*
        pub(crate) trait $name: $($takes +)+ {}

        impl<T: $($takes +)+> $name for T {}
    };
}
pub(crate) use mailbox;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use actix::{ActorContext, Context, System};

    use super::*;
    use crate::limits::Credit;

    struct Counter(usize);

    impl Actor for Counter {
        type Context = Context<Self>;
    }

    impl Bounded for Counter {
        const MAILBOX: MailboxBound = MailboxBound(&[("test", Credit::Each(3))]);
    }

    #[derive(Debug, Message, PartialEq)]
    #[rtype(result = "usize")]
    pub(crate) struct Add(usize);

    impl Handler<Add> for Counter {
        type Result = usize;

        fn handle(&mut self, Add(number): Add, _: &mut Self::Context) -> usize {
            self.0 += number;
            self.0
        }
    }

    #[derive(Message)]
    #[rtype(result = "()")]
    pub(crate) struct Stop;

    impl Handler<Stop> for Counter {
        type Result = ();

        fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
            ctx.stop();
        }
    }

    mailbox! {
        Count: Tell<Add>, Ask<Add>, Tell<Stop>, Liveness,
    }

    #[test]
    fn messages_arrive_in_order_and_come_back_when_the_actor_has_ended() {
        System::new().block_on(async {
            let addr = Counter(0).start();
            let handles: [Arc<dyn Count>; 2] = [Arc::new(addr.downgrade()), Arc::new(addr)];
            for handle in &handles {
                handle.tell(Add(1));
                assert_eq!(handle.try_tell(Add(2)), Ok(()));
            }
            assert_eq!(handles[0].ask(Add(4)).await.ok(), Some(10));
            handles[1].tell(Stop);
            assert!(handles[1].ask(Add(1)).await.is_err());
            for handle in &handles {
                assert!(!handle.is_alive());
                assert_eq!(handle.try_tell(Add(1)), Err(Add(1)));
                assert!(handle.ask(Add(1)).await.is_err());
            }
        });
    }

    #[test]
    fn a_weak_handle_keeps_no_actor_running() {
        System::new().block_on(async {
            let addr = Counter(0).start();
            let weak: Arc<dyn Count> = Arc::new(addr.downgrade());
            drop(addr);
            tokio::task::yield_now().await;
            assert!(!weak.is_alive());
        });
    }
}
