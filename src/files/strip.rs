//! Images without what doesn't make their picture, which itself passes untouched: from GIF, PNG and JPEG go
//! comments, places, thumbnails and foreign blocks, and whatever follows the picture's end.
//!
//! Each walks over the blocks of its format and copies those that are known to belong to the picture.

/// A GIF's blocks, and the size that each of its pictures claims. `None` where it is cut off or no GIF.
pub(super) fn gif(bytes: &[u8]) -> Option<(Vec<u8>, Vec<[u8; 4]>)> {
    const IMAGE: u8 = 0x2c;
    const EXTENSION: u8 = 0x21;
    const TRAILER: u8 = 0x3b;
    const COMMENT: u8 = 0xfe;
    const APPLICATION: u8 = 0xff;
    let mut blocks = Blocks { bytes, at: 6 };
    let screen = blocks.take(7)?;
    let mut sizes = vec![size_at(screen, 0)?];
    skip_colors(&mut blocks, screen[4])?;
    let mut out = Vec::with_capacity(bytes.len());
    out.extend_from_slice(&bytes[..blocks.at]);
    loop {
        let start = blocks.at;
        let keep = match blocks.byte()? {
            IMAGE => {
                let descriptor = blocks.take(9)?;
                sizes.push(size_at(descriptor, 4)?);
                skip_colors(&mut blocks, descriptor[8])?;
                blocks.byte()?;
                skip_data(&mut blocks)?;
                true
            }
            EXTENSION => {
                let label = blocks.byte()?;
                let data = &bytes[blocks.at..];
                skip_data(&mut blocks)?;
                match label {
                    COMMENT => false,
                    APPLICATION => {
                        data.starts_with(b"\x0bNETSCAPE2.0") || data.starts_with(b"\x0bANIMEXTS1.0")
                    }
                    _ => true,
                }
            }
            TRAILER if sizes.len() > 1 => {
                out.push(TRAILER);
                return Some((out, sizes));
            }
            _ => return None,
        };
        if keep {
            out.extend_from_slice(&bytes[start..blocks.at]);
        }
    }
}

fn size_at(bytes: &[u8], at: usize) -> Option<[u8; 4]> {
    bytes.get(at..at + 4)?.try_into().ok()
}

/// Skips a table of colours, if the flags say that there is one.
fn skip_colors(blocks: &mut Blocks<'_>, flags: u8) -> Option<()> {
    if flags & 0x80 != 0 {
        blocks.take(3 << ((flags & 7) + 1))?;
    }
    Some(())
}

/// Skips sub-blocks up to the empty one.
fn skip_data(blocks: &mut Blocks<'_>) -> Option<()> {
    while let count @ 1.. = blocks.byte()? {
        blocks.take(count.into())?;
    }
    Some(())
}

/// A PNG's chunks that make its picture, animated or not. `None` where it is cut off or no PNG.
pub(super) fn png(bytes: &[u8], keeps_profile: bool) -> Option<Vec<u8>> {
    const KEPT: [&[u8; 4]; 19] = [
        b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"cHRM", b"gAMA", b"sBIT", b"sRGB", b"cICP", b"mDCV",
        b"cLLI", b"bKGD", b"hIST", b"pHYs", b"sPLT", b"acTL", b"fcTL", b"fdAT",
    ];
    let mut blocks = Blocks { bytes, at: 8 };
    let mut out = Vec::with_capacity(bytes.len());
    out.extend_from_slice(bytes.get(..8)?);
    loop {
        let start = blocks.at;
        let length = u32::from_be_bytes(blocks.take(4)?.try_into().ok()?);
        let kind: &[u8; 4] = blocks.take(4)?.try_into().ok()?;
        // With the sum behind it.
        blocks.take(usize::try_from(length).ok()?.checked_add(4)?)?;
        if KEPT.contains(&kind) || kind == b"iCCP" && keeps_profile {
            out.extend_from_slice(&bytes[start..blocks.at]);
        }
        if kind == b"IEND" {
            return Some(out);
        }
    }
}

/// A JPEG's segments that make its picture. One that is cut short is ended where it breaks off. `None` where
/// that is before its first scan, or where it is no JPEG.
pub(super) fn jpeg(bytes: &[u8]) -> Option<Vec<u8>> {
    const SCAN: u8 = 0xda;
    const END: u8 = 0xd9;
    let mut blocks = Blocks { bytes, at: 0 };
    let mut out = Vec::with_capacity(bytes.len() + 2);
    out.extend_from_slice(blocks.take(2).filter(|begin| begin == b"\xff\xd8")?);
    let mut has_scan = false;
    while let Some(marker) = next_marker(&mut blocks) {
        if marker == END {
            break;
        }
        let start = blocks.at;
        let Some(length) = blocks.take(2).map(|length| u16::from_be_bytes([length[0], length[1]])) else {
            break;
        };
        let Some(data) = blocks.take(usize::from(length).checked_sub(2)?) else { break };
        if makes_picture(marker, data) {
            out.extend_from_slice(&[0xff, marker]);
            out.extend_from_slice(&bytes[start..blocks.at]);
        }
        if marker == SCAN {
            has_scan = true;
            let coded = coded_bytes(&bytes[blocks.at..]);
            out.extend_from_slice(blocks.take(coded)?);
        }
    }
    out.extend_from_slice(&[0xff, END]);
    has_scan.then_some(out)
}

/// The next marker. What stands before it is no part of the picture.
fn next_marker(blocks: &mut Blocks<'_>) -> Option<u8> {
    let mut before = blocks.byte()?;
    loop {
        match (before, blocks.byte()?) {
            (0xff, marker @ 1..=0xfe) => return Some(marker),
            (_, byte) => before = byte,
        }
    }
}

/// How many bytes of coded picture come before the next marker that isn't part of it.
fn coded_bytes(bytes: &[u8]) -> usize {
    // Any number of 0xff may come before a restart, too.
    let is_end = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 0xd0..=0xd7 | 0xff);
    bytes.windows(2).position(is_end).unwrap_or(bytes.len())
}

/// Whether a segment belongs to the picture: of those that applications write only the plain JFIF header,
/// the colour profile, and Adobe's word on how the colours are coded.
fn makes_picture(marker: u8, data: &[u8]) -> bool {
    match marker {
        // With both sides of its thumbnail 0.
        0xe0 => data.starts_with(b"JFIF\0") && data.get(12..) == Some(&[0, 0]),
        0xe2 => data.starts_with(b"ICC_PROFILE\0"),
        0xee => data.starts_with(b"Adobe") && data.len() == 12,
        0xc0..=0xdf => true,
        _ => false,
    }
}

/// Walks over the blocks of a file; `None` where it is cut off.
struct Blocks<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Blocks<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_jpeg_what_makes_its_picture_is_kept_and_nothing_else() {
        let scan = b"\xff\xda\0\x03\x01coded\xff\0\xff\xff\xd0more";
        let told =
            [&b"\xff\xd8\xff\x02\0\x07place\xff\xee\0\x08Adobe!stray"[..], scan, b"\xff\xd9place"].concat();
        let kept = [&b"\xff\xd8"[..], scan, b"\xff\xd9"].concat();
        assert_eq!(jpeg(&told), Some(kept.clone()));
        assert_eq!(jpeg(&kept), Some(kept));
        assert_eq!(jpeg(b"\xff\xd8\xff\xfe\0\x02\xff\xd9"), None, "no picture");
        assert_eq!(jpeg(b"\xff\xd8\xff\xfe\0\x01\xff\xd9"), None, "a length that can't be");
    }
}
