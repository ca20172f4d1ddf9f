//! Drafts: for each room the text that a user hasn't sent yet.

use actors::domain::ids::{MessageId, PersonalSeq, RoomId, UserId};
use actors::domain::personal::{Draft, PersonalChange, PersonalKind};
use actors::ports::store::StoreError;
use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use uuid::Uuid;

use super::log::{self, PersonalList};
use crate::store::postgres::PostgresStore;
use crate::store::postgres::pool::client::WriteTransaction;

/// The most drafts of one user.
pub const DRAFTS_MAX: i64 = 200;

/// A draft to be stored; an empty text ends it.
#[derive(Clone, Copy, Debug)]
pub struct NewDraft<'a> {
    /// The room, which the user is in.
    pub room: RoomId,
    /// The text.
    pub content: &'a str,
    /// The message that it replies to.
    pub reply_to: Option<MessageId>,
}

/// What came of a draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DraftOutcome {
    /// It is stored, or ended.
    Stored {
        /// The draft.
        draft: Draft,
        /// The head of the personal log, if this changed anything.
        head: Option<PersonalSeq>,
    },
    /// The user has [`DRAFTS_MAX`] others.
    TooMany,
}

impl PostgresStore {
    /// Stores a draft in place of an earlier one, or ends it. The last call wins.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn put_draft(&self, user: UserId, draft: NewDraft<'_>) -> Result<DraftOutcome, StoreError> {
        let NewDraft { room, content, reply_to } = draft;
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        let mut updated_at = log::lock(&transaction, user).await?;
        let changed = match content {
            "" => end(&transaction, user, room).await?,
            _ => match upsert(&transaction, user, draft, updated_at).await? {
                Upserted::Unchanged(since) => {
                    updated_at = since;
                    false
                }
                Upserted::New if has_too_many(&transaction, user).await? => return Ok(DraftOutcome::TooMany),
                Upserted::New | Upserted::Changed => true,
            },
        };
        let mut head = None;
        if changed {
            let change = PersonalChange { user, kind: PersonalKind::Draft, id: room.0 };
            head = log::append(&transaction, &[change]).await?.pop().map(|(_, head)| head);
        }
        transaction.commit().await?;
        let reply_to = reply_to.filter(|_| !content.is_empty());
        let draft = Draft { room, content: content.to_owned(), reply_to, updated_at };
        Ok(DraftOutcome::Stored { draft, head })
    }

    /// Lists a user's drafts in rooms that the user is in, the newest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn drafts(
        &self,
        user: UserId,
        limit: i64,
        offset: i64,
    ) -> Result<PersonalList<Draft>, StoreError> {
        const LIST: &str = "WITH mine AS MATERIALIZED (
                SELECT d.room_id, d.content, d.reply_to, d.updated_at FROM drafts d
                JOIN participants p ON p.room_id = d.room_id AND p.user_id = d.user_id AND p.left_at IS NULL
                JOIN rooms r ON r.id = d.room_id AND r.deleted_at IS NULL
                WHERE d.user_id = $1)
            SELECT (SELECT count(*) FROM mine), (SELECT head FROM personal_heads WHERE user_id = $1),
                d.room_id, d.content, d.reply_to, d.updated_at
            FROM (SELECT 1) one LEFT JOIN (
                SELECT * FROM mine ORDER BY updated_at DESC, room_id LIMIT $2 OFFSET $3) d ON true
            ORDER BY d.updated_at DESC, d.room_id";
        let rows = self.read_client().await?.rows(LIST, &[&user.0, &limit, &offset]).await?;
        Ok(PersonalList::of(&rows, draft_of))
    }
}

/// What an upsert did.
enum Upserted {
    /// There was no draft in the room.
    New,
    /// There was another one.
    Changed,
    /// It is what it was since then.
    Unchanged(DateTime<Utc>),
}

async fn upsert(
    transaction: &WriteTransaction<'_>,
    user: UserId,
    NewDraft { room, content, reply_to }: NewDraft<'_>,
    now: DateTime<Utc>,
) -> Result<Upserted, StoreError> {
    const FIND: &str = "SELECT updated_at, (content, reply_to) IS NOT DISTINCT FROM ($3::text, $4::uuid)
        FROM drafts WHERE user_id = $1 AND room_id = $2";
    const UPSERT: &str = "INSERT INTO drafts (user_id, room_id, content, reply_to, updated_at)
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT (user_id, room_id) DO UPDATE
        SET content = excluded.content, reply_to = excluded.reply_to, updated_at = excluded.updated_at";
    let reply_to = reply_to.map(|message| message.0);
    // Nobody else changes the user's drafts, whose log is locked.
    let before = transaction.row(FIND, &[&user.0, &room.0, &content, &reply_to]).await?;
    if let Some(row) = before.as_ref().filter(|row| row.get(1)) {
        return Ok(Upserted::Unchanged(row.get(0)));
    }
    transaction.rows(UPSERT, &[&user.0, &room.0, &content, &reply_to, &now]).await?;
    Ok(if before.is_some() { Upserted::Changed } else { Upserted::New })
}

/// Ends a draft. Returns whether there was one.
async fn end(transaction: &WriteTransaction<'_>, user: UserId, room: RoomId) -> Result<bool, StoreError> {
    const END: &str = "DELETE FROM drafts WHERE user_id = $1 AND room_id = $2 RETURNING room_id";
    Ok(transaction.row(END, &[&user.0, &room.0]).await?.is_some())
}

/// Whether a user has too many drafts, even without those in rooms that the user is no longer in, which go then.
async fn has_too_many(transaction: &WriteTransaction<'_>, user: UserId) -> Result<bool, StoreError> {
    const COUNT: &str = "SELECT count(*) FROM drafts WHERE user_id = $1";
    const FORGET: &str = "DELETE FROM drafts d WHERE d.user_id = $1 AND NOT EXISTS (
            SELECT FROM participants p JOIN rooms r ON r.id = p.room_id AND r.deleted_at IS NULL
            WHERE p.room_id = d.room_id AND p.user_id = d.user_id AND p.left_at IS NULL)
        RETURNING d.room_id";
    let count = async || {
        let row = transaction.row(COUNT, &[&user.0]).await?;
        Ok::<i64, StoreError>(row.map_or(0, |row| row.get(0)))
    };
    if count().await? <= DRAFTS_MAX {
        return Ok(false);
    }
    transaction.rows(FORGET, &[&user.0]).await?;
    Ok(count().await? > DRAFTS_MAX)
}

fn draft_of(row: &Row) -> Option<Draft> {
    let room = row.get::<_, Option<Uuid>>(2)?;
    Some(Draft {
        room: RoomId(room),
        content: row.get(3),
        reply_to: row.get::<_, Option<_>>(4).map(MessageId),
        updated_at: row.get(5),
    })
}
