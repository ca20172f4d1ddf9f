//! The history that this store serves, checked on each new connection: after a failover the same address
//! may lead to another server, whose log may end before events that clients have seen.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use actors::domain::ids::Epoch;
use tokio_postgres::{Client, Error};

use super::installation::{self, Installation};

/// The history shared by all connections of a store.
#[derive(Clone)]
pub(crate) struct History(Arc<Mutex<HistoryState>>);

struct HistoryState {
    installation: Installation,
    /// Connections opened before this moment may lead to a server that was replaced.
    since: Instant,
}

impl History {
    pub(crate) fn new(installation: Installation) -> Self {
        Self(Arc::new(Mutex::new(HistoryState { installation, since: Instant::now() })))
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.state().installation.epoch
    }

    pub(crate) fn link_key(&self) -> Vec<u8> {
        self.state().installation.link_key.clone()
    }

    /// Switches to another history.
    pub(crate) fn replace(&self, installation: Installation) {
        let mut state = self.state();
        if state.installation.epoch != installation.epoch {
            state.since = Instant::now();
        }
        state.installation = installation;
    }

    /// Whether a connection opened at `opened_at` belongs to this history.
    pub(crate) fn covers(&self, opened_at: Instant) -> bool {
        self.state().since <= opened_at
    }

    /// Checks which server a new connection leads to, before anyone uses it. A cluster or timeline other
    /// than before begins a new history.
    pub(crate) async fn verify(&self, client: &Client) -> Result<(), Error> {
        let server = installation::server_identity(client).await?;
        if self.state().installation.server != server {
            self.replace(installation::adopt_server(client, &server).await?);
        }
        Ok(())
    }

    /// Loads the history again, because the database reports another one than `known`: another node or an
    /// operator has begun it. Does nothing if this store has switched meanwhile.
    pub(crate) async fn refresh(&self, client: &Client, known: Epoch) -> Result<(), Error> {
        let installation = installation::load(client).await?;
        if self.epoch() == known {
            self.replace(installation);
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, HistoryState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
