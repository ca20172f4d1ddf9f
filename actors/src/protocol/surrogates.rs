//! Lone halves of UTF-16 surrogate pairs in JSON, as JavaScript and Dart write a text that was cut within an
//! emoji.

use std::borrow::Cow;

/// `json` with U+FFFD in place of each lone half; none if there are none.
#[must_use]
pub fn replace_lone(json: &str) -> Option<String> {
    let mut mended = Cow::Borrowed(json);
    // From the end, so that the earlier positions stay valid.
    for at in lone_halves(json).into_iter().rev() {
        mended.to_mut().replace_range(at..at + ESCAPE, "\\ufffd");
    }
    match mended {
        Cow::Borrowed(_) => None,
        Cow::Owned(mended) => Some(mended),
    }
}

/// The length of `\uXXXX`.
const ESCAPE: usize = 6;

fn lone_halves(json: &str) -> Vec<usize> {
    let (mut lone, mut at) = (Vec::new(), 0);
    while let Some(found) = json.as_bytes()[at..].iter().position(|byte| *byte == b'\\') {
        at += found;
        match unit(json, at) {
            Some(0xD800..=0xDBFF) if matches!(unit(json, at + ESCAPE), Some(0xDC00..=0xDFFF)) => {
                at += 2 * ESCAPE;
            }
            Some(0xD800..=0xDFFF) => {
                lone.push(at);
                at += ESCAPE;
            }
            // The backslash escapes whatever follows, another backslash too.
            _ => at = (at + 2).min(json.len()),
        }
    }
    lone
}

/// The code unit whose escape begins at `at`.
fn unit(json: &str, at: usize) -> Option<u16> {
    let digits = json.get(at..at + ESCAPE)?.strip_prefix("\\u")?;
    digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lone_halves_are_replaced_and_pairs_stay() {
        for (json, expected) in [
            (r#""\ud83d""#, r#""\ufffd""#),
            (r#""a\uDE00b\ud83d\ud83d\ude00""#, r#""a\ufffdb\ufffd\ud83d\ude00""#),
            (r#""\\\ud83d\\ud83d""#, r#""\\\ufffd\\ud83d""#),
            (r#"\ud83d\n\udE00"#, r#"\ufffd\n\ufffd"#),
        ] {
            assert_eq!(replace_lone(json).as_deref(), Some(expected), "{json}");
        }
        for whole in
            ["", "\\", "ä\\", r#""\ud83d\ude00""#, r#""\\ud83d""#, r#""\ud83""#, "\\u+d80", "\\ü\\uä"]
        {
            assert_eq!(replace_lone(whole), None, "{whole}");
        }
    }
}
