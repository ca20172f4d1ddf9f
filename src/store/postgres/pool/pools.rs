//! The connections of a store, in three pools: who may wait for whom, and when a connection is reused.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use actors::ports::store::StoreError;
use deadpool_postgres::{
    ClientWrapper, Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, Runtime,
};
use futures_util::future::try_join_all;
use tokio_postgres::Config;

use super::connector::{CONNECT_WITHIN, Connector, PoolConnector};
use super::errors::{Failure, with_timeout};
use super::history::History;

/// How long a caller waits for a connection.
pub(crate) const ACQUIRE_WITHIN: Duration = Duration::from_secs(1);
/// How long a rollback may take before the connection is closed instead.
const ROLL_BACK_WITHIN: Duration = Duration::from_secs(2);

/// The settings of connections that write. All their statements look rows up by key, and an empty or
/// never analysed table must not teach the planner otherwise.
const WRITE_SETTINGS: &str = "
    SET lock_timeout = '1500ms';
    SET statement_timeout = '5s';
    SET idle_in_transaction_session_timeout = '10s';
    SET jit = off;
    SET plan_cache_mode = force_generic_plan;
    SET enable_seqscan = off;
    SET enable_hashjoin = off;
    SET enable_mergejoin = off;";

/// The settings of connections that read.
const READ_SETTINGS: &str = "
    SET default_transaction_read_only = on;
    SET statement_timeout = '4s';
    SET idle_in_transaction_session_timeout = '10s';
    SET jit = off;";

/// The most connections a store keeps, by purpose.
#[derive(Clone, Copy, Debug)]
pub struct PoolSizes {
    /// For the engine's commits.
    pub append: usize,
    /// For all other writes: users, accounts, files, room creation and clean-up.
    pub write: usize,
    /// For reads.
    pub read: usize,
}

impl PoolSizes {
    /// Divides `total`, giving the engine at least `append_min`.
    #[must_use]
    pub fn of(total: usize, append_min: usize) -> Self {
        let append = (total * 3 / 8).max(append_min);
        let write = (total / 5).max(1);
        Self { append, write, read: total.saturating_sub(append + write).max(1) }
    }
}

/// The connections of one store. The three pools are independent: however many files are uploaded and
/// however slowly users are updated, the engine finds a connection for its commits.
#[derive(Clone)]
pub(crate) struct Pools {
    appends: Pool,
    writes: Pool,
    reads: Pool,
}

impl Pools {
    /// Creates the pools without connecting. Each connection of the engine prepares
    /// `prepared_statements` as soon as it is opened.
    pub(crate) fn new(
        config: &Config,
        connector: &Connector,
        history: &History,
        sizes: PoolSizes,
        prepared_statements: &'static [&'static str],
    ) -> Self {
        let prepare_statements = Hook::async_fn(move |client: &mut ClientWrapper, _| {
            Box::pin(async move {
                let client = &*client;
                try_join_all(prepared_statements.iter().map(|sql| client.prepare_cached(sql)))
                    .await
                    .map(drop)
                    .map_err(HookError::Backend)
            })
        });
        let pool = |settings, size| {
            let connector =
                PoolConnector { connector: connector.clone(), settings, history: history.clone() };
            let manager = Manager::from_connect(config.clone(), connector, ManagerConfig::default());
            let history = history.clone();
            Pool::builder(manager)
                .max_size(size)
                .runtime(Runtime::Tokio1)
                .wait_timeout(Some(ACQUIRE_WITHIN))
                .create_timeout(Some(CONNECT_WITHIN))
                .recycle_timeout(Some(ACQUIRE_WITHIN))
                .pre_recycle(Hook::sync_fn(move |_, metrics| {
                    if history.covers(metrics.created) {
                        Ok(())
                    } else {
                        Err(HookError::message("it was opened in another history"))
                    }
                }))
        };
        let appends = pool(WRITE_SETTINGS, sizes.append).post_create(prepare_statements).build();
        let writes = pool(WRITE_SETTINGS, sizes.write).build();
        let reads = pool(READ_SETTINGS, sizes.read).build();
        let built = "a pool with timeouts is built with its runtime";
        Self { appends: appends.expect(built), writes: writes.expect(built), reads: reads.expect(built) }
    }

    /// Takes a connection for the engine's commits.
    pub(crate) async fn append(&self) -> Result<PooledClient, Failure> {
        acquire(&self.appends).await
    }

    /// Takes a connection for any other write.
    pub(crate) async fn write(&self) -> Result<PooledClient, Failure> {
        acquire(&self.writes).await
    }

    /// Takes a connection for reads.
    pub(crate) async fn read(&self) -> Result<PooledClient, Failure> {
        acquire(&self.reads).await
    }

    /// Closes all idle connections and hands out no more.
    pub(crate) fn close(&self) {
        self.appends.close();
        self.writes.close();
        self.reads.close();
    }
}

async fn acquire(pool: &Pool) -> Result<PooledClient, Failure> {
    let client = pool.get().await.map_err(|error| match error {
        PoolError::Backend(error) => match Failure::from(error) {
            Failure::Rejected(StoreError::Unavailable(what)) | Failure::Broken(what) => Failure::Broken(what),
            Failure::Rejected(_) | Failure::Retry => Failure::Broken("the database lets nobody in".into()),
        },
        other => Failure::Broken(format!("no connection to the database: {other}")),
    })?;
    Ok(PooledClient { object: Some(client) })
}

/// A connection that returns to its pool only through [`Self::give_back`]. Dropped in the middle of
/// something, by an error or because the caller went away, it is closed.
pub(crate) struct PooledClient {
    object: Option<Object>,
}

impl PooledClient {
    /// Returns the connection to its pool.
    pub(crate) fn give_back(mut self) {
        drop(self.object.take());
    }

    /// Rolls back the open transaction and returns the connection.
    pub(crate) async fn roll_back(self) {
        if with_timeout(ROLL_BACK_WITHIN, self.batch_execute("ROLLBACK")).await.is_ok() {
            self.give_back();
        }
    }

    /// Ends a transaction that failed with `failure`, and passes `failure` on.
    pub(crate) async fn fail(self, failure: Failure) -> Failure {
        match failure {
            Failure::Broken(_) => drop(self),
            Failure::Retry | Failure::Rejected(_) => self.roll_back().await,
        }
        failure
    }
}

impl Deref for PooledClient {
    type Target = ClientWrapper;

    fn deref(&self) -> &Self::Target {
        self.object.as_ref().expect("it is taken only when the client is given back")
    }
}

impl DerefMut for PooledClient {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.object.as_mut().expect("it is taken only when the client is given back")
    }
}

impl Drop for PooledClient {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            drop(Object::take(object));
        }
    }
}
