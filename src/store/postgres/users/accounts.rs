//! Built-in accounts, which sign in here and not at the host application.

use actors::domain::ids::UserId;
use actors::ports::store::StoreError;

use crate::store::postgres::PostgresStore;

/// A built-in account as sign-in needs it.
#[derive(Clone)]
pub struct Account {
    /// Its user.
    pub user: UserId,
    /// The argon2 hash of its password.
    pub password_hash: String,
    /// Whether the user is active.
    pub is_active: bool,
}

impl PostgresStore {
    /// Finds a built-in account by its sign-in name.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn account(&self, username: &str) -> Result<Option<Account>, StoreError> {
        const FIND: &str = "SELECT a.user_id, a.password_hash, u.is_active FROM accounts a
                            JOIN people u ON u.id = a.user_id WHERE a.username = $1";
        let row = self.read_client().await?.row(FIND, &[&username]).await?;
        Ok(row.map(|row| Account {
            user: UserId(row.get(0)),
            password_hash: row.get(1),
            is_active: row.get(2),
        }))
    }

    /// Creates a built-in account with its user, or updates the names and the password of an existing one.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn upsert_account(
        &self,
        username: &str,
        full_name: &str,
        email: &str,
        is_staff: bool,
        password_hash: &str,
    ) -> Result<UserId, StoreError> {
        const RENEW: &str = "UPDATE accounts SET password_hash = $2 WHERE username = $1 RETURNING user_id";
        // No other code here assigns user ids, so the lock on this table is enough to keep them unique.
        const LOCK: &str = "LOCK TABLE accounts IN SHARE ROW EXCLUSIVE MODE";
        const PERSON: &str = "INSERT INTO people (id, username, full_name, email, is_staff)
            SELECT greatest(max(id), 0) + 1, $1, $2, $3, $4 FROM people RETURNING id";
        const RENAME: &str = "UPDATE people SET full_name = $2, email = $3, is_staff = $4,
            changed_xid = CASE WHEN full_name = $2 THEN changed_xid ELSE pg_current_xact_id() END WHERE id = $1";
        const ACCOUNT: &str = "INSERT INTO accounts (username, user_id, password_hash) VALUES ($1, $2, $3)";
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        transaction.rows(LOCK, &[]).await?;
        let id: i64 = match transaction.row(RENEW, &[&username, &password_hash]).await? {
            Some(row) => {
                let id: i64 = row.get(0);
                transaction.rows(RENAME, &[&id, &full_name, &email, &is_staff]).await?;
                id
            }
            None => {
                let row = transaction.row(PERSON, &[&username, &full_name, &email, &is_staff]).await?;
                let id = row.map_or(1, |row| row.get(0));
                transaction.rows(ACCOUNT, &[&username, &id, &password_hash]).await?;
                id
            }
        };
        transaction.commit().await?;
        Ok(UserId(id))
    }
}
