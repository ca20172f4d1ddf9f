//! A session in a room: who it is, and what it is there for.

use actix::{Handler, Message, WeakAddr};

use crate::domain::ids::UserId;
use crate::session::{SessionActor, SessionId};
use crate::switchboard::OutboxRef;

/// A session, as the rooms that it is in know it: one for all of them.
pub struct Guest {
    /// The session.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// Where its frames go.
    pub outbox: OutboxRef,
    /// The session's actor. Weak, for each copy of a strong address takes a hundred bytes of its own.
    pub session: WeakAddr<SessionActor>,
}

impl Guest {
    /// Whether the session has not ended. Its address alone doesn't tell: an unanswered command of a session
    /// that has ended still holds it.
    pub(crate) fn is_here(&self) -> bool {
        self.session.upgrade().is_some_and(|session| session.connected())
    }

    /// Tells the session, unless it has ended.
    pub(crate) fn tell<M>(&self, message: M)
    where
        M: Message<Result = ()> + Send + 'static,
        SessionActor: Handler<M>,
    {
        if let Some(session) = self.session.upgrade() {
            session.do_send(message);
        }
    }
}

/// What a session is in a room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It is this room's own socket, and ends with the stay.
    Socket,
    /// It hears this room among others.
    Subscription,
    /// It was here before this actor; it wants what follows and no greeting.
    Return(Stay),
}

/// What a returning session had been here for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stay {
    /// See [`Purpose::Socket`].
    Socket,
    /// See [`Purpose::Subscription`].
    Subscription,
}
