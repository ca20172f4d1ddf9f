//! Messages of the registry, which knows the rooms and switchboards of this node.

use std::sync::Arc;

use actix::{ArbiterHandle, Message};

use super::instance::RoomInstance;
use super::relay::EpochChanged;
use super::room::RoomHandle;
use super::session::SessionId;
use super::switchboard::SwitchboardControl;
use crate::domain::event::Event;
use crate::domain::ids::{RoomId, Seq, UserId};
use crate::domain::signal::Signal;
use crate::error::EngineError;
use crate::mailbox::{Ask, Tell, mailbox};

mailbox! {
    /// The registry, as sessions use it.
    RoomDirectory: Ask<ResolveRoom>, Tell<RouteLeave>,
}

mailbox! {
    /// The registry, as the rooms themselves use it.
    RoomRegistration: Tell<ConfirmRoom>, Tell<RetireRoom>, Tell<RouteEvents>,
}

mailbox! {
    /// The registry, as the relay uses it.
    RoomNews: Tell<RouteEvents>, Tell<RouteSignal>, Tell<RouteHeads>, Tell<EpochChanged>,
}

/// Takes in the switchboard of a thread that begins to hold sockets.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct RegisterSwitchboard {
    pub(crate) switchboard: Arc<dyn SwitchboardControl>,
}

/// Asks for the switchboards of all threads that hold sockets.
#[derive(Message)]
#[rtype(result = "Vec<Arc<dyn SwitchboardControl>>")]
pub(crate) struct ListSwitchboards;

/// Asks for a room's actor, which is started if there is none.
#[derive(Message)]
#[rtype(result = "Result<ResolvedRoom, EngineError>")]
pub(crate) struct ResolveRoom {
    pub(crate) room: RoomId,
    /// The thread to start it on.
    pub(crate) arbiter: ArbiterHandle,
    /// The user who asks; none for the host application, and for a user who is known to be in the room.
    pub(crate) by: Option<UserId>,
}

/// A room's actor.
pub(crate) struct ResolvedRoom {
    pub(crate) handle: RoomHandle,
    /// Whether someone has turned out to be in the room. Before that the handle must not be kept: the
    /// actor ends when nobody holds it any more.
    pub(crate) is_confirmed: bool,
}

/// Someone has turned out to be in the room.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ConfirmRoom(pub(crate) RoomInstance);

/// A room's actor has nothing to do and wants to end.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct RetireRoom(pub(crate) RoomInstance);

/// A session that ends leaves a room that may be about to accept it.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct RouteLeave {
    pub(crate) room: RoomId,
    pub(crate) session: SessionId,
}

/// Events of a room, for its actor if it runs here.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct RouteEvents {
    pub(crate) room: RoomId,
    pub(crate) events: Arc<Vec<Event>>,
}

/// A signal of a room, for its actor if it runs here.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct RouteSignal {
    pub(crate) room: RoomId,
    pub(crate) signal: Signal,
}

/// How far the logs of some rooms reach.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct RouteHeads(pub(crate) Vec<(RoomId, Seq)>);

/// A user's name may have changed or been erased: frames that show it are no longer true.
#[derive(Clone, Copy, Message)]
#[rtype(result = "()")]
pub(crate) struct InvalidateUser {
    pub(crate) user: UserId,
}
