//! Accepting a socket: it registers with its user and joins its room or the inbox. Until then its outbox is
//! held, so that the answer to the handshake goes out first.

use std::sync::Arc;
use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, WeakAddr};
use bytes::Bytes;

use super::SessionActor;
use crate::domain::ids::{Epoch, PersonalSeq, RoomId, Seq};
use crate::messages::inbox::{PersonalResume, SubscribeInbox};
use crate::messages::room::{JoinKind, Subscriber};
use crate::messages::session::ConnectError;
use crate::messages::switchboard::{
    AttachSocket, OpenSocket, OutboxHandle, OutboxId, RejectSocket, SetSocketExpiry,
};
use crate::messages::users::{ActivateSession, RegisterSession};
use crate::ports::connection::ConnectionWriter;
use crate::ports::identity::Credential;
use crate::protocol::close::CloseCode;
use crate::protocol::codec;

/// What a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectTarget {
    /// One room.
    Room {
        /// The room.
        room: RoomId,
        /// The position after which events are wanted; only new ones, if unset.
        since: Option<Seq>,
        /// The history that the position is of.
        epoch: Option<Epoch>,
    },
    /// All rooms of a user.
    User,
    /// All rooms of a user, and the user's personal log from a position on.
    UserSince {
        /// The position after which entries are wanted.
        since: PersonalSeq,
        /// The history that the position is of.
        epoch: Option<Epoch>,
    },
}

/// A connection whose handshake is well-formed and whose token is valid.
pub struct ConnectRequest {
    /// What the token says.
    pub credential: Credential,
    /// How much longer than its token the socket may stay, for a client that can't renew the token.
    pub grace: Duration,
    /// What the socket is for.
    pub target: ConnectTarget,
    /// The write half of the connection.
    pub writer: Box<dyn ConnectionWriter>,
    /// The answer to the handshake if the socket is accepted.
    pub accept: Bytes,
    /// Makes the answer if it isn't. Without this, the socket is accepted and closed with a code.
    pub refuse: Option<fn(ConnectError) -> Bytes>,
}

/// What a session knows only until its socket is accepted or rejected.
pub(super) struct Handshake {
    target: ConnectTarget,
    writer: Option<Box<dyn ConnectionWriter>>,
    accept: Bytes,
    refuse: Option<fn(ConnectError) -> Bytes>,
    /// When the right to the socket ends, [`ConnectRequest::grace`] included.
    expires_at: Duration,
    /// Why the socket is rejected, if that is known before it has an outbox.
    refused: Option<ConnectError>,
    /// How the client has broken the WebSocket protocol meanwhile, which it is told behind the answer to its
    /// handshake.
    pub(super) violation: Option<u16>,
}

impl Handshake {
    pub(super) fn new(
        target: ConnectTarget,
        writer: Box<dyn ConnectionWriter>,
        accept: Bytes,
        refuse: Option<fn(ConnectError) -> Bytes>,
        expires_at: Duration,
    ) -> Self {
        let writer = Some(writer);
        Self { target, writer, accept, refuse, expires_at, refused: None, violation: None }
    }
}

impl SessionActor {
    /// Attaches the socket to the switchboard and registers it with its user, then joins what it is for.
    pub(super) fn open(&mut self, ctx: &mut Context<Self>) {
        let Some(writer) = self.handshake.as_mut().and_then(|handshake| handshake.writer.take()) else {
            return;
        };
        let (worker, user, session) = (self.worker.clone(), self.user, self.id);
        let (address, issued_at) = (Arc::new(ctx.address().downgrade()), self.issued_at);
        let (owner, mailbox) = (address.clone(), address.clone());
        let attach = async move {
            let outbox = worker.switchboard.ask(AttachSocket { writer, session: owner }).await.ok();
            let register = RegisterSession { user, session, mailbox, issued_at };
            let registered = worker.deps.users.ask(register).await;
            (outbox, registered.unwrap_or(Err(ConnectError::Restarting)))
        };
        ctx.spawn(actix::fut::wrap_future::<_, Self>(attach).map(|(outbox, registered), this, ctx| {
            this.attached(address, outbox, registered, ctx);
        }));
    }

    fn attached(
        &mut self,
        address: Arc<WeakAddr<Self>>,
        outbox: Option<OutboxId>,
        registered: Result<(), ConnectError>,
        ctx: &mut Context<Self>,
    ) {
        let (switchboard, worker) = (self.worker.switchboard.clone(), self.worker.index);
        self.subscriber = outbox.map(|id| {
            let outbox = OutboxHandle { switchboard, worker, id };
            Arc::new(Subscriber { id: self.id, user: self.user, outbox, session: address })
        });
        let refused = self.handshake.as_ref().and_then(|handshake| handshake.refused);
        if let Some(error) = refused.or(registered.err()) {
            return self.reject(error);
        }
        match self.handshake.as_ref().map(|handshake| handshake.target) {
            Some(ConnectTarget::Room { room, since, epoch }) => {
                self.join(room, JoinKind::RoomSocket, since, epoch);
            }
            Some(ConnectTarget::User) => self.follow_inbox(None, ctx),
            Some(ConnectTarget::UserSince { since, epoch }) => {
                self.follow_inbox(Some(PersonalResume { since, epoch }), ctx);
            }
            None => {}
        }
    }

    fn follow_inbox(&mut self, resume: Option<PersonalResume>, ctx: &mut Context<Self>) {
        let Some(outbox) = self.outbox().cloned() else { return };
        let (worker, user, session, issued_at) = (self.worker.clone(), self.user, self.id, self.issued_at);
        let follow = async move {
            let person = worker.deps.store.user(user).await.map_err(|_| ConnectError::Unavailable)?;
            let (person, right) = person.ok_or(ConnectError::Unauthorized)?;
            if !right.accepts(issued_at) {
                return Err(ConnectError::Unauthorized);
            }
            let username = person.username;
            let follow = SubscribeInbox { user, username, session, outbox, resume };
            if !matches!(worker.deps.inbox.ask(follow).await, Ok(true)) {
                return Err(ConnectError::Unavailable);
            }
            match worker.deps.users.ask(ActivateSession { user, session }).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(ConnectError::Unauthorized),
                Err(_) => Err(ConnectError::Restarting),
            }
        };
        ctx.spawn(actix::fut::wrap_future::<_, Self>(follow).map(|followed, this, _| match followed {
            Ok(()) => this.accept_socket(),
            Err(error) => this.reject(error),
        }));
    }

    /// Accepts the socket: what waits goes out behind the answer to the handshake.
    pub(super) fn accept_socket(&mut self) {
        if self.is_closing {
            return;
        }
        let (Some(handshake), Some(outbox)) = (self.handshake.take(), self.outbox()) else { return };
        outbox.switchboard.tell(OpenSocket { outbox: outbox.id, first: handshake.accept });
        self.expire_at(handshake.expires_at);
        if let Some(code) = handshake.violation {
            self.close(CloseCode::Framing(code));
        }
    }

    pub(super) fn expire_at(&self, at: Duration) {
        if let Some(outbox) = self.outbox() {
            outbox.switchboard.tell(SetSocketExpiry { outbox: outbox.id, at: Some(at) });
        }
    }

    /// Rejects the socket: its client is sent the refusal and nothing else, and is read no more. A socket
    /// that was accepted is closed.
    pub(super) fn reject(&mut self, error: ConnectError) {
        let Some(handshake) = &mut self.handshake else { return self.close(error.close_code()) };
        let error = *handshake.refused.get_or_insert(error);
        #[cfg(feature = "injected-bugs")]
        let listens_on = crate::injected_bugs::InjectedBug::ReadAfterReject.is_injected();
        #[cfg(not(feature = "injected-bugs"))]
        let listens_on = false;
        if !listens_on {
            self.stop_reading(false);
        }
        // The refusal waits until there is an outbox.
        let Some(OutboxHandle { switchboard, id, .. }) = self.outbox().cloned() else { return };
        let Some(handshake) = self.handshake.take() else { return };
        let last = match handshake.refuse {
            Some(refuse) => refuse(error),
            None => [handshake.accept, codec::close(error.close_code())].concat().into(),
        };
        switchboard.tell(RejectSocket { outbox: id, last });
    }
}
