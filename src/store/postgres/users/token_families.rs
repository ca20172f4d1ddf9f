//! Refresh tokens of built-in accounts.
//!
//! A refresh token is valid once. The tokens that follow from one sign-in are a family; a family that has been
//! revoked has no row.

use actors::domain::ids::UserId;
use actors::ports::store::StoreError;
use uuid::Uuid;

use super::record::{USER_RECORD_WIDTH, UserRecord, user_record_columns, user_record_of};
use crate::store::postgres::PostgresStore;

/// For how long after a rotation the previous token counts as used concurrently, in milliseconds. No response may
/// carry the next token earlier than that, so a client that has seen a response is past the grace period.
pub const ROTATION_GRACE_MS: u32 = 200;

/// The most families of one account; beyond that the least recently used one is deleted.
const FAMILIES_MAX: i64 = 1_000;
/// Families deleted by one call.
const DELETED_AT_ONCE: i64 = 10_000;

/// A token family with its valid refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenFamily {
    /// The id of the family.
    pub id: Uuid,
    /// The `jti` of the valid token.
    pub current: Uuid,
}

/// What a refresh request is judged by.
#[derive(Clone, Debug)]
pub struct RefreshState {
    /// The user, who has a built-in account.
    pub user: UserRecord,
    /// The valid token of the family; `None` if the family was revoked.
    pub current: Option<Uuid>,
    /// The previous token, within its grace period.
    pub previous: Option<Uuid>,
    /// The Unix time since which tokens name their family.
    pub families_since: i64,
}

impl PostgresStore {
    /// Reads a user with a built-in account and one of their families; `None`: there is no such account.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn refresh_state(
        &self,
        user: UserId,
        family: Option<Uuid>,
    ) -> Result<Option<RefreshState>, StoreError> {
        const FIND: &str = concat!(
            "SELECT ",
            user_record_columns!(),
            ", f.current,
               CASE WHEN f.used_at > clock_timestamp() - make_interval(secs => $3::float8 / 1000) THEN f.previous END,
               (SELECT extract(epoch FROM families_since)::bigint FROM installation)
               FROM accounts a JOIN people u ON u.id = a.user_id
               LEFT JOIN token_families f ON f.id = $2 AND f.user_id = a.user_id AND f.expires_at > now()
               WHERE a.user_id = $1"
        );
        let grace = f64::from(ROTATION_GRACE_MS);
        let row = self.read_client().await?.row(FIND, &[&user.0, &family, &grace]).await?;
        Ok(row.map(|row| RefreshState {
            user: user_record_of(&row),
            current: row.get(USER_RECORD_WIDTH),
            previous: row.get(USER_RECORD_WIDTH + 1),
            families_since: row.get::<_, Option<_>>(USER_RECORD_WIDTH + 2).unwrap_or(0),
        }))
    }

    /// Stores a new family of a built-in account, which expires after `seconds`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create_token_family(
        &self,
        user: UserId,
        family: TokenFamily,
        seconds: i64,
    ) -> Result<(), StoreError> {
        const INSERT: &str = "INSERT INTO token_families (id, user_id, current, used_at, expires_at)
            VALUES ($2, $1, $3, now(), now() + make_interval(secs => $4::bigint))";
        const DELETE_EXCESS: &str = "DELETE FROM token_families WHERE id IN (
            SELECT id FROM token_families WHERE user_id = $1 ORDER BY used_at DESC OFFSET $2)";
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        transaction.rows(INSERT, &[&user.0, &family.id, &family.current, &seconds]).await?;
        transaction.rows(DELETE_EXCESS, &[&user.0, &FAMILIES_MAX]).await?;
        transaction.commit().await
    }

    /// Replaces the valid token of `family` by `next`, which expires after `seconds`, and returns the token that is
    /// valid then. It is another one if a concurrent call was faster, and `None` if the family was revoked.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rotate_token_family(
        &self,
        family: TokenFamily,
        next: Uuid,
        seconds: i64,
    ) -> Result<Option<Uuid>, StoreError> {
        const ROTATE: &str =
            "UPDATE token_families SET current = $3, previous = current, used_at = clock_timestamp(),
                expires_at = now() + make_interval(secs => $4::bigint)
            WHERE id = $1 AND current = $2 RETURNING current";
        const FIND: &str = "SELECT current FROM token_families WHERE id = $1 AND previous = $2";
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        let rotated = transaction.row(ROTATE, &[&family.id, &family.current, &next, &seconds]).await?;
        let now = match rotated {
            Some(row) => Some(row),
            None => transaction.row(FIND, &[&family.id, &family.current]).await?,
        };
        transaction.commit().await?;
        Ok(now.map(|row| row.get(0)))
    }

    /// Revokes a family with all its refresh tokens.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn revoke_token_family(&self, family: Uuid) -> Result<(), StoreError> {
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        transaction.rows("DELETE FROM token_families WHERE id = $1", &[&family]).await?;
        transaction.commit().await
    }

    /// Deletes families whose last token has expired.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn delete_expired_token_families(&self) -> Result<(), StoreError> {
        const DELETE_EXPIRED: &str = "DELETE FROM token_families WHERE id IN (
            SELECT id FROM token_families WHERE expires_at < now() ORDER BY expires_at LIMIT $1)";
        let mut client = self.background_write_client().await?;
        let transaction = client.begin().await?;
        transaction.rows(DELETE_EXPIRED, &[&DELETED_AT_ONCE]).await?;
        transaction.commit().await
    }
}
