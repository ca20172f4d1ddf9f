//! Letting guests in: one snapshot says of all who have asked whether they may be here, and nothing is
//! queued for any of them before that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use actix::{AsyncContext, Context, Handler, Message};

use super::{Arrival, Arriving, Behind, Pace, Phase, Position, Seat, States};
use crate::domain::ids::{Seq, UserId};
use crate::limits;
use crate::people::{LetInto, Watch};
use crate::ports::store::{PersonChange, RoomSnapshot, StoreError, Visit, Visitor};
use crate::protocol::close::CloseCode;
use crate::protocol::server::{PROTOCOL, ServerFrame};
use crate::room::ring::Ring;
use crate::room::{Guest, Purpose, RoomActor, View};
use crate::session::{ConnectError, Joined, SessionId};

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
    /// When the guest's token was issued; Unix time in seconds.
    pub issued_at: i64,
}

/// What a session is told when it may stay.
#[derive(Clone, Debug)]
pub struct Admission {
    /// The person's name to sign in, as the directory has it.
    pub username: Arc<str>,
}

/// Guests that may be here, and the snapshot that says so.
pub(in crate::room) struct Admitted {
    arrivals: Vec<Arrival>,
    snapshot: RoomSnapshot,
}

impl Handler<Join> for RoomActor {
    type Result = bool;

    fn handle(&mut self, join: Join, ctx: &mut Self::Context) -> bool {
        if self.retired {
            return false;
        }
        let Join { guest, purpose, position, issued_at } = join;
        self.arrived += 1;
        let arrival = Arrival { session: guest.id, number: self.arrived };
        let asked = Arriving { position, issued_at, number: arrival.number };
        let phase = Phase::Arriving(Box::new(asked));
        self.guests.insert(Seat { guest, purpose, unanswered: 0, phase });
        self.arrivals.push(arrival);
        self.read_snapshot(ctx);
        true
    }
}

/// The people of the guests that this room lets in count as online, and the room has been told who of them
/// had not.
#[derive(Message)]
#[rtype(result = "()")]
pub struct AreIn {
    /// Sessions that have ended meanwhile, or may not be here any more.
    pub gone: BTreeSet<SessionId>,
}

impl Handler<AreIn> for RoomActor {
    type Result = ();

    fn handle(&mut self, AreIn { gone }: AreIn, ctx: &mut Self::Context) {
        let Some(Admitted { arrivals, snapshot }) = self.admitted.pop_front() else { return };
        let (gone, left): (Vec<_>, Vec<_>) = arrivals.iter().partition(|who| gone.contains(&who.session));
        self.refuse(&gone, ConnectError::Unauthorized, ctx);
        self.receive(&left, &snapshot, ctx);
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
            .map(|(seat, _)| seat.guest.user)
            .collect();
        let (store, room, roster) = (self.core.store.clone(), self.room, self.view.is_none());
        let read = async move { store.visit(room, &users.into_iter().collect::<Vec<_>>(), roster).await };
        Self::after(ctx, read, move |room, visit, ctx| {
            room.reading_snapshot = false;
            if !room.is_of_this_history(ctx) {
                return;
            }
            room.arrive(&arrivals, visit, ctx);
            room.read_snapshot(ctx);
        });
    }

    /// Judges those who have arrived. Whoever may not be here is refused before the room does anything else.
    fn arrive(&mut self, arrivals: &[Arrival], visit: Result<Visit, StoreError>, ctx: &mut Context<Self>) {
        let visit = match visit {
            Ok(visit) => visit,
            Err(error) => {
                tracing::warn!(room = %self.room, %error, "could not let anyone in");
                return self.refuse(arrivals, ConnectError::Unavailable, ctx);
            }
        };
        let rights: BTreeMap<UserId, &PersonChange> =
            visit.rights.iter().map(|right| (right.user, right)).collect();
        let present: BTreeSet<UserId> =
            visit.room.iter().flat_map(|room| &room.visitors).map(|visitor| visitor.person.id).collect();
        let (mut admitted, mut sockets) = (Vec::with_capacity(arrivals.len()), Vec::new());
        let (mut revoked, mut outside) = (Vec::new(), Vec::new());
        for arrival in arrivals {
            let Some((seat, asked)) = self.guests.arriving(*arrival) else { continue };
            let user = seat.guest.user;
            let is_void = rights.get(&user).is_some_and(|right| !right.honours(asked.issued_at));
            #[cfg(feature = "planted-bugs")]
            let is_void = is_void && !crate::planted::Bug::GreetsTheRevoked.is_planted();
            if is_void {
                revoked.push(*arrival);
            } else if !present.contains(&user) {
                outside.push(*arrival);
            } else {
                admitted.push(*arrival);
                if seat.purpose == Purpose::Socket {
                    sockets.push((user, arrival.session));
                }
            }
        }
        self.refuse(&revoked, ConnectError::Unauthorized, ctx);
        self.refuse(&outside, ConnectError::NotInRoom, ctx);
        let Some(snapshot) = visit.room.filter(|_| !admitted.is_empty()) else { return };
        self.turns_out_known(ctx);
        if self.view.is_none() {
            self.load(&snapshot, ctx);
        }
        if sockets.is_empty() && !self.presence_is_due {
            return self.receive(&admitted, &snapshot, ctx);
        }
        self.core.people.do_send(LetInto { addr: ctx.address(), sessions: sockets });
        self.admitted.push_back(Admitted { arrivals: admitted, snapshot });
    }

    /// Takes in who is online, before anyone is let in.
    pub(in crate::room) fn present(&mut self, online: &[UserId]) {
        self.states = States::default();
        if let Some(view) = &mut self.view {
            let here: Vec<UserId> =
                online.iter().copied().filter(|user| view.people.contains(user)).collect();
            view.online.extend(here);
        }
        self.presence_is_due = false;
    }

    /// Greets those who may be here.
    fn receive(&mut self, arrivals: &[Arrival], snapshot: &RoomSnapshot, ctx: &mut Context<Self>) {
        let visitors: BTreeMap<UserId, &Visitor> =
            snapshot.visitors.iter().map(|visitor| (visitor.person.id, visitor)).collect();
        for arrival in arrivals {
            let Some((seat, _)) = self.guests.arriving(*arrival) else { continue };
            if let Some(visitor) = visitors.get(&seat.guest.user) {
                self.greet(arrival.session, visitor, snapshot.room.head, ctx);
            }
        }
        if let Some(view) = &mut self.view {
            view.head = view.head.max(snapshot.room.head);
            if view.head > view.delivered {
                self.fill_gap(ctx);
            }
        }
    }

    /// Sends guests away that were not let in, and goes itself where nobody else has been.
    fn refuse(&mut self, arrivals: &[Arrival], error: ConnectError, ctx: &mut Context<Self>) {
        for arrival in arrivals {
            if self.guests.arriving(*arrival).is_some()
                && let Some(seat) = self.guests.remove(arrival.session)
            {
                seat.guest.tell(Joined { room: self.room, addr: ctx.address(), result: Err(error) });
            }
        }
        self.sleep_when_idle(ctx);
        self.go_if_unknown(ctx);
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
        let (room_id, epoch) = (self.room, self.epoch);
        let replay_max = i64::try_from(self.core.limits.replay_events_max).unwrap_or(i64::MAX);
        let Some(seat) = self.guests.get_mut(id) else { return };
        let Phase::Arriving(asked) = &seat.phase else { return };
        let Position { since, epoch: theirs } = asked.position;
        let is_of_another = theirs.is_some_and(|theirs| theirs != epoch);
        let is_astray = matches!(seat.purpose, Purpose::Return(_))
            && !is_of_another
            && since.is_none_or(|since| since > head);
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
        let is_known = |since: &Seq| !is_of_another && *since <= head && head.0 - since.0 <= replay_max;
        let (position, resumes) = match (seat.purpose, since) {
            (_, None) => (head, false),
            // Its client believes that it has heard all: it is told all, however much that has become.
            (Purpose::Return(_), Some(since)) if !is_of_another => (since, false),
            (Purpose::Socket | Purpose::Subscription, Some(since)) if is_known(&since) => (since, true),
            (_, Some(_)) => {
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
        let admission = Admission { username: visitor.person.username.clone() };
        seat.guest.tell(Joined { room: room_id, addr: ctx.address(), result: Ok(admission) });
        self.guests.catching_up.insert(id);
        if !resumes && self.view.as_ref().is_some_and(|view| view.delivered > position) {
            // What has come since the snapshot follows these, as what comes later does.
            self.tell_states(id);
        }
        self.advance(id, ctx);
    }
}
