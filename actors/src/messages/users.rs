//! Messages of the users actor: the sessions of each user, and who is online.

use std::collections::BTreeSet;
use std::sync::Arc;

use actix::Message;

use super::instance::RoomInstance;
use super::session::{ConnectError, SessionId};
use crate::domain::ids::{NodeId, UserId};
use crate::mailbox::{Ask, Liveness, Tell, mailbox};
use crate::ports::store::UserAccess;

mailbox! {
    /// The users actor, as sessions use it.
    SessionDirectory:
        Ask<RegisterSession>, Ask<ActivateSession>, Tell<TokenRenewed>, Tell<UnregisterSession>,
}

mailbox! {
    /// The users actor, as rooms use it.
    PresenceDirectory: Tell<ActivateRoomSessions>, Tell<WatchPresence>, Tell<UnwatchPresence>,
}

mailbox! {
    /// The users actor, as the relay uses it.
    UserNews: Tell<FeedReady>, Tell<UserChanged>, Tell<RemotePresence>, Tell<AnnounceOnlineSoon>,
}

mailbox! {
    /// A session, as the users actor knows it.
    RegisteredSession: Tell<AccessRevoked>, Liveness,
}

mailbox! {
    /// A room that wants to know who is online.
    PresenceWatcher: Tell<PresenceChanged>, Tell<SessionsAdmitted>,
}

/// Answers with those of `users` who have no socket on any node.
#[derive(Message)]
#[rtype(result = "BTreeSet<UserId>")]
pub(crate) struct ListOffline {
    pub(crate) users: Vec<UserId>,
}

/// Takes a session in among its user's; it isn't counted as online before it is activated.
#[derive(Message)]
#[rtype(result = "Result<(), ConnectError>")]
pub(crate) struct RegisterSession {
    pub(crate) user: UserId,
    pub(crate) session: SessionId,
    pub(crate) mailbox: Arc<dyn RegisteredSession>,
    /// When the session's token was issued; Unix time in seconds.
    pub(crate) issued_at: i64,
}

/// Counts a user socket as online. Answers false if the session has ended meanwhile or was revoked.
#[derive(Message)]
#[rtype(result = "bool")]
pub(crate) struct ActivateSession {
    pub(crate) user: UserId,
    pub(crate) session: SessionId,
}

/// Counts the sessions that a room accepts as online. The room is told which users have come online by
/// that, and then [`SessionsAdmitted`].
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ActivateRoomSessions {
    pub(crate) room: Arc<dyn PresenceWatcher>,
    pub(crate) sessions: Vec<(UserId, SessionId)>,
}

/// A session has taken a newer token.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct TokenRenewed {
    pub(crate) user: UserId,
    pub(crate) session: SessionId,
    /// When the token was issued; Unix time in seconds.
    pub(crate) issued_at: i64,
}

/// A session has ended.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct UnregisterSession {
    pub(crate) user: UserId,
    pub(crate) session: SessionId,
    /// Whether its connection was silent for long, so that nobody is reloading a page there.
    pub(crate) is_lost: bool,
}

/// Asks to be told who of these users is online, now and from now on. Answered with [`PresenceChanged`].
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct WatchPresence {
    pub(crate) instance: RoomInstance,
    pub(crate) room: Arc<dyn PresenceWatcher>,
    pub(crate) users: Vec<UserId>,
    /// Whether the answer counts as news even where nothing has changed.
    pub(crate) anew: bool,
}

/// A room no longer wants to be told.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct UnwatchPresence {
    /// Ignored if another actor of the room has taken over.
    pub(crate) instance: RoomInstance,
}

/// A user's access has changed.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct UserChanged(pub(crate) UserAccess);

/// The feed of commits is being followed, so that no revocation is missed from now on.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct FeedReady;

/// Another node tells who is online there.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct RemotePresence {
    pub(crate) node: NodeId,
    pub(crate) news: PresenceUpdate,
}

/// What another node says of its users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PresenceUpdate {
    /// Everyone who is online there.
    All(Vec<UserId>),
    /// One user came online, or went offline.
    One(UserId, bool),
    /// The node stops.
    Leaving,
}

/// Tells other nodes soon who is online here, without waiting for the next heartbeat.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct AnnounceOnlineSoon;

/// Takes no session in any more.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct StopAccepting;

/// Tells a room who of its participants is online, or that some came or went.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct PresenceChanged {
    pub(crate) came: Vec<UserId>,
    /// Users who went offline, or are not online.
    pub(crate) went: Vec<UserId>,
    /// See [`WatchPresence::anew`].
    pub(crate) anew: bool,
}

/// Tells a room that the users of the sessions it accepts count as online.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SessionsAdmitted {
    /// Sessions that have ended meanwhile, or were revoked.
    pub(crate) gone: BTreeSet<SessionId>,
}

/// Tells a session that its user's access was revoked.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct AccessRevoked;
