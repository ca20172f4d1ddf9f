//! Resolves a commit whose answer was lost, by asking the database what became of the transaction.

use std::time::Duration;

use actors::ports::store::StoreError;
use deadpool_postgres::ClientWrapper;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use super::write_set::EventMarker;
use crate::store::postgres::PostgresStore;

/// How long the database is asked before the outcome is reported as unknown.
const RESOLVE_WITHIN: Duration = Duration::from_secs(4);
/// How long one attempt may take: an old connection may hang where a new one answers.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// The pause between two attempts.
const ASK_EVERY: Duration = Duration::from_millis(50);

const STATUS: &str = "SELECT pg_xact_status($1::text::xid8)";
const MARKER: &str = "SELECT EXISTS (SELECT FROM events \
     WHERE room_id = $1 AND seq = $2 AND at = $3 AND xid = $4::text::xid8)";

/// A transaction that may or may not be committed.
pub(super) struct UnresolvedCommit<'a> {
    pub(super) xid: &'a str,
    /// An event that exists if the transaction was committed. After a crash another transaction may get
    /// the same id.
    pub(super) marker: Option<EventMarker>,
}

impl UnresolvedCommit<'_> {
    /// Asks until the transaction has either committed or aborted.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] with `what` when nothing was stored, and
    /// [`StoreError::OutcomeUnknown`] when the database couldn't be asked.
    pub(super) async fn resolve(&self, store: &PostgresStore, what: String) -> Result<(), StoreError> {
        let until = Instant::now() + RESOLVE_WITHIN;
        loop {
            let answer = timeout_at(until.min(Instant::now() + ANSWER_WITHIN), async {
                let client = store.pools.append().await.ok()?;
                let committed = self.is_committed(&client).await.ok()?;
                client.give_back();
                committed
            });
            match answer.await {
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

    /// Whether the transaction is committed; `None` while it is in progress.
    async fn is_committed(&self, client: &ClientWrapper) -> Result<Option<bool>, Error> {
        let status = match client.query_one(STATUS, &[&self.xid]).await {
            Ok(row) => row.get::<_, Option<String>>(0),
            // The id is in the future: the database crashed before it wrote anything of the transaction.
            Err(error) if error.code() == Some(&SqlState::INVALID_PARAMETER_VALUE) => return Ok(Some(false)),
            Err(error) => return Err(error),
        };
        match (status.as_deref(), &self.marker) {
            (Some("in progress"), _) => Ok(None),
            (Some("committed"), None) => Ok(Some(true)),
            // A statement of its own, whose snapshot is younger than the status above.
            (Some("committed") | None, Some(marker)) => {
                let row =
                    client.query_one(MARKER, &[&marker.room, &marker.seq, &marker.at, &self.xid]).await?;
                Ok(Some(row.get(0)))
            }
            _ => Ok(Some(false)),
        }
    }
}
