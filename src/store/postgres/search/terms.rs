//! What a text must contain to match a query.
//!
//! A query consists of terms: words, which may be in any order, and phrases in quotes. A term is a sequence of tokens
//! that follow each other. A word of three letters or more is found within longer words and by its stem, one of two at
//! the beginning of words, one of one letter only as a word.

use super::folding::is_unspaced;
use super::keys::{Key, start_of, trigrams};
use super::stems::{SearchLanguages, WordStems};
use super::tokens::{JOINED_DIGITS_MIN, Token, TokenKind, TokenizedText};

/// The length from which a word is found anywhere within longer words.
const PART_CHARS_MIN: usize = 3;
/// The last digits of a telephone number that are compared when it begins with the code of a country.
const NATIONAL_DIGITS: usize = 9;
/// The most keys by which one query selects blocks.
const KEYS_MAX: usize = 16;

/// A parsed query: a text matches if it contains all terms of one of the alternatives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SearchTerms {
    pub(super) alternatives: Vec<Vec<Term>>,
}

/// Slots that tokens of a text must fill one after another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) slots: Vec<Slot>,
}

/// The place of one token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) pattern: Pattern,
    /// Whether signs may stand between the token before and this one.
    pub(super) skips_signs: bool,
}

/// Which tokens fill a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    /// This one.
    Exact(String),
    /// Those that begin so.
    Start(String),
    /// Those that contain this, and those of its stems.
    Part(String, Option<WordStems>),
}

impl SearchTerms {
    /// Parses a query.
    pub(super) fn parse(text: &str, languages: &SearchLanguages) -> Self {
        let has_words = TokenizedText::new(text).has_words();
        let (mut terms, mut phone_terms, mut has_phone) = (Vec::new(), Vec::new(), false);
        let mut parts = text.split(is_double_quote).peekable();
        let mut is_phrase = false;
        while let Some(part) = parts.next() {
            // An unclosed quote is an ordinary sign.
            if is_phrase && parts.peek().is_some() {
                let phrase = phrase(part, has_words);
                phone_terms.extend(phrase.clone());
                terms.extend(phrase);
            } else {
                let plain = words(part, has_words, languages);
                match phone_number(part) {
                    Some((number, others)) => {
                        has_phone = true;
                        phone_terms.push(Term::of(Pattern::Part(number, None)));
                        phone_terms.extend(words(&others, has_words, languages));
                    }
                    None => phone_terms.extend(plain.clone()),
                }
                terms.extend(plain);
            }
            is_phrase = !is_phrase;
        }
        let mut alternatives = vec![deduplicated(terms)];
        if has_phone {
            alternatives.push(deduplicated(phone_terms));
        }
        alternatives.retain(|terms| !terms.is_empty());
        Self { alternatives }
    }

    /// Whether there is nothing to look for, so that every text matches.
    pub(super) fn is_empty(&self) -> bool {
        self.alternatives.is_empty()
    }

    /// Keys that every block with a match has.
    pub(super) fn keys(&self) -> Vec<i32> {
        let mut keys = self.alternatives.iter().map(|terms| {
            let mut keys = Vec::new();
            terms.iter().for_each(|term| term.push_keys(&mut keys));
            keys
        });
        let mut shared = keys.next().unwrap_or_default();
        keys.for_each(|others| shared.retain(|key| others.contains(key)));
        shared.sort_unstable();
        shared.dedup();
        // Of a long query any of them select few blocks.
        let step = shared.len().div_ceil(KEYS_MAX).max(1);
        shared.into_iter().step_by(step).collect()
    }
}

impl Term {
    fn of(pattern: Pattern) -> Self {
        Self { slots: vec![Slot { pattern, skips_signs: false }] }
    }

    fn push_keys(&self, keys: &mut Vec<i32>) {
        for (at, slot) in self.slots.iter().enumerate() {
            let text = match &slot.pattern {
                Pattern::Part(_, Some(stems)) => &stems.beginning,
                Pattern::Exact(text) | Pattern::Start(text) | Pattern::Part(text, None) => text,
            };
            let Some(first) = text.chars().next() else { continue };
            if !first.is_alphanumeric() {
                keys.push(Key::Sign(first).hash());
                continue;
            }
            if is_unspaced(first) {
                keys.push(Key::Letter(first).hash());
                let next = self.slots.get(at + 1).filter(|next| !next.skips_signs);
                let next = next.and_then(|next| next.pattern.text().chars().next());
                keys.extend(next.filter(|c| is_unspaced(*c)).map(|c| Key::Letters(first, c).hash()));
                continue;
            }
            trigrams(text, |trigram| keys.push(Key::Trigram(trigram).hash()));
            if !matches!(slot.pattern, Pattern::Part(..)) {
                keys.extend(start_of(text).map(|start| Key::Start(start).hash()));
            }
        }
    }
}

impl Pattern {
    /// What is looked for.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Exact(text) | Self::Start(text) | Self::Part(text, _) => text,
        }
    }
}

/// Terms without repetitions.
fn deduplicated(terms: Vec<Term>) -> Vec<Term> {
    let mut kept: Vec<Term> = Vec::new();
    for term in terms {
        if !kept.contains(&term) {
            kept.push(term);
        }
    }
    kept
}

/// A phrase: whole words side by side.
fn phrase(part: &str, has_words: bool) -> Option<Term> {
    let text = TokenizedText::new(part);
    let kept: Vec<usize> = (0..text.tokens.len())
        .filter(|at| !has_words || text.tokens[*at].kind != TokenKind::Sign || is_significant(&text, *at))
        .collect();
    let last = kept.last().copied();
    let slots = kept.iter().map(|at| {
        let token = &text.tokens[*at];
        let word = text.text_of(token).to_owned();
        // Marks may follow the last letter.
        let is_open = token.kind == TokenKind::Letter && Some(*at) == last;
        let pattern = if is_open { Pattern::Start(word) } else { Pattern::Exact(word) };
        Slot { pattern, skips_signs: skips_signs(&text, &kept, *at) }
    });
    let slots: Vec<Slot> = slots.collect();
    (!slots.is_empty()).then_some(Term { slots })
}

/// The words of a part without quotes, each a term.
fn words(part: &str, has_words: bool, languages: &SearchLanguages) -> Vec<Term> {
    part.split_whitespace().filter_map(|word| term(word, has_words, languages)).collect()
}

/// A word, or several that signs join. A word of signs alone counts if the query has nothing else.
fn term(word: &str, has_words: bool, languages: &SearchLanguages) -> Option<Term> {
    let text = TokenizedText::new(word);
    if has_words && !text.has_words() {
        return None;
    }
    let kept: Vec<usize> = (0..text.tokens.len())
        .filter(|at| !has_words || text.tokens[*at].kind != TokenKind::Sign || is_significant(&text, *at))
        .collect();
    let pattern = |number: usize, at: usize| -> Pattern {
        let token = &text.tokens[at];
        let word = text.text_of(token).to_owned();
        let chars = word.chars().count();
        match token.kind {
            _ if number + 1 < kept.len() => Pattern::Exact(word),
            TokenKind::Sign => Pattern::Exact(word),
            TokenKind::Letter => Pattern::Start(word),
            TokenKind::Number if number == 0 && chars >= JOINED_DIGITS_MIN => {
                Pattern::Part(phone_digits(&word, is_international(&text, at)), None)
            }
            TokenKind::Word | TokenKind::Number if number == 0 => match chars {
                1 => Pattern::Exact(word),
                2 => Pattern::Start(word),
                _ => {
                    let stems = Some(token.kind).filter(|kind| *kind == TokenKind::Word);
                    let stems = stems.and_then(|_| languages.stems_of(&word));
                    Pattern::Part(word, stems)
                }
            },
            // A user may be about to type the rest of what follows a sign. Few letters may begin too many words,
            // as in "can't", unless they follow a single one, as in "O'R" and "A-1".
            TokenKind::Word | TokenKind::Number => {
                let before = text.text_of(&text.tokens[kept[number - 1]]).chars().count();
                if !is_after_sign(&text, at) || chars >= PART_CHARS_MIN || before == 1 {
                    Pattern::Start(word)
                } else {
                    Pattern::Exact(word)
                }
            }
        }
    };
    let slots: Vec<Slot> = kept
        .iter()
        .enumerate()
        .map(|(number, at)| Slot {
            pattern: pattern(number, *at),
            skips_signs: skips_signs(&text, &kept, *at),
        })
        .collect();
    (!slots.is_empty()).then_some(Term { slots })
}

/// Whether the token `at` stands directly after a sign.
fn is_after_sign(text: &TokenizedText, at: usize) -> bool {
    at > 0 && text.tokens[at].is_glued && text.tokens[at - 1].kind == TokenKind::Sign
}

/// Whether signs may stand between the token `at` and the one before it among those that are `kept`: not where one
/// of the two is a sign, nor within a word of a script without spaces.
fn skips_signs(text: &TokenizedText, kept: &[usize], at: usize) -> bool {
    let Some(before) = kept.iter().rev().find(|before| **before < at) else { return false };
    let (before, token): (&Token, &Token) = (&text.tokens[*before], &text.tokens[at]);
    let is_sign = token.kind == TokenKind::Sign || before.kind == TokenKind::Sign;
    let are_letters = token.kind == TokenKind::Letter && before.kind == TokenKind::Letter;
    !(is_sign || (are_letters && token.is_glued))
}

/// Whether the sign `at` is part of the word it is attached to, such as a unit. Other signs only separate words.
fn is_significant(text: &TokenizedText, at: usize) -> bool {
    let follows_word = at > 0 && text.tokens[at].is_glued && text.tokens[at - 1].kind == TokenKind::Word;
    let next = text.tokens.get(at + 1).filter(|next| next.is_glued).map(|next| next.kind);
    let follows_plus = at > 0 && text.text_of(&text.tokens[at - 1]) == "+";
    text.text_of(&text.tokens[at]).chars().all(|c| match c {
        // The plus of a telephone number is not.
        '+' => next != Some(TokenKind::Number) || follows_word || follows_plus,
        '%' | '_' | '\\' | '°' | '‰' | '$' | '¢' | '£' | '¥' | '\u{20A0}'..='\u{20CF}' => true,
        // As in "C#".
        '#' => follows_word && matches!(next, None | Some(TokenKind::Sign)),
        _ => false,
    })
}

fn is_double_quote(c: char) -> bool {
    matches!(c, '"' | '“' | '”' | '„' | '‟' | '«' | '»' | '＂' | '〝' | '〞' | '〟')
}

/// The digits of a telephone number in groups, and the rest of `part`.
fn phone_number(part: &str) -> Option<(String, String)> {
    let text = TokenizedText::new(part);
    let number = text.joined_numbers().into_iter().next()?;
    let (first, last) = number.tokens;
    let digits = phone_digits(&number.digits, is_international(&text, first));
    let (from, to) = (text.original(first, None).start as usize, text.original(last, None).end as usize);
    let others: String = part.chars().take(from).chain([' ']).chain(part.chars().skip(to)).collect();
    Some((digits, others))
}

/// Whether the number that begins with the token `at` begins with the code of a country.
fn is_international(text: &TokenizedText, at: usize) -> bool {
    let is_plus = at > 0 && text.text_of(&text.tokens[at - 1]) == "+";
    is_plus || text.text_of(&text.tokens[at]).starts_with("00")
}

/// The digits of a telephone number that are the same however it is written.
fn phone_digits(digits: &str, is_international: bool) -> String {
    let national = digits.trim_start_matches('0');
    match national.len().checked_sub(NATIONAL_DIGITS) {
        Some(country) if is_international => national[country..].to_owned(),
        _ if national.len() < PART_CHARS_MIN => digits.to_owned(),
        _ => national.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(text: &str) -> Vec<Vec<String>> {
        let terms = SearchTerms::parse(text, &SearchLanguages::parse(&[]).expect("none"));
        let pattern = |slot: &Slot| {
            let gap = if slot.skips_signs { "~" } else { "" };
            match &slot.pattern {
                Pattern::Exact(text) => format!("{gap}{text}"),
                Pattern::Start(text) => format!("{gap}{text}*"),
                Pattern::Part(text, _) => format!("{gap}*{text}*"),
            }
        };
        let term = |term: &Term| term.slots.iter().map(pattern).collect::<Vec<_>>().join(" ");
        terms.alternatives.iter().map(|terms| terms.iter().map(term).collect()).collect()
    }

    #[test]
    fn words_are_found_by_their_length() {
        assert_eq!(patterns("Boiler ok a 101 10 1"), [["*boiler*", "ok*", "a", "*101*", "10*", "1"]]);
        assert_eq!(patterns("tap TAP"), [["*tap*"]]);
        assert_eq!(patterns("水 水管"), [["水*", "水 管*"]]);
        assert!(patterns(" ").is_empty());
    }

    #[test]
    fn signs_join_words_and_quotes_hold_them_together() {
        for (text, expected) in [
            ("can't", "can ~t"),
            ("O'R", "o ~r*"),
            ("O'Rour", "o ~rour*"),
            ("a-101", "a ~101*"),
            ("a101", "a ~101*"),
            ("ab1", "ab ~1*"),
            ("栋101", "栋 ~101*"),
            ("boiler!", "*boiler*"),
            ("“hot water”", "hot ~water"),
            ("\"水管\"", "水 管*"),
            ("-50%,", "50 %"),
            ("x_y?", "x _ y*"),
            ("C#", "c #"),
            ("(C++)", "c + +"),
            ("5€", "5 €"),
            ("#1", "1"),
            ("👍", "👍"),
            ("&|!", "& | !"),
        ] {
            assert_eq!(patterns(text), [[expected]], "{text}");
        }
        assert_eq!(patterns("heating & cooling"), [["*heating*", "*cooling*"]]);
        assert_eq!(patterns("\"hot water"), [["*hot*", "*water*"]]);
    }

    #[test]
    fn telephone_numbers_are_compared_by_their_last_digits() {
        let spaced = [vec!["*0170*", "*1234567*"], vec!["*1701234567*"]];
        assert_eq!(patterns("0170 1234567"), spaced);
        assert_eq!(patterns("+49-170-1234567 now")[1], ["*701234567*", "*now*"]);
        for (one, digits) in [
            ("+491701234567", "701234567"),
            ("00491701234567", "701234567"),
            ("(01701234567)", "1701234567"),
            ("1701234567", "1701234567"),
        ] {
            assert_eq!(patterns(one), [[format!("*{digits}*")]], "{one}");
        }
    }

    #[test]
    fn all_alternatives_share_the_keys() {
        let keys = |text: &str| SearchTerms::parse(text, &SearchLanguages::default()).keys();
        let of = |keys: &[Key<'_>]| {
            let mut keys: Vec<i32> = keys.iter().map(|key| key.hash()).collect();
            keys.sort_unstable();
            keys
        };
        assert_eq!(keys("tap"), of(&[Key::Trigram("tap")]));
        assert_eq!(keys("leaking"), of(&[Key::Trigram("lea"), Key::Trigram("eak")]));
        assert_eq!(keys("ok a"), of(&[Key::Start("ok")]));
        assert_eq!(keys("水管"), of(&[Key::Letter('水'), Key::Letter('管'), Key::Letters('水', '管')]));
        assert_eq!(keys("5€"), of(&[Key::Sign('€')]));
        assert!(keys("x".repeat(400).as_str()).len() == 1 && keys("1 2").is_empty());
    }
}
