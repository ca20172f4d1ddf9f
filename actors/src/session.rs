//! One socket: a session decodes what the client sends, passes it to rooms, and knows which rooms the
//! client is subscribed to. What goes to the client waits in its outbox at the [`crate::switchboard`].

mod bots;
mod frames;
mod handle;
mod handshake;
mod rooms;
#[cfg(all(test, feature = "memory"))]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, Context, Handler, Message};
use bytes::Bytes;

pub use self::frames::ClientInput;
pub use self::handle::SessionHandle;
use self::handshake::Handshake;
pub use self::handshake::{ConnectRequest, ConnectTarget};
use self::rooms::{JoinedRoom, PendingJoin};
use crate::domain::ids::{ClientId, RoomId, UserId};
use crate::domain::rate::Budget;
use crate::error::EngineError;
use crate::limits::{self, MailboxBound};
use crate::mailbox::Bounded;
use crate::messages::inbox::UnsubscribeInbox;
use crate::messages::registry::RouteLeave;
use crate::messages::room::{CommandOverloaded, CommandRateLimited, LeaveRoom, SubmitCommand, Subscriber};
use crate::messages::session::{ConnectError, SessionId};
use crate::messages::switchboard::{DetachSocket, OutboxHandle, SocketClosing};
use crate::messages::users::{AccessRevoked, UnregisterSession};
use crate::protocol::close::CloseCode;
use crate::protocol::codec;
use crate::protocol::server::ServerFrame;
use crate::worker::{SessionDependencies, Worker};

/// See the [module](self).
pub(crate) struct SessionActor {
    worker: Rc<Worker>,
    id: SessionId,
    user: UserId,
    /// The user's name, once a room has told it.
    username: Option<Arc<str>>,
    /// The room, if this is the socket of one room.
    own_room: Option<RoomId>,
    /// What is known only until the socket is accepted or rejected.
    handshake: Option<Box<Handshake>>,
    /// This session as rooms know it, once it has an outbox.
    subscriber: Option<Arc<Subscriber>>,
    rooms: Vec<JoinedRoom>,
    /// Rooms that the session has asked to join.
    pending_joins: BTreeMap<RoomId, PendingJoin>,
    /// Commands for rooms whose actors are being resolved.
    queued: BTreeMap<RoomId, VecDeque<SubmitCommand>>,
    /// Whether the connection is about to end, accepted or not: nothing more is taken from it.
    is_closing: bool,
    /// Whether a newer token is being verified: what came behind it waits.
    is_renewing: bool,
    /// Whether the client did not offer `chat.v1`, like the clients of the chat that this one replaces.
    is_legacy_client: bool,
    issued_at: i64,
    frames: Budget,
    /// Boxed, because few of thousands ever have it.
    abuse: Option<Box<AbuseCounters>>,
}

// There are thousands, and each is a task of its own, allocated in steps of 128 bytes.
const _: () = assert!(size_of::<SessionActor>() <= 192);

/// What is kept of a client that floods, breaks rules or finds the node overloaded.
#[derive(Default)]
struct AbuseCounters {
    /// Refusals that are about to be sent.
    rejected_frames: RejectedFrames,
    /// When the socket may be read again.
    read_again_at: Duration,
    bad_frames: SlidingWindow,
    refusals: SlidingWindow,
}

/// Frames that were refused before any work was done for them, as refusals to be sent.
#[derive(Default)]
struct RejectedFrames {
    frames: Vec<u8>,
    count: u64,
}

/// Counts what happens within a span of time, wherever the span begins.
#[derive(Default)]
struct SlidingWindow(VecDeque<Duration>);

impl SlidingWindow {
    /// Counts one at `now`. Returns whether there are `max` within `span`.
    fn count(&mut self, now: Duration, max: u32, span: Duration) -> bool {
        while self.0.front().is_some_and(|first| now - *first > span) {
            self.0.pop_front();
        }
        self.0.push_back(now);
        self.0.len() >= max as usize
    }
}

impl SessionActor {
    /// A session that is about to be accepted or rejected.
    pub(crate) fn begin(worker: &Rc<Worker>, connect: ConnectRequest) -> Self {
        let expires_at = worker.deps.clock.now() + connect.credential.expires_in + connect.grace;
        let ConnectRequest { target, writer, accept, refuse, .. } = connect;
        let is_legacy_client = refuse.is_some();
        Self {
            worker: worker.clone(),
            id: worker.next_session(),
            user: connect.credential.user,
            username: None,
            own_room: match target {
                ConnectTarget::Room { room, .. } => Some(room),
                ConnectTarget::User | ConnectTarget::UserSince { .. } => None,
            },
            handshake: Some(Box::new(Handshake::new(target, writer, accept, refuse, expires_at))),
            subscriber: None,
            rooms: Vec::new(),
            pending_joins: BTreeMap::new(),
            queued: BTreeMap::new(),
            is_closing: false,
            is_renewing: false,
            is_legacy_client,
            issued_at: connect.credential.issued_at,
            frames: Budget::default(),
            abuse: None,
        }
    }

    fn deps(&self) -> &SessionDependencies {
        &self.worker.deps
    }

    fn outbox(&self) -> Option<&OutboxHandle> {
        self.subscriber.as_ref().map(|subscriber| &subscriber.outbox)
    }

    fn send(&self, frame: &ServerFrame<'_>) {
        self.push(codec::encode(frame));
    }

    fn push(&self, bytes: Bytes) {
        if let Some(outbox) = self.outbox() {
            outbox.push(bytes);
        }
    }

    /// Closes the connection behind what is queued. Nothing that the client has sent after this counts, and
    /// its user may come back at once.
    fn close(&mut self, code: CloseCode) {
        self.stop_reading(false);
        if let Some(outbox) = self.outbox() {
            outbox.close(code);
        }
    }

    /// Takes nothing more from the connection, however long that takes to end.
    fn stop_reading(&mut self, is_lost: bool) {
        if !std::mem::replace(&mut self.is_closing, true) {
            self.unregister(is_lost);
        }
    }

    fn error(&mut self, error: &EngineError, room: Option<RoomId>, client_id: Option<ClientId>) {
        self.push(codec::engine_error(error, room, client_id));
        match error {
            EngineError::RateLimited { .. } => self.count_refusal(),
            EngineError::Overloaded => self.pause(),
            _ => {}
        }
    }

    fn abuse(&mut self) -> &mut AbuseCounters {
        self.abuse.get_or_insert_default()
    }

    /// Makes the client wait until it is read again.
    fn pause(&mut self) {
        self.abuse().read_again_at = self.deps().clock.now() + limits::OVERLOAD_PAUSE;
    }

    fn count_refusal(&mut self) {
        let (now, most) = (self.deps().clock.now(), self.deps().limits.refusals_max);
        if self.abuse().refusals.count(now, most, limits::REFUSALS_WINDOW) {
            self.close(CloseCode::TooManyRefusals);
        }
    }

    /// Leaves all rooms and unregisters, after which the user may count as offline.
    fn unregister(&mut self, is_lost: bool) {
        self.leave_all();
        self.deps().users.tell(UnregisterSession { user: self.user, session: self.id, is_lost });
        if self.own_room.is_none() {
            self.deps().inbox.tell(UnsubscribeInbox { user: self.user, session: self.id });
        }
    }

    fn leave_all(&mut self) {
        for joined_room in self.rooms.drain(..) {
            joined_room.handle.tell(LeaveRoom { session: self.id });
        }
    }
}

impl Actor for SessionActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        metrics::gauge!("chat_sessions").increment(1);
        self.open(ctx);
    }

    /// Runs after a panic too, so that nothing of the session stays behind.
    fn stopped(&mut self, _: &mut Self::Context) {
        metrics::gauge!("chat_sessions").decrement(1);
        self.unregister(false);
        // A room that the session has asked to join may have accepted it meanwhile.
        for room in std::mem::take(&mut self.pending_joins).into_keys() {
            self.deps().registry.tell(RouteLeave { room, session: self.id });
        }
        if let Some(subscriber) = self.subscriber.take() {
            subscriber.outbox.switchboard.tell(DetachSocket { outbox: subscriber.outbox.id });
        }
    }
}

impl Bounded for SessionActor {
    const MAILBOX: MailboxBound = limits::SESSION_MAILBOX;
}

/// The connection has ended.
#[derive(Message)]
#[rtype(result = "()")]
struct ConnectionEnded;

impl Handler<ConnectionEnded> for SessionActor {
    type Result = ();

    fn handle(&mut self, _: ConnectionEnded, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

/// The client broke the WebSocket protocol.
#[derive(Message)]
#[rtype(result = "()")]
struct ProtocolViolation {
    /// A close code of the WebSocket protocol.
    code: u16,
}

impl Handler<ProtocolViolation> for SessionActor {
    type Result = ();

    fn handle(&mut self, ProtocolViolation { code }: ProtocolViolation, _: &mut Self::Context) {
        match &mut self.handshake {
            Some(handshake) => handshake.violation = Some(code),
            None => self.close(CloseCode::Framing(code)),
        }
    }
}

impl Handler<SocketClosing> for SessionActor {
    type Result = ();

    fn handle(&mut self, SocketClosing { code }: SocketClosing, _: &mut Self::Context) {
        tracing::debug!(session = ?self.id, code = code.code(), "session ends");
        if self.handshake.is_some() {
            return self.reject(ConnectError::of_close_code(code));
        }
        self.stop_reading(code == CloseCode::Silent);
    }
}

impl Handler<CommandRateLimited> for SessionActor {
    type Result = ();

    fn handle(&mut self, _: CommandRateLimited, _: &mut Self::Context) {
        self.count_refusal();
    }
}

impl Handler<CommandOverloaded> for SessionActor {
    type Result = ();

    fn handle(&mut self, _: CommandOverloaded, _: &mut Self::Context) {
        self.pause();
    }
}

impl Handler<AccessRevoked> for SessionActor {
    type Result = ();

    fn handle(&mut self, _: AccessRevoked, _: &mut Self::Context) {
        self.reject(ConnectError::Unauthorized);
    }
}

#[cfg(test)]
mod windows {
    use super::*;

    #[test]
    fn a_window_begins_at_any_moment() {
        let mut window = SlidingWindow::default();
        let mut count = |second| window.count(Duration::from_secs(second), 3, Duration::from_secs(10));
        assert_eq!([count(9), count(11), count(19)], [false, false, true]);
        assert_eq!([count(31), count(32), count(40)], [false, false, true]);
    }
}
