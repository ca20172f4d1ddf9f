//! The façade: all that the server sees of the engine.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix::{Actor, Addr, Arbiter, AsyncContext, Context};
use tokio::sync::oneshot;

use crate::census::{Count, Counts};
use crate::core::{Backlog, Core};
use crate::domain::command::{Command, OpenRoom, Opened, Refusal, Reply};
use crate::domain::ids::{NodeId, RoomId};
use crate::error::EngineError;
use crate::inbox::{self, Happened, InboxActor, Named};
use crate::limits::{self, Limits};
use crate::people::{self, Changed, CloseDoors, PeopleActor};
use crate::persistence::{self, PersistenceActor, Refuse, Unsettled};
use crate::ports::clock::Clock;
use crate::ports::identity::Identity;
use crate::ports::link::Link;
use crate::ports::store::{PersonChange, Store, StoreError};
use crate::protocol::close::CloseCode;
use crate::protocol::envelope::LinkKey;
use crate::registry::{self, Heads, Register, RegistryActor, Resolve, Route, Workers};
use crate::relay::{self, Publish, RelayActor, Stop, TellPerson};
use crate::room::{Origin, Submit, TypingNow, WhoIsTyping};
use crate::session::{Connect, SessionActor};
use crate::switchboard::{CloseAll, GoAway, SwitchboardActor, Unsent};
use crate::worker::Worker;

/// How long a caller waits for an answer; the store's patience and what follows fit in.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked whether everything is settled, at the end.
const SETTLE_POLL: Duration = Duration::from_millis(20);

/// What an engine is made of.
pub struct Parts {
    /// This process.
    pub node: NodeId,
    /// The operator's bounds.
    pub limits: Limits,
    /// Time.
    pub clock: Clock,
    /// The truth.
    pub store: Arc<dyn Store>,
    /// Reads tokens.
    pub identity: Arc<dyn Identity>,
    /// The way to other nodes; none when this is the only one.
    pub link: Option<Arc<dyn Link>>,
    /// What envelopes are signed with.
    pub link_key: LinkKey,
}

/// A running engine. Cheap to clone, and good on any thread.
#[derive(Clone)]
pub struct EngineHandle {
    core: Arc<Core>,
    workers: Arc<AtomicUsize>,
}

/// What was left when an engine ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Commands that nobody was told the end of.
    pub commands: usize,
    /// Sockets that had not taken all that was for them.
    pub sockets: usize,
}

/// An actor that is to be told of the others before it starts.
struct Place<A: Actor<Context = Context<A>>>(Context<A>, Addr<A>);

impl<A: Actor<Context = Context<A>>> Place<A> {
    fn new() -> Self {
        let context = Context::new();
        let addr = context.address();
        Self(context, addr)
    }
}

impl EngineHandle {
    /// Starts an engine whose own actors live on this thread.
    #[must_use]
    pub fn start(parts: Parts) -> Self {
        let registry = Place::<RegistryActor>::new();
        let persistence = Place::<PersistenceActor>::new();
        let people = Place::<PeopleActor>::new();
        let inbox = Place::<InboxActor>::new();
        let relay = Place::<RelayActor>::new();
        let core = Arc::new(Core {
            node: parts.node,
            limits: Arc::new(parts.limits),
            clock: parts.clock,
            store: parts.store,
            identity: parts.identity,
            registry: registry.1,
            persistence: persistence.1,
            backlog: Backlog::default(),
            people: people.1,
            inbox: inbox.1,
            relay: relay.1,
        });
        registry.0.run(RegistryActor::default());
        persistence.0.run(PersistenceActor::default());
        people.0.run(PeopleActor::default());
        inbox.0.run(InboxActor::default());
        relay.0.run(RelayActor::new(parts.link, parts.link_key));
        core.registry.do_send(registry::Begin(core.clone()));
        core.persistence.do_send(persistence::Begin(core.clone()));
        core.people.do_send(people::Begin(core.clone()));
        core.inbox.do_send(inbox::Begin(core.clone()));
        core.relay.do_send(relay::Begin(core.clone()));
        Self { core, workers: Arc::default() }
    }

    /// Makes this thread one that holds sockets. To be called once on each.
    #[must_use]
    pub fn worker(&self) -> Rc<Worker> {
        let worker = Worker::start(self.core.clone(), self.workers.fetch_add(1, Ordering::Relaxed));
        self.core.registry.do_send(Register { switchboard: worker.switchboard.clone() });
        worker
    }

    /// Carries out one command; answered when it is committed and told to the sockets of this node.
    ///
    /// # Errors
    /// [`EngineError`]; but for [`EngineError::OutcomeUnknown`] nothing was stored.
    pub async fn command(&self, command: Command) -> Result<Reply, EngineError> {
        let by = command.by.person();
        let resolve = Resolve { room: command.room, arbiter: Arbiter::current(), by };
        let room = self.core.registry.send(resolve).await.unwrap_or(Err(EngineError::Unavailable))?;
        let (answer, answered) = oneshot::channel();
        room.addr.do_send(Submit { command, origin: Origin::Caller(answer) });
        match tokio::time::timeout(ANSWER_PATIENCE, answered).await {
            Ok(Ok(answer)) => answer,
            _ => Err(EngineError::OutcomeUnknown),
        }
    }

    /// Makes a room, or finds the one there is of its pair or subject.
    ///
    /// # Errors
    /// [`EngineError`]; but for [`EngineError::OutcomeUnknown`] nothing was stored.
    pub async fn open_room(&self, open: OpenRoom) -> Result<Opened, EngineError> {
        let opened = self.core.store.open_room(&open).await.map_err(|error| match error {
            StoreError::OutcomeUnknown => EngineError::OutcomeUnknown,
            StoreError::RowRefused => EngineError::Refused(Refusal::Rejected),
            StoreError::Unavailable(_) | StoreError::Locked => EngineError::Unavailable,
        })??;
        let (room, events) = (opened.room, Arc::new(opened.events.clone()));
        if !events.is_empty() {
            self.core.inbox.do_send(Happened { room, events: events.clone(), signals: Vec::new() });
            self.core.registry.do_send(Route { room, events: events.clone() });
            self.core.relay.do_send(Publish { room, events, signals: Vec::new() });
        }
        Ok(opened)
    }

    /// Who is typing in a room now, as far as this node has heard: of those elsewhere, from the first
    /// time on that it is asked. Only for someone who is in the room.
    pub async fn typing_in(&self, room: RoomId) -> Vec<TypingNow> {
        let resolve = Resolve { room, arbiter: Arbiter::current(), by: None };
        let Ok(Ok(found)) = self.core.registry.send(resolve).await else { return Vec::new() };
        found.addr.send(WhoIsTyping).await.unwrap_or_default()
    }

    /// Tells every node that someone's names or right to be here changed; it is in the store already.
    pub fn person_changed(&self, change: PersonChange) {
        self.core.inbox.do_send(Named { user: change.user, is_news: true });
        self.core.people.do_send(Changed(change));
        self.core.relay.do_send(TellPerson(change));
    }

    /// Tells the rooms of this node how far their logs reach, for one who wrote to the store himself.
    pub fn heads(&self, heads: Vec<(RoomId, crate::domain::ids::Seq)>) {
        self.core.registry.do_send(Heads(heads));
    }

    /// Whether every actor that the node can't do without lives. Rooms and sessions may die, and are
    /// replaced; without one of these the process must be.
    pub async fn is_whole(&self) -> bool {
        let core = &self.core;
        let switchboards = core.registry.send(Workers).await.unwrap_or_default();
        core.registry.connected()
            && core.persistence.connected()
            && core.people.connected()
            && core.inbox.connected()
            && core.relay.connected()
            && switchboards.iter().all(Addr::connected)
    }

    /// How much the engine holds, for tests and for those who look for leaks.
    pub async fn census(&self) -> Counts {
        let core = &self.core;
        let mut counts = core.registry.send(Count).await.unwrap_or_default();
        counts.extend(core.persistence.send(Count).await.unwrap_or_default());
        counts.extend(core.people.send(Count).await.unwrap_or_default());
        counts.extend(core.inbox.send(Count).await.unwrap_or_default());
        counts.extend(core.relay.send(Count).await.unwrap_or_default());
        for switchboard in core.registry.send(Workers).await.unwrap_or_default() {
            counts.extend(switchboard.send(Count).await.unwrap_or_default());
        }
        counts
    }

    /// Ends the engine in order: nobody new, everyone told when to come back, everything under way
    /// settled, every socket closed, the link last.
    pub async fn drain(&self, spread: Duration, patience: Duration) -> Leftovers {
        let until = tokio::time::Instant::now() + patience;
        let _gone = self.core.people.send(CloseDoors).await;
        let switchboards = self.core.registry.send(Workers).await.unwrap_or_default();
        for switchboard in &switchboards {
            let _gone = switchboard.send(GoAway { spread }).await;
        }
        let _gone = self.core.persistence.send(Refuse).await;
        let mut commands = self.core.persistence.send(Unsettled).await.unwrap_or_default();
        while commands > 0 && tokio::time::Instant::now() < until {
            tokio::time::sleep(SETTLE_POLL).await;
            commands = self.core.persistence.send(Unsettled).await.unwrap_or_default();
        }
        for switchboard in &switchboards {
            let _gone = switchboard.send(CloseAll { code: CloseCode::Restarting }).await;
        }
        let sockets = unsent(&switchboards).await;
        let _gone = self.core.relay.send(Stop { patience: Duration::from_secs(1) }).await;
        Leftovers { commands, sockets }
    }
}

/// Waits for all sockets to take what is for them; how many have not within the time for it.
async fn unsent(switchboards: &[Addr<SwitchboardActor>]) -> usize {
    let until = tokio::time::Instant::now() + limits::CLOSE_PATIENCE;
    loop {
        let mut sockets = 0;
        for switchboard in switchboards {
            sockets += switchboard.send(Unsent).await.unwrap_or_default();
        }
        if sockets == 0 || tokio::time::Instant::now() >= until {
            return sockets;
        }
        tokio::time::sleep(SETTLE_POLL).await;
    }
}

impl Worker {
    /// Begins a session on this thread. What it says about the outcome goes to the client itself. It ends
    /// when its address, of which others have weak ones, is dropped.
    #[must_use]
    pub fn connect(self: &Rc<Self>, connect: Connect) -> Addr<SessionActor> {
        SessionActor::begin(self, connect).start()
    }
}
