//! Durable consumers of the log.
//!
//! A consumer is given every event at least once: whole transactions, and each room's events in their order. Its
//! position moves in the transaction in which it writes its own rows, so these hold each event exactly once.
//!
//! One node owns a consumer at a time, by a lease in the consumer's row. The row stays locked during a round, which
//! fences off a node whose lease has expired; a node that freezes in the middle of a round loses its transaction
//! after [`IDLE_MAX`].

use std::time::{Duration, Instant};

use actors::domain::ids::{MessageId, RoomId, Seq};
use actors::ports::store::StoreError;
use async_trait::async_trait;
use tokio_postgres::Row;
use uuid::Uuid;

use super::consumer_batch::{FeedEvent, LogEvent, batch_len};
use crate::store::postgres::PostgresStore;
use crate::store::postgres::pool::client::{Params, Statements, WriteTransaction};

/// How long a node owns a consumer after its last round.
const LEASE: Duration = Duration::from_secs(3);
/// How long a round may leave the database waiting for its next statement.
const IDLE_MAX: Duration = Duration::from_secs(3);
/// A round that fails after this long may have failed because of its size.
const SLOW_FAILURE: Duration = Duration::from_secs(3);
/// The most events that [`PostgresStore::consumers`] counts as not consumed.
const BEHIND_MAX: i64 = 100_000;

/// Something that follows the log.
#[async_trait]
pub trait LogConsumer: Send + Sync {
    /// The name under which the position is kept.
    fn name(&self) -> &'static str;

    /// Consumes events that are ordered by room and position, and writes its rows in `transaction`.
    ///
    /// It may be called again with the same events, after a failure or to rebuild its rows from the start.
    ///
    /// # Errors
    /// [`ConsumerError`]; nothing is written then.
    async fn consume(
        &self,
        transaction: &WriteTransaction<'_>,
        events: &[LogEvent],
    ) -> Result<(), ConsumerError>;
}

/// Why a consumer didn't consume.
#[derive(Debug, thiserror::Error)]
pub enum ConsumerError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The consumer can't get past one of the events. The text is shown to operators.
    #[error("{0}")]
    Event(String),
}

impl ConsumerError {
    /// Whether another try with the same events is bound to fail.
    fn is_permanent(&self) -> bool {
        matches!(self, Self::Event(_) | Self::Store(StoreError::RowRefused))
    }
}

/// What a round came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsumerRound {
    /// Another node owns the consumer.
    NotOwner,
    /// The consumer has stopped for this reason.
    Stopped(String),
    /// Events were consumed.
    Consumed {
        /// How many.
        events: usize,
        /// Whether there are more.
        has_more: bool,
    },
}

/// The state of a consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerStatus {
    /// Its name.
    pub name: String,
    /// The number of events that it hasn't consumed; at most 100,000 are counted.
    pub behind: i64,
    /// Why it has stopped.
    pub failure: Option<String>,
}

/// What a batch came to.
enum BatchOutcome {
    Done(ConsumerRound),
    /// The consumer can't get past one of the events between the two positions.
    Failed {
        reason: String,
        events: usize,
        position: i64,
        until: i64,
    },
}

/// Events of the feed from a position on.
pub(super) struct Batch {
    pub(super) events: Vec<LogEvent>,
    /// The position after them.
    pub(super) until: i64,
    /// Whether there are more than were read. Of large transactions fewer events than wanted may fit into a batch.
    pub(super) is_cut: bool,
}

impl PostgresStore {
    /// Registers a consumer that has never run, at the start of the log. One that has stopped goes on.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn start_consumer(&self, name: &str) -> Result<(), StoreError> {
        const START: &str = "INSERT INTO log_consumers AS c (name, position) VALUES ($1, '0')
            ON CONFLICT (name) DO UPDATE SET failure = NULL, failed_until = NULL WHERE c.failure IS NOT NULL";
        let mut client = self.background_write_client().await?;
        let transaction = client.begin().await?;
        transaction.rows(START, &[&name]).await?;
        transaction.commit().await
    }

    /// Gives `consumer` about `events_max` events, unless another node than `owner` owns it. If it can't get past
    /// an event, everything before that event's transaction is consumed, and then it stops. What takes too long is
    /// tried again with half as many events, down to one transaction.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn consume(
        &self,
        consumer: &dyn LogConsumer,
        owner: Uuid,
        events_max: usize,
    ) -> Result<ConsumerRound, StoreError> {
        let mut wanted = events_max;
        loop {
            let began = Instant::now();
            match self.consume_batch(consumer, owner, wanted).await {
                Ok(BatchOutcome::Done(round)) => return Ok(round),
                Ok(BatchOutcome::Failed { events, .. }) if wanted > 1 && events > 1 => {
                    wanted = events.min(wanted) / 2;
                }
                Err(StoreError::Unavailable(_)) if wanted > 1 && began.elapsed() >= SLOW_FAILURE => {
                    wanted /= 2;
                }
                Err(error) => return Err(error),
                Ok(BatchOutcome::Failed { reason, position, until, .. }) => {
                    self.stop_consumer(consumer.name(), &reason, position, until).await?;
                    return Ok(ConsumerRound::Stopped(reason));
                }
            }
        }
    }

    /// Lists the consumers.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn consumers(&self) -> Result<Vec<ConsumerStatus>, StoreError> {
        const LIST: &str = "SELECT name, failure,
                (SELECT count(*) FROM (SELECT FROM events e WHERE e.xid >= c.position LIMIT $1) e)
            FROM log_consumers c ORDER BY name";
        let rows = self.read_client().await?.rows(LIST, &[&BEHIND_MAX]).await?;
        let status = |row: &Row| ConsumerStatus { name: row.get(0), failure: row.get(1), behind: row.get(2) };
        Ok(rows.iter().map(status).collect())
    }

    /// Returns the position of a consumer that hasn't consumed everything and hasn't stopped.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn consumer_behind_at(&self, name: &str) -> Result<Option<i64>, StoreError> {
        const BEHIND: &str =
            "SELECT position::text::bigint FROM log_consumers WHERE name = $1 AND failure IS NULL
            AND position <= (SELECT xid FROM events ORDER BY xid DESC LIMIT 1)";
        let row = self.read_client().await?.row(BEHIND, &[&name]).await?;
        Ok(row.map(|row| row.get(0)))
    }

    /// Lets a consumer that has stopped go on after the transactions that it stopped at. Returns whether there is
    /// one of this name that has.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn skip_failure(&self, name: &str) -> Result<bool, StoreError> {
        const SKIP: &str =
            "UPDATE log_consumers SET position = failed_until, failure = NULL, failed_until = NULL
            WHERE name = $1 AND failure IS NOT NULL RETURNING name";
        self.change_consumer(SKIP, &[&name]).await
    }

    /// Has a consumer consume the log from its start again. Returns whether there is one of this name.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn rebuild_consumer(&self, name: &str) -> Result<bool, StoreError> {
        const REBUILD: &str = "UPDATE log_consumers SET position = '0', failure = NULL, failed_until = NULL
            WHERE name = $1 RETURNING name";
        self.change_consumer(REBUILD, &[&name]).await
    }

    /// Makes `owner` the owner of a consumer, whoever owns it. Returns whether there is one of this name.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn take_over_consumer(&self, name: &str, owner: Uuid) -> Result<bool, StoreError> {
        const TAKE_OVER: &str = "UPDATE log_consumers SET owner = $2,
                owned_until = clock_timestamp() + make_interval(secs => $3)
            WHERE name = $1 RETURNING name";
        self.change_consumer(TAKE_OVER, &[&name, &owner, &LEASE.as_secs_f64()]).await
    }

    async fn change_consumer(&self, sql: &str, params: Params<'_>) -> Result<bool, StoreError> {
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        let changed = transaction.row(sql, params).await?.is_some();
        transaction.commit().await?;
        Ok(changed)
    }

    async fn consume_batch(
        &self,
        consumer: &dyn LogConsumer,
        owner: Uuid,
        wanted: usize,
    ) -> Result<BatchOutcome, StoreError> {
        // Takes the lease or renews it, and locks the row for this transaction.
        const ACQUIRE: &str = "UPDATE log_consumers SET owner = $2,
                owned_until = clock_timestamp() + make_interval(secs => $3)
            WHERE name = (SELECT name FROM log_consumers WHERE name = $1
                AND (owner = $2 OR owned_until IS NULL OR owned_until < clock_timestamp())
                FOR UPDATE SKIP LOCKED)
            RETURNING position::text::bigint, failure,
                set_config('idle_in_transaction_session_timeout', $4, true)";
        const ADVANCE: &str = "UPDATE log_consumers SET position = $2::text::xid8 WHERE name = $1";
        let mut client = self.background_write_client().await?;
        let transaction = client.begin().await?;
        let name = consumer.name();
        let idle_max = IDLE_MAX.as_millis().to_string();
        let acquired = transaction.row(ACQUIRE, &[&name, &owner, &LEASE.as_secs_f64(), &idle_max]).await?;
        let Some(acquired) = acquired else { return Ok(BatchOutcome::Done(ConsumerRound::NotOwner)) };
        let (position, failure): (i64, Option<String>) = (acquired.get(0), acquired.get(1));
        if let Some(reason) = failure {
            transaction.commit().await?;
            return Ok(BatchOutcome::Done(ConsumerRound::Stopped(reason)));
        }
        let Batch { events, until, is_cut } = read_batch(&transaction, position, wanted).await?;
        if !events.is_empty() {
            match consumer.consume(&transaction, &events).await {
                Ok(()) => {}
                Err(error) if error.is_permanent() => {
                    let (reason, events) = (error.to_string(), events.len());
                    return Ok(BatchOutcome::Failed { reason, events, position, until });
                }
                Err(ConsumerError::Store(error)) => return Err(error),
                Err(ConsumerError::Event(reason)) => return Err(StoreError::Unavailable(reason)),
            }
            transaction.rows(ADVANCE, &[&name, &until.to_string()]).await?;
        }
        transaction.commit().await?;
        let events = events.len();
        Ok(BatchOutcome::Done(ConsumerRound::Consumed { events, has_more: is_cut || events >= wanted }))
    }

    async fn stop_consumer(
        &self,
        name: &str,
        reason: &str,
        position: i64,
        until: i64,
    ) -> Result<(), StoreError> {
        // Unless someone has moved it meanwhile.
        const STOP: &str = "UPDATE log_consumers SET failure = $2, failed_until = $4::text::xid8
            WHERE name = $1 AND position = $3::text::xid8";
        let mut client = self.background_write_client().await?;
        let transaction = client.begin().await?;
        transaction.rows(STOP, &[&name, &reason, &position.to_string(), &until.to_string()]).await?;
        transaction.commit().await
    }
}

/// Reads about `wanted` events from `position` on, ordered by room and position. No transaction below the oldest one
/// in progress can still commit, so events below that are complete.
pub(super) async fn read_batch(
    transaction: &impl Statements,
    position: i64,
    wanted: usize,
) -> Result<Batch, StoreError> {
    const READ: &str = "SELECT e.transaction, e.room_id, e.seq, e.message_id,
            (SELECT p.xid::text::bigint FROM events p WHERE p.room_id = e.room_id AND p.seq = e.seq - 1)
        FROM (SELECT xid, xid::text::bigint AS transaction, room_id, seq, message_id FROM events
            WHERE xid >= $1::text::xid8 AND xid < pg_snapshot_xmin(pg_current_snapshot())
            ORDER BY xid LIMIT $2) e ORDER BY e.xid";
    let mut limit = wanted.saturating_add(1);
    loop {
        let rows = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = transaction.rows(READ, &[&position.to_string(), &rows]).await?;
        let feed: Vec<FeedEvent> = rows.iter().map(feed_event).collect();
        let is_cut = feed.len() == limit;
        let len = batch_len(&feed, wanted, is_cut);
        if len > 0 || !is_cut {
            let until = feed[..len].last().map_or(position, |last| last.transaction + 1);
            let mut events: Vec<LogEvent> = feed[..len].iter().map(|event| event.event).collect();
            events.sort_unstable_by_key(|event| (event.room, event.seq));
            return Ok(Batch { events, until, is_cut });
        }
        // A transaction, or several that depend on each other, have more events than that.
        limit = limit.saturating_mul(2);
    }
}

fn feed_event(row: &Row) -> FeedEvent {
    let message = row.get::<_, Option<Uuid>>(3).map(MessageId);
    FeedEvent {
        event: LogEvent { room: RoomId(row.get(1)), seq: Seq(row.get(2)), message },
        transaction: row.get(0),
        previous: row.get(4),
    }
}
