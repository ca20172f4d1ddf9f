//! Searches for messages.
//!
//! A query is plain text with filters, never a pattern. The index ([`super::index`]) follows the messages; those that
//! it doesn't cover yet are read and compared here, in the same snapshot. Newer messages are looked at first, and a
//! search that has found enough or takes too long looks at no more of them.

use std::collections::HashSet;
use std::ops::Range;
use std::time::{Duration, Instant};

use actors::domain::ids::{RoomId, UserId};
use actors::domain::message::MessageType;
use actors::ports::store::StoreError;
use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use uuid::Uuid;

use super::block_builder::BlockBuilder;
use super::filter::EntryFilter;
use super::highlights::highlights;
use super::keys::Key;
use super::matching::Matcher;
use super::operators::{Has, QueryText, WrittenName};
use super::ranking::{Hit, SearchOrder, sort};
use super::scope::{SearchScope, resolve_users};
use super::source::{indexed_columns, indexed_message, searched_texts};
use super::stems::SearchLanguages;
use super::terms::SearchTerms;
use crate::store::postgres::PostgresStore;
use crate::store::postgres::pool::client::{Params, SnapshotTransaction};
use crate::store::postgres::queries::{MessagePage, page_columns, read_page, viewer_rooms};
use crate::store::postgres::rows::message_tables;
use crate::store::postgres::rules::is_visible;

/// How long a search looks for more; the contract allows 300 ms for the whole response.
const SEARCH_WITHIN: Duration = Duration::from_millis(200);
/// The most messages that a search finds: the newest ones.
const HITS_MAX: usize = 10_000;
/// Rows that are read and compared at once, which takes about a millisecond.
const ROWS_AT_ONCE: usize = 64;
/// Up to about this many blocks are read without asking the index which of them may match.
const BLOCKS_WITHOUT_KEYS: i64 = 200;
/// The most rooms that the index is asked for by their keys; of more rooms it is asked for blocks of any room.
const ROOM_KEYS_MAX: usize = 1_000;
/// The messages of a full block, by which the number of blocks is estimated.
const MESSAGES_A_BLOCK: i64 = 128;
/// The most unindexed events that one search reads, which takes some 20 ms; at least this many of each room.
const UNINDEXED_EVENTS_MAX: i64 = 5_000;
const UNINDEXED_EVENTS_MIN: i64 = 20;
/// The most bytes of unindexed texts that one search reads.
const UNINDEXED_BYTES_MAX: i64 = 4 << 20;

/// The index scan must be used, whatever the planner thinks of tables without statistics.
const USE_INDEXES: &str = "SELECT set_config('enable_seqscan', 'off', true)";

/// What is searched, where, and how the result is ordered.
#[derive(Clone, Debug, Default)]
pub struct SearchRequest {
    /// The text.
    pub query: String,
    /// Whether filters in the text are only text.
    pub is_plain: bool,
    /// Only messages of this room.
    pub room: Option<RoomId>,
    /// Only of this type.
    pub message_type: Option<MessageType>,
    /// Only by this user.
    pub sender: Option<UserId>,
    /// Only by users with this name or id; `me` is the viewer.
    pub from: Option<String>,
    /// Only messages that have all of these.
    pub has: Vec<Has>,
    /// Only messages sent before this time.
    pub before: Option<DateTime<Utc>>,
    /// Only messages sent after this time.
    pub after: Option<DateTime<Utc>>,
    /// Only messages that mention the viewer.
    pub mentions_me: bool,
    /// The order of the result.
    pub order: SearchOrder,
    /// The languages whose words are found in other forms, too.
    pub languages: SearchLanguages,
}

/// A page of the messages that a search found.
#[derive(Clone, Debug, Default)]
pub struct SearchPage {
    /// The messages, and how many there are on all pages.
    pub page: MessagePage,
    /// For each message the code points of its content that match.
    pub highlights: Vec<Vec<Range<u32>>>,
    /// Whether there may be more, older messages, at which the search didn't look.
    pub is_incomplete: bool,
}

/// A search under way.
struct Search<'q> {
    scope: SearchScope,
    filter: EntryFilter,
    matcher: Matcher<'q>,
    /// Messages that have changed since they were indexed, by the number of their room and their position.
    changed: HashSet<(usize, i64)>,
    hits: Vec<Hit>,
    is_incomplete: bool,
    until: Instant,
}

impl PostgresStore {
    /// Reads a page of the undeleted messages in the viewer's rooms that match a request.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn search_messages(
        &self,
        viewer: UserId,
        request: &SearchRequest,
        limit: i64,
        offset: i64,
    ) -> Result<SearchPage, StoreError> {
        let until = Instant::now() + SEARCH_WITHIN;
        let mut client = self.long_read_client().await?;
        let snapshot = client.snapshot().await?;
        snapshot.rows(USE_INDEXES, &[]).await?;
        let scope = SearchScope::read(&snapshot, viewer, request.room).await?;
        let (text, filter, scope) = resolve(&snapshot, viewer, request, scope).await?;
        let terms = SearchTerms::parse(&text, &request.languages);
        let mut search = Search {
            scope,
            filter,
            matcher: Matcher::new(&terms),
            changed: HashSet::new(),
            hits: Vec::new(),
            is_incomplete: false,
            until,
        };
        search.read_unindexed(&snapshot).await?;
        search.read_recent(&snapshot).await?;
        search.read_blocks(&snapshot, &terms, request.order).await?;

        let Search { scope, mut hits, is_incomplete, .. } = search;
        sort(&mut hits, request.order, scope.now);
        let (from, len) =
            (usize::try_from(offset).unwrap_or(usize::MAX), usize::try_from(limit).unwrap_or(0));
        let shown: Vec<Hit> = hits.iter().skip(from).take(len).copied().collect();
        let rows = read_rows(&snapshot, viewer, &scope, &shown).await?;
        snapshot.end().await?;
        let read = read_page(&client, viewer, &rows).await?;
        let mut page = SearchPage { is_incomplete, ..SearchPage::default() };
        for message in read.messages {
            // Where the index is too far behind to know of a change, the message itself decides.
            if let Some(highlights) = highlights(&terms, &searched_texts(&message.message)) {
                page.page.messages.push(message);
                page.highlights.push(highlights);
            }
        }
        let dropped = shown.len() - page.page.messages.len();
        page.page.count = i64::try_from(hits.len() - dropped).unwrap_or(i64::MAX);
        page.page.head = scope.head;
        Ok(page)
    }
}

/// Divides a request into text, filter and rooms.
async fn resolve(
    snapshot: &SnapshotTransaction<'_>,
    viewer: UserId,
    request: &SearchRequest,
    mut scope: SearchScope,
) -> Result<(String, EntryFilter, SearchScope), StoreError> {
    let mut written = if request.is_plain {
        QueryText { text: request.query.clone(), ..QueryText::default() }
    } else {
        QueryText::parse(&request.query)
    };
    let mut filter = EntryFilter {
        message_type: request.message_type,
        senders: request.sender.iter().map(|sender| vec![sender.0]).collect(),
        mentioned: (request.mentions_me || written.mentions_me).then_some(viewer),
        after: request.after.into_iter().chain(written.after).max().map(|time| time.timestamp_micros()),
        before: request.before.into_iter().chain(written.before).min().map(|time| time.timestamp_micros()),
        ..EntryFilter::default()
    };
    request.has.iter().chain(&written.has).for_each(|has| filter.require(*has));
    let (mut from, rooms) = (Vec::new(), std::mem::take(&mut written.rooms));
    if let Some(name) = &request.from {
        from.push(vec![WrittenName { words: vec![name.clone()], is_quoted: false }]);
    }
    if !written.from.is_empty() {
        from.push(std::mem::take(&mut written.from));
    }
    let mut rest = Vec::new();
    for names in from {
        let (senders, words) = resolve_users(snapshot, viewer, &names, &request.languages).await?;
        filter.senders.push(senders);
        rest.extend(words);
    }
    if !rooms.is_empty() {
        rest.extend(scope.restrict(snapshot, viewer, &rooms, &request.languages).await?);
    }
    rest.iter().for_each(|word| written.push_text(word));
    Ok((written.text, filter, scope))
}

impl Search<'_> {
    /// Compares what the index doesn't cover yet: the newest messages, and those that have changed.
    async fn read_unindexed(&mut self, snapshot: &SnapshotTransaction<'_>) -> Result<(), StoreError> {
        const FIND: &str = concat!(
            "WITH fresh AS MATERIALIZED (
                 SELECT g.number, g.room_id, e.message_id, max(e.seq) AS last
                 FROM unnest($1::bigint[], $2::uuid[], $3::bigint[]) g (number, room_id, indexed_seq)
                 CROSS JOIN LATERAL (
                     SELECT seq, message_id FROM events
                     WHERE room_id = g.room_id AND seq > g.indexed_seq ORDER BY seq DESC LIMIT $4) e
                 WHERE e.message_id IS NOT NULL GROUP BY 1, 2, 3)
             SELECT f.number, CASE WHEN sum(octet_length(m.content)) OVER (ORDER BY f.last DESC, f.message_id) <= $5
                 THEN m.content END, ",
            indexed_columns!(),
            " FROM fresh f CROSS JOIN LATERAL (
                  SELECT * FROM messages WHERE room_id = f.room_id AND id = f.message_id LIMIT 1) m"
        );
        let behind = self.scope.rooms.iter().enumerate().filter(|(_, room)| room.head > room.indexed_seq);
        let (mut numbers, mut rooms, mut indexed) = (Vec::new(), Vec::new(), Vec::new());
        for (number, room) in behind {
            numbers.push(i64::try_from(number).unwrap_or(i64::MAX));
            rooms.push(room.room);
            indexed.push(room.indexed_seq);
        }
        if rooms.is_empty() {
            return Ok(());
        }
        let share = UNINDEXED_EVENTS_MAX / i64::try_from(rooms.len()).unwrap_or(i64::MAX);
        let share = share.max(UNINDEXED_EVENTS_MIN);
        self.is_incomplete |= self.scope.rooms.iter().any(|room| room.head - room.indexed_seq > share);
        let params: Params<'_> = &[&numbers, &rooms, &indexed, &share, &UNINDEXED_BYTES_MAX];
        let rows = snapshot.rows(FIND, params).await?;
        let mut builders: Vec<(usize, BlockBuilder)> = Vec::new();
        for row in &rows {
            let number = usize::try_from(row.get::<_, i64>(0)).unwrap_or(usize::MAX);
            self.changed.insert((number, row.get(2)));
            let Some(content) = row.get::<_, Option<&str>>(1) else {
                self.is_incomplete = true;
                continue;
            };
            let Some(message) = indexed_message(row, 2, content) else { continue };
            match builders.last_mut().filter(|(room, _)| *room == number) {
                Some((_, builder)) => builder.put(&message),
                None => {
                    let mut builder = BlockBuilder::default();
                    builder.put(&message);
                    builders.push((number, builder));
                }
            }
        }
        let unindexed = std::mem::take(&mut self.changed);
        for (number, builder) in &builders {
            let block = builder.build().expect("it holds a message");
            self.compare(*number, &block.bytes);
        }
        self.changed = unindexed;
        Ok(())
    }

    /// Compares the newest messages of each room, which are in no full block yet.
    async fn read_recent(&mut self, snapshot: &SnapshotTransaction<'_>) -> Result<(), StoreError> {
        const READ: &str =
            "SELECT g.number, s.filling, s.recent FROM unnest($1::uuid[]) WITH ORDINALITY g (room_id, number)
            CROSS JOIN LATERAL (SELECT filling, recent FROM search_rooms WHERE room_id = g.room_id LIMIT 1) s
            ORDER BY g.number";
        let rooms: Vec<Uuid> = self.scope.rooms.iter().map(|room| room.room).collect();
        let cursor = snapshot.cursor(READ, &[&rooms]).await?;
        loop {
            let rows = cursor.next(ROWS_AT_ONCE).await?;
            for row in &rows {
                for bytes in [row.get::<_, Option<&[u8]>>(1), row.get(2)].into_iter().flatten() {
                    self.compare(room_number(row), bytes);
                }
            }
            if rows.len() < ROWS_AT_ONCE {
                return Ok(());
            }
            if self.is_over() {
                self.is_incomplete = true;
                return Ok(());
            }
        }
    }

    /// Compares the blocks of all rooms in which there may be matches, the newest first.
    async fn read_blocks(
        &mut self,
        snapshot: &SnapshotTransaction<'_>,
        terms: &SearchTerms,
        order: SearchOrder,
    ) -> Result<(), StoreError> {
        macro_rules! by_keys {
            ($which:literal) => {
                concat!(
                    "WITH found AS MATERIALIZED (
                         SELECT room_id, first_at, last_at, body FROM search_blocks WHERE ",
                    $which,
                    ")
                     SELECT g.number, b.last_at, b.body FROM found b
                     JOIN unnest($1::uuid[]) WITH ORDINALITY g (room_id, number) ON g.room_id = b.room_id
                     WHERE b.last_at > $2 AND b.first_at < $3 ORDER BY b.last_at DESC"
                )
            };
        }
        const OF_ROOMS: &str = "SELECT g.number, b.last_at, b.body
            FROM unnest($1::uuid[]) WITH ORDINALITY g (room_id, number) CROSS JOIN LATERAL (
                SELECT last_at, body FROM search_blocks
                WHERE room_id = g.room_id AND last_at > $2 AND first_at < $3 OFFSET 0) b
            ORDER BY b.last_at DESC";
        if self.hits.len() >= HITS_MAX {
            self.is_incomplete = true;
            return Ok(());
        }
        let rooms: Vec<Uuid> = self.scope.rooms.iter().map(|room| room.room).collect();
        let (after, before) = (self.filter.after.unwrap_or(i64::MIN), self.filter.before.unwrap_or(i64::MAX));
        let keys = [terms.keys(), self.filter.keys()].concat();
        let room_keys: Vec<i32> = rooms.iter().map(|room| Key::Room(*room).hash()).collect();
        let blocks: i64 = self.scope.rooms.iter().map(|room| room.head / MESSAGES_A_BLOCK).sum();
        let cursor = if keys.is_empty() || blocks <= BLOCKS_WITHOUT_KEYS {
            snapshot.cursor(OF_ROOMS, &[&rooms, &after, &before]).await?
        } else if rooms.len() <= ROOM_KEYS_MAX {
            let sql = by_keys!("keys @> $4 AND keys && $5");
            snapshot.cursor(sql, &[&rooms, &after, &before, &keys, &room_keys]).await?
        } else {
            snapshot.cursor(by_keys!("keys @> $4"), &[&rooms, &after, &before, &keys]).await?
        };
        loop {
            let rows = cursor.next(ROWS_AT_ONCE).await?;
            rows.iter().for_each(|row| self.compare(room_number(row), row.get(2)));
            let Some(last) = rows.last().filter(|_| rows.len() == ROWS_AT_ONCE) else { return Ok(()) };
            if self.is_over() {
                self.is_incomplete = true;
                if order == SearchOrder::Newest && self.hits.len() >= HITS_MAX {
                    // Blocks that weren't read may have messages as old as this.
                    let complete_from: i64 = last.get(1);
                    self.hits.retain(|hit| hit.at >= complete_from);
                }
                return Ok(());
            }
        }
    }

    /// Adds the messages of a block that match. None of a damaged one are found.
    fn compare(&mut self, number: usize, block: &[u8]) {
        let Some(room) = self.scope.rooms.get(number) else { return };
        let (filter, changed, hits) = (&self.filter, &self.changed, &mut self.hits);
        let is_read = self.matcher.scan(
            block,
            |meta| {
                meta.seq >= room.visible_from
                    && filter.accepts(meta)
                    && !changed.contains(&(number, meta.seq))
            },
            |meta, score| hits.push(Hit { room: number, seq: meta.seq, at: meta.at, score }),
        );
        self.is_incomplete |= !is_read;
    }

    /// Whether enough was found, or time is up.
    fn is_over(&self) -> bool {
        self.hits.len() >= HITS_MAX || Instant::now() >= self.until
    }
}

/// The number of the room in the first column, which counts from 1.
fn room_number(row: &Row) -> usize {
    usize::try_from(row.get::<_, i64>(0) - 1).unwrap_or(usize::MAX)
}

/// Reads the messages that are shown, unless they are deleted or hidden from the viewer.
async fn read_rows(
    snapshot: &SnapshotTransaction<'_>,
    viewer: UserId,
    scope: &SearchScope,
    shown: &[Hit],
) -> Result<Vec<Row>, StoreError> {
    const READ: &str = concat!(
        "WITH ",
        viewer_rooms!(),
        "SELECT 0::bigint, mine.head, ",
        page_columns!(),
        " FROM unnest($3::uuid[], $4::bigint[]) WITH ORDINALITY hit (room_id, seq, number)
          JOIN mine ON mine.room_id = hit.room_id
          CROSS JOIN LATERAL (SELECT * FROM messages WHERE room_id = hit.room_id AND seq = hit.seq LIMIT 1) m",
        message_tables!(),
        "WHERE m.deleted_at IS NULL AND ",
        is_visible!("m", "mine"),
        " ORDER BY hit.number"
    );
    let (rooms, seqs): (Vec<Uuid>, Vec<i64>) =
        shown.iter().map(|hit| (scope.rooms[hit.room].room, hit.seq)).unzip();
    snapshot.rows(READ, &[&viewer.0, &None::<Uuid>, &rooms, &seqs]).await
}
