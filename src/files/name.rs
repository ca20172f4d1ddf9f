//! Names of attachments: text for people, never a path.

use super::{limits::NAME_CHARS_MAX, uploads::UploadError};

/// Makes a name fit to be shown: without path parts, control characters and marks that turn the
/// reading direction around, by which `exe.gpj` shows as `jpg.exe`.
///
/// # Errors
/// [`UploadError::Refused`] when nothing is left, or more than [`NAME_CHARS_MAX`] code points are.
pub fn clean_name(name: &str) -> Result<String, UploadError> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last.chars().filter(|c| !is_misleading(*c)).collect();
    let clean = clean.trim();
    if clean.is_empty() || clean.chars().all(|c| c == '.') {
        return Err(UploadError::Refused("The file has no name."));
    }
    if clean.chars().count() > NAME_CHARS_MAX {
        return Err(UploadError::Refused("The file's name is over 255 characters."));
    }
    Ok(clean.to_owned())
}

fn is_misleading(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_what_is_not_a_name() {
        let table = [
            ("plan.pdf", Some("plan.pdf")),
            ("../../x.png", Some("x.png")),
            ("C:\\Users\\ann\\boiler.jpg", Some("boiler.jpg")),
            ("a\0b\r\n.png", Some("ab.png")),
            ("gpj.\u{202e}exe.png", Some("gpj.exe.png")),
            ("  Übergabe – Küche.docx ", Some("Übergabe – Küche.docx")),
            ("<script>.gif", Some("<script>.gif")),
            (".png", Some(".png")),
            ("x/", None),
            ("..", None),
            ("\0", None),
            ("", None),
        ];
        for (name, expected) in table {
            assert_eq!(clean_name(name).ok().as_deref(), expected, "{name:?}");
        }
        assert!(clean_name(&"ä".repeat(255)).is_ok());
        assert!(clean_name(&"ä".repeat(256)).is_err());
    }
}
