//! Reads what the rules of the domain look at: what is new in a room, and who may have to be told of it.

use std::collections::{BTreeMap, BTreeSet};

use actors::domain::ids::{MessageId, Seq, UserId};
use actors::domain::mentions::Mentions;
use actors::domain::notifications::rules::{MessageFacts, ReaderFacts};
use actors::domain::room::RoomType;
use actors::ports::store::StoreError;
use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::settings::settings_of;
use super::windows::DueWindow;
use crate::store::postgres::pool::client::WriteTransaction;
use crate::store::postgres::rows::level;

/// The newest messages of a window that are looked at. It has more only if they come for hours in which it is quiet.
const MESSAGES_MAX: i64 = 20_000;

/// The newest of them whose texts are searched for keywords, and how many code points of each.
const TEXTS_MAX: i64 = 500;
const TEXT_CHARS_MAX: i32 = 4_000;

/// What is new in a room.
pub(super) struct RoomFacts {
    pub(super) is_direct: bool,
    /// In the order of their positions.
    pub(super) messages: Vec<MessageFacts>,
    pub(super) readers: Vec<ReaderFacts>,
}

/// The participant `p` and the settings `s` as [`reader_of`] reads them. A user was told of everything up to the last
/// notification of the room, whatever became of it.
macro_rules! reader_columns {
    () => {
        concat!(
            "p.user_id, greatest(p.read_seq, p.joined_seq, p.visible_from_seq - 1), p.level, ",
            $crate::store::postgres::rules::is_muted!("p"),
            ", ",
            $crate::store::postgres::notifications::settings::settings_columns!()
        )
    };
}

pub(super) use reader_columns;

/// How many columns [`reader_columns`] names.
pub(super) const READER_WIDTH: usize = 12;

/// Reads the reader whose columns begin at `at`, as of `now`.
pub(super) fn reader_of(row: &Row, at: usize, now: DateTime<Utc>) -> ReaderFacts {
    let settings = settings_of(row, at + 4);
    ReaderFacts {
        user: UserId(row.get(at)),
        after: Seq(row.get(at + 1)),
        level: level(row, at + 2),
        is_muted: row.get(at + 3),
        blocked: BTreeSet::new(),
        threads: BTreeSet::new(),
        acknowledged: BTreeSet::new(),
        delay: settings.delay(),
        quiet_until: settings.quiet.and_then(|quiet| quiet.until(now)),
        keywords: settings.keywords,
        is_offline: false,
    }
}

/// Reads what is new in the room of a window; `None` if nobody is told of anything there.
pub(super) async fn read(
    transaction: &WriteTransaction<'_>,
    window: DueWindow,
    offline: &BTreeSet<UserId>,
    now: DateTime<Utc>,
) -> Result<Option<RoomFacts>, StoreError> {
    const ROOM: &str = "SELECT room_type FROM rooms
        WHERE id = $1 AND archived_at IS NULL AND deleted_at IS NULL";
    let Some(room) = transaction.row(ROOM, &[&window.room.0]).await? else { return Ok(None) };
    let is_direct = room.get::<_, &str>(0) == RoomType::Direct.as_str();
    let mut readers = read_readers(transaction, window, now).await?;
    if readers.is_empty() {
        return Ok(None);
    }
    let has_keywords = readers.iter().any(|reader| !reader.keywords.is_empty());
    let mut messages = read_messages(transaction, window, has_keywords).await?;
    add_mentions(transaction, window, &mut messages).await?;
    add_threads(transaction, window, &messages, &mut readers).await?;
    add_blocks(transaction, &messages, &mut readers).await?;
    add_acknowledgements(transaction, window, &messages, &mut readers).await?;
    for reader in &mut readers {
        reader.is_offline = offline.contains(&reader.user);
    }
    Ok(Some(RoomFacts { is_direct, messages, readers }))
}

/// Reads who is in the room, is no bot, and has neither read nor been told of all of the window.
async fn read_readers(
    transaction: &WriteTransaction<'_>,
    window: DueWindow,
    now: DateTime<Utc>,
) -> Result<Vec<ReaderFacts>, StoreError> {
    const READERS: &str = concat!(
        "SELECT ",
        reader_columns!(),
        ", t.last_seq FROM participants p
         CROSS JOIN LATERAL (SELECT FROM people WHERE id = p.user_id AND is_active LIMIT 1) u
         LEFT JOIN LATERAL (SELECT * FROM notification_settings WHERE user_id = p.user_id LIMIT 1) s ON true
         LEFT JOIN LATERAL (
             SELECT last_seq FROM notifications WHERE user_id = p.user_id AND room_id = p.room_id
             ORDER BY last_seq DESC LIMIT 1) t ON true
         WHERE p.room_id = $1 AND p.left_at IS NULL AND (p.level <> 'nothing' OR $3) AND p.read_seq < $2
             AND coalesce(t.last_seq, 0) < $2 AND p.user_id > 0"
    );
    let params: [&(dyn ToSql + Sync); 3] = [&window.room.0, &window.last.0, &window.has_urgent];
    let rows = transaction.rows(READERS, &params).await?;
    let reader = |row: &Row| {
        let told = row.get::<_, Option<_>>(READER_WIDTH).map_or(Seq::START, Seq);
        let reader = reader_of(row, 0, now);
        ReaderFacts { after: reader.after.max(told), ..reader }
    };
    Ok(rows.iter().map(reader).collect())
}

async fn read_messages(
    transaction: &WriteTransaction<'_>,
    window: DueWindow,
    has_keywords: bool,
) -> Result<Vec<MessageFacts>, StoreError> {
    const MESSAGES: &str = "SELECT m.id, m.seq, m.sender_id, m.created_at,
            CASE WHEN NOT m.in_timeline THEN m.thread_root END,
            CASE WHEN row_number() OVER (ORDER BY m.seq DESC) <= $5 THEN left(m.content, $6) ELSE '' END,
            coalesce(m.extras ? 'urgent', false)
        FROM messages m WHERE m.room_id = $1 AND m.seq BETWEEN $2 AND $3 AND m.deleted_at IS NULL
            AND m.message_type <> 'system'
        ORDER BY m.seq DESC LIMIT $4";
    let (room, first, last) = (window.room.0, window.first.0, window.last.0);
    let texts = if has_keywords { TEXTS_MAX } else { 0 };
    let params: [&(dyn ToSql + Sync); 6] = [&room, &first, &last, &MESSAGES_MAX, &texts, &TEXT_CHARS_MAX];
    let rows = transaction.rows(MESSAGES, &params).await?;
    Ok(rows.iter().rev().map(message_of).collect())
}

fn message_of(row: &Row) -> MessageFacts {
    MessageFacts {
        id: MessageId(row.get(0)),
        seq: Seq(row.get(1)),
        sender: UserId(row.get(2)),
        at: row.get(3),
        thread_alone: row.get::<_, Option<_>>(4).map(MessageId),
        mentions: Mentions::default(),
        is_urgent: row.get(6),
        text: row.get(5),
    }
}

async fn add_mentions(
    transaction: &WriteTransaction<'_>,
    window: DueWindow,
    messages: &mut [MessageFacts],
) -> Result<(), StoreError> {
    const MENTIONS: &str =
        "SELECT t.message_id, t.user_id FROM unnest($2::uuid[]) k (id) CROSS JOIN LATERAL (
            SELECT message_id, user_id FROM mentions WHERE room_id = $1 AND message_id = k.id OFFSET 0) t";
    let ids: Vec<Uuid> = messages.iter().map(|message| message.id.0).collect();
    let rows = transaction.rows(MENTIONS, &[&window.room.0, &ids]).await?;
    let mut mentions: BTreeMap<MessageId, Mentions> = BTreeMap::new();
    for row in &rows {
        let of = mentions.entry(MessageId(row.get(0))).or_default();
        match row.get(1) {
            // Stands for everyone in the room.
            0 => of.room = true,
            user => of.users.push(UserId(user)),
        }
    }
    for message in messages {
        message.mentions = mentions.remove(&message.id).unwrap_or_default();
    }
    Ok(())
}

async fn add_blocks(
    transaction: &WriteTransaction<'_>,
    messages: &[MessageFacts],
    readers: &mut [ReaderFacts],
) -> Result<(), StoreError> {
    const BLOCKS: &str =
        "SELECT b.user_id, b.blocked_id FROM unnest($1::bigint[]) k (id) CROSS JOIN LATERAL (
            SELECT user_id, blocked_id FROM blocks WHERE blocked_id = k.id AND user_id = ANY($2) OFFSET 0) b";
    let senders: BTreeSet<UserId> = messages.iter().map(|message| message.sender).collect();
    let senders: Vec<i64> = senders.iter().map(|sender| sender.0).collect();
    let users: Vec<i64> = readers.iter().map(|reader| reader.user.0).collect();
    let rows = transaction.rows(BLOCKS, &[&senders, &users]).await?;
    let mut blocked: BTreeMap<UserId, BTreeSet<UserId>> = BTreeMap::new();
    for row in &rows {
        blocked.entry(UserId(row.get(0))).or_default().insert(UserId(row.get(1)));
    }
    for reader in readers {
        reader.blocked = blocked.remove(&reader.user).unwrap_or_default();
    }
    Ok(())
}

async fn add_acknowledgements(
    transaction: &WriteTransaction<'_>,
    window: DueWindow,
    messages: &[MessageFacts],
    readers: &mut [ReaderFacts],
) -> Result<(), StoreError> {
    const GIVEN: &str = "SELECT t.message_id, t.user_id FROM unnest($2::uuid[]) k (id) CROSS JOIN LATERAL (
            SELECT message_id, user_id FROM acknowledgements WHERE room_id = $1 AND message_id = k.id OFFSET 0) t";
    let urgent = messages.iter().filter(|message| message.is_urgent);
    let urgent: Vec<Uuid> = urgent.map(|message| message.id.0).collect();
    if urgent.is_empty() {
        return Ok(());
    }
    let rows = transaction.rows(GIVEN, &[&window.room.0, &urgent]).await?;
    let mut given: BTreeMap<UserId, BTreeSet<MessageId>> = BTreeMap::new();
    for row in &rows {
        given.entry(UserId(row.get(1))).or_default().insert(MessageId(row.get(0)));
    }
    for reader in readers {
        reader.acknowledged = given.remove(&reader.user).unwrap_or_default();
    }
    Ok(())
}

async fn add_threads(
    transaction: &WriteTransaction<'_>,
    window: DueWindow,
    messages: &[MessageFacts],
    readers: &mut [ReaderFacts],
) -> Result<(), StoreError> {
    const USERS: &str = "SELECT t.message_id, t.user_id FROM unnest($2::uuid[]) k (id) CROSS JOIN LATERAL (
            SELECT message_id, user_id FROM thread_users WHERE room_id = $1 AND message_id = k.id OFFSET 0) t";
    let roots: BTreeSet<MessageId> = messages.iter().filter_map(|message| message.thread_alone).collect();
    if roots.is_empty() {
        return Ok(());
    }
    let roots: Vec<Uuid> = roots.iter().map(|root| root.0).collect();
    let rows = transaction.rows(USERS, &[&window.room.0, &roots]).await?;
    let mut threads: BTreeMap<UserId, BTreeSet<MessageId>> = BTreeMap::new();
    for row in &rows {
        threads.entry(UserId(row.get(1))).or_default().insert(MessageId(row.get(0)));
    }
    for reader in readers {
        reader.threads = threads.remove(&reader.user).unwrap_or_default();
    }
    Ok(())
}
