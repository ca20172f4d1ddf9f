//! Messages to be sent later, as their users keep and change them.

use actors::domain::ids::{ClientId, MessageId, PersonalSeq, RoomId, UserId};
use actors::domain::personal::{
    DueTimeError, PersonalChange, PersonalKind, ScheduledMessage, ScheduledState, check_due_time,
};
use actors::ports::store::StoreError;
use chrono::{DateTime, SubsecRound as _, Utc};
use tokio_postgres::Row;
use uuid::Uuid;

use super::log::{self, PersonalList};
use crate::store::postgres::PostgresStore;
use crate::store::postgres::pool::client::WriteTransaction;

/// The most messages of one user that wait or have failed.
pub const SCHEDULED_MAX: i64 = 100;
/// A message to be kept until its time.
#[derive(Clone, Copy, Debug)]
pub struct NewScheduledMessage<'a> {
    /// The room, which the user is in.
    pub room: RoomId,
    /// What the client calls this send.
    pub client_id: ClientId,
    /// The text, trimmed and checked.
    pub content: &'a str,
    /// The message that it replies to.
    pub reply_to: Option<MessageId>,
    /// When to send it.
    pub at: DateTime<Utc>,
    /// A digest of what the client asked for, to tell a retry from another message.
    pub digest: [u8; 16],
}

/// What is changed of a scheduled message; what is unset stays as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScheduledChange<'a> {
    /// The text, trimmed and checked.
    pub content: Option<&'a str>,
    /// When to send it.
    pub at: Option<DateTime<Utc>>,
    /// The message that it replies to; none, if that is unset in turn.
    pub reply_to: Option<Option<MessageId>>,
}

/// What came of keeping or changing a scheduled message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScheduleOutcome {
    /// It is kept.
    Kept {
        /// The message.
        scheduled: ScheduledMessage,
        /// The head of the personal log, if this changed anything.
        head: Option<PersonalSeq>,
    },
    /// The time can't be used.
    BadTime(DueTimeError),
    /// The `client_id` was used for another message.
    ClientIdConflict,
    /// The user has [`SCHEDULED_MAX`] others.
    TooMany,
    /// There is no such message.
    NotFound,
    /// It is being sent, or was.
    TooLate,
}

/// What came of deleting a scheduled message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnscheduleOutcome {
    /// It is deleted, and the personal log reaches up to here.
    Deleted(PersonalSeq),
    /// There is no such message.
    NotFound,
    /// It is being sent, or was.
    TooLate,
}

/// The columns of a scheduled message `q`, for [`scheduled_of`].
macro_rules! scheduled_columns {
    () => {
        "q.id, q.room_id, q.client_id, q.content, q.reply_to, q.at, q.created_at, q.state, q.error, q.message_id"
    };
}

pub(super) use scheduled_columns;

/// Reads the scheduled message whose columns begin at `at`; `None` where there is none.
pub(super) fn scheduled_of(row: &Row, at: usize) -> Option<ScheduledMessage> {
    Some(ScheduledMessage {
        id: row.get::<_, Option<Uuid>>(at)?,
        room: RoomId(row.get(at + 1)),
        client_id: ClientId(row.get(at + 2)),
        content: row.get(at + 3),
        reply_to: row.get::<_, Option<_>>(at + 4).map(MessageId),
        at: row.get(at + 5),
        created_at: row.get(at + 6),
        state: ScheduledState::parse(row.get(at + 7))?,
        error: row.get(at + 8),
        message: row.get::<_, Option<_>>(at + 9).map(MessageId),
    })
}

impl PostgresStore {
    /// Keeps a message until its time. The same `client_id` again gets the first message back.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn schedule_message(
        &self,
        user: UserId,
        new: NewScheduledMessage<'_>,
    ) -> Result<ScheduleOutcome, StoreError> {
        const FIND: &str = concat!(
            "SELECT ",
            scheduled_columns!(),
            ", q.digest FROM scheduled_messages q WHERE q.user_id = $1 AND q.room_id = $2 AND q.client_id = $3"
        );
        const COUNT: &str = "SELECT count(*) FROM scheduled_messages WHERE user_id = $1 AND state <> 'sent'";
        const INSERT: &str = "INSERT INTO scheduled_messages (id, user_id, room_id, client_id, digest, content,
                reply_to, at, created_at, state, due_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'pending', $8)";
        let NewScheduledMessage { room, client_id, content, reply_to, digest, .. } = new;
        // The database keeps no more of it.
        let at = new.at.trunc_subsecs(6);
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        let created_at = log::lock(&transaction, user).await?;
        if let Some(row) = transaction.row(FIND, &[&user.0, &room.0, &client_id.0]).await? {
            let is_same = row.get::<_, &[u8]>(SCHEDULED_WIDTH) == digest;
            return Ok(match scheduled_of(&row, 0).filter(|_| is_same) {
                Some(scheduled) => ScheduleOutcome::Kept { scheduled, head: None },
                None => ScheduleOutcome::ClientIdConflict,
            });
        }
        if let Err(error) = check_due_time(at, created_at) {
            return Ok(ScheduleOutcome::BadTime(error));
        }
        let count: i64 = transaction.row(COUNT, &[&user.0]).await?.map_or(0, |row| row.get(0));
        if count >= SCHEDULED_MAX {
            return Ok(ScheduleOutcome::TooMany);
        }
        let id = Uuid::now_v7();
        let target = reply_to.map(|message| message.0);
        transaction
            .rows(
                INSERT,
                &[
                    &id,
                    &user.0,
                    &room.0,
                    &client_id.0,
                    &digest.as_slice(),
                    &content,
                    &target,
                    &at,
                    &created_at,
                ],
            )
            .await?;
        let head = append(&transaction, user, id).await?;
        transaction.commit().await?;
        let scheduled = ScheduledMessage {
            id,
            room,
            client_id,
            content: content.to_owned(),
            reply_to,
            at,
            created_at,
            state: ScheduledState::Pending,
            error: None,
            message: None,
        };
        Ok(ScheduleOutcome::Kept { scheduled, head: Some(head) })
    }

    /// Changes a message that waits, or has failed and waits again then.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn change_scheduled(
        &self,
        user: UserId,
        id: Uuid,
        change: ScheduledChange<'_>,
    ) -> Result<ScheduleOutcome, StoreError> {
        const CHANGE: &str = concat!(
            "UPDATE scheduled_messages q SET content = $3, reply_to = $4, at = $5, due_at = $5, state = 'pending',
                 error = NULL
             WHERE q.id = $2 AND q.user_id = $1 AND q.state IN ('pending', 'failed') RETURNING ",
            scheduled_columns!()
        );
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        let now = log::lock(&transaction, user).await?;
        let Some(before) = find(&transaction, user, id).await? else { return Ok(ScheduleOutcome::NotFound) };
        let is_due = before.state == ScheduledState::Pending && before.at <= now;
        if is_due || !before.state.is_changeable() {
            return Ok(ScheduleOutcome::TooLate);
        }
        let at = change.at.unwrap_or(before.at);
        if let Err(error) = check_due_time(at, now) {
            return Ok(ScheduleOutcome::BadTime(error));
        }
        let content = change.content.unwrap_or(&before.content);
        let reply_to = change.reply_to.unwrap_or(before.reply_to).map(|message| message.0);
        let changed = transaction.row(CHANGE, &[&user.0, &id, &content, &reply_to, &at]).await?;
        // A node may have claimed it since it was read.
        let Some(scheduled) = changed.and_then(|row| scheduled_of(&row, 0)) else {
            return Ok(ScheduleOutcome::TooLate);
        };
        let head = append(&transaction, user, id).await?;
        transaction.commit().await?;
        Ok(ScheduleOutcome::Kept { scheduled, head: Some(head) })
    }

    /// Deletes a message that waits or has failed.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn unschedule_message(&self, user: UserId, id: Uuid) -> Result<UnscheduleOutcome, StoreError> {
        const DELETE: &str = "DELETE FROM scheduled_messages
            WHERE id = $2 AND user_id = $1 AND state IN ('pending', 'failed') RETURNING id";
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        log::lock(&transaction, user).await?;
        if transaction.row(DELETE, &[&user.0, &id]).await?.is_none() {
            let found = find(&transaction, user, id).await?;
            return Ok(if found.is_some() {
                UnscheduleOutcome::TooLate
            } else {
                UnscheduleOutcome::NotFound
            });
        }
        let head = append(&transaction, user, id).await?;
        transaction.commit().await?;
        Ok(UnscheduleOutcome::Deleted(head))
    }

    /// Reads one of a user's scheduled messages, sent ones too.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn scheduled_message(
        &self,
        user: UserId,
        id: Uuid,
    ) -> Result<Option<ScheduledMessage>, StoreError> {
        let row = self.read_client().await?.row(FIND, &[&user.0, &id]).await?;
        Ok(row.and_then(|row| scheduled_of(&row, 0)))
    }

    /// Lists a user's messages that wait or have failed, in the order of their times.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn scheduled_messages(
        &self,
        user: UserId,
        limit: i64,
        offset: i64,
    ) -> Result<PersonalList<ScheduledMessage>, StoreError> {
        const LIST: &str = concat!(
            "SELECT (SELECT count(*) FROM scheduled_messages WHERE user_id = $1 AND state <> 'sent'),
                 (SELECT head FROM personal_heads WHERE user_id = $1), ",
            scheduled_columns!(),
            " FROM (SELECT 1) one LEFT JOIN (
                 SELECT * FROM scheduled_messages WHERE user_id = $1 AND state <> 'sent'
                 ORDER BY at, id LIMIT $2 OFFSET $3) q ON true
              ORDER BY q.at, q.id"
        );
        let rows = self.read_client().await?.rows(LIST, &[&user.0, &limit, &offset]).await?;
        Ok(PersonalList::of(&rows, |row| scheduled_of(row, 2)))
    }
}

/// How many columns [`scheduled_columns`] names.
pub(super) const SCHEDULED_WIDTH: usize = 10;

const FIND: &str =
    concat!("SELECT ", scheduled_columns!(), " FROM scheduled_messages q WHERE q.id = $2 AND q.user_id = $1");

async fn find(
    transaction: &WriteTransaction<'_>,
    user: UserId,
    id: Uuid,
) -> Result<Option<ScheduledMessage>, StoreError> {
    let row = transaction.row(FIND, &[&user.0, &id]).await?;
    Ok(row.and_then(|row| scheduled_of(&row, 0)))
}

/// Appends the change of a message to its user's log. Returns the head.
pub(super) async fn append(
    transaction: &WriteTransaction<'_>,
    user: UserId,
    id: Uuid,
) -> Result<PersonalSeq, StoreError> {
    let change = PersonalChange { user, kind: PersonalKind::Scheduled, id };
    let appended = log::append(transaction, &[change]).await?.pop();
    appended.map(|(_, head)| head).ok_or_else(|| StoreError::Unavailable("an entry was not stored".into()))
}
