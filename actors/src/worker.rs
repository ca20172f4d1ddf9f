//! One worker thread: its switchboard, and the rooms that its sessions have met.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use actix::{Actor, Addr, Arbiter};

use crate::core::Core;
use crate::domain::ids::{MessageId, RoomId, UserId};
use crate::error::EngineError;
use crate::registry::{Found, Resolve};
use crate::room::RoomActor;
use crate::session::SessionId;
use crate::switchboard::SwitchboardActor;

/// Addresses kept before those of dead rooms are looked for.
const KNOWN_ROOMS_MIN: usize = 64;

/// What the sessions of one thread share.
pub struct Worker {
    pub(crate) core: Arc<Core>,
    pub(crate) switchboard: Addr<SwitchboardActor>,
    pub(crate) index: usize,
    rooms: RefCell<HashMap<RoomId, Addr<RoomActor>>>,
    tidy_at: Cell<usize>,
    next_session: Cell<u64>,
    next_message: Cell<u64>,
}

impl Worker {
    /// Starts a switchboard on this thread. `index` is this thread's own.
    #[must_use]
    pub(crate) fn start(core: Arc<Core>, index: usize) -> Rc<Self> {
        let switchboard = SwitchboardActor::new(core.limits.clone(), core.clock).start();
        Rc::new(Self {
            core,
            switchboard,
            index,
            rooms: RefCell::default(),
            tidy_at: Cell::new(KNOWN_ROOMS_MIN),
            next_session: Cell::new(0),
            next_message: Cell::new(0),
        })
    }

    pub(crate) fn next_session(&self) -> SessionId {
        let next = self.next_session.get();
        self.next_session.set(next + 1);
        SessionId::new(self.index, next)
    }

    /// A new message's id. Of the clock and of this node's own id alone, so that a run can be repeated.
    pub(crate) fn next_message(&self) -> MessageId {
        let number = self.next_message.get();
        self.next_message.set(number + 1);
        let thread = (self.index as u64) << 48;
        MessageId::numbered(self.core.clock.date(), self.core.node, thread | number)
    }

    /// The room's actor, when it has been met already.
    pub(crate) fn known_room(&self, room: RoomId) -> Option<Addr<RoomActor>> {
        self.rooms.borrow().get(&room).filter(|addr| addr.connected()).cloned()
    }

    /// Asks anew for the room's actor the next time: `addr` is no longer it.
    pub(crate) fn forget(&self, room: RoomId, addr: &Addr<RoomActor>) {
        let mut rooms = self.rooms.borrow_mut();
        if rooms.get(&room) == Some(addr) {
            rooms.remove(&room);
        }
    }

    /// The room's actor, for a person who asks for it; made on this thread when there is none.
    ///
    /// # Errors
    /// [`EngineError::RateLimited`] for one who has asked for too many in vain, and
    /// [`EngineError::Unavailable`] while the engine ends.
    pub(crate) async fn room(&self, room: RoomId, by: UserId) -> Result<Addr<RoomActor>, EngineError> {
        if let Some(addr) = self.known_room(room) {
            return Ok(addr);
        }
        let resolve = Resolve { room, arbiter: Arbiter::current(), by: Some(by) };
        let Found { addr, is_known } =
            self.core.registry.send(resolve).await.unwrap_or(Err(EngineError::Unavailable))?;
        if is_known {
            self.remember(room, &addr);
        }
        Ok(addr)
    }

    /// Keeps the address of a room that someone is in.
    pub(crate) fn remember(&self, room: RoomId, addr: &Addr<RoomActor>) {
        let mut rooms = self.rooms.borrow_mut();
        if rooms.get(&room) == Some(addr) {
            return;
        }
        if rooms.len() >= self.tidy_at.get() {
            rooms.retain(|_, addr| addr.connected());
            self.tidy_at.set((rooms.len() * 2).max(KNOWN_ROOMS_MIN));
        }
        rooms.insert(room, addr.clone());
    }
}
