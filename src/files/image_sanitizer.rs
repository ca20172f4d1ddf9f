//! Removes metadata from images.
//!
//! The image data passes unchanged ([`super::strip`]), including animation and colour profile; an image
//! without metadata is stored as it was sent. A truncated JPEG or GIF is kept as far as it goes, as browsers
//! show it. Every row of a PNG is unpacked to check that it is complete.
//!
//! Only an image that its EXIF data rotates is encoded again, because without that data it would be shown on
//! its side. One that is too large to decode keeps the orientation in a minimal EXIF block. Only image data
//! is ever unpacked, never the metadata, and always within [`super::limits`].

use std::io::{Cursor, Read as _};

use flate2::read::ZlibDecoder;
use image::{
    DynamicImage, ImageDecoder as _, ImageEncoder, ImageFormat, ImageReader, ImageResult, Limits,
    codecs::jpeg::JpegEncoder, codecs::png::PngEncoder, metadata::Orientation,
};

use super::{
    Rejection,
    format::FileFormat,
    limits::{
        DECODED_BYTES_MAX, IMAGE_PIXELS_MAX, JPEG_PIXELS_MAX, JPEG_SCANS_MAX, PNG_CHECK_BYTES_MAX,
        PNG_SIDE_MAX, PROFILE_BYTES_MAX, ROTATED_PIXELS_MAX,
    },
    strip,
};

const JPEG_QUALITY: u8 = 90;

const UNREADABLE: Rejection = "The image can't be read.";
const TOO_LARGE: Rejection = "The image has more than 50 megapixels.";
const TOO_LARGE_JPEG: Rejection = "The image has more than 256 megapixels.";

/// Sanitizes an image. A large one takes a second or more, so this must run on a blocking thread.
pub(super) fn sanitize(format: FileFormat, bytes: &[u8]) -> Result<Vec<u8>, Rejection> {
    match format {
        FileFormat::Jpeg => sanitize_jpeg(bytes),
        FileFormat::Png => sanitize_png(bytes),
        FileFormat::Gif => sanitize_gif(bytes),
        _ => Err(UNREADABLE),
    }
}

fn sanitize_jpeg(bytes: &[u8]) -> Result<Vec<u8>, Rejection> {
    let jpeg = strip::jpeg(bytes).ok_or(UNREADABLE)?;
    let (width, height) = jpeg.size;
    let pixels = pixels(width.into(), height.into());
    if pixels > JPEG_PIXELS_MAX {
        return Err(TOO_LARGE_JPEG);
    }
    if jpeg.orientation == Orientation::NoTransforms {
        return Ok(jpeg.image);
    }
    let is_cheap = pixels <= ROTATED_PIXELS_MAX && jpeg.scans <= JPEG_SCANS_MAX;
    let rotated = is_cheap.then(|| rotated(ImageFormat::Jpeg, &jpeg.image, jpeg.orientation, None)).flatten();
    Ok(rotated.unwrap_or_else(|| jpeg.with_orientation()))
}

fn sanitize_png(bytes: &[u8]) -> Result<Vec<u8>, Rejection> {
    let mut png = strip::png(bytes).ok_or(UNREADABLE)?;
    let (width, height) = png.size;
    let pixels = pixels(width, height);
    if pixels > IMAGE_PIXELS_MAX || width.max(height) > PNG_SIDE_MAX {
        return Err(TOO_LARGE);
    }
    let profile = png.profile().and_then(|packed| unpacked_profile(packed, png.has_color));
    if profile.is_some() {
        png.keep_profile();
    }
    check_rows(&png.image).ok_or(UNREADABLE)?;
    if png.orientation == Orientation::NoTransforms {
        return Ok(png.image);
    }
    let is_cheap = pixels <= ROTATED_PIXELS_MAX;
    let rotated = is_cheap.then(|| rotated(ImageFormat::Png, &png.image, png.orientation, profile)).flatten();
    Ok(rotated.unwrap_or_else(|| png.with_orientation()))
}

/// Checks the claimed size of each image in a GIF, and removes everything else.
fn sanitize_gif(bytes: &[u8]) -> Result<Vec<u8>, Rejection> {
    let (image, sizes) = strip::gif(bytes).ok_or(UNREADABLE)?;
    let side = |low, high| u32::from(u16::from_le_bytes([low, high]));
    if sizes.iter().any(|[a, b, c, d]| pixels(side(*a, *b), side(*c, *d)) > IMAGE_PIXELS_MAX) {
        return Err(TOO_LARGE);
    }
    Ok(image)
}

fn pixels(width: u32, height: u32) -> u64 {
    u64::from(width) * u64::from(height)
}

/// Unpacks every row of a PNG, with two rows in memory.
fn check_rows(image: &[u8]) -> Option<()> {
    let limits = png::Limits { bytes: PNG_CHECK_BYTES_MAX };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(image), limits);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info().ok()?;
    while reader.next_row().ok()?.is_some() {}
    Some(())
}

/// Unpacks a colour profile; `None` if it is invalid, too large, or for another colour space. A CMYK profile
/// doesn't fit the decoded image.
fn unpacked_profile(packed: &[u8], has_color: bool) -> Option<Vec<u8>> {
    let mut profile = Vec::new();
    let unpacked = ZlibDecoder::new(packed).take(PROFILE_BYTES_MAX + 1).read_to_end(&mut profile).ok()?;
    (unpacked as u64 <= PROFILE_BYTES_MAX && describes(&profile, has_color)).then_some(profile)
}

/// Whether the profile is valid and for this colour space.
pub(super) fn describes(profile: &[u8], has_color: bool) -> bool {
    let space: &[u8] = if has_color { b"RGB " } else { b"GRAY" };
    profile.get(36..40) == Some(b"acsp") && profile.get(16..20) == Some(space)
}

/// Decodes a stripped image, rotates it, and encodes it again; `None` if that exceeds the limits, or the
/// image is broken.
fn rotated(
    format: ImageFormat,
    stripped: &[u8],
    orientation: Orientation,
    profile: Option<Vec<u8>>,
) -> Option<Vec<u8>> {
    let mut reader = ImageReader::with_format(Cursor::new(stripped), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(DECODED_BYTES_MAX);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().ok()?;
    if decoder.total_bytes() > DECODED_BYTES_MAX {
        return None;
    }
    // The profile of a JPEG is still in its segments; that of a PNG has already been unpacked within its
    // limit.
    let profile = match format {
        ImageFormat::Jpeg => decoder.icc_profile().ok().flatten(),
        _ => profile,
    };
    let mut image = DynamicImage::from_decoder(decoder).ok()?;
    let profile = profile.filter(|profile| describes(profile, image.color().has_color()));
    image.apply_orientation(orientation);
    let mut out = Vec::with_capacity(stripped.len());
    match format {
        ImageFormat::Jpeg => encode(&image, JpegEncoder::new_with_quality(&mut out, JPEG_QUALITY), profile),
        _ => encode(&image, PngEncoder::new(&mut out), profile),
    }
    .ok()?;
    Some(out)
}

fn encode<E: ImageEncoder>(
    image: &DynamicImage,
    mut encoder: E,
    profile: Option<Vec<u8>>,
) -> ImageResult<()> {
    if let Some(profile) = profile {
        encoder.set_icc_profile(profile).map_err(image::ImageError::Unsupported)?;
    }
    image.write_with_encoder(encoder)
}
