//! One lent connection, as those who read through it see it: each statement is prepared once, waits
//! for a bounded time, and fails in the words of the store's port.

use std::sync::Arc;
use std::time::Duration;

use actors::ports::store::StoreError;
use deadpool_postgres::Transaction;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{IsolationLevel, Row};

use super::PostgresStore;
use super::errors::{Failure, within};
use super::pool::{LEND_WITHIN, Lent, State};

/// How long one statement of a reader may take; an answer of REST has 5 s in all.
const STATEMENT_WITHIN: Duration = Duration::from_millis(3_500);

/// Bounds the statements of one transaction, in milliseconds.
pub(super) const LIMIT: &str = "SELECT set_config('statement_timeout', $1, true)";

/// The parameters of a statement.
pub(super) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A connection that reads.
pub(super) struct Reader {
    client: Lent,
    /// The place among the long readers, for one that is.
    _place: Option<OwnedSemaphorePermit>,
}

/// Several statements of a reader that see the same.
pub(super) struct Snapshot<'a> {
    transaction: Transaction<'a>,
    state: &'a State,
}

/// A connection that writes.
pub(super) struct WriteClient {
    client: Lent,
    /// The place among those who clean up, for one that does.
    _place: Option<OwnedSemaphorePermit>,
}

/// A transaction that writes what isn't a room's: people, accounts, files.
pub(super) struct Writer<'a> {
    transaction: Transaction<'a>,
    state: &'a State,
}

impl PostgresStore {
    /// Lends a connection to a reader.
    pub(super) async fn reader(&self) -> Result<Reader, StoreError> {
        Ok(Reader { client: self.lend_reader().await?, _place: None })
    }

    /// Lends a connection to one who counts or searches. Those have half of the connections at most, so
    /// that the engine, and who shows a token, find one however many lists are asked for.
    pub(super) async fn long_reader(&self) -> Result<Reader, StoreError> {
        let lend = async {
            let place = Arc::clone(&self.long_readers).acquire_owned().await;
            let place = place.expect("the semaphore is never closed");
            Ok(Reader { client: self.lend_reader().await?, _place: Some(place) })
        };
        let late = |_| StoreError::Unavailable("too many lists are being read".into());
        timeout(LEND_WITHIN, lend).await.map_err(late)?
    }

    /// Lends a connection to a caller who writes what isn't an event: people, accounts, files. A transaction
    /// that locks takes rooms by id, then participants by room and user, then people by id.
    pub(super) async fn writer(&self) -> Result<WriteClient, StoreError> {
        Ok(WriteClient { client: self.lend_writer().await?, _place: None })
    }

    /// Lends a connection to one who cleans up or follows the log. Those have half of the connections at
    /// most, and wait for one as long as it takes: nobody waits for them.
    pub(super) async fn background_writer(&self) -> Result<WriteClient, StoreError> {
        let place = Arc::clone(&self.background_writers).acquire_owned().await;
        let place = place.expect("the semaphore is never closed");
        Ok(WriteClient { client: self.lend_writer().await?, _place: Some(place) })
    }

    async fn lend_reader(&self) -> Result<Lent, StoreError> {
        self.pools.read_client().await.map_err(Failure::into_error)
    }

    async fn lend_writer(&self) -> Result<Lent, StoreError> {
        self.pools.write_client().await.map_err(Failure::into_error)
    }
}

impl Reader {
    /// Reads all rows of one statement.
    pub(super) async fn rows(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        let (client, state) = self.client.parts();
        let read = within(STATEMENT_WITHIN, async {
            let statement = client.prepare_cached(sql).await?;
            client.query(&statement, params).await
        });
        state.during(read).await.map_err(Failure::into_error)
    }

    /// Reads the first row, where there is one.
    pub(super) async fn row(&self, sql: &str, params: Params<'_>) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, params).await?.into_iter().next())
    }

    /// Begins to read several statements as of one moment.
    pub(super) async fn snapshot(&mut self) -> Result<Snapshot<'_>, StoreError> {
        let (client, state) = self.client.parts_mut();
        let begin = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
        let begun = state.during(within(STATEMENT_WITHIN, begin.read_only(true).start()));
        Ok(Snapshot { transaction: begun.await.map_err(Failure::into_error)?, state })
    }
}

impl Snapshot<'_> {
    /// Reads all rows of one statement that the database itself ends after `limit`; `None` when it did, and
    /// nothing more can be read then.
    pub(super) async fn rows_within(
        &self,
        limit: Duration,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Option<Vec<Row>>, StoreError> {
        let told = within(STATEMENT_WITHIN, async {
            let limit = limit.as_millis().to_string();
            let limited = self.transaction.prepare_cached(LIMIT).await?;
            self.transaction.execute(&limited, &[&limit]).await?;
            let statement = self.transaction.prepare_cached(sql).await?;
            match self.transaction.query(&statement, params).await {
                Err(error) if error.code() == Some(&SqlState::QUERY_CANCELED) => Ok(None),
                other => other.map(Some),
            }
        });
        self.state.during(told).await.map_err(Failure::into_error)
    }

    /// Gives the connection back to its reader.
    pub(super) async fn end(self) -> Result<(), StoreError> {
        let ended = within(STATEMENT_WITHIN, self.transaction.rollback());
        self.state.during(ended).await.map_err(Failure::into_error)
    }
}

impl WriteClient {
    /// Begins a transaction.
    pub(super) async fn begin(&mut self) -> Result<Writer<'_>, StoreError> {
        let (client, state) = self.client.parts_mut();
        let begun = state.during(within(STATEMENT_WITHIN, client.transaction()));
        Ok(Writer { transaction: begun.await.map_err(Failure::into_error)?, state })
    }
}

impl Writer<'_> {
    /// Carries out one statement and gives the rows that it returns.
    pub(super) async fn rows(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        let written = within(STATEMENT_WITHIN, async {
            let statement = self.transaction.prepare_cached(sql).await?;
            self.transaction.query(&statement, params).await
        });
        self.state.during(written).await.map_err(Failure::into_error)
    }

    /// Carries out one statement and gives the first row that it returns.
    pub(super) async fn row(&self, sql: &str, params: Params<'_>) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, params).await?.into_iter().next())
    }

    /// Makes all of it durable.
    ///
    /// # Errors
    /// [`StoreError::OutcomeUnknown`] when the answer to the commit is lost.
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        match self.state.during_commit(within(STATEMENT_WITHIN, self.transaction.commit())).await {
            Ok(()) => Ok(()),
            Err(Failure::Broken(_)) => Err(StoreError::OutcomeUnknown),
            Err(other) => Err(other.into_error()),
        }
    }
}
