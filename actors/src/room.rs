//! One room on this node: it passes commands to the store, delivers what was committed in order, and
//! brings sessions that join or come back up to date.
//!
//! A room has no owner among the nodes. Each node that has sockets in it runs an actor like this one,
//! and the log gives the order. Nothing is delivered before its commit. Without subscribers the actor
//! only passes commands on, and loads nothing.

mod commands;
mod delivery;
mod ring;
mod signals;
mod subscriptions;
#[cfg(all(test, feature = "memory"))]
mod tests;
mod typing;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use actix::{
    Actor, ActorContext, Addr, ArbiterHandle, AsyncContext, Context, Handler, SpawnHandle, WeakAddr,
};

use self::commands::{BUDGETS_MIN, Budgets, PendingCommand};
use self::ring::Ring;
use self::subscriptions::{AcceptedBatch, JoinAttempt, RoomSubscriptions, StateFrames};
use self::typing::Typists;
use crate::domain::event::Event;
use crate::domain::ids::{Epoch, MessageId, RoomId, Seq, UserId};
use crate::domain::signal::ReadMark;
use crate::limits::{self, Limits, MailboxBound};
use crate::mailbox::{Bounded, Tell};
use crate::messages::instance::RoomInstance;
use crate::messages::persistence::Append;
use crate::messages::registry::{ConfirmRoom, RetireRoom, RoomRegistration};
use crate::messages::relay::{EpochChanged, FollowRoom, RoomRelay};
use crate::messages::room::{RoomActorDied, StopWhenIdle};
use crate::messages::users::{PresenceDirectory, UnwatchPresence};
use crate::ports::clock::Clock;
use crate::ports::store::Store;

/// What every room of a node works with.
pub(crate) struct RoomDependencies {
    pub(crate) clock: Clock,
    pub(crate) limits: Arc<Limits>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) registry: Arc<dyn RoomRegistration>,
    pub(crate) persistence: Arc<dyn Tell<Append>>,
    pub(crate) users: Arc<dyn PresenceDirectory>,
    pub(crate) relay: Arc<dyn RoomRelay>,
}

/// See the [module](self).
pub(crate) struct RoomActor {
    deps: Arc<RoomDependencies>,
    instance: RoomInstance,
    /// This actor's own address, to be handed out. Weak, so that it doesn't keep the actor running.
    address: Arc<WeakAddr<Self>>,
    room: RoomId,
    /// The history that all positions here are of. When the store goes over to another one, this actor ends
    /// and the next one resets the subscribers.
    epoch: Epoch,
    /// The room's state as the subscribers know it; loaded with the first of them.
    view: Option<View>,
    /// The newest position heard of. While the view is being loaded, it may be newer than the snapshot.
    head_hint: Seq,
    /// The read marks heard of, which may be newer than the snapshot too.
    marks: BTreeMap<UserId, ReadMark>,
    /// Read marks and presence, encoded for those who join.
    state_frames: StateFrames,
    subscriptions: RoomSubscriptions,
    /// Joins that wait for the next snapshot.
    join_attempts: Vec<JoinAttempt>,
    /// The number of joins so far, by which attempts are numbered.
    joins_started: u64,
    reading_snapshot: bool,
    /// Whether the view was loaded and the users actor has not told yet who is online.
    presence_is_due: bool,
    /// Accepted joins that wait until their users are counted as online, in the order of asking.
    accepted: VecDeque<AcceptedBatch>,
    /// Whether a page of the log is being read for replays.
    reading_replay: bool,
    /// Whether what follows `delivered` is being read. It doesn't wait for replays.
    reading_gap: bool,
    /// Commands that the store has not answered.
    pending: BTreeMap<u64, PendingCommand>,
    /// The command ids of pending messages: the log may show one before its answer comes.
    pending_posts: BTreeMap<MessageId, u64>,
    expiry_is_due: bool,
    next_command_id: u64,
    budgets: BTreeMap<UserId, Budgets>,
    prune_budgets_at: usize,
    typists: Typists,
    typing_expiry_is_due: bool,
    idle_timer: Option<SpawnHandle>,
    /// Whether the relay follows this room's topic.
    follows: bool,
    /// Whether someone has turned out to be in the room. Any id may be asked for, and nothing may stay of
    /// a room that doesn't exist or that nobody here is in.
    is_confirmed: bool,
    /// Whether this actor has told the registry to forget it. It only finishes what it has begun.
    retired: bool,
}

/// A room's state as its subscribers know it.
struct View {
    /// The position up to which all live subscribers have been sent everything.
    delivered: Seq,
    /// The newest position heard of.
    head: Seq,
    is_archived: bool,
    ring: Ring,
    /// Events that came before an earlier one.
    ahead: BTreeMap<Seq, Event>,
    gap_is_due: bool,
    participants: BTreeSet<UserId>,
    /// The participants who are online, while they are few enough to show it.
    online: BTreeSet<UserId>,
}

impl RoomActor {
    /// Starts a room's actor on a thread.
    pub(crate) fn start_on(
        arbiter: &ArbiterHandle,
        deps: Arc<RoomDependencies>,
        instance: RoomInstance,
    ) -> Addr<Self> {
        Self::start_in_arbiter(arbiter, move |ctx| Self::new(deps, instance, ctx.address().downgrade()))
    }

    /// A room that nobody is in yet.
    fn new(deps: Arc<RoomDependencies>, instance: RoomInstance, address: WeakAddr<Self>) -> Self {
        let epoch = deps.store.epoch();
        Self {
            deps,
            instance,
            address: Arc::new(address),
            room: instance.room,
            epoch,
            view: None,
            marks: BTreeMap::new(),
            state_frames: StateFrames::default(),
            subscriptions: RoomSubscriptions::default(),
            join_attempts: Vec::new(),
            joins_started: 0,
            reading_snapshot: false,
            head_hint: Seq::START,
            presence_is_due: false,
            accepted: VecDeque::new(),
            reading_replay: false,
            reading_gap: false,
            pending: BTreeMap::new(),
            pending_posts: BTreeMap::new(),
            expiry_is_due: false,
            next_command_id: 0,
            budgets: BTreeMap::new(),
            prune_budgets_at: BUDGETS_MIN,
            typists: Typists::default(),
            typing_expiry_is_due: false,
            idle_timer: None,
            follows: false,
            is_confirmed: false,
            retired: false,
        }
    }

    /// Makes the relay follow this room's topic.
    fn follow(&mut self) {
        if !self.follows {
            self.follows = true;
            self.deps.relay.tell(FollowRoom { room: self.room, on: true });
        }
    }

    /// Returns whether the store still holds the history that this actor knows. Otherwise the actor ends,
    /// before anything of another history is shown.
    fn is_current_epoch(&self, ctx: &mut Context<Self>) -> bool {
        let is_known = self.epoch == self.deps.store.epoch();
        if !is_known {
            ctx.stop();
        }
        is_known
    }

    /// Notes that someone is in this room, so that its actor stays and its handle may be kept.
    fn confirm_room(&mut self) {
        if !std::mem::replace(&mut self.is_confirmed, true) {
            self.deps.registry.tell(ConfirmRoom(self.instance));
        }
    }

    /// Ends this actor if everyone who asked for the room was refused.
    fn retire_if_unconfirmed(&mut self) {
        if !self.is_confirmed && !self.retired && self.subscriptions.is_empty() && self.pending.is_empty() {
            self.retire();
        }
    }

    fn retire(&mut self) {
        self.retired = true;
        self.deps.registry.tell(RetireRoom(self.instance));
    }

    /// Ends this actor after a while without subscribers and work.
    fn retire_when_idle(&mut self, ctx: &mut Context<Self>) {
        if self.idle_timer.is_some() || self.retired || !self.subscriptions.is_empty() {
            return;
        }
        let idle_timer = ctx.run_later(limits::ROOM_IDLE_TIMEOUT, |room, ctx| {
            room.idle_timer = None;
            let now = room.deps.clock.now();
            room.budgets.retain(|_, budgets| !budgets.are_full(now));
            if !room.subscriptions.is_empty() {
                return;
            }
            if !room.pending.is_empty() || !room.budgets.is_empty() {
                return room.retire_when_idle(ctx);
            }
            room.retire();
        });
        self.idle_timer = Some(idle_timer);
    }
}

impl Actor for RoomActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        metrics::gauge!("chat_rooms").increment(1);
        self.retire_when_idle(ctx);
    }

    /// Runs after a panic too: every command is answered, and sessions rejoin a new actor.
    fn stopped(&mut self, _: &mut Self::Context) {
        metrics::gauge!("chat_rooms").decrement(1);
        for pending in std::mem::take(&mut self.pending).into_values() {
            self.answer_unknown(pending);
        }
        for subscriber in self.subscriptions.take() {
            subscriber.session.tell(RoomActorDied { room: self.room, epoch: self.epoch });
        }
        if self.follows {
            self.deps.relay.tell(FollowRoom { room: self.room, on: false });
        }
        if self.view.is_some() {
            self.deps.users.tell(UnwatchPresence { instance: self.instance });
        }
    }
}

impl Bounded for RoomActor {
    const MAILBOX: MailboxBound = limits::ROOM_MAILBOX;
}

impl Handler<StopWhenIdle> for RoomActor {
    type Result = ();

    fn handle(&mut self, _: StopWhenIdle, ctx: &mut Self::Context) {
        if !self.is_confirmed {
            // Nobody keeps its handle: it ends by itself behind the last message that is on its way.
            if let Some(idle_timer) = self.idle_timer.take() {
                ctx.cancel_future(idle_timer);
            }
            return;
        }
        // Commands that were on their way when the registry forgot this actor still come through.
        ctx.run_later(limits::ROOM_IDLE_TIMEOUT, |room, ctx| {
            if room.pending.is_empty() && room.subscriptions.is_empty() {
                ctx.stop();
            } else {
                ctx.notify(StopWhenIdle);
            }
        });
    }
}

impl Handler<EpochChanged> for RoomActor {
    type Result = ();

    fn handle(&mut self, _: EpochChanged, ctx: &mut Self::Context) {
        self.is_current_epoch(ctx);
    }
}
