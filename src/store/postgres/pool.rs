//! Connections: how they are made, lent out, and dropped when they can't be trusted any more.

use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actors::ports::store::StoreError;
use deadpool_postgres::{Connect, Hook, HookError, Manager, ManagerConfig, Object, Pool, Runtime};
use futures_util::future::try_join_all;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::{CancelToken, Config, Error, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::errors::Failure;
use super::history::History;

/// How long a connection is waited for.
pub(super) const LEND_WITHIN: Duration = Duration::from_secs(1);
/// How long the making of a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// What each connection that writes is set to. All its statements look rows up by key, and an empty or
/// never analysed table must not teach it otherwise.
const APPEND_SETTINGS: &str = "
    SET lock_timeout = '1500ms';
    SET statement_timeout = '5s';
    SET idle_in_transaction_session_timeout = '10s';
    SET jit = off;
    SET plan_cache_mode = force_generic_plan;
    SET enable_seqscan = off;
    SET enable_hashjoin = off;
    SET enable_mergejoin = off;";

/// What each connection that reads is set to.
const READ_SETTINGS: &str = "
    SET default_transaction_read_only = on;
    SET statement_timeout = '4s';
    SET idle_in_transaction_session_timeout = '10s';
    SET jit = off;";

/// Makes connections. They live on the runtime that the store was opened on, whoever asks for one, so
/// that the end of a worker thread takes none with it.
#[derive(Clone)]
pub(super) struct Dialer {
    runtime: Handle,
    tls: Option<MakeRustlsConnect>,
}

impl Dialer {
    /// Makes a dialer on the present runtime; with TLS, checked against the machine's certificates,
    /// when the address asks for it (`sslmode=require`).
    pub(super) fn new(config: &Config) -> Result<Self, StoreError> {
        let tls = match config.get_ssl_mode() {
            SslMode::Require => {
                let (tls, _) = MakeRustlsConnect::with_native_certs().map_err(|_| {
                    StoreError::Unavailable("TLS is asked for, and this machine has no certificates".into())
                })?;
                Some(tls)
            }
            _ => None,
        };
        Ok(Self { runtime: Handle::current(), tls })
    }

    /// Asks the server to end the statement that a connection is in the middle of, by a connection of its
    /// own, and does not wait for that.
    pub(super) fn cancel(&self, token: CancelToken) {
        let tls = self.tls.clone();
        self.runtime.spawn(timeout(CONNECT_WITHIN, async move {
            let asked = match tls {
                Some(tls) => token.cancel_query(tls).await,
                None => token.cancel_query(NoTls).await,
            };
            if let Err(error) = asked {
                tracing::debug!(%error, "a statement can't be ended; the database ends it at its time-out");
            }
        }));
    }

    /// Connects, and sets the connection to `settings`.
    pub(super) async fn dial(
        &self,
        config: &Config,
        settings: &'static str,
    ) -> Result<(tokio_postgres::Client, JoinHandle<()>), Error> {
        let (config, tls) = (config.clone(), self.tls.clone());
        let dialing = self.runtime.spawn(async move {
            let (client, connection) = match tls {
                Some(tls) => {
                    let (client, connection) = config.connect(tls).await?;
                    (client, tokio::spawn(run(connection)))
                }
                None => {
                    let (client, connection) = config.connect(NoTls).await?;
                    (client, tokio::spawn(run(connection)))
                }
            };
            client.batch_execute(settings).await?;
            Ok((client, connection))
        });
        match dialing.await {
            Ok(dialed) => dialed,
            // The runtime is going down; whoever asked runs into a time-out or goes down with it.
            Err(_) => std::future::pending().await,
        }
    }
}

async fn run<C: Future<Output = Result<(), Error>>>(connection: C) {
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to the database ended");
    }
}

/// A dialer with the settings of one pool.
struct Settled {
    dialer: Dialer,
    settings: &'static str,
    history: History,
}

impl Connect for Settled {
    fn connect(
        &self,
        config: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<(tokio_postgres::Client, JoinHandle<()>), Error>> + Send + '_>>
    {
        let config = config.clone();
        Box::pin(async move {
            let (client, connection) = self.dialer.dial(&config, self.settings).await?;
            self.history.confirm(&client).await?;
            Ok((client, connection))
        })
    }
}

/// How many connections a store keeps at most, by what they are for.
#[derive(Clone, Copy, Debug)]
pub struct Connections {
    /// For what the engine commits.
    pub append: usize,
    /// For everything else that writes: people, accounts, files, what makes rooms and what cleans up.
    pub write: usize,
    /// For what only reads.
    pub read: usize,
}

impl Connections {
    /// Shares out `total`, of which the engine gets `append_min` at least.
    #[must_use]
    pub fn of(total: usize, append_min: usize) -> Self {
        let append = (total * 3 / 8).max(append_min);
        let write = (total / 5).max(1);
        Self { append, write, read: total.saturating_sub(append + write).max(1) }
    }
}

/// The connections of one store, in three parts, so that none waits for another: however many files are
/// uploaded and however slowly people are told of, what the engine commits finds a connection.
#[derive(Clone)]
pub(super) struct Pools {
    dialer: Dialer,
    appends: Pool,
    writes: Pool,
    reads: Pool,
}

impl Pools {
    /// Makes the pools; nothing is connected yet. Each connection of the engine prepares `prepared` at once.
    pub(super) fn new(
        config: &Config,
        dialer: &Dialer,
        history: &History,
        connections: Connections,
        prepared: &'static [&'static str],
    ) -> Self {
        let prepare = Hook::async_fn(move |client: &mut deadpool_postgres::ClientWrapper, _| {
            Box::pin(async move {
                let client = &*client;
                try_join_all(prepared.iter().map(|sql| client.prepare_cached(sql)))
                    .await
                    .map(drop)
                    .map_err(HookError::Backend)
            })
        });
        let pool = |settings, size| {
            let settled = Settled { dialer: dialer.clone(), settings, history: history.clone() };
            let manager = Manager::from_connect(config.clone(), settled, ManagerConfig::default());
            let history = history.clone();
            Pool::builder(manager)
                .max_size(size)
                .runtime(Runtime::Tokio1)
                .wait_timeout(Some(LEND_WITHIN))
                .create_timeout(Some(CONNECT_WITHIN))
                .recycle_timeout(Some(LEND_WITHIN))
                .pre_recycle(Hook::sync_fn(move |_, metrics| {
                    if history.has_begun_before(metrics.created) {
                        Ok(())
                    } else {
                        Err(HookError::message("it was made in another history"))
                    }
                }))
        };
        let appends = pool(APPEND_SETTINGS, connections.append).post_create(prepare).build();
        let writes = pool(APPEND_SETTINGS, connections.write).build();
        let reads = pool(READ_SETTINGS, connections.read).build();
        let built = "a pool with time-outs is built with its runtime";
        Self {
            dialer: dialer.clone(),
            appends: appends.expect(built),
            writes: writes.expect(built),
            reads: reads.expect(built),
        }
    }

    /// Lends the engine a connection for what it commits.
    pub(super) async fn append(&self) -> Result<Held, Failure> {
        lend(&self.appends).await.map(Held::new)
    }

    /// Lends a connection for anything else that writes.
    pub(super) async fn write(&self) -> Result<Held, Failure> {
        lend(&self.writes).await.map(Held::new)
    }

    /// Lends a connection that reads.
    pub(super) async fn read(&self) -> Result<Held, Failure> {
        lend(&self.reads).await.map(Held::new)
    }

    /// Lends a connection that writes, statement by statement.
    pub(super) async fn write_client(&self) -> Result<Lent, Failure> {
        Ok(Lent::new(self.write().await?, self.dialer.clone()))
    }

    /// Lends a connection that reads, statement by statement.
    pub(super) async fn read_client(&self) -> Result<Lent, Failure> {
        Ok(Lent::new(self.read().await?, self.dialer.clone()))
    }

    /// Ends all connections that are not lent out, and lends no more.
    pub(super) fn close(&self) {
        self.appends.close();
        self.writes.close();
        self.reads.close();
    }
}

async fn lend(pool: &Pool) -> Result<Object, Failure> {
    use deadpool_postgres::PoolError;
    pool.get().await.map_err(|error| match error {
        PoolError::Backend(error) => match Failure::from(error) {
            Failure::Told(StoreError::Unavailable(what)) | Failure::Broken(what) => Failure::Broken(what),
            Failure::Told(_) | Failure::Again => Failure::Broken("the database lets nobody in".into()),
        },
        other => Failure::Broken(format!("no connection to the database: {other}")),
    })
}

/// A lent connection that goes back only when it is given back: one that is dropped in the middle of
/// something, by an error or because nobody waits any more, is ended with what it was doing.
pub(super) struct Held {
    object: Option<Object>,
}

impl Held {
    fn new(object: Object) -> Self {
        Self { object: Some(object) }
    }

    /// Gives the connection back to its pool.
    pub(super) fn give_back(mut self) {
        drop(self.object.take());
    }
}

impl Deref for Held {
    type Target = deadpool_postgres::ClientWrapper;

    fn deref(&self) -> &Self::Target {
        self.object.as_ref().expect("it is taken only when the holder is gone")
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.object.as_mut().expect("it is taken only when the holder is gone")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            drop(Object::take(object));
        }
    }
}

/// A lent connection that goes back by itself, unless a statement is under way: then nobody waits for that
/// any more, so the database is asked to end it, and the connection is ended too.
pub(super) struct Lent {
    held: Option<Held>,
    dialer: Dialer,
    state: State,
}

/// What a lent connection is in the middle of.
#[derive(Default)]
pub(super) struct State {
    is_busy: AtomicBool,
    /// A commit is never cancelled: where it waits for a standby, cancelling would end only the wait.
    commits: AtomicBool,
}

impl State {
    /// Notes that a statement is under way for as long as `work` takes; what is dropped or runs into its
    /// time-out in the middle stays noted.
    pub(super) async fn during<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        self.is_busy.store(true, Ordering::Relaxed);
        let done = work.await;
        if !matches!(done, Err(Failure::Broken(_))) {
            self.is_busy.store(false, Ordering::Relaxed);
        }
        done
    }

    /// The same for a commit.
    pub(super) async fn during_commit<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        self.commits.store(true, Ordering::Relaxed);
        let done = self.during(work).await;
        self.commits.store(self.is_busy.load(Ordering::Relaxed), Ordering::Relaxed);
        done
    }
}

impl Lent {
    fn new(held: Held, dialer: Dialer) -> Self {
        Self { held: Some(held), dialer, state: State::default() }
    }

    /// The connection and what it is in the middle of.
    pub(super) fn parts(&self) -> (&Held, &State) {
        (self.held.as_ref().expect("it is taken only when the holder is gone"), &self.state)
    }

    /// The same, to begin a transaction.
    pub(super) fn parts_mut(&mut self) -> (&mut Held, &State) {
        (self.held.as_mut().expect("it is taken only when the holder is gone"), &self.state)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(held) = self.held.take() else { return };
        if !*self.state.is_busy.get_mut() {
            return held.give_back();
        }
        if !*self.state.commits.get_mut() {
            self.dialer.cancel(held.cancel_token());
        }
    }
}
