//! The records of attachments: who uploaded them, which message each came with, which are to be erased. Their
//! bytes are in the file storage.

use std::time::Duration;

use actors::domain::ids::{FileId, UserId};
use actors::ports::store::StoreError;
use uuid::Uuid;

use super::PostgresStore;
use super::rules::is_visible;

/// A file as it is served.
#[derive(Clone, PartialEq, Eq)]
pub struct FileDetails {
    /// The name to show.
    pub name: String,
    /// Its media type.
    pub content_type: String,
    /// Whether it is shown inline.
    pub is_image: bool,
}

/// A stored file that no message carries yet.
#[derive(Clone, Copy)]
pub struct UnattachedFile<'a> {
    /// Its id in the file storage.
    pub id: FileId,
    /// Who uploaded it.
    pub uploaded_by: UserId,
    /// The name to show.
    pub name: &'a str,
    /// Its size in bytes.
    pub size: i64,
    /// Its media type.
    pub content_type: &'a str,
    /// Whether it is shown inline.
    pub is_image: bool,
    /// The size of a picture as it is shown, width first.
    pub pixels: Option<(i32, i32)>,
    /// Whether the picture is served in smaller sizes too.
    pub has_previews: bool,
}

impl PostgresStore {
    /// Records a stored file.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn insert_unattached_file(&self, file: UnattachedFile<'_>) -> Result<(), StoreError> {
        const INSERT: &str = "INSERT INTO files (id, uploaded_by, name, size, content_type, is_image,
                width, height, has_previews) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let UnattachedFile { id, uploaded_by, name, size, content_type, is_image, pixels, has_previews } =
            file;
        let (width, height) = pixels.unzip();
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        let uploaded_by = uploaded_by.0;
        transaction
            .rows(
                INSERT,
                &[
                    &id.0,
                    &uploaded_by,
                    &name,
                    &size,
                    &content_type,
                    &is_image,
                    &width,
                    &height,
                    &has_previews,
                ],
            )
            .await?;
        transaction.commit().await
    }

    /// Discards a file that no message carries; the next sweep erases it.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn discard_file(&self, id: FileId) -> Result<(), StoreError> {
        const DISCARD: &str = "WITH discarded AS (
                DELETE FROM files WHERE id = $1 AND message_id IS NULL RETURNING id)
            INSERT INTO files_to_erase (id) SELECT id FROM discarded ON CONFLICT DO NOTHING";
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        transaction.rows(DISCARD, &[&id.0]).await?;
        transaction.commit().await
    }

    /// Discards all files older than `age` that no message carries.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn discard_unattached_files(&self, age: Duration) -> Result<(), StoreError> {
        const DISCARD: &str = "WITH discarded AS (
                DELETE FROM files WHERE message_id IS NULL
                    AND created_at < now() - make_interval(secs => $1) RETURNING id)
            INSERT INTO files_to_erase (id) SELECT id FROM discarded ON CONFLICT DO NOTHING";
        let mut client = self.background_write_client().await?;
        let transaction = client.begin().await?;
        transaction.rows(DISCARD, &[&age.as_secs_f64()]).await?;
        transaction.commit().await
    }

    /// Lists files to erase, the longest waiting first; legal holds keep theirs.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn files_to_erase(&self, limit: i64) -> Result<Vec<FileId>, StoreError> {
        const FIND: &str = "SELECT f.id FROM files_to_erase f
            WHERE NOT EXISTS (SELECT FROM held_messages WHERE file_ids @> ARRAY[f.id]) ORDER BY f.since LIMIT $1";
        let rows = self.read_client().await?.rows(FIND, &[&limit]).await?;
        Ok(rows.iter().map(|row| FileId(row.get(0))).collect())
    }

    /// Records that these files were erased from the storage.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn confirm_erased_files(&self, files: &[FileId]) -> Result<(), StoreError> {
        let ids: Vec<Uuid> = files.iter().map(|file| file.0).collect();
        let mut client = self.background_write_client().await?;
        let transaction = client.begin().await?;
        transaction.rows("DELETE FROM files WHERE id = ANY($1)", &[&ids]).await?;
        transaction.rows("DELETE FROM files_to_erase WHERE id = ANY($1)", &[&ids]).await?;
        transaction.commit().await
    }

    /// Finds a file for an active user who is in the room of a message that carries it. `valid_from` (Unix time)
    /// is the user's `tokens_valid_from` when a file URL was signed: after a later revocation, the URL finds
    /// nothing.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn visible_file(
        &self,
        viewer: UserId,
        id: FileId,
        valid_from: Option<i64>,
    ) -> Result<Option<FileDetails>, StoreError> {
        // First the message with which the file came, then the copies in the viewer's rooms: others may have
        // forwarded it any number of times.
        const FIND: &str = concat!(
            "SELECT coalesce(m.attachment_name, f.name), f.content_type, f.is_image
            FROM files f
            JOIN people u ON u.id = $2 AND u.is_active
            CROSS JOIN LATERAL (
                SELECT f.room_id, f.message_id
                UNION ALL
                SELECT c.room_id, c.message_id FROM participants mine CROSS JOIN LATERAL (
                    SELECT room_id, message_id FROM forwarded_files
                    WHERE file_id = f.id AND room_id = mine.room_id OFFSET 0) c
                WHERE mine.user_id = $2 AND mine.left_at IS NULL) k
            CROSS JOIN LATERAL (
                SELECT seq, CASE WHEN file_id = f.id THEN attachment_name END AS attachment_name FROM messages
                WHERE room_id = k.room_id AND id = k.message_id AND deleted_at IS NULL AND (file_id = f.id
                    OR extras -> 'more_files' @> jsonb_build_array(jsonb_build_object('file', f.id)))
                LIMIT 1) m
            CROSS JOIN LATERAL (
                SELECT visible_from_seq FROM participants
                WHERE room_id = k.room_id AND user_id = $2 AND left_at IS NULL LIMIT 1) p
            CROSS JOIN LATERAL (SELECT FROM rooms WHERE id = k.room_id AND deleted_at IS NULL LIMIT 1) r
            WHERE f.id = $1 AND ($3::bigint IS NULL OR u.tokens_valid_from IS NULL OR u.tokens_valid_from <= $3)
                AND ",
            is_visible!("m", "p"),
            " LIMIT 1"
        );
        let row = self.read_client().await?.row(FIND, &[&id.0, &viewer.0, &valid_from]).await?;
        Ok(row.map(|row| FileDetails { name: row.get(0), content_type: row.get(1), is_image: row.get(2) }))
    }
}
