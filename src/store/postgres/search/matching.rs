//! Compares blocks and their messages with the terms of a query.
//!
//! The terms are looked for among the words of a block first. Only if all terms may occur, the messages are read, as
//! numbers of words.

use std::collections::HashMap;
use std::ops::Range;

use memchr::memmem::Finder;
use memchr::{memchr, memchr_iter, memrchr};

use super::block::{Block, EntryMeta, FIELD_BREAK, read_tokens};
use super::terms::{Pattern, SearchTerms, Term};

/// How well a word matches that is the one in the query; that has its stem; that begins with it; that contains it.
const EXACT: f32 = 1.0;
const STEM: f32 = 0.85;
const START: f32 = 0.6;
const PART: f32 = 0.4;
/// How much of a message's score depends on its terms standing together.
const PROXIMITY_SHARE: f32 = 0.25;
/// How much of it depends on the message being short, and the words of a message that isn't.
const BREVITY_SHARE: f32 = 0.1;
const LONG_MESSAGE_WORDS: f32 = 16.0;

/// Looks for the terms of one query.
pub(super) struct Matcher<'q> {
    terms: &'q SearchTerms,
    slots: Vec<SlotSearch<'q>>,
    /// For each alternative the slots of each of its terms, as positions in `slots`.
    layout: Vec<Vec<Range<usize>>>,
    /// Whether a term has several slots.
    has_sequences: bool,
    found: FoundWords,
    tokens: Vec<u32>,
    seen: Vec<u64>,
}

/// What was found among the words of the current block.
#[derive(Default)]
struct FoundWords {
    /// For each number of a word the slots that it fills, as `width` groups of 64 bits.
    masks: Vec<u64>,
    width: usize,
    /// For each number of a word whether it is a sign; only for a query with sequences.
    signs: Vec<bool>,
    /// The alternatives whose slots can all be filled.
    alternatives: Vec<usize>,
}

struct SlotSearch<'q> {
    pattern: &'q Pattern,
    finder: Finder<'static>,
    /// For words of the same stem: their beginning, and whether a word with it has the stem.
    stem_finder: Option<Finder<'static>>,
    has_stem: HashMap<String, bool>,
    /// The numbers of the words that fill it, in order, and how well each does.
    words: Vec<(u32, f32)>,
}

/// A place where a term occurs: the first and the last of its tokens.
pub(super) struct Occurrence<'q> {
    pub(super) term: &'q Term,
    pub(super) first: usize,
    pub(super) last: usize,
}

impl<'q> Matcher<'q> {
    pub(super) fn new(terms: &'q SearchTerms) -> Self {
        let (mut slots, mut layout, mut has_sequences) = (Vec::new(), Vec::new(), false);
        for alternative in &terms.alternatives {
            let ranges = alternative.iter().map(|term| {
                let from = slots.len();
                slots.extend(term.slots.iter().map(|slot| SlotSearch::new(&slot.pattern)));
                has_sequences |= term.slots.len() > 1;
                from..slots.len()
            });
            layout.push(ranges.collect());
        }
        let width = slots.len().div_ceil(64).max(1);
        let found = FoundWords { width, ..FoundWords::default() };
        Self { terms, slots, layout, has_sequences, found, tokens: Vec::new(), seen: vec![0; width] }
    }

    /// Calls `hit` with each message of a block that `accepts` accepts and that matches, and how well it does.
    /// Returns false if the block is damaged.
    pub(super) fn scan(
        &mut self,
        bytes: &[u8],
        mut accepts: impl FnMut(&EntryMeta) -> bool,
        mut hit: impl FnMut(&EntryMeta, f32),
    ) -> bool {
        let Some(block) = Block::parse(bytes) else { return false };
        if !self.find_words(block) {
            return true;
        }
        let (mut entries, mut meta) = (block.entries(), EntryMeta::default());
        while let Some(encoded) = entries.next_into(&mut meta) {
            if !accepts(&meta) {
                continue;
            }
            if self.terms.is_empty() {
                hit(&meta, EXACT);
                continue;
            }
            read_tokens(encoded, &mut self.tokens);
            if let Some(score) = self.score() {
                hit(&meta, score);
            }
        }
        true
    }

    /// Finds the places in a block of one message at which the terms occur; `None` if it doesn't match.
    pub(super) fn occurrences(&mut self, block: Block<'_>) -> Option<Vec<Occurrence<'q>>> {
        if !self.find_words(block) {
            return None;
        }
        let encoded = block.entries().next_into(&mut EntryMeta::default())?;
        read_tokens(encoded, &mut self.tokens);
        if self.terms.is_empty() {
            return Some(Vec::new());
        }
        self.score()?;
        let terms = self.terms;
        let mut occurrences = Vec::new();
        for alternative in &self.found.alternatives {
            for (term, slots) in terms.alternatives[*alternative].iter().zip(&self.layout[*alternative]) {
                for first in 0..self.tokens.len() {
                    if let Some(last) = self.sequence_end(term, slots, first) {
                        occurrences.push(Occurrence { term, first, last });
                    }
                }
            }
        }
        Some(occurrences)
    }

    /// Looks for the terms among the words of `block`. Returns whether a message may match.
    fn find_words(&mut self, block: Block<'_>) -> bool {
        let found = &mut self.found;
        found.alternatives.clear();
        if self.terms.is_empty() {
            return true;
        }
        for (number, slots) in self.layout.iter().enumerate() {
            let mut slots = slots.iter().flat_map(Clone::clone);
            if slots.all(|slot| self.slots[slot].find(block.words)) {
                found.alternatives.push(number);
            }
        }
        if found.alternatives.is_empty() {
            return false;
        }
        found.masks.clear();
        found.masks.resize((block.word_count + 1) * found.width, 0);
        for alternative in &found.alternatives {
            for slot in self.layout[*alternative].iter().flat_map(Clone::clone) {
                for (word, _) in &self.slots[slot].words {
                    let group = found.masks.get_mut(*word as usize * found.width + slot / 64);
                    group.into_iter().for_each(|group| *group |= 1 << (slot % 64));
                }
            }
        }
        if self.has_sequences {
            found.signs.clear();
            found.signs.push(false);
            found.signs.extend(block.words().map(|word| !word.starts_with(char::is_alphanumeric)));
        }
        true
    }

    /// How well the current message matches; `None` if it doesn't.
    fn score(&mut self) -> Option<f32> {
        let width = self.found.width;
        self.seen.fill(0);
        for token in &self.tokens {
            let at = *token as usize * width;
            let groups = self.found.masks.get(at..at + width).unwrap_or_default();
            self.seen.iter_mut().zip(groups).for_each(|(seen, group)| *seen |= group);
        }
        let scores = self.found.alternatives.iter().filter_map(|alternative| {
            let mut slots = self.layout[*alternative].iter().flat_map(Clone::clone);
            let is_seen = slots.all(|slot| self.seen[slot / 64] & (1 << (slot % 64)) != 0);
            is_seen.then(|| self.alternative_score(*alternative)).flatten()
        });
        scores.reduce(f32::max)
    }

    fn alternative_score(&self, alternative: usize) -> Option<f32> {
        let (mut total, mut from, mut to) = (0.0, usize::MAX, 0);
        let terms = &self.terms.alternatives[alternative];
        for (term, slots) in terms.iter().zip(&self.layout[alternative]) {
            let (score, at) = self.term_score(term, slots)?;
            total += score;
            (from, to) = (from.min(at), to.max(at));
        }
        #[allow(clippy::cast_precision_loss, reason = "a message has some thousand words at most")]
        let [terms, span, words] = [terms.len(), to - from + 1, self.tokens.len()].map(|count| count as f32);
        let proximity = (terms / span).min(1.0);
        let brevity = 1.0 / (1.0 + words / LONG_MESSAGE_WORDS);
        let shape = 1.0 - PROXIMITY_SHARE * (1.0 - proximity) - BREVITY_SHARE * (1.0 - brevity);
        Some(total / terms * shape)
    }

    /// How well a term matches at best, and at which token it does first; `None` if it doesn't.
    fn term_score(&self, term: &Term, slots: &Range<usize>) -> Option<(f32, usize)> {
        let mut best: Option<(f32, usize)> = None;
        for first in 0..self.tokens.len() {
            if self.sequence_end(term, slots, first).is_none() {
                continue;
            }
            let score = match slots.len() {
                1 => self.slots[slots.start].score_of(self.tokens[first]),
                _ => EXACT,
            };
            if best.is_none_or(|(other, _)| score > other) {
                best = Some((score, first));
            }
            if score >= EXACT {
                break;
            }
        }
        best
    }

    /// The last token of an occurrence of `term` that begins with the token `first`.
    fn sequence_end(&self, term: &Term, slots: &Range<usize>, first: usize) -> Option<usize> {
        let mut at = first;
        for (slot, number) in term.slots.iter().zip(slots.clone()) {
            if number > slots.start {
                at += 1;
                while slot.skips_signs && self.is_sign(*self.tokens.get(at)?) {
                    at += 1;
                }
            }
            if !self.fills(*self.tokens.get(at)?, number) {
                return None;
            }
        }
        Some(at)
    }

    fn fills(&self, token: u32, slot: usize) -> bool {
        let group = self.found.masks.get(token as usize * self.found.width + slot / 64);
        group.is_some_and(|group| group & (1 << (slot % 64)) != 0)
    }

    fn is_sign(&self, token: u32) -> bool {
        token != FIELD_BREAK && self.found.signs.get(token as usize).copied().unwrap_or(false)
    }
}

impl<'q> SlotSearch<'q> {
    fn new(pattern: &'q Pattern) -> Self {
        let finder = |needle: String| Finder::new(needle.as_bytes()).into_owned();
        let (needle, stem_finder) = match pattern {
            Pattern::Exact(text) => (format!(" {text} "), None),
            Pattern::Start(text) => (format!(" {text}"), None),
            Pattern::Part(text, stems) => {
                (text.clone(), stems.as_ref().map(|stems| finder(format!(" {}", stems.beginning))))
            }
        };
        Self { pattern, finder: finder(needle), stem_finder, has_stem: HashMap::new(), words: Vec::new() }
    }

    /// Finds the words that fill this slot. Returns whether there are any.
    fn find(&mut self, words: &str) -> bool {
        self.words.clear();
        let found = &mut self.words;
        match self.pattern {
            Pattern::Exact(_) => each_word(words, &self.finder, 1, |number, _| found.push((number, EXACT))),
            Pattern::Start(text) => each_word(words, &self.finder, 1, |number, word| {
                found.push((number, if word == text { EXACT } else { START }));
            }),
            Pattern::Part(text, stems) => {
                each_word(words, &self.finder, 0, |number, word| {
                    let score = match word.strip_prefix(text.as_str()) {
                        Some("") => EXACT,
                        Some(_) => START,
                        None => PART,
                    };
                    found.push((number, score));
                });
                if let (Some(stems), Some(finder)) = (stems, &self.stem_finder) {
                    let has_stem = &mut self.has_stem;
                    each_word(words, finder, 1, |number, word| {
                        let known = has_stem.get(word).copied();
                        let is_same = known.unwrap_or_else(|| {
                            let is_same = stems.has(word);
                            has_stem.insert(word.to_owned(), is_same);
                            is_same
                        });
                        if is_same && word != text {
                            found.push((number, STEM));
                        }
                    });
                }
            }
        }
        // The better score of a word that was found in two ways comes first and stays.
        found.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
        found.dedup_by_key(|(number, _)| *number);
        !found.is_empty()
    }

    fn score_of(&self, token: u32) -> f32 {
        let at = self.words.binary_search_by_key(&token, |(number, _)| *number);
        at.map_or(0.0, |at| self.words[at].1)
    }
}

/// Calls `found` with the number and the text of each word in which `finder` finds something, of which `lead` bytes
/// precede the word.
fn each_word(words: &str, finder: &Finder<'_>, lead: usize, mut found: impl FnMut(u32, &str)) {
    let bytes = words.as_bytes();
    let (mut number, mut counted, mut last) = (0, 0, 0);
    for at in finder.find_iter(bytes) {
        let at = at + lead;
        // Each word has one space more before it than the one before.
        number += memchr_iter(b' ', &bytes[counted..at]).count();
        counted = at;
        if number == last {
            continue;
        }
        last = number;
        let from = memrchr(b' ', &bytes[..at]).map_or(0, |space| space + 1);
        let to = memchr(b' ', &bytes[at..]).map_or(bytes.len(), |space| at + space);
        found(u32::try_from(number).unwrap_or(u32::MAX), &words[from..to]);
    }
}
