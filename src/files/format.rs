//! The formats that may be attached: what their names end in, and what their first bytes are.

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
    Webp,
    Heic,
    Pdf,
    Doc,
    Docx,
    Rtf,
    Xls,
    Xlsx,
    Txt,
    Csv,
    M4a,
    Mp3,
    Ogg,
    Mp4,
    Mov,
}

/// What people take for the same kind of thing: within one, a name may end in any of its formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Picture,
    Print,
    Document,
    Sheet,
    Text,
    Recording,
}

/// Everything that is known of one format.
struct Entry {
    format: Format,
    family: Family,
    content_type: &'static str,
    /// What a name may end in; the first one is given to a name that ends otherwise.
    extensions: &'static [&'static str],
    /// Other endings that mean it, in place of which the first one is given.
    aliases: &'static [&'static str],
}

const TABLE: [Entry; 18] = {
    use {Family::*, Format::*};
    const fn row(
        format: Format,
        family: Family,
        content_type: &'static str,
        extensions: &'static [&'static str],
        aliases: &'static [&'static str],
    ) -> Entry {
        Entry { format, family, content_type, extensions, aliases }
    }
    [
        row(Jpeg, Picture, "image/jpeg", &["jpg", "jpeg"], &["jfif", "jpe", "pjpeg"]),
        row(Png, Picture, "image/png", &["png"], &[]),
        row(Gif, Picture, "image/gif", &["gif"], &[]),
        row(Webp, Picture, "image/webp", &["webp"], &[]),
        row(Heic, Picture, "image/heic", &["heic", "heif"], &[]),
        row(Pdf, Print, "application/pdf", &["pdf"], &[]),
        row(Doc, Document, "application/msword", &["doc"], &[]),
        row(
            Docx,
            Document,
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            &["docx"],
            &[],
        ),
        row(Rtf, Document, "application/rtf", &["rtf"], &[]),
        row(Xls, Sheet, "application/vnd.ms-excel", &["xls"], &[]),
        row(Xlsx, Sheet, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", &["xlsx"], &[]),
        row(Txt, Text, "text/plain", &["txt"], &["text"]),
        row(Csv, Text, "text/csv", &["csv"], &[]),
        row(M4a, Recording, "audio/mp4", &["m4a"], &[]),
        row(Mp3, Recording, "audio/mpeg", &["mp3"], &[]),
        row(Ogg, Recording, "audio/ogg", &["ogg"], &["oga", "opus"]),
        row(Mp4, Recording, "video/mp4", &["mp4"], &["m4v"]),
        row(Mov, Recording, "video/quicktime", &["mov"], &["qt"]),
    ]
};

impl Format {
    /// The format that an extension means; `None` for all that may not be attached.
    pub(super) fn of_extension(extension: &str) -> Option<Self> {
        let is = |known: &&str| known.eq_ignore_ascii_case(extension);
        let mut table = TABLE.iter();
        table.find(|row| row.extensions.iter().chain(row.aliases).any(is)).map(|row| row.format)
    }

    /// The format that is stored under a content type.
    pub(super) fn of_content_type(content_type: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.content_type == content_type).map(|row| row.format)
    }

    /// What a name of this format is given to end in.
    pub(super) fn extension(self) -> &'static str {
        self.row().extensions[0]
    }

    /// Whether a name of this format may end in `extension`.
    pub(super) fn may_end_in(self, extension: &str) -> bool {
        self.row().extensions.iter().any(|known| known.eq_ignore_ascii_case(extension))
    }

    pub(super) fn family(self) -> Family {
        self.row().family
    }

    /// WebP and HEIC are pictures that the page can't be sure to show; they are offered for download.
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Jpeg | Self::Png | Self::Gif => Kind::Image,
            _ => Kind::File,
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        self.row().content_type
    }

    fn row(self) -> &'static Entry {
        TABLE.iter().find(|row| row.format == self).expect("each format has its row")
    }
}

/// The extensions of all that may be attached, for a sentence: `jpg, jpeg, ... and mov`.
pub(super) fn all_extensions() -> String {
    let all: Vec<&str> = TABLE.iter().flat_map(|row| row.extensions).copied().collect();
    let (last, others) = all.split_last().expect("the table isn't empty");
    format!("{} and {last}", others.join(", "))
}

/// Bytes that suffice for [`Beginning::of`]: those among which a PDF's header must begin, and the header.
pub(super) const HEAD_BYTES: usize = PDF_HEADER_WITHIN + PDF_HEADER.len();

/// Readers look for a PDF's header in this many bytes (ISO 32000-1, Annex H, note 13).
const PDF_HEADER_WITHIN: usize = 1024;
const PDF_HEADER: &[u8] = b"%PDF-";

/// What the first bytes of a file show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beginning {
    /// The format; the rest of the file can only break it.
    Is(Format),
    /// A container of Office up to 2003, or of an encrypted document.
    Ole,
    /// A container of Office since 2007, or of anything else.
    Zip,
    /// Nothing that has a mark. It may be a text.
    Unmarked,
}

impl Beginning {
    /// Looks at the first [`HEAD_BYTES`] of a file, or at all of a shorter one.
    pub(super) fn of(head: &[u8]) -> Self {
        const MARKS: [(&[u8], Beginning); 11] = [
            (b"\xff\xd8\xff", Beginning::Is(Format::Jpeg)),
            (b"\x89PNG\r\n\x1a\n", Beginning::Is(Format::Png)),
            (b"GIF87a", Beginning::Is(Format::Gif)),
            (b"GIF89a", Beginning::Is(Format::Gif)),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Beginning::Ole),
            (b"PK\x03\x04", Beginning::Zip),
            (b"PK\x05\x06", Beginning::Zip),
            (b"{\\rtf", Beginning::Is(Format::Rtf)),
            (b"OggS", Beginning::Is(Format::Ogg)),
            (b"ID3", Beginning::Is(Format::Mp3)),
            (PDF_HEADER, Beginning::Is(Format::Pdf)),
        ];
        if let Some((_, found)) = MARKS.iter().find(|(mark, _)| head.starts_with(mark)) {
            return *found;
        }
        if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP") {
            return Self::Is(Format::Webp);
        }
        if let Some(format) = of_boxes(head) {
            return format.map_or(Self::Unmarked, Self::Is);
        }
        if is_mp3_frame(head) {
            return Self::Is(Format::Mp3);
        }
        let has_pdf_header =
            head.windows(PDF_HEADER.len()).take(PDF_HEADER_WITHIN).any(|at| at == PDF_HEADER);
        if has_pdf_header { Self::Is(Format::Pdf) } else { Self::Unmarked }
    }
}

/// The format of a file of boxes (ISO 14496-12), by its brands. The inner `None` is one that isn't taken.
fn of_boxes(head: &[u8]) -> Option<Option<Format>> {
    const HEIC: [&[u8]; 8] = [b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"];
    let kind = head.get(4..8)?;
    if kind != b"ftyp" {
        // QuickTime had no brands at first. A text that goes on like this begins with a letter, not with the
        // first byte of a length.
        let is_old = [&b"moov"[..], b"mdat", b"wide", b"free", b"skip", b"pnot"].contains(&kind);
        return (is_old && head[0] <= 8).then_some(Some(Format::Mov));
    }
    let length = usize::try_from(u32::from_be_bytes(head[..4].try_into().ok()?)).ok()?;
    let brand = head.get(8..12)?;
    let others = head.get(16..length.min(head.len())).unwrap_or_default();
    Some(match brand {
        _ if HEIC.contains(&brand) => Some(Format::Heic),
        b"mif1" | b"msf1" => others.chunks(4).any(|other| HEIC.contains(&other)).then_some(Format::Heic),
        b"avif" | b"avis" | b"crx " => None,
        b"M4A " | b"M4B " | b"M4P " => Some(Format::M4a),
        b"qt  " => Some(Format::Mov),
        _ => Some(Format::Mp4),
    })
}

/// Whether an MPEG audio frame of layer III begins here (ISO 11172-3, 2.4.1.3).
fn is_mp3_frame(head: &[u8]) -> bool {
    let [0xff, second, third, ..] = head else { return false };
    let (version, layer) = (second >> 3 & 3, second >> 1 & 3);
    second >> 5 == 7 && version != 1 && layer == 1 && third >> 4 != 15 && third >> 2 & 3 != 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_extensions_have_a_format() {
        assert_eq!(Format::of_extension("JPEG"), Some(Format::Jpeg));
        assert_eq!(Format::of_extension("jfif"), Some(Format::Jpeg));
        assert_eq!(Format::of_extension("xlsx"), Some(Format::Xlsx));
        for extension in ["svg", "html", "", "exe", "docm", "hta", "zip"] {
            assert_eq!(Format::of_extension(extension), None, "{extension}");
        }
        let all = all_extensions();
        assert!(all.starts_with("jpg, jpeg, png, gif, ") && all.ends_with("mp4 and mov"), "{all}");
    }

    #[test]
    fn each_format_is_known_by_its_first_bytes() {
        let table: [(&[u8], Beginning); 20] = [
            (b"\xff\xd8\xff\xe0", Beginning::Is(Format::Jpeg)),
            (b"RIFF\0\0\0\0WEBPVP8 ", Beginning::Is(Format::Webp)),
            (b"RIFF\0\0\0\0WAVEfmt ", Beginning::Unmarked),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", Beginning::Is(Format::Heic)),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", Beginning::Is(Format::Heic)),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", Beginning::Unmarked),
            (b"\0\0\0\x18ftypavif\0\0\0\0mif1avif", Beginning::Unmarked),
            (b"\0\0\0\x14ftypM4A \0\0\0\0isom", Beginning::Is(Format::M4a)),
            (b"\0\0\0\x14ftypisom\0\0\0\0isom", Beginning::Is(Format::Mp4)),
            (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", Beginning::Is(Format::Mov)),
            (b"\0\0\x10\0moov\0\0\0\0", Beginning::Is(Format::Mov)),
            (b"the moov is text", Beginning::Unmarked),
            (b"ID3\x04\0", Beginning::Is(Format::Mp3)),
            (b"\xff\xfb\x90\x64", Beginning::Is(Format::Mp3)),
            (b"\xff\xfea\0b\0", Beginning::Unmarked),
            (b"OggS\0\x02", Beginning::Is(Format::Ogg)),
            (b"{\\rtf1\\ansi", Beginning::Is(Format::Rtf)),
            (b"\xef\xbb\xbf%PDF-1.4", Beginning::Is(Format::Pdf)),
            (b"<html>", Beginning::Unmarked),
            (b"", Beginning::Unmarked),
        ];
        for (head, found) in table {
            assert_eq!(Beginning::of(head), found, "{head:?}");
        }
        let after = |count| [&vec![b'\n'; count][..], b"%PDF-1.4"].concat();
        assert_eq!(Beginning::of(&after(1023)[..HEAD_BYTES]), Beginning::Is(Format::Pdf));
        assert_eq!(Beginning::of(&after(1024)[..HEAD_BYTES]), Beginning::Unmarked);
    }
}
