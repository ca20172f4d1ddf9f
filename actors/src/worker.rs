//! One worker thread: its switchboard, and the rooms that its sessions have met.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use actix::Arbiter;

use crate::domain::ids::{MessageId, NodeId, RoomId, UserId};
use crate::error::EngineError;
use crate::limits::Limits;
use crate::messages::bots::BotCommands;
use crate::messages::inbox::InboxSubscriptions;
use crate::messages::persistence::CommandBacklog;
use crate::messages::registry::{ResolveRoom, ResolvedRoom, RoomDirectory};
use crate::messages::room::RoomHandle;
use crate::messages::session::SessionId;
use crate::messages::switchboard::SwitchboardHandle;
use crate::messages::users::SessionDirectory;
use crate::ports::clock::Clock;
use crate::ports::identity::Identity;
use crate::ports::store::Store;

/// Rooms that are kept before those whose actors have ended are dropped.
const CACHED_ROOMS_MIN: usize = 64;

/// What every session of a node works with.
pub(crate) struct SessionDependencies {
    pub(crate) node: NodeId,
    pub(crate) clock: Clock,
    pub(crate) limits: Arc<Limits>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) identity: Arc<dyn Identity>,
    pub(crate) backlog: Arc<CommandBacklog>,
    pub(crate) registry: Arc<dyn RoomDirectory>,
    pub(crate) users: Arc<dyn SessionDirectory>,
    pub(crate) inbox: Arc<dyn InboxSubscriptions>,
    pub(crate) bots: Arc<dyn BotCommands>,
}

/// What the sessions of one thread share.
pub struct Worker {
    pub(crate) deps: Arc<SessionDependencies>,
    pub(crate) switchboard: SwitchboardHandle,
    pub(crate) index: usize,
    rooms: RefCell<HashMap<RoomId, RoomHandle>>,
    prune_at: Cell<usize>,
    next_session: Cell<u64>,
    next_message: Cell<u64>,
}

impl Worker {
    /// A worker for this thread, whose sockets are on `switchboard`. `index` is this thread's own.
    pub(crate) fn new(
        deps: Arc<SessionDependencies>,
        switchboard: SwitchboardHandle,
        index: usize,
    ) -> Rc<Self> {
        Rc::new(Self {
            deps,
            switchboard,
            index,
            rooms: RefCell::default(),
            prune_at: Cell::new(CACHED_ROOMS_MIN),
            next_session: Cell::new(0),
            next_message: Cell::new(0),
        })
    }

    pub(crate) fn next_session(&self) -> SessionId {
        let next = self.next_session.get();
        self.next_session.set(next + 1);
        SessionId::new(self.index, next)
    }

    /// Makes an id for a new message. It depends on the clock and on this node's own id alone, so that a
    /// run can be repeated.
    pub(crate) fn next_message(&self) -> MessageId {
        let number = self.next_message.get();
        self.next_message.set(number + 1);
        let thread = (self.index as u64) << 48;
        MessageId::numbered(self.deps.clock.date(), self.deps.node, thread | number)
    }

    /// Returns a room's actor if a session of this thread has met it already.
    pub(crate) fn cached_room(&self, room: RoomId) -> Option<RoomHandle> {
        self.rooms.borrow().get(&room).cloned()
    }

    /// Drops a handle whose actor no longer takes sessions in, so that the registry is asked for the next.
    pub(crate) fn forget_room(&self, room: RoomId, handle: &RoomHandle) {
        let mut rooms = self.rooms.borrow_mut();
        if rooms.get(&room).is_some_and(|cached| Arc::ptr_eq(cached, handle)) {
            rooms.remove(&room);
        }
    }

    /// Returns a room's actor for a user who asks for it, and starts one on this thread if there is none.
    ///
    /// # Errors
    /// [`EngineError::RateLimited`] for a user who has asked for too many rooms in vain, and
    /// [`EngineError::Unavailable`] while the engine ends.
    pub(crate) async fn room(&self, room: RoomId, by: UserId) -> Result<RoomHandle, EngineError> {
        if let Some(handle) = self.cached_room(room).filter(|handle| handle.is_alive()) {
            return Ok(handle);
        }
        let resolve = ResolveRoom { room, arbiter: Arbiter::current(), by: Some(by) };
        let ResolvedRoom { handle, is_confirmed } =
            self.deps.registry.ask(resolve).await.unwrap_or(Err(EngineError::Unavailable))?;
        if is_confirmed {
            self.cache_room(room, &handle);
        }
        Ok(handle)
    }

    /// Keeps the handle of a room that someone is in.
    pub(crate) fn cache_room(&self, room: RoomId, handle: &RoomHandle) {
        let mut rooms = self.rooms.borrow_mut();
        if rooms.get(&room).is_some_and(|cached| Arc::ptr_eq(cached, handle)) {
            return;
        }
        if rooms.len() >= self.prune_at.get() {
            rooms.retain(|_, cached| cached.is_alive());
            self.prune_at.set((rooms.len() * 2).max(CACHED_ROOMS_MIN));
        }
        rooms.insert(room, handle.clone());
    }
}
