//! Saved messages: what a user has put aside to find it again.

use actors::domain::ids::{MessageId, PersonalSeq, RoomId, UserId};
use actors::domain::personal::{PersonalChange, PersonalKind};
use actors::ports::store::StoreError;
use chrono::{DateTime, Utc};
use tokio_postgres::Row;

use super::log::{self, PersonalList};
use crate::store::postgres::PostgresStore;
use crate::store::postgres::pool::client::WriteTransaction;
use crate::store::postgres::queries::{MessageDetails, PAGE_WIDTH, page_columns, read_page};
use crate::store::postgres::rows::{MESSAGE_WIDTH, message_tables};
use crate::store::postgres::rules::is_visible;

/// The most saved messages of one user.
pub const SAVED_MAX: i64 = 1_000;

/// What came of saving a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaveOutcome {
    /// It is saved.
    Saved {
        /// Since when.
        saved_at: DateTime<Utc>,
        /// The head of the personal log, if it wasn't saved before.
        head: Option<PersonalSeq>,
    },
    /// The user has saved [`SAVED_MAX`] others.
    TooMany,
}

/// A saved message that its user may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedMessageDetails {
    /// The message.
    pub details: MessageDetails,
    /// When it was saved.
    pub saved_at: DateTime<Utc>,
}

/// The saved messages `s` of the user `$1` that the user may read now, as `m`.
macro_rules! readable {
    () => {
        concat!(
            " saved_messages s
             JOIN messages m ON m.room_id = s.room_id AND m.id = s.message_id AND m.deleted_at IS NULL
             JOIN rooms r ON r.id = s.room_id AND r.deleted_at IS NULL
             JOIN participants me ON me.room_id = s.room_id AND me.user_id = s.user_id AND me.left_at IS NULL
                 AND ",
            is_visible!("m", "me"),
            " WHERE s.user_id = $1"
        )
    };
}

impl PostgresStore {
    /// Saves a message that the user may read. A saved one stays as it is.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn save_message(
        &self,
        user: UserId,
        room: RoomId,
        message: MessageId,
    ) -> Result<SaveOutcome, StoreError> {
        const SAVE: &str = "INSERT INTO saved_messages (user_id, message_id, room_id, saved_at)
            VALUES ($1, $2, $3, $4) ON CONFLICT (user_id, message_id) DO NOTHING RETURNING saved_at";
        const FIND: &str = "SELECT saved_at FROM saved_messages WHERE user_id = $1 AND message_id = $2";
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        let now = log::lock(&transaction, user).await?;
        let saved = transaction.row(SAVE, &[&user.0, &message.0, &room.0, &now]).await?;
        let Some(saved) = saved else {
            let before = transaction.row(FIND, &[&user.0, &message.0]).await?;
            let saved_at = before.map_or(now, |row| row.get(0));
            return Ok(SaveOutcome::Saved { saved_at, head: None });
        };
        if has_too_many(&transaction, user).await? {
            return Ok(SaveOutcome::TooMany);
        }
        let head = append(&transaction, user, message).await?;
        transaction.commit().await?;
        Ok(SaveOutcome::Saved { saved_at: saved.get(0), head })
    }

    /// Ends the saving of a message. Returns the head of the personal log, if the message was saved.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn unsave_message(
        &self,
        user: UserId,
        message: MessageId,
    ) -> Result<Option<PersonalSeq>, StoreError> {
        const UNSAVE: &str =
            "DELETE FROM saved_messages WHERE user_id = $1 AND message_id = $2 RETURNING message_id";
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        log::lock(&transaction, user).await?;
        if transaction.row(UNSAVE, &[&user.0, &message.0]).await?.is_none() {
            return Ok(None);
        }
        let head = append(&transaction, user, message).await?;
        transaction.commit().await?;
        Ok(head)
    }

    /// Lists the saved messages that the user may read now, the newest saved first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn saved_messages(
        &self,
        user: UserId,
        limit: i64,
        offset: i64,
    ) -> Result<PersonalList<SavedMessageDetails>, StoreError> {
        const LIST: &str = concat!(
            "WITH mine AS MATERIALIZED (SELECT s.saved_at, m.room_id, m.id FROM",
            readable!(),
            ") SELECT (SELECT count(*) FROM mine), (SELECT head FROM personal_heads WHERE user_id = $1), ",
            page_columns!(),
            ", s.saved_at FROM (SELECT 1) one LEFT JOIN (
                 SELECT * FROM mine ORDER BY saved_at DESC, id LIMIT $2 OFFSET $3) s ON true
             LEFT JOIN messages m ON m.room_id = s.room_id AND m.id = s.id",
            message_tables!(),
            "ORDER BY s.saved_at DESC, s.id"
        );
        const SAVED_AT: usize = PAGE_WIDTH + MESSAGE_WIDTH + 1;
        let client = self.long_read_client().await?;
        let rows = client.rows(LIST, &[&user.0, &limit, &offset]).await?;
        let times = PersonalList::of(&rows, |row: &Row| row.get::<_, Option<DateTime<Utc>>>(SAVED_AT));
        let page = read_page(&client, user, &rows).await?;
        let saved = page.messages.into_iter().zip(times.items);
        let items = saved.map(|(details, saved_at)| SavedMessageDetails { details, saved_at });
        Ok(PersonalList { count: times.count, head: times.head, items: items.collect() })
    }
}

async fn append(
    transaction: &WriteTransaction<'_>,
    user: UserId,
    message: MessageId,
) -> Result<Option<PersonalSeq>, StoreError> {
    let change = PersonalChange { user, kind: PersonalKind::Saved, id: message.0 };
    Ok(log::append(transaction, &[change]).await?.pop().map(|(_, head)| head))
}

/// Whether a user has saved too many messages, even without those that the user may not read now, which go then.
async fn has_too_many(transaction: &WriteTransaction<'_>, user: UserId) -> Result<bool, StoreError> {
    const COUNT: &str = "SELECT count(*) FROM saved_messages WHERE user_id = $1";
    const FORGET: &str = concat!(
        "DELETE FROM saved_messages WHERE user_id = $1 AND message_id <> ALL (ARRAY(
             SELECT s.message_id FROM",
        readable!(),
        ")) RETURNING message_id"
    );
    let count = async || {
        let row = transaction.row(COUNT, &[&user.0]).await?;
        Ok::<i64, StoreError>(row.map_or(0, |row| row.get(0)))
    };
    if count().await? <= SAVED_MAX {
        return Ok(false);
    }
    transaction.rows(FORGET, &[&user.0]).await?;
    Ok(count().await? > SAVED_MAX)
}
