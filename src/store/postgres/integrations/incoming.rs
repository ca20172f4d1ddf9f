//! Incoming hooks: addresses to which other applications post, each with an account that its messages are of.

use actors::domain::ids::UserId;
use actors::ports::store::StoreError;
use chrono::{DateTime, Utc};
use serde_json::json;
use tokio_postgres::Row;
use uuid::Uuid;

use super::access::{IntegrationManager, rooms_of_admin};
use crate::store::postgres::PostgresStore;
use crate::store::postgres::record::audit::{self, AuditKind, NewAuditEntry};

/// The most incoming hooks, and those that one user has set up.
const HOOKS_MAX: i64 = 10_000;
const HOOKS_PER_USER: i64 = 50;

/// An incoming hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncomingHook {
    /// The id.
    pub id: Uuid,
    /// The account that its messages are of.
    pub account: UserId,
    /// The name of that.
    pub name: String,
    /// The rooms to which it posts.
    pub rooms: Vec<Uuid>,
    /// When it was set up.
    pub created_at: DateTime<Utc>,
}

/// An incoming hook to be set up.
#[derive(Clone, Copy, Debug)]
pub struct NewIncomingHook<'a> {
    /// The name of its account.
    pub name: &'a str,
    /// The rooms to which it posts.
    pub rooms: &'a [Uuid],
    /// The SHA-256 of its secret.
    pub secret_hash: &'a [u8],
    /// Who sets it up.
    pub owner: Option<UserId>,
}

/// What came of setting up an incoming hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IncomingOutcome {
    /// It is set up.
    Added(IncomingHook),
    /// There are too many.
    TooMany,
}

/// The columns of a hook `h` with its account `u`, for [`hook_of`].
macro_rules! hook_columns {
    () => {
        hook_columns!("h.rooms")
    };
    ($rooms:expr) => {
        concat!("h.id, h.account, u.full_name, ", $rooms, ", h.created_at")
    };
}

/// The rooms of a hook `h` in which the manager whose parameters are `$1` and `$2` may manage it.
macro_rules! managed_rooms {
    () => {
        concat!(
            "CASE WHEN $1::boolean OR (h.owner IS NOT NULL AND $2::bigint IS NULL) THEN h.rooms
                 WHEN h.owner IS NULL THEN '{}' ELSE ",
            rooms_of_admin!("h"),
            " END"
        )
    };
}

/// Hooks `h` with `rooms` in place of their own, but for those that have none.
macro_rules! managed_hooks {
    () => {
        concat!(
            "(SELECT h.id, h.account, h.created_at, ",
            managed_rooms!(),
            " AS rooms FROM incoming_hooks h OFFSET 0) h JOIN people u ON u.id = h.account
             WHERE cardinality(h.rooms) > 0"
        )
    };
}

fn hook_of(row: &Row) -> IncomingHook {
    IncomingHook {
        id: row.get(0),
        account: UserId(row.get(1)),
        name: row.get(2),
        rooms: row.get(3),
        created_at: row.get(4),
    }
}

impl PostgresStore {
    /// Sets up an incoming hook, with an account of its own.
    ///
    /// # Errors
    /// [`StoreError`]; after [`StoreError::OutcomeUnknown`] it may be set up.
    pub async fn add_incoming_hook(&self, new: NewIncomingHook<'_>) -> Result<IncomingOutcome, StoreError> {
        // Two at once see each other's.
        const LOCK: &str = "LOCK TABLE incoming_hooks IN SHARE ROW EXCLUSIVE MODE";
        const COUNT: &str = "SELECT count(*), count(*) FILTER (WHERE owner = $1) FROM incoming_hooks";
        const ACCOUNT: &str = "INSERT INTO people (id, username, full_name, told_by_host)
            SELECT next.id, 'integration' || -next.id, $1, true
            FROM (SELECT nextval('integration_ids') AS id) next RETURNING id";
        const INSERT: &str = concat!(
            "WITH h AS (
                 INSERT INTO incoming_hooks (id, secret_hash, account, rooms, owner) VALUES ($1, $2, $3, $4, $5)
                 RETURNING *)
             SELECT ",
            hook_columns!(),
            " FROM h JOIN people u ON u.id = h.account"
        );
        let NewIncomingHook { name, rooms, secret_hash, owner } = new;
        let lost = || StoreError::Unavailable("a hook was not stored".into());
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        transaction.rows(LOCK, &[]).await?;
        let owner = owner.map(|owner| owner.0);
        let counts = transaction.row(COUNT, &[&owner]).await?;
        let (all, own): (i64, i64) = counts.map_or((0, 0), |row| (row.get(0), row.get(1)));
        if all >= HOOKS_MAX || own >= HOOKS_PER_USER {
            return Ok(IncomingOutcome::TooMany);
        }
        let account: i64 = transaction.row(ACCOUNT, &[&name]).await?.ok_or_else(lost)?.get(0);
        let row = transaction.row(INSERT, &[&Uuid::now_v7(), &secret_hash, &account, &rooms, &owner]).await?;
        let hook = row.as_ref().map(hook_of).ok_or_else(lost)?;
        let data = json!({"incoming": hook.id, "rooms": rooms});
        let entry = NewAuditEntry::of(AuditKind::IncomingAdded, new.owner, data);
        audit::add(&transaction, vec![NewAuditEntry { user: Some(hook.account), ..entry }]).await?;
        transaction.commit().await?;
        Ok(IncomingOutcome::Added(hook))
    }

    /// Lists the incoming hooks that `manager` may manage in some room, with these rooms, the oldest first, with the
    /// number of all.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn incoming_hooks(
        &self,
        manager: IntegrationManager,
        limit: i64,
        offset: i64,
    ) -> Result<(i64, Vec<IncomingHook>), StoreError> {
        const LIST: &str = concat!(
            "SELECT ",
            hook_columns!(),
            ", count(*) OVER () FROM ",
            managed_hooks!(),
            " ORDER BY h.id LIMIT $3 OFFSET $4"
        );
        let (all, admin) = manager.params();
        let rows = self.long_read_client().await?.rows(LIST, &[&all, &admin, &limit, &offset]).await?;
        let count = rows.first().map_or(0, |row| row.get(5));
        Ok((count, rows.iter().map(hook_of).collect()))
    }

    /// Reads an incoming hook that `manager` may manage in some room, with these rooms.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn incoming_hook(
        &self,
        manager: IntegrationManager,
        id: Uuid,
    ) -> Result<Option<IncomingHook>, StoreError> {
        const FIND: &str = concat!(
            "SELECT ",
            hook_columns!(),
            " FROM (SELECT h.id, h.account, h.created_at, ",
            managed_rooms!(),
            " AS rooms FROM incoming_hooks h WHERE h.id = $3 OFFSET 0) h JOIN people u ON u.id = h.account
             WHERE cardinality(h.rooms) > 0"
        );
        let (all, admin) = manager.params();
        let row = self.read_client().await?.row(FIND, &[&all, &admin, &id]).await?;
        Ok(row.as_ref().map(hook_of))
    }

    /// Finds the hook of a secret, by its SHA-256, with the rooms in which whoever set it up still may.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn hook_of_secret(&self, secret_hash: &[u8]) -> Result<Option<IncomingHook>, StoreError> {
        const FIND: &str = concat!(
            "SELECT ",
            hook_columns!(
                "ARRAY(SELECT named.id FROM unnest(h.rooms) WITH ORDINALITY named (id, n)
                     WHERE h.owner IS NULL OR EXISTS (SELECT FROM people o WHERE o.id = h.owner AND o.is_active
                         AND (o.is_staff OR EXISTS (SELECT FROM participants p WHERE p.room_id = named.id
                             AND p.user_id = o.id AND p.left_at IS NULL AND p.role = 'admin')))
                     ORDER BY named.n)"
            ),
            " FROM incoming_hooks h JOIN people u ON u.id = h.account WHERE h.secret_hash = $1"
        );
        let row = self.read_client().await?.row(FIND, &[&secret_hash]).await?;
        Ok(row.as_ref().map(hook_of))
    }

    /// Takes an incoming hook out of the rooms in which `manager` may manage it. Without a room it is deleted, and its
    /// account ended, which stays the author of what it wrote. Returns whether there was one.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn delete_incoming_hook(
        &self,
        manager: IntegrationManager,
        id: Uuid,
    ) -> Result<bool, StoreError> {
        const FIND: &str = concat!(
            "SELECT h.account, h.rooms, ",
            managed_rooms!(),
            " FROM incoming_hooks h WHERE h.id = $3 FOR UPDATE"
        );
        const KEEP: &str = "UPDATE incoming_hooks SET rooms = $2 WHERE id = $1";
        const DELETE: &str = "DELETE FROM incoming_hooks WHERE id = $1";
        const END_ACCOUNT: &str =
            "UPDATE people SET is_active = false, changed_xid = pg_current_xact_id() WHERE id = $1";
        let (all, admin) = manager.params();
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        let Some(found) = transaction.row(FIND, &[&all, &admin, &id]).await? else { return Ok(false) };
        let (account, mut rooms, managed): (i64, Vec<Uuid>, Vec<Uuid>) =
            (found.get(0), found.get(1), found.get(2));
        if managed.is_empty() {
            return Ok(false);
        }
        rooms.retain(|room| !managed.contains(room));
        if rooms.is_empty() {
            transaction.rows(DELETE, &[&id]).await?;
            transaction.rows(END_ACCOUNT, &[&account]).await?;
        } else {
            transaction.rows(KEEP, &[&id, &rooms]).await?;
        }
        let entry = NewAuditEntry::of(
            AuditKind::IncomingDeleted,
            manager.user(),
            json!({ "incoming": id, "rooms": managed }),
        );
        let entry = NewAuditEntry { user: Some(UserId(account)), ..entry };
        audit::add(&transaction, vec![entry]).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Names the account in whose name the host application writes.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn name_host_account(&self, name: &str) -> Result<(), StoreError> {
        const RENAME: &str = "UPDATE people SET full_name = $2, changed_xid = pg_current_xact_id()
            WHERE id = $1 AND full_name <> $2";
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        transaction.rows(RENAME, &[&UserId::HOST.0, &name]).await?;
        transaction.commit().await
    }
}
