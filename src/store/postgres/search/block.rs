//! Blocks of the search index: consecutive messages of a room, as the words that occur in them and, for each message,
//! what searches filter by and the numbers of its words in their order.
//!
//! A block begins with its version and its words, each between two spaces, the most frequent ones first. Then each
//! message follows. The number 0 stands between the text, the name of the file and joined numbers.

use super::varint;

/// The version of the format. Blocks of another one are read by nobody; a migration empties the index.
const VERSION: u8 = 1;
/// The number between fields of a message; words are counted from 1.
pub(super) const FIELD_BREAK: u32 = 0;

/// A message as searches filter and order it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct EntryMeta {
    /// The position of its sending.
    pub(super) seq: i64,
    /// When it was sent, in microseconds since 1970.
    pub(super) at: i64,
    pub(super) sender: i64,
    pub(super) flags: EntryFlags,
    /// The users whom it mentions.
    pub(super) mentions: Vec<i64>,
}

/// What a message is and has, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct EntryFlags(pub(super) u8);

impl EntryFlags {
    pub(super) const IMAGE: Self = Self(1);
    pub(super) const FILE: Self = Self(2);
    pub(super) const LINK: Self = Self(4);
    pub(super) const SYSTEM: Self = Self(8);
    /// Everyone in the room is mentioned.
    pub(super) const MENTIONS_ROOM: Self = Self(16);
    /// Users are mentioned; they follow in the encoding.
    const MENTIONS: Self = Self(32);

    pub(super) fn has(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    pub(super) fn with(self, others: Self, is_set: bool) -> Self {
        if is_set { Self(self.0 | others.0) } else { Self(self.0 & !others.0) }
    }
}

/// An encoded block.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    /// The words, each between two spaces.
    pub(super) words: &'a str,
    pub(super) word_count: usize,
    entries: &'a [u8],
}

/// The entries of a block, one after another.
pub(super) struct Entries<'a> {
    rest: &'a [u8],
    left: u64,
    seq: i64,
    at: i64,
}

impl<'a> Block<'a> {
    /// Reads the head of a block; `None` if it is damaged or of another version.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (version, mut rest) = bytes.split_first()?;
        let word_count = usize::try_from(varint::take(&mut rest)?).ok()?;
        let len = usize::try_from(varint::take(&mut rest)?).ok()?;
        let (words, entries) = rest.split_at_checked(len)?;
        let words = std::str::from_utf8(words).ok()?;
        (*version == VERSION && word_count <= len).then_some(Self { words, word_count, entries })
    }

    /// Iterates over the words in the order of their numbers, from 1.
    pub(super) fn words(self) -> impl Iterator<Item = &'a str> {
        self.words.split(' ').filter(|word| !word.is_empty())
    }

    /// Begins to read the entries.
    pub(super) fn entries(self) -> Entries<'a> {
        let mut rest = self.entries;
        let left = varint::take(&mut rest).unwrap_or(0);
        Entries { rest, left, seq: 0, at: 0 }
    }
}

impl<'a> Entries<'a> {
    /// Reads the next entry into `meta`, and returns the encoded numbers of its words.
    pub(super) fn next_into(&mut self, meta: &mut EntryMeta) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        let rest = &mut self.rest;
        self.seq = self.seq.wrapping_add(varint::take_signed(rest)?);
        self.at = self.at.wrapping_add(varint::take_signed(rest)?);
        (meta.seq, meta.at, meta.sender) = (self.seq, self.at, varint::take_signed(rest)?);
        let (flags, after) = rest.split_first()?;
        *rest = after;
        meta.flags = EntryFlags(*flags);
        meta.mentions.clear();
        if meta.flags.has(EntryFlags::MENTIONS) {
            for _ in 0..varint::take(rest)? {
                meta.mentions.push(varint::take_signed(rest)?);
            }
        }
        let len = usize::try_from(varint::take(rest)?).ok()?;
        let (tokens, after) = rest.split_at_checked(len)?;
        *rest = after;
        Some(tokens)
    }
}

/// Reads the numbers of words into `tokens`.
pub(super) fn read_tokens(mut encoded: &[u8], tokens: &mut Vec<u32>) {
    tokens.clear();
    while let Some(token) = varint::take(&mut encoded) {
        tokens.push(u32::try_from(token).unwrap_or(FIELD_BREAK));
    }
}

/// Encodes a block of `words`, which are in the order of their numbers, and `entries`.
pub(super) fn encode<'a>(
    words: impl Iterator<Item = &'a str>,
    entries: &[(&EntryMeta, Vec<u32>)],
) -> Vec<u8> {
    let (mut text, mut word_count) = (String::from(" "), 0);
    for word in words {
        text.push_str(word);
        text.push(' ');
        word_count += 1;
    }
    let mut out = vec![VERSION];
    varint::push(&mut out, word_count);
    varint::push(&mut out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
    varint::push(&mut out, entries.len() as u64);
    let (mut seq, mut at) = (0, 0);
    let mut encoded = Vec::new();
    for (meta, tokens) in entries {
        varint::push_signed(&mut out, meta.seq.wrapping_sub(seq));
        varint::push_signed(&mut out, meta.at.wrapping_sub(at));
        varint::push_signed(&mut out, meta.sender);
        (seq, at) = (meta.seq, meta.at);
        out.push(meta.flags.with(EntryFlags::MENTIONS, !meta.mentions.is_empty()).0);
        if !meta.mentions.is_empty() {
            varint::push(&mut out, meta.mentions.len() as u64);
            meta.mentions.iter().for_each(|user| varint::push_signed(&mut out, *user));
        }
        encoded.clear();
        tokens.iter().for_each(|token| varint::push(&mut encoded, u64::from(*token)));
        varint::push(&mut out, encoded.len() as u64);
        out.extend_from_slice(&encoded);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_block_is_read_as_it_was_written() {
        let first = EntryMeta { seq: 5, at: 1_000_000, sender: 7, ..EntryMeta::default() };
        let flags = EntryFlags::IMAGE.with(EntryFlags::LINK, true);
        let second = EntryMeta { seq: 9, at: 999_999, sender: -1, flags, mentions: vec![3, 4] };
        let bytes = encode(["the", "tap"].into_iter(), &[(&first, vec![1, 2, 0, 1]), (&second, vec![])]);
        let block = Block::parse(&bytes).expect("a block");
        assert_eq!((block.words, block.word_count), (" the tap ", 2));
        assert_eq!(block.words().collect::<Vec<_>>(), ["the", "tap"]);
        let (mut entries, mut meta, mut tokens) = (block.entries(), EntryMeta::default(), Vec::new());
        read_tokens(entries.next_into(&mut meta).expect("the first"), &mut tokens);
        assert_eq!((&meta, &tokens[..]), (&first, &[1, 2, 0, 1][..]));
        read_tokens(entries.next_into(&mut meta).expect("the second"), &mut tokens);
        assert!(meta.flags.has(EntryFlags::IMAGE) && !meta.flags.has(EntryFlags::FILE));
        assert_eq!((meta.seq, meta.at, meta.sender, &meta.mentions), (9, 999_999, -1, &vec![3, 4]));
        assert!(tokens.is_empty() && entries.next_into(&mut meta).is_none());
    }

    proptest! {
        #[test]
        fn damaged_blocks_are_read_without_panic(mut bytes: Vec<u8>, has_version: bool) {
            if has_version && !bytes.is_empty() {
                bytes[0] = VERSION;
            }
            let Some(block) = Block::parse(&bytes) else { return Ok(()) };
            let (mut entries, mut meta, mut tokens) = (block.entries(), EntryMeta::default(), Vec::new());
            while let Some(encoded) = entries.next_into(&mut meta) {
                read_tokens(encoded, &mut tokens);
            }
        }
    }
}
