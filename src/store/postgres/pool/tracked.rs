//! A connection that knows what it is in the middle of, so that abandoned work is cancelled.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};

use super::connector::Connector;
use super::errors::Failure;
use super::pools::PooledClient;

/// A pooled connection that returns to its pool when dropped, unless a statement is still running. Then
/// nobody waits for that statement any more: it is cancelled in the database and the connection is closed.
pub(crate) struct TrackedClient {
    client: Option<PooledClient>,
    connector: Connector,
    activity: ClientActivity,
}

/// What a connection is in the middle of.
#[derive(Default)]
pub(crate) struct ClientActivity {
    is_running: AtomicBool,
    /// A commit is never cancelled: where it waits for a standby, cancelling would end only the wait.
    is_committing: AtomicBool,
}

impl ClientActivity {
    /// Marks the connection as busy while `work` runs. It stays marked if `work` is dropped or times out.
    pub(crate) async fn track<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        self.is_running.store(true, Ordering::Relaxed);
        let done = work.await;
        if !matches!(done, Err(Failure::Broken(_))) {
            self.is_running.store(false, Ordering::Relaxed);
        }
        done
    }

    /// Does the same for a commit.
    pub(crate) async fn track_commit<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        self.is_committing.store(true, Ordering::Relaxed);
        let done = self.track(work).await;
        self.is_committing.store(self.is_running.load(Ordering::Relaxed), Ordering::Relaxed);
        done
    }
}

impl TrackedClient {
    pub(crate) fn new(client: PooledClient, connector: Connector) -> Self {
        Self { client: Some(client), connector, activity: ClientActivity::default() }
    }

    /// The connection and its activity.
    pub(crate) fn parts(&self) -> (&PooledClient, &ClientActivity) {
        (self.client.as_ref().expect("it is taken only on drop"), &self.activity)
    }

    /// The same, to begin a transaction.
    pub(crate) fn parts_mut(&mut self) -> (&mut PooledClient, &ClientActivity) {
        (self.client.as_mut().expect("it is taken only on drop"), &self.activity)
    }
}

impl Drop for TrackedClient {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else { return };
        if !*self.activity.is_running.get_mut() {
            return client.give_back();
        }
        if !*self.activity.is_committing.get_mut() {
            self.connector.cancel(client.cancel_token());
        }
    }
}
