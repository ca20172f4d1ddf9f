//! Settles a commit whose answer was lost, by asking the database what became of the transaction.

use std::time::Duration;

use actors::ports::store::StoreError;
use deadpool_postgres::ClientWrapper;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use super::PostgresStore;
use super::writes::Trace;

/// How long the database is asked before the outcome is given up as unknown.
const SETTLE_WITHIN: Duration = Duration::from_secs(4);
/// How long one question may take: a connection from before may hang where a new one answers.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// How long between two questions.
const ASK_EVERY: Duration = Duration::from_millis(50);

const STATUS: &str = "SELECT pg_xact_status($1::text::xid8)";
const TRACE: &str = "SELECT EXISTS (SELECT FROM events \
     WHERE room_id = $1 AND seq = $2 AND at = $3 AND xid = $4::text::xid8)";

/// A transaction that may be committed or not.
pub(super) struct Doubt<'a> {
    /// Its name.
    pub(super) xid: &'a str,
    /// An event that is there if it is. After a crash another transaction may get the same name.
    pub(super) trace: Option<Trace>,
}

impl Doubt<'_> {
    /// Asks until the transaction has ended one way or the other.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] with `what` when nothing was stored, and
    /// [`StoreError::OutcomeUnknown`] when the database couldn't be asked.
    pub(super) async fn settle(&self, store: &PostgresStore, what: String) -> Result<(), StoreError> {
        let until = Instant::now() + SETTLE_WITHIN;
        loop {
            let asked = timeout_at(until.min(Instant::now() + ANSWER_WITHIN), async {
                let client = store.pools.append().await.ok()?;
                let committed = self.ask(&client).await.ok()?;
                client.give_back();
                committed
            });
            match asked.await {
                Ok(Some(true)) => return Ok(()),
                Ok(Some(false)) => return Err(StoreError::Unavailable(what)),
                Ok(None) | Err(_) if Instant::now() < until => sleep(ASK_EVERY).await,
                Ok(None) | Err(_) => {
                    tracing::warn!(%what, "the outcome of a commit is unknown");
                    return Err(StoreError::OutcomeUnknown);
                }
            }
        }
    }

    /// Whether it is committed; nothing while it is under way.
    async fn ask(&self, client: &ClientWrapper) -> Result<Option<bool>, Error> {
        let status = match client.query_one(STATUS, &[&self.xid]).await {
            Ok(row) => row.get::<_, Option<String>>(0),
            // The name is of the future: the database crashed before it had written anything of it.
            Err(error) if error.code() == Some(&SqlState::INVALID_PARAMETER_VALUE) => return Ok(Some(false)),
            Err(error) => return Err(error),
        };
        match (status.as_deref(), &self.trace) {
            (Some("in progress"), _) => Ok(None),
            (Some("committed"), None) => Ok(Some(true)),
            // Asked for in a statement of its own, whose snapshot is younger than the answer above.
            (Some("committed") | None, Some(trace)) => {
                let row = client.query_one(TRACE, &[&trace.room, &trace.seq, &trace.at, &self.xid]).await?;
                Ok(Some(row.get(0)))
            }
            _ => Ok(Some(false)),
        }
    }
}
