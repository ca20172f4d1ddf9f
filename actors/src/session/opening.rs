//! Letting a session in: a place among its person's sockets, and for a socket of one room a place in
//! that room. Until then its outbox is corked, so that the answer to the handshake goes out first.

use std::sync::Arc;
use std::time::Duration;

use actix::{ActorFutureExt, Addr, AsyncContext, Context, Message};
use bytes::Bytes;

use super::SessionActor;
use crate::domain::ids::{Epoch, RoomId, Seq};
use crate::error::EngineError;
use crate::inbox::Follow;
use crate::people::SignIn;
use crate::ports::wire::Wire;
use crate::protocol::close::CloseCode;
use crate::room::{Admission, Guest, Purpose, RoomActor};
use crate::switchboard::{Attach, Expire, OutboxId, OutboxRef, TurnAway, Uncork};

/// What a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// One room.
    Room {
        /// Which one.
        room: RoomId,
        /// The position after which events are wanted.
        since: Option<Seq>,
        /// The history that the position is of.
        epoch: Option<Epoch>,
    },
    /// All rooms of a person.
    User,
}

/// Why a socket isn't let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectError {
    /// The token was revoked, or the account is closed.
    Unauthorized,
    /// Not in the room, or no such room.
    NotInRoom,
    /// The person has too many already.
    TooManySockets,
    /// The store can't be reached.
    Unavailable,
    /// The server is about to stop.
    Restarting,
}

impl ConnectError {
    /// The close code for a client that is let in just to be told.
    #[must_use]
    pub fn close_code(self) -> CloseCode {
        match self {
            Self::Unauthorized => CloseCode::Unauthorized,
            Self::NotInRoom => CloseCode::NotInRoom,
            Self::TooManySockets => CloseCode::TooManySockets,
            Self::Unavailable | Self::Restarting => CloseCode::Restarting,
        }
    }
}

/// A socket whose handshake has been understood and whose token is valid.
pub struct Connect {
    /// What the token says.
    pub credential: crate::ports::identity::Credential,
    /// How much longer than its token the socket may stay, for a client that can't renew it.
    pub grace: Duration,
    /// What the socket is for.
    pub target: Target,
    /// Its write half.
    pub wire: Box<dyn Wire>,
    /// The answer to the handshake when it is let in.
    pub accept: Bytes,
    /// The answer when it isn't; without one it is let in and closed with a code.
    pub refuse: Option<fn(ConnectError) -> Bytes>,
}

/// What is known only while a session opens.
pub struct Opening {
    target: Target,
    wire: Option<Box<dyn Wire>>,
    accept: Bytes,
    refuse: Option<fn(ConnectError) -> Bytes>,
    /// When the right to the socket ends, with what a client that can't renew its token is given beyond.
    expires_at: Duration,
}

impl Opening {
    /// Takes from `connect` what opening needs.
    pub(super) fn new(
        target: Target,
        wire: Box<dyn Wire>,
        accept: Bytes,
        refuse: Option<fn(ConnectError) -> Bytes>,
        expires_at: Duration,
    ) -> Self {
        Self { target, wire: Some(wire), accept, refuse, expires_at }
    }
}

/// Whether a session may be in a room.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Joined {
    /// The room.
    pub room: RoomId,
    /// Its actor.
    pub addr: Addr<RoomActor>,
    /// Whether, and if so as whom.
    pub result: Result<Admission, EngineError>,
}

impl SessionActor {
    /// Takes a place in the switchboard and among the person's sockets, then goes where it wants to.
    pub(super) fn open(&mut self, ctx: &mut Context<Self>) {
        let Some(wire) = self.opening.as_mut().and_then(|opening| opening.wire.take()) else { return };
        let (worker, user, session) = (self.worker.clone(), self.user, self.id);
        let (addr, issued_at) = (ctx.address().downgrade(), self.issued_at);
        let place = async move {
            let outbox = worker.switchboard.send(Attach { wire, session: addr.clone() }).await.ok();
            let signed = worker.core.people.send(SignIn { user, session, addr, issued_at }).await;
            (outbox, signed.unwrap_or(Err(ConnectError::Restarting)))
        };
        ctx.spawn(actix::fut::wrap_future::<_, Self>(place).map(|(outbox, signed), this, ctx| {
            this.placed(outbox, signed, ctx);
        }));
    }

    fn placed(
        &mut self,
        outbox: Option<OutboxId>,
        signed: Result<(), ConnectError>,
        ctx: &mut Context<Self>,
    ) {
        let (switchboard, worker) = (self.worker.switchboard.clone(), self.worker.index);
        self.guest = outbox.map(|id| {
            let outbox = OutboxRef { switchboard, worker, id };
            Arc::new(Guest { id: self.id, user: self.user, outbox, session: ctx.address().downgrade() })
        });
        if let Err(error) = signed {
            return self.turn_away(error);
        }
        match self.opening.as_ref().map(|opening| opening.target) {
            Some(Target::Room { room, since, epoch }) => self.join(room, Purpose::Socket, since, epoch),
            Some(Target::User) => self.follow_inbox(ctx),
            None => {}
        }
    }

    fn follow_inbox(&mut self, ctx: &mut Context<Self>) {
        let Some(outbox) = self.outbox().cloned() else { return };
        let (worker, user, session, issued_at) = (self.worker.clone(), self.user, self.id, self.issued_at);
        let follow = async move {
            let person = worker.core.store.person(user).await.map_err(|_| ConnectError::Unavailable)?;
            let (person, right) = person.ok_or(ConnectError::Unauthorized)?;
            if !right.honours(issued_at) {
                return Err(ConnectError::Unauthorized);
            }
            let username = person.username;
            let follow = Follow { user, username, session, outbox };
            match worker.core.inbox.send(follow).await {
                Ok(true) => Ok(()),
                _ => Err(ConnectError::Unavailable),
            }
        };
        ctx.spawn(actix::fut::wrap_future::<_, Self>(follow).map(|followed, this, _| match followed {
            Ok(()) => this.let_in(),
            Err(error) => this.turn_away(error),
        }));
    }

    /// Lets out what waits, behind the answer to the handshake.
    pub(super) fn let_in(&mut self) {
        let (Some(opening), Some(outbox)) = (self.opening.take(), self.outbox()) else { return };
        outbox.switchboard.do_send(Uncork { outbox: outbox.id, first: opening.accept });
        self.expire_at(opening.expires_at);
    }

    pub(super) fn expire_at(&self, at: Duration) {
        if let Some(outbox) = self.outbox() {
            outbox.switchboard.do_send(Expire { outbox: outbox.id, at: Some(at) });
        }
    }

    /// Turns away who is not in the room: as one whose token counts for nothing any more, where that is
    /// so. Rooms don't tell those two apart, and nobody else needs the question.
    pub(super) fn turn_away_outsider(&mut self, ctx: &mut Context<Self>) {
        let (store, user, issued_at) = (self.core().store.clone(), self.user, self.issued_at);
        let judge = async move {
            match store.person(user).await {
                Ok(Some((_, right))) if !right.honours(issued_at) => ConnectError::Unauthorized,
                Ok(_) => ConnectError::NotInRoom,
                Err(_) => ConnectError::Unavailable,
            }
        };
        ctx.spawn(actix::fut::wrap_future::<_, Self>(judge).map(|error, this, _| this.turn_away(error)));
    }

    pub(super) fn turn_away(&mut self, error: ConnectError) {
        let opening = self.opening.take();
        let Some(outbox) = self.outbox() else { return };
        let Some(opening) = opening else { return outbox.close(error.close_code()) };
        match opening.refuse {
            Some(refuse) => {
                outbox.switchboard.do_send(TurnAway { outbox: outbox.id, last: refuse(error) });
            }
            None => {
                outbox.switchboard.do_send(Uncork { outbox: outbox.id, first: opening.accept });
                outbox.close(error.close_code());
            }
        }
    }
}
