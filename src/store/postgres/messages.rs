//! Messages as REST shows them: pages, cursors, one by its id, each with who has read it.
//!
//! A page takes two statements, however many messages it has: one for the messages with the room's head
//! as of the same moment, one for who has read them.

use std::collections::BTreeMap;

use actors::domain::ids::{MessageId, RoomId, Seq, UserId};
use actors::domain::message::{Message, MessageType};
use actors::ports::store::StoreError;
use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::PostgresStore;
use super::reader::Reader;
use super::rows::{MESSAGE_WIDTH, author_columns, message, message_columns, message_tables};
use super::texts::ALONE;

/// Rooms of more people don't tell who has read a message when, only how many.
pub(super) const READERS_TOLD_MAX: i64 = 50;
/// Messages that one transaction erases: some ten milliseconds.
const ERASED_AT_ONCE: i64 = 500;

/// A message with what it is to one reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadMessage {
    /// The message.
    pub message: Message,
    /// Its sender's address.
    pub sender_email: String,
    /// Who of the others in the room has read it.
    pub readers: Readers,
}

/// Who has read a message, its author left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readers {
    /// Whether the one who asks has; one's own is always read.
    pub is_read: bool,
    /// How many have.
    pub count: i64,
    /// When each of them first did; empty in large rooms.
    pub first: BTreeMap<UserId, DateTime<Utc>>,
}

/// Which messages of the viewer's rooms are wanted.
#[derive(Clone, Debug, Default)]
pub struct MessageFilter {
    /// Of this room alone.
    pub room: Option<RoomId>,
    /// Of this kind alone.
    pub message_type: Option<MessageType>,
    /// By this person alone.
    pub sender: Option<UserId>,
    /// With the oldest first, instead of the newest.
    pub oldest_first: bool,
}

/// A page of messages and how many there are in all.
#[derive(Clone, Debug, Default)]
pub struct MessagePage {
    /// The messages of all pages.
    pub count: i64,
    /// The head of the room that the page shows; none where it isn't of one room.
    pub head: Option<Seq>,
    /// This page.
    pub messages: Vec<ReadMessage>,
}

/// From where in a room's log messages are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The newest.
    Newest,
    /// The newest before this position.
    Before(Seq),
    /// The oldest after this position.
    After(Seq),
}

/// Messages next to a place.
#[derive(Clone, Debug, Default)]
pub struct MessageRun {
    /// The head of the room as of the run; none for one who isn't in it.
    pub head: Option<Seq>,
    /// The messages, going away from the place.
    pub messages: Vec<ReadMessage>,
    /// Whether more follow in the same direction.
    pub has_more: bool,
}

/// The viewer's rooms, or the one of them that is named.
macro_rules! mine {
    () => {
        "mine AS MATERIALIZED (
             SELECT me.room_id, me.visible_from_seq, r.head FROM participants me JOIN rooms r ON r.id = me.room_id
             WHERE me.user_id = $1 AND me.left_at IS NULL AND r.deleted_at IS NULL
               AND ($2::uuid IS NULL OR me.room_id = $2)) "
    };
}

/// What a message `m` of the room `mine` must be to be shown and wanted.
macro_rules! wanted {
    () => {
        "m.room_id = mine.room_id AND m.deleted_at IS NULL AND m.seq >= mine.visible_from_seq
         AND ($3::text IS NULL OR m.message_type = $3) AND ($4::bigint IS NULL OR m.sender_id = $4)"
    };
}

/// A message's columns, its sender's address, and the number of columns before them: count and head.
macro_rules! page_columns {
    () => {
        concat!(message_columns!(), ", coalesce(u.email, '')")
    };
}

/// The places of the person `$1` in rooms, those left too. Each half has its index.
macro_rules! places {
    () => {
        "(SELECT room_id FROM participants WHERE user_id = $1 AND left_at IS NULL UNION ALL
          SELECT room_id FROM participants WHERE user_id = $1 AND left_at IS NOT NULL)"
    };
}

pub(super) use {mine, page_columns};

const PAGE_COLUMNS_AT: usize = 2;

impl PostgresStore {
    /// Reads a page of undeleted messages of the viewer's rooms, in the order of their sending.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn message_page(
        &self,
        viewer: UserId,
        filter: &MessageFilter,
        limit: i64,
        offset: i64,
    ) -> Result<MessagePage, StoreError> {
        // Each room gives no more than the page could need of it, so that rooms with long histories
        // cost what short ones do.
        macro_rules! page {
            ($direction:literal) => {
                concat!(
                    "WITH ",
                    mine!(),
                    "SELECT (SELECT count(*) FROM mine JOIN messages m ON ",
                    wanted!(),
                    "),
                            (SELECT max(head) FROM mine WHERE $2::uuid IS NOT NULL), ",
                    page_columns!(),
                    "FROM (SELECT 1) one LEFT JOIN (
                         SELECT m.* FROM mine CROSS JOIN LATERAL (
                             SELECT m.* FROM messages m WHERE ",
                    wanted!(),
                    "        ORDER BY m.seq ",
                    $direction,
                    " LIMIT $5::bigint + $6::bigint) m
                         ORDER BY CASE WHEN $2::uuid IS NULL THEN m.created_at END ",
                    $direction,
                    ",
                                  m.seq ",
                    $direction,
                    ", m.id LIMIT $5 OFFSET $6) m ON true",
                    message_tables!(),
                    "ORDER BY CASE WHEN $2::uuid IS NULL THEN m.created_at END ",
                    $direction,
                    ",
                              m.seq ",
                    $direction,
                    ", m.id"
                )
            };
        }
        let sql = if filter.oldest_first { page!("ASC") } else { page!("DESC") };
        let reader = self.long_reader().await?;
        let rows = reader
            .rows(
                sql,
                &[
                    &viewer.0,
                    &filter.room.map(|room| room.0),
                    &filter.message_type.map(MessageType::as_str),
                    &filter.sender.map(|sender| sender.0),
                    &limit,
                    &offset,
                ],
            )
            .await?;
        page_of(&reader, viewer, &rows).await
    }

    /// Reads at most `limit` undeleted messages next to `place` in the room of `filter`, of those that it is
    /// for.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn message_run(
        &self,
        viewer: UserId,
        filter: &MessageFilter,
        place: Place,
        limit: usize,
    ) -> Result<MessageRun, StoreError> {
        macro_rules! run {
            ($comparison:literal, $direction:literal) => {
                concat!(
                    "WITH ",
                    mine!(),
                    "SELECT 0::bigint, mine.head, ",
                    page_columns!(),
                    "FROM mine LEFT JOIN LATERAL (
                         SELECT m.* FROM messages m
                         WHERE m.room_id = mine.room_id AND m.deleted_at IS NULL
                           AND m.seq >= mine.visible_from_seq AND m.seq ",
                    $comparison,
                    " $3
                           AND ($5::text IS NULL OR m.message_type = $5)
                           AND ($6::bigint IS NULL OR m.sender_id = $6)
                         ORDER BY m.seq ",
                    $direction,
                    " LIMIT $4) m ON true",
                    message_tables!(),
                    "ORDER BY m.seq ",
                    $direction
                )
            };
        }
        let (sql, from) = match place {
            Place::Newest => (run!("<", "DESC"), i64::MAX),
            Place::Before(seq) => (run!("<", "DESC"), seq.0),
            Place::After(seq) => (run!(">", "ASC"), seq.0),
        };
        let one_more = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
        // What is rare may be far away.
        let is_long = filter.message_type.is_some() || filter.sender.is_some();
        let reader = if is_long { self.long_reader().await? } else { self.reader().await? };
        let message_type = filter.message_type.map(MessageType::as_str);
        let (room, sender) = (filter.room.map(|room| room.0), filter.sender.map(|sender| sender.0));
        let given: [&(dyn ToSql + Sync); 6] = [&viewer.0, &room, &from, &one_more, &message_type, &sender];
        let mut rows = reader.rows(sql, &given).await?;
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let page = page_of(&reader, viewer, &rows).await?;
        Ok(MessageRun { head: page.head, messages: page.messages, has_more })
    }

    /// Reads one undeleted message of a room that the viewer is in.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn message(&self, viewer: UserId, id: MessageId) -> Result<Option<ReadMessage>, StoreError> {
        const FIND: &str = concat!(
            "SELECT 0::bigint, r.head, ",
            page_columns!(),
            " FROM messages m
              JOIN rooms r ON r.id = m.room_id AND r.deleted_at IS NULL
              JOIN participants me ON me.room_id = m.room_id AND me.user_id = $1 AND me.left_at IS NULL ",
            message_tables!(),
            "WHERE m.id = $2 AND m.deleted_at IS NULL AND m.seq >= me.visible_from_seq"
        );
        let reader = self.reader().await?;
        let rows = reader.rows(FIND, &[&viewer.0, &id.0]).await?;
        Ok(page_of(&reader, viewer, &rows).await?.messages.pop())
    }

    /// Tells in which room an undeleted message stands, whoever asks.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn room_of(&self, id: MessageId) -> Result<Option<RoomId>, StoreError> {
        const FIND: &str = "SELECT m.room_id FROM messages m
            JOIN rooms r ON r.id = m.room_id AND r.deleted_at IS NULL WHERE m.id = $1 AND m.deleted_at IS NULL";
        Ok(self.reader().await?.row(FIND, &[&id.0]).await?.map(|row| RoomId(row.get(0))))
    }

    /// Lists at most `limit` undeleted messages of one person after `after`, in the order of rooms and
    /// positions, for erasing them; those of deleted rooms are left out.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn messages_by(
        &self,
        sender: UserId,
        after: (RoomId, Seq),
        limit: i64,
    ) -> Result<Vec<(RoomId, Seq, MessageId)>, StoreError> {
        const FIND: &str = concat!(
            "SELECT p.room_id, m.seq, m.id FROM ",
            places!(),
            " p JOIN rooms r ON r.id = p.room_id AND r.deleted_at IS NULL
              CROSS JOIN LATERAL (
                  SELECT m.seq, m.id FROM messages m
                  WHERE m.room_id = p.room_id AND m.sender_id = $1 AND m.deleted_at IS NULL
                    AND m.seq > CASE WHEN p.room_id = $2 THEN $3::bigint ELSE 0 END
                  ORDER BY m.seq LIMIT $4) m
              WHERE p.room_id >= $2 ORDER BY p.room_id, m.seq LIMIT $4"
        );
        let rows = self.reader().await?.rows(FIND, &[&sender.0, &after.0.0, &after.1.0, &limit]).await?;
        Ok(rows.iter().map(|row| (RoomId(row.get(0)), Seq(row.get(1)), MessageId(row.get(2)))).collect())
    }

    /// Erases what one person wrote in rooms that were deleted: no command reaches those any more, and no
    /// event tells those who keep the texts that are searched.
    ///
    /// # Errors
    /// [`StoreError`]; doing it again is safe.
    pub async fn erase_texts_of_deleted_rooms(&self, sender: UserId) -> Result<(), StoreError> {
        const ROOMS: &str = concat!(
            "SELECT p.room_id FROM ",
            places!(),
            " p JOIN rooms r ON r.id = p.room_id AND r.deleted_at IS NOT NULL
              WHERE EXISTS (SELECT FROM messages m
                  WHERE m.room_id = p.room_id AND m.sender_id = $1 AND m.deleted_at IS NULL)"
        );
        // Looked up by keys, whatever the planner thinks of the tables' sizes.
        const ERASE: &str = "WITH gone AS MATERIALIZED (
                SELECT id, file_id FROM messages
                WHERE room_id = $1 AND sender_id = $2 AND deleted_at IS NULL ORDER BY seq LIMIT $3),
            versions AS (
                DELETE FROM message_versions
                WHERE room_id = $1 AND message_id = ANY (ARRAY(SELECT id FROM gone))),
            found AS (
                DELETE FROM texts WHERE room_id = $1 AND message_id = ANY (ARRAY(SELECT id FROM gone))),
            found_before AS (
                DELETE FROM texts_before WHERE room_id = $1 AND message_id = ANY (ARRAY(SELECT id FROM gone))),
            files AS (
                INSERT INTO files_to_erase (id) SELECT file_id FROM gone WHERE file_id IS NOT NULL
                ON CONFLICT DO NOTHING)
            UPDATE messages SET content = '', file_id = NULL, attachment_name = NULL,
                attachment_size = NULL, deleted_at = now()
            WHERE room_id = $1 AND id = ANY (ARRAY(SELECT id FROM gone)) RETURNING seq";
        let rooms = self.reader().await?.rows(ROOMS, &[&sender.0]).await?;
        let mut client = self.background_writer().await?;
        for room in rooms.iter().map(|row| row.get::<_, Uuid>(0)) {
            loop {
                let writer = client.begin().await?;
                writer.rows(ALONE, &[]).await?;
                let gone = writer.rows(ERASE, &[&room, &sender.0, &ERASED_AT_ONCE]).await?;
                writer.commit().await?;
                if gone.is_empty() {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// Reads rows of count, head and [`page_columns`]; a row without a message stands for an empty page.
pub(super) async fn page_of(
    reader: &Reader,
    viewer: UserId,
    rows: &[Row],
) -> Result<MessagePage, StoreError> {
    let Some(first) = rows.first() else { return Ok(MessagePage::default()) };
    let mut messages: Vec<ReadMessage> = rows
        .iter()
        .filter(|row| row.get::<_, Option<Uuid>>(PAGE_COLUMNS_AT).is_some())
        .map(|row| ReadMessage {
            message: message(row, PAGE_COLUMNS_AT),
            sender_email: row.get(PAGE_COLUMNS_AT + MESSAGE_WIDTH),
            readers: Readers::default(),
        })
        .collect();
    fill_readers(reader, viewer, &mut messages).await?;
    Ok(MessagePage { count: first.get(0), head: first.get::<_, Option<i64>>(1).map(Seq), messages })
}

/// Finds out who has read each of `messages`.
///
/// People are looked up room by room: the planner can't know how few rooms an array names, and would
/// read everyone's places in all rooms. A large room's people are gone through once, and counted between
/// the messages that are shown; a message's readers are those from its own step on, less its author.
async fn fill_readers(
    reader: &Reader,
    viewer: UserId,
    messages: &mut [ReadMessage],
) -> Result<(), StoreError> {
    const FIND: &str = "
        WITH shown AS MATERIALIZED (
            SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) WITH ORDINALITY
                AS shown(room_id, seq, sender_id, number)),
        rooms_shown AS MATERIALIZED (
            SELECT r.room_id, r.seqs, (SELECT count(*) FROM (SELECT FROM participants p
                WHERE p.room_id = r.room_id AND p.left_at IS NULL LIMIT $5::bigint + 1) p) <= $5 AS is_small
            FROM (SELECT room_id, array_agg(DISTINCT seq ORDER BY seq) AS seqs FROM shown GROUP BY room_id) r),
        steps AS MATERIALIZED (
            SELECT r.room_id, width_bucket(p.read_seq, r.seqs) AS step, count(*) AS people
            FROM rooms_shown r CROSS JOIN LATERAL (
                SELECT read_seq FROM participants WHERE room_id = r.room_id AND left_at IS NULL OFFSET 0) p
            WHERE NOT r.is_small GROUP BY 1, 2)
        SELECT shown.number, count(*), coalesce(bool_or(p.user_id = $4), false),
               array_agg(p.user_id) FILTER (WHERE first.at IS NOT NULL),
               array_agg(first.at) FILTER (WHERE first.at IS NOT NULL)
        FROM shown
        JOIN rooms_shown r ON r.room_id = shown.room_id AND r.is_small
        JOIN LATERAL (
            SELECT p.user_id FROM participants p WHERE p.room_id = shown.room_id AND p.left_at IS NULL
                AND p.user_id <> shown.sender_id AND p.read_seq >= shown.seq OFFSET 0) p ON true
        LEFT JOIN LATERAL (
            SELECT moved.at FROM read_moves moved
            WHERE moved.room_id = shown.room_id AND moved.user_id = p.user_id AND moved.seq >= shown.seq
            ORDER BY moved.seq LIMIT 1) first ON true
        GROUP BY shown.number
        UNION ALL
        SELECT shown.number,
               (SELECT coalesce(sum(people), 0)::bigint FROM steps
                WHERE room_id = shown.room_id AND step >= width_bucket(shown.seq, r.seqs))
               - (SELECT count(*) FROM participants WHERE room_id = shown.room_id
                  AND user_id = shown.sender_id AND left_at IS NULL AND read_seq >= shown.seq),
               EXISTS (SELECT FROM participants WHERE room_id = shown.room_id
                  AND user_id = $4 AND left_at IS NULL AND read_seq >= shown.seq),
               NULL, NULL
        FROM shown JOIN rooms_shown r ON r.room_id = shown.room_id AND NOT r.is_small";
    if messages.is_empty() {
        return Ok(());
    }
    let rooms: Vec<Uuid> = messages.iter().map(|read| read.message.room.0).collect();
    let seqs: Vec<i64> = messages.iter().map(|read| read.message.seq.0).collect();
    let senders: Vec<i64> = messages.iter().map(|read| read.message.sender.id.0).collect();
    let rows = reader.rows(FIND, &[&rooms, &seqs, &senders, &viewer.0, &READERS_TOLD_MAX]).await?;
    for read in messages.iter_mut() {
        read.readers.is_read = read.message.sender.id == viewer;
    }
    for row in rows {
        let number: i64 = row.get(0);
        let at = usize::try_from(number - 1).ok().and_then(|index| messages.get_mut(index));
        let Some(read) = at else { continue };
        let people: Vec<i64> = row.get::<_, Option<_>>(3).unwrap_or_default();
        let times: Vec<DateTime<Utc>> = row.get::<_, Option<_>>(4).unwrap_or_default();
        read.readers.count = row.get(1);
        read.readers.is_read |= row.get::<_, bool>(2);
        read.readers.first = people.into_iter().map(UserId).zip(times).collect();
    }
    Ok(())
}
