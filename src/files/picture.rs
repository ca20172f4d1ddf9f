//! Images without what a camera or a program wrote into them beside the picture.
//!
//! The picture itself passes byte for byte ([`super::strip`]), and with it an animation and the colour
//! profile; an image that holds nothing else is stored as it came. Only one that its EXIF turns is encoded
//! anew, for without that it would lie on its side. JPEG and PNG are decoded in any case, to see that they
//! are what they say; a JPEG that is cut short is taken with what it has, as browsers show it, a PNG or GIF
//! isn't.

use std::io::Cursor;

use image::{
    ColorType, DynamicImage, ImageDecoder as _, ImageEncoder, ImageFormat, ImageReader, ImageResult, Limits,
    codecs::jpeg::JpegEncoder, codecs::png::PngEncoder, metadata::Orientation,
};

use super::{
    format::Format,
    limits::{DECODED_BYTES_MAX, IMAGE_PIXELS_MAX},
    strip,
};

const JPEG_QUALITY: u8 = 90;

/// Why an image can't be taken.
pub(super) type Reason = &'static str;

const UNREADABLE: Reason = "The image can't be read.";
const TOO_LARGE: Reason = "The image has more than 50 megapixels.";

/// Rewrites an image; a second or more of work for a large one, so it belongs on a blocking thread.
pub(super) fn rewrite(format: Format, bytes: &[u8]) -> Result<Vec<u8>, Reason> {
    match format {
        Format::Jpeg => without_metadata(ImageFormat::Jpeg, bytes),
        Format::Png => without_metadata(ImageFormat::Png, bytes),
        Format::Gif => strip_gif(bytes),
        _ => Err(UNREADABLE),
    }
}

fn without_metadata(format: ImageFormat, bytes: &[u8]) -> Result<Vec<u8>, Reason> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(DECODED_BYTES_MAX);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|_| UNREADABLE)?;
    let (width, height) = decoder.dimensions();
    if pixels(width, height) > IMAGE_PIXELS_MAX || decoder.total_bytes() > DECODED_BYTES_MAX {
        return Err(TOO_LARGE);
    }
    // Broken metadata doesn't make a picture unreadable; it is dropped in any case.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let profile = decoder.icc_profile().ok().flatten();
    let mut image = DynamicImage::from_decoder(decoder).map_err(|_| UNREADABLE)?;
    let fits = |profile: &Vec<u8>| describes(profile, image.color());
    if orientation == Orientation::NoTransforms {
        let picture = match format {
            ImageFormat::Jpeg => strip::jpeg(bytes),
            _ => strip::png(bytes, profile.as_ref().is_some_and(fits)),
        };
        return picture.ok_or(UNREADABLE);
    }
    let profile = profile.filter(fits);
    image.apply_orientation(orientation);
    let mut out = Vec::with_capacity(bytes.len());
    match format {
        ImageFormat::Jpeg => encode(&image, JpegEncoder::new_with_quality(&mut out, JPEG_QUALITY), profile),
        _ => encode(&image, PngEncoder::new(&mut out), profile),
    }
    .map_err(|_| UNREADABLE)?;
    Ok(out)
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

/// Whether a colour profile is one, and for colours like these; a CMYK one is wrong for what comes out.
fn describes(profile: &[u8], color: ColorType) -> bool {
    let space: &[u8] = if color.has_color() { b"RGB " } else { b"GRAY" };
    profile.get(36..40) == Some(b"acsp") && profile.get(16..20) == Some(space)
}

fn pixels(width: u32, height: u32) -> u64 {
    u64::from(width) * u64::from(height)
}

/// Checks the size that each picture of a GIF claims, and drops what doesn't belong to them.
fn strip_gif(bytes: &[u8]) -> Result<Vec<u8>, Reason> {
    let (picture, sizes) = strip::gif(bytes).ok_or(UNREADABLE)?;
    let side = |low, high| u32::from(u16::from_le_bytes([low, high]));
    if sizes.iter().any(|[a, b, c, d]| pixels(side(*a, *b), side(*c, *d)) > IMAGE_PIXELS_MAX) {
        return Err(TOO_LARGE);
    }
    Ok(picture)
}
