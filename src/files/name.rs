//! Names of attachments: text for people, never a path, and always with the extension of what is inside.

use super::{format::Format, limits::NAME_CHARS_MAX};

/// What a file is called whose own name can't be read.
const NAMELESS: &str = "file";

/// Makes a name fit to be shown: without path parts, control characters and marks that turn the
/// reading direction around, by which `exe.gpj` shows as `jpg.exe`. `None` when nothing is left.
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

/// What a name's ending says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim<'a> {
    /// A format that may be attached.
    Known(Format),
    /// Something else that programs go by.
    Foreign(&'a str),
    /// Nothing: there is no extension.
    Nothing,
}

impl<'a> Claim<'a> {
    /// Reads the ending of a cleaned name.
    pub(super) fn of(name: &'a str) -> Self {
        let Some((_, extension)) = name.rsplit_once('.') else { return Self::Nothing };
        match Format::of_extension(extension) {
            Some(format) => Self::Known(format),
            None if is_extension(extension) => Self::Foreign(extension),
            None => Self::Nothing,
        }
    }
}

/// Whether the end of a name is an extension at all: `Plan v1.2` and `Invoice No. 12` have none.
fn is_extension(end: &str) -> bool {
    let is_short = (1..=12).contains(&end.len());
    is_short && end.bytes().all(|c| c.is_ascii_alphanumeric()) && end.bytes().any(|c| c.is_ascii_alphabetic())
}

/// Gives a cleaned name the extension of `format`: in place of that of another format, else behind it. The
/// rest is cut where the whole would be over [`NAME_CHARS_MAX`] code points.
pub(super) fn with_extension(name: Option<&str>, format: Format) -> String {
    let name = name.unwrap_or(NAMELESS);
    let stem = match name.rsplit_once('.') {
        Some((_, extension)) if format.may_end_in(extension) => return name.to_owned(),
        Some((stem, extension)) if Format::of_extension(extension).is_some() && !stem.is_empty() => stem,
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
    fn an_ending_is_a_format_something_foreign_or_nothing() {
        assert_eq!(Claim::of("a.JPEG"), Claim::Known(Format::Jpeg));
        assert_eq!(Claim::of("invoice.pdf.js"), Claim::Foreign("js"));
        assert_eq!(Claim::of("a.hta"), Claim::Foreign("hta"));
        for name in ["blob", "Plan v1.2", "Invoice No. 12", "Brief vom 3.März", "png"] {
            assert_eq!(Claim::of(name), Claim::Nothing, "{name}");
        }
    }

    #[test]
    fn the_extension_is_that_of_the_format() {
        let table = [
            ("kitchen.jpg", Format::Jpeg, "kitchen.jpg"),
            ("kitchen.JPEG", Format::Jpeg, "kitchen.JPEG"),
            ("kitchen.jfif", Format::Jpeg, "kitchen.jpg"),
            ("kitchen.jpg", Format::Gif, "kitchen.gif"),
            (".png", Format::Jpeg, ".png.jpg"),
            ("invoice.hta", Format::Pdf, "invoice.hta.pdf"),
            ("invoice.pdf.js", Format::Pdf, "invoice.pdf.js.pdf"),
            ("Plan v1.2", Format::Pdf, "Plan v1.2.pdf"),
            ("blob", Format::Png, "blob.png"),
        ];
        for (name, format, expected) in table {
            assert_eq!(with_extension(Some(name), format), expected);
        }
        assert_eq!(with_extension(None, Format::Docx), "file.docx");
        let long = with_extension(Some(&"ä".repeat(255)), Format::Png);
        assert_eq!(long, "ä".repeat(251) + ".png");
    }
}
