//! Writes what became of files.
//!
//! A file is recorded before its bytes are in the storage and confirmed afterwards. One that was never confirmed was
//! being moved when a move was killed: it is discarded, and moved anew.

use std::collections::BTreeMap;

use actors::failpoint::{self, Failpoint};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::records::{FileFate, MovedFile};
use super::{ChatWriter, MoveError};

/// A file to be recorded.
#[derive(Clone, Copy, Debug)]
pub struct FileRecord<'a> {
    /// The message that carries it, and its room.
    pub message: Uuid,
    /// The room.
    pub room: Uuid,
    /// The author of the message.
    pub sender: i64,
    /// When the message was sent.
    pub at: DateTime<Utc>,
    /// Where Django keeps it.
    pub path: &'a str,
    /// What Django calls it.
    pub name: &'a str,
}

/// What is known of a message's file from an earlier move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownFile {
    /// Where Django kept it.
    pub path: String,
    /// What Django called it.
    pub name: String,
    /// What became of it.
    pub fate: FileFate,
}

const KNOWN: &str =
    "SELECT k.message_id, k.path, k.name, k.refusal, k.is_final, f.id, f.name, f.size, f.is_image
    FROM unnest($1::uuid[]) g (id)
    CROSS JOIN LATERAL (SELECT * FROM moved_files WHERE message_id = g.id LIMIT 1) k
    LEFT JOIN LATERAL (SELECT * FROM files WHERE id = k.file_id LIMIT 1) f ON k.is_kept
    WHERE k.refusal IS NOT NULL OR f.id IS NOT NULL";

/// The file that another one takes the place of is erased; nothing carries it once the message is written.
const RECORD: &str = "WITH file AS (
        INSERT INTO files (id, uploaded_by, name, size, content_type, is_image, created_at, room_id, message_id)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)),
    replaced AS (
        INSERT INTO files_to_erase (id) SELECT file_id FROM moved_files
        WHERE message_id = $9 AND file_id IS NOT NULL ON CONFLICT DO NOTHING),
    unkept AS (
        DELETE FROM files WHERE id = (SELECT file_id FROM moved_files WHERE message_id = $9 AND NOT is_kept))
    INSERT INTO moved_files (message_id, room_id, path, name, file_id) VALUES ($9, $8, $10, $11, $1)
    ON CONFLICT (message_id) DO UPDATE SET room_id = excluded.room_id, path = excluded.path, name = excluded.name,
        file_id = excluded.file_id, is_kept = false, refusal = NULL, is_final = false";

const CONFIRM: &str = "UPDATE moved_files SET is_kept = true WHERE message_id = $1 AND file_id = $2";

const REFUSE: &str = "INSERT INTO moved_files (message_id, room_id, path, name, refusal, is_final)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (message_id) DO UPDATE SET room_id = excluded.room_id, path = excluded.path, name = excluded.name,
        file_id = NULL, is_kept = false, refusal = excluded.refusal, is_final = excluded.is_final";

/// The files of messages of the room `$1` that don't carry them any more.
const DROP_UNUSED: &str = "WITH unused AS (
        SELECT f.id FROM moved_files k CROSS JOIN LATERAL (SELECT id FROM files WHERE id = k.file_id LIMIT 1) f
        WHERE k.room_id = $1 AND NOT EXISTS (SELECT FROM messages m WHERE m.file_id = f.id OFFSET 0)),
    forgotten AS (DELETE FROM moved_files WHERE room_id = $1 AND file_id IN (SELECT id FROM unused)),
    gone AS (DELETE FROM files WHERE id IN (SELECT id FROM unused))
    INSERT INTO files_to_erase (id) SELECT id FROM unused ON CONFLICT DO NOTHING";

impl ChatWriter {
    /// What is known of the files of these messages.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn known_files(&self, messages: &[Uuid]) -> Result<BTreeMap<Uuid, KnownFile>, MoveError> {
        if messages.is_empty() {
            return Ok(BTreeMap::new());
        }
        let known = |row: &tokio_postgres::Row| {
            let fate = match (row.get::<_, Option<String>>(3), row.get::<_, bool>(4)) {
                (Some(reason), true) => FileFate::Refused(reason),
                (Some(reason), false) => FileFate::Missing(reason),
                (None, _) => FileFate::Moved(MovedFile {
                    id: row.get(5),
                    name: row.get(6),
                    size: row.get(7),
                    is_image: row.get(8),
                }),
            };
            (row.get(0), KnownFile { path: row.get(1), name: row.get(2), fate })
        };
        Ok(self.rows(KNOWN, &[&messages]).await?.iter().map(known).collect())
    }

    /// Records a file whose bytes are not in the storage yet.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn record_file(
        &self,
        record: &FileRecord<'_>,
        file: &MovedFile,
        content_type: &str,
    ) -> Result<(), MoveError> {
        self.run(
            RECORD,
            &[
                &file.id,
                &record.sender,
                &file.name,
                &file.size,
                &content_type,
                &file.is_image,
                &record.at,
                &record.room,
                &record.message,
                &record.path,
                &record.name,
            ],
        )
        .await?;
        failpoint::pass(Failpoint::Committed);
        Ok(())
    }

    /// Notes that the bytes of a recorded file are in the storage.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn confirm_file(&self, message: Uuid, file: Uuid) -> Result<(), MoveError> {
        self.run(CONFIRM, &[&message, &file]).await.map(drop)
    }

    /// Records that a file stays behind, and whether for good.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn record_refusal(
        &self,
        record: &FileRecord<'_>,
        reason: &str,
        is_final: bool,
    ) -> Result<(), MoveError> {
        self.run(REFUSE, &[&record.message, &record.room, &record.path, &record.name, &reason, &is_final])
            .await
            .map(drop)
    }

    /// Records where a file of the chat's own was written to in Django, so that it isn't taken for another one later.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn record_exported_file(
        &self,
        message: Uuid,
        room: Uuid,
        file: Uuid,
        path: &str,
        name: &str,
    ) -> Result<(), MoveError> {
        const RECORD_EXPORTED: &str =
            "INSERT INTO moved_files (message_id, room_id, path, name, file_id, is_kept)
            VALUES ($1, $2, $3, $4, $5, true)
            ON CONFLICT (message_id) DO UPDATE SET path = excluded.path, name = excluded.name,
                file_id = excluded.file_id, is_kept = true, refusal = NULL, is_final = false";
        self.run(RECORD_EXPORTED, &[&message, &room, &path, &name, &file]).await.map(drop)
    }

    /// The rooms of files that were missing, or that a killed move has left behind: another move tries again.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn rooms_of_missing_files(&self) -> Result<Vec<Uuid>, MoveError> {
        const ROOMS: &str = "SELECT DISTINCT room_id FROM moved_files
            WHERE NOT is_kept AND (refusal IS NULL OR NOT is_final)";
        Ok(self.rows(ROOMS, &[]).await?.iter().map(|row| row.get(0)).collect())
    }

    /// Forgets the files of a room that no message carries any more; the nodes erase them.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn drop_unused_files(&self, room: Uuid) -> Result<(), MoveError> {
        self.run(DROP_UNUSED, &[&room]).await.map(drop)
    }
}
