//! Which rooms live on this node. It makes rooms on the worker thread that first needs them, replaces
//! those that died, and forgets those that went to sleep.

use std::collections::HashMap;
use std::sync::Arc;

use actix::{Actor, Addr, ArbiterHandle, Context, Handler, Message, MessageResult};

use crate::census::Counts;
use crate::core::Core;
use crate::domain::event::Event;
use crate::domain::ids::{RoomId, Seq, UserId};
use crate::domain::signal::Signal;
use crate::room::{Events, HeadIs, HistoryChanged, RoomActor, Sleep, Submit, Told};
use crate::switchboard::SwitchboardActor;

/// The actor.
#[derive(Default)]
pub struct RegistryActor {
    core: Option<Arc<Core>>,
    rooms: HashMap<RoomId, Addr<RoomActor>>,
    switchboards: Vec<Addr<SwitchboardActor>>,
}

impl RegistryActor {
    /// How much is held.
    pub(crate) fn counts(&self) -> Counts {
        vec![("rooms", self.rooms.len())]
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
#[rtype(result = "Option<Addr<RoomActor>>")]
pub struct Resolve {
    /// The room.
    pub room: RoomId,
    /// The thread that needs it.
    pub arbiter: ArbiterHandle,
}

impl Handler<Resolve> for RegistryActor {
    type Result = Option<Addr<RoomActor>>;

    fn handle(&mut self, Resolve { room, arbiter }: Resolve, _: &mut Self::Context) -> Self::Result {
        if let Some(addr) = self.rooms.get(&room).filter(|addr| addr.connected()) {
            return Some(addr.clone());
        }
        let core = self.core.clone()?;
        let addr = RoomActor::start_in_arbiter(&arbiter, move |_| RoomActor::new(core, room));
        self.rooms.insert(room, addr.clone());
        Some(addr)
    }
}

/// A command for a room, whose actor is made on `arbiter` when there is none alive. Those of one sender
/// reach the room in their order.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Forward {
    /// The command.
    pub submit: Submit,
    /// The thread that sends it.
    pub arbiter: ArbiterHandle,
}

impl Handler<Forward> for RegistryActor {
    type Result = ();

    fn handle(&mut self, Forward { submit, arbiter }: Forward, ctx: &mut Self::Context) {
        let room = submit.command.room;
        if let Some(addr) = self.handle(Resolve { room, arbiter }, ctx) {
            addr.do_send(submit);
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
