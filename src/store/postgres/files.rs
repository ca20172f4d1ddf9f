//! What the database knows of attachments: whose they are, which message carries them, which ones
//! are to go. The bytes lie elsewhere.

use std::time::Duration;

use actors::domain::ids::{FileId, UserId};
use actors::ports::store::StoreError;
use uuid::Uuid;

use super::PostgresStore;

/// A file as it is given out.
#[derive(Clone, PartialEq, Eq)]
pub struct ServedFile {
    /// Its name, for people.
    pub name: String,
    /// Its format.
    pub content_type: String,
    /// Whether it is shown in place.
    pub is_image: bool,
}

/// A file that has been taken in and that no message carries yet.
#[derive(Clone, Copy)]
pub struct UnsentFile<'a> {
    /// Where it lies.
    pub id: FileId,
    /// Who sent it.
    pub uploaded_by: UserId,
    /// Its name, for people.
    pub name: &'a str,
    /// Its size in bytes.
    pub size: i64,
    /// Its format.
    pub content_type: &'a str,
    /// Whether it is shown in place.
    pub is_image: bool,
}

impl PostgresStore {
    /// Notes a file that has been taken in.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keep_unsent_file(&self, file: UnsentFile<'_>) -> Result<(), StoreError> {
        const KEEP: &str = "INSERT INTO files (id, uploaded_by, name, size, content_type, is_image)
                            VALUES ($1, $2, $3, $4, $5, $6)";
        let UnsentFile { id, uploaded_by, name, size, content_type, is_image } = file;
        let mut client = self.writer().await?;
        let writer = client.begin().await?;
        writer.rows(KEEP, &[&id.0, &uploaded_by.0, &name, &size, &content_type, &is_image]).await?;
        writer.commit().await
    }

    /// Gives a file up that no message carries; it is erased by the next sweep.
    ///
    /// # Errors
    /// [`StoreError`]; doing it again is safe.
    pub async fn give_up_file(&self, id: FileId) -> Result<(), StoreError> {
        const GIVE_UP: &str = "WITH gone AS (
                DELETE FROM files WHERE id = $1 AND message_id IS NULL RETURNING id)
            INSERT INTO files_to_erase (id) SELECT id FROM gone ON CONFLICT DO NOTHING";
        let mut client = self.writer().await?;
        let writer = client.begin().await?;
        writer.rows(GIVE_UP, &[&id.0]).await?;
        writer.commit().await
    }

    /// Gives up all files that have been waiting for their message for longer than `age`.
    ///
    /// # Errors
    /// [`StoreError`]; doing it again is safe.
    pub async fn give_up_unsent_files(&self, age: Duration) -> Result<(), StoreError> {
        const GIVE_UP: &str = "WITH gone AS (
                DELETE FROM files WHERE message_id IS NULL
                    AND created_at < now() - make_interval(secs => $1) RETURNING id)
            INSERT INTO files_to_erase (id) SELECT id FROM gone ON CONFLICT DO NOTHING";
        let mut client = self.background_writer().await?;
        let writer = client.begin().await?;
        writer.rows(GIVE_UP, &[&age.as_secs_f64()]).await?;
        writer.commit().await
    }

    /// Lists files that are to be erased, the longest waiting first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn files_to_erase(&self, limit: i64) -> Result<Vec<FileId>, StoreError> {
        const FIND: &str = "SELECT id FROM files_to_erase ORDER BY since LIMIT $1";
        let rows = self.reader().await?.rows(FIND, &[&limit]).await?;
        Ok(rows.iter().map(|row| FileId(row.get(0))).collect())
    }

    /// Notes that these files are gone from the storage.
    ///
    /// # Errors
    /// [`StoreError`]; doing it again is safe.
    pub async fn erased_files(&self, files: &[FileId]) -> Result<(), StoreError> {
        let ids: Vec<Uuid> = files.iter().map(|file| file.0).collect();
        let mut client = self.background_writer().await?;
        let writer = client.begin().await?;
        writer.rows("DELETE FROM files WHERE id = ANY($1)", &[&ids]).await?;
        writer.rows("DELETE FROM files_to_erase WHERE id = ANY($1)", &[&ids]).await?;
        writer.commit().await
    }

    /// Finds a file for one who is in the room of its message now and may be. With `valid_from`, Unix time,
    /// an address made when the person's tokens were good since then finds nothing once they were revoked anew.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn file_for(
        &self,
        viewer: UserId,
        id: FileId,
        valid_from: Option<i64>,
    ) -> Result<Option<ServedFile>, StoreError> {
        const FIND: &str = "SELECT coalesce(m.attachment_name, f.name), f.content_type, f.is_image
            FROM files f
            JOIN messages m ON m.room_id = f.room_id AND m.id = f.message_id AND m.file_id = f.id
                AND m.deleted_at IS NULL
            JOIN rooms r ON r.id = f.room_id AND r.deleted_at IS NULL
            JOIN participants p ON p.room_id = f.room_id AND p.user_id = $2 AND p.left_at IS NULL
                AND m.seq >= p.visible_from_seq
            JOIN people u ON u.id = p.user_id AND u.is_active
            WHERE f.id = $1 AND ($3::bigint IS NULL OR u.tokens_valid_from IS NULL OR u.tokens_valid_from <= $3)";
        let row = self.reader().await?.row(FIND, &[&id.0, &viewer.0, &valid_from]).await?;
        Ok(row.map(|row| ServedFile { name: row.get(0), content_type: row.get(1), is_image: row.get(2) }))
    }
}
