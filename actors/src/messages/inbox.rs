//! Messages of the inbox actor: the lists of rooms of the users who look at them.

use std::sync::Arc;

use actix::Message;

use super::relay::{EpochChanged, FollowRoom, PublishCallTaken};
use super::session::SessionId;
use super::switchboard::OutboxHandle;
use crate::domain::event::Event;
use crate::domain::ids::{Epoch, NodeId, PersonalSeq, RoomId, Seq, UserId};
use crate::domain::signal::Signal;
use crate::mailbox::{Ask, Tell, mailbox};
use crate::protocol::envelope::UserFrame;

mailbox! {
    /// The inbox actor, as sessions use it.
    InboxSubscriptions:
        Ask<SubscribeInbox>, Tell<UnsubscribeInbox>, Tell<ResendInbox>, Tell<ContinuePersonalLog>,
}

mailbox! {
    /// The inbox actor, as the relay uses it.
    InboxNews:
        Tell<EventsCommitted>, Tell<CheckHeads>, Tell<RecheckRow>, Tell<UserRenamed>, Tell<PersonalLogGrown>,
        Tell<EpochChanged>, Tell<PushRemoteFrame>,
}

mailbox! {
    /// The relay, as the inbox actor uses it.
    InboxRelay: Tell<FollowRoom>, Tell<PublishCallTaken>,
}

/// Subscribes a socket to its user's inbox. It is greeted, and then sent what changes. Answers false if
/// the store can't be read, or the socket has gone meanwhile.
#[derive(Message)]
#[rtype(result = "bool")]
pub(crate) struct SubscribeInbox {
    pub(crate) user: UserId,
    /// The name to greet by.
    pub(crate) username: Arc<str>,
    pub(crate) session: SessionId,
    pub(crate) outbox: OutboxHandle,
    /// Where the personal log is resumed; only what is new in it is sent, if unset.
    pub(crate) resume: Option<PersonalResume>,
}

/// How far a client knows its user's personal log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PersonalResume {
    pub(crate) since: PersonalSeq,
    /// The history that the position is of.
    pub(crate) epoch: Option<Epoch>,
}

/// Ends a socket's subscription.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct UnsubscribeInbox {
    pub(crate) user: UserId,
    pub(crate) session: SessionId,
}

/// Sends a socket all rows again, page by page as it reads, because some were dropped.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ResendInbox {
    pub(crate) user: UserId,
    pub(crate) session: SessionId,
    /// Whether to begin with the first row, or to go on behind the page that has gone out.
    pub(crate) from_start: bool,
}

/// Sends a socket the next entries of its user's personal log: it has taken those before.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ContinuePersonalLog {
    pub(crate) user: UserId,
    pub(crate) session: SessionId,
}

/// Something was committed in a room, here or at another node.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub(crate) struct EventsCommitted {
    pub(crate) room: RoomId,
    pub(crate) events: Arc<Vec<Event>>,
    pub(crate) signals: Vec<Signal>,
}

/// How far the logs of some rooms reach.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct CheckHeads(pub(crate) Vec<(RoomId, Seq)>);

/// A user's row of a room may have changed without this node having heard of it.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct RecheckRow {
    pub(crate) room: RoomId,
    pub(crate) user: UserId,
    /// Whether the user joined the room. Of a row that is there already the room's head tells the rest.
    pub(crate) is_new: bool,
}

/// A user's personal log reaches up to `head`.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct PersonalLogGrown {
    pub(crate) user: UserId,
    pub(crate) head: PersonalSeq,
}

/// Sends a frame to a user's sockets here. Answers to how many.
#[derive(Message)]
#[rtype(result = "usize")]
pub(crate) struct PushUserFrame {
    pub(crate) user: UserId,
    /// The frame, as JSON.
    pub(crate) json: String,
}

/// Sends a frame of another node to a user's sockets here.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct PushRemoteFrame {
    /// The node.
    pub(crate) node: NodeId,
    pub(crate) frame: UserFrame,
}

/// A user may have another name now.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct UserRenamed {
    pub(crate) user: UserId,
    /// Whether that has just happened; otherwise the feed repeats it.
    pub(crate) is_news: bool,
}
