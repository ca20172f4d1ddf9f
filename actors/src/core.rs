//! What every actor of an engine knows of the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix::Addr;

use crate::domain::ids::NodeId;
use crate::inbox::InboxActor;
use crate::limits::{self, Limits};
use crate::people::PeopleActor;
use crate::persistence::PersistenceActor;
use crate::ports::clock::Clock;
use crate::ports::identity::Identity;
use crate::ports::store::Store;
use crate::registry::RegistryActor;
use crate::relay::RelayActor;

/// The addresses and ports of one engine. Shared, never changed.
pub struct Core {
    /// This process.
    pub node: NodeId,
    /// The operator's bounds.
    pub limits: Arc<Limits>,
    /// Time.
    pub clock: Clock,
    /// The truth.
    pub store: Arc<dyn Store>,
    /// Reads tokens.
    pub identity: Arc<dyn Identity>,
    /// Which rooms live here.
    pub registry: Addr<RegistryActor>,
    /// The only writer to the store.
    pub persistence: Addr<PersistenceActor>,
    /// How much waits for it.
    pub(crate) backlog: Backlog,
    /// Who is signed in here and elsewhere.
    pub people: Addr<PeopleActor>,
    /// The lists of rooms of those who look at them.
    pub inbox: Addr<InboxActor>,
    /// The only user of the link.
    pub relay: Addr<RelayActor>,
}

/// How many commands wait for the store. Told by the persistence actor alone; whoever has one more can
/// refuse it before anything is done for it, which is what keeps an overloaded server at work.
#[derive(Debug, Default)]
pub(crate) struct Backlog(AtomicUsize);

impl Backlog {
    pub(crate) fn tell(&self, queued: usize) {
        self.0.store(queued, Ordering::Relaxed);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= limits::QUEUED_COMMANDS_MAX
    }
}
