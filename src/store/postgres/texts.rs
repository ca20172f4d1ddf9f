//! Keeps the texts that are searched up with the messages, as a reader of the feed of commits.
//!
//! Of all nodes one at a time does a round; whoever is stopped in the middle has done nothing.

use actors::ports::store::StoreError;

use super::PostgresStore;

/// Makes a round, or an erasure that no event tells of, the only one.
///
/// It stands before the round and not in it: a statement's snapshot is older than its locks, and would show
/// what was erased while it waited for them.
pub(super) const ALONE: &str = "SELECT FROM texts_progress FOR UPDATE";
const ALONE_OR_NOT: &str = "SELECT FROM texts_progress FOR UPDATE SKIP LOCKED";

/// One round: the events of whole transactions that follow the last round's, as they are now. None of those
/// below the oldest transaction that is under way can still commit, so none is missed.
const ROUND: &str = "WITH bounds AS MATERIALIZED (
        SELECT position AS since, coalesce(
            (SELECT (xid::text::bigint + 1)::text::xid8 FROM events
             WHERE xid >= position AND xid < pg_snapshot_xmin(pg_current_snapshot())
             ORDER BY xid OFFSET $1 LIMIT 1),
            pg_snapshot_xmin(pg_current_snapshot())) AS until
        FROM texts_progress),
    changed AS MATERIALIZED (
        SELECT DISTINCT e.room_id, e.message_id FROM bounds CROSS JOIN LATERAL (
            SELECT room_id, message_id FROM events
            WHERE xid >= since AND xid < until AND message_id IS NOT NULL OFFSET 0) e),
    current AS MATERIALIZED (
        SELECT m.room_id, m.id, m.rev, m.content, m.deleted_at IS NULL AND m.content <> '' AS is_text
        FROM changed c CROSS JOIN LATERAL (
            SELECT * FROM messages WHERE room_id = c.room_id AND id = c.message_id LIMIT 1) m),
    gone AS (
        DELETE FROM texts t USING current c
        WHERE t.room_id = c.room_id AND t.message_id = c.id AND NOT c.is_text
          AND t.room_id = ANY (ARRAY(SELECT room_id FROM current WHERE NOT is_text))),
    put AS (
        INSERT INTO texts (room_id, message_id, rev, content)
        SELECT room_id, id, rev, content FROM current WHERE is_text
        ON CONFLICT (room_id, message_id) DO UPDATE SET rev = excluded.rev, content = excluded.content)
    UPDATE texts_progress SET position = until FROM bounds RETURNING (SELECT count(*) FROM changed)";

impl PostgresStore {
    /// Takes in the messages of up to about `limit` events; how many messages that were. None when there is
    /// nothing new or another node is at it.
    ///
    /// # Errors
    /// [`StoreError`]; doing it again is safe.
    pub async fn take_in_texts(&self, limit: i64) -> Result<i64, StoreError> {
        let mut client = self.background_writer().await?;
        let writer = client.begin().await?;
        if writer.row(ALONE_OR_NOT, &[]).await?.is_none() {
            return Ok(0);
        }
        let done = writer.rows(ROUND, &[&limit]).await?;
        writer.commit().await?;
        Ok(done.first().map_or(0, |row| row.get(0)))
    }
}
