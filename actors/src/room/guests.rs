//! Who is in a room on this node, and how a guest gets to where the others are.
//!
//! Joining, coming back and being slow are one thing: to be at some position and want what follows.
//! A guest that catches up is only a position; nothing is held back for it in memory. It is fed page
//! by page, from the ring or the store, as fast as it reads, and enters the switchboard in the turn
//! in which it has reached what the room has delivered.

mod arriving;
mod catching_up;
mod states;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use actix::{Addr, Handler, Message};

pub(super) use self::arriving::Admitted;
pub use self::arriving::{Admission, AreIn, Join};
pub(super) use self::states::States;
pub use self::states::TellStates;
use super::RoomActor;
use super::guest::{Guest, Purpose, Stay};
use crate::domain::ids::{Epoch, RoomId, Seq, UserId};
use crate::protocol::close::CloseCode;
use crate::session::{ConnectError, Joined, SessionId, Unsubscribed};
use crate::switchboard::{Exit, SwitchboardActor};

/// A guest and how far it is.
pub(super) struct Seat {
    pub(super) guest: Arc<Guest>,
    purpose: Purpose,
    /// Commands that it waits for.
    pub(super) unanswered: u32,
    phase: Phase,
}

// There is one for each room of each session.
const _: () = assert!(size_of::<Seat>() <= 32);

/// How far a guest has come. What passes is boxed, for each of thousands that are live would keep the space.
enum Phase {
    /// Waits to be let in.
    Arriving(Box<Arriving>),
    /// Is on its way to where the others are.
    CatchingUp(Box<Behind>),
    /// Hears the room by its switchboard.
    Live,
}

/// What a guest that arrives has asked for.
struct Arriving {
    position: Position,
    /// When the token was issued that the guest came with; Unix time in seconds.
    issued_at: i64,
    number: u64,
}

/// One asking for a place. A session that was sent away may ask again, while what was read for it the
/// first time is still on its way.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    session: SessionId,
    number: u64,
}

/// Where a guest is on its way.
pub(super) struct Behind {
    /// Everything up to here has been sent.
    position: Seq,
    /// It goes live here or later.
    pub(super) target: Seq,
    resumes: bool,
    pace: Pace,
}

/// Where a guest says that it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Position {
    /// The position after which events are wanted; only new ones, when unset.
    pub since: Option<Seq>,
    /// The history that the position is of.
    pub epoch: Option<Epoch>,
}

/// Whether a guest that catches up may be sent its next page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    Idle,
    /// Waits until its outbox has room.
    Asked,
    /// May be sent one.
    Turn,
}

impl Seat {
    /// Ends the stay in `room`; who has not been let in yet is refused.
    fn dismiss(&self, room: RoomId, addr: Addr<RoomActor>, code: CloseCode) {
        if let Phase::Arriving(_) = self.phase {
            return self.guest.tell(Joined { room, addr, result: Err(ConnectError::NotInRoom) });
        }
        match self.purpose {
            Purpose::Socket | Purpose::Return(Stay::Socket) => self.guest.outbox.close(code),
            Purpose::Subscription | Purpose::Return(Stay::Subscription) => {
                self.guest.outbox.switchboard.do_send(Exit { room, outbox: self.guest.outbox.id });
                self.guest.tell(Unsubscribed { room });
            }
        }
    }
}

/// All guests, the worker threads they are on, and those that are not live yet.
#[derive(Default)]
pub(super) struct Guests {
    seats: BTreeMap<SessionId, Seat>,
    /// The same by their people: thousands may go at once, and none of them shall look through all others.
    by_user: BTreeSet<(UserId, SessionId)>,
    boards: BTreeMap<usize, (Addr<SwitchboardActor>, usize)>,
    catching_up: BTreeSet<SessionId>,
}

impl Guests {
    fn insert(&mut self, seat: Seat) {
        let outbox = &seat.guest.outbox;
        self.boards.entry(outbox.worker).or_insert_with(|| (outbox.switchboard.clone(), 0)).1 += 1;
        self.by_user.insert((seat.guest.user, seat.guest.id));
        if let Some(old) = self.seats.insert(seat.guest.id, seat) {
            self.forget(&old.guest);
        }
    }

    pub(super) fn remove(&mut self, session: SessionId) -> Option<Seat> {
        let seat = self.seats.remove(&session)?;
        self.by_user.remove(&(seat.guest.user, session));
        self.forget(&seat.guest);
        Some(seat)
    }

    fn forget(&mut self, guest: &Guest) {
        self.catching_up.remove(&guest.id);
        if let Some(board) = self.boards.get_mut(&guest.outbox.worker) {
            board.1 -= 1;
            if board.1 == 0 {
                self.boards.remove(&guest.outbox.worker);
            }
        }
    }

    pub(super) fn get(&self, session: SessionId) -> Option<&Seat> {
        self.seats.get(&session)
    }

    pub(super) fn get_mut(&mut self, session: SessionId) -> Option<&mut Seat> {
        self.seats.get_mut(&session)
    }

    /// The guest that still waits for the answer to this, and what it has asked for.
    fn arriving(&self, arrival: Arrival) -> Option<(&Seat, &Arriving)> {
        let seat = self.seats.get(&arrival.session)?;
        match &seat.phase {
            Phase::Arriving(asked) if asked.number == arrival.number => Some((seat, asked)),
            _ => None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// The worker threads that have guests, each with its switchboard.
    pub(super) fn boards(&self) -> impl Iterator<Item = (usize, &Addr<SwitchboardActor>)> {
        self.boards.iter().map(|(worker, (board, _))| (*worker, board))
    }

    /// The guests of one person.
    pub(super) fn of(&self, user: UserId) -> impl Iterator<Item = &Seat> {
        self.by_user
            .range((user, SessionId::FIRST)..=(user, SessionId::LAST))
            .filter_map(|(_, session)| self.seats.get(session))
    }

    /// Ends the stay of one person's sessions, or of all.
    pub(super) fn dismiss(
        &mut self,
        who: Option<UserId>,
        room: RoomId,
        addr: &Addr<RoomActor>,
        code: CloseCode,
    ) {
        let going: Vec<SessionId> = match who {
            Some(user) => self.of(user).map(|seat| seat.guest.id).collect(),
            None => self.seats.keys().copied().collect(),
        };
        for session in going {
            if let Some(seat) = self.remove(session) {
                seat.dismiss(room, addr.clone(), code);
            }
        }
    }

    /// Takes all guests out.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Arc<Guest>> + use<> {
        self.boards.clear();
        self.by_user.clear();
        self.catching_up.clear();
        std::mem::take(&mut self.seats).into_values().map(|seat| seat.guest)
    }
}

/// Goes, of its own accord or because its connection has ended.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Leave {
    /// Who.
    pub session: SessionId,
}

impl Handler<Leave> for RoomActor {
    type Result = ();

    fn handle(&mut self, Leave { session }: Leave, ctx: &mut Self::Context) {
        if let Some(seat) = self.guests.remove(session) {
            // After an entry that may have been on its way when the session let go.
            let outbox = &seat.guest.outbox;
            outbox.switchboard.do_send(Exit { room: self.room, outbox: outbox.id });
            if self.guests.of(seat.guest.user).next().is_none() {
                self.stopped_typing(seat.guest.user, ctx);
            }
            self.sleep_when_idle(ctx);
            self.go_if_unknown(ctx);
        }
    }
}

/// A session's outbox has room for another page.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Drained {
    /// Whose.
    pub session: SessionId,
}

impl Handler<Drained> for RoomActor {
    type Result = ();

    fn handle(&mut self, Drained { session }: Drained, ctx: &mut Self::Context) {
        if let Some(Seat { phase: Phase::CatchingUp(behind), .. }) = self.guests.get_mut(session) {
            behind.pace = Pace::Turn;
            self.advance(session, ctx);
        }
    }
}
