//! Makes texts alike for searching: without case, marks and ways of writing that people don't look for.
//!
//! A folded text is its words, each between two spaces. Scripts that put no spaces between words have no
//! words to tell apart: there each letter goes with the next one, so "水管漏" is " 水管 管漏 漏 ", and every
//! part of it is found by letters that stand next to each other. What is searched for becomes needles, plain
//! strings that a folded text must hold.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// A word of at least so many letters is found as a part of a longer one, a shorter one where a word begins.
const PART_CHARS_MIN: usize = 3;

/// What a text is searched for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Each must be in the folded text; the longest first.
    pub(super) needles: Vec<String>,
    /// Each must be in the text as it was written, but for its case.
    pub(super) literals: Vec<String>,
}

/// Letters and digits with no sign or space between them.
#[derive(Debug)]
enum Piece {
    /// Of a script with spaces between words.
    Word(String),
    /// Of a script without; each letter with its marks.
    Run(Vec<String>),
}

/// The form of `text` that is searched; a single space where there is nothing to find.
pub(super) fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len() + 2);
    folded.push(' ');
    for piece in pieces(text) {
        match piece {
            Piece::Word(word) => {
                folded.push_str(&word);
                folded.push(' ');
            }
            Piece::Run(letters) => {
                push_pairs(&mut folded, &letters);
                folded.push_str(letters.last().map_or("", String::as_str));
                folded.push(' ');
            }
        }
    }
    folded
}

/// Whether `folded` is that of a text without letters and digits.
pub(super) fn is_nothing(folded: &str) -> bool {
    folded == " "
}

/// Whether `c` is of a script in which a single sign is worth a search.
pub(crate) fn is_cjk(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{11FF}' | '\u{2E80}'..='\u{2FDF}' | '\u{3005}'..='\u{3007}'
        | '\u{3021}'..='\u{3029}' | '\u{3031}'..='\u{3035}' | '\u{3038}'..='\u{303C}'
        | '\u{3041}'..='\u{318F}' | '\u{31A0}'..='\u{31BF}' | '\u{31F0}'..='\u{31FF}'
        | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{A4CF}' | '\u{A960}'..='\u{A97F}'
        | '\u{AC00}'..='\u{D7FF}' | '\u{F900}'..='\u{FAFF}' | '\u{FF66}'..='\u{FFDC}'
        | '\u{1AFF0}'..='\u{1B2FF}' | '\u{20000}'..='\u{3FFFD}')
}

/// Whether `c` is of a script that puts no spaces between words.
fn is_unspaced(c: char) -> bool {
    is_cjk(c) || matches!(c, '\u{0E00}'..='\u{0EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}')
}

impl Wanted {
    /// Reads what someone has typed: terms that may stand anywhere, and phrases in quotes.
    pub(super) fn read(text: &str) -> Self {
        let mut wanted = Self::default();
        let mut parts = text.split(is_double_quote).peekable();
        let mut is_phrase = false;
        while let Some(part) = parts.next() {
            // A quote that nothing closes is a sign like others.
            if is_phrase && parts.peek().is_some() {
                wanted.needles.extend(needle(&pieces(part), true));
            } else {
                part.split_whitespace().for_each(|term| wanted.term(term));
            }
            is_phrase = !is_phrase;
        }
        if wanted.needles.is_empty() && wanted.literals.is_empty() {
            // Nothing but signs: these are what is looked for.
            wanted.literals = text.split_whitespace().map(str::to_owned).collect();
        }
        wanted.needles.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        wanted.needles.dedup();
        wanted
    }

    /// Whether a folded text holds all needles.
    pub(super) fn is_in(&self, folded: &str) -> bool {
        self.needles.iter().all(|needle| folded.contains(needle.as_str()))
    }

    fn term(&mut self, term: &str) {
        let needle = needle(&pieces(term), false);
        let bare = term.trim_matches(|c: char| !c.is_alphanumeric() && !is_meant(c));
        if needle.is_some() && bare.contains(is_meant) {
            self.literals.push(bare.to_owned());
        }
        self.needles.extend(needle);
    }
}

/// Signs that belong to what they stand at, such as the units of a number. Others only part words.
fn is_meant(c: char) -> bool {
    matches!(c, '%' | '_' | '\\' | '+' | '°' | '‰' | '$' | '¢' | '£' | '¥' | '\u{20A0}'..='\u{20CF}')
}

fn is_double_quote(c: char) -> bool {
    matches!(c, '"' | '“' | '”' | '„' | '‟' | '«' | '»' | '＂' | '〝' | '〞' | '〟')
}

/// What a folded text must hold for these pieces, one right after the other; whole words in a phrase.
fn needle(pieces: &[Piece], is_phrase: bool) -> Option<String> {
    let is_one = pieces.len() == 1;
    let is_short = |word: &str| word.chars().count() < PART_CHARS_MIN;
    let mut needle = String::new();
    match pieces.first()? {
        Piece::Word(word) if is_one && !is_phrase && !is_short(word) => {}
        _ => needle.push(' '),
    }
    for (at, piece) in pieces.iter().enumerate() {
        let is_last = at + 1 == pieces.len();
        match piece {
            Piece::Word(word) => {
                needle.push_str(word);
                // Of two letters a word may begin; one letter, and what follows a sign, stands alone.
                let is_whole = is_phrase || is_short(word) && (!is_one || word.chars().count() == 1);
                if !is_last || is_whole {
                    needle.push(' ');
                }
            }
            Piece::Run(letters) => {
                let last = letters.last().map_or("", String::as_str);
                push_pairs(&mut needle, letters);
                if !is_last {
                    needle.push_str(last);
                    needle.push(' ');
                } else if letters.len() > 1 {
                    // The last pair may go on with marks.
                    needle.pop();
                } else {
                    needle.push_str(last);
                }
            }
        }
    }
    Some(needle)
}

fn push_pairs(out: &mut String, letters: &[String]) {
    for pair in letters.windows(2) {
        out.extend([pair[0].as_str(), pair[1].as_str(), " "]);
    }
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut is_parted = true;
    for c in letters(text) {
        if is_combining_mark(c) {
            match pieces.last_mut().filter(|_| !is_parted) {
                Some(Piece::Word(word)) => word.push(c),
                Some(Piece::Run(letters)) => letters.last_mut().into_iter().for_each(|last| last.push(c)),
                None => {}
            }
            continue;
        }
        if !c.is_alphanumeric() {
            is_parted = true;
            continue;
        }
        match pieces.last_mut().filter(|_| !is_parted) {
            Some(Piece::Run(letters)) if is_unspaced(c) => letters.push(c.into()),
            Some(Piece::Word(word)) if !is_unspaced(c) => word.push(c),
            _ if is_unspaced(c) => pieces.push(Piece::Run(vec![c.into()])),
            _ => pieces.push(Piece::Word(c.into())),
        }
        is_parted = false;
    }
    pieces
}

/// The letters of `text` in lower case, without marks that people leave out and forms that look alike.
fn letters(text: &str) -> impl Iterator<Item = char> {
    let plain = text.nfkd().filter(|c| !is_left_out(*c)).flat_map(char::to_lowercase);
    let spelt = plain.flat_map(|c| {
        let letters = plain_letters(c);
        letters.chars().chain(letters.is_empty().then_some(c))
    });
    spelt.nfc()
}

/// Marks over and under letters, vowel points, and what has no width. Marks that make another letter of
/// one, as in Indic scripts, Thai and kana, stay.
fn is_left_out(c: char) -> bool {
    matches!(c, '\u{0300}'..='\u{036F}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}'
        | '\u{20D0}'..='\u{20FF}' | '\u{FE20}'..='\u{FE2F}'
        | '\u{0591}'..='\u{05BD}' | '\u{05BF}' | '\u{05C1}'..='\u{05C2}' | '\u{05C4}'..='\u{05C5}' | '\u{05C7}'
        | '\u{0640}' | '\u{064B}'..='\u{065F}' | '\u{0670}'
        | '\u{00AD}' | '\u{061C}' | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{E0000}'..='\u{E0FFF}')
}

/// What is written for a letter that has no decomposition, by those whose keyboard hasn't got it.
fn plain_letters(c: char) -> &'static str {
    match c {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'đ' | 'ð' => "d",
        'ł' => "l",
        'ħ' => "h",
        'ŧ' => "t",
        'þ' => "th",
        'ı' => "i",
        'ς' => "σ",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(wanted: &str, text: &str) -> bool {
        Wanted::read(wanted).is_in(&folded(text))
    }

    #[test]
    fn folded_texts_are_words_between_spaces() {
        for (text, expected) in [
            ("The café, CLOSED!", " the cafe closed "),
            ("can’t", " can t "),
            ("水管漏", " 水管 管漏 漏 "),
            ("A栋101室", " a 栋 101 室 "),
            ("Đường Łódź straße", " duong lodz strasse "),
            ("boi\u{AD}ler\u{200B}", " boiler "),
            ("ｶﾞｽ ｗｉｆｉ", " ガス ス wifi "),
            ("👍 ...", " "),
            ("", " "),
        ] {
            assert_eq!(folded(text), expected, "{text}");
        }
        assert!(is_nothing(&folded("👍")) && !is_nothing(&folded("1")));
    }

    #[test]
    fn composed_or_not_is_the_same() {
        for text in
            ["nước nóng", "Máy giặt rò rỉ", "Übergabe", "がぎぐ", "한국어", "น้ำรั่ว", "कमरे की चाबी", "й ё"]
        {
            let (composed, apart): (String, String) = (text.nfc().collect(), text.nfd().collect());
            assert_eq!(folded(&composed), folded(&apart), "{text}");
            assert!(finds(&apart, &composed) && finds(&composed, &apart), "{text}");
        }
    }

    #[test]
    fn parts_of_words_are_found_in_any_order_and_all_must_be_there() {
        for (wanted, text, is_found) in [
            ("水管漏", "厨房水管漏水了", true),
            ("厨房 漏水", "厨房水管漏水了", true),
            ("漏水 厨房", "厨房水管漏水了", true),
            ("水", "厨房水管漏水了", true),
            ("了", "厨房水管漏水了", true),
            ("漏管", "厨房水管漏水了", false),
            ("厨管", "厨房水管漏水了", false),
            ("栋101", "在A栋101室", true),
            ("물", "온수물", true),
            ("ครัว รั่ว", "ก๊อกน้ำในห้องครัวรั่วมาก", true),
            ("abfluss leer", "Der Küchenabflussrohrreiniger ist leer", true),
            ("kuche", "Küchenabfluss", true),
            ("dishw counter", "dishwasher under countertop", true),
            ("dishw 厨房", "dishwasher", false),
            ("ok", "okay then", true),
            ("ok", "a book", false),
            ("a 101", "Keys for A-101", true),
            ("a 101", "an apartment 101", false),
        ] {
            assert_eq!(finds(wanted, text), is_found, "{wanted} in {text}");
        }
    }

    #[test]
    fn signs_part_words_and_quotes_hold_them_together() {
        for (wanted, text, is_found) in [
            ("can't", "I can’t open", true),
            ("owner’s", "the owner's code", true),
            ("owner's", "owners", false),
            ("can't", "pecan trees", false),
            ("a-101", "Keys for A-101", true),
            ("a-101", "beta 101", false),
            ("heating cooling", "heating/cooling", true),
            ("boiler:", "the boiler (upstairs)", true),
            ("(boiler)", "a boiler", true),
            ("“hot water”", "the hot water heater", true),
            ("\"hot water\"", "hot or cold water", false),
            ("\"hot wat\"", "hot water", false),
            ("\"hot water", "water, hot", true),
            ("heating & cooling", "heating/cooling", true),
        ] {
            assert_eq!(finds(wanted, text), is_found, "{wanted} in {text}");
        }
    }

    #[test]
    fn units_are_meant_and_signs_alone_too() {
        let literals = |text: &str| Wanted::read(text).literals;
        assert_eq!(literals("-50%, of x_y? (5€)"), ["50%", "x_y", "5€"]);
        assert_eq!(literals("boiler! -other a/b #1"), [""; 0]);
        assert_eq!(literals("%% &|!():*"), ["%%", "&|!():*"]);
        assert_eq!(Wanted::read("%%").needles, [""; 0]);
        assert_eq!(literals("👍"), ["👍"]);
    }

    #[test]
    fn the_longest_needles_come_first_and_each_once() {
        assert_eq!(Wanted::read("tap kitchen TAP").needles, ["kitchen", "tap"]);
    }
}
