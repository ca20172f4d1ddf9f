//! Who has blocked whom. A direct room's row says whether its users can write, so that whoever locks it knows.

use actors::domain::ids::UserId;
use actors::domain::user::UserSummary;
use actors::ports::store::StoreError;
use chrono::{DateTime, Utc};

use super::PostgresStore;
use super::pool::client::WriteTransaction;
use super::rows::{self, user_summary_columns};

/// The most users that one user blocks.
pub const BLOCKS_MAX: i64 = 1_000;

/// Keeps a block from being set while the direct room of its pair is created, and the other way round: the parameters
/// are the lower and the higher id.
pub(super) const LOCK_PAIR: &str =
    "SELECT pg_advisory_xact_lock(hashtextextended($1::bigint::text || ' ' || $2::bigint::text, 0))";
/// Whether one of a pair has blocked the other.
pub(super) const IS_BLOCKED: &str =
    "SELECT EXISTS (SELECT FROM blocks WHERE user_id = $1 AND blocked_id = $2)
    OR EXISTS (SELECT FROM blocks WHERE user_id = $2 AND blocked_id = $1)";

/// A user who is blocked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockedUser {
    /// The user.
    pub user: UserSummary,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// What came of blocking a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockOutcome {
    /// The user is blocked, perhaps since earlier.
    Blocked(BlockedUser),
    /// There is no such user.
    UnknownUser,
    /// The user belongs to the staff, who can't be blocked.
    Staff,
    /// [`BLOCKS_MAX`] others are blocked.
    TooMany,
}

impl PostgresStore {
    /// Has `user` block another.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn block_user(&self, user: UserId, blocked: UserId) -> Result<BlockOutcome, StoreError> {
        const FIND: &str = "SELECT is_staff FROM people WHERE id = $1 AND erased_at IS NULL";
        // One block of a user after the other, so that the limit holds.
        const COUNT: &str = "SELECT (SELECT count(*) FROM (SELECT FROM blocks
                WHERE user_id = u.id AND blocked_id <> $2 LIMIT $3) b)
            FROM people u WHERE u.id = $1 FOR NO KEY UPDATE";
        const INSERT: &str =
            "INSERT INTO blocks (user_id, blocked_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        const SHOW: &str = concat!(
            "SELECT b.created_at, u.id, ",
            user_summary_columns!(),
            " FROM blocks b JOIN people u ON u.id = b.blocked_id WHERE b.user_id = $1 AND b.blocked_id = $2"
        );
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        let Some(found) = transaction.row(FIND, &[&blocked.0]).await? else {
            return Ok(BlockOutcome::UnknownUser);
        };
        if found.get(0) {
            return Ok(BlockOutcome::Staff);
        }
        let others = transaction.row(COUNT, &[&user.0, &blocked.0, &BLOCKS_MAX]).await?;
        if others.is_some_and(|row| row.get::<_, i64>(0) >= BLOCKS_MAX) {
            return Ok(BlockOutcome::TooMany);
        }
        lock_pair(&transaction, user, blocked).await?;
        transaction.rows(INSERT, &[&user.0, &blocked.0]).await?;
        mark_room(&transaction, user, blocked).await?;
        let shown = transaction.row(SHOW, &[&user.0, &blocked.0]).await?;
        transaction.commit().await?;
        let shown = shown.ok_or_else(|| StoreError::Unavailable("no row was returned".into()))?;
        Ok(BlockOutcome::Blocked(blocked_user(&shown)))
    }

    /// Has `user` block another no more. Returns whether that was so.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn unblock_user(&self, user: UserId, blocked: UserId) -> Result<bool, StoreError> {
        const DELETE: &str = "DELETE FROM blocks WHERE user_id = $1 AND blocked_id = $2 RETURNING blocked_id";
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        lock_pair(&transaction, user, blocked).await?;
        let was_blocked = transaction.row(DELETE, &[&user.0, &blocked.0]).await?.is_some();
        mark_room(&transaction, user, blocked).await?;
        transaction.commit().await?;
        Ok(was_blocked)
    }

    /// Lists whom a user has blocked, the last one first, and how many there are.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn blocks(
        &self,
        user: UserId,
        limit: i64,
        offset: i64,
    ) -> Result<(i64, Vec<BlockedUser>), StoreError> {
        const LIST: &str = concat!(
            "SELECT b.created_at, u.id, ",
            user_summary_columns!(),
            ", (SELECT count(*) FROM blocks WHERE user_id = $1)
             FROM blocks b JOIN people u ON u.id = b.blocked_id WHERE b.user_id = $1
             ORDER BY b.created_at DESC, b.blocked_id LIMIT $2 OFFSET $3"
        );
        let rows = self.read_client().await?.rows(LIST, &[&user.0, &limit, &offset]).await?;
        let count = rows.first().map_or(0, |row| row.get(row.len() - 1));
        Ok((count, rows.iter().map(blocked_user).collect()))
    }
}

fn blocked_user(row: &tokio_postgres::Row) -> BlockedUser {
    BlockedUser { user: rows::user_summary(row, UserId(row.get(1)), 2), since: row.get(0) }
}

fn pair(one: UserId, other: UserId) -> (i64, i64) {
    (one.0.min(other.0), one.0.max(other.0))
}

async fn lock_pair(transaction: &WriteTransaction<'_>, one: UserId, other: UserId) -> Result<(), StoreError> {
    let (low, high) = pair(one, other);
    transaction.rows(LOCK_PAIR, &[&low, &high]).await.map(drop)
}

/// Says in the direct room of a pair whether they can write, behind the commands that hold its lock.
async fn mark_room(transaction: &WriteTransaction<'_>, one: UserId, other: UserId) -> Result<(), StoreError> {
    const MARK: &str = "UPDATE rooms SET is_blocked = $3
        WHERE pair_low = $1 AND pair_high = $2 AND is_blocked <> $3 AND deleted_at IS NULL";
    let (low, high) = pair(one, other);
    let is_blocked: bool = transaction.row(IS_BLOCKED, &[&low, &high]).await?.is_some_and(|row| row.get(0));
    transaction.rows(MARK, &[&low, &high, &is_blocked]).await.map(drop)
}

/// Ends the blocks of a user who is erased, in both directions.
pub(super) async fn erase(transaction: &WriteTransaction<'_>, user: UserId) -> Result<(), StoreError> {
    transaction.rows("DELETE FROM blocks WHERE user_id = $1", &[&user.0]).await?;
    transaction.rows("DELETE FROM blocks WHERE blocked_id = $1", &[&user.0]).await.map(drop)
}
