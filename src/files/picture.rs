//! Images without what a camera or a program wrote into them beside the picture.
//!
//! JPEG and PNG are decoded and encoded anew, turned as their EXIF says: that drops EXIF and with it
//! the place, comments, thumbnails, and whatever was appended. Their colour profile is kept. Of an
//! animated PNG the first frame stays. A JPEG that is cut short is taken with what it has, as browsers
//! show it; a PNG or GIF isn't. A GIF would lose its animation and gain nothing, so its picture data
//! passes untouched; only its comments, foreign application blocks (XMP lies there) and what follows
//! its end are cut.

use std::io::Cursor;

use image::{
    ColorType, DynamicImage, ImageDecoder as _, ImageEncoder, ImageFormat, ImageReader, ImageResult, Limits,
    codecs::jpeg::JpegEncoder, codecs::png::PngEncoder, metadata::Orientation,
};

use super::{
    format::Format,
    limits::{DECODED_BYTES_MAX, IMAGE_PIXELS_MAX},
};

const JPEG_QUALITY: u8 = 90;

/// Why an image can't be taken.
pub(super) type Reason = &'static str;

const UNREADABLE: Reason = "The image can't be read.";
const TOO_LARGE: Reason = "The image has more than 50 megapixels.";

/// Rewrites an image; a second or more of work for a large one, so it belongs on a blocking thread.
pub(super) fn rewrite(format: Format, bytes: &[u8]) -> Result<Vec<u8>, Reason> {
    match format {
        Format::Jpeg => reencode(ImageFormat::Jpeg, bytes),
        Format::Png => reencode(ImageFormat::Png, bytes),
        Format::Gif => strip_gif(bytes),
        _ => Err(UNREADABLE),
    }
}

fn reencode(format: ImageFormat, bytes: &[u8]) -> Result<Vec<u8>, Reason> {
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
    image.apply_orientation(orientation);
    let profile = profile.filter(|profile| describes(profile, image.color()));
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

/// Copies the blocks of a GIF that make its picture, and stops at its end.
fn strip_gif(bytes: &[u8]) -> Result<Vec<u8>, Reason> {
    let mut blocks = Blocks { bytes, at: 6 };
    let screen = blocks.take(7).ok_or(UNREADABLE)?;
    check_gif_size(&screen[..4])?;
    blocks.skip_colors(screen[4]).ok_or(UNREADABLE)?;
    let mut out = Vec::with_capacity(bytes.len());
    out.extend_from_slice(&bytes[..blocks.at]);
    let mut frames = 0_usize;
    loop {
        let start = blocks.at;
        let keep = match blocks.byte().ok_or(UNREADABLE)? {
            IMAGE => {
                let descriptor = blocks.take(9).ok_or(UNREADABLE)?;
                check_gif_size(&descriptor[4..8])?;
                blocks.skip_colors(descriptor[8]).ok_or(UNREADABLE)?;
                blocks.byte().ok_or(UNREADABLE)?;
                blocks.skip_data().ok_or(UNREADABLE)?;
                frames += 1;
                true
            }
            EXTENSION => {
                let label = blocks.byte().ok_or(UNREADABLE)?;
                let data = &bytes[blocks.at..];
                blocks.skip_data().ok_or(UNREADABLE)?;
                match label {
                    COMMENT => false,
                    APPLICATION => {
                        data.starts_with(b"\x0bNETSCAPE2.0") || data.starts_with(b"\x0bANIMEXTS1.0")
                    }
                    _ => true,
                }
            }
            TRAILER if frames > 0 => {
                out.push(TRAILER);
                return Ok(out);
            }
            _ => return Err(UNREADABLE),
        };
        if keep {
            out.extend_from_slice(&bytes[start..blocks.at]);
        }
    }
}

const IMAGE: u8 = 0x2c;
const EXTENSION: u8 = 0x21;
const TRAILER: u8 = 0x3b;
const COMMENT: u8 = 0xfe;
const APPLICATION: u8 = 0xff;

fn check_gif_size(size: &[u8]) -> Result<(), Reason> {
    let [a, b, c, d] = *size else {
        return Err(UNREADABLE);
    };
    let (width, height) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
    if pixels(width.into(), height.into()) > IMAGE_PIXELS_MAX {
        return Err(TOO_LARGE);
    }
    Ok(())
}

/// Walks over the blocks of a GIF; `None` where it is cut off.
struct Blocks<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Blocks<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at + count)?;
        self.at += count;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    /// Skips a table of colours, if the flags say that there is one.
    fn skip_colors(&mut self, flags: u8) -> Option<()> {
        if flags & 0x80 != 0 {
            self.take(3 << ((flags & 7) + 1))?;
        }
        Some(())
    }

    /// Skips sub-blocks up to the empty one.
    fn skip_data(&mut self) -> Option<()> {
        while let count @ 1.. = self.byte()? {
            self.take(count.into())?;
        }
        Some(())
    }
}
