//! Uploads as clients and those who mean harm send them.

use std::io::Cursor;

use futures_util::{TryStreamExt as _, stream};
use image::{
    DynamicImage, ExtendedColorType, GenericImageView as _, ImageDecoder as _, ImageEncoder as _, Rgb,
    RgbImage,
    codecs::{gif::GifEncoder, jpeg::JpegEncoder, png::PngEncoder},
};
use tempfile::TempDir;

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
        self.uploads.receive(name, body).await?.keep().await
    }

    async fn content(&self, id: Uuid, range: Option<ByteRange>) -> Vec<u8> {
        let body = self.uploads.open(id, range).await.expect("opened");
        let pieces: Vec<Bytes> = body.stream.try_collect().await.expect("read");
        pieces.concat()
    }

    /// Waits until no file is left under `files/` but `expected`.
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

fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([(x * 20) as u8, (y * 20) as u8, 90]))
}

fn png() -> Vec<u8> {
    let mut out = Vec::new();
    DynamicImage::from(picture(12, 8))
        .write_to(&mut Cursor::new(&mut out), image::ImageFormat::Png)
        .expect("encoded");
    out
}

fn gif() -> Vec<u8> {
    let mut out = Vec::new();
    let frame = DynamicImage::from(picture(12, 8)).into_rgba8();
    let mut encoder = GifEncoder::new(&mut out);
    for _ in 0..2 {
        encoder.encode_frame(image::Frame::new(frame.clone())).expect("encoded");
    }
    drop(encoder);
    out
}

/// A JPEG, 12 by 8, with an EXIF block that turns it by 90 degrees and names a place.
fn photo() -> Vec<u8> {
    photo_turned(6)
}

fn photo_turned(how: u8) -> Vec<u8> {
    let mut exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    exif.extend_from_slice(&[how, 0, 0, 0, 0, 0, 0, 0]);
    exif.extend_from_slice(b"GPS 48.2082 16.3738");
    let mut out = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut out, 90);
    encoder.set_exif_metadata(exif).expect("taken");
    let pixels = picture(12, 8);
    encoder.write_image(&pixels, 12, 8, ExtendedColorType::Rgb8).expect("encoded");
    out
}

/// A PNG's header and first bytes of data, for an image of any size.
fn png_claiming(width: u32, height: u32) -> Vec<u8> {
    let mut out = Vec::new();
    PngEncoder::new(&mut out).write_image(&[0], 1, 1, ExtendedColorType::L8).expect("encoded");
    out[16..20].copy_from_slice(&width.to_be_bytes());
    out[20..24].copy_from_slice(&height.to_be_bytes());
    let sum = crc32(&out[12..29]);
    out[29..33].copy_from_slice(&sum.to_be_bytes());
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg()))
    })
}

/// A ZIP of empty entries.
fn zip(names: &[&str]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for name in names {
        let at = out.len() as u32;
        let length = (name.len() as u16).to_le_bytes();
        out.extend_from_slice(b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        out.extend_from_slice(&length);
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(name.as_bytes());
        directory.extend_from_slice(b"PK\x01\x02\x14\0\x14\0");
        directory.extend_from_slice(&[0; 20]);
        directory.extend_from_slice(&length);
        directory.extend_from_slice(&[0; 12]);
        directory.extend_from_slice(&at.to_le_bytes());
        directory.extend_from_slice(name.as_bytes());
    }
    let at = out.len() as u32;
    let count = (names.len() as u16).to_le_bytes();
    out.extend_from_slice(&directory);
    out.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    out.extend_from_slice(&[count, count].concat());
    out.extend_from_slice(&(directory.len() as u32).to_le_bytes());
    out.extend_from_slice(&at.to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    out
}

/// An OLE file with one directory entry, in its third sector.
fn ole(stream: &str) -> Vec<u8> {
    let mut out = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
    out.resize(3 * 512, 0);
    let name: Vec<u8> = stream.encode_utf16().flat_map(u16::to_le_bytes).collect();
    out.extend_from_slice(&name);
    out.resize(3 * 512 + 64, 0);
    out.extend_from_slice(&(name.len() as u16 + 2).to_le_bytes());
    out.push(2);
    out.resize(4 * 512, 0);
    out
}

const DOCX: &[&str] = &["[Content_Types].xml", "_rels/.rels", "word/document.xml"];
const XLSX: &[&str] = &["[Content_Types].xml", "xl/workbook.xml"];

#[tokio::test]
async fn each_format_is_taken_under_its_own_name() {
    let desk = Desk::new();
    let table: &[(&str, Vec<u8>, &str, Kind)] = &[
        ("a.PNG", png(), "image/png", Kind::Image),
        ("a.jpeg", photo(), "image/jpeg", Kind::Image),
        ("a.gif", gif(), "image/gif", Kind::Image),
        ("a.pdf", b"%PDF-1.7\n%%EOF".to_vec(), "application/pdf", Kind::File),
        ("a.doc", ole("WordDocument"), "application/msword", Kind::File),
        ("a.xls", ole("Workbook"), "application/vnd.ms-excel", Kind::File),
        ("b.doc", ole("Contents"), "application/msword", Kind::File),
        ("a.docx", zip(DOCX), Format::Docx.content_type(), Kind::File),
        ("b.docx", zip(&["word/document.xml"]), Format::Docx.content_type(), Kind::File),
        ("a.xlsx", zip(XLSX), Format::Xlsx.content_type(), Kind::File),
    ];
    for (name, bytes, content_type, kind) in table {
        let stored = desk.receives(name, bytes).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((stored.content_type, stored.kind), (*content_type, *kind), "{name}");
        assert_eq!(stored.name, *name);
        assert_eq!(stored.digest, <[u8; 32]>::from(Sha256::digest(bytes)), "{name}");
        let content = desk.content(stored.id, None).await;
        assert_eq!(content.len() as u64, stored.size, "{name}");
        // But for the photo, which is turned.
        assert_eq!(content == *bytes, *name != "a.jpeg", "{name}");
    }
    desk.keeps(table.len()).await;
}

#[tokio::test]
async fn what_is_not_what_it_says_is_refused_and_leaves_nothing() {
    let desk = Desk::new();
    let html = b"<!doctype html><script>alert(1)</script>".repeat(10);
    let svg = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>".to_vec();
    let mut zip_before_pdf = zip(DOCX);
    zip_before_pdf.splice(0..0, *b"%PDF-1.7\n");
    let trailed = [zip(DOCX), html.clone()].concat();
    let mut cut_gif = gif();
    cut_gif.truncate(cut_gif.len() - 20);
    let mut huge_gif = gif();
    huge_gif[6..10].fill(0xff);
    let table: &[(&str, &str, Vec<u8>)] = &[
        ("html named png", "a.png", html.clone()),
        ("html", "a.html", html.clone()),
        ("svg", "a.svg", svg.clone()),
        ("svg named png", "a.png", svg),
        ("short html named gif", "a.gif", b"<b>".to_vec()),
        ("png named jpg", "a.jpg", png()),
        ("png named pdf", "a.pdf", png()),
        ("truncated png", "a.png", png()[..60].to_vec()),
        ("png of its signature", "a.png", png()[..8].to_vec()),
        ("100,000 x 100,000 pixels", "a.png", png_claiming(100_000, 100_000)),
        ("2^31 pixels wide", "a.png", png_claiming(0x7fff_ffff, 1)),
        ("jpeg of its first bytes", "a.jpg", b"\xff\xd8\xff\xe0".to_vec()),
        ("truncated gif", "a.gif", cut_gif),
        ("gif script", "a.gif", b"GIF89a/*...*/=1;alert(1)//".repeat(4)),
        ("gif of 65,535 x 65,535 pixels", "a.gif", huge_gif),
        ("zip named docx", "a.docx", zip(&["[Content_Types].xml", "readme.txt"])),
        ("sheet named docx", "a.docx", zip(XLSX)),
        ("document named xlsx", "a.xlsx", zip(DOCX)),
        ("zip with html after it", "a.docx", trailed),
        ("zip behind a pdf", "a.docx", zip_before_pdf),
        ("zip cut off", "a.docx", zip(DOCX)[..80].to_vec()),
        ("sheet named doc", "a.doc", ole("Workbook")),
        ("document named xls", "a.xls", ole("WordDocument")),
        ("slides named doc", "a.doc", ole("PowerPoint Document")),
        ("docx named doc", "a.doc", zip(DOCX)),
        ("empty", "a.png", Vec::new()),
        ("no extension", "../../x", png()),
        ("no name", "../..", png()),
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
async fn a_bomb_is_known_by_its_header() {
    let desk = Desk::new();
    let result = desk.receives("a.png", &png_claiming(7_072, 7_071)).await;
    assert!(matches!(result, Err(UploadError::Refused(reason)) if reason.contains("megapixels")));
    let result = desk.receives("a.png", &png_claiming(7_071, 7_071)).await;
    assert!(matches!(result, Err(UploadError::Refused(reason)) if reason.contains("read")));
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
async fn an_upload_is_cut_at_the_limit() {
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
    let error = desk.uploads.receive("big.pdf", body).await.err();
    assert!(matches!(error, Some(UploadError::TooLarge)), "{error:?}");
    assert_eq!(sent, 26 << 20, "no more is read");
    desk.keeps(0).await;
}

#[tokio::test]
async fn an_upload_that_breaks_off_or_is_dropped_leaves_nothing() {
    let desk = Desk::new();
    let part = Bytes::from([&b"%PDF-1.7"[..], &[b' '; 600_000]].concat());
    let broken = stream::iter([Ok(part.clone()), Err(io::Error::other("gone"))]);
    let error = desk.uploads.receive("a.pdf", broken).await.err();
    assert!(matches!(error, Some(UploadError::Interrupted)), "{error:?}");
    let silent = stream::iter([Ok::<_, io::Error>(part)]).chain(stream::pending());
    let upload = desk.uploads.receive("a.pdf", silent);
    let dropped = tokio::time::timeout(std::time::Duration::from_millis(100), upload).await;
    assert!(dropped.is_err());
    desk.keeps(0).await;
}

#[tokio::test]
async fn what_is_not_kept_is_nowhere_and_leaves_nothing() {
    let desk = Desk::new();
    for (name, bytes) in [("a.png", png()), ("a.pdf", b"%PDF-1.7".to_vec())] {
        let body = stream::iter([Ok::<_, io::Error>(Bytes::from(bytes))]);
        let received = desk.uploads.receive(name, body).await.expect("received");
        let opened = desk.uploads.open(received.file().id, None).await;
        assert!(matches!(opened, Err(OpenError::NotFound)), "{name}");
        desk.keeps(1).await;
        drop(received);
        desk.keeps(0).await;
    }
}

#[tokio::test]
async fn a_photo_loses_its_place_and_keeps_its_turn() {
    let desk = Desk::new();
    let sent = [photo(), b"<script>alert(1)</script>".to_vec()].concat();
    let stored = desk.receives("a.jpg", &sent).await.expect("stored");
    let content = desk.content(stored.id, None).await;
    assert_eq!(image::load_from_memory(&content).expect("a jpeg").dimensions(), (8, 12));
    for trace in [&b"Exif"[..], b"GPS", b"script"] {
        assert!(sent.windows(trace.len()).any(|window| window == trace));
        assert!(!content.windows(trace.len()).any(|window| window == trace), "{trace:?}");
    }
}

/// A JPEG, 12 by 8, that is nothing but its picture.
fn jpeg() -> Vec<u8> {
    let mut out = Vec::new();
    let pixels = picture(12, 8);
    let encoder = JpegEncoder::new_with_quality(&mut out, 90);
    encoder.write_image(&pixels, 12, 8, ExtendedColorType::Rgb8).expect("encoded");
    out
}

#[tokio::test]
async fn a_picture_passes_byte_for_byte_and_what_else_the_file_held_is_gone() {
    let desk = Desk::new();
    let mut text = b"\0\0\0\x0atEXtGPS\0place!".to_vec();
    text.extend_from_slice(&crc32(&text[4..]).to_be_bytes());
    let (bare_png, bare_jpeg) = (png(), jpeg());
    let mut told_png = bare_png.clone();
    told_png.splice(33..33, text);
    let mut told_jpeg = bare_jpeg.clone();
    told_jpeg.splice(2..2, *b"\xff\xfe\0\x07place\xff\xed\0\x0bPhotoshop");
    let cut = told_jpeg[..told_jpeg.len() - 2].to_vec();
    let trailed = |bytes: &[u8]| [bytes, b"<script>place</script>"].concat();
    let table = [
        ("a.png", bare_png.clone(), &bare_png),
        ("a.png", trailed(&told_png), &bare_png),
        ("a.jpg", bare_jpeg.clone(), &bare_jpeg),
        ("a.jpg", trailed(&told_jpeg), &bare_jpeg),
        ("a.jpg", cut, &bare_jpeg),
        ("a.jpg", photo_turned(1), &bare_jpeg),
    ];
    for (case, (name, sent, kept)) in table.iter().enumerate() {
        let stored = desk.receives(name, sent).await.unwrap_or_else(|error| panic!("{case}: {error}"));
        let content = desk.content(stored.id, None).await;
        assert!(content == **kept, "{case}: {} bytes for {}", content.len(), kept.len());
        assert_eq!(stored.size, kept.len() as u64, "{case}");
    }
}

#[test]
fn a_picture_bent_at_any_place_is_taken_or_refused() {
    for (format, bytes) in [(Format::Png, png()), (Format::Jpeg, jpeg()), (Format::Gif, gif())] {
        for at in 0..bytes.len() {
            let mut bent = bytes.clone();
            bent[at] ^= 0xff;
            for bytes in [&bent[..], &bytes[..at]] {
                if let Ok(kept) = picture::rewrite(format, bytes) {
                    // Two more end a JPEG that is cut short.
                    assert!(kept.len() <= bytes.len() + 2, "{format:?} at {at}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_colour_profile_is_kept_when_it_fits() {
    let desk = Desk::new();
    for (space, kept) in [(b"RGB ", true), (b"CMYK", false)] {
        let mut profile = vec![0; 128];
        profile[16..20].copy_from_slice(space);
        profile[36..40].copy_from_slice(b"acsp");
        let mut sent = Vec::new();
        let mut encoder = PngEncoder::new(&mut sent);
        encoder.set_icc_profile(profile.clone()).expect("taken");
        let pixels = picture(12, 8);
        encoder.write_image(&pixels, 12, 8, ExtendedColorType::Rgb8).expect("encoded");
        let stored = desk.receives("a.png", &sent).await.expect("stored");
        let content = Cursor::new(desk.content(stored.id, None).await);
        let mut decoder = image::codecs::png::PngDecoder::new(content).expect("a png");
        let found = decoder.icc_profile().expect("read");
        assert_eq!(found, kept.then_some(profile), "{space:?}");
    }
}

#[tokio::test]
async fn a_gif_keeps_its_frames_and_loses_the_rest() {
    let desk = Desk::new();
    let mut sent = gif();
    let comment = b"\x21\xfe\x05place\0";
    let xmp = b"\x21\xff\x0bXMP DataXMP\x05place\0";
    sent.splice(sent.len() - 1..sent.len() - 1, [&comment[..], xmp].concat());
    sent.extend_from_slice(b"<script>place</script>");
    let stored = desk.receives("a.gif", &sent).await.expect("stored");
    assert_eq!(desk.content(stored.id, None).await, gif());
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
    assert!(matches!(outside, Err(OpenError::BadRange { size: 15 })));
    desk.uploads.delete(stored.id).await.expect("deleted");
    desk.uploads.delete(stored.id).await.expect("deleted already");
    let gone = desk.uploads.open(stored.id, None).await;
    assert!(matches!(gone, Err(OpenError::NotFound)));
}
