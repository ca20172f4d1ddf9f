//! Read and write connections as queries use them: each statement is prepared once per connection, has a
//! timeout, and fails with the errors of the store's port.

use std::sync::Arc;
use std::time::Duration;

use actors::ports::store::StoreError;
use deadpool_postgres::Transaction;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tokio_postgres::types::ToSql;
use tokio_postgres::{IsolationLevel, Portal, Row};

use super::errors::{Failure, with_timeout};
use super::pools::ACQUIRE_WITHIN;
use super::tracked::{ClientActivity, TrackedClient};
use crate::store::postgres::PostgresStore;

/// How long one statement may take; a REST response has 5 s in all.
const STATEMENT_WITHIN: Duration = Duration::from_millis(3_500);

/// Limits the statements of the current transaction, in milliseconds.
pub(crate) const SET_STATEMENT_TIMEOUT: &str = "SELECT set_config('statement_timeout', $1, true)";

/// The parameters of a statement.
pub(crate) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A connection for reads.
pub(crate) struct ReadClient {
    client: TrackedClient,
    /// Held by long readers only.
    _permit: Option<OwnedSemaphorePermit>,
}

/// A read-only transaction whose statements see one snapshot.
pub(crate) struct SnapshotTransaction<'a> {
    transaction: Transaction<'a>,
    activity: &'a ClientActivity,
}

/// The rows of a statement, which are read a few at a time.
pub(crate) struct RowCursor<'a> {
    transaction: &'a Transaction<'a>,
    portal: Portal,
    activity: &'a ClientActivity,
}

/// A connection for writes.
pub(crate) struct WriteClient {
    client: TrackedClient,
    /// Held by background writers only.
    _permit: Option<OwnedSemaphorePermit>,
}

/// A transaction that writes what doesn't belong to a room: users, accounts, files.
pub struct WriteTransaction<'a> {
    transaction: Transaction<'a>,
    activity: &'a ClientActivity,
}

/// A transaction of either kind, for what is read in both.
pub(crate) trait Statements: Sync {
    /// Runs one statement and returns its rows.
    fn rows(
        &self,
        sql: &str,
        params: Params<'_>,
    ) -> impl Future<Output = Result<Vec<Row>, StoreError>> + Send;
}

impl Statements for SnapshotTransaction<'_> {
    async fn rows(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        SnapshotTransaction::rows(self, sql, params).await
    }
}

impl Statements for WriteTransaction<'_> {
    async fn rows(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        WriteTransaction::rows(self, sql, params).await
    }
}

impl PostgresStore {
    /// Takes a connection for reads.
    pub(crate) async fn read_client(&self) -> Result<ReadClient, StoreError> {
        Ok(ReadClient { client: self.acquire_read().await?, _permit: None })
    }

    /// Takes a connection for counting or searching. These use at most half of the read connections, so
    /// that the engine and authentication find one however many lists are requested.
    pub(crate) async fn long_read_client(&self) -> Result<ReadClient, StoreError> {
        let acquire = async {
            let permit = Arc::clone(&self.long_readers).acquire_owned().await;
            let permit = permit.expect("the semaphore is never closed");
            Ok(ReadClient { client: self.acquire_read().await?, _permit: Some(permit) })
        };
        let late = |_| StoreError::Unavailable("too many lists are being read".into());
        timeout(ACQUIRE_WITHIN, acquire).await.map_err(late)?
    }

    /// Takes a connection for writes other than events: users, accounts, files. A transaction that locks
    /// rows takes rooms by id, then participants by room and user, then users by id.
    pub(crate) async fn write_client(&self) -> Result<WriteClient, StoreError> {
        Ok(WriteClient { client: self.acquire_write().await?, _permit: None })
    }

    /// Takes a connection for cleaning up or following the log. These use at most half of the write
    /// connections and wait as long as it takes: nobody waits for them.
    pub(crate) async fn background_write_client(&self) -> Result<WriteClient, StoreError> {
        let permit = Arc::clone(&self.background_writers).acquire_owned().await;
        let permit = permit.expect("the semaphore is never closed");
        Ok(WriteClient { client: self.acquire_write().await?, _permit: Some(permit) })
    }

    async fn acquire_read(&self) -> Result<TrackedClient, StoreError> {
        let client = self.pools.read().await.map_err(Failure::into_error)?;
        Ok(TrackedClient::new(client, self.connector.clone()))
    }

    async fn acquire_write(&self) -> Result<TrackedClient, StoreError> {
        let client = self.pools.write().await.map_err(Failure::into_error)?;
        Ok(TrackedClient::new(client, self.connector.clone()))
    }
}

impl ReadClient {
    /// Returns all rows of one statement.
    pub(crate) async fn rows(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        let (client, activity) = self.client.parts();
        let read = with_timeout(STATEMENT_WITHIN, async {
            let statement = client.prepare_cached(sql).await?;
            client.query(&statement, params).await
        });
        activity.track(read).await.map_err(Failure::into_error)
    }

    /// Returns the first row, if there is one.
    pub(crate) async fn row(&self, sql: &str, params: Params<'_>) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, params).await?.into_iter().next())
    }

    /// Begins a read of several statements on one snapshot.
    pub(crate) async fn snapshot(&mut self) -> Result<SnapshotTransaction<'_>, StoreError> {
        let (client, activity) = self.client.parts_mut();
        let begin = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
        let begun = activity.track(with_timeout(STATEMENT_WITHIN, begin.read_only(true).start()));
        Ok(SnapshotTransaction { transaction: begun.await.map_err(Failure::into_error)?, activity })
    }
}

impl SnapshotTransaction<'_> {
    /// Returns all rows of one statement.
    pub(crate) async fn rows(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        let read = with_timeout(STATEMENT_WITHIN, async {
            let statement = self.transaction.prepare_cached(sql).await?;
            self.transaction.query(&statement, params).await
        });
        self.activity.track(read).await.map_err(Failure::into_error)
    }

    /// Begins to read the rows of one statement.
    pub(crate) async fn cursor(&self, sql: &str, params: Params<'_>) -> Result<RowCursor<'_>, StoreError> {
        let bound = with_timeout(STATEMENT_WITHIN, async {
            let statement = self.transaction.prepare_cached(sql).await?;
            self.transaction.bind(&statement, params).await
        });
        let portal = self.activity.track(bound).await.map_err(Failure::into_error)?;
        Ok(RowCursor { transaction: &self.transaction, portal, activity: self.activity })
    }

    /// Ends the transaction, after which the client can be used again.
    pub(crate) async fn end(self) -> Result<(), StoreError> {
        let ended = with_timeout(STATEMENT_WITHIN, self.transaction.rollback());
        self.activity.track(ended).await.map_err(Failure::into_error)
    }
}

impl RowCursor<'_> {
    /// Returns the next rows, `count` at most; none at the end.
    pub(crate) async fn next(&self, count: usize) -> Result<Vec<Row>, StoreError> {
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        let read = with_timeout(STATEMENT_WITHIN, self.transaction.query_portal(&self.portal, count));
        self.activity.track(read).await.map_err(Failure::into_error)
    }
}

impl WriteClient {
    /// Begins a transaction.
    pub(crate) async fn begin(&mut self) -> Result<WriteTransaction<'_>, StoreError> {
        let (client, activity) = self.client.parts_mut();
        let begun = activity.track(with_timeout(STATEMENT_WITHIN, client.transaction()));
        Ok(WriteTransaction { transaction: begun.await.map_err(Failure::into_error)?, activity })
    }
}

impl WriteTransaction<'_> {
    /// Runs one statement and returns its rows.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rows(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        let written = with_timeout(STATEMENT_WITHIN, async {
            let statement = self.transaction.prepare_cached(sql).await?;
            self.transaction.query(&statement, params).await
        });
        self.activity.track(written).await.map_err(Failure::into_error)
    }

    /// Runs one statement and returns its first row, if there is one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn row(&self, sql: &str, params: Params<'_>) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, params).await?.into_iter().next())
    }

    /// Commits.
    ///
    /// # Errors
    /// [`StoreError::OutcomeUnknown`] when the answer to the commit is lost.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        match self.activity.track_commit(with_timeout(STATEMENT_WITHIN, self.transaction.commit())).await {
            Ok(()) => Ok(()),
            Err(Failure::Broken(_)) => Err(StoreError::OutcomeUnknown),
            Err(other) => Err(other.into_error()),
        }
    }
}
