//! Divides folded texts into words, numbers, signs and, in scripts without spaces between words, letters.
//!
//! Letters and digits that stand side by side are different tokens: "A-101", "a101" and "A 101" have the same.

use std::ops::Range;

use unicode_normalization::char::is_combining_mark;

use super::folding::{folded, is_unspaced};

/// The fewest digits that are joined to one number when signs or spaces divide them, as in a telephone number.
pub(super) const JOINED_DIGITS_MIN: usize = 7;
/// The most of them. A longer row of numbers is a table.
const JOINED_DIGITS_MAX: usize = 24;
/// The most signs between two groups of digits of one number, as in ") - ".
const SIGNS_BETWEEN_GROUPS_MAX: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// Letters of a script with spaces between words.
    Word,
    /// Digits.
    Number,
    /// A letter of a script without spaces, with its marks.
    Letter,
    /// Anything else but space.
    Sign,
}

/// A token of a [`TokenizedText`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    /// Whether nothing stands between it and the token before it.
    pub(super) is_glued: bool,
    bytes: Range<usize>,
    chars: Range<usize>,
}

/// A text, folded and divided.
#[derive(Debug, Default)]
pub(super) struct TokenizedText {
    pub(super) tokens: Vec<Token>,
    /// The characters of all tokens.
    text: String,
    /// For each of these characters the code points of the original that it stands for.
    spans: Vec<Range<u32>>,
}

/// Groups of digits that may be one number.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct JoinedNumber {
    pub(super) digits: String,
    /// The first and the last of the tokens.
    pub(super) tokens: (usize, usize),
}

impl TokenizedText {
    pub(super) fn new(original: &str) -> Self {
        let mut tokenized = Self::default();
        let mut is_glued = false;
        for folded in folded(original) {
            let last = tokenized.tokens.last().map(|token| token.kind).filter(|_| is_glued);
            let c = folded.c;
            let (kind, extends) = if is_combining_mark(c) {
                match last {
                    Some(kind @ (TokenKind::Word | TokenKind::Letter)) => (kind, true),
                    _ => continue,
                }
            } else if c.is_whitespace() || c.is_control() {
                is_glued = false;
                continue;
            } else if c.is_ascii_digit() {
                (TokenKind::Number, last == Some(TokenKind::Number))
            } else if !c.is_alphanumeric() {
                (TokenKind::Sign, false)
            } else if is_unspaced(c) {
                (TokenKind::Letter, false)
            } else {
                (TokenKind::Word, last == Some(TokenKind::Word))
            };
            tokenized.push(kind, extends, is_glued, c, folded.start..folded.end);
            is_glued = true;
        }
        tokenized
    }

    fn push(&mut self, kind: TokenKind, extends: bool, is_glued: bool, c: char, span: Range<u32>) {
        if !extends {
            let (byte, char) = (self.text.len(), self.spans.len());
            self.tokens.push(Token { kind, is_glued, bytes: byte..byte, chars: char..char });
        }
        self.text.push(c);
        self.spans.push(span);
        if let Some(token) = self.tokens.last_mut() {
            (token.bytes.end, token.chars.end) = (self.text.len(), self.spans.len());
        }
    }

    /// The folded text of a token.
    pub(super) fn text_of(&self, token: &Token) -> &str {
        &self.text[token.bytes.clone()]
    }

    /// The folded texts of all tokens.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.tokens.iter().map(|token| self.text_of(token))
    }

    /// Whether there is anything but signs.
    pub(super) fn has_words(&self) -> bool {
        self.tokens.iter().any(|token| token.kind != TokenKind::Sign)
    }

    /// The code points of the original from which the token `at` was folded, or only those of the characters
    /// `within` it.
    pub(super) fn original(&self, at: usize, within: Option<Range<usize>>) -> Range<u32> {
        let chars = &self.tokens[at].chars;
        let wanted =
            within.map_or(chars.clone(), |within| chars.start + within.start..chars.start + within.end);
        let spans = &self.spans[wanted];
        spans.first().map_or(0, |first| first.start)..spans.last().map_or(0, |last| last.end)
    }

    /// The numbers that consist of several groups of digits.
    pub(super) fn joined_numbers(&self) -> Vec<JoinedNumber> {
        let mut joined = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            let number = self.joined_number(at);
            at = number.tokens.1 + 1;
            let is_joined = number.tokens.0 < number.tokens.1;
            if is_joined && (JOINED_DIGITS_MIN..=JOINED_DIGITS_MAX).contains(&number.digits.len()) {
                joined.push(number);
            }
        }
        joined
    }

    /// The longest number that begins with the token `first`; without digits if that is no number.
    fn joined_number(&self, first: usize) -> JoinedNumber {
        let mut number = JoinedNumber { digits: String::new(), tokens: (first, first) };
        let mut signs = 0;
        for (at, token) in self.tokens.iter().enumerate().skip(first) {
            match token.kind {
                TokenKind::Number => {
                    number.digits.push_str(self.text_of(token));
                    (number.tokens.1, signs) = (at, 0);
                }
                TokenKind::Sign
                    if at > first
                        && signs < SIGNS_BETWEEN_GROUPS_MAX
                        && self.text_of(token).chars().all(divides_number) =>
                {
                    signs += 1;
                }
                _ => break,
            }
        }
        number
    }
}

/// Whether `c` may stand between the groups of one number.
fn divides_number(c: char) -> bool {
    matches!(c, '-' | '\u{2010}'..='\u{2015}' | '.' | '/' | '(' | ')' | '+' | '·')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<String> {
        TokenizedText::new(text).texts().map(str::to_owned).collect()
    }

    #[test]
    fn a_text_is_divided_into_words_numbers_letters_and_signs() {
        for (text, expected) in [
            ("The café", &["the", "cafe"][..]),
            ("can’t", &["can", "’", "t"]),
            ("水管漏", &["水", "管", "漏"]),
            ("A栋101室", &["a", "栋", "101", "室"]),
            ("a101 A-101", &["a", "101", "a", "-", "101"]),
            ("รั่ว", &["รั่", "ว"]),
            ("👍🏽 ...", &["👍", "🏽", ".", ".", "."]),
            (" \u{301} ", &[]),
        ] {
            assert_eq!(tokens(text), expected, "{text}");
        }
        let glued: Vec<bool> = TokenizedText::new("a1 b").tokens.iter().map(|token| token.is_glued).collect();
        assert_eq!(glued, [false, true, false]);
    }

    #[test]
    fn groups_of_digits_are_joined() {
        let joined = |text: &str| {
            TokenizedText::new(text).joined_numbers().into_iter().map(|n| n.digits).collect::<Vec<_>>()
        };
        assert_eq!(joined("call +49 (0)170-123 45 67, or 0151 7654321"), ["4901701234567", "01517654321"]);
        for text in ["01701234567", "a-101, 12-34", "2026:1234567", &"1234567 ".repeat(9)] {
            assert_eq!(joined(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn a_token_and_its_parts_know_their_place() {
        let text = TokenizedText::new("Das Cafe\u{301} 水管");
        assert_eq!(text.original(1, None), 4..9);
        assert_eq!(text.original(1, Some(2..4)), 6..9);
        assert_eq!(text.original(3, None), 11..12);
    }
}
