//! Messages of the rooms.

use std::sync::Arc;

use actix::Message;
use chrono::{DateTime, Utc};
use tokio::sync::oneshot;

use super::session::{ConnectError, SessionId};
use super::switchboard::OutboxHandle;
use crate::domain::command::{Command, CommandReply};
use crate::domain::event::Event;
use crate::domain::ids::{ClientId, Epoch, RoomId, Seq, UserId};
use crate::domain::signal::Signal;
use crate::error::EngineError;
use crate::mailbox::{Ask, Liveness, Tell, mailbox};

/// A room's actor, as sessions and the engine use it.
///
/// A handle that the registry gives keeps an unconfirmed room's actor running; one that the room itself
/// gives doesn't.
pub(crate) type RoomHandle = Arc<dyn RoomMailbox>;

mailbox! {
    /// See [`RoomHandle`].
    RoomMailbox:
        Ask<JoinRoom>, Tell<LeaveRoom>, Tell<SubmitCommand>, Tell<SetTyping>, Tell<ResendState>,
        Ask<ListTyping>, Liveness,
}

mailbox! {
    /// A session, as rooms know it.
    SubscriberMailbox:
        Tell<JoinAnswer>, Tell<JoinFailed>, Tell<SubscriptionEnded>, Tell<RoomActorDied>,
        Tell<CommandRateLimited>, Tell<CommandOverloaded>, Liveness,
}

/// A session as the rooms that it is in know it: one for all of them.
pub(crate) struct Subscriber {
    pub(crate) id: SessionId,
    pub(crate) user: UserId,
    pub(crate) outbox: OutboxHandle,
    /// Doesn't keep the session running.
    pub(crate) session: Arc<dyn SubscriberMailbox>,
}

/// What a session joins a room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinKind {
    /// The connection is this room's own socket, and ends with the subscription.
    RoomSocket,
    /// The user socket subscribes to this room among others.
    Multiplexed,
    /// The session was in the room before this actor; it wants what follows, and no greeting.
    Rejoin(SubscriptionKind),
}

/// What a session is in a room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SubscriptionKind {
    /// See [`JoinKind::RoomSocket`].
    RoomSocket,
    /// See [`JoinKind::Multiplexed`].
    Multiplexed,
}

/// The position from which a session wants a room's events.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ResumePosition {
    /// The position after which events are wanted; only new ones, if unset.
    pub(crate) since: Option<Seq>,
    /// The history that the position is of.
    pub(crate) epoch: Option<Epoch>,
}

/// Asks to be in the room, which answers with [`JoinAnswer`].
///
/// The direct answer is false if the actor is retired and takes no one in any more.
#[derive(Message)]
#[rtype(result = "bool")]
pub(crate) struct JoinRoom {
    pub(crate) subscriber: Arc<Subscriber>,
    pub(crate) join_kind: JoinKind,
    pub(crate) position: ResumePosition,
    /// When the session's token was issued; Unix time in seconds.
    pub(crate) issued_at: i64,
}

/// Leaves the room, because the client asked to or because its connection has ended.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct LeaveRoom {
    pub(crate) session: SessionId,
}

/// A command for the store.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SubmitCommand {
    pub(crate) command: Command,
    pub(crate) origin: CommandOrigin,
}

/// Who waits for the answer to a command.
pub(crate) enum CommandOrigin {
    /// A socket, whether or not its session is in the room.
    Session {
        subscriber: Arc<Subscriber>,
        /// What the client calls the message.
        client_id: Option<ClientId>,
    },
    /// A caller of the engine.
    Caller(oneshot::Sender<Result<CommandReply, EngineError>>),
}

impl CommandOrigin {
    /// What the client calls the message.
    pub(crate) fn client_id(&self) -> Option<ClientId> {
        match self {
            Self::Session { client_id, .. } => *client_id,
            Self::Caller(_) => None,
        }
    }
}

/// A session says whether its user is typing.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SetTyping {
    pub(crate) session: SessionId,
    pub(crate) username: Arc<str>,
    pub(crate) is_typing: bool,
}

/// Sends read marks and presence to a socket again, because signals for it were dropped.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ResendState {
    pub(crate) session: SessionId,
}

/// Asks who is typing.
#[derive(Message)]
#[rtype(result = "Vec<TypingUser>")]
pub(crate) struct ListTyping;

/// A user who is typing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypingUser {
    /// The user.
    pub user: UserId,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// Events of this room that were committed somewhere, in order.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub(crate) struct RoomEvents(pub(crate) Arc<Vec<Event>>);

/// The room's log reaches at least this far.
#[derive(Clone, Copy, Message)]
#[rtype(result = "()")]
pub(crate) struct RoomHead(pub(crate) Seq);

/// A signal of this room from another node, or from the feed of commits.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub(crate) struct RemoteSignal(pub(crate) Signal);

/// Stops the actor, which the registry has forgotten, once it has nothing to do.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct StopWhenIdle;

/// Tells a session whether it is in a room.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct JoinAnswer {
    pub(crate) room: RoomId,
    pub(crate) result: Result<AcceptedJoin, ConnectError>,
}

/// What a session learns when it is accepted.
pub(crate) struct AcceptedJoin {
    /// The room's actor.
    pub(crate) handle: RoomHandle,
    /// The user's name as the directory has it.
    pub(crate) username: Arc<str>,
}

/// Tells a session that no actor of a room takes it in: its user has asked for too many rooms in vain, or
/// the node stops.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct JoinFailed {
    pub(crate) room: RoomId,
    pub(crate) error: EngineError,
}

/// Tells a session that it is no longer in a room.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SubscriptionEnded {
    pub(crate) room: RoomId,
}

/// Tells a session that a room's actor has died. It rejoins the next one where it was.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct RoomActorDied {
    pub(crate) room: RoomId,
    /// The history that the actor knew.
    pub(crate) epoch: Epoch,
}

/// Tells a session that one of its commands was refused for its rate.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct CommandRateLimited;

/// Tells a session that one of its commands found too many waiting.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct CommandOverloaded;
