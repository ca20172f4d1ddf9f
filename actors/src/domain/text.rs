//! What may stand in a text, and how it is cut.

/// The most Unicode code points of one message.
pub const CONTENT_CHARS_MAX: usize = 4_000;
/// The most Unicode code points of a room's name, a title, and an attachment's name.
pub const NAME_CHARS_MAX: usize = 255;
/// How much of a text stands in a preview or a quote, in code points.
pub const PREVIEW_CHARS: usize = 100;

/// Why a text isn't taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing to see is left of it.
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

/// Trims a message's text and checks it; blank is an error.
///
/// # Errors
/// [`TextError`] says what is wrong with it.
pub fn content(text: &str) -> Result<&str, TextError> {
    let text = optional(text, CONTENT_CHARS_MAX)?;
    if text.is_empty() { Err(TextError::Blank) } else { Ok(text) }
}

/// Trims a text that may be missing; what is blank becomes empty.
///
/// # Errors
/// [`TextError::TooLong`] over `chars_max` code points, [`TextError::Nul`].
pub fn optional(text: &str, chars_max: usize) -> Result<&str, TextError> {
    let text = text.trim();
    if text.contains('\0') {
        return Err(TextError::Nul);
    }
    if text.chars().nth(chars_max).is_some() {
        return Err(TextError::TooLong(chars_max));
    }
    if text.chars().all(is_blank) { Ok("") } else { Ok(text) }
}

/// White space and what has no width: a text of these alone shows nothing.
fn is_blank(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{206F}' | '\u{FEFF}' | '\u{00AD}' | '\u{180E}' | '\u{034F}' | '\u{061C}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trims_and_counts_code_points() {
        assert_eq!(content("  héllo \n"), Ok("héllo"));
        assert_eq!(content(&"😀".repeat(4_000)).map(|t| t.chars().count()), Ok(4_000));
        assert_eq!(content(&"a".repeat(4_001)), Err(TextError::TooLong(4_000)));
        assert_eq!(content(&format!("  {}  ", "a".repeat(4_000))).map(str::len), Ok(4_000));
    }

    #[test]
    fn what_shows_nothing_is_blank() {
        for blank in ["", " \t\n", "\u{200B}\u{FEFF}", " \u{2060} "] {
            assert_eq!(content(blank), Err(TextError::Blank), "{blank:?}");
        }
        assert_eq!(content("\u{202E}abc"), Ok("\u{202E}abc"));
        assert_eq!(content("a\0b"), Err(TextError::Nul));
    }

    #[test]
    fn a_prefix_never_cuts_a_character() {
        assert_eq!(prefix("äöü", 2), "äö");
        assert_eq!(prefix("ab", 100), "ab");
    }
}
