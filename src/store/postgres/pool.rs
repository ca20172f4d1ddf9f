//! Connections: how they are made, lent out, and dropped when they can't be trusted any more.

use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::time::Duration;

use actors::ports::store::StoreError;
use deadpool_postgres::{Client, Connect, Hook, HookError, Manager, ManagerConfig, Object, Pool, Runtime};
use futures_util::future::try_join_all;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, Error, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::errors::Failure;

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
}

impl Connect for Settled {
    fn connect(
        &self,
        config: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<(tokio_postgres::Client, JoinHandle<()>), Error>> + Send + '_>>
    {
        let config = config.clone();
        Box::pin(async move { self.dialer.dial(&config, self.settings).await })
    }
}

/// The connections of one store: some that write, some that read, so that neither waits for the other.
#[derive(Clone)]
pub(super) struct Pools {
    appends: Pool,
    reads: Pool,
}

impl Pools {
    /// Makes both pools; nothing is connected yet. Each writing connection prepares `prepared` at once.
    pub(super) fn new(
        config: &Config,
        dialer: &Dialer,
        appends: usize,
        reads: usize,
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
            let settled = Settled { dialer: dialer.clone(), settings };
            let manager = Manager::from_connect(config.clone(), settled, ManagerConfig::default());
            Pool::builder(manager)
                .max_size(size)
                .runtime(Runtime::Tokio1)
                .wait_timeout(Some(LEND_WITHIN))
                .create_timeout(Some(CONNECT_WITHIN))
                .recycle_timeout(Some(LEND_WITHIN))
        };
        let appends = pool(APPEND_SETTINGS, appends).post_create(prepare).build();
        let reads = pool(READ_SETTINGS, reads).build();
        let built = "a pool with time-outs is built with its runtime";
        Self { appends: appends.expect(built), reads: reads.expect(built) }
    }

    /// Lends a connection that writes.
    pub(super) async fn append(&self) -> Result<Held, Failure> {
        lend(&self.appends).await.map(Held::new)
    }

    /// Lends a connection that reads.
    pub(super) async fn read(&self) -> Result<Held, Failure> {
        lend(&self.reads).await.map(Held::new)
    }

    /// Lends a connection that reads to one who keeps it in order.
    pub(super) async fn read_client(&self) -> Result<Client, Failure> {
        lend(&self.reads).await
    }

    /// Lends a connection that writes to one who keeps it in order.
    pub(super) async fn append_client(&self) -> Result<Client, Failure> {
        lend(&self.appends).await
    }

    /// Ends all connections that are not lent out, and lends no more.
    pub(super) fn close(&self) {
        self.appends.close();
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

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            drop(Object::take(object));
        }
    }
}
