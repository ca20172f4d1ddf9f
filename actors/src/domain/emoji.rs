//! Which texts are one emoji.

use std::collections::HashMap;
use std::sync::LazyLock;

/// The variation selector that asks for an emoji's coloured form; keyboards leave it out or put it in.
const VARIATION_SELECTOR: char = '\u{fe0f}';
/// More bytes than any emoji has.
const BYTES_MAX: usize = 64;

/// Each emoji that Unicode recommends, with its skin tones, by its text without variation selectors.
static EMOJIS: LazyLock<HashMap<String, &'static str>> = LazyLock::new(|| {
    let toned = emojis::iter().flat_map(|emoji| emoji.skin_tones().into_iter().flatten().chain([emoji]));
    toned.map(|emoji| (without_selectors(emoji.as_str()), emoji.as_str())).collect()
});

/// Reads one emoji, a whole sequence with its joiners, flags and skin tones, in the form that Unicode
/// recommends for it; `None` for anything else.
#[must_use]
pub fn parse(text: &str) -> Option<&'static str> {
    if text.len() > BYTES_MAX {
        return None;
    }
    EMOJIS.get(&without_selectors(text)).copied()
}

fn without_selectors(text: &str) -> String {
    text.chars().filter(|char| *char != VARIATION_SELECTOR).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_sequence_is_one_emoji() {
        for emoji in [
            "\u{1f44d}",
            "\u{1f44d}\u{1f3fd}",
            "\u{1f1e9}\u{1f1ea}",
            "\u{1f469}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{200d}\u{1f466}",
            "\u{1f9d1}\u{1f3fb}\u{200d}\u{2764}\u{fe0f}\u{200d}\u{1f48b}\u{200d}\u{1f9d1}\u{1f3ff}",
            "1\u{fe0f}\u{20e3}",
            "\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
        ] {
            assert_eq!(parse(emoji), Some(emoji));
        }
    }

    #[test]
    fn variation_selectors_make_no_difference() {
        for heart in ["\u{2764}", "\u{2764}\u{fe0f}", "\u{2764}\u{fe0f}\u{fe0f}"] {
            assert_eq!(parse(heart), Some("\u{2764}\u{fe0f}"));
        }
    }

    #[test]
    fn nothing_else_is_an_emoji() {
        let long = "\u{1f44d}".repeat(17);
        for text in ["", "a", "1", "ok", "\u{1f44d}\u{1f44d}", "\u{1f44d} ", "\u{fe0f}", "\u{1f1e9}", &long] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
