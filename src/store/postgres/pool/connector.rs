//! Opens connections to the database.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actors::ports::store::StoreError;
use deadpool_postgres::Connect;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::{CancelToken, Client, Config, Error, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::history::History;
use super::tls;
use crate::config::DatabaseTls;

/// How long opening a connection may take.
pub(crate) const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// Opens connections. They run on the runtime on which the store was opened, whichever thread asks for
/// one, so that none ends with a worker thread.
#[derive(Clone)]
pub(crate) struct Connector {
    runtime: Handle,
    tls: Option<MakeRustlsConnect>,
}

impl Connector {
    /// Makes a connector on the current runtime.
    pub(crate) fn new(tls: &DatabaseTls) -> Result<Self, StoreError> {
        Ok(Self { runtime: Handle::current(), tls: tls::connector(tls)? })
    }

    /// Asks the server, over a new connection, to cancel the statement that `token` belongs to. Doesn't
    /// wait for that.
    pub(crate) fn cancel(&self, token: CancelToken) {
        let tls = self.tls.clone();
        self.runtime.spawn(timeout(CONNECT_WITHIN, async move {
            let cancelled = match tls {
                Some(tls) => token.cancel_query(tls).await,
                None => token.cancel_query(NoTls).await,
            };
            if let Err(error) = cancelled {
                tracing::debug!(%error, "a statement can't be cancelled; it ends at its own timeout");
            }
        }));
    }

    /// Connects and applies `settings`.
    pub(crate) async fn connect(
        &self,
        config: &Config,
        settings: &'static str,
    ) -> Result<(Client, JoinHandle<()>), Error> {
        let (config, tls) = (config.clone(), self.tls.clone());
        let connecting = self.runtime.spawn(async move {
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
        match connecting.await {
            Ok(connected) => connected,
            // The runtime is shutting down; the caller times out or ends with it.
            Err(_) => std::future::pending().await,
        }
    }
}

async fn run<C: Future<Output = Result<(), Error>>>(connection: C) {
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to the database ended");
    }
}

/// A connector with the settings of one pool. Each connection it opens is checked against the history.
pub(crate) struct PoolConnector {
    pub(crate) connector: Connector,
    pub(crate) settings: &'static str,
    pub(crate) history: History,
}

impl Connect for PoolConnector {
    fn connect(
        &self,
        config: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), Error>> + Send + '_>> {
        let config = config.clone();
        Box::pin(async move {
            let (client, connection) = self.connector.connect(&config, self.settings).await?;
            self.history.verify(&client).await?;
            Ok((client, connection))
        })
    }
}
