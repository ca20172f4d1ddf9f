//! Images as cameras, editors and attackers create them.

use std::io::{Cursor, Write as _};

use flate2::{Compression, write::ZlibEncoder};
use image::{
    DynamicImage, ExtendedColorType, GenericImageView as _, ImageDecoder as _, ImageEncoder as _, Rgb,
    RgbImage,
    codecs::{gif::GifEncoder, jpeg::JpegEncoder, png::PngEncoder},
};

use super::*;

fn image(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([(x * 20) as u8, (y * 20) as u8, 90]))
}

pub(super) fn png() -> Vec<u8> {
    let mut out = Vec::new();
    DynamicImage::from(image(12, 8))
        .write_to(&mut Cursor::new(&mut out), image::ImageFormat::Png)
        .expect("encoded");
    out
}

pub(super) fn gif() -> Vec<u8> {
    let mut out = Vec::new();
    let frame = DynamicImage::from(image(12, 8)).into_rgba8();
    let mut encoder = GifEncoder::new(&mut out);
    for _ in 0..2 {
        encoder.encode_frame(image::Frame::new(frame.clone())).expect("encoded");
    }
    drop(encoder);
    out
}

/// A JPEG of 12 by 8 pixels, with an EXIF block that rotates it by 90 degrees and contains a location.
pub(super) fn photo() -> Vec<u8> {
    photo_turned(6)
}

fn photo_turned(how: u8) -> Vec<u8> {
    let mut exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    exif.extend_from_slice(&[how, 0, 0, 0, 0, 0, 0, 0]);
    exif.extend_from_slice(b"GPS 48.2082 16.3738");
    let mut out = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut out, 90);
    encoder.set_exif_metadata(exif).expect("taken");
    let pixels = image(12, 8);
    encoder.write_image(&pixels, 12, 8, ExtendedColorType::Rgb8).expect("encoded");
    out
}

/// The header and first data of a PNG that claims this size.
pub(super) fn png_claiming(width: u32, height: u32) -> Vec<u8> {
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

#[tokio::test]
async fn a_decompression_bomb_is_detected_by_its_header() {
    let desk = Desk::new();
    let result = desk.receives("a.png", &png_claiming(7_072, 7_071)).await;
    assert!(matches!(result, Err(UploadError::Refused(reason)) if reason.contains("megapixels")));
    let result = desk.receives("a.png", &png_claiming(7_071, 7_071)).await;
    assert!(matches!(result, Err(UploadError::Refused(reason)) if reason.contains("read")));
}

#[tokio::test]
async fn a_photo_loses_its_location_and_keeps_its_orientation() {
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

/// A JPEG of 12 by 8 pixels without metadata.
pub(super) fn jpeg() -> Vec<u8> {
    let mut out = Vec::new();
    let pixels = image(12, 8);
    let encoder = JpegEncoder::new_with_quality(&mut out, 90);
    encoder.write_image(&pixels, 12, 8, ExtendedColorType::Rgb8).expect("encoded");
    out
}

#[tokio::test]
async fn image_data_is_unchanged_and_metadata_is_removed() {
    let desk = Desk::new();
    let text = chunk(b"tEXt", b"GPS\0place!");
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
        ("a.png", bare_png[..bare_png.len() - 12].to_vec(), &bare_png),
        ("a.png", bare_png[..bare_png.len() - 5].to_vec(), &bare_png),
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
fn an_image_corrupted_anywhere_is_accepted_or_rejected() {
    for (format, bytes) in [(FileFormat::Png, png()), (FileFormat::Jpeg, jpeg()), (FileFormat::Gif, gif())] {
        for at in 0..bytes.len() {
            let mut bent = bytes.clone();
            bent[at] ^= 0xff;
            for bytes in [&bent[..], &bytes[..at]] {
                if let Ok(kept) = image_sanitizer::sanitize(format, bytes) {
                    // The end of a truncated image; that of a PNG has twelve bytes.
                    assert!(kept.len() <= bytes.len() + 12, "{format:?} at {at}");
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
        let pixels = image(12, 8);
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

/// A PNG chunk.
fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut out = [&(data.len() as u32).to_be_bytes()[..], kind, data].concat();
    let sum = crc32(&out[4..]);
    out.extend_from_slice(&sum.to_be_bytes());
    out
}

/// Packed zeros.
fn packed_zeros(megabytes: usize) -> Vec<u8> {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
    for _ in 0..megabytes {
        packed.write_all(&[0; 1 << 20]).expect("packed");
    }
    packed.finish().expect("packed")
}

#[tokio::test]
async fn removed_metadata_is_never_unpacked() {
    let desk = Desk::new();
    let bomb = packed_zeros(32);
    let bare = png();
    for (kind, head) in [(b"iCCP", &b"p\0\0"[..]), (b"zTXt", b"p\0\0"), (b"iTXt", b"p\0\x01\0\0\0")] {
        let mut sent = bare.clone();
        sent.splice(33..33, chunk(kind, &[head, &bomb].concat()));
        let stored = desk.receives("a.png", &sent).await.expect("stored");
        assert!(desk.content(stored.id, None).await == bare, "{}", String::from_utf8_lossy(kind));
    }
}

/// A JPEG whose header claims another size.
fn jpeg_claiming(bytes: Vec<u8>, width: u16, height: u16) -> Vec<u8> {
    let mut bytes = bytes;
    let at = bytes.windows(2).position(|pair| pair == b"\xff\xc0").expect("a frame") + 5;
    bytes[at..at + 2].copy_from_slice(&height.to_be_bytes());
    bytes[at + 2..at + 4].copy_from_slice(&width.to_be_bytes());
    bytes
}

#[tokio::test]
async fn large_photos_pass_without_being_decoded() {
    let desk = Desk::new();
    for (width, height) in [(8_160, 6_144), (16_382, 3_628), (12_000, 9_000), (16_384, 12_288)] {
        let sent = jpeg_claiming(jpeg(), width, height);
        let stored = desk.receives("a.jpg", &sent).await.expect("stored");
        assert!(desk.content(stored.id, None).await == sent, "{width} x {height}");
    }
    let result = desk.receives("a.jpg", &jpeg_claiming(jpeg(), 16_001, 16_001)).await;
    assert!(matches!(result, Err(UploadError::Refused(reason)) if reason.contains("megapixels")));
}

#[tokio::test]
async fn a_photo_too_large_to_rotate_keeps_only_its_orientation() {
    let desk = Desk::new();
    let sent = jpeg_claiming(photo(), 12_000, 9_000);
    let stored = desk.receives("a.jpg", &sent).await.expect("stored");
    let content = desk.content(stored.id, None).await;
    assert!(!content.windows(3).any(|window| window == b"GPS"));
    let mut decoder = image::codecs::jpeg::JpegDecoder::new(Cursor::new(content)).expect("a jpeg");
    assert_eq!(decoder.dimensions(), (12_000, 9_000));
    assert_eq!(decoder.orientation().expect("read"), image::metadata::Orientation::Rotate90);
}

#[tokio::test]
async fn a_photo_of_too_many_scans_is_not_decoded() {
    let desk = Desk::new();
    let mut sent = photo();
    let scan = sent.windows(2).position(|pair| pair == b"\xff\xda").expect("a scan");
    let scans = sent[scan..sent.len() - 2].repeat(70);
    sent.splice(scan..sent.len() - 2, scans);
    let stored = desk.receives("a.jpg", &sent).await.expect("stored");
    let content = desk.content(stored.id, None).await;
    assert!(content.windows(4).any(|window| window == b"Exif") && !content.windows(3).any(|w| w == b"GPS"));
}
