//! Messages as REST shows them: pages, slices and single messages, each with its read receipts.
//!
//! A page takes at most four statements, however many messages it has: one for the messages with the room's
//! head of the same snapshot, one for the receipts, and those for what few messages need.

use std::collections::{BTreeMap, BTreeSet};

use actors::domain::ids::{MessageId, RoomId, Seq, UserId};
use actors::domain::message::{Message, MessageType};
use actors::ports::store::StoreError;
use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::{card_votes, origins, reactions, thread_counts};
use crate::store::postgres::PostgresStore;
use crate::store::postgres::pool::client::ReadClient;
use crate::store::postgres::rows::{MESSAGE_WIDTH, message, message_tables};
use crate::store::postgres::rules::{is_mentioned, is_visible};

/// The viewer when the host application reads: nobody, since user ids begin at 1.
const NOBODY: UserId = UserId(0);
/// Rooms with more participants only count who has read a message, instead of listing each reader.
pub(crate) const RECEIPTS_LISTED_MAX: i64 = 50;

/// A message as one viewer sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageDetails {
    /// The message itself.
    pub message: Message,
    /// The sender's email address.
    pub sender_email: String,
    /// Who has read it.
    pub receipts: ReadReceipts,
    /// The emojis with which the viewer reacted, where a reaction has more users than it names.
    pub own_reactions: Vec<String>,
    /// The choices that the viewer voted for, where some choice has more votes than it names users.
    pub own_votes: Vec<String>,
    /// The viewer's unread replies, where it is the root of a thread that the viewer takes part in.
    pub thread_unread: Option<i64>,
    /// Whether it was forwarded and the viewer may see its original.
    pub shows_origin: bool,
}

/// Who has read a message, apart from its sender.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadReceipts {
    /// Whether the viewer has read it; true for the viewer's own messages.
    pub is_read: bool,
    /// The number of readers.
    pub count: i64,
    /// When each reader first read it; empty in large rooms.
    pub first_read_at: BTreeMap<UserId, DateTime<Utc>>,
}

/// Selects messages of the viewer's rooms.
#[derive(Clone, Debug, Default)]
pub struct MessageFilter {
    /// Only of this room.
    pub room: Option<RoomId>,
    /// Only of this type.
    pub message_type: Option<MessageType>,
    /// Only by this user.
    pub sender: Option<UserId>,
    /// Only those that mention the viewer.
    pub mentions_viewer: bool,
    /// Only those that count as unread for the viewer.
    pub unread: bool,
    /// Oldest first instead of newest first.
    pub oldest_first: bool,
}

/// Which messages a filter selects from.
#[derive(Clone, Copy)]
enum MessageSource {
    All,
    Unread,
    Mentions,
}

impl MessageFilter {
    fn source(&self) -> MessageSource {
        match (self.mentions_viewer, self.unread) {
            (true, _) => MessageSource::Mentions,
            (false, true) => MessageSource::Unread,
            (false, false) => MessageSource::All,
        }
    }
}

/// A page of messages with their total number.
#[derive(Clone, Debug, Default)]
pub struct MessagePage {
    /// The number of messages on all pages.
    pub count: i64,
    /// The head of the selected room; `None` if the filter doesn't select one.
    pub head: Option<Seq>,
    /// The messages of this page.
    pub messages: Vec<MessageDetails>,
}

/// The position in a room's log that a slice starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageAnchor {
    /// The end: the newest messages.
    Newest,
    /// The newest messages before this position.
    Before(Seq),
    /// The oldest messages after this position.
    After(Seq),
}

/// The messages next to an anchor.
#[derive(Clone, Debug, Default)]
pub struct MessageSlice {
    /// The head of the room in the same snapshot; `None` for a viewer who isn't in the room.
    pub head: Option<Seq>,
    /// The messages, nearest to the anchor first.
    pub messages: Vec<MessageDetails>,
    /// Whether there are more in the same direction.
    pub has_more: bool,
}

/// The common table expression `mine`: the rooms of the viewer `$1`, or only the room `$2`.
macro_rules! viewer_rooms {
    () => {
        concat!(
            "mine AS MATERIALIZED (
             SELECT me.room_id, me.visible_from_seq, ",
            $crate::store::postgres::rules::unread_after!("me"),
            " AS unread_after, r.head FROM participants me JOIN rooms r ON r.id = me.room_id
             WHERE me.user_id = $1 AND me.left_at IS NULL AND r.deleted_at IS NULL
               AND ($2::uuid IS NULL OR me.room_id = $2)) "
        )
    };
}

/// The messages `m` of the room `mine` that the viewer may see and the filter selects: of all its messages, of those
/// behind what the viewer has read, or of those that mention the viewer. The latter are looked up one by one in the
/// order of their positions, however many others the room has.
macro_rules! selected_messages {
    (all, $direction:literal, $bound:ident) => {
        concat!("messages m WHERE ", is_in_range!("m", $bound), " AND ", matches_filter!())
    };
    (unread, $direction:literal, $bound:ident) => {
        concat!(selected_messages!(all, $direction, $bound), " AND m.seq > mine.unread_after")
    };
    (mentions, $direction:literal, $bound:ident) => {
        concat!(
            "(SELECT n.message_id, n.seq FROM mentions n WHERE ",
            is_in_range!("n", $bound),
            " AND n.seq > CASE WHEN $5::boolean THEN mine.unread_after ELSE 0 END AND ",
            is_mentioned!("n", "$1::bigint"),
            " ORDER BY n.seq ",
            $direction,
            " OFFSET 0) n CROSS JOIN LATERAL (
                 SELECT * FROM messages WHERE room_id = mine.room_id AND id = n.message_id LIMIT 1) m
              WHERE ",
            matches_filter!()
        )
    };
}

/// The position of a message of [`selected_messages`].
macro_rules! selected_seq {
    (mentions) => {
        "n.seq "
    };
    ($source:ident) => {
        "m.seq "
    };
}

/// Whether the message or mention `$m` stands in the room `mine`, where the viewer may see it, and before or after
/// the position `$7` if there is one.
macro_rules! is_in_range {
    ($m:literal, anywhere) => {
        concat!($m, ".room_id = mine.room_id AND ", is_visible!($m, "mine"))
    };
    ($m:literal, before) => {
        concat!(is_in_range!($m, anywhere), " AND ", $m, ".seq < $7")
    };
    ($m:literal, after) => {
        concat!(is_in_range!($m, anywhere), " AND ", $m, ".seq > $7")
    };
}

/// Whether the filter selects the message `m`, apart from its position.
macro_rules! matches_filter {
    () => {
        "m.deleted_at IS NULL AND m.in_timeline AND ($3::text IS NULL OR m.message_type = $3)
         AND ($4::bigint IS NULL OR m.sender_id = $4) AND (NOT $5::boolean OR m.sender_id <> $1)"
    };
}

/// The columns of a message with its sender's address. A count and a head precede them; see [`read_page`].
macro_rules! page_columns {
    () => {
        concat!($crate::store::postgres::rows::message_columns!(), ", coalesce(u.email, '')")
    };
}

pub(crate) use {page_columns, viewer_rooms};

/// How many columns precede [`page_columns`].
pub(crate) const PAGE_WIDTH: usize = 2;

impl PostgresStore {
    /// Reads a page of the undeleted messages in the timelines of the viewer's rooms, in the order in which they were
    /// sent.
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
        // Each room contributes no more than the page can need of it, so that a long history costs no more than
        // a short one.
        macro_rules! page {
            ($source:ident, $direction:literal) => {
                concat!(
                    "WITH ",
                    viewer_rooms!(),
                    "SELECT (SELECT count(*) FROM mine CROSS JOIN LATERAL (SELECT FROM ",
                    selected_messages!($source, $direction, anywhere),
                    ") m),
                            (SELECT max(head) FROM mine WHERE $2::uuid IS NOT NULL), ",
                    page_columns!(),
                    "FROM (SELECT 1) one LEFT JOIN (
                         SELECT m.* FROM mine CROSS JOIN LATERAL (
                             SELECT m.* FROM ",
                    selected_messages!($source, $direction, anywhere),
                    "        ORDER BY ",
                    selected_seq!($source),
                    $direction,
                    " LIMIT $6::bigint + $7::bigint) m
                         ORDER BY CASE WHEN $2::uuid IS NULL THEN m.created_at END ",
                    $direction,
                    ",
                                  m.seq ",
                    $direction,
                    ", m.id LIMIT $6 OFFSET $7) m ON true",
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
        let sql = match (filter.source(), filter.oldest_first) {
            (MessageSource::All, false) => page!(all, "DESC"),
            (MessageSource::All, true) => page!(all, "ASC"),
            (MessageSource::Unread, false) => page!(unread, "DESC"),
            (MessageSource::Unread, true) => page!(unread, "ASC"),
            (MessageSource::Mentions, false) => page!(mentions, "DESC"),
            (MessageSource::Mentions, true) => page!(mentions, "ASC"),
        };
        let client = self.long_read_client().await?;
        let rows = client
            .rows(
                sql,
                &[
                    &viewer.0,
                    &filter.room.map(|room| room.0),
                    &filter.message_type.map(MessageType::as_str),
                    &filter.sender.map(|sender| sender.0),
                    &filter.unread,
                    &limit,
                    &offset,
                ],
            )
            .await?;
        read_page(&client, viewer, &rows).await
    }

    /// Reads at most `limit` undeleted messages next to `anchor` in the timeline of the room of `filter`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn message_slice(
        &self,
        viewer: UserId,
        filter: &MessageFilter,
        anchor: MessageAnchor,
        limit: usize,
    ) -> Result<MessageSlice, StoreError> {
        macro_rules! run {
            ($source:ident, $direction:literal, $bound:ident) => {
                concat!(
                    "WITH ",
                    viewer_rooms!(),
                    "SELECT 0::bigint, mine.head, ",
                    page_columns!(),
                    "FROM mine LEFT JOIN LATERAL (
                         SELECT m.* FROM ",
                    selected_messages!($source, $direction, $bound),
                    "    ORDER BY ",
                    selected_seq!($source),
                    $direction,
                    " LIMIT $6) m ON true",
                    message_tables!(),
                    "ORDER BY m.seq ",
                    $direction
                )
            };
        }
        let (is_ascending, from) = match anchor {
            MessageAnchor::Newest => (false, i64::MAX),
            MessageAnchor::Before(seq) => (false, seq.0),
            MessageAnchor::After(seq) => (true, seq.0),
        };
        let sql = match (filter.source(), is_ascending) {
            (MessageSource::All, false) => run!(all, "DESC", before),
            (MessageSource::All, true) => run!(all, "ASC", after),
            (MessageSource::Unread, false) => run!(unread, "DESC", before),
            (MessageSource::Unread, true) => run!(unread, "ASC", after),
            (MessageSource::Mentions, false) => run!(mentions, "DESC", before),
            (MessageSource::Mentions, true) => run!(mentions, "ASC", after),
        };
        let one_more = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
        // Messages that the filter selects may be far apart.
        let is_long = filter.message_type.is_some() || filter.sender.is_some();
        let client = if is_long { self.long_read_client().await? } else { self.read_client().await? };
        let message_type = filter.message_type.map(MessageType::as_str);
        let (room, sender) = (filter.room.map(|room| room.0), filter.sender.map(|sender| sender.0));
        let params: [&(dyn ToSql + Sync); 7] =
            [&viewer.0, &room, &message_type, &sender, &filter.unread, &one_more, &from];
        let mut rows = client.rows(sql, &params).await?;
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let page = read_page(&client, viewer, &rows).await?;
        Ok(MessageSlice { head: page.head, messages: page.messages, has_more })
    }

    /// Reads one undeleted message of a room that the viewer is in.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn message(&self, viewer: UserId, id: MessageId) -> Result<Option<MessageDetails>, StoreError> {
        const FIND: &str = concat!(
            "SELECT 0::bigint, r.head, ",
            page_columns!(),
            " FROM messages m
              JOIN rooms r ON r.id = m.room_id AND r.deleted_at IS NULL
              JOIN participants me ON me.room_id = m.room_id AND me.user_id = $1 AND me.left_at IS NULL ",
            message_tables!(),
            "WHERE m.id = $2 AND m.deleted_at IS NULL AND ",
            is_visible!("m", "me")
        );
        let client = self.read_client().await?;
        let rows = client.rows(FIND, &[&viewer.0, &id.0]).await?;
        Ok(read_page(&client, viewer, &rows).await?.messages.pop())
    }

    /// Reads one undeleted message for the host application, whatever room it is in.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn message_for_host(&self, id: MessageId) -> Result<Option<MessageDetails>, StoreError> {
        const FIND: &str = concat!(
            "SELECT 0::bigint, r.head, ",
            page_columns!(),
            " FROM messages m JOIN rooms r ON r.id = m.room_id AND r.deleted_at IS NULL ",
            message_tables!(),
            "WHERE m.id = $1 AND m.deleted_at IS NULL"
        );
        let client = self.read_client().await?;
        let rows = client.rows(FIND, &[&id.0]).await?;
        Ok(read_page(&client, NOBODY, &rows).await?.messages.pop())
    }

    /// Reads those of `ids` that are undeleted messages of rooms that the viewer is in, in no order.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn messages_by_id(
        &self,
        viewer: UserId,
        ids: &[MessageId],
    ) -> Result<Vec<MessageDetails>, StoreError> {
        const FIND: &str = concat!(
            "SELECT 0::bigint, r.head, ",
            page_columns!(),
            " FROM unnest($2::uuid[]) k (id)
              CROSS JOIN LATERAL (SELECT * FROM messages WHERE id = k.id AND deleted_at IS NULL LIMIT 1) m
              CROSS JOIN LATERAL (SELECT head FROM rooms
                  WHERE id = m.room_id AND deleted_at IS NULL LIMIT 1) r
              CROSS JOIN LATERAL (SELECT visible_from_seq FROM participants
                  WHERE room_id = m.room_id AND user_id = $1 AND left_at IS NULL LIMIT 1) me ",
            message_tables!(),
            "WHERE ",
            is_visible!("m", "me")
        );
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let client = self.read_client().await?;
        let rows = client.rows(FIND, &[&viewer.0, &ids]).await?;
        Ok(read_page(&client, viewer, &rows).await?.messages)
    }

    /// Finds the room of an undeleted message, without checking who may see it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn room_of_message(&self, id: MessageId) -> Result<Option<RoomId>, StoreError> {
        const FIND: &str = "SELECT m.room_id FROM messages m
            JOIN rooms r ON r.id = m.room_id AND r.deleted_at IS NULL WHERE m.id = $1 AND m.deleted_at IS NULL";
        Ok(self.read_client().await?.row(FIND, &[&id.0]).await?.map(|row| RoomId(row.get(0))))
    }
}

/// Reads rows of a count, a head and [`page_columns`]. A row without a message stands for an empty page.
pub(crate) async fn read_page(
    client: &ReadClient,
    viewer: UserId,
    rows: &[Row],
) -> Result<MessagePage, StoreError> {
    let Some(first) = rows.first() else { return Ok(MessagePage::default()) };
    let mut messages: Vec<MessageDetails> = rows
        .iter()
        .filter(|row| row.get::<_, Option<Uuid>>(PAGE_WIDTH).is_some())
        .map(|row| MessageDetails {
            message: message(row, PAGE_WIDTH),
            sender_email: row.get(PAGE_WIDTH + MESSAGE_WIDTH),
            receipts: ReadReceipts::default(),
            own_reactions: Vec::new(),
            own_votes: Vec::new(),
            thread_unread: None,
            shows_origin: false,
        })
        .collect();
    load_receipts(client, viewer, &mut messages).await?;
    let of = || messages.iter().map(|read| &read.message);
    let mut own_reactions = reactions::own(client, viewer, of()).await?;
    let mut own_votes = card_votes::own(client, viewer, of()).await?;
    let thread_unread = thread_counts::unread(client, viewer, of()).await?;
    for read in &mut messages {
        let id = &read.message.id;
        read.own_reactions = own_reactions.remove(id).unwrap_or_default();
        read.own_votes = own_votes.remove(id).unwrap_or_default();
        read.thread_unread = thread_unread.get(id).copied();
    }
    hide_quotes(client, viewer, &mut messages).await?;
    let visible = origins::visible(client, viewer, messages.iter().map(|read| &read.message)).await?;
    for read in &mut messages {
        let origin = read.message.extras.forwarded.as_ref();
        read.shows_origin = origin.is_some_and(|origin| visible.contains(&origin.message));
    }
    Ok(MessagePage { count: first.get(0), head: first.get::<_, Option<i64>>(1).map(Seq), messages })
}

/// Hides what the viewer may not see of the messages that `messages` reply to.
async fn hide_quotes(
    client: &ReadClient,
    viewer: UserId,
    messages: &mut [MessageDetails],
) -> Result<(), StoreError> {
    const FIND: &str = "SELECT room_id, visible_from_seq FROM participants
        WHERE user_id = $1 AND left_at IS NULL AND room_id = ANY($2) AND visible_from_seq > 0";
    let replies = messages.iter().filter(|details| details.message.reply_to.is_some());
    let rooms: BTreeSet<Uuid> = replies.map(|details| details.message.room.0).collect();
    if rooms.is_empty() {
        return Ok(());
    }
    let rooms: Vec<Uuid> = rooms.into_iter().collect();
    for row in client.rows(FIND, &[&viewer.0, &rooms]).await? {
        let (room, visible_from) = (RoomId(row.get(0)), Seq(row.get(1)));
        let in_room = messages.iter_mut().filter(|details| details.message.room == room);
        in_room.for_each(|details| details.message.hide_quote_before(visible_from));
    }
    Ok(())
}

/// Loads the read receipts of `messages`.
///
/// Participants are looked up room by room: the planner can't know how few rooms an array names, and would read
/// all participants of all rooms. In a large room, participants are counted once in the steps between the
/// messages; a message's readers are those in its own step and later, without its sender.
async fn load_receipts(
    client: &ReadClient,
    viewer: UserId,
    messages: &mut [MessageDetails],
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
                AND p.user_id <> shown.sender_id AND p.read_seq >= shown.seq AND p.visible_from_seq <= shown.seq
            OFFSET 0) p ON true
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
    let rows = client.rows(FIND, &[&rooms, &seqs, &senders, &viewer.0, &RECEIPTS_LISTED_MAX]).await?;
    for read in messages.iter_mut() {
        read.receipts.is_read = read.message.sender.id == viewer;
    }
    for row in rows {
        let number: i64 = row.get(0);
        let at = usize::try_from(number - 1).ok().and_then(|index| messages.get_mut(index));
        let Some(read) = at else { continue };
        let people: Vec<i64> = row.get::<_, Option<_>>(3).unwrap_or_default();
        let times: Vec<DateTime<Utc>> = row.get::<_, Option<_>>(4).unwrap_or_default();
        read.receipts.count = row.get(1);
        read.receipts.is_read |= row.get::<_, bool>(2);
        read.receipts.first_read_at = people.into_iter().map(UserId).zip(times).collect();
    }
    Ok(())
}
