//! Pictures of other sites, made small.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::{ImageFormat, ImageReader, Limits};

use crate::files::on_white;

/// The longest side of the small picture: twice what is shown, for dense screens.
const SIDE: u32 = 320;
/// The longest side of a picture that is decoded.
const SIDE_MAX: u32 = 6_000;
/// The memory that decoding may take.
const DECODED_BYTES_MAX: u64 = 64 * 1024 * 1024;
const QUALITY: u8 = 75;
/// The most bytes of the small picture.
const SMALL_BYTES_MAX: usize = 64 * 1024;

/// Encodes a JPEG or PNG again, small and without anything but its pixels. Runs for some 100 ms: on a blocking thread.
pub(super) fn shrink(bytes: &[u8]) -> Option<Vec<u8>> {
    let format = image::guess_format(bytes).ok()?;
    if !matches!(format, ImageFormat::Jpeg | ImageFormat::Png) {
        return None;
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(DECODED_BYTES_MAX);
    (limits.max_image_width, limits.max_image_height) = (Some(SIDE_MAX), Some(SIDE_MAX));
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let picture = reader.decode().ok()?.thumbnail(SIDE, SIDE);
    let mut small = Vec::new();
    JpegEncoder::new_with_quality(&mut small, QUALITY).encode_image(&on_white(&picture)).ok()?;
    (small.len() <= SMALL_BYTES_MAX).then_some(small)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{DynamicImage, ImageFormat, RgbaImage};

    use super::shrink;

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let picture = DynamicImage::from(RgbaImage::new(width, height));
        picture.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).expect("a picture");
        bytes
    }

    #[test]
    fn a_picture_becomes_a_small_jpeg_on_white() {
        let small = shrink(&png(1_000, 500)).expect("a picture");
        let small = image::load_from_memory_with_format(&small, ImageFormat::Jpeg).expect("a JPEG").to_rgb8();
        assert_eq!((small.width(), small.height()), (320, 160));
        assert!(small.get_pixel(100, 100).0.iter().all(|part| *part > 250));
    }

    #[test]
    fn what_is_no_picture_or_too_large_is_left_out() {
        assert_eq!(shrink(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), None);
        assert_eq!(shrink(&png(7_000, 1)), None);
        assert_eq!(shrink(&png(10, 10)[..40]), None);
    }
}
