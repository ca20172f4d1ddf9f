//! The segments of a JPEG.

use image::metadata::Orientation;

use super::{Blocks, orientation_exif};

const SCAN: u8 = 0xda;
const END: u8 = 0xd9;
const APP1: u8 = 0xe1;

/// A JPEG without metadata.
pub(in crate::files) struct Jpeg {
    /// The image; a truncated one ends where it breaks off.
    pub(in crate::files) image: Vec<u8>,
    /// Width and height.
    pub(in crate::files) size: (u16, u16),
    /// The orientation from its EXIF data.
    pub(in crate::files) orientation: Orientation,
    /// Number of scans.
    pub(in crate::files) scans: usize,
}

impl Jpeg {
    /// Adds a minimal EXIF block with the orientation.
    pub(in crate::files) fn with_orientation(mut self) -> Vec<u8> {
        let turn = orientation_exif(self.orientation.to_exif());
        let length = u16::try_from(2 + EXIF.len() + turn.len()).expect("a few bytes");
        let segment = [&[0xff, APP1], &length.to_be_bytes()[..], EXIF, &turn].concat();
        self.image.splice(2..2, segment);
        self.image
    }
}

const EXIF: &[u8] = b"Exif\0\0";

/// Parses a JPEG. `None` if it is truncated before its first scan, of a kind that browsers don't show, or not
/// a JPEG.
pub(in crate::files) fn jpeg(bytes: &[u8]) -> Option<Jpeg> {
    let mut blocks = Blocks { bytes, at: 0 };
    let mut image = Vec::with_capacity(bytes.len() + 2);
    image.extend_from_slice(blocks.take(2).filter(|begin| begin == b"\xff\xd8")?);
    let mut size = None;
    let mut orientation = Orientation::NoTransforms;
    let mut scans = 0;
    while let Some(marker) = next_marker(&mut blocks) {
        if marker == END {
            break;
        }
        let start = blocks.at;
        let Some(length) = blocks.take(2).map(|length| u16::from_be_bytes([length[0], length[1]])) else {
            break;
        };
        let Some(data) = blocks.take(usize::from(length).checked_sub(2)?) else { break };
        match marker {
            0xc0..=0xc2 if size.is_none() => size = Some(size_of_frame(data)?),
            // A second frame, or one that is lossless, arithmetically coded, or hierarchical.
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf | 0xde => return None,
            APP1 if data.starts_with(EXIF) => {
                orientation = Orientation::from_exif_chunk(&data[EXIF.len()..]).unwrap_or(orientation);
            }
            _ => {}
        }
        if is_image_segment(marker, data) {
            image.extend_from_slice(&[0xff, marker]);
            image.extend_from_slice(&bytes[start..blocks.at]);
        }
        if marker == SCAN {
            scans += 1;
            let coded = coded_bytes(&bytes[blocks.at..]);
            image.extend_from_slice(blocks.take(coded)?);
        }
    }
    image.extend_from_slice(&[0xff, END]);
    let size = size.filter(|_| scans > 0)?;
    Some(Jpeg { image, size, orientation, scans })
}

/// Width and height from a frame header. Browsers don't show samples of other than 8 bits.
fn size_of_frame(data: &[u8]) -> Option<(u16, u16)> {
    let &[8, height_high, height_low, width_high, width_low, 1 | 3 | 4, ..] = data else { return None };
    let height = u16::from_be_bytes([height_high, height_low]);
    let width = u16::from_be_bytes([width_high, width_low]);
    (width > 0 && height > 0).then_some((width, height))
}

/// The next marker. Bytes in front of it are not part of the image.
fn next_marker(blocks: &mut Blocks<'_>) -> Option<u8> {
    let mut before = blocks.byte()?;
    loop {
        match (before, blocks.byte()?) {
            (0xff, marker @ 1..=0xfe) => return Some(marker),
            (_, byte) => before = byte,
        }
    }
}

/// Length of the entropy-coded data up to the next marker that ends it.
fn coded_bytes(bytes: &[u8]) -> usize {
    // Any number of 0xff bytes may precede a restart marker.
    let is_end = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 0xd0..=0xd7 | 0xff);
    bytes.windows(2).position(is_end).unwrap_or(bytes.len())
}

/// Whether a segment is part of the image. Of the application segments these are the plain JFIF header, the
/// colour profile, and Adobe's colour transform.
fn is_image_segment(marker: u8, data: &[u8]) -> bool {
    match marker {
        // With a thumbnail of size 0.
        0xe0 => data.starts_with(b"JFIF\0") && data.get(12..) == Some(&[0, 0]),
        0xe2 => data.starts_with(b"ICC_PROFILE\0"),
        0xee => data.starts_with(b"Adobe") && data.len() == 12,
        0xc0..=0xdf => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: &[u8] = b"\xff\xc0\0\x0b\x08\0\x08\0\x0c\x01\x01\x11\0";

    fn kept(bytes: &[u8]) -> Option<Vec<u8>> {
        jpeg(bytes).map(|jpeg| jpeg.image)
    }

    #[test]
    fn only_image_segments_of_a_jpeg_are_kept() {
        let scan = b"\xff\xda\0\x03\x01coded\xff\0\xff\xff\xd0more";
        let oriented =
            [&b"\xff\xd8\xff\x02\0\x07place\xff\xee\0\x08Adobe!stray"[..], FRAME, scan, b"\xff\xd9place"]
                .concat();
        let whole = [&b"\xff\xd8"[..], FRAME, scan, b"\xff\xd9"].concat();
        assert_eq!(kept(&oriented), Some(whole.clone()));
        assert_eq!(kept(&whole), Some(whole.clone()));
        assert_eq!(kept(&whole[..whole.len() - 2]), Some(whole), "cut short");
        assert_eq!(kept(b"\xff\xd8\xff\xfe\0\x02\xff\xd9"), None, "no picture");
        assert_eq!(kept(b"\xff\xd8\xff\xfe\0\x01\xff\xd9"), None, "a length that can't be");
        let head = &b"\xff\xd8"[..];
        assert_eq!(kept(&[head, scan, b"\xff\xd9"].concat()), None, "no frame");
        assert_eq!(kept(&[head, FRAME, FRAME, scan, b"\xff\xd9"].concat()), None, "two frames");
        let lossless = FRAME.iter().map(|byte| if *byte == 0xc0 { 0xc3 } else { *byte }).collect::<Vec<u8>>();
        assert_eq!(kept(&[head, &lossless, scan, b"\xff\xd9"].concat()), None, "not shown by browsers");
    }

    #[test]
    fn the_size_scans_and_orientation_of_a_jpeg_are_parsed() {
        let exif = b"\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        let scan = b"\xff\xda\0\x03\x01coded";
        let read = jpeg(&[&b"\xff\xd8"[..], exif, FRAME, scan, scan, b"\xff\xd9"].concat()).expect("a jpeg");
        assert_eq!((read.size, read.scans, read.orientation), ((12, 8), 2, Orientation::Rotate90));
        let again = jpeg(&read.with_orientation()).expect("a jpeg");
        assert_eq!(again.orientation, Orientation::Rotate90);
    }
}
