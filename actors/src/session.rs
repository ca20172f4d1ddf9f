//! One socket: it decodes what the client sends, passes it to rooms, and knows which of them the
//! client hears. What goes to the client waits in the outbox of the [`crate::switchboard`].

mod frames;
mod opening;
mod rooms;
#[cfg(all(test, feature = "memory"))]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, Context, Handler, Message};
use bytes::Bytes;

pub use frames::{Input, hand_over};
pub use opening::{Connect, ConnectError, Joined, Opening, Target};
pub use rooms::{RoomGone, TellAnew, Unsubscribed};

use crate::core::Core;
use crate::domain::ids::{ClientId, RoomId, UserId};
use crate::domain::rate::Budget;
use crate::error::EngineError;
use crate::inbox::Unfollow;
use crate::limits;
use crate::people::SignOut;
use crate::protocol::close::CloseCode;
use crate::protocol::codec;
use crate::protocol::server::ServerFrame;
use crate::registry::RouteLeave;
use crate::room::{Guest, Leave, Submit};
use crate::switchboard::{Detach, OutboxRef};
use crate::worker::Worker;
use rooms::{Asked, Place};

/// Names a session of this node: its worker thread, and the how-manieth it is there. Small, for each room
/// that a session is in keeps it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(u64);

impl SessionId {
    /// Before every session.
    pub(crate) const FIRST: Self = Self(0);
    /// Behind every session.
    pub(crate) const LAST: Self = Self(u64::MAX);
    /// The bits of the number; a thread that lets in a million sessions a second has enough for years.
    const NUMBER_BITS: u32 = 48;

    pub(crate) fn new(worker: usize, number: u64) -> Self {
        debug_assert!(worker < 1 << (u64::BITS - Self::NUMBER_BITS));
        Self((worker as u64) << Self::NUMBER_BITS | number)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.0 & ((1 << Self::NUMBER_BITS) - 1);
        write!(f, "{}/{number}", self.0 >> Self::NUMBER_BITS)
    }
}

/// The actor.
pub struct SessionActor {
    worker: Rc<Worker>,
    id: SessionId,
    user: UserId,
    /// The person's name, once a room has told it.
    username: Option<Arc<str>>,
    /// The room that a socket of one room is for.
    own_room: Option<RoomId>,
    /// What is known only while the session opens.
    opening: Option<Box<Opening>>,
    /// Itself with its outbox, once it has one.
    guest: Option<Arc<Guest>>,
    rooms: Vec<Place>,
    /// Rooms that have been asked for a place.
    asked: BTreeMap<RoomId, Asked>,
    /// Commands for rooms whose actor is being looked for.
    queued: BTreeMap<RoomId, VecDeque<Submit>>,
    /// Whether the connection is about to end, be it that it was never let in: nothing more is taken from it.
    is_closing: bool,
    /// Whether a newer token is being looked at: what came behind it waits.
    is_renewing: bool,
    /// Whether it did not offer `chat.v1`, as clients of the chat that this one replaces.
    is_inherited: bool,
    issued_at: i64,
    frames: Budget,
    /// Boxed, for of thousands few ever have it.
    trouble: Option<Box<Trouble>>,
}

// There are thousands of them, and each is a task of its own, in steps of 128 bytes.
const _: () = assert!(size_of::<SessionActor>() <= 192);

/// What only a client has that floods, breaks rules or finds the node overloaded.
#[derive(Default)]
struct Trouble {
    /// Refusals that are about to be told.
    shed: Shed,
    /// When its socket may be read again.
    reads_at: Duration,
    bad_frames: Window,
    refusals: Window,
}

/// Refusals for which nothing was done, as frames.
#[derive(Default)]
struct Shed {
    frames: Vec<u8>,
    count: u64,
}

/// Counts what happens within a span of time, of whichever moment it begins.
#[derive(Default)]
struct Window(VecDeque<Duration>);

impl Window {
    /// Counts one at `now`; true when there are `max` within `span`.
    fn count(&mut self, now: Duration, max: u32, span: Duration) -> bool {
        while self.0.front().is_some_and(|first| now - *first > span) {
            self.0.pop_front();
        }
        self.0.push_back(now);
        self.0.len() >= max as usize
    }
}

impl SessionActor {
    /// A session that is about to open.
    pub(crate) fn begin(worker: &Rc<Worker>, connect: Connect) -> Self {
        let expires_at = worker.core.clock.now() + connect.credential.expires_in + connect.grace;
        let Connect { target, wire, accept, refuse, .. } = connect;
        let is_inherited = refuse.is_some();
        Self {
            worker: worker.clone(),
            id: worker.next_session(),
            user: connect.credential.user,
            username: None,
            own_room: match target {
                Target::Room { room, .. } => Some(room),
                Target::User => None,
            },
            opening: Some(Box::new(Opening::new(target, wire, accept, refuse, expires_at))),
            guest: None,
            rooms: Vec::new(),
            asked: BTreeMap::new(),
            queued: BTreeMap::new(),
            is_closing: false,
            is_renewing: false,
            is_inherited,
            issued_at: connect.credential.issued_at,
            frames: Budget::default(),
            trouble: None,
        }
    }

    fn core(&self) -> &Core {
        &self.worker.core
    }

    fn outbox(&self) -> Option<&OutboxRef> {
        self.guest.as_ref().map(|guest| &guest.outbox)
    }

    fn send(&self, frame: &ServerFrame<'_>) {
        self.push(codec::encode(frame));
    }

    fn push(&self, bytes: Bytes) {
        if let Some(outbox) = self.outbox() {
            outbox.push(bytes);
        }
    }

    /// Ends the connection after what is queued. Nothing that the client has sent behind this counts, and its
    /// person may come back at once.
    fn close(&mut self, code: CloseCode) {
        self.stop_taking(false);
        if let Some(outbox) = self.outbox() {
            outbox.close(code);
        }
    }

    /// Takes nothing more from the connection, though it may take its time to end.
    fn stop_taking(&mut self, is_lost: bool) {
        if !std::mem::replace(&mut self.is_closing, true) {
            self.sign_out(is_lost);
        }
    }

    fn error(&mut self, error: &EngineError, room: Option<RoomId>, client_id: Option<ClientId>) {
        self.push(codec::refusal(error, room, client_id));
        match error {
            EngineError::RateLimited { .. } => self.count_refusal(),
            EngineError::Overloaded => self.pause(),
            _ => {}
        }
    }

    fn trouble(&mut self) -> &mut Trouble {
        self.trouble.get_or_insert_default()
    }

    /// Lets the client wait until it is read again.
    fn pause(&mut self) {
        self.trouble().reads_at = self.core().clock.now() + limits::OVERLOAD_PAUSE;
    }

    fn count_refusal(&mut self) {
        let (now, most) = (self.core().clock.now(), self.core().limits.refusals_max);
        if self.trouble().refusals.count(now, most, limits::REFUSALS_WITHIN) {
            self.close(CloseCode::TooManyRefusals);
        }
    }

    /// Counts as gone from here on.
    fn sign_out(&mut self, is_lost: bool) {
        self.leave_all();
        self.core().people.do_send(SignOut { user: self.user, session: self.id, is_lost });
        if self.own_room.is_none() {
            self.core().inbox.do_send(Unfollow { user: self.user, session: self.id });
        }
    }

    fn leave_all(&mut self) {
        for place in self.rooms.drain(..) {
            if let Some(addr) = place.actor() {
                addr.do_send(Leave { session: self.id });
            }
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
        self.sign_out(false);
        // A room that was asked for a place may have given it meanwhile.
        for room in std::mem::take(&mut self.asked).into_keys() {
            self.core().registry.do_send(RouteLeave { room, session: self.id });
        }
        if let Some(guest) = self.guest.take() {
            guest.outbox.switchboard.do_send(Detach { outbox: guest.outbox.id });
        }
    }
}

/// The connection has ended.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Ended;

impl Handler<Ended> for SessionActor {
    type Result = ();

    fn handle(&mut self, _: Ended, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

/// The client broke the WebSocket protocol.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Violated {
    /// The close code of the protocol.
    pub code: u16,
}

impl Handler<Violated> for SessionActor {
    type Result = ();

    fn handle(&mut self, Violated { code }: Violated, _: &mut Self::Context) {
        match &mut self.opening {
            Some(opening) => opening.violation = Some(code),
            None => self.close(CloseCode::Framing(code)),
        }
    }
}

/// The switchboard ends the connection; nothing of this session is told or taken any more.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Closing {
    /// Why.
    pub code: CloseCode,
}

impl Handler<Closing> for SessionActor {
    type Result = ();

    fn handle(&mut self, Closing { code }: Closing, _: &mut Self::Context) {
        tracing::debug!(session = ?self.id, code = code.code(), "session ends");
        if self.opening.is_some() {
            return self.turn_away(ConnectError::of_close_code(code));
        }
        self.stop_taking(code == CloseCode::Silent);
    }
}

/// One of the client's frames was refused for its rate.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Refused;

impl Handler<Refused> for SessionActor {
    type Result = ();

    fn handle(&mut self, _: Refused, _: &mut Self::Context) {
        self.count_refusal();
    }
}

/// One of the client's commands found too many waiting.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Overloaded;

impl Handler<Overloaded> for SessionActor {
    type Result = ();

    fn handle(&mut self, _: Overloaded, _: &mut Self::Context) {
        self.pause();
    }
}

/// The person may no longer be here.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Revoked;

impl Handler<Revoked> for SessionActor {
    type Result = ();

    fn handle(&mut self, _: Revoked, _: &mut Self::Context) {
        self.turn_away(ConnectError::Unauthorized);
    }
}

#[cfg(test)]
mod windows {
    use super::*;

    #[test]
    fn a_window_begins_at_any_moment() {
        let mut window = Window::default();
        let mut count = |second| window.count(Duration::from_secs(second), 3, Duration::from_secs(10));
        assert_eq!([count(9), count(11), count(19)], [false, false, true]);
        assert_eq!([count(31), count(32), count(40)], [false, false, true]);
    }
}
