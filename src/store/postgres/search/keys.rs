//! The keys of a block, by which PostgreSQL's index finds the blocks that may hold what a search is for.
//!
//! A key is the hash of three letters that stand side by side in a word, of a word's first two letters, of one or two
//! adjacent letters of a script without spaces, of a sign, or of something that searches filter by. Two things may have
//! the same key: a block that the index finds is still compared word by word.

use uuid::Uuid;

use super::block::{Block, EntryFlags, EntryMeta, FIELD_BREAK, read_tokens};
use super::folding::is_unspaced;

/// What a key stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key<'a> {
    /// Three adjacent letters or digits of a word.
    Trigram(&'a str),
    /// The first two letters or digits of a word.
    Start(&'a str),
    /// A letter of a script without spaces.
    Letter(char),
    /// Two such letters side by side.
    Letters(char, char),
    Sign(char),
    Room(Uuid),
    Sender(i64),
    Mention(i64),
    /// A message that has this.
    Flags(EntryFlags),
}

impl Key<'_> {
    /// The key as the index has it. It must never change: blocks that exist keep theirs.
    pub(super) fn hash(self) -> i32 {
        match self {
            Self::Trigram(letters) => hash(1, letters.as_bytes()),
            Self::Start(letters) => hash(2, letters.as_bytes()),
            Self::Letter(letter) => hash(3, &u32::from(letter).to_le_bytes()),
            Self::Letters(one, other) => {
                let pair = u64::from(u32::from(one)) << 32 | u64::from(u32::from(other));
                hash(4, &pair.to_le_bytes())
            }
            Self::Sign(sign) => hash(5, &u32::from(sign).to_le_bytes()),
            Self::Room(room) => hash(6, room.as_bytes()),
            Self::Sender(user) => hash(7, &user.to_le_bytes()),
            Self::Mention(user) => hash(8, &user.to_le_bytes()),
            Self::Flags(flags) => hash(9, &[flags.0]),
        }
    }
}

/// FNV-1a, with its upper half folded into the lower one.
fn hash(kind: u8, bytes: &[u8]) -> i32 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = bytes.iter().fold(step(0xcbf2_9ce4_8422_2325, &kind), step);
    let folded = u32::try_from((hash >> 32) ^ (hash & u64::from(u32::MAX))).unwrap_or(0);
    folded.cast_signed()
}

/// Calls `found` with each part of `word` of `LEN` characters.
fn windows<const LEN: usize>(word: &str, mut found: impl FnMut(&str)) {
    let mut starts = [0; LEN];
    for (number, (at, c)) in word.char_indices().enumerate() {
        starts.rotate_left(1);
        starts[LEN - 1] = at;
        if number + 1 >= LEN {
            found(&word[starts[0]..at + c.len_utf8()]);
        }
    }
}

/// Calls `found` with the trigrams of `word`.
pub(super) fn trigrams(word: &str, found: impl FnMut(&str)) {
    windows::<3>(word, found);
}

/// The first two characters of `word`, if it has as many.
pub(super) fn start_of(word: &str) -> Option<&str> {
    let (at, second) = word.char_indices().nth(1)?;
    Some(&word[..at + second.len_utf8()])
}

/// All keys of a block of `room`, sorted.
pub(super) fn keys_of(block: Block<'_>, room: Uuid) -> Vec<i32> {
    let mut keys = vec![Key::Room(room).hash()];
    // For each number of a word its first letter, if it is of a script without spaces.
    let mut letters = vec![None];
    for word in block.words() {
        let first = word.chars().next().unwrap_or(' ');
        letters.push(Some(first).filter(|first| is_unspaced(*first)));
        if is_unspaced(first) {
            keys.push(Key::Letter(first).hash());
        } else if first.is_alphanumeric() {
            keys.extend(start_of(word).map(|start| Key::Start(start).hash()));
            trigrams(word, |trigram| keys.push(Key::Trigram(trigram).hash()));
        } else {
            keys.push(Key::Sign(first).hash());
        }
    }
    let letter = |token: &u32| letters.get(*token as usize).copied().flatten();
    let (mut entries, mut meta, mut tokens) = (block.entries(), EntryMeta::default(), Vec::new());
    while let Some(encoded) = entries.next_into(&mut meta) {
        push_meta_keys(&mut keys, &meta);
        read_tokens(encoded, &mut tokens);
        for pair in tokens.windows(2).filter(|pair| pair[0] != FIELD_BREAK) {
            if let (Some(one), Some(other)) = (letter(&pair[0]), letter(&pair[1])) {
                keys.push(Key::Letters(one, other).hash());
            }
        }
    }
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn push_meta_keys(keys: &mut Vec<i32>, meta: &EntryMeta) {
    keys.push(Key::Sender(meta.sender).hash());
    keys.extend(meta.mentions.iter().map(|user| Key::Mention(*user).hash()));
    for flag in [EntryFlags::IMAGE, EntryFlags::FILE, EntryFlags::LINK, EntryFlags::MENTIONS_ROOM] {
        if meta.flags.has(flag) {
            keys.push(Key::Flags(flag).hash());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::block_builder::{BlockBuilder, IndexedMessage};
    use super::*;

    #[test]
    fn a_block_has_a_key_for_all_that_searches_look_for() {
        let meta = EntryMeta { seq: 1, sender: 7, flags: EntryFlags::LINK, ..EntryMeta::default() };
        let mut builder = BlockBuilder::default();
        builder.put(&IndexedMessage { meta, content: "Boiler 水管!".to_owned(), file_name: None });
        let block = builder.build().expect("a message");
        let room = Uuid::from_u128(5);
        let keys = keys_of(Block::parse(&block.bytes).expect("a block"), room);
        let mut expected: Vec<i32> = [
            Key::Trigram("boi"),
            Key::Trigram("oil"),
            Key::Trigram("ile"),
            Key::Trigram("ler"),
            Key::Start("bo"),
            Key::Letter('水'),
            Key::Letter('管'),
            Key::Letters('水', '管'),
            Key::Sign('!'),
            Key::Room(room),
            Key::Sender(7),
            Key::Flags(EntryFlags::LINK),
        ]
        .map(Key::hash)
        .to_vec();
        expected.sort_unstable();
        assert_eq!(keys, expected);
    }

    #[test]
    fn keys_never_change() {
        let keys = [Key::Trigram("boi"), Key::Letters('水', '管'), Key::Sender(7)];
        assert_eq!(keys.map(Key::hash), [999_146_741, 614_057_554, -1_597_158_891]);
    }
}
