//! Images without what a camera or a program wrote into them beside the picture.
//!
//! The picture itself passes byte for byte ([`super::strip`]), and with it an animation and the colour
//! profile; an image that holds nothing else is stored as it came. A JPEG or GIF that is cut short is taken
//! with what it has, as browsers show it; of a PNG each row is unpacked, to see that it is there.
//!
//! Only one that its EXIF turns is encoded anew, for without that it would lie on its side for whoever
//! doesn't look at that; one that is too large to be decoded here keeps its EXIF's word on the turn.
//! Whatever is unpacked is unpacked from the picture alone, never from what is dropped, and within
//! [`super::limits`].

use std::io::{Cursor, Read as _};

use flate2::read::ZlibDecoder;
use image::{
    DynamicImage, ImageDecoder as _, ImageEncoder, ImageFormat, ImageReader, ImageResult, Limits,
    codecs::jpeg::JpegEncoder, codecs::png::PngEncoder, metadata::Orientation,
};

use super::{
    format::Format,
    limits::{
        DECODED_BYTES_MAX, IMAGE_PIXELS_MAX, JPEG_PIXELS_MAX, JPEG_SCANS_MAX, PNG_CHECK_BYTES_MAX,
        PNG_SIDE_MAX, PROFILE_BYTES_MAX, TURNED_PIXELS_MAX,
    },
    strip,
};

const JPEG_QUALITY: u8 = 90;

/// Why an image can't be taken.
pub(super) type Reason = &'static str;

const UNREADABLE: Reason = "The image can't be read.";
const TOO_LARGE: Reason = "The image has more than 50 megapixels.";
const TOO_LARGE_JPEG: Reason = "The image has more than 256 megapixels.";

/// Rewrites an image; a second or more of work for a large one, so it belongs on a blocking thread.
pub(super) fn rewrite(format: Format, bytes: &[u8]) -> Result<Vec<u8>, Reason> {
    match format {
        Format::Jpeg => rewrite_jpeg(bytes),
        Format::Png => rewrite_png(bytes),
        Format::Gif => rewrite_gif(bytes),
        _ => Err(UNREADABLE),
    }
}

fn rewrite_jpeg(bytes: &[u8]) -> Result<Vec<u8>, Reason> {
    let jpeg = strip::jpeg(bytes).ok_or(UNREADABLE)?;
    let (width, height) = jpeg.size;
    let pixels = pixels(width.into(), height.into());
    if pixels > JPEG_PIXELS_MAX {
        return Err(TOO_LARGE_JPEG);
    }
    if jpeg.orientation == Orientation::NoTransforms {
        return Ok(jpeg.picture);
    }
    let is_cheap = pixels <= TURNED_PIXELS_MAX && jpeg.scans <= JPEG_SCANS_MAX;
    let turned = is_cheap.then(|| turned(ImageFormat::Jpeg, &jpeg.picture, jpeg.orientation, None)).flatten();
    Ok(turned.unwrap_or_else(|| jpeg.with_turn()))
}

fn rewrite_png(bytes: &[u8]) -> Result<Vec<u8>, Reason> {
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
    check_rows(&png.picture).ok_or(UNREADABLE)?;
    if png.orientation == Orientation::NoTransforms {
        return Ok(png.picture);
    }
    let is_cheap = pixels <= TURNED_PIXELS_MAX;
    let turned = is_cheap.then(|| turned(ImageFormat::Png, &png.picture, png.orientation, profile)).flatten();
    Ok(turned.unwrap_or_else(|| png.with_turn()))
}

/// Checks the size that each picture of a GIF claims, and drops what doesn't belong to them.
fn rewrite_gif(bytes: &[u8]) -> Result<Vec<u8>, Reason> {
    let (picture, sizes) = strip::gif(bytes).ok_or(UNREADABLE)?;
    let side = |low, high| u32::from(u16::from_le_bytes([low, high]));
    if sizes.iter().any(|[a, b, c, d]| pixels(side(*a, *b), side(*c, *d)) > IMAGE_PIXELS_MAX) {
        return Err(TOO_LARGE);
    }
    Ok(picture)
}

fn pixels(width: u32, height: u32) -> u64 {
    u64::from(width) * u64::from(height)
}

/// Unpacks each row of a PNG, two at a time in memory.
fn check_rows(picture: &[u8]) -> Option<()> {
    let limits = png::Limits { bytes: PNG_CHECK_BYTES_MAX };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(picture), limits);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info().ok()?;
    while reader.next_row().ok()?.is_some() {}
    Some(())
}

/// Unpacks a colour profile; `None` where it is none, too large, or for other colours: a CMYK one is wrong
/// for what comes out.
fn unpacked_profile(packed: &[u8], has_color: bool) -> Option<Vec<u8>> {
    let mut profile = Vec::new();
    let unpacked = ZlibDecoder::new(packed).take(PROFILE_BYTES_MAX + 1).read_to_end(&mut profile).ok()?;
    (unpacked as u64 <= PROFILE_BYTES_MAX && describes(&profile, has_color)).then_some(profile)
}

/// Whether a colour profile is one, and for colours like these.
fn describes(profile: &[u8], has_color: bool) -> bool {
    let space: &[u8] = if has_color { b"RGB " } else { b"GRAY" };
    profile.get(36..40) == Some(b"acsp") && profile.get(16..20) == Some(space)
}

/// Decodes a stripped picture, turns it, and encodes it anew; `None` where that takes too much, or the
/// picture is broken.
fn turned(
    format: ImageFormat,
    picture: &[u8],
    orientation: Orientation,
    profile: Option<Vec<u8>>,
) -> Option<Vec<u8>> {
    let mut reader = ImageReader::with_format(Cursor::new(picture), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(DECODED_BYTES_MAX);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().ok()?;
    if decoder.total_bytes() > DECODED_BYTES_MAX {
        return None;
    }
    // A JPEG's is in its segments as it is; a PNG's has been unpacked within its limit already.
    let profile = match format {
        ImageFormat::Jpeg => decoder.icc_profile().ok().flatten(),
        _ => profile,
    };
    let mut image = DynamicImage::from_decoder(decoder).ok()?;
    let profile = profile.filter(|profile| describes(profile, image.color().has_color()));
    image.apply_orientation(orientation);
    let mut out = Vec::with_capacity(picture.len());
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
