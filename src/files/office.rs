//! Tells office documents from other files in the same container.
//!
//! A package (ECMA-376, part 2) is read as far as its directory and the two small parts that name its main
//! part and that part's kind: programs name the main part as they like.

use std::{borrow::Cow, collections::HashMap, io::Read as _, ops::Range};

use flate2::read::DeflateDecoder;

use super::{
    format::Format,
    limits::{DIRECTORY_BYTES_MAX, OFFICE_PART_BYTES_MAX},
    storage::Staged,
};

/// What a whole file was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// Of this format.
    Is(Format),
    /// A document with a password; which kind of document only its name says.
    Encrypted,
    /// A text; which kind only its name says.
    Text,
}

/// Why a package can't be taken.
pub(super) type Reason = &'static str;

const NO_DOCUMENT: Reason = "It is no document of Word or Excel.";
const MACROS: Reason = "Documents with macros are not taken.";
const BROKEN: Reason = "The document is broken, or cut off.";
const TRAILED: Reason = "Something else follows the document's end.";

/// Finds out what a package holds. The inner error says why it isn't taken.
///
/// # Errors
/// When the storage fails.
pub(super) async fn package(file: &Staged, size: u64) -> Result<Result<Format, Reason>, object_store::Error> {
    let tail_start = size.saturating_sub(TAIL_BYTES);
    let tail = file.read(tail_start..size).await?;
    let end = match find_end(&tail, tail_start) {
        Ok(end) => end,
        Err(reason) => return Ok(Err(reason)),
    };
    let place = match end {
        End::Plain(place) => Some(place),
        End::Far { record, locator } => {
            let bytes = file.read(record..locator.min(record + FAR_RECORD_BYTES)).await?;
            far_directory(&bytes, record)
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

/// Most bytes from the start of a ZIP's end record to the end of the file: its own 22, a comment, and as
/// many again of padding.
const TAIL_BYTES: u64 = 22 + 2 * 0xffff;
const FAR_RECORD_BYTES: u64 = 56;

/// Where a ZIP's end record leads.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// To its directory.
    Plain(Range<u64>),
    /// To the record of a ZIP64, which lies before its locator.
    Far { record: u64, locator: u64 },
}

/// Finds the end record in `tail`, the bytes of the file from `tail_start` on. What follows it may only be
/// its comment, and padding.
fn find_end(tail: &[u8], tail_start: u64) -> Result<End, Reason> {
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
            let Some(far) = u64_at(tail, before + 8) else { continue };
            let locator = tail_start + before as u64;
            if far.checked_add(FAR_RECORD_BYTES).is_some_and(|end| end <= locator) {
                return Ok(End::Far { record: far, locator });
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

/// Where the directory of a ZIP64 lies, from its end record at `record`.
fn far_directory(bytes: &[u8], record: u64) -> Option<Range<u64>> {
    let (bytes_long, start) = (u64_at(bytes, 40)?, u64_at(bytes, 48)?);
    let end = start.checked_add(bytes_long)?;
    (bytes.starts_with(b"PK\x06\x06") && end == record).then_some(start..end)
}

/// The directory of a ZIP: its parts by their names in lower case.
struct Directory(HashMap<String, Option<Part>>);

/// Where and how a part lies in a ZIP.
#[derive(Debug, Clone, Copy)]
struct Part {
    method: u16,
    packed: u64,
    at: u64,
}

impl Directory {
    /// Reads the directory as far as it is one.
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

/// The first entry of a directory, and what follows it. One whose place can't be read has none.
fn entry(left: &[u8]) -> Option<(String, Option<Part>, &[u8])> {
    let length_at = |at| u16_at(left, at).map(usize::from);
    let (name_bytes, extra, comment) = (length_at(28)?, length_at(30)?, length_at(32)?);
    let name = left.get(46..46 + name_bytes).filter(|_| left.starts_with(b"PK\x01\x02"))?;
    let name = part_name(&String::from_utf8_lossy(name));
    let part = left.get(46 + name_bytes..46 + name_bytes + extra).and_then(|extra| part(left, extra));
    Some((name, part, left.get(46 + name_bytes + extra + comment..)?))
}

fn part(entry: &[u8], extra: &[u8]) -> Option<Part> {
    const FAR: u64 = 0xffff_ffff;
    let (packed, unpacked, at) = (u32_at(entry, 20)?, u32_at(entry, 24)?, u32_at(entry, 42)?);
    let mut far = far_numbers(extra).unwrap_or_default();
    // A ZIP64 has those of the three that don't fit, in this order.
    let mut widened = |number: u32| {
        if u64::from(number) != FAR {
            return Some(u64::from(number));
        }
        let number = u64_at(far, 0)?;
        far = &far[8..];
        Some(number)
    };
    widened(unpacked)?;
    Some(Part { method: u16_at(entry, 10)?, packed: widened(packed)?, at: widened(at)? })
}

fn far_numbers(mut extra: &[u8]) -> Option<&[u8]> {
    loop {
        let (kind, bytes) = (u16_at(extra, 0)?, usize::from(u16_at(extra, 2)?));
        let data = extra.get(4..4 + bytes)?;
        if kind == 1 {
            return Some(data);
        }
        extra = &extra[4 + bytes..];
    }
}

/// Names of parts are the same in any case; some programs write them from the root, or with the separator
/// of their system.
fn part_name(name: &str) -> String {
    let name = name.replace('\\', "/").to_lowercase();
    name.trim_start_matches("./").trim_start_matches('/').to_owned()
}

/// Unpacks a part, or as much of it as its bounds let through; empty where it isn't there.
async fn read_part(file: &Staged, size: u64, part: Option<Part>) -> Result<String, object_store::Error> {
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
        // What was unpacked before an error is there all the same.
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

/// The format of the main part, which the relations name and whose kind the types name.
fn main_format(directory: &Directory, types: &str, relations: &str) -> Result<Format, Reason> {
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
    // Where nothing says what the parts are, their usual names do.
    let usual = || match () {
        () if !types.is_empty() => None,
        () if is_there("word/document.xml") => Some(Format::Docx),
        () if is_there("xl/workbook.xml") => Some(Format::Xlsx),
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

fn format_of_type(kind: &str) -> Result<Format, Reason> {
    const OFFICE: &str = "application/vnd.openxmlformats-officedocument.";
    match kind.trim().strip_prefix(OFFICE) {
        Some("wordprocessingml.document.main+xml") => Ok(Format::Docx),
        Some("spreadsheetml.sheet.main+xml") => Ok(Format::Xlsx),
        _ if kind.to_ascii_lowercase().contains("macroenabled") => Err(MACROS),
        _ => Err(NO_DOCUMENT),
    }
}

/// The tags of an XML, each without its brackets.
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
