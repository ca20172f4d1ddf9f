//! Legal holds on rooms and users, and what was deleted under them.
//!
//! A trigger keeps a message that is deleted under a hold, whoever deletes it. A room's row says whether one is on it,
//! so that who locks it knows.

use actors::domain::ids::{MessageId, RoomId, UserId};
use actors::ports::store::StoreError;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio_postgres::Row;
use uuid::Uuid;

use super::audit::{self, AuditKind, NewAuditEntry};
use crate::store::postgres::PostgresStore;
use crate::store::postgres::pool::client::WriteTransaction;

/// The most holds that aren't released.
pub const HOLDS_MAX: i64 = 10_000;
/// Rooms marked, and kept messages deleted, by one call.
const ROOMS_AT_ONCE: i64 = 100;
const MESSAGES_AT_ONCE: i64 = 1_000;

/// What a hold is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldSubject {
    /// A room, with all that is in it.
    Room(RoomId),
    /// A user, with all that the user wrote.
    User(UserId),
}

/// A hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The id.
    pub id: Uuid,
    /// What it is on.
    pub subject: HoldSubject,
    /// What it is for.
    pub name: String,
    /// Who placed it; none for the host application.
    pub created_by: Option<UserId>,
    /// When.
    pub created_at: DateTime<Utc>,
    /// Who released it; none for the host application, and as long as it is on.
    pub released_by: Option<UserId>,
    /// When.
    pub released_at: Option<DateTime<Utc>>,
}

/// What came of placing a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HoldOutcome {
    /// It is on.
    Placed(Hold),
    /// The room or the user doesn't exist.
    Unknown,
    /// There are [`HOLDS_MAX`] others.
    TooMany,
}

/// A message that was deleted under a hold.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldMessage {
    /// The room.
    pub room: RoomId,
    /// The message.
    pub id: MessageId,
    /// The sender.
    pub sender: UserId,
    /// The text that it had.
    pub content: String,
    /// The texts before: `[{content, at}]`, the oldest first.
    pub versions: Value,
    /// The name of its file.
    pub attachment_name: Option<String>,
    /// When it was sent.
    pub created_at: DateTime<Utc>,
    /// When it was deleted.
    pub deleted_at: DateTime<Utc>,
}

/// The columns of a hold `h`, for [`hold_of`].
macro_rules! hold_columns {
    () => {
        "h.id, h.room_id, h.user_id, h.name, h.created_by, h.created_at, h.released_by, h.released_at"
    };
}

fn hold_of(row: &Row) -> Hold {
    let user = |at: usize| row.get::<_, Option<i64>>(at).map(UserId);
    let room = row.get::<_, Option<Uuid>>(1).map(|room| HoldSubject::Room(RoomId(room)));
    let subject = room.or(user(2).map(HoldSubject::User));
    Hold {
        id: row.get(0),
        subject: subject.expect("the table holds one of the two"),
        name: row.get(3),
        created_by: user(4),
        created_at: row.get(5),
        released_by: user(6),
        released_at: row.get(7),
    }
}

impl HoldSubject {
    /// The ids as columns.
    fn columns(self) -> (Option<Uuid>, Option<i64>) {
        match self {
            Self::Room(room) => (Some(room.0), None),
            Self::User(user) => (None, Some(user.0)),
        }
    }
}

impl PostgresStore {
    /// Places a hold.
    ///
    /// # Errors
    /// [`StoreError`]; after [`StoreError::OutcomeUnknown`] it may be on.
    pub async fn place_hold(
        &self,
        subject: HoldSubject,
        name: &str,
        by: Option<UserId>,
    ) -> Result<HoldOutcome, StoreError> {
        const ROOM: &str = "SELECT FROM rooms WHERE id = $1";
        // Behind an erasure that is under way, and before the next one.
        const USER: &str = "SELECT FROM people WHERE id = $1 AND erased_at IS NULL FOR NO KEY UPDATE";
        const COUNT: &str = "SELECT count(*) FROM (SELECT FROM holds WHERE released_at IS NULL LIMIT $1) h";
        const INSERT: &str = concat!(
            "INSERT INTO holds AS h (id, room_id, user_id, name, created_by)
             VALUES ($1, $2, $3, $4, $5) RETURNING ",
            hold_columns!()
        );
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        let known = match subject {
            HoldSubject::Room(room) => transaction.row(ROOM, &[&room.0]).await?,
            HoldSubject::User(user) => transaction.row(USER, &[&user.0]).await?,
        };
        if known.is_none() {
            return Ok(HoldOutcome::Unknown);
        }
        let count = transaction.row(COUNT, &[&HOLDS_MAX]).await?;
        if count.is_some_and(|row| row.get::<_, i64>(0) >= HOLDS_MAX) {
            return Ok(HoldOutcome::TooMany);
        }
        let (room, user) = subject.columns();
        let id = Uuid::now_v7();
        let row = transaction.row(INSERT, &[&id, &room, &user, &name, &by.map(|by| by.0)]).await?;
        let hold = row.as_ref().map(hold_of);
        let hold = hold.ok_or_else(|| StoreError::Unavailable("a hold was not stored".into()))?;
        audit::add(&transaction, vec![entry(AuditKind::HoldPlaced, &hold, by)]).await?;
        transaction.commit().await?;
        // Whoever waits for a second connection holds none.
        drop(client);
        self.mark_room_of(&hold).await?;
        Ok(HoldOutcome::Placed(hold))
    }

    /// Releases a hold. Returns whether there is one of this id.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn release_hold(&self, id: Uuid, by: Option<UserId>) -> Result<bool, StoreError> {
        const RELEASE: &str = concat!(
            "UPDATE holds h SET released_at = now(), released_by = $2
             WHERE h.id = $1 AND h.released_at IS NULL RETURNING ",
            hold_columns!()
        );
        // Retention has passed over what the user wrote.
        const LOOK_AGAIN: &str = "DELETE FROM retention_progress
            WHERE room_id = ANY (ARRAY(SELECT room_id FROM participants WHERE user_id = $1))";
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        let released = transaction.row(RELEASE, &[&id, &by.map(|by| by.0)]).await?.as_ref().map(hold_of);
        if let Some(hold) = &released {
            if let HoldSubject::User(user) = hold.subject {
                transaction.rows(LOOK_AGAIN, &[&user.0]).await?;
            }
            audit::add(&transaction, vec![entry(AuditKind::HoldReleased, hold, by)]).await?;
        }
        transaction.commit().await?;
        drop(client);
        match self.hold(id).await? {
            Some(hold) => self.mark_room_of(&hold).await.map(|()| true),
            None => Ok(false),
        }
    }

    /// Lists holds, the newest first, and how many there are.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn holds(&self, limit: i64, offset: i64) -> Result<(i64, Vec<Hold>), StoreError> {
        const LIST: &str = concat!(
            "SELECT ",
            hold_columns!(),
            ", (SELECT count(*) FROM holds) FROM holds h ORDER BY h.id DESC LIMIT $1 OFFSET $2"
        );
        let rows = self.long_read_client().await?.rows(LIST, &[&limit, &offset]).await?;
        let count = rows.first().map_or(0, |row| row.get(8));
        Ok((count, rows.iter().map(hold_of).collect()))
    }

    /// Reads a hold.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn hold(&self, id: Uuid) -> Result<Option<Hold>, StoreError> {
        const FIND: &str = concat!("SELECT ", hold_columns!(), " FROM holds h WHERE h.id = $1");
        Ok(self.read_client().await?.row(FIND, &[&id]).await?.as_ref().map(hold_of))
    }

    /// Finds the name of a hold that is on a room.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn hold_on_room(&self, room: RoomId) -> Result<Option<String>, StoreError> {
        const FIND: &str =
            "SELECT name FROM holds WHERE room_id = $1 AND released_at IS NULL ORDER BY id LIMIT 1";
        Ok(self.read_client().await?.row(FIND, &[&room.0]).await?.map(|row| row.get(0)))
    }

    /// Lists messages that were deleted under a hold, for `by`, which the audit log records: at most `limit` after
    /// `after`, by room or by user.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn held_messages(
        &self,
        hold: &Hold,
        after: MessageId,
        limit: i64,
        by: Option<UserId>,
    ) -> Result<Vec<HeldMessage>, StoreError> {
        macro_rules! list {
            ($key:literal) => {
                concat!(
                    "SELECT m.room_id, m.message_id, m.sender_id, m.content, m.versions, m.attachment_name,
                         m.created_at, m.deleted_at
                     FROM held_messages m WHERE m.",
                    $key,
                    " = $1 AND m.message_id > $2 ORDER BY m.message_id LIMIT $3"
                )
            };
        }
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        let rows = match hold.subject {
            HoldSubject::Room(room) => {
                transaction.rows(list!("room_id"), &[&room.0, &after.0, &limit]).await?
            }
            HoldSubject::User(user) => {
                transaction.rows(list!("sender_id"), &[&user.0, &after.0, &limit]).await?
            }
        };
        audit::add(&transaction, vec![entry(AuditKind::HeldMessagesRead, hold, by)]).await?;
        transaction.commit().await?;
        Ok(rows.iter().map(held_message_of).collect())
    }

    /// Finishes what a node has left that died between two transactions: marks rooms that holds are on. Deletes some
    /// of the messages that no hold keeps any more.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn settle_holds(&self) -> Result<(), StoreError> {
        const UNMARKED: &str = concat!(
            "SELECT ",
            hold_columns!(),
            " FROM holds h JOIN rooms r ON r.id = h.room_id
              WHERE h.released_at IS NULL AND NOT r.is_held LIMIT $1"
        );
        const DELETE: &str = "DELETE FROM held_messages WHERE ctid = ANY (ARRAY(
            SELECT m.ctid FROM held_messages m
            WHERE NOT EXISTS (SELECT FROM holds h WHERE h.room_id = m.room_id AND h.released_at IS NULL)
                AND NOT EXISTS (SELECT FROM holds h WHERE h.user_id = m.sender_id AND h.released_at IS NULL)
            LIMIT $1))";
        let unmarked = self.read_client().await?.rows(UNMARKED, &[&ROOMS_AT_ONCE]).await?;
        for hold in unmarked.iter().map(hold_of) {
            self.mark_room_of(&hold).await?;
        }
        let mut client = self.background_write_client().await?;
        let transaction = client.begin().await?;
        transaction.rows(DELETE, &[&MESSAGES_AT_ONCE]).await?;
        transaction.commit().await
    }

    /// Says in a room's row whether a hold is on it, behind the commands that hold its lock. This is a transaction of
    /// its own, because nobody waits for the audit log with a room's lock.
    async fn mark_room_of(&self, hold: &Hold) -> Result<(), StoreError> {
        const LOCK: &str = "SELECT FROM rooms WHERE id = $1 FOR NO KEY UPDATE";
        const MARK: &str = "UPDATE rooms SET is_held = EXISTS (
            SELECT FROM holds WHERE room_id = $1 AND released_at IS NULL) WHERE id = $1";
        let HoldSubject::Room(room) = hold.subject else { return Ok(()) };
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        transaction.rows(LOCK, &[&room.0]).await?;
        transaction.rows(MARK, &[&room.0]).await?;
        transaction.commit().await
    }
}

/// Finds the name of a hold that is on a user, whose row the transaction has locked.
pub(crate) async fn hold_on_user(
    transaction: &WriteTransaction<'_>,
    user: UserId,
) -> Result<Option<String>, StoreError> {
    const FIND: &str =
        "SELECT name FROM holds WHERE user_id = $1 AND released_at IS NULL ORDER BY id LIMIT 1";
    Ok(transaction.row(FIND, &[&user.0]).await?.map(|row| row.get(0)))
}

fn entry(kind: AuditKind, hold: &Hold, by: Option<UserId>) -> NewAuditEntry {
    let entry = NewAuditEntry::of(kind, by, json!({ "hold": hold.id }));
    match hold.subject {
        HoldSubject::Room(room) => NewAuditEntry { room: Some(room), ..entry },
        HoldSubject::User(user) => NewAuditEntry { user: Some(user), ..entry },
    }
}

fn held_message_of(row: &Row) -> HeldMessage {
    HeldMessage {
        room: RoomId(row.get(0)),
        id: MessageId(row.get(1)),
        sender: UserId(row.get(2)),
        content: row.get(3),
        versions: row.get(4),
        attachment_name: row.get(5),
        created_at: row.get(6),
        deleted_at: row.get(7),
    }
}
