//! What webhooks are to be sent. A consumer of the log extends the lanes of webhooks that follow a room; senders claim
//! lanes that are due, and read in the log what comes next.
//!
//! A claim is a lease. A node that dies between its claim and the sending leaves the lane to whoever comes next, from
//! the same event on.

use std::time::Duration;

use actors::domain::ids::{MessageId, RoomId, Seq};
use actors::ports::store::StoreError;
use tokio_postgres::Row;
use uuid::Uuid;

use super::scope::{follows, wants};
use crate::store::postgres::pool::client::WriteTransaction;
use crate::store::postgres::{LogEvent, PostgresStore};

/// The name of the consumer.
pub(crate) const CONSUMER: &str = "webhooks";

/// Events for which one statement extends lanes: a thousand webhooks are compared with each of them.
const EXTENDED_AT_ONCE: usize = 200;
/// How many events of a room one statement looks through for one that a webhook wants.
const WINDOW: i64 = 10_000;
/// For how long a target must have failed so that everything is tried at once when it is back, in seconds.
const OUTAGE_SECONDS: f64 = 60.0;

/// A webhook for which something is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueWebhook {
    /// The webhook.
    pub id: Uuid,
    /// Whether its last request failed.
    pub is_failing: bool,
}

/// What a webhook is sent of one room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lane {
    /// The webhook.
    pub webhook: Uuid,
    /// The room.
    pub room: RoomId,
}

/// What comes next on a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextEvent {
    /// The claim has lapsed, or the webhook is no longer sent to.
    Lost,
    /// Who answers for the webhook may not read this room any more.
    Forbidden,
    /// Nothing up to this position is wanted.
    NothingUntil(Seq),
    /// This is to be sent.
    Pending(Box<PendingEvent>),
}

/// An event that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingEvent {
    /// Its position.
    pub seq: Seq,
    /// Its kind, as the log names it.
    pub kind: String,
    /// The message that it is about.
    pub message: Option<MessageId>,
    /// Where it is sent.
    pub url: String,
    /// What signs the request: the secret, and the one before while that is still in use.
    pub secrets: Vec<Vec<u8>>,
    /// Events that show something before this position aren't sent.
    pub visible_from: Seq,
    /// How often it was tried.
    pub attempts: u32,
    /// Whether it has been tried for long enough.
    pub is_exhausted: bool,
    /// Whether the target took something else meanwhile.
    pub is_target_alive: bool,
    /// Whether the target has been away for a while.
    pub is_outage: bool,
}

/// Extends the lanes of the webhooks that are to be sent `events`, which are ordered by room and position. Returns how
/// many lanes there are.
///
/// # Errors
/// [`StoreError`]; a retry is safe.
pub(crate) async fn extend_lanes(
    transaction: &WriteTransaction<'_>,
    events: &[LogEvent],
) -> Result<u64, StoreError> {
    const IS_ANY: &str = "SELECT EXISTS (SELECT FROM webhooks),
        EXISTS (SELECT FROM webhook_deliveries WHERE answer <> '')";
    const EXTEND: &str = concat!(
        "INSERT INTO webhook_lanes AS l (webhook_id, room_id, sent, head, due_at)
         SELECT w.id, e.room_id, min(e.seq) - 1, max(e.seq), now()
         FROM unnest($1::uuid[], $2::bigint[]) k (room_id, seq)
         CROSS JOIN LATERAL (SELECT room_id, seq, kind, xid FROM events
             WHERE room_id = k.room_id AND seq = k.seq LIMIT 1) e
         CROSS JOIN LATERAL (SELECT id, room_type FROM rooms WHERE id = e.room_id LIMIT 1) r
         JOIN webhooks w ON ",
        wants!(),
        " GROUP BY w.id, e.room_id ORDER BY w.id, e.room_id
         ON CONFLICT (webhook_id, room_id) DO UPDATE
             SET head = excluded.head, due_at = coalesce(l.due_at, excluded.due_at)
             WHERE l.head < excluded.head
         RETURNING l.head"
    );
    let is_any = transaction.row(IS_ANY, &[]).await?;
    let (has_webhooks, has_answers) = is_any.map_or((false, false), |row| (row.get(0), row.get(1)));
    let mut extended = 0;
    for events in events.chunks(EXTENDED_AT_ONCE) {
        if has_answers {
            super::deliveries::erase_answers(transaction, events).await?;
        }
        if has_webhooks {
            let (rooms, seqs): (Vec<Uuid>, Vec<i64>) =
                events.iter().map(|event| (event.room.0, event.seq.0)).unzip();
            extended += transaction.rows(EXTEND, &[&rooms, &seqs]).await?.len();
        }
    }
    Ok(u64::try_from(extended).unwrap_or(u64::MAX))
}

impl PostgresStore {
    /// Lists the webhooks for which something is due.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn due_webhooks(&self) -> Result<Vec<DueWebhook>, StoreError> {
        const DUE: &str = "SELECT w.id, w.failing_since IS NOT NULL FROM webhooks w
            WHERE w.state = 'active' AND EXISTS (
                SELECT FROM webhook_lanes l WHERE l.webhook_id = w.id AND l.due_at <= now())
            ORDER BY w.id";
        let rows = self.read_client().await?.rows(DUE, &[]).await?;
        Ok(rows.iter().map(|row| DueWebhook { id: row.get(0), is_failing: row.get(1) }).collect())
    }

    /// Claims lanes that are due: for each of these webhooks at most so many, those first that have waited longest.
    ///
    /// # Errors
    /// [`StoreError`]; what was claimed without this node knowing lapses.
    pub async fn claim_lanes(
        &self,
        claim: Uuid,
        lease: Duration,
        wanted: &[(Uuid, i64)],
    ) -> Result<Vec<Lane>, StoreError> {
        const CLAIM: &str = "UPDATE webhook_lanes SET claim = $1,
                due_at = clock_timestamp() + make_interval(secs => $2)
            WHERE ctid = ANY (ARRAY(
                SELECT due.ctid FROM unnest($3::uuid[], $4::bigint[]) k (id, slots) CROSS JOIN LATERAL (
                    SELECT ctid FROM webhook_lanes WHERE webhook_id = k.id AND due_at <= now()
                    ORDER BY due_at LIMIT k.slots FOR UPDATE SKIP LOCKED) due))
            RETURNING webhook_id, room_id";
        let (webhooks, slots): (Vec<Uuid>, Vec<i64>) = wanted.iter().copied().unzip();
        let mut client = self.background_write_client().await?;
        let transaction = client.begin().await?;
        let rows = transaction.rows(CLAIM, &[&claim, &lease.as_secs_f64(), &webhooks, &slots]).await?;
        transaction.commit().await?;
        Ok(rows.iter().map(|row| Lane { webhook: row.get(0), room: RoomId(row.get(1)) }).collect())
    }

    /// Reads what comes next on a lane that `claim` holds. What was tried in vain for `patience` is exhausted.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn next_event(
        &self,
        claim: Uuid,
        lane: Lane,
        patience: Duration,
    ) -> Result<NextEvent, StoreError> {
        // The last column but one is none where the owner may not read the room.
        const NEXT: &str = concat!(
            "SELECT CASE WHEN f.is_followed THEN least(l.head, l.sent + $4) ELSE l.head END,
                e.seq, e.kind, e.message_id, w.url, w.secret,
                CASE WHEN w.previous_until > now() THEN w.previous_secret END, l.attempts,
                coalesce(l.failing_since < now() - make_interval(secs => $5), false),
                coalesce(w.succeeded_at > l.failing_since, false),
                coalesce(w.failing_since < now() - make_interval(secs => $6), false),
                CASE WHEN w.owner IS NULL THEN 0 ELSE (
                    SELECT CASE WHEN u.is_staff THEN 0 ELSE p.visible_from_seq END
                    FROM people u LEFT JOIN participants p ON p.room_id = l.room_id AND p.user_id = u.id
                        AND p.left_at IS NULL AND p.role = 'admin'
                    WHERE u.id = w.owner AND u.is_active AND (u.is_staff OR p.user_id IS NOT NULL)) END,
                f.is_followed
            FROM webhook_lanes l JOIN webhooks w ON w.id = l.webhook_id AND w.state = 'active'
            CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM rooms r WHERE r.id = l.room_id AND ",
            follows!(),
            ") AS is_followed) f
            LEFT JOIN LATERAL (SELECT seq, kind, message_id FROM events
                WHERE f.is_followed AND room_id = l.room_id AND seq > l.sent AND seq <= least(l.head, l.sent + $4)
                    AND (cardinality(w.kinds) = 0 OR kind = ANY(w.kinds))
                ORDER BY seq LIMIT 1) e ON true
            WHERE l.webhook_id = $1 AND l.room_id = $2 AND l.claim = $3"
        );
        let (patience, outage) = (patience.as_secs_f64(), OUTAGE_SECONDS);
        let row = self
            .read_client()
            .await?
            .row(NEXT, &[&lane.webhook, &lane.room.0, &claim, &WINDOW, &patience, &outage])
            .await?;
        Ok(row.as_ref().map_or(NextEvent::Lost, next_event_of))
    }

    /// Moves a lane that `claim` holds past what isn't sent. Returns whether `claim` still holds it, with more to send.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn skip_events(
        &self,
        claim: Uuid,
        lease: Duration,
        lane: Lane,
        until: Seq,
    ) -> Result<bool, StoreError> {
        let mut client = self.background_write_client().await?;
        let transaction = client.begin().await?;
        let goes_on = advance(&transaction, claim, lease, lane, until).await?.unwrap_or(false);
        transaction.commit().await?;
        Ok(goes_on)
    }

    /// Leaves a lane that `claim` holds to others, after a while.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn release_lane(&self, claim: Uuid, lane: Lane, after: Duration) -> Result<(), StoreError> {
        const RELEASE: &str =
            "UPDATE webhook_lanes SET claim = NULL, due_at = now() + make_interval(secs => $4)
            WHERE webhook_id = $1 AND room_id = $2 AND claim = $3";
        let mut client = self.background_write_client().await?;
        let transaction = client.begin().await?;
        transaction.rows(RELEASE, &[&lane.webhook, &lane.room.0, &claim, &after.as_secs_f64()]).await?;
        transaction.commit().await
    }
}

fn next_event_of(row: &Row) -> NextEvent {
    if !row.get::<_, bool>(12) {
        return NextEvent::NothingUntil(Seq(row.get(0)));
    }
    let Some(visible_from) = row.get::<_, Option<i64>>(11) else { return NextEvent::Forbidden };
    let Some(seq) = row.get::<_, Option<i64>>(1) else { return NextEvent::NothingUntil(Seq(row.get(0))) };
    let secrets = [Some(row.get::<_, Vec<u8>>(5)), row.get(6)];
    NextEvent::Pending(Box::new(PendingEvent {
        seq: Seq(seq),
        kind: row.get(2),
        message: row.get::<_, Option<_>>(3).map(MessageId),
        url: row.get(4),
        secrets: secrets.into_iter().flatten().collect(),
        visible_from: Seq(visible_from),
        attempts: u32::try_from(row.get::<_, i32>(7)).unwrap_or_default(),
        is_exhausted: row.get(8),
        is_target_alive: row.get(9),
        is_outage: row.get(10),
    }))
}

/// Moves a lane to `until`, and keeps the claim where there is more to send. Returns whether there is; `None` if the
/// claim is lost.
pub(super) async fn advance(
    transaction: &WriteTransaction<'_>,
    claim: Uuid,
    lease: Duration,
    lane: Lane,
    until: Seq,
) -> Result<Option<bool>, StoreError> {
    const ADVANCE: &str = "UPDATE webhook_lanes SET sent = $4, attempts = 0, failing_since = NULL,
            claim = CASE WHEN head > $4 THEN claim END,
            due_at = CASE WHEN head > $4 THEN clock_timestamp() + make_interval(secs => $5) END
        WHERE webhook_id = $1 AND room_id = $2 AND claim = $3 RETURNING head > $4";
    let row = transaction
        .row(ADVANCE, &[&lane.webhook, &lane.room.0, &claim, &until.0, &lease.as_secs_f64()])
        .await?;
    Ok(row.map(|row| row.get(0)))
}
