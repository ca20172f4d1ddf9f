//! Folds texts for searching: removes case, diacritics and variants that searches should ignore.
//!
//! Each folded character knows which part of the original text it stands for, so that matches can be shown there.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::{decompose_compatible, is_combining_mark};

/// A character of a folded text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FoldedChar {
    pub(super) c: char,
    /// The code points of the original text that it stands for, from this one ...
    pub(super) start: u32,
    /// ... up to this one, which isn't part of it.
    pub(super) end: u32,
}

/// Folds `text`.
///
/// Letters are folded together with the marks that follow them, because these may form one letter.
pub(super) fn folded(text: &str) -> Vec<FoldedChar> {
    let mut chars = Vec::with_capacity(text.len());
    let (mut cluster, mut start) = (String::new(), 0);
    for (at, c) in (0..).zip(text.chars()) {
        if !cluster.is_empty() && !continues_cluster(c) {
            push_cluster(&mut chars, &cluster, start, at);
            cluster.clear();
        }
        if cluster.is_empty() {
            start = at;
        }
        cluster.push(c);
    }
    if !cluster.is_empty() {
        let end = text.chars().count().try_into().unwrap_or(u32::MAX);
        push_cluster(&mut chars, &cluster, start, end);
    }
    chars
}

/// Whether `c` belongs to a script in which a single character makes a useful query.
pub(crate) fn is_cjk(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{11FF}' | '\u{2E80}'..='\u{2FDF}' | '\u{3005}'..='\u{3007}'
        | '\u{3021}'..='\u{3029}' | '\u{3031}'..='\u{3035}' | '\u{3038}'..='\u{303C}'
        | '\u{3041}'..='\u{318F}' | '\u{31A0}'..='\u{31BF}' | '\u{31F0}'..='\u{31FF}'
        | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{A4CF}' | '\u{A960}'..='\u{A97F}'
        | '\u{AC00}'..='\u{D7FF}' | '\u{F900}'..='\u{FAFF}' | '\u{FF66}'..='\u{FFDC}'
        | '\u{1AFF0}'..='\u{1B2FF}' | '\u{20000}'..='\u{3FFFD}')
}

/// Whether `c` belongs to a script without spaces between words.
pub(super) fn is_unspaced(c: char) -> bool {
    is_cjk(c) || matches!(c, '\u{0E00}'..='\u{0EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}')
}

/// Whether `c` forms one letter with what precedes it: a mark, the second or third part of a Korean syllable, or
/// something without width.
fn continues_cluster(c: char) -> bool {
    if c.is_ascii() {
        return false;
    }
    let mut first = None;
    decompose_compatible(c, |part| first = first.or(Some(part)));
    let first = first.unwrap_or(c);
    is_ignored(c) || is_combining_mark(first) || matches!(first, '\u{1160}'..='\u{11FF}')
}

fn push_cluster(chars: &mut Vec<FoldedChar>, cluster: &str, start: u32, end: u32) {
    let mut push = |c: char| chars.push(FoldedChar { c, start, end });
    match cluster.as_bytes() {
        [byte] => push(char::from(byte.to_ascii_lowercase())),
        _ => letters(cluster).for_each(push),
    }
}

/// The letters of `text` in lower case, without ignored marks and in one form for look-alikes.
fn letters(text: &str) -> impl Iterator<Item = char> {
    let plain = text.nfkd().filter(|c| !is_ignored(*c)).flat_map(char::to_lowercase);
    let spelt = plain.flat_map(|c| {
        let letters = base_letters(c);
        letters.chars().chain(letters.is_empty().then_some(ascii_digit(c)))
    });
    spelt.nfc()
}

/// Whether `c` is a diacritic, a vowel point or has no width. Marks that make a different letter, as in Indic
/// scripts, Thai and kana, are kept.
fn is_ignored(c: char) -> bool {
    matches!(c, '\u{0300}'..='\u{036F}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}'
        | '\u{20D0}'..='\u{20FF}' | '\u{FE20}'..='\u{FE2F}'
        | '\u{0591}'..='\u{05BD}' | '\u{05BF}' | '\u{05C1}'..='\u{05C2}' | '\u{05C4}'..='\u{05C5}' | '\u{05C7}'
        | '\u{0640}' | '\u{064B}'..='\u{065F}' | '\u{0670}'
        | '\u{00AD}' | '\u{061C}' | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{E0000}'..='\u{E0FFF}')
}

/// The usual replacement of a letter that has no decomposition, on keyboards that lack it.
fn base_letters(c: char) -> &'static str {
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

/// A digit of Arabic, Persian or Devanagari as one of ASCII; anything else unchanged.
fn ascii_digit(c: char) -> char {
    let zero = match c {
        '\u{0660}'..='\u{0669}' => '\u{0660}',
        '\u{06F0}'..='\u{06F9}' => '\u{06F0}',
        '\u{0966}'..='\u{096F}' => '\u{0966}',
        _ => return c,
    };
    char::from_digit(u32::from(c) - u32::from(zero), 10).unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> String {
        folded(text).into_iter().map(|folded| folded.c).collect()
    }

    #[test]
    fn case_marks_and_variants_are_removed() {
        for (original, expected) in [
            ("The café, CLOSED!", "the cafe, closed!"),
            ("Đường Łódź straße", "duong lodz strasse"),
            ("boi\u{AD}ler\u{200B}", "boiler"),
            ("ｶﾞｽ ｗｉｆｉ", "ガス wifi"),
            ("ﬁre ½", "fire 1\u{2044}2"),
            ("٣ ۴ ५", "3 4 5"),
            ("", ""),
        ] {
            assert_eq!(text(original), expected, "{original}");
        }
    }

    #[test]
    fn composed_or_not_is_the_same() {
        for original in
            ["nước nóng", "Máy giặt rò rỉ", "Übergabe", "がぎぐ", "한국어", "น้ำรั่ว", "कमरे की चाबी", "й ё"]
        {
            let (composed, apart): (String, String) = (original.nfc().collect(), original.nfd().collect());
            assert_eq!(text(&composed), text(&apart), "{original}");
        }
    }

    #[test]
    fn a_folded_character_stands_for_all_code_points_that_formed_it() {
        let spans = |text: &str| folded(text).into_iter().map(|f| (f.c, f.start, f.end)).collect::<Vec<_>>();
        assert_eq!(spans("e\u{301}!"), [('e', 0, 2), ('!', 2, 3)]);
        assert_eq!(spans("aß"), [('a', 0, 1), ('s', 1, 2), ('s', 1, 2)]);
        assert_eq!(spans("\u{1112}\u{1161}\u{11ab}x"), [('한', 0, 3), ('x', 3, 4)]);
        assert_eq!(spans("👍a"), [('👍', 0, 1), ('a', 1, 2)]);
    }
}
