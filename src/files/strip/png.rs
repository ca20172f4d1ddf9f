//! The chunks of a PNG.

use flate2::Crc;
use image::metadata::Orientation;

use super::{Blocks, orientation_exif};

/// A PNG without metadata.
pub(in crate::files) struct Png<'a> {
    /// The image, without a colour profile.
    pub(in crate::files) image: Vec<u8>,
    /// Position of the first data chunk.
    data_at: usize,
    /// Width and height.
    pub(in crate::files) size: (u32, u32),
    /// Whether it has colours other than grey.
    pub(in crate::files) has_color: bool,
    /// The packed colour profile, its chunk, and the position of the chunk before the data.
    profile: Option<(&'a [u8], &'a [u8], usize)>,
    /// The orientation from its EXIF data.
    pub(in crate::files) orientation: Orientation,
}

const KEPT: [&[u8; 4]; 18] = [
    b"IHDR", b"PLTE", b"IDAT", b"tRNS", b"cHRM", b"gAMA", b"sBIT", b"sRGB", b"cICP", b"mDCV", b"cLLI",
    b"bKGD", b"hIST", b"pHYs", b"sPLT", b"acTL", b"fcTL", b"fdAT",
];

impl<'a> Png<'a> {
    /// The packed colour profile.
    pub(in crate::files) fn profile(&self) -> Option<&'a [u8]> {
        self.profile.map(|(packed, ..)| packed)
    }

    /// Puts the colour profile back in its place.
    pub(in crate::files) fn keep_profile(&mut self) {
        if let Some((_, chunk, at)) = self.profile.take() {
            self.image.splice(at..at, chunk.iter().copied());
            self.data_at += chunk.len();
        }
    }

    /// Adds a minimal EXIF chunk with the orientation.
    pub(in crate::files) fn with_orientation(mut self) -> Vec<u8> {
        let turn = chunk(b"eXIf", &orientation_exif(self.orientation.to_exif()));
        self.image.splice(self.data_at..self.data_at, turn);
        self.image
    }
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).expect("a chunk that was read, or a few bytes");
    let mut sum = Crc::new();
    sum.update(kind);
    sum.update(data);
    [&length.to_be_bytes()[..], kind, data, &sum.sum().to_be_bytes()].concat()
}

/// Parses a PNG, animated or not. A missing end chunk is added; whether the data is complete is not checked.
/// `None` if it has no data, or is not a PNG.
pub(in crate::files) fn png(bytes: &[u8]) -> Option<Png<'_>> {
    let mut blocks = Blocks { bytes, at: 8 };
    let mut image = Vec::with_capacity(bytes.len() + 64);
    image.extend_from_slice(bytes.get(..8)?);
    let (mut header, mut profile, mut data_at) = (None, None, None);
    let mut orientation = Orientation::NoTransforms;
    while let Some((kind, data, whole)) = next(&mut blocks) {
        match kind {
            b"IEND" => break,
            b"IHDR" if header.is_none() && data.len() == 13 => header = Some(data),
            b"IHDR" => return None,
            b"IDAT" => data_at = data_at.or(Some(image.len())),
            b"iCCP" if profile.is_none() && data_at.is_none() => {
                profile = packed_profile(data).map(|packed| (packed, whole, image.len()));
            }
            b"eXIf" => orientation = Orientation::from_exif_chunk(data).unwrap_or(orientation),
            _ => {}
        }
        header?;
        if KEPT.contains(&kind) {
            image.extend_from_slice(whole);
        }
    }
    let header = header?;
    image.extend_from_slice(&chunk(b"IEND", b""));
    let side = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    Some(Png {
        image,
        data_at: data_at?,
        size: (side(0), side(4)),
        has_color: matches!(header[9], 2 | 3 | 6),
        profile,
        orientation,
    })
}

/// The next chunk: its type, its data, and the whole chunk with its checksum.
fn next<'a>(blocks: &mut Blocks<'a>) -> Option<(&'a [u8; 4], &'a [u8], &'a [u8])> {
    let start = blocks.at;
    let length = u32::from_be_bytes(blocks.take(4)?.try_into().ok()?);
    let kind = blocks.take(4)?.try_into().ok()?;
    let data = blocks.take(usize::try_from(length).ok()?)?;
    blocks.take(4)?;
    Some((kind, data, &blocks.bytes[start..blocks.at]))
}

/// The data of a profile chunk, behind the profile's name and its compression method.
fn packed_profile(data: &[u8]) -> Option<&[u8]> {
    let end = data.iter().take(80).position(|byte| *byte == 0)?;
    data[end + 1..].strip_prefix(&[0])
}
