//! The texts that a message has had.

use actors::domain::ids::{MessageId, UserId};
use actors::ports::store::StoreError;
use chrono::{DateTime, Utc};
use tokio_postgres::Row;

use crate::store::postgres::PostgresStore;
use crate::store::postgres::rules::is_visible;

/// A text that a message has or had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageVersion {
    /// The text.
    pub content: String,
    /// When it was written.
    pub written_at: DateTime<Utc>,
}

/// The result of looking the texts of a message up for a viewer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionsLookup {
    /// The message doesn't exist or was deleted, or the viewer may not see it.
    NotFound,
    /// The room doesn't show earlier texts.
    Forbidden,
    /// The texts, oldest first.
    Found(Vec<MessageVersion>),
}

impl PostgresStore {
    /// Reads the newest `limit` texts of an undeleted message that the viewer may see.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn message_versions(
        &self,
        viewer: UserId,
        id: MessageId,
        limit: i64,
    ) -> Result<VersionsLookup, StoreError> {
        const FIND: &str = concat!(
            "SELECT found.edit_history, v.content, v.at FROM (
                 SELECT m.room_id, m.id, m.rev, m.content, coalesce(m.edited_at, m.created_at) AS at, r.edit_history
                 FROM messages m
                 JOIN rooms r ON r.id = m.room_id AND r.deleted_at IS NULL
                 JOIN participants me ON me.room_id = m.room_id AND me.user_id = $1 AND me.left_at IS NULL
                 WHERE m.id = $2 AND m.deleted_at IS NULL AND ",
            is_visible!("m", "me"),
            ") found CROSS JOIN LATERAL (
                 (SELECT rev, content, at FROM message_versions
                  WHERE found.edit_history AND room_id = found.room_id AND message_id = found.id
                  ORDER BY rev DESC LIMIT $3::bigint - 1)
                 UNION ALL SELECT found.rev, found.content, found.at) v ORDER BY v.rev"
        );
        let rows = self.read_client().await?.rows(FIND, &[&viewer.0, &id.0, &limit]).await?;
        Ok(match rows.first().map(|row| row.get(0)) {
            None => VersionsLookup::NotFound,
            Some(false) => VersionsLookup::Forbidden,
            Some(true) => {
                let version = |row: &Row| MessageVersion { content: row.get(1), written_at: row.get(2) };
                VersionsLookup::Found(rows.iter().map(version).collect())
            }
        })
    }
}
