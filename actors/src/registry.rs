//! The rooms that have an actor on this node.
//!
//! The registry starts a room's actor on the worker thread that first needs it, replaces one that has
//! died, and forgets one that has nothing to do. Everything that is for a room by its id, and not by its
//! handle, comes through here.

#[cfg(all(test, feature = "memory"))]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use actix::{Actor, Addr, Context, Handler, MessageResult};

use crate::domain::ids::{RoomId, UserId};
use crate::domain::rate::Budget;
use crate::error::EngineError;
use crate::limits::{self, MailboxBound};
use crate::mailbox::{Bounded, Tell};
use crate::messages::diagnostics::{CountResources, ResourceCounts};
use crate::messages::instance::RoomInstance;
use crate::messages::registry::{
    ConfirmRoom, InvalidateUser, ListSwitchboards, RegisterSwitchboard, ResolveRoom, ResolvedRoom,
    RetireRoom, RouteEvents, RouteHeads, RouteLeave, RouteSignal,
};
use crate::messages::relay::EpochChanged;
use crate::messages::room::{LeaveRoom, RemoteSignal, RoomEvents, RoomHead, StopWhenIdle};
use crate::messages::switchboard::SwitchboardControl;
use crate::room::{RoomActor, RoomDependencies};

/// Lookup budgets that are kept before full ones are dropped.
const LOOKUPS_MIN: usize = 64;

/// See the [module](self).
pub(crate) struct RegistryActor {
    /// What each room works with.
    deps: Arc<RoomDependencies>,
    rooms: HashMap<RoomId, RoomEntry>,
    /// Rooms that nobody has turned out to be in yet, and the users who asked for them.
    unconfirmed: HashMap<RoomId, Option<UserId>>,
    /// How many more rooms each user may ask for.
    lookups: HashMap<UserId, Budget>,
    prune_lookups_at: usize,
    instances_started: u64,
    switchboards: Vec<Arc<dyn SwitchboardControl>>,
}

/// A room's actor. Behind an `Arc`, because each copy of an address takes a hundred bytes of its own.
struct RoomEntry {
    addr: Arc<Addr<RoomActor>>,
    instance: RoomInstance,
}

impl RegistryActor {
    /// A registry without rooms.
    pub(crate) fn new(deps: Arc<RoomDependencies>) -> Self {
        Self {
            deps,
            rooms: HashMap::new(),
            unconfirmed: HashMap::new(),
            lookups: HashMap::new(),
            prune_lookups_at: 0,
            instances_started: 0,
            switchboards: Vec::new(),
        }
    }

    fn addr(&self, room: RoomId) -> Option<&Addr<RoomActor>> {
        self.rooms.get(&room).map(|entry| &*entry.addr)
    }

    /// The room's entry, unless another actor has taken over from `instance`.
    fn current(&self, instance: RoomInstance) -> Option<&RoomEntry> {
        self.rooms.get(&instance.room).filter(|entry| entry.instance == instance)
    }

    /// Takes a room that a user asks for from the user's budget: any id may be asked for, and each costs an
    /// actor and a read.
    fn take_lookup(&mut self, user: UserId) -> Result<(), EngineError> {
        let now = self.deps.clock.now();
        if self.lookups.len() >= self.prune_lookups_at {
            self.lookups.retain(|_, budget| !budget.is_full(now));
            self.prune_lookups_at = (self.lookups.len() * 2).max(LOOKUPS_MIN);
        }
        let taken = self.lookups.entry(user).or_default().take(self.deps.limits.lookups, now);
        taken.map_err(|retry_after| EngineError::RateLimited { retry_after })
    }
}

impl Actor for RegistryActor {
    type Context = Context<Self>;
}

impl Bounded for RegistryActor {
    const MAILBOX: MailboxBound = limits::REGISTRY_MAILBOX;
}

impl Handler<RegisterSwitchboard> for RegistryActor {
    type Result = ();

    fn handle(&mut self, RegisterSwitchboard { switchboard }: RegisterSwitchboard, _: &mut Self::Context) {
        self.switchboards.push(switchboard);
    }
}

impl Handler<ListSwitchboards> for RegistryActor {
    type Result = MessageResult<ListSwitchboards>;

    fn handle(&mut self, _: ListSwitchboards, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.switchboards.clone())
    }
}

impl Handler<ResolveRoom> for RegistryActor {
    type Result = Result<ResolvedRoom, EngineError>;

    fn handle(&mut self, resolve: ResolveRoom, _: &mut Self::Context) -> Self::Result {
        let ResolveRoom { room, arbiter, by } = resolve;
        if let Some(entry) = self.rooms.get(&room).filter(|entry| entry.addr.connected()) {
            let is_confirmed = !self.unconfirmed.contains_key(&room);
            return Ok(ResolvedRoom { handle: entry.addr.clone(), is_confirmed });
        }
        if let Some(user) = by {
            self.take_lookup(user)?;
        }
        self.instances_started += 1;
        let instance = RoomInstance { room, number: self.instances_started };
        let deps = self.deps.clone();
        let addr = Arc::new(RoomActor::start_on(&arbiter, deps, instance));
        self.rooms.insert(room, RoomEntry { addr: addr.clone(), instance });
        self.unconfirmed.insert(room, by);
        Ok(ResolvedRoom { handle: addr, is_confirmed: false })
    }
}

impl Handler<ConfirmRoom> for RegistryActor {
    type Result = ();

    fn handle(&mut self, ConfirmRoom(instance): ConfirmRoom, _: &mut Self::Context) {
        if self.current(instance).is_none() {
            return;
        }
        let by = self.unconfirmed.remove(&instance.room).flatten();
        if let Some(budget) = by.and_then(|user| self.lookups.get_mut(&user)) {
            budget.give_back(self.deps.limits.lookups);
        }
    }
}

impl Handler<RetireRoom> for RegistryActor {
    type Result = ();

    fn handle(&mut self, RetireRoom(instance): RetireRoom, _: &mut Self::Context) {
        // An actor that another one has replaced has ended already.
        if self.current(instance).is_some()
            && let Some(entry) = self.rooms.remove(&instance.room)
        {
            self.unconfirmed.remove(&instance.room);
            entry.addr.tell(StopWhenIdle);
        }
    }
}

impl Handler<RouteLeave> for RegistryActor {
    type Result = ();

    fn handle(&mut self, RouteLeave { room, session }: RouteLeave, _: &mut Self::Context) {
        if let Some(addr) = self.addr(room) {
            addr.tell(LeaveRoom { session });
        }
    }
}

impl Handler<RouteEvents> for RegistryActor {
    type Result = ();

    fn handle(&mut self, RouteEvents { room, events }: RouteEvents, _: &mut Self::Context) {
        if let Some(addr) = self.addr(room) {
            addr.tell(RoomEvents(events));
        }
    }
}

impl Handler<RouteSignal> for RegistryActor {
    type Result = ();

    fn handle(&mut self, RouteSignal { room, signal }: RouteSignal, _: &mut Self::Context) {
        if let Some(addr) = self.addr(room) {
            addr.tell(RemoteSignal(signal));
        }
    }
}

impl Handler<RouteHeads> for RegistryActor {
    type Result = ();

    fn handle(&mut self, RouteHeads(heads): RouteHeads, _: &mut Self::Context) {
        for (room, head) in heads {
            if let Some(addr) = self.addr(room) {
                addr.tell(RoomHead(head));
            }
        }
    }
}

impl Handler<InvalidateUser> for RegistryActor {
    type Result = ();

    fn handle(&mut self, invalidate: InvalidateUser, _: &mut Self::Context) {
        for entry in self.rooms.values() {
            entry.addr.tell(invalidate);
        }
    }
}

impl Handler<EpochChanged> for RegistryActor {
    type Result = ();

    fn handle(&mut self, changed: EpochChanged, _: &mut Self::Context) {
        for entry in self.rooms.values() {
            entry.addr.tell(changed);
        }
    }
}

impl Handler<CountResources> for RegistryActor {
    type Result = MessageResult<CountResources>;

    fn handle(&mut self, _: CountResources, _: &mut Self::Context) -> Self::Result {
        let counts: ResourceCounts =
            vec![("rooms", self.rooms.len()), ("unconfirmed rooms", self.unconfirmed.len())];
        MessageResult(counts)
    }
}
