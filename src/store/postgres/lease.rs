//! Holds a node's name: a session's advisory lock on a connection of its own, so that the name is free
//! again as soon as its node is gone, however it went.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::Config;

use super::errors::Failure;
use super::pool::Dialer;

/// How long a name that is taken is waited for: a node that was killed may not be quite gone.
const FREE_WITHIN: Duration = Duration::from_secs(3);
/// How often a held name, or one that is to be held again, is looked after.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long the database may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// The space of these locks; the number has no meaning.
const NAMES: i32 = 0x6172_6973;

/// Why a name can't be had.
#[derive(Debug, thiserror::Error)]
pub enum NodeNameError {
    /// Another running node has it.
    #[error("another running node is named {0}; set NODE_ID to another name")]
    Taken(String),
    /// The database can't be asked.
    #[error("the database can't be asked for the node's name: {0}")]
    Unavailable(String),
}

/// A name that is held until this is dropped.
pub struct NodeLease {
    lost: watch::Receiver<bool>,
    keeper: JoinHandle<()>,
}

impl NodeLease {
    /// Becomes ready when another node has taken the name while this one had no connection.
    pub async fn lost(&mut self) {
        // The keeper lives as long as this does, so the channel doesn't end before.
        if self.lost.wait_for(|lost| *lost).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for NodeLease {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// Takes `name`, and keeps it.
pub(super) async fn hold(
    dialer: Dialer,
    config: Arc<Config>,
    name: &str,
) -> Result<NodeLease, NodeNameError> {
    let until = Instant::now() + FREE_WITHIN;
    let held = loop {
        match take(&dialer, &config, name).await {
            Ok(Some(held)) => break held,
            Ok(None) if Instant::now() < until => sleep(ANSWER_WITHIN / 10).await,
            Ok(None) => return Err(NodeNameError::Taken(name.to_owned())),
            Err(failure) => return Err(NodeNameError::Unavailable(failure.into_error().to_string())),
        }
    };
    let (lose, lost) = watch::channel(false);
    let keeper = tokio::spawn(keep(dialer, config, name.to_owned(), held, lose));
    Ok(NodeLease { lost, keeper })
}

/// Takes the lock on a new connection; none when another has it.
async fn take(dialer: &Dialer, config: &Config, name: &str) -> Result<Option<ClientWrapper>, Failure> {
    let asked = timeout(ANSWER_WITHIN, async {
        let (client, connection) = dialer.dial(config, "").await?;
        let client = ClientWrapper::new(client, connection);
        let row = client.query_one("SELECT pg_try_advisory_lock($1, hashtext($2))", &[&NAMES, &name]).await?;
        Ok::<_, tokio_postgres::Error>(row.get::<_, bool>(0).then_some(client))
    });
    match asked.await {
        Ok(taken) => taken.map_err(Failure::from),
        Err(_) => Err(Failure::Broken("the database was silent".into())),
    }
}

/// Takes the lock again whenever its connection has ended.
async fn keep(
    dialer: Dialer,
    config: Arc<Config>,
    name: String,
    mut held: ClientWrapper,
    lose: watch::Sender<bool>,
) {
    loop {
        sleep(LOOK_EVERY).await;
        if !held.is_closed() {
            continue;
        }
        // While the server ends the old connection, its lock may seem to be another's.
        let until = Instant::now() + FREE_WITHIN;
        loop {
            match take(&dialer, &config, &name).await {
                Ok(Some(again)) => {
                    held = again;
                    break;
                }
                Ok(None) if Instant::now() > until => {
                    tracing::error!(name, "another node has taken this node's name");
                    lose.send_replace(true);
                    return std::future::pending().await;
                }
                Ok(None) | Err(_) => sleep(LOOK_EVERY).await,
            }
        }
    }
}
