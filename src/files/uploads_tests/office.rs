//! Office documents as Office and other programs write them.

use std::io::Write as _;

use flate2::{Compression, write::DeflateEncoder};

use super::*;

pub(super) const DOCX: &[&str] = &["[Content_Types].xml", "_rels/.rels", "word/document.xml"];
pub(super) const XLSX: &[&str] = &["[Content_Types].xml", "xl/workbook.xml"];

/// A ZIP file with empty entries.
pub(super) fn zip(names: &[&str]) -> Vec<u8> {
    let parts: Vec<_> = names.iter().map(|name| (*name, "")).collect();
    zip_of(&parts, false)
}

/// A ZIP file with packed entries; `is_far` makes it a ZIP64.
fn zip_of(parts: &[(&str, &str)], is_far: bool) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in parts {
        let at = out.len() as u32;
        let mut packed = DeflateEncoder::new(Vec::new(), Compression::best());
        packed.write_all(content.as_bytes()).expect("packed");
        let packed = packed.finish().expect("packed");
        let sizes = [(packed.len() as u32).to_le_bytes(), (content.len() as u32).to_le_bytes()].concat();
        let length = (name.len() as u16).to_le_bytes();
        out.extend_from_slice(b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0");
        out.extend_from_slice(&sizes);
        out.extend_from_slice(&length);
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(&packed);
        directory.extend_from_slice(b"PK\x01\x02\x14\0\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0");
        // In a ZIP64, numbers that don't fit are in a field behind the name.
        let zip64 = [&b"\x01\0\x08\0"[..], &u64::from(at).to_le_bytes()].concat();
        directory.extend_from_slice(&sizes);
        directory.extend_from_slice(&length);
        directory.extend_from_slice(&[if is_far { zip64.len() as u8 } else { 0 }, 0]);
        directory.extend_from_slice(&[0; 10]);
        directory.extend_from_slice(&if is_far { u32::MAX } else { at }.to_le_bytes());
        directory.extend_from_slice(name.as_bytes());
        if is_far {
            directory.extend_from_slice(&zip64);
        }
    }
    let at = out.len() as u64;
    let count = (parts.len() as u16).to_le_bytes();
    out.extend_from_slice(&directory);
    let record = out.len() as u64;
    if is_far {
        out.extend_from_slice(b"PK\x06\x06\x2c\0\0\0\0\0\0\0\x2d\0\x2d\0\0\0\0\0\0\0\0\0");
        let count = (parts.len() as u64).to_le_bytes();
        out.extend_from_slice(
            &[count, count, (directory.len() as u64).to_le_bytes(), at.to_le_bytes()].concat(),
        );
        out.extend_from_slice(b"PK\x06\x07\0\0\0\0");
        out.extend_from_slice(&record.to_le_bytes());
        out.extend_from_slice(&[1, 0, 0, 0]);
    }
    out.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    out.extend_from_slice(&[count, count].concat());
    out.extend_from_slice(&if is_far { u32::MAX } else { directory.len() as u32 }.to_le_bytes());
    out.extend_from_slice(&if is_far { u32::MAX } else { at as u32 }.to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    out
}

const WORD: &str = "wordprocessingml.document.main+xml";
const SHEET: &str = "spreadsheetml.sheet.main+xml";

/// The content types of a package whose part `name` is of this kind.
fn types(name: &str, kind: &str) -> String {
    let kind = format!("application/vnd.openxmlformats-officedocument.{kind}");
    format!("<?xml version='1.0'?><Types><Override PartName=\"/{name}\" ContentType=\"{kind}\"/></Types>")
}

fn relations(target: &str) -> String {
    let kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument";
    format!("<Relationships><Relationship Id='r1' Type='{kind}' Target='{target}'/></Relationships>")
}

/// A compound file with the streams `root` in its root, and `within` in a storage beside them.
pub(super) fn ole(root: &[&str], within: &[&str]) -> Vec<u8> {
    let mut names = vec![("Root Entry", 5_u8, None)];
    let sibling = |index: usize, last: usize| (index < last).then_some(index as u32 + 1);
    let last = root.len() + usize::from(!within.is_empty());
    for (index, name) in root.iter().enumerate() {
        names.push((name, 2, sibling(index + 1, last)));
    }
    if !within.is_empty() {
        names.push(("ObjectPool", 1, None));
        for (index, name) in within.iter().enumerate() {
            names.push((name, 2, sibling(last + index + 1, last + within.len())));
        }
    }
    let mut directory = Vec::new();
    for (index, (name, kind, right)) in names.into_iter().enumerate() {
        let units: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut entry = units.clone();
        entry.resize(64, 0);
        entry.extend_from_slice(&(units.len() as u16 + 2).to_le_bytes());
        entry.extend_from_slice(&[kind, 1]);
        let child = match kind {
            5 => Some(1),
            1 => Some(index as u32 + 1),
            _ => None,
        };
        for number in [None, right, child] {
            entry.extend_from_slice(&number.unwrap_or(u32::MAX).to_le_bytes());
        }
        entry.resize(128, 0);
        directory.extend_from_slice(&entry);
    }
    directory.resize(directory.len().next_multiple_of(512), 0);
    compound(&directory, 1)
}

/// A compound file with this directory, whose first sector is `first`. Sector 0 is the table sector that
/// leads through it, named by the header or, from sector 109 * 128 on, by the sector behind the directory.
fn compound(directory: &[u8], first: u32) -> Vec<u8> {
    let sectors = (directory.len() / 512) as u32;
    let after = first + sectors;
    let mut header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
    header.resize(30, 0);
    header.extend_from_slice(&[9, 0]);
    header.resize(48, 0);
    header.extend_from_slice(&first.to_le_bytes());
    header.resize(68, 0);
    header.extend_from_slice(&after.to_le_bytes());
    header.resize(512, 0);
    let mut table = vec![0_u8; 512];
    let place = (first % 128 * 4) as usize;
    for number in 0..sectors {
        let next = if number + 1 == sectors { 0xffff_fffe } else { first + number + 1 };
        let at = place + number as usize * 4;
        table[at..at + 4].copy_from_slice(&next.to_le_bytes());
    }
    let mut out = header;
    out.extend_from_slice(&table);
    out.resize(512 * (first as usize + 1), 0);
    out.extend_from_slice(directory);
    // Its first number is that of sector 0.
    out.resize(out.len() + 512, 0);
    out
}

#[tokio::test]
async fn embedded_documents_do_not_change_the_format() {
    let desk = Desk::new();
    let many: Vec<String> = (0..40).map(|number| format!("{number}Table")).collect();
    let mut streams: Vec<&str> = many.iter().map(String::as_str).collect();
    streams.push("WordDocument");
    let table: &[(&str, Vec<u8>, bool)] = &[
        ("a sheet in a .doc", ole(&["WordDocument", "1Table"], &["Workbook"]), true),
        ("slides in a .doc", ole(&["WordDocument"], &["PowerPoint Document"]), true),
        ("a directory of several sectors", ole(&streams, &[]), true),
        ("a document in a sheet", ole(&["Workbook"], &["WordDocument"]), false),
        ("slides", ole(&["PowerPoint Document"], &[]), false),
        ("something else", ole(&["Contents"], &[]), false),
        ("an empty root", ole(&[], &[]), false),
        ("its first bytes", ole(&["WordDocument"], &[])[..100].to_vec(), false),
    ];
    for (case, bytes, is_taken) in table {
        let result = desk.receives("offer.doc", bytes).await;
        assert_eq!(result.is_ok(), *is_taken, "{case}: {result:?}");
    }
}

#[tokio::test]
async fn a_zip64_directory_is_found() {
    let desk = Desk::new();
    let streams = ["a", "b", "c", "d", "e", "f", "g", "WordDocument"];
    let directory = &ole(&streams, &[])[1024..1024 + 3 * 512];
    let stored = desk.receives("large.doc", &compound(directory, 109 * 128)).await;
    assert_eq!(stored.expect("stored").content_type, "application/msword");
}

#[tokio::test]
async fn a_corrupt_compound_file_is_rejected_without_looping() {
    let desk = Desk::new();
    let whole = ole(&["Contents", "Other"], &[]);
    // Each sector of the directory follows itself, and each entry is its own sibling.
    let mut around = whole.clone();
    around[512 + 4..512 + 8].copy_from_slice(&1_u32.to_le_bytes());
    around[1024 + 128 + 68..1024 + 128 + 72].copy_from_slice(&1_u32.to_le_bytes());
    assert!(desk.receives("a.doc", &around).await.is_err());
    for at in (0..76).chain(512..520).chain(1024..1400).step_by(3) {
        let mut bent = whole.clone();
        bent[at] ^= 0xff;
        assert!(desk.receives("a.doc", &bent).await.is_err(), "{at}");
    }
    desk.keeps(0).await;
}

#[tokio::test]
async fn the_name_decides_the_format_of_an_encrypted_document() {
    let desk = Desk::new();
    let sealed = ole(&["EncryptionInfo", "EncryptedPackage"], &[]);
    for (name, kept) in [
        ("a.xlsx", Some(("a.xlsx", FileFormat::Xlsx))),
        ("a.docx", Some(("a.docx", FileFormat::Docx))),
        ("a.xls", Some(("a.xlsx", FileFormat::Xlsx))),
        ("a.pdf", None),
        ("a", None),
    ] {
        let stored = desk.receives(name, &sealed).await.ok();
        let stored = stored.as_ref().map(|stored| (stored.name.as_str(), stored.content_type));
        assert_eq!(stored, kept.map(|(name, format)| (name, format.content_type())), "{name}");
    }
    assert!(desk.receives("a.xlsx", &ole(&["EncryptedPackage"], &[])).await.is_err());
    assert!(desk.receives("a.xlsx", &ole(&["WordDocument"], &["EncryptedPackage"])).await.is_err());
}

#[tokio::test]
async fn the_relationships_name_the_main_part_of_a_package() {
    let desk = Desk::new();
    let package = |name: &str, kind: &str, target: &str, entry: &str| {
        let (types, relations) = (types(name, kind), relations(target));
        zip_of(&[("[Content_Types].xml", &types), ("_rels/.rels", &relations), (entry, "<x/>")], false)
    };
    let online = package("word/document2.xml", WORD, "word/document2.xml", "word/document2.xml");
    let default = {
        let kind = format!("application/vnd.openxmlformats-officedocument.{WORD}");
        let types = format!("<ns0:Types><ns0:Default Extension='XML' ContentType='{kind}'/></ns0:Types>");
        let relations = relations("./word/document.xml");
        zip_of(
            &[("[content_types].xml", &types), ("/_rels/.rels", &relations), ("Word\\Document.xml", "")],
            false,
        )
    };
    let zip64 = {
        let types = types("word/document.xml", WORD);
        zip_of(&[("[Content_Types].xml", &types), ("word/document.xml", "<x/>")], true)
    };
    let bomb = {
        let types = " ".repeat(8 << 20) + &types("word/document.xml", WORD);
        zip_of(&[("[Content_Types].xml", &types), ("word/document.xml", "<x/>")], false)
    };
    let macros = "application/vnd.ms-word.document.macroEnabled.main+xml";
    let macros = types("word/document.xml", WORD)
        .replace(&format!("application/vnd.openxmlformats-officedocument.{WORD}"), macros);
    let macros = zip_of(
        &[
            ("[Content_Types].xml", &macros),
            ("_rels/.rels", &relations("word/document.xml")),
            ("word/document.xml", ""),
        ],
        false,
    );
    let padded = |end: &[u8]| [zip(DOCX), end.to_vec()].concat();
    let mut commented = zip(DOCX);
    let comment = commented.len() - 2;
    commented.splice(comment.., *b"\x05\0hello");
    let table: &[(&str, Vec<u8>, bool)] = &[
        ("as Word Online names it", online, true),
        (
            "from the root",
            package("word/document.xml", WORD, "/word/document.xml", "/word/document.xml"),
            true,
        ),
        (
            "with backslashes",
            package("word/document.xml", WORD, "word/document.xml", "word\\document.xml"),
            true,
        ),
        ("declared by its extension, in other cases", default, true),
        (
            "without relations to it",
            package("word/document.xml", WORD, "word/other.xml", "word/document.xml"),
            true,
        ),
        ("a ZIP64", zip64, true),
        ("with a comment", commented, true),
        ("with padding", padded(&[0; 600]), true),
        ("with a line end", padded(b"\r\n"), true),
        ("with html behind", padded(b"<script>alert(1)</script>"), false),
        ("cut off", zip(DOCX)[..80].to_vec(), false),
        ("its first bytes", b"PK\x03\x04".to_vec(), false),
        ("an empty zip", zip(&[]), false),
        ("any zip", zip(&["[Content_Types].xml", "readme.txt"]), false),
        (
            "named, but not there",
            package("word/document.xml", WORD, "word/document.xml", "word/x.xml"),
            false,
        ),
        ("a sheet", package("word/document.xml", SHEET, "word/document.xml", "word/document.xml"), false),
        (
            "slides",
            package("ppt/p.xml", "presentationml.presentation.main+xml", "ppt/p.xml", "ppt/p.xml"),
            false,
        ),
        ("with macros", macros, false),
        ("more types than anyone has", bomb, false),
    ];
    for (case, bytes, is_taken) in table {
        let result = desk.receives("a.docx", bytes).await;
        assert_eq!(result.is_ok(), *is_taken, "{case}: {result:?}");
    }
    let named = package("any/where.xml", SHEET, "any/where.xml", "any/where.xml");
    assert_eq!(
        desk.receives("a.xlsx", &named).await.expect("stored").content_type,
        FileFormat::Xlsx.content_type()
    );
}

#[tokio::test]
async fn a_package_corrupted_anywhere_is_accepted_or_rejected() {
    let desk = Desk::new();
    let types = types("word/document.xml", WORD);
    for is_far in [false, true] {
        let whole = zip_of(&[("[Content_Types].xml", &types), ("word/document.xml", "")], is_far);
        for at in (0..whole.len()).step_by(3) {
            let mut bent = whole.clone();
            bent[at] ^= 0xff;
            for bytes in [&bent[..], &whole[..at]] {
                drop(desk.receives("a.docx", bytes).await);
            }
        }
    }
}
