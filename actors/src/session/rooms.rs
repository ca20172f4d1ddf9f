//! The rooms that a session is in or wants to be in, and the commands that it passes to them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use actix::{ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, WeakAddr};

use super::{Joined, SessionActor};
use crate::domain::command::{Actor, Change, Command, Refusal};
use crate::domain::ids::{ClientId, Epoch, RoomId, Seq};
use crate::error::EngineError;
use crate::inbox::Retell;
use crate::limits;
use crate::outbox::Untold;
use crate::room::{Guest, Join, Leave, Origin, Position, Purpose, RoomActor, Stay, Submit, TellStates};
use crate::session::opening::ConnectError;
use crate::switchboard::Exit;

/// Actors of one room that a guest asks for a place before it gives up: one may be going to sleep.
const JOIN_TRIES: usize = 4;

/// A room that the session is in.
pub(super) struct Place {
    pub(super) room: RoomId,
    /// Weak, for each copy of a strong address takes a hundred bytes of its own.
    addr: WeakAddr<RoomActor>,
    stay: Stay,
}

impl Place {
    /// The room's actor, unless it has ended.
    pub(super) fn actor(&self) -> Option<Addr<RoomActor>> {
        self.addr.upgrade()
    }
}

/// What a client wants of a room.
#[derive(Clone, Copy)]
struct Wish {
    purpose: Purpose,
    position: Position,
}

/// A room that the session has asked for a place; one answer at a time is waited for.
pub(super) struct Asked {
    wish: Wish,
    /// What the client has wanted since, in order: to ask again, or to hear nothing more.
    then: VecDeque<Option<Wish>>,
}

impl SessionActor {
    pub(super) fn place(&self, room: RoomId) -> Option<&Place> {
        self.rooms.iter().find(|place| place.room == room)
    }

    /// Asks a room for a place; it answers with [`Joined`].
    pub(super) fn join(&mut self, room: RoomId, purpose: Purpose, since: Option<Seq>, epoch: Option<Epoch>) {
        let wish = Wish { purpose, position: Position { since, epoch } };
        let Some(asked) = self.asked.get_mut(&room) else {
            if self.rooms.len() + self.asked.len() >= limits::SUBSCRIPTIONS_MAX {
                return self.error(&EngineError::Overloaded, Some(room), None);
            }
            return self.ask(room, wish, VecDeque::new());
        };
        if asked.then.len() >= limits::WISHES_MAX {
            return self.error(&EngineError::Overloaded, Some(room), None);
        }
        asked.then.push_back(Some(wish));
    }

    fn ask(&mut self, room: RoomId, wish: Wish, then: VecDeque<Option<Wish>>) {
        let Some(guest) = self.guest.clone() else { return };
        self.asked.insert(room, Asked { wish, then });
        self.enter(room, guest, wish);
    }

    /// A room has said whether there is a place.
    fn answered(&mut self, room: RoomId) -> Option<Asked> {
        let asked = self.asked.remove(&room);
        if self.asked.is_empty() {
            // An empty map would keep its node: as much memory as all the rest of an idle session.
            self.asked = BTreeMap::new();
        }
        asked
    }

    /// Hands a guest to the room's actor; one that goes to sleep or has just ended is no longer it.
    fn enter(&self, room: RoomId, guest: Arc<Guest>, Wish { purpose, position }: Wish) {
        let (worker, issued_at) = (self.worker.clone(), self.issued_at);
        // Not by the context, which keeps the space for as many as have ever been under way at once.
        actix::spawn(async move {
            let mut error = EngineError::Unavailable;
            for _ in 0..JOIN_TRIES {
                let addr = match worker.room(room, guest.user).await {
                    Ok(addr) => addr,
                    Err(refused) => {
                        error = refused;
                        break;
                    }
                };
                if !guest.is_here() {
                    return;
                }
                let join = Join { guest: guest.clone(), purpose, position, issued_at };
                if let Ok(true) = addr.send(join).await {
                    return;
                }
                worker.forget(room, &addr);
            }
            guest.tell(NoPlace { room, error });
        });
    }

    /// Does what the client has wanted of a room since it was asked.
    fn go_on(&mut self, room: RoomId, mut then: VecDeque<Option<Wish>>) {
        if self.is_closing {
            return;
        }
        while let Some(next) = then.pop_front() {
            self.unsubscribe(room);
            if let Some(wish) = next {
                return self.ask(room, wish, then);
            }
        }
    }

    /// No longer hears a room.
    pub(super) fn unsubscribe(&mut self, room: RoomId) {
        if let Some(asked) = self.asked.get_mut(&room) {
            if asked.then.back().is_none_or(Option::is_some) {
                asked.then.push_back(None);
            }
            return;
        }
        let Some(at) = self.rooms.iter().position(|place| place.room == room) else { return };
        let place = self.rooms.swap_remove(at);
        self.part_from(room, place.actor());
    }

    fn part_from(&self, room: RoomId, addr: Option<Addr<RoomActor>>) {
        if let Some(addr) = addr {
            addr.do_send(Leave { session: self.id });
        }
        if let Some(outbox) = self.outbox() {
            outbox.switchboard.do_send(Exit { room, outbox: outbox.id });
        }
    }

    /// Passes a command to a room, in the order in which the client sent them.
    pub(super) fn submit(
        &mut self,
        room: RoomId,
        change: Change,
        client_id: Option<ClientId>,
        ctx: &mut Context<Self>,
    ) {
        let Some(outbox) = self.outbox().cloned() else { return };
        let by = Actor::Holder { user: self.user, issued_at: self.issued_at };
        let command = Command { room, by, change };
        let origin = Origin::Session { session: self.id, addr: ctx.address(), outbox, client_id };
        let submit = Submit { command, origin };
        if let Some(queue) = self.queued.get_mut(&room) {
            // Its actor is being looked for already.
            return match queue.len() < limits::SESSION_PENDING_MAX {
                true => queue.push_back(submit),
                false => self.error(&EngineError::Overloaded, Some(room), client_id),
            };
        }
        if let Some(addr) = self.place(room).and_then(Place::actor).or_else(|| self.worker.known_room(room)) {
            return addr.do_send(submit);
        }
        self.queued.insert(room, VecDeque::from([submit]));
        let (worker, user) = (self.worker.clone(), self.user);
        let resolve = async move { worker.room(room, user).await };
        ctx.spawn(actix::fut::wrap_future::<_, Self>(resolve).map(move |addr, this, _| {
            let queue = this.queued.remove(&room);
            if this.queued.is_empty() {
                this.queued = BTreeMap::new();
            }
            for submit in queue.into_iter().flatten() {
                match &addr {
                    Ok(addr) => addr.do_send(submit),
                    Err(error) => this.error(error, Some(room), submit.origin.client_id()),
                }
            }
        }));
    }
}

impl Handler<Joined> for SessionActor {
    type Result = ();

    fn handle(&mut self, Joined { room, addr, result }: Joined, _: &mut Self::Context) {
        let is_own = self.own_room == Some(room);
        let then = self.answered(room).map(|asked| asked.then).unwrap_or_default();
        match result {
            Ok(_) if self.is_closing => self.part_from(room, Some(addr)),
            Ok(admission) => {
                self.username = Some(admission.username);
                self.worker.remember(room, &addr);
                let stay = if is_own { Stay::Socket } else { Stay::Subscription };
                self.rooms.retain(|place| place.room != room);
                if is_own {
                    // It is the only one; a vector would make space for four.
                    self.rooms.reserve_exact(1);
                }
                self.rooms.push(Place { room, addr: addr.downgrade(), stay });
                if self.asked.is_empty() {
                    self.rooms.shrink_to_fit();
                }
                if is_own {
                    self.let_in();
                }
            }
            Err(_) if self.is_closing => {}
            Err(error) if is_own || error == ConnectError::Unauthorized => self.turn_away(error),
            // One answer for a room that isn't there and one that isn't this person's.
            Err(ConnectError::NotInRoom) => {
                self.error(&EngineError::Refused(Refusal::NotParticipant), Some(room), None);
            }
            Err(_) => self.error(&EngineError::Unavailable, Some(room), None),
        }
        self.go_on(room, then);
    }
}

/// No actor of a room takes this session in: its person has asked for too many, or the node goes.
#[derive(Message)]
#[rtype(result = "()")]
struct NoPlace {
    room: RoomId,
    error: EngineError,
}

impl Handler<NoPlace> for SessionActor {
    type Result = ();

    fn handle(&mut self, NoPlace { room, error }: NoPlace, _: &mut Self::Context) {
        let then = self.answered(room).map(|asked| asked.then).unwrap_or_default();
        if self.is_closing {
            return;
        }
        match error {
            EngineError::RateLimited { .. } if self.own_room.is_none() => {
                self.error(&error, Some(room), None);
                self.go_on(room, then);
            }
            EngineError::RateLimited { .. } => self.turn_away(ConnectError::RateLimited),
            _ => self.turn_away(ConnectError::Restarting),
        }
    }
}

/// A room no longer has this session as its guest.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Unsubscribed {
    /// The room.
    pub room: RoomId,
}

impl Handler<Unsubscribed> for SessionActor {
    type Result = ();

    fn handle(&mut self, Unsubscribed { room }: Unsubscribed, _: &mut Self::Context) {
        self.rooms.retain(|place| place.room != room);
    }
}

/// A room's actor has died. The session joins its successor where it was.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RoomGone {
    /// The room.
    pub room: RoomId,
    /// The history that it knew.
    pub epoch: Epoch,
}

impl Handler<RoomGone> for SessionActor {
    type Result = ();

    fn handle(&mut self, RoomGone { room, epoch }: RoomGone, ctx: &mut Self::Context) {
        if self.is_closing {
            return;
        }
        if let Some(Asked { wish, .. }) = self.asked.get(&room) {
            let wish = *wish;
            if let Some(guest) = self.guest.clone() {
                self.enter(room, guest, wish);
            }
            return;
        }
        let Some(at) = self.rooms.iter().position(|place| place.room == room) else { return };
        let stay = self.rooms.swap_remove(at).stay;
        let Some(guest) = self.guest.clone() else { return };
        let exit = Exit { room, outbox: guest.outbox.id };
        let asked = guest.outbox.switchboard.send(exit);
        ctx.spawn(actix::fut::wrap_future::<_, Self>(asked).map(move |position, this, _| {
            match position.ok().flatten() {
                // The client may have asked for it anew meanwhile.
                Some(_) if this.is_closing || this.asked.contains_key(&room) => {}
                Some(since) => {
                    let position = Position { since: Some(since), epoch: Some(epoch) };
                    this.ask(room, Wish { purpose: Purpose::Return(stay), position }, VecDeque::new());
                }
                // It was still catching up: only the client knows how far it is.
                None => guest.outbox.close(crate::protocol::close::CloseCode::Internal),
            }
        }));
    }
}

/// The socket was behind for so long that signals were dropped, and is not any more: it is told how things
/// stand.
#[derive(Message)]
#[rtype(result = "()")]
pub struct TellAnew {
    /// Of what.
    pub untold: Untold,
}

impl Handler<TellAnew> for SessionActor {
    type Result = ();

    fn handle(&mut self, TellAnew { untold }: TellAnew, _: &mut Self::Context) {
        let (user, session) = (self.user, self.id);
        match untold {
            Untold::List => self.core().inbox.do_send(Retell { user, session, from_start: true }),
            Untold::RestOfList => self.core().inbox.do_send(Retell { user, session, from_start: false }),
            Untold::States(room) => {
                if let Some(addr) = self.place(room).and_then(Place::actor) {
                    addr.do_send(TellStates { session });
                }
            }
        }
    }
}
