//! Webhooks as they are set up, and from where on their rooms are sent.

use actors::domain::ids::{RoomId, Seq, UserId};
use actors::ports::store::StoreError;
use chrono::{DateTime, Utc};
use serde_json::json;
use tokio_postgres::Row;
use uuid::Uuid;

use super::access::{IntegrationManager, is_manageable};
use super::lanes::CONSUMER;
use super::scope::follows;
use crate::store::postgres::PostgresStore;
use crate::store::postgres::pool::client::WriteTransaction;
use crate::store::postgres::record::audit::{self, AuditKind, NewAuditEntry};

/// The most webhooks, and those that one user answers for.
const WEBHOOKS_MAX: i64 = 1_000;
const WEBHOOKS_PER_USER: i64 = 20;
/// For how long a secret that was replaced signs too, in hours.
const PREVIOUS_SECRET_HOURS: i32 = 24;
/// Events that the planner may not have seen when a webhook asks for others.
const UNPLANNED_MAX: i64 = 10_000;

/// Whether a webhook is sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookState {
    /// It is.
    Active,
    /// It isn't for now; what happens meanwhile is sent afterwards.
    Paused,
    /// Its target has ended it.
    Ended,
}

impl WebhookState {
    /// The name on the wire and in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Ended => "ended",
        }
    }

    fn parse(name: &str) -> Self {
        match name {
            "active" => Self::Active,
            "ended" => Self::Ended,
            _ => Self::Paused,
        }
    }
}

/// A webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// The id.
    pub id: Uuid,
    /// Its target.
    pub url: String,
    /// The kinds of events that it is sent, by their names in the log; none: all.
    pub kinds: Vec<String>,
    /// The rooms that it follows; none: all.
    pub rooms: Vec<Uuid>,
    /// The types of rooms that it follows; none: all.
    pub room_types: Vec<String>,
    /// When it was set up.
    pub created_at: DateTime<Utc>,
    /// Whether it is sent to.
    pub state: WebhookState,
    /// Why it isn't; empty where it is.
    pub reason: String,
    /// Since when requests have failed and none has succeeded.
    pub failing_since: Option<DateTime<Utc>>,
    /// When a request succeeded last, give or take some seconds.
    pub succeeded_at: Option<DateTime<Utc>>,
}

/// A webhook to be set up.
#[derive(Clone, Copy, Debug)]
pub struct NewWebhook<'a> {
    /// Its target.
    pub url: &'a str,
    /// As in [`Webhook::kinds`].
    pub kinds: &'a [&'static str],
    /// The rooms that it follows; none: all.
    pub rooms: &'a [Uuid],
    /// The types of rooms that it follows; none: all.
    pub room_types: &'a [&'static str],
    /// What signs its requests.
    pub secret: &'a [u8],
    /// Who sets it up.
    pub owner: Option<UserId>,
    /// From where on it is sent what has happened before.
    pub since: Option<ReplayStart>,
}

/// What is changed of a webhook; what is unset stays as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct WebhookChange<'a> {
    /// Its target.
    pub url: Option<&'a str>,
    /// As in [`Webhook::kinds`].
    pub kinds: Option<&'a [&'static str]>,
    /// The rooms that it follows; none: all.
    pub rooms: Option<&'a [Uuid]>,
    /// The types of rooms that it follows; none: all.
    pub room_types: Option<&'a [&'static str]>,
    /// What signs its requests from now on; the one before signs for a day, too.
    pub secret: Option<&'a [u8]>,
    /// Whether it is sent to.
    pub is_active: Option<bool>,
}

/// What came of setting up a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookOutcome {
    /// It is set up.
    Added(Box<Webhook>),
    /// There are too many.
    TooMany,
}

/// From where on events of the past are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayStart {
    /// After this position of each room.
    After(Seq),
    /// From this time on.
    Time(DateTime<Utc>),
}

/// The columns of a webhook `w`, for [`webhook_of`].
macro_rules! webhook_columns {
    () => {
        "w.id, w.url, w.kinds, w.rooms, w.room_types, w.created_at, w.state, w.reason, w.failing_since, w.succeeded_at"
    };
}

fn webhook_of(row: &Row) -> Webhook {
    Webhook {
        id: row.get(0),
        url: row.get(1),
        kinds: row.get(2),
        rooms: row.get(3),
        room_types: row.get(4),
        created_at: row.get(5),
        state: WebhookState::parse(row.get(6)),
        reason: row.get(7),
        failing_since: row.get(8),
        succeeded_at: row.get(9),
    }
}

impl PostgresStore {
    /// Sets up a webhook.
    ///
    /// # Errors
    /// [`StoreError`]; after [`StoreError::OutcomeUnknown`] it may be set up.
    pub async fn add_webhook(&self, new: NewWebhook<'_>) -> Result<WebhookOutcome, StoreError> {
        // Two at once see each other's.
        const LOCK: &str = "LOCK TABLE webhooks IN SHARE ROW EXCLUSIVE MODE";
        const COUNT: &str = "SELECT count(*), count(*) FILTER (WHERE owner = $1) FROM webhooks";
        const INSERT: &str = concat!(
            "INSERT INTO webhooks AS w (id, url, kinds, rooms, room_types, secret, owner)
             VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING ",
            webhook_columns!()
        );
        let NewWebhook { url, kinds, rooms, room_types, secret, owner, since } = new;
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        transaction.rows(LOCK, &[]).await?;
        let owner = owner.map(|owner| owner.0);
        let counts = transaction.row(COUNT, &[&owner]).await?;
        let (all, own): (i64, i64) = counts.map_or((0, 0), |row| (row.get(0), row.get(1)));
        if all >= WEBHOOKS_MAX || own >= WEBHOOKS_PER_USER {
            return Ok(WebhookOutcome::TooMany);
        }
        let id = Uuid::now_v7();
        let row = transaction.row(INSERT, &[&id, &url, &kinds, &rooms, &room_types, &secret, &owner]).await?;
        let added = row.as_ref().map(webhook_of);
        let webhook = added.ok_or_else(|| StoreError::Unavailable("a webhook was not stored".into()))?;
        if let Some(since) = since {
            replay(&transaction, id, None, since).await?;
        }
        let data = json!({"webhook": id, "events": kinds, "rooms": rooms, "room_types": room_types});
        let entry = NewAuditEntry::of(AuditKind::WebhookAdded, new.owner, data);
        audit::add(&transaction, vec![entry]).await?;
        transaction.commit().await?;
        Ok(WebhookOutcome::Added(Box::new(webhook)))
    }

    /// Lists the webhooks that `manager` may manage, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn webhooks(&self, manager: IntegrationManager) -> Result<Vec<Webhook>, StoreError> {
        const LIST: &str = concat!(
            "SELECT ",
            webhook_columns!(),
            " FROM webhooks w WHERE ",
            is_manageable!("w"),
            " ORDER BY w.id"
        );
        let (all, admin) = manager.params();
        let rows = self.read_client().await?.rows(LIST, &[&all, &admin]).await?;
        Ok(rows.iter().map(webhook_of).collect())
    }

    /// Reads a webhook that `manager` may manage.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn webhook(
        &self,
        manager: IntegrationManager,
        id: Uuid,
    ) -> Result<Option<Webhook>, StoreError> {
        const FIND: &str = concat!(
            "SELECT ",
            webhook_columns!(),
            " FROM webhooks w WHERE ",
            is_manageable!("w"),
            " AND w.id = $3"
        );
        let (all, admin) = manager.params();
        let row = self.read_client().await?.row(FIND, &[&all, &admin, &id]).await?;
        Ok(row.as_ref().map(webhook_of))
    }

    /// Changes a webhook that `manager` may manage, who answers for it from now on. What it no longer follows it isn't
    /// sent, and what it asks for anew begins with what happens next.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn change_webhook(
        &self,
        manager: IntegrationManager,
        id: Uuid,
        change: WebhookChange<'_>,
    ) -> Result<Option<Webhook>, StoreError> {
        const CHANGE: &str = concat!(
            "UPDATE webhooks w SET url = coalesce($4, w.url), kinds = coalesce($5, w.kinds),
                 rooms = coalesce($6, w.rooms), room_types = coalesce($7, w.room_types),
                 secret = coalesce($8, w.secret), owner = coalesce($9, w.owner),
                 previous_secret = CASE WHEN $8 IS NULL THEN w.previous_secret ELSE w.secret END,
                 previous_until = CASE WHEN $8 IS NULL THEN w.previous_until
                     ELSE now() + make_interval(hours => $10) END,
                 state = CASE $11::boolean WHEN true THEN 'active' WHEN false THEN 'paused' ELSE w.state END,
                 reason = CASE $11 WHEN true THEN '' WHEN false THEN 'Paused by hand.' ELSE w.reason END,
                 failing_since = CASE WHEN $11 THEN NULL ELSE w.failing_since END
             WHERE ",
            is_manageable!("w"),
            " AND w.id = $3 RETURNING ",
            webhook_columns!()
        );
        let WebhookChange { url, kinds, rooms, room_types, secret, is_active } = change;
        let (all, admin) = manager.params();
        let owner = manager.user().map(|user| user.0);
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        if kinds.is_some() || rooms.is_some() || room_types.is_some() {
            change_lanes(&transaction, id, rooms, room_types).await?;
        }
        let row = transaction
            .row(
                CHANGE,
                &[
                    &all,
                    &admin,
                    &id,
                    &url,
                    &kinds,
                    &rooms,
                    &room_types,
                    &secret,
                    &owner,
                    &PREVIOUS_SECRET_HOURS,
                    &is_active,
                ],
            )
            .await?;
        if row.is_some() && is_active == Some(true) {
            wake(&transaction, id).await?;
        }
        if row.is_some() {
            let changed = [
                ("url", url.is_some()),
                ("events", kinds.is_some()),
                ("rooms", rooms.is_some()),
                ("room_types", room_types.is_some()),
                ("secret", secret.is_some()),
                ("state", is_active.is_some()),
            ];
            let changed: Vec<_> = changed.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect();
            let data = json!({"webhook": id, "changed": changed, "is_active": is_active});
            let entry = NewAuditEntry::of(AuditKind::WebhookChanged, manager.user(), data);
            audit::add(&transaction, vec![entry]).await?;
        }
        transaction.commit().await?;
        Ok(row.as_ref().map(webhook_of))
    }

    /// Deletes a webhook that `manager` may manage. Returns whether there was one.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn delete_webhook(&self, manager: IntegrationManager, id: Uuid) -> Result<bool, StoreError> {
        const DELETE: &str =
            concat!("DELETE FROM webhooks w WHERE ", is_manageable!("w"), " AND w.id = $3 RETURNING w.id");
        // One that the consumer holds stays, without effect.
        const DELETE_LANES: &str = "DELETE FROM webhook_lanes WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM webhook_lanes WHERE webhook_id = $1 FOR UPDATE SKIP LOCKED))";
        let (all, admin) = manager.params();
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        let is_deleted = transaction.row(DELETE, &[&all, &admin, &id]).await?.is_some();
        if is_deleted {
            transaction.rows(DELETE_LANES, &[&id]).await?;
            let entry =
                NewAuditEntry::of(AuditKind::WebhookDeleted, manager.user(), json!({ "webhook": id }));
            audit::add(&transaction, vec![entry]).await?;
        }
        transaction.commit().await?;
        Ok(is_deleted)
    }

    /// Has a webhook sent again what happened from `since` on, in one room or in all that it follows. Returns in how
    /// many rooms.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn replay_webhook(
        &self,
        id: Uuid,
        room: Option<RoomId>,
        since: ReplayStart,
    ) -> Result<i64, StoreError> {
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        let rooms = replay(&transaction, id, room, since).await?;
        transaction.commit().await?;
        Ok(rooms)
    }
}

/// Moves a webhook back to `since` in the rooms that it follows, or in one of them. Who is sending there right now
/// loses the claim.
async fn replay(
    transaction: &WriteTransaction<'_>,
    id: Uuid,
    room: Option<RoomId>,
    since: ReplayStart,
) -> Result<i64, StoreError> {
    macro_rules! replay {
        ($room:literal) => {
            concat!(
                "WITH moved AS (
                     INSERT INTO webhook_lanes AS l (webhook_id, room_id, sent, head, due_at)
                     SELECT w.id, r.id, before.seq, r.head, now()
                     FROM webhooks w CROSS JOIN rooms r CROSS JOIN LATERAL (
                         SELECT coalesce($3, (SELECT e.seq FROM events e WHERE e.room_id = r.id AND e.at < $4
                             ORDER BY e.seq DESC LIMIT 1), 0) AS seq) before
                     WHERE w.id = $1 AND ",
                $room,
                " AND r.deleted_at IS NULL AND before.seq < r.head AND ",
                follows!(),
                " ORDER BY r.id
                     ON CONFLICT (webhook_id, room_id) DO UPDATE SET sent = least(l.sent, excluded.sent),
                         head = greatest(l.head, excluded.head), due_at = now(), claim = NULL, attempts = 0,
                         failing_since = NULL
                     RETURNING room_id)
                 SELECT count(*) FROM moved"
            )
        };
    }
    let (after, time) = match since {
        ReplayStart::After(seq) => (Some(seq.0), None),
        ReplayStart::Time(at) => (None, Some(at)),
    };
    let row = match room {
        Some(room) => transaction.row(replay!("r.id = $2"), &[&id, &room.0, &after, &time]).await?,
        None => transaction.row(replay!("$2::uuid IS NULL"), &[&id, &None::<Uuid>, &after, &time]).await?,
    };
    Ok(row.map_or(0, |row| row.get(0)))
}

/// Prepares the lanes of a webhook for following other rooms or kinds of events than so far: deletes those of rooms
/// that it follows no longer, and moves idle ones past what it didn't ask for. The caller changes the webhook after
/// that: who settles a delivery locks a lane before the webhook, too.
async fn change_lanes(
    transaction: &WriteTransaction<'_>,
    id: Uuid,
    rooms: Option<&[Uuid]>,
    room_types: Option<&[&'static str]>,
) -> Result<(), StoreError> {
    // In the order in which the planner and replays lock them. The statements after it see who had them locked.
    const LOCK: &str = "WITH locked AS MATERIALIZED (
            SELECT FROM webhook_lanes WHERE webhook_id = $1 ORDER BY room_id FOR UPDATE)
        SELECT count(*) FROM locked";
    const DELETE: &str = concat!(
        "DELETE FROM webhook_lanes l WHERE l.webhook_id = $1 AND NOT EXISTS (SELECT FROM rooms r
            JOIN (SELECT owner, coalesce($2, rooms) AS rooms, coalesce($3, room_types) AS room_types
                FROM webhooks WHERE id = $1) w ON ",
        follows!(),
        " WHERE r.id = l.room_id)"
    );
    // Before the first event of a room that isn't planned yet, nothing is left that the webhook asked for so far. If
    // there are too many of these, more is sent than was asked for, rather than less.
    const MOVE_IDLE: &str = "WITH unplanned AS MATERIALIZED (
            SELECT e.room_id, min(e.seq) AS seq, count(*) AS events FROM log_consumers c CROSS JOIN LATERAL (
                SELECT room_id, seq FROM events WHERE xid >= c.position ORDER BY xid LIMIT $3) e
            WHERE c.name = $2 GROUP BY e.room_id)
        UPDATE webhook_lanes l SET sent = k.seq, head = k.seq FROM (
            SELECT room_id, seq - 1 AS seq FROM unplanned
            UNION ALL
            SELECT r.id, r.head FROM webhook_lanes i JOIN rooms r ON r.id = i.room_id
            WHERE i.webhook_id = $1 AND i.due_at IS NULL AND r.id NOT IN (SELECT room_id FROM unplanned)) k
        WHERE l.webhook_id = $1 AND l.room_id = k.room_id AND l.due_at IS NULL AND l.head < k.seq
            AND (SELECT coalesce(sum(events), 0) FROM unplanned) < $3";
    transaction.rows(LOCK, &[&id]).await?;
    transaction.rows(DELETE, &[&id, &rooms, &room_types]).await?;
    transaction.rows(MOVE_IDLE, &[&id, &CONSUMER, &UNPLANNED_MAX]).await?;
    Ok(())
}

/// Begins anew with everything that waits for a webhook.
async fn wake(transaction: &WriteTransaction<'_>, id: Uuid) -> Result<(), StoreError> {
    // One that is held is being sent, or grows and is due anyway.
    const WAKE: &str = "UPDATE webhook_lanes SET due_at = now(), attempts = 0, failing_since = NULL
        WHERE ctid = ANY (ARRAY(SELECT ctid FROM webhook_lanes WHERE webhook_id = $1 AND due_at IS NOT NULL
            AND claim IS NULL FOR UPDATE SKIP LOCKED))";
    transaction.rows(WAKE, &[&id]).await?;
    Ok(())
}
