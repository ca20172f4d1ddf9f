//! The file formats that may be attached: their extensions and signatures.

/// How a message presents an attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttachmentKind {
    /// Shown inline.
    Image,
    /// Offered for download.
    File,
}

/// A format that may be attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileFormat {
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

/// Formats that users consider the same kind of file: a name may have the extension of any format in the
/// family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FormatFamily {
    Picture,
    Print,
    Document,
    Sheet,
    Text,
    Recording,
}

/// Everything known about a format.
struct Entry {
    format: FileFormat,
    family: FormatFamily,
    content_type: &'static str,
    /// Extensions that a name may have; the first is appended to names with another one.
    extensions: &'static [&'static str],
    /// Other extensions for the same format, which are replaced by the first.
    aliases: &'static [&'static str],
}

const TABLE: [Entry; 18] = {
    use {FileFormat::*, FormatFamily::*};
    const fn row(
        format: FileFormat,
        family: FormatFamily,
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

impl FileFormat {
    /// The format of an extension; `None` if it may not be attached.
    pub(super) fn of_extension(extension: &str) -> Option<Self> {
        let is = |known: &&str| known.eq_ignore_ascii_case(extension);
        let mut table = TABLE.iter();
        table.find(|row| row.extensions.iter().chain(row.aliases).any(is)).map(|row| row.format)
    }

    /// The format that is stored with a content type.
    pub(super) fn of_content_type(content_type: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.content_type == content_type).map(|row| row.format)
    }

    /// The extension that is appended to a name.
    pub(super) fn extension(self) -> &'static str {
        self.row().extensions[0]
    }

    /// Whether a name of this format may have `extension`.
    pub(super) fn may_end_in(self, extension: &str) -> bool {
        self.row().extensions.iter().any(|known| known.eq_ignore_ascii_case(extension))
    }

    pub(super) fn family(self) -> FormatFamily {
        self.row().family
    }

    /// WebP and HEIC are offered for download, because the page can't rely on the browser to show them.
    pub(super) fn kind(self) -> AttachmentKind {
        match self {
            Self::Jpeg | Self::Png | Self::Gif => AttachmentKind::Image,
            _ => AttachmentKind::File,
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        self.row().content_type
    }

    fn row(self) -> &'static Entry {
        TABLE.iter().find(|row| row.format == self).expect("each format has its row")
    }
}

/// All allowed extensions as part of a sentence: `jpg, jpeg, ... and mov`.
pub(super) fn all_extensions() -> String {
    let all: Vec<&str> = TABLE.iter().flat_map(|row| row.extensions).copied().collect();
    let (last, others) = all.split_last().expect("the table isn't empty");
    format!("{} and {last}", others.join(", "))
}

/// Number of bytes that [`FileSignature::of`] needs: the range in which a PDF header may begin, and the
/// header.
pub(super) const SIGNATURE_BYTES: usize = PDF_HEADER_WITHIN + PDF_HEADER.len();

/// Readers accept a PDF header within this many bytes (ISO 32000-1, Annex H, note 13).
const PDF_HEADER_WITHIN: usize = 1024;
const PDF_HEADER: &[u8] = b"%PDF-";

/// What the first bytes of a file reveal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileSignature {
    /// The format; the rest of the file may still be broken.
    Is(FileFormat),
    /// The container of Office before 2007, and of encrypted documents.
    Ole,
    /// The container of Office since 2007, and of much else.
    Zip,
    /// No known signature; the file may be text.
    Unmarked,
}

impl FileSignature {
    /// Examines the first [`SIGNATURE_BYTES`] of a file, or all of a shorter one.
    pub(super) fn of(head: &[u8]) -> Self {
        const MARKS: [(&[u8], FileSignature); 11] = [
            (b"\xff\xd8\xff", FileSignature::Is(FileFormat::Jpeg)),
            (b"\x89PNG\r\n\x1a\n", FileSignature::Is(FileFormat::Png)),
            (b"GIF87a", FileSignature::Is(FileFormat::Gif)),
            (b"GIF89a", FileSignature::Is(FileFormat::Gif)),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", FileSignature::Ole),
            (b"PK\x03\x04", FileSignature::Zip),
            (b"PK\x05\x06", FileSignature::Zip),
            (b"{\\rtf", FileSignature::Is(FileFormat::Rtf)),
            (b"OggS", FileSignature::Is(FileFormat::Ogg)),
            (b"ID3", FileSignature::Is(FileFormat::Mp3)),
            (PDF_HEADER, FileSignature::Is(FileFormat::Pdf)),
        ];
        if let Some((_, found)) = MARKS.iter().find(|(mark, _)| head.starts_with(mark)) {
            return *found;
        }
        if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP") {
            return Self::Is(FileFormat::Webp);
        }
        if let Some(format) = of_boxes(head) {
            return format.map_or(Self::Unmarked, Self::Is);
        }
        if is_mp3_frame(head) {
            return Self::Is(FileFormat::Mp3);
        }
        let has_pdf_header =
            head.windows(PDF_HEADER.len()).take(PDF_HEADER_WITHIN).any(|at| at == PDF_HEADER);
        if has_pdf_header { Self::Is(FileFormat::Pdf) } else { Self::Unmarked }
    }
}

/// The format of an ISO base media file (ISO 14496-12) by its brands. An inner `None` is one that may not be
/// attached.
fn of_boxes(head: &[u8]) -> Option<Option<FileFormat>> {
    const HEIC: [&[u8]; 8] = [b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"];
    let kind = head.get(4..8)?;
    if kind != b"ftyp" {
        // Early QuickTime files had no brands. A text that continues like this begins with a letter, not with
        // the first byte of a length.
        let is_old = [&b"moov"[..], b"mdat", b"wide", b"free", b"skip", b"pnot"].contains(&kind);
        return (is_old && head[0] <= 8).then_some(Some(FileFormat::Mov));
    }
    let length = usize::try_from(u32::from_be_bytes(head[..4].try_into().ok()?)).ok()?;
    let brand = head.get(8..12)?;
    let others = head.get(16..length.min(head.len())).unwrap_or_default();
    Some(match brand {
        _ if HEIC.contains(&brand) => Some(FileFormat::Heic),
        b"mif1" | b"msf1" => others.chunks(4).any(|other| HEIC.contains(&other)).then_some(FileFormat::Heic),
        b"avif" | b"avis" | b"crx " => None,
        b"M4A " | b"M4B " | b"M4P " => Some(FileFormat::M4a),
        b"qt  " => Some(FileFormat::Mov),
        _ => Some(FileFormat::Mp4),
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
        assert_eq!(FileFormat::of_extension("JPEG"), Some(FileFormat::Jpeg));
        assert_eq!(FileFormat::of_extension("jfif"), Some(FileFormat::Jpeg));
        assert_eq!(FileFormat::of_extension("xlsx"), Some(FileFormat::Xlsx));
        for extension in ["svg", "html", "", "exe", "docm", "hta", "zip"] {
            assert_eq!(FileFormat::of_extension(extension), None, "{extension}");
        }
        let all = all_extensions();
        assert!(all.starts_with("jpg, jpeg, png, gif, ") && all.ends_with("mp4 and mov"), "{all}");
    }

    #[test]
    fn each_format_has_a_signature() {
        let table: [(&[u8], FileSignature); 20] = [
            (b"\xff\xd8\xff\xe0", FileSignature::Is(FileFormat::Jpeg)),
            (b"RIFF\0\0\0\0WEBPVP8 ", FileSignature::Is(FileFormat::Webp)),
            (b"RIFF\0\0\0\0WAVEfmt ", FileSignature::Unmarked),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", FileSignature::Is(FileFormat::Heic)),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", FileSignature::Is(FileFormat::Heic)),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", FileSignature::Unmarked),
            (b"\0\0\0\x18ftypavif\0\0\0\0mif1avif", FileSignature::Unmarked),
            (b"\0\0\0\x14ftypM4A \0\0\0\0isom", FileSignature::Is(FileFormat::M4a)),
            (b"\0\0\0\x14ftypisom\0\0\0\0isom", FileSignature::Is(FileFormat::Mp4)),
            (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", FileSignature::Is(FileFormat::Mov)),
            (b"\0\0\x10\0moov\0\0\0\0", FileSignature::Is(FileFormat::Mov)),
            (b"the moov is text", FileSignature::Unmarked),
            (b"ID3\x04\0", FileSignature::Is(FileFormat::Mp3)),
            (b"\xff\xfb\x90\x64", FileSignature::Is(FileFormat::Mp3)),
            (b"\xff\xfea\0b\0", FileSignature::Unmarked),
            (b"OggS\0\x02", FileSignature::Is(FileFormat::Ogg)),
            (b"{\\rtf1\\ansi", FileSignature::Is(FileFormat::Rtf)),
            (b"\xef\xbb\xbf%PDF-1.4", FileSignature::Is(FileFormat::Pdf)),
            (b"<html>", FileSignature::Unmarked),
            (b"", FileSignature::Unmarked),
        ];
        for (head, found) in table {
            assert_eq!(FileSignature::of(head), found, "{head:?}");
        }
        let after = |count| [&vec![b'\n'; count][..], b"%PDF-1.4"].concat();
        assert_eq!(FileSignature::of(&after(1023)[..SIGNATURE_BYTES]), FileSignature::Is(FileFormat::Pdf));
        assert_eq!(FileSignature::of(&after(1024)[..SIGNATURE_BYTES]), FileSignature::Unmarked);
    }
}
