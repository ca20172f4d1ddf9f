//! Makes pictures smaller, within limits.

use std::io::Cursor;

use bytes::Bytes;
use image::{
    DynamicImage, ImageDecoder as _, ImageEncoder as _, ImageFormat, ImageReader, Limits, RgbImage,
    codecs::jpeg::JpegEncoder, metadata::Orientation,
};

use super::format::FileFormat;
use super::image_sanitizer::describes;
use super::limits::{DECODED_BYTES_MAX, JPEG_SCANS_MAX, PREVIEWED_PIXELS_MAX};
use super::preview_size::PreviewSize;
use super::strip;

const JPEG_QUALITY: u8 = 80;

/// The size of a picture as it is shown, width first, by its headers alone.
pub(super) fn shown_size(format: FileFormat, bytes: &[u8]) -> Option<(u32, u32)> {
    let (size, orientation) = match format {
        FileFormat::Jpeg => {
            let jpeg = strip::jpeg(bytes)?;
            ((jpeg.size.0.into(), jpeg.size.1.into()), jpeg.orientation)
        }
        FileFormat::Png => {
            let png = strip::png(bytes)?;
            (png.size, png.orientation)
        }
        FileFormat::Gif => {
            let side =
                |at: usize| Some(u32::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?)));
            ((side(6)?, side(8)?), Orientation::NoTransforms)
        }
        _ => return None,
    };
    let (width, height) = size;
    Some(if is_sideways(orientation) { (height, width) } else { (width, height) })
}

fn is_sideways(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate90FlipH | Rotate270 | Rotate270FlipH)
}

/// Whether a picture of that size is worth serving in smaller ones, and can be.
pub(super) fn has_previews(format: FileFormat, (width, height): (u32, u32)) -> bool {
    let is_still = matches!(format, FileFormat::Jpeg | FileFormat::Png);
    let is_large = width.max(height) > PreviewSize::Small.side();
    is_still && is_large && u64::from(width) * u64::from(height) <= PREVIEWED_PIXELS_MAX
}

/// Makes a JPEG of at most `side` pixels on each side, as the picture is shown. `None`: it isn't larger, it exceeds the
/// limits, or it is broken. Runs for some 100 ms: on a blocking thread.
pub(super) fn shrink(stored: &[u8], side: u32) -> Option<Bytes> {
    let (format, size, orientation) = if stored.starts_with(b"\xff\xd8") {
        let jpeg = strip::jpeg(stored).filter(|jpeg| jpeg.scans <= JPEG_SCANS_MAX)?;
        (ImageFormat::Jpeg, (jpeg.size.0.into(), jpeg.size.1.into()), jpeg.orientation)
    } else {
        let png = strip::png(stored)?;
        (ImageFormat::Png, png.size, png.orientation)
    };
    let (width, height): (u32, u32) = size;
    if width.max(height) <= side || u64::from(width) * u64::from(height) > PREVIEWED_PIXELS_MAX {
        return None;
    }
    let mut reader = ImageReader::with_format(Cursor::new(stored), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(DECODED_BYTES_MAX);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().ok()?;
    if decoder.total_bytes() > DECODED_BYTES_MAX {
        return None;
    }
    // The profile of a PNG is packed, and could be large.
    let profile = if format == ImageFormat::Jpeg { decoder.icc_profile().ok().flatten() } else { None };
    let mut small = DynamicImage::from_decoder(decoder).ok()?.thumbnail(side, side);
    small.apply_orientation(orientation);
    let mut out = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut out, JPEG_QUALITY);
    if let Some(profile) = profile.filter(|profile| describes(profile, true)) {
        encoder.set_icc_profile(profile).ok()?;
    }
    on_white(&small).write_with_encoder(encoder).ok()?;
    Some(out.into())
}

/// The picture without transparency, which JPEG doesn't have.
pub(crate) fn on_white(picture: &DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.to_rgb8();
    }
    let pixels = picture.to_rgba8();
    let over = |part: u8, alpha: u8| {
        let (part, alpha) = (u32::from(part), u32::from(alpha));
        u8::try_from((part * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX)
    };
    RgbImage::from_fn(pixels.width(), pixels.height(), |x, y| {
        let [red, green, blue, alpha] = pixels.get_pixel(x, y).0;
        image::Rgb([over(red, alpha), over(green, alpha), over(blue, alpha)])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The left half is red, the right one blue; on its side by its EXIF data.
    fn turned_jpeg(width: u32, height: u32) -> Vec<u8> {
        let mut exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
        exif.extend_from_slice(&[6, 0, 0, 0, 0, 0, 0, 0]);
        let mut out = Vec::new();
        let mut encoder = JpegEncoder::new_with_quality(&mut out, 90);
        encoder.set_exif_metadata(exif).expect("taken");
        let picture = RgbImage::from_fn(width, height, |x, _| {
            image::Rgb(if x < width / 2 { [255, 0, 0] } else { [0, 0, 255] })
        });
        picture.write_with_encoder(encoder).expect("encoded");
        out
    }

    #[test]
    fn a_picture_is_turned_as_it_is_shown() {
        let stored = turned_jpeg(600, 400);
        assert_eq!(shown_size(FileFormat::Jpeg, &stored), Some((400, 600)));
        let small = shrink(&stored, 300).expect("smaller");
        let small = image::load_from_memory_with_format(&small, ImageFormat::Jpeg).expect("a JPEG").to_rgb8();
        assert_eq!(small.dimensions(), (200, 300));
        let (top, bottom) = (small.get_pixel(100, 20).0, small.get_pixel(100, 280).0);
        assert!(top[0] > 200 && bottom[2] > 200, "{top:?} {bottom:?}");
    }

    #[test]
    fn what_is_broken_is_not_made_smaller() {
        let mut cut = turned_jpeg(600, 400);
        cut.truncate(300);
        assert!(shrink(&cut, 300).is_none());
        assert!(shrink(b"", 300).is_none());
    }

    #[test]
    fn what_is_too_large_to_decode_has_no_smaller_size() {
        assert!(has_previews(FileFormat::Jpeg, (4_000, 4_000)));
        assert!(!has_previews(FileFormat::Jpeg, (4_001, 4_000)));
        assert!(!has_previews(FileFormat::Gif, (400, 400)));
        assert!(!has_previews(FileFormat::Png, (320, 320)));
    }
}
