//! Which history this store serves, held against the database on each new connection: after a failover the
//! same address leads to another server, whose log may end before what was told already.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use actors::domain::ids::Epoch;
use tokio_postgres::{Client, Error};

use super::installation::{self, Installation};

/// The history, as all connections of a store know it.
#[derive(Clone)]
pub(super) struct History(Arc<Mutex<Known>>);

struct Known {
    installation: Installation,
    /// Connections made before this moment may lead to a server that no longer counts.
    since: Instant,
}

impl History {
    /// The history that the database holds now.
    pub(super) fn new(installation: Installation) -> Self {
        Self(Arc::new(Mutex::new(Known { installation, since: Instant::now() })))
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.known().installation.epoch
    }

    pub(super) fn link_key(&self) -> Vec<u8> {
        self.known().installation.link_key.clone()
    }

    /// Goes over to another history; whoever asks from now on is told that one.
    pub(super) fn replace(&self, installation: Installation) {
        let mut known = self.known();
        if known.installation.epoch != installation.epoch {
            known.since = Instant::now();
        }
        known.installation = installation;
    }

    /// Whether a connection that was made at `made` was made in this history.
    pub(super) fn has_begun_before(&self, made: Instant) -> bool {
        self.known().since <= made
    }

    /// Looks where a new connection leads to, before anyone uses it. Another cluster or timeline than
    /// before begins a new history.
    pub(super) async fn confirm(&self, client: &Client) -> Result<(), Error> {
        let here = installation::cluster(client).await?;
        if self.known().installation.cluster != here {
            self.replace(installation::move_to(client, &here).await?);
        }
        Ok(())
    }

    /// Takes over the history that the database tells of, unless it is no longer `known` that is served:
    /// another node, or an operator, may have begun a new one.
    pub(super) async fn reread(&self, client: &Client, known: Epoch) -> Result<(), Error> {
        let installation = installation::stored(client).await?;
        if self.epoch() == known {
            self.replace(installation);
        }
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
