//! The formats that may be attached: by extension, and by the bytes that a file begins with.

/// What an attachment is to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Shown in place.
    Image,
    /// Offered for download.
    File,
}

/// A format that may be attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Jpeg,
    Png,
    Gif,
    Pdf,
    Doc,
    Docx,
    Xls,
    Xlsx,
}

/// Bytes that suffice to tell by [`Format::begins`].
pub(super) const HEAD_BYTES: usize = 64;

impl Format {
    /// The format that a name's extension claims; `None` for all that may not be attached.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        let (_, extension) = name.rsplit_once('.')?;
        match extension.to_ascii_lowercase().as_str() {
            "jpg" | "jpeg" => Some(Self::Jpeg),
            "png" => Some(Self::Png),
            "gif" => Some(Self::Gif),
            "pdf" => Some(Self::Pdf),
            "doc" => Some(Self::Doc),
            "docx" => Some(Self::Docx),
            "xls" => Some(Self::Xls),
            "xlsx" => Some(Self::Xlsx),
            _ => None,
        }
    }

    /// Whether a file that begins with `head` may be of this format.
    ///
    /// Office files are only told from other containers here; which one it is shows further on.
    pub(super) fn begins(self, head: &[u8]) -> bool {
        match self {
            Self::Jpeg => infer::image::is_jpeg(head),
            Self::Png => head.starts_with(b"\x89PNG\r\n\x1a\n"),
            Self::Gif => infer::image::is_gif(head),
            Self::Pdf => head.starts_with(b"%PDF-"),
            Self::Doc | Self::Xls => head.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
            Self::Docx | Self::Xlsx => infer::archive::is_zip(head),
        }
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Jpeg | Self::Png | Self::Gif => Kind::Image,
            _ => Kind::File,
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Gif => "image/gif",
            Self::Pdf => "application/pdf",
            Self::Doc => "application/msword",
            Self::Docx => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            Self::Xls => "application/vnd.ms-excel",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_contracts_extensions_have_a_format() {
        assert_eq!(Format::of_name("a.JPEG"), Some(Format::Jpeg));
        assert_eq!(Format::of_name("a.tar.xlsx"), Some(Format::Xlsx));
        for name in ["a.svg", "a.html", "a.png.html", "png", "a.", "a.webp", "a.png ", "a.docm"] {
            assert_eq!(Format::of_name(name), None, "{name}");
        }
    }
}
