//! Letting a session in: a place among its person's sockets, and for a socket of one room a place in
//! that room. Until then its outbox is corked, so that the answer to the handshake goes out first.

use std::sync::Arc;
use std::time::Duration;

use actix::{ActorFutureExt, Addr, AsyncContext, Context, Message};
use bytes::Bytes;

use super::SessionActor;
use crate::domain::ids::{Epoch, RoomId, Seq};
use crate::inbox::Follow;
use crate::people::{LetIn, SignIn};
use crate::ports::wire::Wire;
use crate::protocol::close::CloseCode;
use crate::protocol::codec;
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
    /// The person has asked for too many rooms in vain.
    RateLimited,
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
            Self::RateLimited => CloseCode::TooManyRefusals,
        }
    }

    /// The refusal of a socket that is closed with `code` before it was let in.
    pub(super) fn of_close_code(code: CloseCode) -> Self {
        match code {
            CloseCode::Unauthorized => Self::Unauthorized,
            CloseCode::NotInRoom | CloseCode::RoomDeleted => Self::NotInRoom,
            CloseCode::Restarting => Self::Restarting,
            _ => Self::Unavailable,
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
    /// Why it is refused, where that is known before its outbox is.
    refused: Option<ConnectError>,
    /// How the client has broken the WebSocket protocol meanwhile: it is told that after the answer to its
    /// handshake.
    pub(super) violation: Option<u16>,
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
        let wire = Some(wire);
        Self { target, wire, accept, refuse, expires_at, refused: None, violation: None }
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
    pub result: Result<Admission, ConnectError>,
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
        let refused = self.opening.as_ref().and_then(|opening| opening.refused);
        if let Some(error) = refused.or(signed.err()) {
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
            if !matches!(worker.core.inbox.send(follow).await, Ok(true)) {
                return Err(ConnectError::Unavailable);
            }
            match worker.core.people.send(LetIn { user, session }).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(ConnectError::Unauthorized),
                Err(_) => Err(ConnectError::Restarting),
            }
        };
        ctx.spawn(actix::fut::wrap_future::<_, Self>(follow).map(|followed, this, _| match followed {
            Ok(()) => this.let_in(),
            Err(error) => this.turn_away(error),
        }));
    }

    /// Lets out what waits, behind the answer to the handshake.
    pub(super) fn let_in(&mut self) {
        if self.is_closing {
            return;
        }
        let (Some(opening), Some(outbox)) = (self.opening.take(), self.outbox()) else { return };
        outbox.switchboard.do_send(Uncork { outbox: outbox.id, first: opening.accept });
        self.expire_at(opening.expires_at);
        if let Some(code) = opening.violation {
            self.close(CloseCode::Framing(code));
        }
    }

    pub(super) fn expire_at(&self, at: Duration) {
        if let Some(outbox) = self.outbox() {
            outbox.switchboard.do_send(Expire { outbox: outbox.id, at: Some(at) });
        }
    }

    /// Sends the session away: its client gets the refusal and nothing else, and is heard no more.
    pub(super) fn turn_away(&mut self, error: ConnectError) {
        let Some(opening) = &mut self.opening else { return self.close(error.close_code()) };
        let error = *opening.refused.get_or_insert(error);
        #[cfg(feature = "planted-bugs")]
        let listens_on = crate::planted::Bug::ListensOn.is_planted();
        #[cfg(not(feature = "planted-bugs"))]
        let listens_on = false;
        if !listens_on {
            self.stop_taking(false);
        }
        // Where it isn't known yet where the outbox is, the refusal waits for that.
        let Some(OutboxRef { switchboard, id, .. }) = self.outbox().cloned() else { return };
        let Some(opening) = self.opening.take() else { return };
        let last = match opening.refuse {
            Some(refuse) => refuse(error),
            None => [opening.accept, codec::close(error.close_code())].concat().into(),
        };
        switchboard.do_send(TurnAway { outbox: id, last });
    }
}
