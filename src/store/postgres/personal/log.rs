//! Personal logs: appending to them, and removing entries that are too old.

use std::collections::BTreeSet;
use std::time::Duration;

use actors::domain::ids::{PersonalSeq, UserId};
use actors::domain::personal::{ENTRIES_KEPT, PersonalChange};
use actors::ports::store::StoreError;
use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::store::postgres::PostgresStore;
use crate::store::postgres::pool::client::WriteTransaction;

/// Entries removed by one call, which takes some 10 ms.
const REMOVED_AT_ONCE: i64 = 1_000;

/// Appends an entry for each element of the arrays `$1` to `$3`: users, kinds and ids. Of each log, the newest
/// `$4` entries are kept. The heads are locked in the order of their users.
pub(crate) const APPEND: &str = "WITH changes AS (
         SELECT * FROM unnest($1::bigint[], $2::text[], $3::uuid[]) WITH ORDINALITY c (user_id, kind, id, number)),
     heads AS (
         INSERT INTO personal_heads AS h (user_id, head)
         SELECT user_id, count(*) FROM changes GROUP BY user_id ORDER BY user_id
         ON CONFLICT (user_id) DO UPDATE SET head = h.head + excluded.head,
             pruned = greatest(h.pruned, h.head + excluded.head - $4::bigint)
         RETURNING user_id, head, pruned),
     removed AS (
         DELETE FROM personal_log l USING heads WHERE l.user_id = heads.user_id AND l.position <= heads.pruned)
     INSERT INTO personal_log (user_id, position, kind, id)
     SELECT c.user_id, heads.head - count(*) OVER of_user + row_number() OVER (of_user ORDER BY c.number), c.kind, c.id
     FROM changes c JOIN heads ON heads.user_id = c.user_id WINDOW of_user AS (PARTITION BY c.user_id)
     RETURNING user_id, position";

/// Locks a user's log, which may be empty, and reads the clock after that.
const LOCK: &str = "INSERT INTO personal_heads AS h (user_id, head) VALUES ($1, 0)
     ON CONFLICT (user_id) DO UPDATE SET head = h.head RETURNING clock_timestamp()";

/// Locks the logs of the users `$1`, which may be empty, in the order of the users.
const LOCK_ALL: &str = "INSERT INTO personal_heads AS h (user_id, head)
     SELECT user_id, 0 FROM unnest($1::bigint[]) u (user_id) ORDER BY user_id
     ON CONFLICT (user_id) DO UPDATE SET head = h.head";

/// A page of something that only its user sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonalList<T> {
    /// The number of items on all pages.
    pub count: i64,
    /// The head of the personal log when the page was read.
    pub head: PersonalSeq,
    /// The items of this page.
    pub items: Vec<T>,
}

impl<T> PersonalList<T> {
    /// Reads rows of a count, a head and an item. A row without an item stands for an empty page.
    pub(crate) fn of(rows: &[Row], item: impl Fn(&Row) -> Option<T>) -> Self {
        let first = rows.first();
        let head = first.and_then(|row| row.get::<_, Option<i64>>(1)).unwrap_or_default();
        Self {
            count: first.map_or(0, |row| row.get(0)),
            head: PersonalSeq(head),
            items: rows.iter().filter_map(item).collect(),
        }
    }
}

/// Locks a user's log until the end of the transaction, and with it what the log is about. Returns the time.
pub(crate) async fn lock(
    transaction: &WriteTransaction<'_>,
    user: UserId,
) -> Result<DateTime<Utc>, StoreError> {
    let row = transaction.row(LOCK, &[&user.0]).await?;
    row.map(|row| row.get(0)).ok_or_else(|| StoreError::Unavailable("a head was not stored".into()))
}

/// Locks the logs of these users, each named once, until the end of the transaction.
pub(crate) async fn lock_all(
    transaction: &WriteTransaction<'_>,
    users: &BTreeSet<UserId>,
) -> Result<(), StoreError> {
    let users: Vec<i64> = users.iter().map(|user| user.0).collect();
    transaction.rows(LOCK_ALL, &[&users]).await.map(drop)
}

/// Appends changes to the logs of their users. Returns the position of each, in no particular order.
pub(crate) async fn append(
    transaction: &WriteTransaction<'_>,
    changes: &[PersonalChange],
) -> Result<Vec<(UserId, PersonalSeq)>, StoreError> {
    let users: Vec<i64> = changes.iter().map(|change| change.user.0).collect();
    let kinds: Vec<&str> = changes.iter().map(|change| change.kind.as_str()).collect();
    let ids: Vec<Uuid> = changes.iter().map(|change| change.id).collect();
    let rows = transaction.rows(APPEND, &[&users, &kinds, &ids, &ENTRIES_KEPT]).await?;
    Ok(rows.iter().map(|row| (UserId(row.get(0)), PersonalSeq(row.get(1)))).collect())
}

impl PostgresStore {
    /// Removes some entries older than `age`, and those before them. Returns whether there may be more.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn delete_old_personal_entries(&self, age: Duration) -> Result<bool, StoreError> {
        // The heads are locked in the order of their users, as those who append lock them.
        const DELETE: &str = "WITH old AS MATERIALIZED (
                SELECT user_id, max(position) AS position FROM (
                    SELECT user_id, position FROM personal_log
                    WHERE at < now() - make_interval(secs => $1) ORDER BY at LIMIT $2) o GROUP BY user_id),
            locked AS MATERIALIZED (
                SELECT user_id FROM personal_heads WHERE user_id = ANY (ARRAY(SELECT user_id FROM old))
                ORDER BY user_id FOR NO KEY UPDATE),
            moved AS (
                UPDATE personal_heads h SET pruned = greatest(h.pruned, old.position)
                FROM locked JOIN old ON old.user_id = locked.user_id WHERE h.user_id = locked.user_id
                RETURNING h.user_id, h.pruned),
            deleted AS (
                DELETE FROM personal_log l USING moved WHERE l.user_id = moved.user_id AND l.position <= moved.pruned
                RETURNING 1)
            SELECT count(*) >= $2 FROM deleted";
        let mut client = self.background_write_client().await?;
        let transaction = client.begin().await?;
        let deleted = transaction.row(DELETE, &[&age.as_secs_f64(), &REMOVED_AT_ONCE]).await?;
        transaction.commit().await?;
        Ok(deleted.is_some_and(|row| row.get(0)))
    }
}
