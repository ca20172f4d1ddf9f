//! Sending scheduled messages: one node claims them when their time has come, and settles what became of them.
//!
//! A claim is a lease. A node that dies between its claim and the sending leaves the message to whoever comes next,
//! and since each is sent under its `client_id`, trying again sends nothing twice.

use std::time::Duration;

use actors::domain::error_code::ErrorCode;
use actors::domain::ids::{MessageId, PersonalSeq, UserId};
use actors::domain::personal::{ScheduledMessage, ScheduledState};
use actors::ports::store::StoreError;
use tokio_postgres::Row;
use uuid::Uuid;

use super::log;
use super::scheduled::{SCHEDULED_WIDTH, append, scheduled_columns, scheduled_of};
use crate::store::postgres::PostgresStore;

/// Sent messages that one call forgets.
const FORGOTTEN_AT_ONCE: i64 = 1_000;

/// A message that this node has claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedMessage {
    /// Who sends it.
    pub user: UserId,
    /// The message.
    pub scheduled: ScheduledMessage,
}

/// What became of a claimed message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// It was sent as this message.
    Sent(MessageId),
    /// It was refused, and never will be sent as it is.
    Failed(ErrorCode),
    /// It was not sent, and is tried again after this time.
    Postponed(Duration),
}

impl PostgresStore {
    /// Claims messages whose time has come, or whose claim by another node has lapsed. They are `claim`'s for as
    /// long as `lease`.
    ///
    /// # Errors
    /// [`StoreError`]; what was claimed without this node knowing lapses.
    pub async fn claim_scheduled(
        &self,
        claim: Uuid,
        lease: Duration,
        limit: i64,
    ) -> Result<Vec<ClaimedMessage>, StoreError> {
        const IS_ANY_DUE: &str = "SELECT FROM scheduled_messages
            WHERE state IN ('pending', 'sending') AND due_at <= now() LIMIT 1";
        const CLAIM: &str = concat!(
            "UPDATE scheduled_messages q SET state = 'sending', claim = $1,
                 due_at = clock_timestamp() + make_interval(secs => $2)
             WHERE q.id = ANY (ARRAY(
                 SELECT id FROM scheduled_messages WHERE state IN ('pending', 'sending') AND due_at <= now()
                 ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED)) RETURNING ",
            scheduled_columns!(),
            ", q.user_id"
        );
        if self.read_client().await?.row(IS_ANY_DUE, &[]).await?.is_none() {
            return Ok(Vec::new());
        }
        let mut client = self.background_write_client().await?;
        let transaction = client.begin().await?;
        let rows = transaction.rows(CLAIM, &[&claim, &lease.as_secs_f64(), &limit]).await?;
        transaction.commit().await?;
        let claimed = |row: &Row| {
            let scheduled = scheduled_of(row, 0)?;
            Some(ClaimedMessage { user: UserId(row.get(SCHEDULED_WIDTH)), scheduled })
        };
        Ok(rows.iter().filter_map(claimed).collect())
    }

    /// Settles a message that `claim` holds. Returns the head of the personal log, unless the message is tried
    /// again, or another node has claimed it meanwhile and settles it.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn settle_scheduled(
        &self,
        claim: Uuid,
        ClaimedMessage { user, scheduled }: &ClaimedMessage,
        sending: Sending,
    ) -> Result<Option<PersonalSeq>, StoreError> {
        const POSTPONE: &str = "UPDATE scheduled_messages SET state = 'pending', claim = NULL,
                due_at = clock_timestamp() + make_interval(secs => $3)
            WHERE id = $1 AND claim = $2 AND state = 'sending'";
        // What was sent can be read in its room, as long as it may be read there.
        const SETTLE: &str =
            "UPDATE scheduled_messages SET state = $3::text, error = $4, message_id = $5, claim = NULL,
                finished_at = now(), content = CASE WHEN $3::text = 'sent' THEN '' ELSE content END
            WHERE id = $1 AND claim = $2 AND state = 'sending' RETURNING id";
        let mut client = self.background_write_client().await?;
        let transaction = client.begin().await?;
        let (state, error, message) = match sending {
            Sending::Postponed(pause) => {
                transaction.rows(POSTPONE, &[&scheduled.id, &claim, &pause.as_secs_f64()]).await?;
                transaction.commit().await?;
                return Ok(None);
            }
            Sending::Sent(message) => (ScheduledState::Sent, None, Some(message.0)),
            Sending::Failed(code) => (ScheduledState::Failed, Some(code.as_str()), None),
        };
        log::lock(&transaction, *user).await?;
        let settled =
            transaction.row(SETTLE, &[&scheduled.id, &claim, &state.as_str(), &error, &message]).await?;
        if settled.is_none() {
            return Ok(None);
        }
        let head = append(&transaction, *user, scheduled.id).await?;
        transaction.commit().await?;
        Ok(Some(head))
    }

    /// Forgets some of the messages that were sent longer than `age` ago.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn forget_sent_messages(&self, age: Duration) -> Result<(), StoreError> {
        const FORGET: &str = "DELETE FROM scheduled_messages WHERE id = ANY (ARRAY(
                SELECT id FROM scheduled_messages
                WHERE state = 'sent' AND finished_at < now() - make_interval(secs => $1) LIMIT $2))";
        let mut client = self.background_write_client().await?;
        let transaction = client.begin().await?;
        transaction.rows(FORGET, &[&age.as_secs_f64(), &FORGOTTEN_AT_ONCE]).await?;
        transaction.commit().await
    }
}
