//! Exports: what was asked for, and which node writes it.

use std::time::Duration;

use actors::domain::ids::{RoomId, UserId};
use actors::ports::store::StoreError;
use chrono::{DateTime, Utc};
use serde_json::json;
use tokio_postgres::Row;
use uuid::Uuid;

use super::audit::{self, AuditKind, NewAuditEntry};
use crate::store::postgres::PostgresStore;
use crate::store::postgres::pool::client::Params;

/// The most exports that wait or run: of all, and of those that one user has asked for.
pub const UNFINISHED_MAX: i64 = 10_000;
const UNFINISHED_PER_USER: i64 = 2;
/// How long a node owns an export after it has last said so.
const LEASE: Duration = Duration::from_secs(60);
/// How often an export is begun before it counts as failed.
const ATTEMPTS_MAX: i32 = 3;
/// For how long an archive is kept, in days.
pub const DAYS_KEPT: i32 = 7;

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportSubject {
    /// A room.
    Room(RoomId),
    /// What a user wrote.
    User(UserId),
    /// Everything.
    All,
}

/// How far an export is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportState {
    /// No node has begun.
    Waiting,
    /// A node writes it.
    Running,
    /// The archive can be read.
    Done,
    /// It was begun too often.
    Failed,
    /// The archive was deleted.
    Expired,
}

/// An export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportJob {
    /// The id, which is that of the archive's file too.
    pub id: Uuid,
    /// What is exported.
    pub subject: ExportSubject,
    /// As it stood then; none for now.
    pub at: Option<DateTime<Utc>>,
    /// Who asked; none for the host application.
    pub requested_by: Option<UserId>,
    /// When.
    pub created_at: DateTime<Utc>,
    /// How far it is.
    pub state: ExportState,
    /// When the archive was written.
    pub finished_at: Option<DateTime<Utc>>,
    /// The archive's bytes.
    pub size: Option<i64>,
    /// The archive's SHA-256.
    pub sha256: Option<Vec<u8>>,
}

/// What came of asking for an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportOutcome {
    /// It waits for a node.
    Requested(ExportJob),
    /// The room or the user doesn't exist.
    Unknown,
    /// Too many wait already.
    TooMany,
}

impl ExportState {
    const ALL: [Self; 5] = [Self::Waiting, Self::Running, Self::Done, Self::Failed, Self::Expired];

    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Expired => "expired",
        }
    }
}

/// The columns of an export `x`, for [`export_of`].
macro_rules! export_columns {
    () => {
        "x.id, x.room_id, x.user_id, x.at, x.requested_by, x.created_at, x.state, x.finished_at, x.size, x.sha256"
    };
}

fn export_of(row: &Row) -> ExportJob {
    let (room, user) = (row.get::<_, Option<Uuid>>(1), row.get::<_, Option<i64>>(2));
    let subject = match (room, user) {
        (Some(room), _) => ExportSubject::Room(RoomId(room)),
        (None, Some(user)) => ExportSubject::User(UserId(user)),
        (None, None) => ExportSubject::All,
    };
    let state: &str = row.get(6);
    let state = ExportState::ALL.into_iter().find(|known| known.as_str() == state);
    ExportJob {
        id: row.get(0),
        subject,
        at: row.get(3),
        requested_by: row.get::<_, Option<i64>>(4).map(UserId),
        created_at: row.get(5),
        state: state.expect("the table holds known states only"),
        finished_at: row.get(7),
        size: row.get(8),
        sha256: row.get(9),
    }
}

impl PostgresStore {
    /// Asks for an export.
    ///
    /// # Errors
    /// [`StoreError`]; after [`StoreError::OutcomeUnknown`] it may be asked for.
    pub async fn request_export(
        &self,
        subject: ExportSubject,
        at: Option<DateTime<Utc>>,
        by: Option<UserId>,
    ) -> Result<ExportOutcome, StoreError> {
        // Two at once see each other's.
        const LOCK: &str = "LOCK TABLE exports IN SHARE ROW EXCLUSIVE MODE";
        const COUNT: &str = "SELECT count(*), count(*) FILTER (WHERE requested_by = $1) FROM exports
            WHERE state IN ('waiting', 'running')";
        const INSERT: &str = concat!(
            "INSERT INTO exports AS x (id, room_id, user_id, at, requested_by) VALUES ($1, $2, $3, $4, $5)
             RETURNING ",
            export_columns!()
        );
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        let known = match subject {
            ExportSubject::Room(room) => {
                transaction.row("SELECT FROM rooms WHERE id = $1", &[&room.0]).await?.is_some()
            }
            ExportSubject::User(user) => {
                transaction.row("SELECT FROM people WHERE id = $1", &[&user.0]).await?.is_some()
            }
            ExportSubject::All => true,
        };
        if !known {
            return Ok(ExportOutcome::Unknown);
        }
        transaction.rows(LOCK, &[]).await?;
        let requested_by = by.map(|by| by.0);
        let counts = transaction.row(COUNT, &[&requested_by]).await?;
        let (all, own): (i64, i64) = counts.map_or((0, 0), |row| (row.get(0), row.get(1)));
        if all >= UNFINISHED_MAX || own >= UNFINISHED_PER_USER {
            return Ok(ExportOutcome::TooMany);
        }
        let (room, user) = match subject {
            ExportSubject::Room(room) => (Some(room), None),
            ExportSubject::User(user) => (None, Some(user)),
            ExportSubject::All => (None, None),
        };
        let id = Uuid::new_v4();
        let (room_id, user_id) = (room.map(|room| room.0), user.map(|user| user.0));
        let row = transaction.row(INSERT, &[&id, &room_id, &user_id, &at, &requested_by]).await?;
        let export = row.as_ref().map(export_of);
        let export = export.ok_or_else(|| StoreError::Unavailable("an export was not stored".into()))?;
        let entry = NewAuditEntry::of(AuditKind::ExportRequested, by, json!({"export": id, "at": at}));
        audit::add(&transaction, vec![NewAuditEntry { room, user, ..entry }]).await?;
        transaction.commit().await?;
        Ok(ExportOutcome::Requested(export))
    }

    /// Reads an export.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn export(&self, id: Uuid) -> Result<Option<ExportJob>, StoreError> {
        const FIND: &str = concat!("SELECT ", export_columns!(), " FROM exports x WHERE x.id = $1");
        Ok(self.read_client().await?.row(FIND, &[&id]).await?.as_ref().map(export_of))
    }

    /// Makes `owner` the owner of the export that has waited longest, if one waits or was left by a node that died.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn claim_export(&self, owner: Uuid) -> Result<Option<ExportJob>, StoreError> {
        const GIVE_UP: &str = "UPDATE exports SET state = 'failed', owner = NULL
            WHERE state IN ('waiting', 'running') AND attempts >= $1
                AND (owned_until IS NULL OR owned_until < clock_timestamp())";
        const CLAIM: &str = concat!(
            "UPDATE exports x SET state = 'running', owner = $1, attempts = x.attempts + 1,
                 owned_until = clock_timestamp() + make_interval(secs => $2)
             WHERE x.id = (SELECT id FROM exports WHERE state IN ('waiting', 'running')
                     AND (owned_until IS NULL OR owned_until < clock_timestamp())
                 ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED)
             RETURNING ",
            export_columns!()
        );
        let mut client = self.background_write_client().await?;
        let transaction = client.begin().await?;
        transaction.rows(GIVE_UP, &[&ATTEMPTS_MAX]).await?;
        let claimed = transaction.row(CLAIM, &[&owner, &LEASE.as_secs_f64()]).await?;
        transaction.commit().await?;
        Ok(claimed.as_ref().map(export_of))
    }

    /// Keeps an export. Returns whether `owner` still owns it.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn keep_export(&self, id: Uuid, owner: Uuid) -> Result<bool, StoreError> {
        const KEEP: &str = "UPDATE exports SET owned_until = clock_timestamp() + make_interval(secs => $3)
            WHERE id = $1 AND owner = $2 AND state = 'running' RETURNING id";
        self.change_export(KEEP, &[&id, &owner, &LEASE.as_secs_f64()]).await
    }

    /// Records that the archive of an export is written. Returns whether `owner` still owned it.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn finish_export(
        &self,
        id: Uuid,
        owner: Uuid,
        size: u64,
        sha256: &[u8],
    ) -> Result<bool, StoreError> {
        const FINISH: &str = "UPDATE exports
            SET state = 'done', finished_at = now(), size = $3, sha256 = $4, owner = NULL
            WHERE id = $1 AND owner = $2 AND state = 'running' RETURNING id";
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        self.change_export(FINISH, &[&id, &owner, &size, &sha256]).await
    }

    /// Leaves an export to the next attempt.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn leave_export(&self, id: Uuid, owner: Uuid) -> Result<bool, StoreError> {
        const LEAVE: &str = "UPDATE exports SET state = 'waiting', owner = NULL,
                owned_until = clock_timestamp() + make_interval(secs => 10)
            WHERE id = $1 AND owner = $2 AND state = 'running' RETURNING id";
        self.change_export(LEAVE, &[&id, &owner]).await
    }

    /// Lists exports whose archives are to be deleted.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn expired_exports(&self, limit: i64) -> Result<Vec<Uuid>, StoreError> {
        const FIND: &str = "SELECT id FROM exports
            WHERE state = 'done' AND finished_at < now() - make_interval(days => $1)
            ORDER BY finished_at LIMIT $2";
        let rows = self.read_client().await?.rows(FIND, &[&DAYS_KEPT, &limit]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Records that the archive of an export was deleted.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn expire_export(&self, id: Uuid) -> Result<bool, StoreError> {
        const EXPIRE: &str =
            "UPDATE exports SET state = 'expired' WHERE id = $1 AND state = 'done' RETURNING id";
        self.change_export(EXPIRE, &[&id]).await
    }

    /// Returns the key that archives are signed with, which is `made` unless there is one already.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn export_key(&self, made: &[u8]) -> Result<Vec<u8>, StoreError> {
        // Of several nodes that come at once, one keeps its key.
        const KEEP: &str =
            "UPDATE installation SET export_key = coalesce(export_key, $1) RETURNING export_key";
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        let kept = transaction.row(KEEP, &[&made]).await?;
        transaction.commit().await?;
        kept.map(|row| row.get(0))
            .ok_or_else(|| StoreError::Unavailable("the key of exports is not stored".into()))
    }

    async fn change_export(&self, sql: &str, params: Params<'_>) -> Result<bool, StoreError> {
        let mut client = self.background_write_client().await?;
        let transaction = client.begin().await?;
        let changed = transaction.row(sql, params).await?.is_some();
        transaction.commit().await?;
        Ok(changed)
    }
}
