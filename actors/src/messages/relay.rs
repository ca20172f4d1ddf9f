//! Messages of the relay, which hints to other nodes and follows the feed of commits.

use std::sync::Arc;
use std::time::Duration;

use actix::Message;

use crate::domain::event::Event;
use crate::domain::ids::{NodeId, PersonalSeq, RoomId, UserId};
use crate::domain::signal::Signal;
use crate::mailbox::{Tell, mailbox};
use crate::ports::store::UserAccess;
use crate::protocol::envelope::UserFrame;

mailbox! {
    /// The relay, as rooms use it.
    RoomRelay: Tell<FollowRoom>, Tell<PublishSignal>,
}

mailbox! {
    /// The relay, as the users actor uses it.
    PresenceRelay: Tell<PublishPresence>, Tell<PublishOnline>,
}

/// Publishes what was committed here.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct PublishCommit {
    pub(crate) room: RoomId,
    pub(crate) events: Arc<Vec<Event>>,
    pub(crate) signals: Vec<Signal>,
}

/// Publishes a signal of a room.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct PublishSignal {
    pub(crate) room: RoomId,
    pub(crate) signal: Signal,
}

/// Publishes that a user came online at this node, or went.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct PublishPresence {
    pub(crate) user: UserId,
    pub(crate) online: bool,
}

/// Publishes who is online at this node.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct PublishOnline {
    pub(crate) users: Vec<UserId>,
}

/// Publishes that a call to this node changed a user's names or access.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct PublishUserChange(pub(crate) UserAccess);

/// Publishes that a call to this node made a user's personal log grow.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct PublishPersonalLog {
    pub(crate) user: UserId,
    pub(crate) head: PersonalSeq,
}

/// Publishes a frame for a user's sockets at other nodes.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct PublishUserFrame(pub(crate) UserFrame);

/// Publishes that a socket here has taken the frame of another node's call.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct PublishCallTaken {
    /// The node.
    pub(crate) node: NodeId,
    /// Its number of the call.
    pub(crate) call: u64,
}

/// Begins or ceases to follow a room's topic.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct FollowRoom {
    pub(crate) room: RoomId,
    pub(crate) on: bool,
}

/// Stops the broker after what is queued has gone out.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct StopRelay {
    /// How long that may take.
    pub(crate) patience: Duration,
}

/// Tells rooms and inboxes that the store holds another history than before.
#[derive(Clone, Copy, Message)]
#[rtype(result = "()")]
pub(crate) struct EpochChanged;
