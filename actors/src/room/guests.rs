//! Who is in a room on this node, and how a guest gets to where the others are.
//!
//! Joining, coming back and being slow are one thing: to be at some position and want what follows.
//! A guest that catches up is only a position; nothing is held back for it in memory. It is fed page
//! by page, from the ring or the store, as fast as it reads, and enters the switchboard in the turn
//! in which it has reached what the room has delivered.

mod catching_up;
mod states;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use actix::{Addr, AsyncContext, Context, Handler, Message};

pub(super) use self::states::States;
use super::guest::{Guest, Purpose, Stay};
use super::ring::Ring;
use super::{RoomActor, View};
use crate::domain::command::Refusal;
use crate::domain::ids::{Epoch, RoomId, Seq, UserId};
use crate::error::EngineError;
use crate::limits;
use crate::people::Watch;
use crate::ports::store::{RoomSnapshot, StoreError, Visitor};
use crate::protocol::close::CloseCode;
use crate::protocol::server::{PROTOCOL, ServerFrame};
use crate::session::{Joined, SessionId, Unsubscribed};
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
    /// Waits for a snapshot.
    Arriving(Box<Arriving>),
    /// Is on its way to where the others are.
    CatchingUp(Box<Behind>),
    /// Hears the room by its switchboard.
    Live,
}

/// What a guest that arrives has asked for.
struct Arriving {
    position: Position,
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
            let result = Err(EngineError::Refused(Refusal::NotParticipant));
            return self.guest.tell(Joined { room, addr, result });
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

    /// The guest that still waits for the answer to this.
    fn arriving(&self, arrival: Arrival) -> Option<&Seat> {
        let seat = self.seats.get(&arrival.session)?;
        matches!(&seat.phase, Phase::Arriving(asked) if asked.number == arrival.number).then_some(seat)
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

/// Wants to be in the room. Answered with [`Joined`].
///
/// False comes back from an actor that goes to sleep and takes no one in any more.
#[derive(Message)]
#[rtype(result = "bool")]
pub struct Join {
    /// Who.
    pub guest: Arc<Guest>,
    /// What for.
    pub purpose: Purpose,
    /// From where on.
    pub position: Position,
}

/// What a session is told when it may stay.
#[derive(Clone, Debug)]
pub struct Admission {
    /// The person's name to sign in, as the directory has it.
    pub username: Arc<str>,
    /// Tokens issued before this second are void; Unix time.
    pub tokens_valid_from: Option<i64>,
}

impl Handler<Join> for RoomActor {
    type Result = bool;

    fn handle(&mut self, Join { guest, purpose, position }: Join, ctx: &mut Self::Context) -> bool {
        if self.retired {
            return false;
        }
        self.arrived += 1;
        let arrival = Arrival { session: guest.id, number: self.arrived };
        let phase = Phase::Arriving(Box::new(Arriving { position, number: arrival.number }));
        self.guests.insert(Seat { guest, purpose, unanswered: 0, phase });
        self.arrivals.push(arrival);
        self.read_snapshot(ctx);
        true
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

impl RoomActor {
    /// Reads one snapshot for all who have arrived; who comes meanwhile shares the next one.
    fn read_snapshot(&mut self, ctx: &mut Context<Self>) {
        if self.reading_snapshot || self.arrivals.is_empty() {
            return;
        }
        self.reading_snapshot = true;
        let arrivals = std::mem::take(&mut self.arrivals);
        let users: BTreeSet<UserId> = arrivals
            .iter()
            .filter_map(|who| self.guests.arriving(*who))
            .map(|seat| seat.guest.user)
            .collect();
        let (store, room, roster) = (self.core.store.clone(), self.room, self.view.is_none());
        let read = async move { store.snapshot(room, &users.into_iter().collect::<Vec<_>>(), roster).await };
        Self::after(ctx, read, move |room, snapshot, ctx| {
            room.reading_snapshot = false;
            room.arrive(&arrivals, snapshot, ctx);
            room.read_snapshot(ctx);
        });
    }

    fn arrive(
        &mut self,
        arrivals: &[Arrival],
        snapshot: Result<Option<RoomSnapshot>, StoreError>,
        ctx: &mut Context<Self>,
    ) {
        let snapshot = match snapshot {
            Ok(Some(snapshot)) => snapshot,
            Ok(None) => return self.turn_away(arrivals, &EngineError::Refused(Refusal::RoomNotFound), ctx),
            Err(error) => {
                tracing::warn!(room = %self.room, %error, "could not let anyone in");
                return self.turn_away(arrivals, &EngineError::Unavailable, ctx);
            }
        };
        if self.view.is_none() {
            self.load(&snapshot, ctx);
        }
        if self.presence_is_due {
            return self.unpresented.push((arrivals.to_vec(), snapshot));
        }
        self.receive(arrivals, &snapshot, ctx);
    }

    /// Takes in who is online, and lets in who has waited for that.
    pub(super) fn present(&mut self, online: &[UserId], ctx: &mut Context<Self>) {
        self.states = States::default();
        if let Some(view) = &mut self.view {
            let here: Vec<UserId> =
                online.iter().copied().filter(|user| view.people.contains(user)).collect();
            view.online.extend(here);
        }
        self.presence_is_due = false;
        for (arrivals, snapshot) in std::mem::take(&mut self.unpresented) {
            self.receive(&arrivals, &snapshot, ctx);
        }
    }

    /// Greets those who may be here, and turns the others away.
    fn receive(&mut self, arrivals: &[Arrival], snapshot: &RoomSnapshot, ctx: &mut Context<Self>) {
        let visitors: BTreeMap<UserId, &Visitor> =
            snapshot.visitors.iter().map(|visitor| (visitor.person.id, visitor)).collect();
        for arrival in arrivals {
            let Some(user) = self.guests.arriving(*arrival).map(|seat| seat.guest.user) else { continue };
            match visitors.get(&user) {
                Some(visitor) => self.greet(arrival.session, visitor, snapshot.room.head, ctx),
                None => self.turn_away(&[*arrival], &EngineError::Refused(Refusal::NotParticipant), ctx),
            }
        }
        if let Some(view) = &mut self.view {
            view.head = view.head.max(snapshot.room.head);
            if view.head > view.delivered {
                self.fill_gap(ctx);
            }
        }
    }

    fn turn_away(&mut self, arrivals: &[Arrival], error: &EngineError, ctx: &mut Context<Self>) {
        for arrival in arrivals {
            if self.guests.arriving(*arrival).is_some()
                && let Some(seat) = self.guests.remove(arrival.session)
            {
                let room = self.room;
                seat.guest.tell(Joined { room, addr: ctx.address(), result: Err(error.clone()) });
            }
        }
        self.sleep_when_idle(ctx);
    }

    fn load(&mut self, snapshot: &RoomSnapshot, ctx: &mut Context<Self>) {
        let people: BTreeSet<UserId> =
            snapshot.roster.iter().map(|participant| participant.user.id).collect();
        let tells_presence = people.len() <= limits::PRESENCE_PEOPLE_MAX;
        let users = people.iter().copied().collect();
        self.states = States::default();
        self.view = Some(View {
            delivered: snapshot.room.head,
            head: snapshot.room.head.max(self.heard),
            is_archived: snapshot.room.archived_at.is_some(),
            ring: Ring::after(snapshot.room.head),
            ahead: BTreeMap::new(),
            gap_is_due: false,
            people,
            online: BTreeSet::new(),
        });
        for mark in &snapshot.marks {
            self.is_news(mark);
        }
        self.follow();
        self.presence_is_due = tells_presence;
        if tells_presence {
            self.core.people.do_send(Watch { room: self.room, addr: ctx.address(), users, anew: false });
        }
    }

    /// Lets a guest stay: greets it and sets it on its way to where the others are.
    fn greet(&mut self, id: SessionId, visitor: &Visitor, head: Seq, ctx: &mut Context<Self>) {
        let (room_id, epoch) = (self.room, self.core.store.epoch());
        let replay_max = i64::try_from(self.core.limits.replay_events_max).unwrap_or(i64::MAX);
        let Some(seat) = self.guests.get_mut(id) else { return };
        let Phase::Arriving(asked) = &seat.phase else { return };
        let Position { since, epoch: theirs } = asked.position;
        let is_astray = matches!(seat.purpose, Purpose::Return(_)) && since.is_none_or(|since| since > head);
        if is_astray || !seat.guest.is_here() {
            if is_astray {
                // It has heard what this log doesn't have; it comes back, and is told where it stands.
                seat.guest.outbox.close(CloseCode::Internal);
            }
            self.guests.remove(id);
            return self.sleep_when_idle(ctx);
        }
        let outbox = &seat.guest.outbox;
        match seat.purpose {
            Purpose::Socket => outbox.send(&ServerFrame::ConnectionEstablished {
                room_id: Some(room_id),
                unread_count: visitor.unread,
                user_id: seat.guest.user,
                username: &visitor.person.username,
                seq: Some(head),
                epoch: Some(epoch),
                protocol: PROTOCOL,
            }),
            Purpose::Subscription => {
                outbox.send(&ServerFrame::Subscribed {
                    room_id,
                    seq: head,
                    epoch,
                    unread_count: visitor.unread,
                });
            }
            Purpose::Return(_) => {}
        }
        let is_known = |since: &Seq| {
            theirs.is_none_or(|theirs| theirs == epoch) && *since <= head && head.0 - since.0 <= replay_max
        };
        let (position, resumes) = match (seat.purpose, since) {
            (_, None) => (head, false),
            // Its client believes that it has heard all: it is told all, however much that has become.
            (Purpose::Return(_), Some(since)) => (since, false),
            (Purpose::Socket | Purpose::Subscription, Some(since)) if is_known(&since) => (since, true),
            (Purpose::Socket | Purpose::Subscription, Some(_)) => {
                outbox.send(&ServerFrame::Reset { room_id, seq: head, epoch });
                (head, false)
            }
        };
        #[cfg(feature = "planted-bugs")]
        let position = match crate::planted::Bug::ResumeOffByOne.is_planted() && position < head {
            true => position.next(),
            false => position,
        };
        let behind = Behind { position, target: head, resumes, pace: Pace::Idle };
        seat.phase = Phase::CatchingUp(Box::new(behind));
        let username = visitor.person.username.clone();
        let admission = Admission { username, tokens_valid_from: visitor.tokens_valid_from };
        seat.guest.tell(Joined { room: room_id, addr: ctx.address(), result: Ok(admission) });
        self.guests.catching_up.insert(id);
        if !resumes && self.view.as_ref().is_some_and(|view| view.delivered > position) {
            // What has come since the snapshot follows these, as what comes later does.
            self.tell_states(id);
        }
        self.advance(id, ctx);
    }
}
