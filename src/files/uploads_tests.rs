//! Uploads as regular clients and attackers send them.

#[path = "uploads_tests/images.rs"]
mod images;
#[path = "uploads_tests/office.rs"]
mod office;

use futures_util::{TryStreamExt as _, stream};
use tempfile::TempDir;

use self::images::{gif, jpeg, photo, png, png_claiming};
use self::office::{DOCX, XLSX, ole, zip};

use super::*;
use crate::files::limits::UPLOAD_BYTES_MAX_DEFAULT;

struct Desk {
    folder: TempDir,
    uploads: Uploads,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let uploads = Uploads::open_folder(folder.path(), UPLOAD_BYTES_MAX_DEFAULT);
        Self { uploads: uploads.expect("uploads"), folder }
    }

    async fn receives(&self, name: &str, bytes: &[u8]) -> Result<StoredFile, UploadError> {
        let chunks: Vec<_> = bytes.chunks(10_007).map(Bytes::copy_from_slice).collect();
        let body = stream::iter(chunks.into_iter().map(Ok::<_, io::Error>));
        self.uploads.ingest_named(name, body).await?.keep().await
    }

    async fn content(&self, id: Uuid, range: Option<ByteRange>) -> Vec<u8> {
        let body = self.uploads.open(id, range).await.expect("opened");
        let pieces: Vec<Bytes> = body.stream.try_collect().await.expect("read");
        pieces.concat()
    }

    /// Waits until only `expected` files are left under `files/`.
    async fn keeps(&self, expected: usize) {
        for _ in 0..200 {
            if files_under(&self.folder.path().join("files")) == expected {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!("{} files", files_under(&self.folder.path().join("files")));
    }
}

fn files_under(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    entries.map(|entry| if entry.path().is_dir() { files_under(&entry.path()) } else { 1 }).sum()
}

#[tokio::test]
async fn each_format_is_accepted_under_its_own_name() {
    let desk = Desk::new();
    let table: &[(&str, Vec<u8>, &str, AttachmentKind)] = &[
        ("a.PNG", png(), "image/png", AttachmentKind::Image),
        ("a.jpeg", photo(), "image/jpeg", AttachmentKind::Image),
        ("a.gif", gif(), "image/gif", AttachmentKind::Image),
        ("a.pdf", b"%PDF-1.7\n%%EOF".to_vec(), "application/pdf", AttachmentKind::File),
        ("a.doc", ole(&["WordDocument"], &[]), "application/msword", AttachmentKind::File),
        ("a.xls", ole(&["Workbook"], &[]), "application/vnd.ms-excel", AttachmentKind::File),
        ("a.docx", zip(DOCX), FileFormat::Docx.content_type(), AttachmentKind::File),
        ("b.docx", zip(&["word/document.xml"]), FileFormat::Docx.content_type(), AttachmentKind::File),
        ("a.xlsx", zip(XLSX), FileFormat::Xlsx.content_type(), AttachmentKind::File),
        ("a.rtf", b"{\\rtf1 x}".to_vec(), "application/rtf", AttachmentKind::File),
        ("a.txt", "Küche".into(), "text/plain", AttachmentKind::File),
        ("a.csv", b"a;b\r\ncaf\xe9;1\r\n".to_vec(), "text/csv", AttachmentKind::File),
        ("a.webp", b"RIFF\x04\0\0\0WEBP".to_vec(), "image/webp", AttachmentKind::File),
        ("a.HEIC", b"\0\0\0\x14ftypheic\0\0\0\0mif1".to_vec(), "image/heic", AttachmentKind::File),
        ("a.m4a", b"\0\0\0\x14ftypM4A \0\0\0\0isom".to_vec(), "audio/mp4", AttachmentKind::File),
        ("b.m4a", b"\0\0\0\x14ftypmp42\0\0\0\0isom".to_vec(), "audio/mp4", AttachmentKind::File),
        ("a.mp4", b"\0\0\0\x14ftypmp42\0\0\0\0isom".to_vec(), "video/mp4", AttachmentKind::File),
        ("a.mov", b"\0\0\0\x14ftypqt  \0\0\0\0qt  ".to_vec(), "video/quicktime", AttachmentKind::File),
        ("a.mp3", b"ID3\x04\0\0\0\0\0\0".to_vec(), "audio/mpeg", AttachmentKind::File),
        ("a.ogg", b"OggS\0\x02".to_vec(), "audio/ogg", AttachmentKind::File),
    ];
    for (name, bytes, content_type, kind) in table {
        let stored = desk.receives(name, bytes).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((stored.content_type, stored.kind), (*content_type, *kind), "{name}");
        assert_eq!(stored.name, *name);
        assert_eq!(stored.digest, <[u8; 32]>::from(Sha256::digest(bytes)), "{name}");
        let content = desk.content(stored.id, None).await;
        assert_eq!(content.len() as u64, stored.size, "{name}");
        // Except for the photo, which is rotated.
        assert_eq!(content == *bytes, *name != "a.jpeg", "{name}");
    }
    desk.keeps(table.len()).await;
}

#[tokio::test]
async fn a_file_that_claims_another_format_is_rejected_and_leaves_nothing() {
    let desk = Desk::new();
    let html = b"<!doctype html><script>alert(1)</script>".repeat(10);
    let svg = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>".to_vec();
    let mut zip_before_pdf = zip(DOCX);
    zip_before_pdf.splice(0..0, *b"%PDF-1.7\n");
    let mut cut_gif = gif();
    cut_gif.truncate(40);
    let mut huge_gif = gif();
    huge_gif[6..10].fill(0xff);
    let table: &[(&str, &str, Vec<u8>)] = &[
        ("html named png", "a.png", html.clone()),
        ("html", "a.html", html.clone()),
        ("html without an extension", "page", html.clone()),
        ("svg", "a.svg", svg.clone()),
        ("svg named png", "a.png", svg),
        ("short html named gif", "a.gif", b"<b>".to_vec()),
        ("png named pdf", "a.pdf", png()),
        ("pdf named png", "a.png", b"%PDF-1.7".to_vec()),
        ("pdf named hta", "a.hta", b"%PDF-1.7".to_vec()),
        ("pdf after too much", "a.pdf", [&[b'\n'; 1024][..], b"%PDF-1.7"].concat()),
        ("program named txt", "a.txt", b"MZ\x90\0\x03\0".to_vec()),
        ("program that turns into one late", "a.txt", [&[b' '; 2000][..], b"\0"].concat()),
        ("truncated png", "a.png", png()[..60].to_vec()),
        ("png of its signature", "a.png", png()[..8].to_vec()),
        ("100,000 x 100,000 pixels", "a.png", png_claiming(100_000, 100_000)),
        ("2^31 pixels wide", "a.png", png_claiming(0x7fff_ffff, 1)),
        ("jpeg of its first bytes", "a.jpg", b"\xff\xd8\xff\xe0".to_vec()),
        ("gif without a picture", "a.gif", cut_gif),
        ("gif script", "a.gif", b"GIF89a/*...*/=1;alert(1)//".repeat(4)),
        ("gif of 65,535 x 65,535 pixels", "a.gif", huge_gif),
        ("sheet named docx", "a.docx", zip(XLSX)),
        ("document named xlsx", "a.xlsx", zip(DOCX)),
        ("document named png", "a.png", zip(DOCX)),
        ("zip behind a pdf", "a.docx", zip_before_pdf),
        ("sheet named doc", "a.doc", ole(&["Workbook"], &[])),
        ("document named xls", "a.xls", ole(&["WordDocument"], &[])),
        ("avif", "a.heic", b"\0\0\0\x14ftypavif\0\0\0\0mif1".to_vec()),
        ("empty", "a.png", Vec::new()),
        ("extension behind a NUL", "a.png\0.html", png()),
        ("extension turned around", "a.\u{202e}gnp", png()),
        ("long name", &format!("{}.png", "n".repeat(252)), png()),
    ];
    for (case, name, bytes) in table {
        let result = desk.receives(name, bytes).await;
        assert!(matches!(result, Err(UploadError::Refused(_))), "{case}: {result:?}");
    }
    desk.keeps(0).await;
}

#[tokio::test]
async fn a_name_gets_the_extension_of_the_detected_format() {
    let desk = Desk::new();
    let pdf = || b"%PDF-1.4\n<script>x</script>".to_vec();
    // The content, the file's own name, the wanted name, and the outcome.
    let table: &[(Vec<u8>, &str, Option<&str>, &str)] = &[
        (png(), "image_picker_1.jpg", None, "image_picker_1.png"),
        (jpeg(), "b.png", None, "b.jpg"),
        (gif(), "c.jpeg", None, "c.gif"),
        (jpeg(), "d.jfif", None, "d.jpg"),
        (jpeg(), "e.JPEG", None, "e.JPEG"),
        (jpeg(), "blob", None, "blob.jpg"),
        (jpeg(), "blob", Some("kitchen.jpg"), "kitchen.jpg"),
        (jpeg(), "blob", Some("kitchen"), "kitchen.jpg"),
        (jpeg(), "", None, "file.jpg"),
        (jpeg(), "../..", Some("\u{202e}"), "file.jpg"),
        (pdf(), "a.pdf", Some("invoice.hta"), "invoice.hta.pdf"),
        (pdf(), "a.pdf", Some("invoice.pdf.js"), "invoice.pdf.js.pdf"),
        (pdf(), "a.tmp", Some("invoice.pdf"), "invoice.pdf"),
        (pdf(), "Invoice No. 12", None, "Invoice No. 12.pdf"),
        (zip(XLSX), "export.xls", None, "export.xlsx"),
        (zip(DOCX), "letter.doc", None, "letter.docx"),
        (ole(&["WordDocument"], &[]), "letter.docx", None, "letter.doc"),
        (b"{\\rtf1 x}".to_vec(), "letter.doc", None, "letter.rtf"),
        (b"a;b".to_vec(), "meters.csv", Some("Meters, May"), "Meters, May.csv"),
        (b"RIFF\x04\0\0\0WEBP".to_vec(), "a.jpg", None, "a.webp"),
        (b"OggS\0\x02".to_vec(), "PTT-1.opus", None, "PTT-1.ogg"),
    ];
    for (sent, own, wanted, expected) in table {
        let body = stream::iter([Ok::<_, io::Error>(Bytes::from(sent.clone()))]);
        let inspected = desk.uploads.ingest(body).await.unwrap_or_else(|error| panic!("{own}: {error}"));
        let received = inspected.named(own, *wanted).unwrap_or_else(|error| panic!("{own}: {error}"));
        assert_eq!(received.file().name, *expected);
    }
    assert_eq!(
        served_name("invoice.hta", "application/pdf"),
        "invoice.hta.pdf",
        "stored by an earlier version"
    );
}

#[tokio::test]
async fn a_name_is_no_path() {
    let desk = Desk::new();
    let stored = desk.receives("../../../etc/pa\0ss.png", &png()).await.expect("stored");
    assert_eq!(stored.name, "pass.png");
    desk.keeps(1).await;
    assert!(desk.content(stored.id, None).await.starts_with(b"\x89PNG"));
}

#[tokio::test]
async fn an_upload_ends_at_the_size_limit() {
    let desk = Desk::new();
    let mut sent = 0_u64;
    let body = stream::iter((0..30).map(|chunk| {
        sent += 1 << 20;
        let mut bytes = vec![b' '; 1 << 20];
        if chunk == 0 {
            bytes[..5].copy_from_slice(b"%PDF-");
        }
        Ok::<_, io::Error>(Bytes::from(bytes))
    }));
    let error = desk.uploads.ingest_named("big.pdf", body).await.err();
    assert!(matches!(error, Some(UploadError::TooLarge)), "{error:?}");
    assert_eq!(sent, 26 << 20, "no more is read");
    desk.keeps(0).await;
}

#[tokio::test]
async fn an_interrupted_or_dropped_upload_leaves_nothing() {
    let desk = Desk::new();
    let part = Bytes::from([&b"%PDF-1.7"[..], &[b' '; 600_000]].concat());
    let broken = stream::iter([Ok(part.clone()), Err(io::Error::other("gone"))]);
    let error = desk.uploads.ingest_named("a.pdf", broken).await.err();
    assert!(matches!(error, Some(UploadError::Interrupted)), "{error:?}");
    let silent = stream::iter([Ok::<_, io::Error>(part)]).chain(stream::pending());
    let upload = desk.uploads.ingest_named("a.pdf", silent);
    let dropped = tokio::time::timeout(std::time::Duration::from_millis(100), upload).await;
    assert!(dropped.is_err());
    desk.keeps(0).await;
}

#[tokio::test]
async fn an_uncommitted_upload_leaves_nothing() {
    let desk = Desk::new();
    for (name, bytes) in [("a.png", png()), ("a.pdf", b"%PDF-1.7".to_vec())] {
        let body = stream::iter([Ok::<_, io::Error>(Bytes::from(bytes))]);
        let received = desk.uploads.ingest_named(name, body).await.expect("received");
        let opened = desk.uploads.open(received.file().id, None).await;
        assert!(matches!(opened, Err(FileOpenError::NotFound)), "{name}");
        desk.keeps(1).await;
        drop(received);
        desk.keeps(0).await;
    }
}

#[tokio::test]
async fn files_are_opened_in_ranges_and_deleted_twice() {
    let desk = Desk::new();
    let stored = desk.receives("a.pdf", b"%PDF-0123456789").await.expect("stored");
    assert_eq!(desk.content(stored.id, Some(ByteRange::Between(5, 7))).await, b"012");
    assert_eq!(desk.content(stored.id, Some(ByteRange::Last(2))).await, b"89");
    let body = desk.uploads.open(stored.id, Some(ByteRange::From(13))).await.expect("opened");
    assert_eq!((body.size, body.range), (15, 13..15));
    let outside = desk.uploads.open(stored.id, Some(ByteRange::From(15))).await;
    assert!(matches!(outside, Err(FileOpenError::BadRange { size: 15 })));
    desk.uploads.delete(stored.id).await.expect("deleted");
    desk.uploads.delete(stored.id).await.expect("deleted already");
    let gone = desk.uploads.open(stored.id, None).await;
    assert!(matches!(gone, Err(FileOpenError::NotFound)));
}
