//! Tells office documents from other files in the same container.
//!
//! Both containers are read only as far as their directory of names goes, by these few lines: `infer`
//! looks at the first entries of a ZIP alone, and opens an OLE file with a parser of the whole.

use std::ops::Range;

use super::format::Format;

/// Most bytes from the start of a ZIP's end record to the end of the file: its own 22 and a comment.
pub(super) const ZIP_TAIL_BYTES: u64 = 22 + 0xffff;

/// Finds where a ZIP's directory lies, from `tail`, the last bytes of a file of `size`.
///
/// The end record must end with the file, so nothing can follow it.
pub(super) fn zip_directory(tail: &[u8], size: u64) -> Option<Range<u64>> {
    let newest_first = (0..tail.len().checked_sub(21)?).rev();
    let at = newest_first.into_iter().find(|at| {
        let comment = || usize::from(u16_at(tail, at + 20).unwrap_or_default());
        tail[*at..].starts_with(b"PK\x05\x06") && at + 22 + comment() == tail.len()
    })?;
    let bytes = u64::from(u32_at(tail, at + 12)?);
    let start = u64::from(u32_at(tail, at + 16)?);
    let end = start.checked_add(bytes)?;
    let end_record = size - (tail.len() - at) as u64;
    (end == end_record).then_some(start..end)
}

/// Whether a ZIP's directory holds the main part of a document of `format`.
pub(super) fn is_document(mut directory: &[u8], format: Format) -> bool {
    let main: &[u8] = match format {
        Format::Docx => b"word/document.xml",
        Format::Xlsx => b"xl/workbook.",
        _ => return false,
    };
    let mut has_main = false;
    while directory.starts_with(b"PK\x01\x02") {
        let length_at = |at| u16_at(directory, at).map(usize::from);
        let (Some(name), Some(extra), Some(comment)) = (length_at(28), length_at(30), length_at(32)) else {
            return false;
        };
        let Some(name_bytes) = directory.get(46..46 + name) else {
            return false;
        };
        has_main |= name_bytes.starts_with(main);
        directory = directory.get(46 + name + extra + comment..).unwrap_or_default();
    }
    has_main
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at + 2)?;
    Some(u16::from_le_bytes([bytes[0], bytes[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

const ENTRY_BYTES: usize = 128;

/// The main streams of the formats of an OLE file.
const STREAMS: [(&str, Option<Format>); 4] = [
    ("WordDocument", Some(Format::Doc)),
    ("Workbook", Some(Format::Xls)),
    ("Book", Some(Format::Xls)),
    ("PowerPoint Document", None),
];

/// Looks among the directory entries of an OLE file, as it goes by, for the main stream of another format
/// than its name says.
///
/// The entries lie anywhere in the file, but always on a multiple of their 128 bytes.
#[derive(Debug)]
pub(super) struct OleScan {
    format: Format,
    entry: [u8; ENTRY_BYTES],
    filled: usize,
    is_another: bool,
}

impl OleScan {
    /// A scan for what `format` may not have; `None` for a format that is no OLE file.
    pub(super) fn of(format: Format) -> Option<Self> {
        let is_ole = matches!(format, Format::Doc | Format::Xls);
        is_ole.then_some(Self { format, entry: [0; ENTRY_BYTES], filled: 0, is_another: false })
    }

    /// Takes the file's next bytes.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        while !self.is_another && !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(ENTRY_BYTES - self.filled));
            self.entry[self.filled..self.filled + now.len()].copy_from_slice(now);
            self.filled += now.len();
            bytes = rest;
            if self.filled == ENTRY_BYTES {
                let others = STREAMS.iter().filter(|(_, format)| *format != Some(self.format));
                self.is_another = others.into_iter().any(|(name, _)| is_stream(&self.entry, name));
                self.filled = 0;
            }
        }
    }

    /// Whether the file is of another format.
    pub(super) fn is_another(&self) -> bool {
        self.is_another
    }
}

/// Whether a directory entry is of a stream with this name.
fn is_stream(entry: &[u8; ENTRY_BYTES], name: &str) -> bool {
    const STREAM: u8 = 2;
    let name_bytes = (name.len() + 1) * 2;
    let units = name.encode_utf16().chain([0]).flat_map(u16::to_le_bytes);
    entry[66] == STREAM
        && u16_at(entry, 64).map(usize::from) == Some(name_bytes)
        && units.eq(entry[..name_bytes].iter().copied())
}
