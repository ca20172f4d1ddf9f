//! Writes Django's tables.
//!
//! Rows that are there are changed where they differ, so an export can be killed and run again.

use std::collections::BTreeSet;

use actors::failpoint::{self, Failpoint};
use chrono::{DateTime, Utc};
use deadpool_postgres::ClientWrapper;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::chat_export::ExportedParticipant;
use super::records::MovedRoomRow;
use super::{MoveError, Params, connect_to_django};
use crate::config::DatabaseAddress;

const SETTINGS: &str = "SET statement_timeout = 0; SET jit = off; SET lock_timeout = '30s';";

/// A connection to Django's database that writes.
pub struct DjangoWriter {
    client: ClientWrapper,
}

/// A message as it is written into Django's table.
#[derive(Clone, Debug)]
pub struct DjangoMessage {
    /// The id.
    pub id: Uuid,
    /// The author, if Django has the user.
    pub sender: Option<i64>,
    /// The type.
    pub message_type: String,
    /// The text.
    pub content: String,
    /// The path of its file under `MEDIA_ROOT`.
    pub attachment: Option<String>,
    /// The name of its file.
    pub attachment_name: String,
    /// The size of its file.
    pub attachment_size: Option<i64>,
    /// What it replies to, if that is there already.
    pub reply_to: Option<Uuid>,
    /// When it was sent.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub modified_at: DateTime<Utc>,
    /// When its text last changed.
    pub edited_at: Option<DateTime<Utc>>,
    /// When it was deleted.
    pub deleted_at: Option<DateTime<Utc>>,
    /// Who has read it when.
    pub read_by: String,
}

const UPSERT_ROOM: &str = "INSERT INTO api_chatroom AS r (id, name, room_type, created_at, modified_at, is_active,
        archived_at, created_by_id, property_id, task_id)
    VALUES ($1, left($2, 255), $3, $4, $5, $6::timestamptz IS NULL, $6,
        (SELECT id FROM auth_user WHERE id = $7::bigint), $8::bigint, $9::bigint)
    ON CONFLICT (id) DO UPDATE SET name = excluded.name, room_type = excluded.room_type,
        modified_at = excluded.modified_at, is_active = excluded.is_active, archived_at = excluded.archived_at,
        created_by_id = excluded.created_by_id, property_id = excluded.property_id, task_id = excluded.task_id
    WHERE (r.name, r.room_type, r.modified_at, r.is_active, r.archived_at, r.created_by_id, r.property_id, r.task_id)
        IS DISTINCT FROM (excluded.name, excluded.room_type, excluded.modified_at, excluded.is_active,
        excluded.archived_at, excluded.created_by_id, excluded.property_id, excluded.task_id)";

/// A participant whose id another one has in Django gets a new id.
const UPSERT_PARTICIPANTS: &str = "INSERT INTO api_chatparticipant AS p (id, room_id, user_id, joined_at, left_at,
        last_read_at, muted, muted_until, is_admin)
    SELECT CASE WHEN EXISTS (SELECT FROM api_chatparticipant o WHERE o.id = k.id
                AND (o.room_id <> $1 OR o.user_id <> k.user_id))
            THEN nextval(pg_get_serial_sequence('api_chatparticipant', 'id')) ELSE k.id END,
        $1, k.user_id, k.joined_at, k.left_at, k.last_read_at, k.muted, k.muted_until, k.is_admin
    FROM unnest($2::bigint[], $3::bigint[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[], $7::boolean[],
        $8::timestamptz[], $9::boolean[])
        k (id, user_id, joined_at, left_at, last_read_at, muted, muted_until, is_admin)
    ON CONFLICT (room_id, user_id) DO UPDATE SET joined_at = excluded.joined_at, left_at = excluded.left_at,
        last_read_at = excluded.last_read_at, muted = excluded.muted, muted_until = excluded.muted_until,
        is_admin = excluded.is_admin
    WHERE (p.joined_at, p.left_at, p.last_read_at, p.muted, p.muted_until, p.is_admin) IS DISTINCT FROM
        (excluded.joined_at, excluded.left_at, excluded.last_read_at, excluded.muted, excluded.muted_until,
        excluded.is_admin)";

/// A message that was deleted in Django keeps there what it has of a file.
const UPSERT_MESSAGES: &str = "INSERT INTO api_chatmessage AS m (id, room_id, sender_id, message_type, content,
        attachment, attachment_name, attachment_size, reply_to_id, created_at, modified_at, is_edited, edited_at,
        is_deleted, deleted_at, read_by)
    SELECT id, $1, sender_id, message_type, content, attachment, left(attachment_name, 255),
        least(attachment_size, 2147483647)::int, reply_to_id, created_at, modified_at, edited_at IS NOT NULL,
        edited_at, deleted_at IS NOT NULL, deleted_at, read_by::jsonb
    FROM unnest($2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::uuid[],
        $10::timestamptz[], $11::timestamptz[], $12::timestamptz[], $13::timestamptz[], $14::text[])
        k (id, sender_id, message_type, content, attachment, attachment_name, attachment_size, reply_to_id,
        created_at, modified_at, edited_at, deleted_at, read_by)
    ON CONFLICT (id) DO UPDATE SET room_id = excluded.room_id, sender_id = excluded.sender_id,
        message_type = excluded.message_type, content = excluded.content,
        attachment = CASE WHEN m.is_deleted AND excluded.is_deleted THEN m.attachment ELSE excluded.attachment END,
        attachment_name = CASE WHEN m.is_deleted AND excluded.is_deleted THEN m.attachment_name
            ELSE excluded.attachment_name END,
        attachment_size = CASE WHEN m.attachment = excluded.attachment OR m.is_deleted AND excluded.is_deleted
            THEN m.attachment_size ELSE excluded.attachment_size END,
        reply_to_id = excluded.reply_to_id, created_at = excluded.created_at, modified_at = excluded.modified_at,
        is_edited = excluded.is_edited, edited_at = excluded.edited_at, is_deleted = excluded.is_deleted,
        deleted_at = excluded.deleted_at, read_by = excluded.read_by
    WHERE (m.room_id, m.sender_id, m.message_type, m.content, m.reply_to_id, m.created_at, m.modified_at,
            m.is_edited, m.edited_at, m.is_deleted, m.deleted_at, m.read_by)
        IS DISTINCT FROM (excluded.room_id, excluded.sender_id, excluded.message_type, excluded.content,
            excluded.reply_to_id, excluded.created_at, excluded.modified_at, excluded.is_edited, excluded.edited_at,
            excluded.is_deleted, excluded.deleted_at, excluded.read_by)
        OR NOT excluded.is_deleted AND (nullif(m.attachment, ''), m.attachment_name)
            IS DISTINCT FROM (excluded.attachment, excluded.attachment_name)";

impl DjangoWriter {
    /// Connects.
    ///
    /// # Errors
    /// [`MoveError`].
    pub async fn connect(address: DatabaseAddress) -> Result<Self, MoveError> {
        Ok(Self { client: connect_to_django(address, SETTINGS).await? })
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// [`MoveError::Django`].
    pub async fn begin(&self) -> Result<(), MoveError> {
        self.client.batch_execute("BEGIN").await.map_err(MoveError::Django)
    }

    /// Commits the transaction.
    ///
    /// # Errors
    /// [`MoveError::Django`].
    pub async fn commit(&self) -> Result<(), MoveError> {
        failpoint::pass(Failpoint::Committing);
        self.client.batch_execute("COMMIT").await.map_err(MoveError::Django)?;
        failpoint::pass(Failpoint::Committed);
        Ok(())
    }

    /// The ids of all of Django's people.
    ///
    /// # Errors
    /// [`MoveError::Django`].
    pub async fn users(&self) -> Result<BTreeSet<i64>, MoveError> {
        let rows = self.rows("SELECT id::bigint FROM auth_user", &[]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Whether Django has a task, and a property.
    ///
    /// # Errors
    /// [`MoveError::Django`].
    pub async fn has_subject(&self, task: Option<i64>, property: Option<i64>) -> Result<bool, MoveError> {
        const FIND: &str = "SELECT EXISTS (SELECT FROM api_task WHERE id = $1::bigint)
            OR EXISTS (SELECT FROM api_property WHERE id = $2::bigint)";
        Ok(self.rows(FIND, &[&task, &property]).await?.first().is_some_and(|row| row.get(0)))
    }

    /// Makes sure that no participant gets an id up to `last` later.
    ///
    /// # Errors
    /// [`MoveError::Django`].
    pub async fn reserve_participant_ids(&self, last: i64) -> Result<(), MoveError> {
        const RESERVE: &str = "SELECT setval(pg_get_serial_sequence('api_chatparticipant', 'id'),
            greatest($1, (SELECT coalesce(max(id), 0) FROM api_chatparticipant), 1))";
        self.rows(RESERVE, &[&last]).await.map(drop)
    }

    /// Writes a room. Returns whether it was new or changed.
    ///
    /// # Errors
    /// [`MoveError::Django`].
    pub async fn put_room(&self, room: &MovedRoomRow) -> Result<bool, MoveError> {
        let params: [&(dyn ToSql + Sync); 9] = [
            &room.id,
            &room.name,
            &room.room_type.as_str(),
            &room.created_at,
            &room.modified_at,
            &room.archived_at,
            &room.created_by,
            &room.property,
            &room.task,
        ];
        Ok(self.run(UPSERT_ROOM, &params).await? > 0)
    }

    /// Writes participants, all of whom Django has as people. Returns how many were new or changed.
    ///
    /// # Errors
    /// [`MoveError::Django`].
    pub async fn put_participants(
        &self,
        room: Uuid,
        participants: &[&ExportedParticipant],
    ) -> Result<u64, MoveError> {
        macro_rules! column {
            (|$participant:ident| $value:expr) => {
                participants.iter().map(|$participant| $value).collect::<Vec<_>>()
            };
        }
        let ids = column!(|participant| participant.id);
        let users = column!(|participant| participant.user);
        let joined = column!(|participant| participant.joined_at);
        let left = column!(|participant| participant.left_at);
        let read = column!(|participant| participant.read.map(|(_, at)| at).or(participant.read_at));
        let muted = column!(|participant| participant.is_muted);
        let until = column!(|participant| participant.muted_until);
        let admins = column!(|participant| participant.is_admin);
        let params: [&(dyn ToSql + Sync); 9] =
            [&room, &ids, &users, &joined, &left, &read, &muted, &until, &admins];
        self.run(UPSERT_PARTICIPANTS, &params).await
    }

    /// Writes messages. Returns how many were new or changed.
    ///
    /// # Errors
    /// [`MoveError::Django`].
    pub async fn put_messages(&self, room: Uuid, messages: &[DjangoMessage]) -> Result<u64, MoveError> {
        macro_rules! column {
            (|$message:ident| $value:expr) => {
                messages.iter().map(|$message| $value).collect::<Vec<_>>()
            };
        }
        let ids = column!(|message| message.id);
        let senders = column!(|message| message.sender);
        let types = column!(|message| message.message_type.as_str());
        let contents = column!(|message| message.content.as_str());
        let attachments = column!(|message| message.attachment.as_deref());
        let names = column!(|message| message.attachment_name.as_str());
        let sizes = column!(|message| message.attachment_size);
        let replies = column!(|message| message.reply_to);
        let created = column!(|message| message.created_at);
        let modified = column!(|message| message.modified_at);
        let edited = column!(|message| message.edited_at);
        let deleted = column!(|message| message.deleted_at);
        let read_by = column!(|message| message.read_by.as_str());
        let params: [&(dyn ToSql + Sync); 14] = [
            &room,
            &ids,
            &senders,
            &types,
            &contents,
            &attachments,
            &names,
            &sizes,
            &replies,
            &created,
            &modified,
            &edited,
            &deleted,
            &read_by,
        ];
        self.run(UPSERT_MESSAGES, &params).await
    }

    /// Which of these messages Django has.
    ///
    /// # Errors
    /// [`MoveError::Django`].
    pub async fn present_messages(&self, ids: &[Uuid]) -> Result<BTreeSet<Uuid>, MoveError> {
        if ids.is_empty() {
            return Ok(BTreeSet::new());
        }
        let rows = self.rows("SELECT id FROM api_chatmessage WHERE id = ANY($1)", &[&ids]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Sets what messages reply to, once the targets are there.
    ///
    /// # Errors
    /// [`MoveError::Django`].
    pub async fn set_replies(&self, replies: &[(Uuid, Uuid)]) -> Result<(), MoveError> {
        const SET: &str = "UPDATE api_chatmessage m SET reply_to_id = k.target
            FROM unnest($1::uuid[], $2::uuid[]) k (id, target)
            WHERE m.id = k.id AND m.reply_to_id IS DISTINCT FROM k.target";
        let (ids, targets): (Vec<Uuid>, Vec<Uuid>) = replies.iter().copied().unzip();
        self.run(SET, &[&ids, &targets]).await.map(drop)
    }

    async fn rows(&self, sql: &'static str, params: Params<'_>) -> Result<Vec<Row>, MoveError> {
        let run = async {
            let statement = self.client.prepare_cached(sql).await?;
            self.client.query(&statement, params).await
        };
        run.await.map_err(MoveError::Django)
    }

    async fn run(&self, sql: &'static str, params: Params<'_>) -> Result<u64, MoveError> {
        let run = async {
            let statement = self.client.prepare_cached(sql).await?;
            self.client.execute(&statement, params).await
        };
        run.await.map_err(MoveError::Django)
    }
}
