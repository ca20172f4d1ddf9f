//! A PNG's chunks.

use flate2::Crc;
use image::metadata::Orientation;

use super::{Blocks, turn_alone};

/// A PNG without what doesn't make its picture.
pub(in crate::files) struct Png<'a> {
    /// Its bytes, without a colour profile.
    pub(in crate::files) picture: Vec<u8>,
    /// Where its data begins.
    data_at: usize,
    /// Its width and height.
    pub(in crate::files) size: (u32, u32),
    /// Whether its colours are more than greys.
    pub(in crate::files) has_color: bool,
    /// Its packed colour profile, the chunk around that, and the chunk's place in front of the data.
    profile: Option<(&'a [u8], &'a [u8], usize)>,
    /// How its EXIF turned it.
    pub(in crate::files) orientation: Orientation,
}

const KEPT: [&[u8; 4]; 18] = [
    b"IHDR", b"PLTE", b"IDAT", b"tRNS", b"cHRM", b"gAMA", b"sBIT", b"sRGB", b"cICP", b"mDCV", b"cLLI",
    b"bKGD", b"hIST", b"pHYs", b"sPLT", b"acTL", b"fcTL", b"fdAT",
];

impl<'a> Png<'a> {
    /// Its colour profile, packed.
    pub(in crate::files) fn profile(&self) -> Option<&'a [u8]> {
        self.profile.map(|(packed, ..)| packed)
    }

    /// Puts its profile back where it was.
    pub(in crate::files) fn keep_profile(&mut self) {
        if let Some((_, chunk, at)) = self.profile.take() {
            self.picture.splice(at..at, chunk.iter().copied());
            self.data_at += chunk.len();
        }
    }

    /// Puts back how it is turned, and only that.
    pub(in crate::files) fn with_turn(mut self) -> Vec<u8> {
        let turn = chunk(b"eXIf", &turn_alone(self.orientation.to_exif()));
        self.picture.splice(self.data_at..self.data_at, turn);
        self.picture
    }
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).expect("a chunk that was read, or a few bytes");
    let mut sum = Crc::new();
    sum.update(kind);
    sum.update(data);
    [&length.to_be_bytes()[..], kind, data, &sum.sum().to_be_bytes()].concat()
}

/// Takes a PNG apart, animated or not. One whose end is missing is given one; whether all of its data is
/// there isn't looked at. `None` where it has none, or is no PNG.
pub(in crate::files) fn png(bytes: &[u8]) -> Option<Png<'_>> {
    let mut blocks = Blocks { bytes, at: 8 };
    let mut picture = Vec::with_capacity(bytes.len() + 64);
    picture.extend_from_slice(bytes.get(..8)?);
    let (mut header, mut profile, mut data_at) = (None, None, None);
    let mut orientation = Orientation::NoTransforms;
    while let Some((kind, data, whole)) = next(&mut blocks) {
        match kind {
            b"IEND" => break,
            b"IHDR" if header.is_none() && data.len() == 13 => header = Some(data),
            b"IHDR" => return None,
            b"IDAT" => data_at = data_at.or(Some(picture.len())),
            b"iCCP" if profile.is_none() && data_at.is_none() => {
                profile = packed_profile(data).map(|packed| (packed, whole, picture.len()));
            }
            b"eXIf" => orientation = Orientation::from_exif_chunk(data).unwrap_or(orientation),
            _ => {}
        }
        header?;
        if KEPT.contains(&kind) {
            picture.extend_from_slice(whole);
        }
    }
    let header = header?;
    picture.extend_from_slice(&chunk(b"IEND", b""));
    let side = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    Some(Png {
        picture,
        data_at: data_at?,
        size: (side(0), side(4)),
        has_color: matches!(header[9], 2 | 3 | 6),
        profile,
        orientation,
    })
}

/// The next chunk: its kind, its data, and all of it with the sum behind it.
fn next<'a>(blocks: &mut Blocks<'a>) -> Option<(&'a [u8; 4], &'a [u8], &'a [u8])> {
    let start = blocks.at;
    let length = u32::from_be_bytes(blocks.take(4)?.try_into().ok()?);
    let kind = blocks.take(4)?.try_into().ok()?;
    let data = blocks.take(usize::try_from(length).ok()?)?;
    blocks.take(4)?;
    Some((kind, data, &blocks.bytes[start..blocks.at]))
}

/// What follows a profile's name and the one way there is to pack it.
fn packed_profile(data: &[u8]) -> Option<&[u8]> {
    let end = data.iter().take(80).position(|byte| *byte == 0)?;
    data[end + 1..].strip_prefix(&[0])
}
