//! Where a message matches a query.

use std::ops::Range;

use super::block::Block;
use super::block_builder::{BlockBuilder, IndexedMessage};
use super::matching::{Matcher, Occurrence};
use super::terms::{Pattern, SearchTerms};
use super::tokens::{TokenKind, TokenizedText};

/// The most places that are shown of one message.
const HIGHLIGHTS_MAX: usize = 100;

/// A message as the index has it, beside its text.
struct IndexedText {
    text: TokenizedText,
    /// The first and the last token of each number that is joined from several.
    joined: Vec<(usize, usize)>,
    /// Where these numbers begin in the index.
    joined_from: usize,
}

/// Finds the code points of a message's content that match; `None` if the message doesn't match. What matches in the
/// name of a file is in no content.
pub(super) fn highlights(terms: &SearchTerms, message: &IndexedMessage) -> Option<Vec<Range<u32>>> {
    let mut builder = BlockBuilder::default();
    builder.put(message);
    let block = builder.build()?;
    let occurrences = Matcher::new(terms).occurrences(Block::parse(&block.bytes)?)?;
    let indexed = IndexedText::of(message);
    let mut found: Vec<Range<u32>> =
        occurrences.iter().filter_map(|occurrence| indexed.original(occurrence)).collect();
    found.sort_unstable_by_key(|range| (range.start, range.end));
    let mut merged: Vec<Range<u32>> = Vec::new();
    for range in found {
        match merged.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged.truncate(HIGHLIGHTS_MAX);
    Some(merged)
}

impl IndexedText {
    fn of(message: &IndexedMessage) -> Self {
        let text = TokenizedText::new(&message.content);
        let joined = text.joined_numbers().into_iter().map(|number| number.tokens).collect();
        let name = message.file_name.as_deref().map(|name| 1 + TokenizedText::new(name).tokens.len());
        let joined_from = text.tokens.len() + name.unwrap_or(0);
        Self { text, joined, joined_from }
    }

    fn original(&self, occurrence: &Occurrence<'_>) -> Option<Range<u32>> {
        let Occurrence { term, first, last } = occurrence;
        if *first >= self.text.tokens.len() {
            // Each joined number stands behind a break.
            let number = first.checked_sub(self.joined_from)? / 2;
            let (first, last) = self.joined.get(number)?;
            return Some(self.text.original(*first, None).start..self.text.original(*last, None).end);
        }
        let within = term.slots.last().and_then(|slot| self.within(*last, &slot.pattern));
        let end = self.text.original(*last, within.clone());
        match term.slots.len() {
            1 => Some(end),
            _ => Some(self.text.original(*first, None).start..end.end),
        }
    }

    /// Which characters of a token match a pattern, if it isn't the whole token.
    fn within(&self, token: usize, pattern: &Pattern) -> Option<Range<usize>> {
        let token = &self.text.tokens[token];
        let word = self.text.text_of(token);
        let at = match pattern {
            Pattern::Start(_) if token.kind != TokenKind::Letter => 0,
            Pattern::Part(text, _) => word.find(text.as_str())?,
            Pattern::Start(_) | Pattern::Exact(_) => return None,
        };
        let before = word[..at].chars().count();
        Some(before..before + pattern.text().chars().count())
    }
}

#[cfg(test)]
mod tests {
    use super::super::block::EntryMeta;
    use super::super::stems::SearchLanguages;
    use super::*;

    fn shown(query: &str, content: &str, file_name: Option<&str>) -> Option<Vec<String>> {
        let message = IndexedMessage {
            meta: EntryMeta::default(),
            content: content.to_owned(),
            file_name: file_name.map(str::to_owned),
        };
        let terms = SearchTerms::parse(query, &SearchLanguages::default());
        let highlights = highlights(&terms, &message)?;
        let chars: Vec<char> = content.chars().collect();
        let text = |range: Range<u32>| chars[range.start as usize..range.end as usize].iter().collect();
        Some(highlights.into_iter().map(text).collect())
    }

    #[test]
    fn the_part_of_a_word_that_matches_is_shown() {
        for (query, content, expected) in [
            ("boiler", "The BOILER and boilers", &["BOILER", "boiler"][..]),
            ("oile", "A boiler", &["oile"]),
            ("leaking", "It leaks, a Leak", &["leaks", "Leak"]),
            ("cafe", "Das Cafe\u{301}!", &["Cafe\u{301}"]),
            ("strasse", "Hauptstraße", &["straße"]),
            ("fi", "Fine fix of", &["Fi", "fi"]),
            ("水管", "厨房水管漏水", &["水管"]),
            ("รั่ว ครัว", "ในห้องครัวรั่วมาก", &["ครัว", "รั่ว"]),
            ("\"hot water\"", "hot, hot  water", &["hot  water"]),
            ("a101", "Unit A-101 or A 1012", &["A-101", "A 101"]),
            ("+49 170 1234567", "call 0170/123 45 67 now", &["0170/123 45 67"]),
            ("tap tap the", "The tap", &["The", "tap"]),
            ("👍", "fine 👍🏽", &["👍"]),
        ] {
            let expected = expected.iter().map(ToString::to_string).collect();
            assert_eq!(shown(query, content, None), Some(expected), "{query} in {content}");
        }
        assert_eq!(shown("boiler", "roof", None), None);
        assert_eq!(shown("plan", "", Some("Plan_2.pdf")), Some(vec![]));
        assert_eq!(shown("0170 1234567", "", Some("0170-1234567.pdf")), Some(vec![]));
        assert_eq!(shown("tap", &"tap ".repeat(500), None).map(|shown| shown.len()), Some(HIGHLIGHTS_MAX));
    }
}
