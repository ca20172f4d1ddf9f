//! Holds a node's name: a session's advisory lock on a connection of its own, so that the name is free
//! again as soon as its node is gone, however it went.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::{Config, Error};

use super::errors::{Failure, within};
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

/// A session that holds the lock.
struct Session {
    client: ClientWrapper,
    /// What the server calls it.
    pid: i32,
}

impl Session {
    /// Whether it is there. A way that is dead without a word shows only when something is said.
    async fn answers(&self) -> bool {
        matches!(timeout(ANSWER_WITHIN, self.client.simple_query("SELECT 1")).await, Ok(Ok(_)))
    }
}

/// Takes the lock on a new connection; none when another has it.
async fn take(dialer: &Dialer, config: &Config, name: &str) -> Result<Option<Session>, Failure> {
    within(ANSWER_WITHIN, async {
        let client = connect(dialer, config).await?;
        let sql = "SELECT pg_try_advisory_lock($1, hashtext($2)), pg_backend_pid()";
        let row = client.query_one(sql, &[&NAMES, &name]).await?;
        let pid = row.get(1);
        Ok::<_, Error>(row.get::<_, bool>(0).then_some(Session { client, pid }))
    })
    .await
}

/// Ends the session `pid` where it still holds the lock: its way is dead, and the server doesn't know it yet.
async fn end(dialer: &Dialer, config: &Config, name: &str, pid: i32) -> Result<(), Failure> {
    within(ANSWER_WITHIN, async {
        let client = connect(dialer, config).await?;
        let sql = "SELECT pg_terminate_backend(l.pid) FROM pg_locks l
            JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
            WHERE l.locktype = 'advisory' AND l.granted AND l.pid = $3
              AND l.classid = $1::int4::oid AND l.objid = hashtext($2)::oid AND l.objsubid = 2";
        client.query(sql, &[&NAMES, &name, &pid]).await.map(drop)
    })
    .await
}

async fn connect(dialer: &Dialer, config: &Config) -> Result<ClientWrapper, Error> {
    let (client, connection) = dialer.dial(config, "").await?;
    Ok(ClientWrapper::new(client, connection))
}

/// Takes the lock again whenever its session has ended or says nothing any more.
async fn keep(
    dialer: Dialer,
    config: Arc<Config>,
    name: String,
    mut held: Session,
    lose: watch::Sender<bool>,
) {
    loop {
        sleep(LOOK_EVERY).await;
        if held.answers().await {
            continue;
        }
        let pid = held.pid;
        drop(held);
        // While the server ends the old session, its lock may seem to be another's. That may take as long as
        // the server is silent, so the time runs from its first answer.
        let mut until = None;
        held = loop {
            match take(&dialer, &config, &name).await {
                Ok(Some(again)) => break again,
                Ok(None) if Instant::now() > *until.get_or_insert(Instant::now() + FREE_WITHIN) => {
                    tracing::error!(name, "another node has taken this node's name");
                    lose.send_replace(true);
                    return std::future::pending().await;
                }
                Ok(None) => {
                    if let Err(failure) = end(&dialer, &config, &name, pid).await {
                        tracing::debug!(error = %failure.into_error(), "an old session can't be ended");
                    }
                }
                Err(_) => {}
            }
            sleep(LOOK_EVERY).await;
        };
    }
}
