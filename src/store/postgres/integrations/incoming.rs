//! Incoming hooks: addresses to which other applications post, each with an account that its messages are of.

use actors::domain::ids::UserId;
use actors::ports::store::StoreError;
use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use uuid::Uuid;

use super::access::{IntegrationManager, is_manageable};
use crate::store::postgres::PostgresStore;

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
        "h.id, h.account, u.full_name, h.rooms, h.created_at"
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
        transaction.commit().await?;
        Ok(IncomingOutcome::Added(hook))
    }

    /// Lists the incoming hooks that `manager` may manage, the oldest first, with the number of all.
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
            ", count(*) OVER () FROM incoming_hooks h JOIN people u ON u.id = h.account WHERE ",
            is_manageable!("h"),
            " ORDER BY h.id LIMIT $3 OFFSET $4"
        );
        let (all, admin) = manager.params();
        let rows = self.long_read_client().await?.rows(LIST, &[&all, &admin, &limit, &offset]).await?;
        let count = rows.first().map_or(0, |row| row.get(5));
        Ok((count, rows.iter().map(hook_of).collect()))
    }

    /// Reads an incoming hook that `manager` may manage.
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
            " FROM incoming_hooks h JOIN people u ON u.id = h.account WHERE ",
            is_manageable!("h"),
            " AND h.id = $3"
        );
        let (all, admin) = manager.params();
        let row = self.read_client().await?.row(FIND, &[&all, &admin, &id]).await?;
        Ok(row.as_ref().map(hook_of))
    }

    /// Finds the hook of a secret, by its SHA-256.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn hook_of_secret(&self, secret_hash: &[u8]) -> Result<Option<IncomingHook>, StoreError> {
        const FIND: &str = concat!(
            "SELECT ",
            hook_columns!(),
            " FROM incoming_hooks h JOIN people u ON u.id = h.account WHERE h.secret_hash = $1"
        );
        let row = self.read_client().await?.row(FIND, &[&secret_hash]).await?;
        Ok(row.as_ref().map(hook_of))
    }

    /// Deletes an incoming hook that `manager` may manage, and ends its account, which stays the author of what it
    /// wrote. Returns whether there was one.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn delete_incoming_hook(
        &self,
        manager: IntegrationManager,
        id: Uuid,
    ) -> Result<bool, StoreError> {
        const DELETE: &str = concat!(
            "DELETE FROM incoming_hooks h WHERE ",
            is_manageable!("h"),
            " AND h.id = $3 RETURNING h.account"
        );
        const END_ACCOUNT: &str =
            "UPDATE people SET is_active = false, changed_xid = pg_current_xact_id() WHERE id = $1";
        let (all, admin) = manager.params();
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        let deleted = transaction.row(DELETE, &[&all, &admin, &id]).await?;
        if let Some(row) = &deleted {
            transaction.rows(END_ACCOUNT, &[&row.get::<_, i64>(0)]).await?;
        }
        transaction.commit().await?;
        Ok(deleted.is_some())
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
