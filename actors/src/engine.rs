//! The engine as the server sees it: starting one, sending commands, connecting sockets, draining.
//!
//! This is the only module that knows every actor. It gives each the handles that it needs when it is made.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix::{Actor, Addr, Arbiter, AsyncContext, Context};
use tokio::sync::oneshot;

use crate::bots::{BotsActor, BotsDependencies};
use crate::domain::command::{Command, CommandReply, OpenRoom, OpenedRoom, Refusal};
use crate::domain::ids::{NodeId, PersonalSeq, RoomId, UserId};
use crate::error::EngineError;
use crate::inbox::{InboxActor, InboxDependencies};
use crate::limits::{self, Limits};
use crate::mailbox::Tell;
pub use crate::messages::bots::BotCall;
use crate::messages::bots::{AnswerCaller, GiveBotCommand};
use crate::messages::diagnostics::CountResources;
pub use crate::messages::diagnostics::ResourceCounts;
use crate::messages::inbox::{EventsCommitted, PersonalLogGrown, UserRenamed};
use crate::messages::persistence::{CommandBacklog, CountUnfinished, RefuseAppends};
use crate::messages::registry::{
    ListSwitchboards, RegisterSwitchboard, ResolveRoom, ResolvedRoom, RouteEvents,
};
use crate::messages::relay::{PublishCommit, PublishPersonalLog, PublishUserChange, StopRelay};
pub use crate::messages::room::TypingUser;
use crate::messages::room::{CommandOrigin, ListTyping, SubmitCommand};
pub use crate::messages::session::ConnectError;
use crate::messages::switchboard::{AnnounceShutdown, CloseAllSockets, CountUnsent, SwitchboardControl};
use crate::messages::users::{ListOffline, StopAccepting, UserChanged};
use crate::persistence::{PersistenceActor, PersistenceDependencies};
use crate::ports::broker::Broker;
use crate::ports::clock::Clock;
use crate::ports::identity::Identity;
use crate::ports::store::{Store, StoreError, UserAccess};
use crate::protocol::answer_token::GivenCommand;
use crate::protocol::close::CloseCode;
use crate::protocol::envelope::EnvelopeKey;
use crate::registry::RegistryActor;
use crate::relay::{RelayActor, RelayDependencies};
use crate::room::RoomDependencies;
pub use crate::session::{ClientInput, ConnectRequest, ConnectTarget, SessionHandle};
use crate::switchboard::SwitchboardActor;
use crate::users::{UsersActor, UsersDependencies};
use crate::worker::SessionDependencies;
pub use crate::worker::Worker;

/// How long a caller waits for an answer: longer than a command may wait for the store.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);
/// How often a draining engine looks whether everything is finished.
const DRAIN_POLL: Duration = Duration::from_millis(20);

/// What an engine is started with.
pub struct EngineParts {
    /// The id of this process among the nodes.
    pub node: NodeId,
    /// The bounds that an operator may set.
    pub limits: Limits,
    /// The time.
    pub clock: Clock,
    /// The log of every room, and what is derived from it.
    pub store: Arc<dyn Store>,
    /// Verifies tokens.
    pub identity: Arc<dyn Identity>,
    /// The way to other nodes; none if this is the only one.
    pub broker: Option<Arc<dyn Broker>>,
    /// The key that envelopes between nodes are sealed with.
    pub envelope_key: EnvelopeKey,
}

/// A running engine. Cheap to clone, and good on any thread.
#[derive(Clone)]
pub struct EngineHandle(Arc<Engine>);

/// The actors of which a node has one each.
struct Engine {
    registry: Arc<Addr<RegistryActor>>,
    persistence: Arc<Addr<PersistenceActor>>,
    users: Arc<Addr<UsersActor>>,
    inbox: Arc<Addr<InboxActor>>,
    relay: Arc<Addr<RelayActor>>,
    bots: Arc<Addr<BotsActor>>,
    envelope_key: EnvelopeKey,
    sessions: Arc<SessionDependencies>,
    workers: AtomicUsize,
    #[cfg(test)]
    rooms: Arc<RoomDependencies>,
}

/// What was unfinished when an engine ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DrainReport {
    /// Commands whose senders were not told the outcome.
    pub commands: usize,
    /// Sockets that had not taken everything that waited for them.
    pub sockets: usize,
}

/// An actor that has an address and doesn't run yet: the others are handed the address before it starts.
struct Unstarted<A: Actor<Context = Context<A>>>(Context<A>);

impl<A: Actor<Context = Context<A>>> Unstarted<A> {
    fn new() -> (Self, Arc<Addr<A>>) {
        let context = Context::new();
        let addr = Arc::new(context.address());
        (Self(context), addr)
    }

    fn start(self, actor: A) {
        self.0.run(actor);
    }
}

impl EngineHandle {
    /// Starts an engine. Its own actors run on this thread.
    #[must_use]
    pub fn start(parts: EngineParts) -> Self {
        let EngineParts { node, limits, clock, store, identity, broker, envelope_key } = parts;
        let limits = Arc::new(limits);
        let backlog = Arc::new(CommandBacklog::default());
        let (unstarted_registry, registry) = Unstarted::new();
        let (unstarted_persistence, persistence) = Unstarted::new();
        let (unstarted_users, users) = Unstarted::new();
        let (unstarted_inbox, inbox) = Unstarted::new();
        let (unstarted_relay, relay) = Unstarted::new();
        let (unstarted_bots, bots) = Unstarted::new();

        let rooms = Arc::new(RoomDependencies {
            clock,
            limits: limits.clone(),
            store: store.clone(),
            registry: registry.clone(),
            persistence: persistence.clone(),
            users: users.clone(),
            relay: relay.clone(),
        });
        unstarted_registry.start(RegistryActor::new(rooms.clone()));
        unstarted_persistence.start(PersistenceActor::new(PersistenceDependencies {
            clock,
            limits: limits.clone(),
            store: store.clone(),
            backlog: backlog.clone(),
            registry: registry.clone(),
            inbox: inbox.clone(),
            relay: relay.clone(),
        }));
        unstarted_users.start(UsersActor::new(UsersDependencies {
            clock,
            limits: limits.clone(),
            registry: registry.clone(),
            relay: relay.clone(),
        }));
        unstarted_inbox.start(InboxActor::new(InboxDependencies {
            clock,
            limits: limits.clone(),
            store: store.clone(),
            relay: relay.clone(),
        }));
        unstarted_bots.start(BotsActor::new(BotsDependencies {
            clock,
            limits: limits.clone(),
            store: store.clone(),
            key: envelope_key.clone(),
            has_broker: broker.is_some(),
            inbox: inbox.clone(),
            relay: relay.clone(),
        }));
        unstarted_relay.start(RelayActor::new(RelayDependencies {
            node,
            store: store.clone(),
            broker,
            envelope_key: envelope_key.clone(),
            registry: registry.clone(),
            users: users.clone(),
            inbox: inbox.clone(),
            bots: bots.clone(),
        }));
        let sessions = Arc::new(SessionDependencies {
            node,
            clock,
            limits,
            store,
            identity,
            backlog,
            registry: registry.clone(),
            users: users.clone(),
            inbox: inbox.clone(),
            bots: bots.clone(),
        });
        Self(Arc::new(Engine {
            registry,
            persistence,
            users,
            inbox,
            relay,
            bots,
            envelope_key,
            sessions,
            workers: AtomicUsize::new(0),
            #[cfg(test)]
            rooms,
        }))
    }

    /// Prepares this thread to hold sockets. Call it once on each thread.
    #[must_use]
    pub fn worker(&self) -> Rc<Worker> {
        let engine = &self.0;
        let sessions = engine.sessions.clone();
        let switchboard = SwitchboardActor::new(sessions.limits.clone(), sessions.clock).start();
        let switchboard = Arc::new(switchboard);
        engine.registry.tell(RegisterSwitchboard { switchboard: switchboard.clone() });
        Worker::new(sessions, switchboard, engine.workers.fetch_add(1, Ordering::Relaxed))
    }

    /// Executes a command. Returns when it is committed and delivered to the sockets of this node.
    ///
    /// # Errors
    /// [`EngineError`]. Nothing was stored, except perhaps with [`EngineError::OutcomeUnknown`].
    pub async fn command(&self, command: Command) -> Result<CommandReply, EngineError> {
        let by = command.by.user_id();
        let resolve = ResolveRoom { room: command.room, arbiter: Arbiter::current(), by };
        let ResolvedRoom { handle, .. } =
            self.0.registry.send(resolve).await.unwrap_or(Err(EngineError::Unavailable))?;
        let (answer, answered) = oneshot::channel();
        handle.tell(SubmitCommand { command, origin: CommandOrigin::Caller(answer) });
        match tokio::time::timeout(ANSWER_PATIENCE, answered).await {
            Ok(Ok(answer)) => answer,
            _ => Err(EngineError::OutcomeUnknown),
        }
    }

    /// Creates a room, or returns the existing one of its pair or subject.
    ///
    /// # Errors
    /// [`EngineError`]. Nothing was stored, except perhaps with [`EngineError::OutcomeUnknown`].
    pub async fn open_room(&self, open: OpenRoom) -> Result<OpenedRoom, EngineError> {
        let opened = self.0.sessions.store.open_room(&open).await.map_err(|error| match error {
            StoreError::OutcomeUnknown => EngineError::OutcomeUnknown,
            StoreError::RowRefused => EngineError::Refused(Refusal::Rejected),
            StoreError::Unavailable(_) | StoreError::Locked => EngineError::Unavailable,
        })??;
        let (room, events) = (opened.room, Arc::new(opened.events.clone()));
        if !events.is_empty() {
            self.0.inbox.tell(EventsCommitted { room, events: events.clone(), signals: Vec::new() });
            self.0.registry.tell(RouteEvents { room, events: events.clone() });
            self.0.relay.tell(PublishCommit { room, events, signals: Vec::new() });
        }
        Ok(opened)
    }

    /// Returns who is typing in a room. Of users at other nodes it knows from the first call on, which makes
    /// the room follow them. Call it only for a participant.
    pub async fn typing_in(&self, room: RoomId) -> Vec<TypingUser> {
        let resolve = ResolveRoom { room, arbiter: Arbiter::current(), by: None };
        let Ok(Ok(found)) = self.0.registry.send(resolve).await else { return Vec::new() };
        found.handle.ask(ListTyping).await.unwrap_or_default()
    }

    /// Tells every node of a change to a user's names or access that is in the store already.
    pub fn user_changed(&self, change: UserAccess) {
        self.0.inbox.tell(UserRenamed { user: change.user, is_news: true });
        self.0.users.tell(UserChanged(change));
        self.0.relay.tell(PublishUserChange(change));
    }

    /// Tells every node that a user's personal log reaches up to `head`, which is in the store already.
    pub fn personal_log_grown(&self, user: UserId, head: PersonalSeq) {
        self.0.inbox.tell(PersonalLogGrown { user, head });
        self.0.relay.tell(PublishPersonalLog { user, head });
    }

    /// Gives a command to the bot of a room that has it. Returns when one of the bot's sockets, on any node, has it.
    ///
    /// # Errors
    /// [`EngineError`]; [`EngineError::BotUnavailable`] if no socket has taken it.
    pub async fn give_bot_command(&self, room: RoomId, by: UserId, call: BotCall) -> Result<(), EngineError> {
        let give = GiveBotCommand { room, by, call };
        self.0.bots.send(give).await.unwrap_or(Err(EngineError::Unavailable))
    }

    /// Reads the token of a command that `bot` was given and may still answer.
    #[must_use]
    pub fn given_command(&self, token: &str, bot: UserId) -> Option<GivenCommand> {
        let now = self.0.sessions.clock.date();
        GivenCommand::of_token(token, &self.0.envelope_key, now).filter(|given| given.bot == bot)
    }

    /// Shows a bot's answer to whoever gave the command, on that user's sockets for all rooms.
    ///
    /// # Errors
    /// [`EngineError`]; [`Refusal::NotParticipant`] if one of the two is no longer in the room.
    pub async fn answer_caller(&self, given: GivenCommand, content: String) -> Result<(), EngineError> {
        let answer = AnswerCaller { given, content };
        self.0.bots.send(answer).await.unwrap_or(Err(EngineError::Unavailable))
    }

    /// Returns those of `users` who have no socket on any node, as far as this node knows.
    pub async fn offline_among(&self, users: Vec<UserId>) -> BTreeSet<UserId> {
        self.0.users.send(ListOffline { users }).await.unwrap_or_default()
    }

    /// Returns whether every actor that the node needs is running. Rooms and sessions may die and are
    /// replaced; if one of these has died, the process must be restarted.
    pub async fn is_healthy(&self) -> bool {
        let engine = &self.0;
        let switchboards = engine.registry.send(ListSwitchboards).await.unwrap_or_default();
        engine.registry.connected()
            && engine.persistence.connected()
            && engine.users.connected()
            && engine.inbox.connected()
            && engine.relay.connected()
            && engine.bots.connected()
            && switchboards.iter().all(|switchboard| switchboard.is_alive())
    }

    /// Counts what the engine holds, to find leaks.
    pub async fn diagnostics(&self) -> ResourceCounts {
        let engine = &self.0;
        let mut counts = engine.registry.send(CountResources).await.unwrap_or_default();
        counts.extend(engine.persistence.send(CountResources).await.unwrap_or_default());
        counts.extend(engine.users.send(CountResources).await.unwrap_or_default());
        counts.extend(engine.inbox.send(CountResources).await.unwrap_or_default());
        counts.extend(engine.relay.send(CountResources).await.unwrap_or_default());
        counts.extend(engine.bots.send(CountResources).await.unwrap_or_default());
        for switchboard in engine.registry.send(ListSwitchboards).await.unwrap_or_default() {
            counts.extend(switchboard.ask(CountResources).await.unwrap_or_default());
        }
        counts
    }

    /// Ends the engine in order: it accepts nobody new, tells every client when to come back, finishes the
    /// commands under way for at most `patience`, closes every socket, and stops the broker.
    pub async fn drain(&self, spread: Duration, patience: Duration) -> DrainReport {
        let until = tokio::time::Instant::now() + patience;
        let _gone = self.0.users.send(StopAccepting).await;
        let switchboards = self.0.registry.send(ListSwitchboards).await.unwrap_or_default();
        for switchboard in &switchboards {
            let _gone = switchboard.ask(AnnounceShutdown { spread }).await;
        }
        let _gone = self.0.persistence.send(RefuseAppends).await;
        let mut commands = self.0.persistence.send(CountUnfinished).await.unwrap_or_default();
        while commands > 0 && tokio::time::Instant::now() < until {
            tokio::time::sleep(DRAIN_POLL).await;
            commands = self.0.persistence.send(CountUnfinished).await.unwrap_or_default();
        }
        for switchboard in &switchboards {
            let _gone = switchboard.ask(CloseAllSockets { code: CloseCode::Restarting }).await;
        }
        let sockets = unsent(&switchboards).await;
        let _gone = self.0.relay.send(StopRelay { patience: Duration::from_secs(1) }).await;
        DrainReport { commands, sockets }
    }
}

#[cfg(test)]
impl EngineHandle {
    pub(crate) fn registry(&self) -> &Addr<RegistryActor> {
        &self.0.registry
    }

    pub(crate) fn rooms(&self) -> Arc<RoomDependencies> {
        self.0.rooms.clone()
    }
}

/// Waits until all sockets have taken what waits for them. Returns how many have not in time.
async fn unsent(switchboards: &[Arc<dyn SwitchboardControl>]) -> usize {
    let until = tokio::time::Instant::now() + limits::CLOSE_TIMEOUT;
    loop {
        let mut sockets = 0;
        for switchboard in switchboards {
            sockets += switchboard.ask(CountUnsent).await.unwrap_or_default();
        }
        if sockets == 0 || tokio::time::Instant::now() >= until {
            return sockets;
        }
        tokio::time::sleep(DRAIN_POLL).await;
    }
}
