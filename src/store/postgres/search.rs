//! Search in the texts of messages: words and parts of words in any order, phrases in quotes, and single
//! signs of Chinese, Japanese and Korean. What is searched for is a text, never a pattern.
//!
//! The table that is searched follows the messages ([`super::texts`]) and holds them folded
//! ([`super::folding`]). What it has not taken in yet, or has in an earlier form, is folded and judged here,
//! as of the same moment.

use std::time::{Duration, Instant};

use actors::domain::ids::UserId;
use actors::domain::message::MessageType;
use actors::ports::store::StoreError;
use uuid::Uuid;

use super::PostgresStore;
pub(crate) use super::folding::is_cjk;
use super::folding::{Wanted, folded};
use super::messages::{MessageFilter, MessagePage, mine, page_columns, page_of};
use super::reader::Snapshot;
use super::rows::{author_columns, message_columns, message_tables};

/// How long a search may take; the contract gives 300 ms to the whole answer.
const SEARCH_WITHIN: Duration = Duration::from_millis(230);
/// Events that were not taken in yet and that one search looks at: some ten milliseconds' worth.
const FRESH_MAX: i64 = 5_000;
/// Bytes of their texts that it has the database send.
const FRESH_BYTES_MAX: i64 = 4 << 20;

/// Why a search has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// It would have to look at too much.
    #[error("the search is too broad")]
    TooBroad,
    /// The store's own trouble.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Messages that were not taken in yet and hold what is wanted.
#[derive(Default)]
struct Fresh {
    rooms: Vec<Uuid>,
    ids: Vec<Uuid>,
    revs: Vec<i64>,
    visible_from: Vec<i64>,
}

impl PostgresStore {
    /// Reads a page of undeleted messages of the viewer's rooms that hold what `text` asks for.
    ///
    /// # Errors
    /// [`SearchError`].
    pub async fn search_messages(
        &self,
        viewer: UserId,
        text: &str,
        filter: &MessageFilter,
        limit: i64,
        offset: i64,
    ) -> Result<MessagePage, SearchError> {
        macro_rules! search {
            ($direction:literal) => {
                concat!(
                    "WITH ", mine!(), ", found AS MATERIALIZED (
                         SELECT room_id, id, max(rev) AS rev, max(visible_from_seq) AS visible_from_seq FROM (
                             SELECT t.room_id, t.message_id AS id, t.rev, mine.visible_from_seq
                             FROM texts t JOIN mine ON mine.room_id = t.room_id
                             WHERE NOT $10 AND t.folded LIKE $7 AND t.folded LIKE $8 AND t.folded LIKE ALL ($9)
                             UNION ALL
                             SELECT b.room_id, b.message_id, b.rev, mine.visible_from_seq
                             FROM texts_before b JOIN mine ON mine.room_id = b.room_id
                             WHERE NOT $10 AND (b.words @@ websearch_to_tsquery('chat', $12) OR b.content ILIKE $13)
                             UNION ALL
                             SELECT m.room_id, m.id, m.rev, mine.visible_from_seq
                             FROM mine JOIN messages m ON m.room_id = mine.room_id
                             WHERE $10 AND m.deleted_at IS NULL AND m.content ILIKE ALL ($11)
                             UNION ALL
                             SELECT * FROM unnest($14::uuid[], $15::uuid[], $16::bigint[], $17::bigint[])) t
                         GROUP BY room_id, id),
                     hits AS MATERIALIZED (
                         SELECT m.room_id, m.id, m.seq, m.created_at
                         FROM found CROSS JOIN LATERAL (
                             SELECT * FROM messages WHERE room_id = found.room_id AND id = found.id LIMIT 1) m
                         WHERE m.deleted_at IS NULL AND m.seq >= found.visible_from_seq AND m.rev = found.rev
                           AND ($3::text IS NULL OR m.message_type = $3)
                           AND ($4::bigint IS NULL OR m.sender_id = $4)
                           AND m.content ILIKE ALL ($11::text[]))
                     SELECT (SELECT count(*) FROM hits),
                            (SELECT max(head) FROM mine WHERE $2::uuid IS NOT NULL), ", page_columns!(),
                    "FROM (SELECT 1) one LEFT JOIN (
                         SELECT * FROM hits ORDER BY created_at ", $direction, ", seq ", $direction, ", id
                         LIMIT $5 OFFSET $6) hit ON true
                     LEFT JOIN messages m ON m.room_id = hit.room_id AND m.id = hit.id ",
                    message_tables!(),
                    "ORDER BY hit.created_at ", $direction, ", hit.seq ", $direction, ", hit.id"
                )
            };
        }
        let sql = if filter.oldest_first { search!("ASC") } else { search!("DESC") };
        let wanted = Wanted::read(text);
        let is_of_signs = wanted.needles.is_empty();
        // An index is asked for two parts, the longest; more of them find hardly less.
        let part =
            |at: usize| wanted.needles.get(at).or(wanted.needles.first()).map(|part| part_pattern(part));
        let (first, second) = (part(0).unwrap_or_default(), part(1).unwrap_or_default());
        let all = |parts: &[String]| parts.iter().map(|part| part_pattern(part)).collect::<Vec<_>>();

        let began = Instant::now();
        let mut reader = self.long_reader().await?;
        let snapshot = reader.snapshot().await?;
        let fresh =
            if is_of_signs { Fresh::default() } else { fresh(&snapshot, viewer, filter, &wanted).await? };
        let left = SEARCH_WITHIN.saturating_sub(began.elapsed()).max(Duration::from_millis(1));
        let rows = snapshot
            .rows_within(
                left,
                sql,
                &[
                    &viewer.0,
                    &filter.room.map(|room| room.0),
                    &filter.message_type.map(MessageType::as_str),
                    &filter.sender.map(|sender| sender.0),
                    &limit,
                    &offset,
                    &first,
                    &second,
                    &all(wanted.needles.get(2..).unwrap_or_default()),
                    &is_of_signs,
                    &all(&wanted.literals),
                    &words(text),
                    &part_pattern(text),
                    &fresh.rooms,
                    &fresh.ids,
                    &fresh.revs,
                    &fresh.visible_from,
                ],
            )
            .await?
            .ok_or(SearchError::TooBroad)?;
        snapshot.end().await?;
        Ok(page_of(&reader, viewer, &rows).await?)
    }
}

/// Looks through what is not taken in yet.
async fn fresh(
    snapshot: &Snapshot<'_>,
    viewer: UserId,
    filter: &MessageFilter,
    wanted: &Wanted,
) -> Result<Fresh, SearchError> {
    const FIND: &str = concat!(
        "WITH ",
        mine!(),
        ", fresh AS MATERIALIZED (
             SELECT e.room_id, e.message_id, mine.visible_from_seq
             FROM events e JOIN mine ON mine.room_id = e.room_id
             WHERE e.xid >= (SELECT position FROM texts_progress)
               AND e.xid < pg_snapshot_xmax(pg_current_snapshot()) AND e.message_id IS NOT NULL LIMIT $3)
         SELECT (SELECT count(*) FROM fresh), m.room_id, m.id, m.rev,
                CASE WHEN sum(octet_length(m.content)) OVER () <= $4 THEN m.content END,
                f.visible_from_seq
         FROM (SELECT DISTINCT room_id, message_id, visible_from_seq FROM fresh) f CROSS JOIN LATERAL (
             SELECT * FROM messages WHERE room_id = f.room_id AND id = f.message_id LIMIT 1) m
         WHERE m.deleted_at IS NULL"
    );
    let room = filter.room.map(|room| room.0);
    let rows =
        snapshot.rows_within(SEARCH_WITHIN, FIND, &[&viewer.0, &room, &FRESH_MAX, &FRESH_BYTES_MAX]).await?;
    let mut fresh = Fresh::default();
    for row in rows.ok_or(SearchError::TooBroad)? {
        let content = row.get::<_, Option<&str>>(4).filter(|_| row.get::<_, i64>(0) < FRESH_MAX);
        if wanted.is_in(&folded(content.ok_or(SearchError::TooBroad)?)) {
            fresh.rooms.push(row.get(1));
            fresh.ids.push(row.get(2));
            fresh.revs.push(row.get(3));
            fresh.visible_from.push(row.get(5));
        }
    }
    Ok(fresh)
}

/// A pattern for `ILIKE` that finds `text` anywhere, and nothing in it is special.
pub(super) fn part_pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// `text` for `websearch_to_tsquery`, by which texts are found that were not folded yet, without the minus that would ask for all messages but some, and with
/// "or" as a word like others.
fn words(text: &str) -> String {
    let words = text.split_whitespace().map(|word| match word.trim_start_matches('-') {
        word if word.eq_ignore_ascii_case("or") => "\"or\"",
        word => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_search_is_special() {
        assert_eq!(part_pattern("100%_\\"), "%100\\%\\_\\\\%");
        assert_eq!(words("-boiler --x  y-z or b"), "boiler x y-z \"or\" b");
    }
}
