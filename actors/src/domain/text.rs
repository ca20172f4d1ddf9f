//! Which texts are accepted, and how they are cut.

/// The most Unicode code points in a message.
pub const CONTENT_CHARS_MAX: usize = 4_000;
/// The most in a message that a socket sends without a `client_id`: its client would not learn of a refusal.
pub const CONTENT_CHARS_KEPT: usize = 20_000;
/// The most Unicode code points in a draft, which need not be a message yet.
pub const DRAFT_CHARS_MAX: usize = 20_000;
/// The most Unicode code points in a room's name, a title or an attachment's name.
pub const NAME_CHARS_MAX: usize = 255;
/// The most in a room's description.
pub const DESCRIPTION_CHARS_MAX: usize = 1_000;
/// The code points of a preview or a quote.
pub const PREVIEW_CHARS: usize = 100;

/// Why a text isn't accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// It shows nothing.
    #[error("This field may not be blank.")]
    Blank,
    /// More code points than are allowed.
    #[error("Ensure this field has no more than {0} characters.")]
    TooLong(usize),
    /// The store can't hold NUL.
    #[error("Null characters are not allowed.")]
    Nul,
}

/// The first `chars` code points of `text`.
#[must_use]
pub fn prefix(text: &str, chars: usize) -> &str {
    text.char_indices().nth(chars).map_or(text, |(end, _)| &text[..end])
}

/// Trims and checks a message's text of at most `chars_max` code points.
///
/// # Errors
/// [`TextError::Blank`], and as [`optional`].
pub fn content(text: &str, chars_max: usize) -> Result<&str, TextError> {
    let text = optional(text, chars_max)?;
    if text.is_empty() { Err(TextError::Blank) } else { Ok(text) }
}

/// Trims and checks a text that may be missing; a blank one becomes empty.
///
/// # Errors
/// [`TextError::TooLong`] over `chars_max` code points, [`TextError::Nul`].
pub fn optional(text: &str, chars_max: usize) -> Result<&str, TextError> {
    let text = verbatim(text.trim(), chars_max)?;
    if text.chars().all(is_blank) { Ok("") } else { Ok(text) }
}

/// Checks a text that stays as it is.
///
/// # Errors
/// As [`optional`].
pub fn verbatim(text: &str, chars_max: usize) -> Result<&str, TextError> {
    if text.contains('\0') {
        return Err(TextError::Nul);
    }
    if text.chars().nth(chars_max).is_some() {
        return Err(TextError::TooLong(chars_max));
    }
    Ok(text)
}

/// Trims and checks a name that may be empty; one that merely looks empty is an error.
///
/// # Errors
/// As [`optional`], and [`TextError::Blank`].
pub fn name(text: &str, chars_max: usize) -> Result<&str, TextError> {
    match optional(text, chars_max)? {
        "" if !text.trim().is_empty() => Err(TextError::Blank),
        name => Ok(name),
    }
}

/// White space and characters that show nothing: a text of these alone is blank. Beside others they stay:
/// some join the parts of an emoji, or give a letter its form.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || c.is_control() || is_ignorable(c) || is_filler(c)
}

/// Unicode's `Default_Ignorable_Code_Point`: what a font without a glyph for it doesn't show.
fn is_ignorable(c: char) -> bool {
    matches!(c, '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
        | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFF8}'
        | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Characters with a width and no glyph: the empty Braille cell, annotation anchors, the musical null notehead,
/// the joiners and blanks of hieroglyphs and of shorthand.
fn is_filler(c: char) -> bool {
    matches!(c, '\u{2800}' | '\u{FFF9}'..='\u{FFFB}' | '\u{1D159}' | '\u{13430}'..='\u{13442}' | '\u{16FE4}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(text: &str) -> Result<&str, TextError> {
        super::content(text, CONTENT_CHARS_MAX)
    }

    #[test]
    fn trims_and_counts_code_points() {
        assert_eq!(content("  héllo \n"), Ok("héllo"));
        assert_eq!(content(&"😀".repeat(4_000)).map(|t| t.chars().count()), Ok(4_000));
        assert_eq!(content(&"a".repeat(4_001)), Err(TextError::TooLong(4_000)));
        assert_eq!(content(&format!("  {}  ", "a".repeat(4_000))).map(str::len), Ok(4_000));
    }

    #[test]
    fn what_shows_nothing_is_blank() {
        for blank in ["", " \t\n", "\u{200B}\u{FEFF}", " \u{2060} ", "\u{1}\u{7F}\u{85}"] {
            assert_eq!(content(blank), Err(TextError::Blank), "{blank:?}");
        }
        for blank in
            "\u{2800}\u{115F}\u{1160}\u{3164}\u{FFA0}\u{17B4}\u{180B}\u{180F}\u{2065}\u{FFF0}\u{FFFB}\
                      \u{1BCA0}\u{1D159}\u{1D173}\u{E0001}\u{E0041}\u{E0100}\u{E0FFF}\u{16FE4}\u{13441}"
                .chars()
        {
            assert_eq!(content(&blank.to_string().repeat(3)), Err(TextError::Blank), "{blank:?}");
            assert_eq!(optional(&format!(" {blank} "), 9), Ok(""), "{blank:?}");
            assert_eq!(name(&format!(" {blank} "), 9), Err(TextError::Blank), "{blank:?}");
        }
        for kept in [
            "\u{1F3F4}\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}",
            "\u{2764}\u{FE0F}",
            "a\u{2800}b",
            "한\u{115F}",
            "\u{FFFD}",
            "\u{FFFC}",
        ] {
            assert_eq!(content(kept), Ok(kept));
        }
        assert_eq!((name(" \n", 9), name(" a ", 9)), (Ok(""), Ok("a")));
        assert_eq!(content("\u{202E}abc"), Ok("\u{202E}abc"));
        assert_eq!(content("a\0b"), Err(TextError::Nul));
        assert_eq!((verbatim(" a\n", 3), verbatim("", 3)), (Ok(" a\n"), Ok("")));
        assert_eq!(
            (verbatim("abcd", 3), verbatim("\0", 3)),
            (Err(TextError::TooLong(3)), Err(TextError::Nul))
        );
    }

    #[test]
    fn a_prefix_never_cuts_a_character() {
        assert_eq!(prefix("äöü", 2), "äö");
        assert_eq!(prefix("ab", 100), "ab");
    }
}
