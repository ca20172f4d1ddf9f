//! Reminders: messages that a user wants to be told of again at some time.

use std::collections::BTreeMap;

use actors::domain::ids::{MessageId, PersonalSeq, RoomId, UserId};
use actors::domain::personal::{DueTimeError, PersonalChange, PersonalKind, Reminder, check_due_time};
use actors::ports::store::StoreError;
use chrono::{DateTime, SubsecRound as _, Utc};
use tokio_postgres::Row;
use uuid::Uuid;

use super::log::{self, PersonalList};
use crate::store::postgres::PostgresStore;
use crate::store::postgres::pool::client::WriteTransaction;

/// The most reminders of one user, those that have fired included.
pub const REMINDERS_MAX: i64 = 200;
/// Reminders that one call fires.
const FIRED_AT_ONCE: i64 = 100;

/// A reminder to be kept.
#[derive(Clone, Copy, Debug)]
pub struct NewReminder {
    /// The room of the message.
    pub room: RoomId,
    /// The message, which the user may read.
    pub message: MessageId,
    /// When to remind.
    pub at: DateTime<Utc>,
}

/// What came of a new reminder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReminderOutcome {
    /// It is kept, or one of the same message and time was before.
    Kept {
        /// The reminder.
        reminder: Reminder,
        /// The head of the personal log, if it is new.
        head: Option<PersonalSeq>,
    },
    /// The time can't be used.
    BadTime(DueTimeError),
    /// The user has [`REMINDERS_MAX`] others that wait.
    TooMany,
}

/// The columns that [`reminder_of`] reads.
macro_rules! reminder_columns {
    () => {
        "r.id, r.room_id, r.message_id, r.at, r.created_at, r.fired_at"
    };
}

/// How many columns [`reminder_columns`] names.
pub(super) const REMINDER_WIDTH: usize = 6;

/// Reads the reminder whose columns begin at `at`; `None` where there is none.
pub(super) fn reminder_of(row: &Row, at: usize) -> Option<Reminder> {
    Some(Reminder {
        id: row.get::<_, Option<Uuid>>(at)?,
        room: RoomId(row.get(at + 1)),
        message: MessageId(row.get(at + 2)),
        at: row.get(at + 3),
        created_at: row.get(at + 4),
        fired_at: row.get(at + 5),
    })
}

pub(super) use reminder_columns;

impl PostgresStore {
    /// Keeps a reminder. The oldest of those that have fired give way.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn add_reminder(&self, user: UserId, new: NewReminder) -> Result<ReminderOutcome, StoreError> {
        const FIND: &str = concat!(
            "SELECT ",
            reminder_columns!(),
            " FROM reminders r WHERE r.user_id = $1 AND r.at = $3 AND r.message_id = $2 AND r.fired_at IS NULL"
        );
        const INSERT: &str = "INSERT INTO reminders (id, user_id, room_id, message_id, at, created_at)
            VALUES ($1, $2, $3, $4, $5, $6)";
        let NewReminder { room, message, at } = new;
        // The database keeps no more of it.
        let at = at.trunc_subsecs(6);
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        let created_at = log::lock(&transaction, user).await?;
        if let Err(error) = check_due_time(at, created_at) {
            return Ok(ReminderOutcome::BadTime(error));
        }
        let before = transaction.row(FIND, &[&user.0, &message.0, &at]).await?;
        if let Some(reminder) = before.and_then(|row| reminder_of(&row, 0)) {
            return Ok(ReminderOutcome::Kept { reminder, head: None });
        }
        if !make_place(&transaction, user).await? {
            return Ok(ReminderOutcome::TooMany);
        }
        let id = Uuid::now_v7();
        transaction.rows(INSERT, &[&id, &user.0, &room.0, &message.0, &at, &created_at]).await?;
        let head = append(&transaction, &[change(user, id)]).await?;
        transaction.commit().await?;
        let reminder = Reminder { id, room, message, at, created_at, fired_at: None };
        Ok(ReminderOutcome::Kept { reminder, head })
    }

    /// Deletes a reminder, fired or not. Returns the head of the personal log, if there was one.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn delete_reminder(&self, user: UserId, id: Uuid) -> Result<Option<PersonalSeq>, StoreError> {
        const DELETE: &str = "DELETE FROM reminders WHERE id = $2 AND user_id = $1 RETURNING id";
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        log::lock(&transaction, user).await?;
        if transaction.row(DELETE, &[&user.0, &id]).await?.is_none() {
            return Ok(None);
        }
        let head = append(&transaction, &[change(user, id)]).await?;
        transaction.commit().await?;
        Ok(head)
    }

    /// Reads one of a user's reminders.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn reminder(&self, user: UserId, id: Uuid) -> Result<Option<Reminder>, StoreError> {
        const FIND: &str =
            concat!("SELECT ", reminder_columns!(), " FROM reminders r WHERE r.id = $2 AND r.user_id = $1");
        let row = self.read_client().await?.row(FIND, &[&user.0, &id]).await?;
        Ok(row.and_then(|row| reminder_of(&row, 0)))
    }

    /// Lists a user's reminders in the order of their times.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn reminders(
        &self,
        user: UserId,
        limit: i64,
        offset: i64,
    ) -> Result<PersonalList<Reminder>, StoreError> {
        const LIST: &str = concat!(
            "SELECT (SELECT count(*) FROM reminders WHERE user_id = $1),
                 (SELECT head FROM personal_heads WHERE user_id = $1), ",
            reminder_columns!(),
            " FROM (SELECT 1) one LEFT JOIN (
                 SELECT * FROM reminders WHERE user_id = $1 ORDER BY at, id LIMIT $2 OFFSET $3) r ON true
              ORDER BY r.at, r.id"
        );
        let rows = self.read_client().await?.rows(LIST, &[&user.0, &limit, &offset]).await?;
        Ok(PersonalList::of(&rows, |row| reminder_of(row, 2)))
    }

    /// Fires reminders whose time has come, each once, whichever node calls this and how often. Returns whose
    /// personal logs grew, and how far.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn fire_reminders(&self) -> Result<Vec<(UserId, PersonalSeq)>, StoreError> {
        const DUE: &str = "SELECT DISTINCT user_id FROM (
                SELECT user_id FROM reminders WHERE fired_at IS NULL AND at <= now() ORDER BY at LIMIT $1) due";
        // Whose log another transaction holds has a turn later; the heads come before the reminders, as always.
        const LOCK: &str = "SELECT user_id FROM personal_heads WHERE user_id = ANY($1)
            ORDER BY user_id FOR NO KEY UPDATE SKIP LOCKED";
        const FIRE: &str = "UPDATE reminders SET fired_at = clock_timestamp()
            WHERE user_id = ANY($1) AND at <= now() AND fired_at IS NULL RETURNING user_id, id";
        let due = self.read_client().await?.rows(DUE, &[&FIRED_AT_ONCE]).await?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let users: Vec<i64> = due.iter().map(|row| row.get(0)).collect();
        let mut client = self.background_write_client().await?;
        let transaction = client.begin().await?;
        let locked = transaction.rows(LOCK, &[&users]).await?;
        let locked: Vec<i64> = locked.iter().map(|row| row.get(0)).collect();
        let fired = transaction.rows(FIRE, &[&locked]).await?;
        let changes: Vec<PersonalChange> =
            fired.iter().map(|row| change(UserId(row.get(0)), row.get(1))).collect();
        // Of several positions of one user the last one remains.
        let mut appended = log::append(&transaction, &changes).await?;
        transaction.commit().await?;
        appended.sort_unstable();
        Ok(BTreeMap::from_iter(appended).into_iter().collect())
    }
}

fn change(user: UserId, id: Uuid) -> PersonalChange {
    PersonalChange { user, kind: PersonalKind::Reminder, id }
}

/// Appends changes of one user's reminders. Returns the head.
async fn append(
    transaction: &WriteTransaction<'_>,
    changes: &[PersonalChange],
) -> Result<Option<PersonalSeq>, StoreError> {
    Ok(log::append(transaction, changes).await?.into_iter().map(|(_, head)| head).max())
}

/// Makes place for one more reminder, by deleting fired ones where there are too many. Returns whether there is
/// any.
async fn make_place(transaction: &WriteTransaction<'_>, user: UserId) -> Result<bool, StoreError> {
    const COUNT: &str = "SELECT count(*) FROM reminders WHERE user_id = $1";
    const FORGET: &str = "DELETE FROM reminders WHERE id IN (
            SELECT id FROM reminders WHERE user_id = $1 AND fired_at IS NOT NULL ORDER BY at LIMIT $2)
        RETURNING id";
    let count: i64 = transaction.row(COUNT, &[&user.0]).await?.map_or(0, |row| row.get(0));
    let excess = count + 1 - REMINDERS_MAX;
    if excess <= 0 {
        return Ok(true);
    }
    let gone = transaction.rows(FORGET, &[&user.0, &excess]).await?;
    let changes: Vec<PersonalChange> = gone.iter().map(|row| change(user, row.get(0))).collect();
    append(transaction, &changes).await?;
    Ok(i64::try_from(changes.len()).is_ok_and(|gone| gone >= excess))
}
