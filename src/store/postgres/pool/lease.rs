//! The lease of a node's name: an advisory lock held by a dedicated session, so that the name is free as soon
//! as its node is gone, for whatever reason.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::{Config, Error};

use super::connector::Connector;
use super::errors::{Failure, with_timeout};

/// How long to wait for a name that is taken: the session of a killed node may linger.
const ACQUIRE_WITHIN: Duration = Duration::from_secs(3);
/// How often the lock is checked, and how often it is retried after it was lost.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// How long the database may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// The class of these advisory locks; the number is arbitrary.
pub(crate) const LOCK_SPACE: i32 = 0x6172_6973;
/// Counts the names that sessions hold, apart from `$2`.
pub(crate) const COUNT_OTHERS: &str = "SELECT count(*) FROM pg_locks l
    JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
    WHERE l.locktype = 'advisory' AND l.granted AND l.classid = $1::int4::oid AND l.objsubid = 2
      AND l.objid <> hashtext($2)::oid";
/// Whether a session holds the name `$2`.
pub(crate) const IS_HELD: &str = "SELECT EXISTS (SELECT FROM pg_locks l
    JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
    WHERE l.locktype = 'advisory' AND l.granted AND l.classid = $1::int4::oid AND l.objsubid = 2
      AND l.objid = hashtext($2)::oid)";

/// Why a node name can't be acquired.
#[derive(Debug, thiserror::Error)]
pub enum NodeNameError {
    /// Another running node holds it.
    #[error("another running node is named {0}; set NODE_ID to another name")]
    Taken(String),
    /// The database can't be reached.
    #[error("the database can't be asked for the node's name: {0}")]
    Unavailable(String),
}

/// A node name, released on drop.
pub struct NodeLease {
    lost: watch::Receiver<bool>,
    maintainer: JoinHandle<()>,
}

impl NodeLease {
    /// Completes when another node has acquired the name while this one had no connection.
    pub async fn lost(&mut self) {
        // The maintainer lives as long as the lease, so the channel stays open.
        if self.lost.wait_for(|lost| *lost).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for NodeLease {
    fn drop(&mut self) {
        self.maintainer.abort();
    }
}

/// Acquires `name` and keeps it.
pub(crate) async fn acquire(
    connector: Connector,
    config: Arc<Config>,
    name: &str,
) -> Result<NodeLease, NodeNameError> {
    let until = Instant::now() + ACQUIRE_WITHIN;
    let session = loop {
        match try_lock(&connector, &config, name).await {
            Ok(Some(session)) => break session,
            Ok(None) if Instant::now() < until => sleep(ANSWER_WITHIN / 10).await,
            Ok(None) => return Err(NodeNameError::Taken(name.to_owned())),
            Err(failure) => return Err(NodeNameError::Unavailable(failure.into_error().to_string())),
        }
    };
    let (lost_tx, lost) = watch::channel(false);
    let maintainer = tokio::spawn(maintain(connector, config, name.to_owned(), session, lost_tx));
    Ok(NodeLease { lost, maintainer })
}

/// A database session that holds the lock.
struct Session {
    client: ClientWrapper,
    pid: i32,
}

impl Session {
    /// Whether the session is alive. A silently dead connection is detected only by sending something.
    async fn answers(&self) -> bool {
        matches!(timeout(ANSWER_WITHIN, self.client.simple_query("SELECT 1")).await, Ok(Ok(_)))
    }
}

/// Takes the lock on a new connection. `None`: another session holds it.
async fn try_lock(connector: &Connector, config: &Config, name: &str) -> Result<Option<Session>, Failure> {
    with_timeout(ANSWER_WITHIN, async {
        let client = connect(connector, config).await?;
        let sql = "SELECT pg_try_advisory_lock($1, hashtext($2)), pg_backend_pid()";
        let row = client.query_one(sql, &[&LOCK_SPACE, &name]).await?;
        let pid = row.get(1);
        Ok::<_, Error>(row.get::<_, bool>(0).then_some(Session { client, pid }))
    })
    .await
}

/// Terminates the session `pid` if it still holds the lock: its connection is dead and the server hasn't
/// noticed.
async fn terminate(connector: &Connector, config: &Config, name: &str, pid: i32) -> Result<(), Failure> {
    with_timeout(ANSWER_WITHIN, async {
        let client = connect(connector, config).await?;
        let sql = "SELECT pg_terminate_backend(l.pid) FROM pg_locks l
            JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
            WHERE l.locktype = 'advisory' AND l.granted AND l.pid = $3
              AND l.classid = $1::int4::oid AND l.objid = hashtext($2)::oid AND l.objsubid = 2";
        client.query(sql, &[&LOCK_SPACE, &name, &pid]).await.map(drop)
    })
    .await
}

async fn connect(connector: &Connector, config: &Config) -> Result<ClientWrapper, Error> {
    let (client, connection) = connector.connect(config, "").await?;
    Ok(ClientWrapper::new(client, connection))
}

/// Takes the lock again whenever its session has ended or stopped answering.
async fn maintain(
    connector: Connector,
    config: Arc<Config>,
    name: String,
    mut session: Session,
    lost_tx: watch::Sender<bool>,
) {
    loop {
        sleep(CHECK_EVERY).await;
        if session.answers().await {
            continue;
        }
        let pid = session.pid;
        drop(session);
        // Until the server ends the old session, that session's lock looks like another node's. The server
        // may be unreachable for any length of time, so the timeout starts at its first answer.
        let mut until = None;
        session = loop {
            match try_lock(&connector, &config, &name).await {
                Ok(Some(retaken)) => break retaken,
                Ok(None) if Instant::now() > *until.get_or_insert(Instant::now() + ACQUIRE_WITHIN) => {
                    tracing::error!(name, "another node has taken this node's name");
                    lost_tx.send_replace(true);
                    return std::future::pending().await;
                }
                Ok(None) => {
                    if let Err(failure) = terminate(&connector, &config, &name, pid).await {
                        tracing::debug!(error = %failure.into_error(), "the old session can't be terminated");
                    }
                }
                Err(_) => {}
            }
            sleep(CHECK_EVERY).await;
        };
    }
}
