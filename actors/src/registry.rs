//! Which rooms live on this node. It makes rooms on the worker thread that first needs them, replaces
//! those that died, and forgets those that went to sleep.

use std::collections::HashMap;
use std::sync::Arc;

use actix::{Actor, Addr, ArbiterHandle, Context, Handler, Message, MessageResult};

use crate::census::Counts;
use crate::core::Core;
use crate::domain::event::Event;
use crate::domain::ids::{RoomId, Seq, UserId};
use crate::domain::rate::Budget;
use crate::domain::signal::Signal;
use crate::error::EngineError;
use crate::room::{Events, HeadIs, HistoryChanged, Leave, RoomActor, Sleep, Told};
use crate::session::SessionId;
use crate::switchboard::SwitchboardActor;

/// People whose budgets are kept before it is looked for those that are full again.
const LOOKUPS_MIN: usize = 64;

/// The actor.
#[derive(Default)]
pub struct RegistryActor {
    core: Option<Arc<Core>>,
    rooms: HashMap<RoomId, Addr<RoomActor>>,
    /// Those of them that nobody has turned out to be in yet, and who asked for them.
    unknown: HashMap<RoomId, Option<UserId>>,
    /// What people have left for asking.
    lookups: HashMap<UserId, Budget>,
    tidy_lookups_at: usize,
    switchboards: Vec<Addr<SwitchboardActor>>,
}

impl RegistryActor {
    /// How much is held.
    pub(crate) fn counts(&self) -> Counts {
        vec![("rooms", self.rooms.len()), ("unknown rooms", self.unknown.len())]
    }
}

impl Actor for RegistryActor {
    type Context = Context<Self>;
}

/// Tells the registry of the other actors.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Begin(pub Arc<Core>);

impl Handler<Begin> for RegistryActor {
    type Result = ();

    fn handle(&mut self, Begin(core): Begin, _: &mut Self::Context) {
        self.core = Some(core);
    }
}

/// A thread begins to hold sockets.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Register {
    /// Its switchboard.
    pub switchboard: Addr<SwitchboardActor>,
}

impl Handler<Register> for RegistryActor {
    type Result = ();

    fn handle(&mut self, Register { switchboard }: Register, _: &mut Self::Context) {
        self.switchboards.push(switchboard);
    }
}

/// Asks for the switchboards of all threads that hold sockets.
#[derive(Message)]
#[rtype(result = "Vec<Addr<SwitchboardActor>>")]
pub struct Workers;

impl Handler<Workers> for RegistryActor {
    type Result = MessageResult<Workers>;

    fn handle(&mut self, _: Workers, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.switchboards.clone())
    }
}

/// Asks for a room's actor, which is made on `arbiter` when there is none alive.
#[derive(Message)]
#[rtype(result = "Result<Found, EngineError>")]
pub struct Resolve {
    /// The room.
    pub room: RoomId,
    /// The thread that needs it.
    pub arbiter: ArbiterHandle,
    /// The person who asks; none where the host application does, or someone whose place in the room has
    /// been looked at already.
    pub by: Option<UserId>,
}

/// A room's actor.
pub struct Found {
    /// Its address.
    pub addr: Addr<RoomActor>,
    /// Whether someone has turned out to be in the room. Before that the address must not be kept: the actor
    /// ends when nobody holds it any more.
    pub is_known: bool,
}

impl Handler<Resolve> for RegistryActor {
    type Result = Result<Found, EngineError>;

    fn handle(&mut self, Resolve { room, arbiter, by }: Resolve, _: &mut Self::Context) -> Self::Result {
        if let Some(addr) = self.rooms.get(&room).filter(|addr| addr.connected()) {
            return Ok(Found { addr: addr.clone(), is_known: !self.unknown.contains_key(&room) });
        }
        let core = self.core.clone().ok_or(EngineError::Unavailable)?;
        if let Some(user) = by {
            self.take_lookup(&core, user)?;
        }
        let addr = RoomActor::start_in_arbiter(&arbiter, move |_| RoomActor::new(core, room));
        self.rooms.insert(room, addr.clone());
        self.unknown.insert(room, by);
        Ok(Found { addr, is_known: false })
    }
}

impl RegistryActor {
    /// Counts a room that a person asks for: any id may be asked for, and each takes an actor and a read.
    fn take_lookup(&mut self, core: &Core, user: UserId) -> Result<(), EngineError> {
        let now = core.clock.now();
        if self.lookups.len() >= self.tidy_lookups_at {
            self.lookups.retain(|_, budget| !budget.is_full(now));
            self.tidy_lookups_at = (self.lookups.len() * 2).max(LOOKUPS_MIN);
        }
        let taken = self.lookups.entry(user).or_default().take(core.limits.lookups, now);
        taken.map_err(|retry_after| EngineError::RateLimited { retry_after })
    }
}

/// Someone has turned out to be in the room.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Known {
    /// The room.
    pub room: RoomId,
    /// Its actor.
    pub addr: Addr<RoomActor>,
}

impl Handler<Known> for RegistryActor {
    type Result = ();

    fn handle(&mut self, Known { room, addr }: Known, _: &mut Self::Context) {
        if self.rooms.get(&room) != Some(&addr) {
            return;
        }
        let by = self.unknown.remove(&room).flatten();
        if let (Some(budget), Some(core)) = (by.and_then(|user| self.lookups.get_mut(&user)), &self.core) {
            budget.give_back(core.limits.lookups);
        }
    }
}

/// A session that ends lets go of a room that may be about to take it in.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RouteLeave {
    /// The room.
    pub room: RoomId,
    /// The session.
    pub session: SessionId,
}

impl Handler<RouteLeave> for RegistryActor {
    type Result = ();

    fn handle(&mut self, RouteLeave { room, session }: RouteLeave, _: &mut Self::Context) {
        if let Some(addr) = self.rooms.get(&room) {
            addr.do_send(Leave { session });
        }
    }
}

/// A room's actor goes to sleep.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Retire {
    /// The room.
    pub room: RoomId,
    /// The actor.
    pub addr: Addr<RoomActor>,
}

impl Handler<Retire> for RegistryActor {
    type Result = ();

    fn handle(&mut self, Retire { room, addr }: Retire, _: &mut Self::Context) {
        if self.rooms.get(&room) == Some(&addr) {
            self.rooms.remove(&room);
            self.unknown.remove(&room);
        }
        addr.do_send(Sleep);
    }
}

/// Events of a room, for its actor if it lives here.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Route {
    /// The room.
    pub room: RoomId,
    /// The events.
    pub events: Arc<Vec<Event>>,
}

impl Handler<Route> for RegistryActor {
    type Result = ();

    fn handle(&mut self, Route { room, events }: Route, _: &mut Self::Context) {
        if let Some(addr) = self.rooms.get(&room) {
            addr.do_send(Events(events));
        }
    }
}

/// A signal of a room, for its actor if it lives here.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RouteSignal {
    /// The room.
    pub room: RoomId,
    /// The signal.
    pub signal: Signal,
}

impl Handler<RouteSignal> for RegistryActor {
    type Result = ();

    fn handle(&mut self, RouteSignal { room, signal }: RouteSignal, _: &mut Self::Context) {
        if let Some(addr) = self.rooms.get(&room) {
            addr.do_send(Told(signal));
        }
    }
}

/// Someone may have no name any more.
#[derive(Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Forget {
    /// Whom.
    pub user: UserId,
}

impl Handler<Forget> for RegistryActor {
    type Result = ();

    fn handle(&mut self, forget: Forget, _: &mut Self::Context) {
        for addr in self.rooms.values() {
            addr.do_send(forget);
        }
    }
}

/// How far the logs of some rooms reach.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Heads(pub Vec<(RoomId, Seq)>);

impl Handler<Heads> for RegistryActor {
    type Result = ();

    fn handle(&mut self, Heads(heads): Heads, _: &mut Self::Context) {
        for (room, head) in heads {
            if let Some(addr) = self.rooms.get(&room) {
                addr.do_send(HeadIs(head));
            }
        }
    }
}

impl Handler<HistoryChanged> for RegistryActor {
    type Result = ();

    fn handle(&mut self, changed: HistoryChanged, _: &mut Self::Context) {
        for addr in self.rooms.values() {
            addr.do_send(changed);
        }
    }
}
