//! Reports of messages and users.

use actors::domain::ids::{MessageId, RoomId, UserId};
use actors::ports::store::StoreError;
use chrono::{DateTime, Utc};
use serde_json::json;
use tokio_postgres::Row;
use uuid::Uuid;

use super::PostgresStore;
use super::pool::client::WriteTransaction;
use super::record::audit::{self, AuditKind, NewAuditEntry};

/// The most open reports of one reporter.
pub const OPEN_REPORTS_MAX: i64 = 100;

/// How far moderators have come with a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportState {
    /// Nobody has decided.
    Open,
    /// Something was done about it.
    Resolved,
    /// Nothing has to be done.
    Dismissed,
}

/// What is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReportSubject {
    /// A message that the reporter may read.
    Message {
        /// The message.
        id: MessageId,
        /// Its room.
        room: RoomId,
        /// Its author.
        author: UserId,
        /// Its text and the name of its file.
        content: String,
    },
    /// A user.
    User(UserId),
}

/// A report to be kept.
#[derive(Clone, Debug)]
pub struct NewReport {
    /// Who reports.
    pub reporter: UserId,
    /// What.
    pub subject: ReportSubject,
    /// Why.
    pub reason: String,
    /// More about it.
    pub note: String,
}

/// A report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The report's id.
    pub id: Uuid,
    /// Who reported.
    pub reporter: UserId,
    /// The message, if it is about one.
    pub message: Option<MessageId>,
    /// The message's room.
    pub room: Option<RoomId>,
    /// The user, or the author of the message.
    pub user: UserId,
    /// What the message said when it was reported.
    pub content: String,
    /// Why it was reported.
    pub reason: String,
    /// More about it by the reporter.
    pub note: String,
    /// When it was reported.
    pub created_at: DateTime<Utc>,
    /// How far moderators have come.
    pub state: ReportState,
    /// What a moderator noted.
    pub moderator_note: String,
    /// The moderator who changed it last; `None` for nobody, or the host application.
    pub moderator: Option<UserId>,
    /// When a moderator changed it last.
    pub handled_at: Option<DateTime<Utc>>,
}

/// What came of a new report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReportOutcome {
    /// It is kept, or the same one was before.
    Kept(Box<Report>),
    /// The user doesn't exist.
    UnknownUser,
    /// The reporter has [`OPEN_REPORTS_MAX`] others that are open.
    TooMany,
}

/// Which reports to list.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReportFilter {
    /// Those of this reporter alone.
    pub reporter: Option<UserId>,
    /// Those in this state alone.
    pub state: Option<ReportState>,
}

impl ReportState {
    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Resolved => "resolved",
            Self::Dismissed => "dismissed",
        }
    }

    /// The state of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Open, Self::Resolved, Self::Dismissed].into_iter().find(|state| state.as_str() == name)
    }
}

/// The columns that [`report_of`] reads.
macro_rules! report_columns {
    () => {
        "r.id, r.reporter_id, r.message_id, r.room_id, r.user_id, r.content, r.reason, r.note, r.created_at, r.state, \
         r.moderator_note, r.moderator_id, r.handled_at"
    };
}

/// How many columns [`report_columns`] names.
const REPORT_WIDTH: usize = 13;

fn report_of(row: &Row) -> Report {
    Report {
        id: row.get(0),
        reporter: UserId(row.get(1)),
        message: row.get::<_, Option<Uuid>>(2).map(MessageId),
        room: row.get::<_, Option<Uuid>>(3).map(RoomId),
        user: UserId(row.get(4)),
        content: row.get(5),
        reason: row.get(6),
        note: row.get(7),
        created_at: row.get(8),
        state: ReportState::parse(row.get(9)).unwrap_or(ReportState::Open),
        moderator_note: row.get(10),
        moderator: row.get::<_, Option<i64>>(11).map(UserId),
        handled_at: row.get(12),
    }
}

impl PostgresStore {
    /// Keeps a report. The same one again gives back the first.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn add_report(&self, new: &NewReport) -> Result<ReportOutcome, StoreError> {
        // One report of a reporter after the other, so that the limit holds.
        const LOCK: &str = "SELECT id FROM people WHERE id = $1 FOR NO KEY UPDATE";
        const KNOWN: &str = "SELECT id FROM people WHERE id = $1 AND erased_at IS NULL";
        const FIND: &str = concat!(
            "SELECT ",
            report_columns!(),
            " FROM reports r WHERE r.reporter_id = $1 AND ($2::uuid IS NOT NULL AND r.message_id = $2
                OR $2::uuid IS NULL AND r.message_id IS NULL AND r.user_id = $3 AND r.state = 'open')"
        );
        const COUNT: &str = "SELECT count(*) FROM (SELECT FROM reports
            WHERE reporter_id = $1 AND state = 'open' LIMIT $2) r";
        const INSERT: &str = concat!(
            "INSERT INTO reports AS r (id, reporter_id, message_id, room_id, user_id, content, reason, note)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING ",
            report_columns!()
        );
        let NewReport { reporter, subject, reason, note } = new;
        let (message, room, user, content) = match subject {
            ReportSubject::Message { id, room, author, content } => {
                (Some(id.0), Some(room.0), *author, content.as_str())
            }
            ReportSubject::User(user) => (None, None, *user, ""),
        };
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        transaction.rows(LOCK, &[&reporter.0]).await?;
        if transaction.row(KNOWN, &[&user.0]).await?.is_none() {
            return Ok(ReportOutcome::UnknownUser);
        }
        if let Some(row) = transaction.row(FIND, &[&reporter.0, &message, &user.0]).await? {
            return Ok(ReportOutcome::Kept(Box::new(report_of(&row))));
        }
        let open = transaction.row(COUNT, &[&reporter.0, &OPEN_REPORTS_MAX]).await?;
        if open.is_some_and(|row| row.get::<_, i64>(0) >= OPEN_REPORTS_MAX) {
            return Ok(ReportOutcome::TooMany);
        }
        let id = Uuid::now_v7();
        let params: [&(dyn tokio_postgres::types::ToSql + Sync); 8] =
            [&id, &reporter.0, &message, &room, &user.0, &content, reason, note];
        let kept = transaction.row(INSERT, &params).await?.as_ref().map(report_of);
        transaction.commit().await?;
        kept.map(|report| ReportOutcome::Kept(Box::new(report)))
            .ok_or_else(|| StoreError::Unavailable("no row was returned".into()))
    }

    /// Lists reports, the newest first, and how many there are.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn reports(
        &self,
        filter: ReportFilter,
        limit: i64,
        offset: i64,
    ) -> Result<(i64, Vec<Report>), StoreError> {
        // A statement for each combination, so that each has an index.
        macro_rules! list {
            ($condition:literal) => {
                concat!(
                    "SELECT ",
                    report_columns!(),
                    ", (SELECT count(*) FROM reports r WHERE ",
                    $condition,
                    ") FROM reports r WHERE ",
                    $condition,
                    " ORDER BY r.created_at DESC, r.id DESC LIMIT $1 OFFSET $2"
                )
            };
        }
        let reporter = filter.reporter.map(|reporter| reporter.0);
        let state = filter.state.map(ReportState::as_str);
        let client = self.read_client().await?;
        let rows = match (&reporter, &state) {
            (None, None) => client.rows(list!("true"), &[&limit, &offset]).await?,
            (None, Some(state)) => client.rows(list!("r.state = $3"), &[&limit, &offset, state]).await?,
            (Some(reporter), None) => {
                client.rows(list!("r.reporter_id = $3"), &[&limit, &offset, reporter]).await?
            }
            (Some(reporter), Some(state)) => {
                let sql = list!("r.reporter_id = $3 AND r.state = $4");
                client.rows(sql, &[&limit, &offset, reporter, state]).await?
            }
        };
        let count = rows.first().map_or(0, |row| row.get(REPORT_WIDTH));
        Ok((count, rows.iter().map(report_of).collect()))
    }

    /// Reads one report.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn report(&self, id: Uuid) -> Result<Option<Report>, StoreError> {
        const FIND: &str = concat!("SELECT ", report_columns!(), " FROM reports r WHERE r.id = $1");
        Ok(self.read_client().await?.row(FIND, &[&id]).await?.as_ref().map(report_of))
    }

    /// Sets what moderators made of a report. Returns it as it is then, or `None` if there is none of this id.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn handle_report(
        &self,
        id: Uuid,
        moderator: Option<UserId>,
        state: Option<ReportState>,
        note: Option<&str>,
    ) -> Result<Option<Report>, StoreError> {
        const HANDLE: &str = concat!(
            "UPDATE reports r SET state = coalesce($3, r.state), moderator_note = coalesce($4, r.moderator_note),
                 moderator_id = $2, handled_at = now()
             WHERE r.id = $1 RETURNING ",
            report_columns!()
        );
        let (moderator, state) = (moderator.map(|moderator| moderator.0), state.map(ReportState::as_str));
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        let handled =
            transaction.row(HANDLE, &[&id, &moderator, &state, &note]).await?.as_ref().map(report_of);
        if let Some(report) = &handled {
            let data = json!({"report": id, "state": report.state.as_str()});
            let entry = NewAuditEntry::of(AuditKind::ReportHandled, report.moderator, data);
            let entry = NewAuditEntry { user: Some(report.user), room: report.room, ..entry };
            audit::add(&transaction, vec![entry]).await?;
        }
        transaction.commit().await?;
        Ok(handled)
    }
}

/// Erases what a user wrote from reports: own notes, and texts that were reported.
pub(super) async fn erase(transaction: &WriteTransaction<'_>, user: UserId) -> Result<(), StoreError> {
    for sql in [
        "UPDATE reports SET note = '', reason = '' WHERE reporter_id = $1",
        "UPDATE reports SET content = '' WHERE user_id = $1",
        "UPDATE reports SET moderator_note = '' WHERE moderator_id = $1",
    ] {
        transaction.rows(sql, &[&user.0]).await?;
    }
    Ok(())
}
