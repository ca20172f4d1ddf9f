//! What became of an event that was sent to a webhook.

use std::time::Duration;

use actors::domain::ids::{MessageId, Seq};
use actors::ports::store::StoreError;
use uuid::Uuid;

use super::lanes::{Lane, advance};
use crate::store::postgres::PostgresStore;
use crate::store::postgres::pool::client::WriteTransaction;

/// A request, and its answer.
#[derive(Clone, Debug)]
pub struct Attempt<'a> {
    /// The event.
    pub seq: Seq,
    /// Its kind, as the log names it.
    pub kind: &'a str,
    /// The message that it is about.
    pub message: Option<MessageId>,
    /// Where it was sent.
    pub url: &'a str,
    /// How long the answer took.
    pub took: Duration,
    /// The status of the answer; none without one.
    pub status: Option<u16>,
    /// The start of the answer's body.
    pub answer: &'a str,
    /// Why there is no answer; empty where there is one.
    pub error: &'a str,
}

/// What follows from an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The target has taken the event.
    Delivered {
        /// Whether the target was away for a while, and everything else is tried at once.
        is_back: bool,
    },
    /// It is tried again after this time.
    Retry(Duration),
    /// It is tried no more; the events after it are.
    GivenUp,
    /// Nothing more is sent until someone says so, for this reason.
    Pause(String),
    /// The target wants nothing more.
    End,
}

impl Settlement {
    /// The state of the delivery.
    fn delivery_state(&self) -> &'static str {
        match self {
            Self::Delivered { .. } => "delivered",
            Self::GivenUp => "given_up",
            Self::Retry(_) | Self::Pause(_) | Self::End => "retrying",
        }
    }
}

/// How long what was sent in vain waits where the webhook is no longer sent to.
const PAUSED_RETRY: Duration = Duration::ZERO;

impl PostgresStore {
    /// Records an attempt on a lane that `claim` holds, and what follows from it. Returns whether `claim` still holds
    /// the lane, with more to send. If the claim was lost, nothing is recorded: another node tries the event again.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn settle_delivery(
        &self,
        claim: Uuid,
        lease: Duration,
        lane: Lane,
        attempt: &Attempt<'_>,
        settlement: &Settlement,
    ) -> Result<bool, StoreError> {
        let mut client = self.background_write_client().await?;
        let transaction = client.begin().await?;
        let goes_on = match settlement {
            Settlement::Delivered { .. } | Settlement::GivenUp => {
                advance(&transaction, claim, lease, lane, attempt.seq).await?
            }
            Settlement::Retry(after) => postpone(&transaction, claim, lane, *after).await?,
            Settlement::Pause(_) | Settlement::End => {
                postpone(&transaction, claim, lane, PAUSED_RETRY).await?
            }
        };
        let Some(goes_on) = goes_on else { return Ok(false) };
        record(&transaction, lane, attempt, settlement).await?;
        match settlement {
            Settlement::Delivered { is_back } => succeed(&transaction, lane.webhook, *is_back).await?,
            Settlement::Retry(_) | Settlement::GivenUp => fail(&transaction, lane.webhook).await?,
            Settlement::Pause(reason) => stop(&transaction, lane.webhook, "paused", reason).await?,
            Settlement::End => {
                stop(&transaction, lane.webhook, "ended", "The target answered 410 Gone.").await?;
            }
        }
        transaction.commit().await?;
        Ok(goes_on)
    }

    /// Stops a webhook until someone says otherwise, and gives the lane back that `claim` holds.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn pause_webhook(&self, claim: Uuid, lane: Lane, reason: &str) -> Result<(), StoreError> {
        let mut client = self.background_write_client().await?;
        let transaction = client.begin().await?;
        if postpone(&transaction, claim, lane, PAUSED_RETRY).await?.is_some() {
            stop(&transaction, lane.webhook, "paused", reason).await?;
        }
        transaction.commit().await
    }
}

/// Gives a lane back whose next event is tried again. `None` if the claim is lost.
async fn postpone(
    transaction: &WriteTransaction<'_>,
    claim: Uuid,
    lane: Lane,
    after: Duration,
) -> Result<Option<bool>, StoreError> {
    const POSTPONE: &str = "UPDATE webhook_lanes SET claim = NULL, attempts = attempts + 1,
            failing_since = coalesce(failing_since, now()),
            due_at = clock_timestamp() + make_interval(secs => $4)
        WHERE webhook_id = $1 AND room_id = $2 AND claim = $3 RETURNING false";
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
        [&lane.webhook, &lane.room.0, &claim, &after.as_secs_f64()];
    Ok(transaction.row(POSTPONE, &params).await?.map(|row| row.get(0)))
}

async fn record(
    transaction: &WriteTransaction<'_>,
    lane: Lane,
    attempt: &Attempt<'_>,
    settlement: &Settlement,
) -> Result<(), StoreError> {
    // What an answer repeats of a message goes with the message, which may have been deleted meanwhile.
    const RECORD: &str =
        "INSERT INTO webhook_deliveries AS d (webhook_id, room_id, seq, kind, message_id, url,
            state, duration_ms, status, error, answer)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, CASE WHEN EXISTS (SELECT FROM messages
            WHERE room_id = $2 AND id = $5 AND deleted_at IS NOT NULL) THEN '' ELSE $11 END)
        ON CONFLICT (webhook_id, room_id, seq) DO UPDATE SET url = excluded.url, state = excluded.state,
            attempts = d.attempts + 1, last_at = excluded.last_at, duration_ms = excluded.duration_ms,
            status = excluded.status, error = excluded.error, answer = excluded.answer";
    let Attempt { seq, kind, message, url, took, status, answer, error } = attempt;
    let message = message.map(|message| message.0);
    let duration = i32::try_from(took.as_millis()).unwrap_or(i32::MAX);
    let status = status.map(i32::from);
    let state = settlement.delivery_state();
    transaction
        .rows(
            RECORD,
            &[
                &lane.webhook,
                &lane.room.0,
                &seq.0,
                kind,
                &message,
                url,
                &state,
                &duration,
                &status,
                error,
                answer,
            ],
        )
        .await?;
    Ok(())
}

/// Notes that a target takes requests; not at each of them, so that they don't wait for each other.
async fn succeed(transaction: &WriteTransaction<'_>, webhook: Uuid, is_back: bool) -> Result<(), StoreError> {
    const SUCCEED: &str = "UPDATE webhooks SET failing_since = NULL, succeeded_at = now() WHERE id = $1
        AND (failing_since IS NOT NULL OR succeeded_at IS NULL OR succeeded_at < now() - interval '10 seconds')";
    // One that is held is being sent, or grows and is due anyway.
    const TRY_NOW: &str = "UPDATE webhook_lanes SET due_at = now() WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM webhook_lanes WHERE webhook_id = $1 AND due_at > now() AND claim IS NULL
        FOR UPDATE SKIP LOCKED))";
    transaction.rows(SUCCEED, &[&webhook]).await?;
    if is_back {
        transaction.rows(TRY_NOW, &[&webhook]).await?;
    }
    Ok(())
}

async fn fail(transaction: &WriteTransaction<'_>, webhook: Uuid) -> Result<(), StoreError> {
    const FAIL: &str = "UPDATE webhooks SET failing_since = now() WHERE id = $1 AND failing_since IS NULL";
    transaction.rows(FAIL, &[&webhook]).await?;
    Ok(())
}

async fn stop(
    transaction: &WriteTransaction<'_>,
    webhook: Uuid,
    state: &str,
    reason: &str,
) -> Result<(), StoreError> {
    const STOP: &str = "UPDATE webhooks SET state = $2, reason = $3,
        failing_since = coalesce(failing_since, now()) WHERE id = $1 AND state = 'active'";
    transaction.rows(STOP, &[&webhook, &state, &reason]).await?;
    Ok(())
}
