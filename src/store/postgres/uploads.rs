//! Uploads that no message carries yet. Their bytes are in the file storage, in pieces that the rows name: a piece
//! counts once its row says so, and whichever node stored it.

use std::time::Duration;

use actors::domain::ids::{FileId, UploadId, UserId};
use actors::ports::store::StoreError;
use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use uuid::Uuid;

use super::PostgresStore;

/// The number of the lock under which uploads begin, so that no two of them pass a bound together.
const BEGIN_LOCK: i64 = 0x7570_6c6f_6164;

/// An upload to be begun.
#[derive(Clone, Copy)]
pub struct NewUpload<'a> {
    /// Its id.
    pub id: UploadId,
    /// Whose it is.
    pub user: UserId,
    /// How many bytes it will have.
    pub length: i64,
    /// The name of the file as the client gave it.
    pub name: &'a str,
    /// What the client said of it.
    pub metadata: &'a str,
    /// For how long it is kept.
    pub kept: Duration,
}

/// What may be kept of uploads that no message carries.
#[derive(Clone, Copy, Debug)]
pub struct UploadBounds {
    /// The most uploads of one user.
    pub per_user: i64,
    /// The most bytes of one user's.
    pub bytes_per_user: i64,
    /// The most uploads of all users.
    pub total: i64,
    /// The most bytes of all.
    pub bytes_total: i64,
}

/// Whether an upload was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BegunUpload {
    /// It was, and ends at this time.
    Begun(DateTime<Utc>),
    /// Its user has too many, or too large ones.
    UserBound,
    /// All users together have.
    TotalBound,
}

/// An upload as it is now.
#[derive(Clone, Debug)]
pub struct UploadRecord {
    /// Its id.
    pub id: UploadId,
    /// How many bytes it will have.
    pub length: i64,
    /// How many are stored.
    pub received: i64,
    /// In how many pieces.
    pub piece_count: i64,
    /// What the client said of it.
    pub metadata: String,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
    /// Whether its time is over.
    pub has_expired: bool,
    /// Whether it became a file, or was refused.
    pub is_finished: bool,
    /// Why it was refused.
    pub refusal: Option<String>,
}

/// The bytes of a complete upload.
#[derive(Clone, Debug)]
pub struct UploadContent {
    /// The name of the file as the client gave it.
    pub name: String,
    /// The pieces in their order.
    pub pieces: Vec<Uuid>,
}

impl UploadRecord {
    fn read(row: &Row) -> Self {
        Self {
            id: UploadId(row.get(0)),
            length: row.get(1),
            received: row.get(2),
            piece_count: row.get(3),
            metadata: row.get(4),
            expires_at: row.get(5),
            has_expired: row.get(6),
            is_finished: row.get(7),
            refusal: row.get(8),
        }
    }

    /// Whether all its bytes are stored.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.received == self.length
    }
}

impl PostgresStore {
    /// Begins an upload, if it is within the bounds.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin_upload(
        &self,
        upload: NewUpload<'_>,
        bounds: UploadBounds,
    ) -> Result<BegunUpload, StoreError> {
        const LOCK: &str = "SELECT pg_advisory_xact_lock($1)";
        const KEPT: &str = "SELECT count(*) FILTER (WHERE user_id = $1),
                coalesce(sum(length) FILTER (WHERE user_id = $1), 0)::bigint,
                count(*), coalesce(sum(length), 0)::bigint FROM uploads";
        const INSERT: &str = "INSERT INTO uploads (id, user_id, length, name, metadata, expires_at)
            VALUES ($1, $2, $3, $4, $5, now() + make_interval(secs => $6)) RETURNING expires_at";
        let NewUpload { id, user, length, name, metadata, kept } = upload;
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        transaction.rows(LOCK, &[&BEGIN_LOCK]).await?;
        let found = transaction.rows(KEPT, &[&user.0]).await?;
        let counted = |column: usize| found.first().map_or(0, |row| row.get::<_, i64>(column));
        if counted(0) >= bounds.per_user || counted(1).saturating_add(length) > bounds.bytes_per_user {
            return Ok(BegunUpload::UserBound);
        }
        if counted(2) >= bounds.total || counted(3).saturating_add(length) > bounds.bytes_total {
            return Ok(BegunUpload::TotalBound);
        }
        let inserted = transaction
            .rows(INSERT, &[&id.0, &user.0, &length, &name, &metadata, &kept.as_secs_f64()])
            .await?;
        let expires_at = inserted.first().map(|row| row.get(0)).unwrap_or_default();
        transaction.commit().await?;
        Ok(BegunUpload::Begun(expires_at))
    }

    /// Finds an upload of a user; one that has expired too, until it is swept.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn upload(&self, user: UserId, id: UploadId) -> Result<Option<UploadRecord>, StoreError> {
        const FIND: &str = "SELECT id, length, received, cardinality(pieces)::bigint, metadata, expires_at,
                expires_at <= now(), file_id IS NOT NULL OR refusal IS NOT NULL, refusal
            FROM uploads WHERE id = $1 AND user_id = $2";
        let row = self.read_client().await?.row(FIND, &[&id.0, &user.0]).await?;
        Ok(row.as_ref().map(UploadRecord::read))
    }

    /// Adds pieces of `bytes` together behind the first `offset` bytes. `false`: the upload isn't there any more, or
    /// another request has added some.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn append_to_upload(
        &self,
        id: UploadId,
        offset: i64,
        bytes: i64,
        pieces: &[Uuid],
    ) -> Result<bool, StoreError> {
        const APPEND: &str = "UPDATE uploads SET received = received + $3, pieces = pieces || $4::uuid[]
            WHERE id = $1 AND received = $2 AND expires_at > now() AND file_id IS NULL AND refusal IS NULL
            RETURNING id";
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        let appended = transaction.rows(APPEND, &[&id.0, &offset, &bytes, &pieces]).await?;
        transaction.commit().await?;
        Ok(!appended.is_empty())
    }

    /// Returns the bytes of complete uploads of a user that nobody has looked at yet.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn unfinished_uploads(
        &self,
        user: UserId,
        ids: &[UploadId],
    ) -> Result<Vec<(UploadId, UploadContent)>, StoreError> {
        const FIND: &str = "SELECT id, name, pieces FROM uploads WHERE id = ANY ($1) AND user_id = $2
            AND received = length AND file_id IS NULL AND refusal IS NULL";
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let rows = self.read_client().await?.rows(FIND, &[&ids, &user.0]).await?;
        let content = |row: &Row| UploadContent { name: row.get(1), pieces: row.get(2) };
        Ok(rows.iter().map(|row| (UploadId(row.get(0)), content(row))).collect())
    }

    /// Records what became of a complete upload: a stored file, or the reason for none. `false`: something else did
    /// already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn finish_upload(
        &self,
        id: UploadId,
        result: Result<FileId, &str>,
    ) -> Result<bool, StoreError> {
        const FINISH: &str = "UPDATE uploads SET file_id = $2, refusal = $3, pieces = '{}'
            WHERE id = $1 AND file_id IS NULL AND refusal IS NULL RETURNING id";
        let file = result.ok().map(|file| file.0);
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        let finished = transaction.rows(FINISH, &[&id.0, &file, &result.err()]).await?;
        transaction.commit().await?;
        Ok(!finished.is_empty())
    }

    /// Ends an upload of a user, and discards the file that it became. Returns its pieces; `None`: there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_upload(&self, user: UserId, id: UploadId) -> Result<Option<Vec<Uuid>>, StoreError> {
        const END: &str = "WITH ended AS (DELETE FROM uploads WHERE id = $1 AND user_id = $2
                RETURNING pieces, file_id),
            discarded AS (DELETE FROM files WHERE id IN (SELECT file_id FROM ended) AND message_id IS NULL
                RETURNING id),
            noted AS (INSERT INTO files_to_erase (id) SELECT id FROM discarded ON CONFLICT DO NOTHING)
            SELECT pieces FROM ended";
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        let ended = transaction.rows(END, &[&id.0, &user.0]).await?;
        transaction.commit().await?;
        Ok(ended.first().map(|row| row.get(0)))
    }

    /// Ends at most `limit` uploads whose time is over, and returns their pieces. What they became is discarded like
    /// other files that no message carries.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn end_expired_uploads(&self, limit: i64) -> Result<Vec<Uuid>, StoreError> {
        const END: &str = "DELETE FROM uploads WHERE id IN (SELECT id FROM uploads WHERE expires_at <= now()
                ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)
            RETURNING pieces";
        let mut client = self.background_write_client().await?;
        let transaction = client.begin().await?;
        let ended = transaction.rows(END, &[&limit]).await?;
        transaction.commit().await?;
        Ok(ended.iter().flat_map(|row| row.get::<_, Vec<Uuid>>(0)).collect())
    }
}
