//! Builds and changes blocks of the search index.

use std::collections::HashMap;

use super::block::{Block, EntryMeta, FIELD_BREAK, encode, read_tokens};
use super::tokens::TokenizedText;

/// Messages in a full block. More of them share their words better; fewer have to be read for a rare word.
pub(super) const BLOCK_MESSAGES: usize = 128;
/// Words in a full block of long messages.
const BLOCK_TOKENS: usize = 6_000;
/// A block that messages were added to in its middle is divided from this size on.
const DIVIDED_FROM: usize = BLOCK_MESSAGES * 3 / 2;

/// A message to be indexed.
#[derive(Debug)]
pub(super) struct IndexedMessage {
    pub(super) meta: EntryMeta,
    pub(super) content: String,
    /// The name of its file.
    pub(super) file_name: Option<String>,
}

/// Messages with their words, ordered by position.
#[derive(Default)]
pub(super) struct BlockBuilder {
    words: Vec<String>,
    numbers: HashMap<String, u32>,
    entries: Vec<BuiltEntry>,
}

struct BuiltEntry {
    meta: EntryMeta,
    tokens: Vec<u32>,
}

/// A finished block.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BuiltBlock {
    pub(super) first_seq: i64,
    pub(super) last_seq: i64,
    /// The earliest and the latest time of its messages, in microseconds.
    pub(super) at: (i64, i64),
    pub(super) bytes: Vec<u8>,
}

impl BlockBuilder {
    /// Reads encoded messages in order to change them; `None` if they are damaged.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let mut builder = Self::default();
        builder.append(bytes)?;
        Some(builder)
    }

    /// Appends encoded messages; `None` if they are damaged.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Option<()> {
        let block = Block::parse(bytes)?;
        let numbers: Vec<u32> = block.words().map(|word| self.number(word)).collect();
        let (mut entries, mut meta, mut tokens) = (block.entries(), EntryMeta::default(), Vec::new());
        while let Some(encoded) = entries.next_into(&mut meta) {
            read_tokens(encoded, &mut tokens);
            let renumber = |token: &u32| match token.checked_sub(1) {
                None => Some(FIELD_BREAK),
                Some(at) => numbers.get(usize::try_from(at).ok()?).copied(),
            };
            let tokens = tokens.iter().map(renumber).collect::<Option<Vec<u32>>>()?;
            self.entries.push(BuiltEntry { meta: meta.clone(), tokens });
        }
        Some(())
    }

    /// Adds a message, or replaces the one at its position.
    pub(super) fn put(&mut self, message: &IndexedMessage) {
        let mut tokens = Vec::new();
        let text = TokenizedText::new(&message.content);
        tokens.extend(text.texts().map(|word| self.number(word)));
        let mut joined = text.joined_numbers();
        if let Some(name) = &message.file_name {
            let name = TokenizedText::new(name);
            tokens.push(FIELD_BREAK);
            tokens.extend(name.texts().map(|word| self.number(word)));
            joined.extend(name.joined_numbers());
        }
        for number in joined {
            tokens.extend([FIELD_BREAK, self.number(&number.digits)]);
        }
        let entry = BuiltEntry { meta: message.meta.clone(), tokens };
        match self.position(message.meta.seq) {
            Ok(at) => self.entries[at] = entry,
            Err(at) => self.entries.insert(at, entry),
        }
    }

    /// Removes the message at this position, if there is one.
    pub(super) fn remove(&mut self, seq: i64) {
        if let Ok(at) = self.position(seq) {
            self.entries.remove(at);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn first_seq(&self) -> Option<i64> {
        self.entries.first().map(|entry| entry.meta.seq)
    }

    /// The number of all words of all messages.
    pub(super) fn token_count(&self) -> usize {
        self.entries.iter().map(|entry| entry.tokens.len()).sum()
    }

    /// Encodes all messages; `None` if there are none.
    pub(super) fn build(&self) -> Option<BuiltBlock> {
        self.build_range(0..self.entries.len())
    }

    /// Encodes all messages in blocks that are no larger than a full one, or hardly.
    pub(super) fn build_divided(&self) -> Vec<BuiltBlock> {
        if self.len() < DIVIDED_FROM {
            return self.build().into_iter().collect();
        }
        let mut blocks = Vec::new();
        let mut from = 0;
        while from < self.len() {
            let to = self.full_block_from(from).unwrap_or(self.len());
            blocks.extend(self.build_range(from..to));
            from = to;
        }
        blocks
    }

    /// Takes full blocks from the beginning, as many as there are.
    pub(super) fn take_full(&mut self) -> Vec<BuiltBlock> {
        let mut blocks = Vec::new();
        let mut from = 0;
        while let Some(to) = self.full_block_from(from) {
            blocks.extend(self.build_range(from..to));
            from = to;
        }
        self.entries.drain(..from);
        blocks
    }

    /// Where a full block ends that begins at `from`; `None` if there is no full one.
    fn full_block_from(&self, from: usize) -> Option<usize> {
        let mut tokens = 0;
        for (at, entry) in self.entries.iter().enumerate().skip(from) {
            tokens += entry.tokens.len();
            if at + 1 - from == BLOCK_MESSAGES || tokens >= BLOCK_TOKENS {
                return Some(at + 1);
            }
        }
        None
    }

    fn build_range(&self, range: std::ops::Range<usize>) -> Option<BuiltBlock> {
        let entries = &self.entries[range];
        let (first, last) = (entries.first()?, entries.last()?);
        let mut uses = vec![0_u32; self.words.len() + 1];
        for token in entries.iter().flat_map(|entry| &entry.tokens) {
            uses[*token as usize] += 1;
        }
        // The words that are used, the most frequent ones first, so that their numbers are short.
        let mut used: Vec<usize> = (1..uses.len()).filter(|word| uses[*word] > 0).collect();
        used.sort_unstable_by(|a, b| {
            uses[*b].cmp(&uses[*a]).then_with(|| self.words[*a - 1].cmp(&self.words[*b - 1]))
        });
        let mut numbers = vec![FIELD_BREAK; uses.len()];
        for (number, word) in (1..).zip(&used) {
            numbers[*word] = number;
        }
        let renumbered: Vec<(&EntryMeta, Vec<u32>)> = entries
            .iter()
            .map(|entry| (&entry.meta, entry.tokens.iter().map(|token| numbers[*token as usize]).collect()))
            .collect();
        let times = entries.iter().map(|entry| entry.meta.at);
        Some(BuiltBlock {
            first_seq: first.meta.seq,
            last_seq: last.meta.seq,
            at: times.fold((first.meta.at, first.meta.at), |(low, high), at| (low.min(at), high.max(at))),
            bytes: encode(used.iter().map(|word| self.words[*word - 1].as_str()), &renumbered),
        })
    }

    fn position(&self, seq: i64) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&seq, |entry| entry.meta.seq)
    }

    fn number(&mut self, word: &str) -> u32 {
        if let Some(number) = self.numbers.get(word) {
            return *number;
        }
        self.words.push(word.to_owned());
        let number = u32::try_from(self.words.len()).unwrap_or(u32::MAX);
        self.numbers.insert(word.to_owned(), number);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(seq: i64, content: &str) -> IndexedMessage {
        let meta = EntryMeta { seq, at: seq * 10, sender: 1, ..EntryMeta::default() };
        IndexedMessage { meta, content: content.to_owned(), file_name: None }
    }

    fn built(messages: &[IndexedMessage]) -> BlockBuilder {
        let mut builder = BlockBuilder::default();
        messages.iter().for_each(|message| builder.put(message));
        builder
    }

    /// The texts of a block, as their words.
    fn texts(block: &[u8]) -> Vec<(i64, String)> {
        let block = Block::parse(block).expect("a block");
        let words: Vec<&str> = block.words().collect();
        let (mut entries, mut meta, mut tokens) = (block.entries(), EntryMeta::default(), Vec::new());
        let mut texts = Vec::new();
        while let Some(encoded) = entries.next_into(&mut meta) {
            read_tokens(encoded, &mut tokens);
            let word = |token: &u32| token.checked_sub(1).map_or("|", |at| words[at as usize]);
            texts.push((meta.seq, tokens.iter().map(word).collect::<Vec<_>>().join(" ")));
        }
        texts
    }

    #[test]
    fn a_block_holds_its_messages_by_position_and_only_their_words() {
        let mut builder = built(&[message(7, "the tap"), message(3, "THE door"), message(5, "a tap, a tap")]);
        builder.put(&message(7, "the roof"));
        builder.remove(3);
        builder.remove(4);
        let block = builder.build().expect("messages");
        assert_eq!((block.first_seq, block.last_seq, block.at), (5, 7, (50, 70)));
        assert_eq!(texts(&block.bytes), [(5, "a tap , a tap".to_owned()), (7, "the roof".to_owned())]);
        let words = Block::parse(&block.bytes).expect("a block").words;
        assert_eq!(words, " a tap , roof the ");
        let again = BlockBuilder::of(&block.bytes).expect("a block");
        assert_eq!(again.build(), Some(block));
        assert!(built(&[]).build().is_none());
    }

    #[test]
    fn file_names_and_joined_numbers_are_fields_of_their_own() {
        let file_name = Some("Plan_2.pdf".to_owned());
        let builder = built(&[IndexedMessage { file_name, ..message(1, "0170 123-4567") }]);
        let block = builder.build().expect("a message");
        assert_eq!(texts(&block.bytes)[0].1, "0170 123 - 4567 | plan _ 2 . pdf | 01701234567");
    }

    #[test]
    fn full_blocks_are_taken_and_large_ones_divided() {
        let many: Vec<_> = (1..=300).map(|seq| message(seq, "tile")).collect();
        let mut builder = built(&many);
        let divided: Vec<_> = builder.build_divided().iter().map(|b| (b.first_seq, b.last_seq)).collect();
        assert_eq!(divided, [(1, 128), (129, 256), (257, 300)]);
        let full: Vec<_> = builder.take_full().iter().map(|b| (b.first_seq, b.last_seq)).collect();
        assert_eq!((full, builder.len(), builder.first_seq()), (vec![(1, 128), (129, 256)], 44, Some(257)));
        let mut long = built(&[message(1, &"水".repeat(7_000)), message(2, "tile")]);
        assert_eq!((long.take_full().len(), long.len(), long.token_count()), (1, 1, 1));
    }
}
