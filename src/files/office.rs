//! Recognizes office documents among ZIP files.
//!
//! Of a package (ECMA-376, part 2) only the directory and two small parts are read, which name the main part
//! and its content type. The main part may have any name.

use std::{borrow::Cow, collections::HashMap, io::Read as _, ops::Range};

use flate2::read::DeflateDecoder;

use super::{
    Rejection,
    format::FileFormat,
    limits::{DIRECTORY_BYTES_MAX, OFFICE_PART_BYTES_MAX},
    storage::StagedFile,
};

/// What a complete file was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DetectedContent {
    /// A file of this format.
    Is(FileFormat),
    /// An encrypted document; only its name tells which kind.
    Encrypted,
    /// A text; only its name tells which kind.
    Text,
}

const NO_DOCUMENT: Rejection = "It is no document of Word or Excel.";
const MACROS: Rejection = "Documents with macros are not taken.";
const BROKEN: Rejection = "The document is broken, or cut off.";
const TRAILED: Rejection = "Something else follows the document's end.";

/// Determines the format of a package. The inner error says why it is rejected.
///
/// # Errors
/// If the storage fails.
pub(super) async fn package(
    file: &StagedFile,
    size: u64,
) -> Result<Result<FileFormat, Rejection>, object_store::Error> {
    let tail_start = size.saturating_sub(TAIL_BYTES);
    let tail = file.read(tail_start..size).await?;
    let end = match find_end(&tail, tail_start) {
        Ok(end) => end,
        Err(reason) => return Ok(Err(reason)),
    };
    let place = match end {
        End::Plain(place) => Some(place),
        End::Zip64 { record, locator } => {
            let bytes = file.read(record..locator.min(record + ZIP64_RECORD_BYTES)).await?;
            zip64_directory(&bytes, record)
        }
    };
    let Some(place) = place.filter(|place| !place.is_empty()) else { return Ok(Err(BROKEN)) };
    if place.end - place.start > DIRECTORY_BYTES_MAX {
        return Ok(Err("The document has too many parts."));
    }
    let directory = Directory::of(&file.read(place).await?);
    let types = read_part(file, size, directory.find("[content_types].xml")).await?;
    let relations = read_part(file, size, directory.find("_rels/.rels")).await?;
    Ok(main_format(&directory, &types, &relations))
}

/// Maximum distance of the ZIP end record from the end of the file: its own 22 bytes, a comment, and as much
/// padding again.
const TAIL_BYTES: u64 = 22 + 2 * 0xffff;
const ZIP64_RECORD_BYTES: u64 = 56;

/// Where the ZIP end record leads.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// To the directory.
    Plain(Range<u64>),
    /// To the ZIP64 end record, which lies before its locator.
    Zip64 { record: u64, locator: u64 },
}

/// Finds the end record in `tail`, the bytes of the file from `tail_start` on. Only its comment and padding
/// may follow it.
fn find_end(tail: &[u8], tail_start: u64) -> Result<End, Rejection> {
    let mut reason = BROKEN;
    let is_padding = |byte: &u8| matches!(byte, 0 | b'\r' | b'\n' | b' ' | 0x1a);
    let padding = tail.iter().rposition(|byte| !is_padding(byte)).map_or(0, |last| last + 1);
    for at in (0..=tail.len().saturating_sub(22)).rev() {
        if !tail[at..].starts_with(b"PK\x05\x06") {
            continue;
        }
        let comment = usize::from(u16_at(tail, at + 20).unwrap_or_default());
        let end = at + 22 + comment;
        if end > tail.len() {
            continue;
        }
        if end < padding {
            reason = TRAILED;
            continue;
        }
        let record = tail_start + at as u64;
        let locator = at.checked_sub(20).filter(|before| tail[*before..].starts_with(b"PK\x06\x07"));
        if let Some(before) = locator {
            let Some(zip64) = u64_at(tail, before + 8) else { continue };
            let locator = tail_start + before as u64;
            if zip64.checked_add(ZIP64_RECORD_BYTES).is_some_and(|end| end <= locator) {
                return Ok(End::Zip64 { record: zip64, locator });
            }
            continue;
        }
        let (Some(bytes), Some(start)) = (u32_at(tail, at + 12), u32_at(tail, at + 16)) else { continue };
        let place = u64::from(start)..u64::from(start) + u64::from(bytes);
        if place.end == record {
            return Ok(End::Plain(place));
        }
    }
    Err(reason)
}

/// The location of the directory, from the ZIP64 end record at `record`.
fn zip64_directory(bytes: &[u8], record: u64) -> Option<Range<u64>> {
    let (bytes_long, start) = (u64_at(bytes, 40)?, u64_at(bytes, 48)?);
    let end = start.checked_add(bytes_long)?;
    (bytes.starts_with(b"PK\x06\x06") && end == record).then_some(start..end)
}

/// The directory of a ZIP file: its parts by their lower-case names.
struct Directory(HashMap<String, Option<Part>>);

/// How a part is stored.
#[derive(Debug, Clone, Copy)]
struct Part {
    method: u16,
    packed: u64,
    at: u64,
}

impl Directory {
    /// Reads the directory up to its first invalid entry.
    fn of(bytes: &[u8]) -> Self {
        let (mut parts, mut left) = (HashMap::new(), bytes);
        while let Some((name, part, rest)) = entry(left) {
            parts.entry(name).or_insert(part);
            left = rest;
        }
        Self(parts)
    }

    fn find(&self, name: &str) -> Option<Part> {
        self.0.get(name).copied().flatten()
    }
}

/// The first entry of a directory and the bytes behind it. An entry whose location is unreadable has no part.
fn entry(left: &[u8]) -> Option<(String, Option<Part>, &[u8])> {
    let length_at = |at| u16_at(left, at).map(usize::from);
    let (name_bytes, extra, comment) = (length_at(28)?, length_at(30)?, length_at(32)?);
    let name = left.get(46..46 + name_bytes).filter(|_| left.starts_with(b"PK\x01\x02"))?;
    let name = part_name(&String::from_utf8_lossy(name));
    let part = left.get(46 + name_bytes..46 + name_bytes + extra).and_then(|extra| part(left, extra));
    Some((name, part, left.get(46 + name_bytes + extra + comment..)?))
}

fn part(entry: &[u8], extra: &[u8]) -> Option<Part> {
    const ZIP64_MARKER: u64 = 0xffff_ffff;
    let (packed, unpacked, at) = (u32_at(entry, 20)?, u32_at(entry, 24)?, u32_at(entry, 42)?);
    let mut zip64 = zip64_fields(extra).unwrap_or_default();
    // The ZIP64 field holds those of the three numbers that don't fit, in this order.
    let mut widened = |number: u32| {
        if u64::from(number) != ZIP64_MARKER {
            return Some(u64::from(number));
        }
        let number = u64_at(zip64, 0)?;
        zip64 = &zip64[8..];
        Some(number)
    };
    widened(unpacked)?;
    Some(Part { method: u16_at(entry, 10)?, packed: widened(packed)?, at: widened(at)? })
}

fn zip64_fields(mut extra: &[u8]) -> Option<&[u8]> {
    loop {
        let (kind, bytes) = (u16_at(extra, 0)?, usize::from(u16_at(extra, 2)?));
        let data = extra.get(4..4 + bytes)?;
        if kind == 1 {
            return Some(data);
        }
        extra = &extra[4 + bytes..];
    }
}

/// Normalizes a part name: names are case-insensitive, and some programs write a leading slash or
/// backslashes.
fn part_name(name: &str) -> String {
    let name = name.replace('\\', "/").to_lowercase();
    name.trim_start_matches("./").trim_start_matches('/').to_owned()
}

/// Unpacks a part up to its limit; empty if it doesn't exist.
async fn read_part(file: &StagedFile, size: u64, part: Option<Part>) -> Result<String, object_store::Error> {
    const HEADER_BYTES: u64 = 30;
    let Some(Part { method, packed, at }) = part else { return Ok(String::new()) };
    if at.checked_add(HEADER_BYTES).is_none_or(|end| end > size) {
        return Ok(String::new());
    }
    let header = file.read(at..at + HEADER_BYTES).await?;
    let skipped = u16_at(&header, 26).zip(u16_at(&header, 28));
    let skipped = skipped.map_or(0, |(name, extra)| u64::from(name) + u64::from(extra));
    let start = (at + HEADER_BYTES + skipped).min(size);
    let end = start.saturating_add(packed.min(OFFICE_PART_BYTES_MAX)).min(size);
    if start == end {
        return Ok(String::new());
    }
    let packed = file.read(start..end).await?;
    let mut bytes = Vec::new();
    match method {
        0 => bytes.extend_from_slice(&packed),
        // What was unpacked before an error is used all the same.
        8 => drop(DeflateDecoder::new(&packed[..]).take(OFFICE_PART_BYTES_MAX).read_to_end(&mut bytes)),
        _ => {}
    }
    Ok(decode(&bytes).into_owned())
}

fn decode(bytes: &[u8]) -> Cow<'_, str> {
    let wide = |read: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes[2..].chunks_exact(2).map(|two| read([two[0], two[1]])).collect();
        Cow::Owned(String::from_utf16_lossy(&units))
    };
    match bytes {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        _ => String::from_utf8_lossy(bytes),
    }
}

/// The format of the main part, which the relationships name and the content types describe.
fn main_format(directory: &Directory, types: &str, relations: &str) -> Result<FileFormat, Rejection> {
    let is_there = |name: &str| directory.find(name).is_some();
    let named = tags(relations)
        .filter(|tag| attribute(tag, "Type").is_some_and(|kind| kind.ends_with("/officeDocument")))
        .find_map(|tag| attribute(tag, "Target").map(part_name).filter(|name| is_there(name)));
    if let Some(kind) = named.as_deref().and_then(|name| type_of(types, name)) {
        return format_of_type(kind);
    }
    let declared = tags(types).find_map(|tag| {
        let name = attribute(tag, "PartName").map(part_name).filter(|name| is_there(name))?;
        let format = attribute(tag, "ContentType").and_then(|kind| format_of_type(kind).ok())?;
        (!name.is_empty()).then_some(format)
    });
    // Without content types, recognizes the parts by their usual names.
    let usual = || match () {
        () if !types.is_empty() => None,
        () if is_there("word/document.xml") => Some(FileFormat::Docx),
        () if is_there("xl/workbook.xml") => Some(FileFormat::Xlsx),
        () => None,
    };
    declared.or_else(usual).ok_or(NO_DOCUMENT)
}

fn type_of<'a>(types: &'a str, name: &str) -> Option<&'a str> {
    let own = tags(types).find(|tag| attribute(tag, "PartName").is_some_and(|part| part_name(part) == name));
    let extension = || name.rsplit_once('.').map(|(_, extension)| extension);
    let default = || {
        let extension = extension()?;
        let fits = |tag: &&str| {
            attribute(tag, "Extension").is_some_and(|known| known.eq_ignore_ascii_case(extension))
        };
        tags(types).find(fits)
    };
    own.or_else(default).and_then(|tag| attribute(tag, "ContentType"))
}

fn format_of_type(kind: &str) -> Result<FileFormat, Rejection> {
    const OFFICE: &str = "application/vnd.openxmlformats-officedocument.";
    match kind.trim().strip_prefix(OFFICE) {
        Some("wordprocessingml.document.main+xml") => Ok(FileFormat::Docx),
        Some("spreadsheetml.sheet.main+xml") => Ok(FileFormat::Xlsx),
        _ if kind.to_ascii_lowercase().contains("macroenabled") => Err(MACROS),
        _ => Err(NO_DOCUMENT),
    }
}

/// The tags of an XML document, without their brackets.
fn tags(xml: &str) -> impl Iterator<Item = &str> {
    xml.split('<').skip(1).filter_map(|tag| tag.split('>').next())
}

/// The value of an attribute of a tag.
fn attribute<'a>(tag: &'a str, wanted: &str) -> Option<&'a str> {
    let mut left = tag;
    while let Some((before, after)) = left.split_once('=') {
        let after = after.trim_start();
        let quote = after.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
        let (value, next) = after[1..].split_once(quote)?;
        if before.split_ascii_whitespace().next_back() == Some(wanted) {
            return Some(value);
        }
        left = next;
    }
    None
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_le_bytes([bytes[0], bytes[1]]))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from(u32_at(bytes, at)?) | u64::from(u32_at(bytes, at + 4)?) << 32)
}
