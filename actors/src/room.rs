//! One room on this node: it passes commands to the store, tells what was committed in order, and
//! brings those who join or come back to where the others are.
//!
//! A room has no owner among the nodes; each node that has sockets in it has an actor like this one,
//! and the log gives the order. Nothing is told here before its commit. Without guests it is only a
//! way for commands, and loads nothing.

mod commands;
mod delivery;
mod guest;
mod guests;
mod ring;
mod signals;
#[cfg(all(test, feature = "memory"))]
mod tests;
mod typing;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, SpawnHandle};

pub use commands::{Answer, Origin, Settled, Submit};
pub use delivery::{Events, HeadIs};
pub use guest::{Guest, Purpose, Stay};
pub use guests::{Admission, AreIn, Drained, Join, Leave, Position, TellStates};
pub use signals::{OnlineNow, SetTyping, Told, WhoIsTyping};
pub use typing::TypingNow;

use crate::core::Core;
use crate::domain::event::Event;
use crate::domain::ids::{Epoch, MessageId, RoomId, Seq, UserId};
use crate::domain::signal::ReadMark;
use crate::limits;
use crate::people::Unwatch;
use crate::registry::{Known, Retire};
use crate::relay::Follow;
use crate::session::RoomGone;
use commands::{BUDGETS_MIN, Budgets, Waiting};
use guests::{Admitted, Arrival, Guests, States};
use ring::Ring;
use typing::Typists;

/// The actor.
pub struct RoomActor {
    core: Arc<Core>,
    room: RoomId,
    /// The history that all positions here are of. When the store goes over to another one this actor ends,
    /// and its subscribers are reset by the next.
    epoch: Epoch,
    /// What the room looks like here; loaded with the first guest.
    view: Option<View>,
    /// The newest position that was heard of, also while the view is being loaded: it may be newer than
    /// the snapshot.
    heard: Seq,
    /// The read marks that were heard of, for the same reason.
    marks: BTreeMap<UserId, ReadMark>,
    /// What those who come are told of marks and presence, until that changes.
    states: States,
    guests: Guests,
    /// Guests that wait for the next snapshot.
    arrivals: Vec<Arrival>,
    /// How many have ever arrived.
    arrived: u64,
    reading_snapshot: bool,
    /// Whether it has not been told yet who is online, since it was loaded.
    presence_is_due: bool,
    /// Guests that may be here and wait until their people are counted as online, in the order of asking.
    admitted: VecDeque<Admitted>,
    /// Whether a page of the log is being read for replays.
    reading_replay: bool,
    /// Whether what follows `delivered` is being read: those who are live wait for no replay.
    reading_gap: bool,
    /// Commands that the store has not answered.
    waiting: BTreeMap<u64, Waiting>,
    /// The tickets of the messages among them: the log may tell of one before its answer is there.
    posts: BTreeMap<MessageId, u64>,
    patience_is_due: bool,
    next_ticket: u64,
    budgets: BTreeMap<UserId, Budgets>,
    tidy_budgets_at: usize,
    typists: Typists,
    lapse_is_due: bool,
    sleep: Option<SpawnHandle>,
    /// Whether other nodes are heard about this room.
    follows: bool,
    /// Whether anyone has turned out to be in the room. Any id may be asked for, and nothing may stay of a
    /// room that isn't there or that is nobody's here.
    is_known: bool,
    /// Whether the registry has forgotten this actor; it only finishes what it has begun.
    retired: bool,
}

/// A room as its guests know it.
struct View {
    /// What all live guests have been sent.
    delivered: Seq,
    /// The newest position that was heard of.
    head: Seq,
    is_archived: bool,
    ring: Ring,
    /// Events that came before the ones before them.
    ahead: BTreeMap<Seq, Event>,
    gap_is_due: bool,
    people: BTreeSet<UserId>,
    /// Those of them who are online, while they are few enough to tell.
    online: BTreeSet<UserId>,
}

impl RoomActor {
    /// A room that nobody is in yet.
    #[must_use]
    pub fn new(core: Arc<Core>, room: RoomId) -> Self {
        let epoch = core.store.epoch();
        Self {
            core,
            room,
            epoch,
            view: None,
            marks: BTreeMap::new(),
            states: States::default(),
            guests: Guests::default(),
            arrivals: Vec::new(),
            arrived: 0,
            reading_snapshot: false,
            heard: Seq::START,
            presence_is_due: false,
            admitted: VecDeque::new(),
            reading_replay: false,
            reading_gap: false,
            waiting: BTreeMap::new(),
            posts: BTreeMap::new(),
            patience_is_due: false,
            next_ticket: 0,
            budgets: BTreeMap::new(),
            tidy_budgets_at: BUDGETS_MIN,
            typists: Typists::default(),
            lapse_is_due: false,
            sleep: None,
            follows: false,
            is_known: false,
            retired: false,
        }
    }

    /// Hears from now on what other nodes tell about this room.
    fn follow(&mut self) {
        if !self.follows {
            self.follows = true;
            self.core.relay.do_send(Follow { room: self.room, on: true });
        }
    }

    /// Whether the store still holds the history that this actor knows; otherwise it ends, before anything
    /// of another one is shown.
    fn is_of_this_history(&self, ctx: &mut Context<Self>) -> bool {
        let is_known = self.epoch == self.core.store.epoch();
        if !is_known {
            ctx.stop();
        }
        is_known
    }

    /// Someone is in this room: its actor stays, and its address may be kept.
    fn turns_out_known(&mut self, ctx: &mut Context<Self>) {
        if !std::mem::replace(&mut self.is_known, true) {
            self.core.registry.do_send(Known { room: self.room, addr: ctx.address() });
        }
    }

    /// Ends this actor where everyone who asked for the room was refused.
    fn go_if_unknown(&mut self, ctx: &mut Context<Self>) {
        if !self.is_known && !self.retired && self.guests.is_empty() && self.waiting.is_empty() {
            self.retire(ctx);
        }
    }

    fn retire(&mut self, ctx: &mut Context<Self>) {
        self.retired = true;
        self.core.registry.do_send(Retire { room: self.room, addr: ctx.address() });
    }

    /// Ends this actor after a while without guests and work.
    fn sleep_when_idle(&mut self, ctx: &mut Context<Self>) {
        if self.sleep.is_some() || self.retired || !self.guests.is_empty() {
            return;
        }
        let sleep = ctx.run_later(limits::ROOM_IDLE, |room, ctx| {
            room.sleep = None;
            let now = room.core.clock.now();
            room.budgets.retain(|_, budgets| !budgets.are_full(now));
            if !room.guests.is_empty() {
                return;
            }
            if !room.waiting.is_empty() || !room.budgets.is_empty() {
                return room.sleep_when_idle(ctx);
            }
            room.retire(ctx);
        });
        self.sleep = Some(sleep);
    }
}

impl Actor for RoomActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        metrics::gauge!("chat_rooms").increment(1);
        self.sleep_when_idle(ctx);
    }

    /// Runs after a panic too: nobody is left without an answer, and guests find a new actor.
    fn stopped(&mut self, ctx: &mut Self::Context) {
        metrics::gauge!("chat_rooms").decrement(1);
        for waiting in std::mem::take(&mut self.waiting).into_values() {
            self.answer_unknown(waiting);
        }
        for guest in self.guests.take() {
            guest.tell(RoomGone { room: self.room, epoch: self.epoch });
        }
        if self.follows {
            self.core.relay.do_send(Follow { room: self.room, on: false });
        }
        if self.view.is_some() {
            self.core.people.do_send(Unwatch { room: self.room, addr: ctx.address() });
        }
    }
}

/// Ends the actor: the registry has forgotten it.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Sleep;

impl Handler<Sleep> for RoomActor {
    type Result = ();

    fn handle(&mut self, _: Sleep, ctx: &mut Self::Context) {
        if !self.is_known {
            // Nobody keeps its address: it ends by itself behind the last of what is on its way to it.
            if let Some(sleep) = self.sleep.take() {
                ctx.cancel_future(sleep);
            }
            return;
        }
        // Commands that were on their way when the registry forgot this actor still come through.
        ctx.run_later(limits::ROOM_IDLE, |room, ctx| {
            if room.waiting.is_empty() && room.guests.is_empty() {
                ctx.stop();
            } else {
                ctx.notify(Sleep);
            }
        });
    }
}

/// The store holds another history than before.
#[derive(Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct HistoryChanged;

impl Handler<HistoryChanged> for RoomActor {
    type Result = ();

    fn handle(&mut self, _: HistoryChanged, ctx: &mut Self::Context) {
        self.is_of_this_history(ctx);
    }
}
