//! File names of attachments: display text, never a path, and always with the extension of the detected
//! format.

use super::{format::FileFormat, limits::NAME_CHARS_MAX};

/// The name of a file without a usable one.
const NAMELESS: &str = "file";

/// Removes path components, control characters and marks that reverse the reading direction, with which
/// `exe.gpj` is shown as `jpg.exe`. `None` if nothing is left.
pub(super) fn clean_name(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last.chars().filter(|c| !is_misleading(*c)).collect();
    let clean = clean.trim().trim_end_matches(['.', ' ']);
    (!clean.is_empty()).then(|| clean.to_owned())
}

fn is_misleading(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// What the extension of a name claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NameClaim<'a> {
    /// A format that may be attached.
    Known(FileFormat),
    /// An extension of something else.
    Foreign(&'a str),
    /// No extension.
    Nothing,
}

impl<'a> NameClaim<'a> {
    /// Examines the extension of a cleaned name.
    pub(super) fn of(name: &'a str) -> Self {
        let Some((_, extension)) = name.rsplit_once('.') else { return Self::Nothing };
        match FileFormat::of_extension(extension) {
            Some(format) => Self::Known(format),
            None if is_extension(extension) => Self::Foreign(extension),
            None => Self::Nothing,
        }
    }
}

/// Whether the end of a name is an extension; `Plan v1.2` and `Invoice No. 12` have none.
fn is_extension(end: &str) -> bool {
    let is_short = (1..=12).contains(&end.len());
    is_short && end.bytes().all(|c| c.is_ascii_alphanumeric()) && end.bytes().any(|c| c.is_ascii_alphabetic())
}

/// Gives a cleaned name the extension of `format`, in place of that of another format or appended. The name
/// is shortened if it would exceed [`NAME_CHARS_MAX`] code points.
pub(super) fn with_extension(name: Option<&str>, format: FileFormat) -> String {
    let name = name.unwrap_or(NAMELESS);
    let stem = match name.rsplit_once('.') {
        Some((_, extension)) if format.may_end_in(extension) => return name.to_owned(),
        Some((stem, extension)) if FileFormat::of_extension(extension).is_some() && !stem.is_empty() => stem,
        _ => name,
    };
    let extension = format.extension();
    let stem: String = stem.chars().take(NAME_CHARS_MAX - 1 - extension.len()).collect();
    format!("{stem}.{extension}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cleaned_of_paths_and_control_characters() {
        let table = [
            ("plan.pdf", Some("plan.pdf")),
            ("../../x.png", Some("x.png")),
            ("C:\\Users\\ann\\boiler.jpg", Some("boiler.jpg")),
            ("a\0b\r\n.png", Some("ab.png")),
            ("gpj.\u{202e}exe.png", Some("gpj.exe.png")),
            ("  Übergabe – Küche.docx ", Some("Übergabe – Küche.docx")),
            ("<script>.gif", Some("<script>.gif")),
            (".png", Some(".png")),
            ("plan. .", Some("plan")),
            ("x/", None),
            ("..", None),
            ("\0", None),
            ("", None),
        ];
        for (name, expected) in table {
            assert_eq!(clean_name(name).as_deref(), expected, "{name:?}");
        }
    }

    #[test]
    fn an_extension_is_known_foreign_or_missing() {
        assert_eq!(NameClaim::of("a.JPEG"), NameClaim::Known(FileFormat::Jpeg));
        assert_eq!(NameClaim::of("invoice.pdf.js"), NameClaim::Foreign("js"));
        assert_eq!(NameClaim::of("a.hta"), NameClaim::Foreign("hta"));
        for name in ["blob", "Plan v1.2", "Invoice No. 12", "Brief vom 3.März", "png"] {
            assert_eq!(NameClaim::of(name), NameClaim::Nothing, "{name}");
        }
    }

    #[test]
    fn the_extension_is_that_of_the_format() {
        let table = [
            ("kitchen.jpg", FileFormat::Jpeg, "kitchen.jpg"),
            ("kitchen.JPEG", FileFormat::Jpeg, "kitchen.JPEG"),
            ("kitchen.jfif", FileFormat::Jpeg, "kitchen.jpg"),
            ("kitchen.jpg", FileFormat::Gif, "kitchen.gif"),
            (".png", FileFormat::Jpeg, ".png.jpg"),
            ("invoice.hta", FileFormat::Pdf, "invoice.hta.pdf"),
            ("invoice.pdf.js", FileFormat::Pdf, "invoice.pdf.js.pdf"),
            ("Plan v1.2", FileFormat::Pdf, "Plan v1.2.pdf"),
            ("blob", FileFormat::Png, "blob.png"),
        ];
        for (name, format, expected) in table {
            assert_eq!(with_extension(Some(name), format), expected);
        }
        assert_eq!(with_extension(None, FileFormat::Docx), "file.docx");
        let long = with_extension(Some(&"ä".repeat(255)), FileFormat::Png);
        assert_eq!(long, "ä".repeat(251) + ".png");
    }
}
