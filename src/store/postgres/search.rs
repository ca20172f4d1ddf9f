//! Search in the texts of messages: whole words by the text index, and parts of words, Chinese,
//! Japanese and Korean by the trigram index. What is searched for is a text, never a pattern: words may
//! stand anywhere, and what holds a sign that is no letter or digit must be there as it was written.
//!
//! The indexes are those of a table that follows the messages ([`super::texts`]). What that has not taken
//! in yet, or has in an earlier form, is looked at in the messages themselves.

use std::time::Duration;

use actors::domain::ids::UserId;
use actors::domain::message::MessageType;
use actors::ports::store::StoreError;

use super::PostgresStore;
use super::messages::{MessageFilter, MessagePage, mine, page_columns, page_of};
use super::rows::{author_columns, message_columns, message_tables};

/// How long a search may take; the contract gives 300 ms to the whole answer.
const SEARCH_WITHIN: Duration = Duration::from_millis(230);

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

impl PostgresStore {
    /// Reads a page of undeleted messages of the viewer's rooms that hold `text`, as words or as a part.
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
                         SELECT room_id, id, max(rev) AS rev FROM (
                             SELECT t.room_id, t.message_id AS id, t.rev
                             FROM texts t JOIN mine ON mine.room_id = t.room_id
                             WHERE t.words @@ websearch_to_tsquery('chat', $7) OR t.content ILIKE $8
                             UNION ALL
                             SELECT e.room_id, e.message_id, 0 FROM events e JOIN mine ON mine.room_id = e.room_id
                             WHERE e.xid >= (SELECT position FROM texts_progress)
                               AND e.xid < pg_snapshot_xmax(pg_current_snapshot()) AND e.message_id IS NOT NULL) t
                         GROUP BY room_id, id),
                     hits AS MATERIALIZED (
                         SELECT m.room_id, m.id, m.seq, m.created_at
                         FROM found JOIN messages m ON m.room_id = found.room_id AND m.id = found.id
                         JOIN mine ON mine.room_id = m.room_id
                         WHERE m.deleted_at IS NULL AND m.seq >= mine.visible_from_seq
                           AND ($3::text IS NULL OR m.message_type = $3)
                           AND ($4::bigint IS NULL OR m.sender_id = $4)
                           AND m.content ILIKE ALL ($9::text[])
                           AND (m.rev = found.rev OR m.content ILIKE $8
                                OR to_tsvector('chat', m.content) @@ websearch_to_tsquery('chat', $7)))
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
        let mut reader = self.long_reader().await?;
        let rows = reader
            .rows_within(
                SEARCH_WITHIN,
                sql,
                &[
                    &viewer.0,
                    &filter.room.map(|room| room.0),
                    &filter.message_type.map(MessageType::as_str),
                    &filter.sender.map(|sender| sender.0),
                    &limit,
                    &offset,
                    &words(text),
                    &part_pattern(text),
                    &signed_patterns(text),
                ],
            )
            .await?
            .ok_or(SearchError::TooBroad)?;
        Ok(page_of(&reader, viewer, &rows).await?)
    }
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

/// Patterns for what of `text` the words alone don't tell: the terms with a sign in them, without those of a
/// sentence around them.
fn signed_patterns(text: &str) -> Vec<String> {
    text.split_whitespace()
        .map(|term| match term.trim_start_matches('-').trim_matches(['"', '.', ',', ';', '!', '?']) {
            "" => term,
            bare => bare,
        })
        .filter(|term| !term.chars().all(char::is_alphanumeric))
        .map(part_pattern)
        .collect()
}

/// `text` for `websearch_to_tsquery`, without the minus that would ask for all messages but some, and with
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
        assert_eq!(signed_patterns("-50%, of \"the lot\" x_y? ..."), ["%50\\%%", "%x\\_y%", "%...%"]);
    }
}
