//! Sign-ins of built-in accounts: for each the refresh token that is good now.
//!
//! A refresh token is good once. What came of one sign-in is a family; one that has ended has no row.

use actors::domain::ids::UserId;
use actors::ports::store::StoreError;
use uuid::Uuid;

use super::PostgresStore;
use super::people::{PersonRecord, RECORD_WIDTH, record, record_columns};
use super::rows::author_columns;

/// For how long after it has given way a token counts as shown at the same moment, in milliseconds. Nobody may
/// be given the next one within that time: whoever has seen an answer is past it.
pub const SAME_MOMENT_MS: u32 = 200;

/// The most sign-ins of one account; beyond it that one ends which was used the longest ago.
const FAMILIES_MAX: i64 = 1_000;
/// Families that one round forgets.
const FORGOTTEN_MAX: i64 = 10_000;

/// A sign-in, and its refresh token that is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// Its id.
    pub id: Uuid,
    /// The token's `jti`.
    pub current: Uuid,
}

/// What the store knows of one who shows a refresh token.
#[derive(Clone, Debug)]
pub struct Renewer {
    /// The person, who has an account here.
    pub person: PersonRecord,
    /// The token of the family that is good; none when the family has ended.
    pub current: Option<Uuid>,
    /// The one before, where it has given way at this very moment.
    pub just_before: Option<Uuid>,
    /// Since when tokens name their family; Unix time.
    pub families_since: i64,
}

impl PostgresStore {
    /// Reads what is known of one with an account here and of a family of that one; `None`: no account.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn renewer(&self, user: UserId, family: Option<Uuid>) -> Result<Option<Renewer>, StoreError> {
        const FIND: &str = concat!(
            "SELECT ",
            record_columns!(),
            ", f.current,
               CASE WHEN f.used_at > clock_timestamp() - make_interval(secs => $3::float8 / 1000) THEN f.previous END,
               (SELECT extract(epoch FROM families_since)::bigint FROM installation)
               FROM accounts a JOIN people u ON u.id = a.user_id
               LEFT JOIN token_families f ON f.id = $2 AND f.user_id = a.user_id AND f.expires_at > now()
               WHERE a.user_id = $1"
        );
        let same_moment = f64::from(SAME_MOMENT_MS);
        let row = self.reader().await?.row(FIND, &[&user.0, &family, &same_moment]).await?;
        Ok(row.map(|row| Renewer {
            person: record(&row),
            current: row.get(RECORD_WIDTH),
            just_before: row.get(RECORD_WIDTH + 1),
            families_since: row.get::<_, Option<_>>(RECORD_WIDTH + 2).unwrap_or(0),
        }))
    }

    /// Begins a family of one with an account here, for `seconds`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin_family(&self, user: UserId, family: Family, seconds: i64) -> Result<(), StoreError> {
        const BEGIN: &str = "INSERT INTO token_families (id, user_id, current, used_at, expires_at)
            VALUES ($2, $1, $3, now(), now() + make_interval(secs => $4::bigint))";
        const BEYOND: &str = "DELETE FROM token_families WHERE id IN (
            SELECT id FROM token_families WHERE user_id = $1 ORDER BY used_at DESC OFFSET $2)";
        let mut client = self.writer().await?;
        let writer = client.begin().await?;
        writer.rows(BEGIN, &[&user.0, &family.id, &family.current, &seconds]).await?;
        writer.rows(BEYOND, &[&user.0, &FAMILIES_MAX]).await?;
        writer.commit().await
    }

    /// Puts `next` in the place of the token of `family` that is good, for `seconds`, and gives the one that is
    /// good then: another one where someone was faster at the same moment, none where the family has ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rotate_family(
        &self,
        family: Family,
        next: Uuid,
        seconds: i64,
    ) -> Result<Option<Uuid>, StoreError> {
        const ROTATE: &str =
            "UPDATE token_families SET current = $3, previous = current, used_at = clock_timestamp(),
                expires_at = now() + make_interval(secs => $4::bigint)
            WHERE id = $1 AND current = $2 RETURNING current";
        const FIND: &str = "SELECT current FROM token_families WHERE id = $1 AND previous = $2";
        let mut client = self.writer().await?;
        let writer = client.begin().await?;
        let rotated = writer.row(ROTATE, &[&family.id, &family.current, &next, &seconds]).await?;
        let now = match rotated {
            Some(row) => Some(row),
            None => writer.row(FIND, &[&family.id, &family.current]).await?,
        };
        writer.commit().await?;
        Ok(now.map(|row| row.get(0)))
    }

    /// Ends a family: none of its refresh tokens is good any more.
    ///
    /// # Errors
    /// [`StoreError`]; doing it again is safe.
    pub async fn end_family(&self, family: Uuid) -> Result<(), StoreError> {
        let mut client = self.writer().await?;
        let writer = client.begin().await?;
        writer.rows("DELETE FROM token_families WHERE id = $1", &[&family]).await?;
        writer.commit().await
    }

    /// Takes away families whose last token has expired.
    ///
    /// # Errors
    /// [`StoreError`]; doing it again is safe.
    pub async fn forget_families(&self) -> Result<(), StoreError> {
        const FORGET: &str = "DELETE FROM token_families WHERE id IN (
            SELECT id FROM token_families WHERE expires_at < now() ORDER BY expires_at LIMIT $1)";
        let mut client = self.background_writer().await?;
        let writer = client.begin().await?;
        writer.rows(FORGET, &[&FORGOTTEN_MAX]).await?;
        writer.commit().await
    }
}
