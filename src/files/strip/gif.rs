//! The blocks of a GIF.

use super::Blocks;

const IMAGE: u8 = 0x2c;
const EXTENSION: u8 = 0x21;
const TRAILER: u8 = 0x3b;
const CONTROL: u8 = 0xf9;
const APPLICATION: u8 = 0xff;

/// Returns the image blocks of a GIF and the size that each image claims. A truncated GIF, or one that
/// continues with invalid blocks, ends after its last complete image, as browsers show it. `None` if it has
/// none.
pub(in crate::files) fn gif(bytes: &[u8]) -> Option<(Vec<u8>, Vec<[u8; 4]>)> {
    let mut blocks = Blocks { bytes, at: 6 };
    let screen = blocks.take(7)?;
    let mut sizes = vec![size_at(screen, 0)?];
    skip_colors(&mut blocks, screen[4])?;
    let mut out = Vec::with_capacity(bytes.len() + 2);
    out.extend_from_slice(&bytes[..blocks.at]);
    // Up to the last complete image; an extension that describes an image precedes it.
    let mut whole = out.len();
    while let Some(block) = next(&mut blocks) {
        match block {
            Block::Image { size, bytes, is_ended } => {
                sizes.push(size);
                out.extend_from_slice(bytes);
                if !is_ended {
                    out.push(0);
                }
                whole = out.len();
            }
            Block::Kept(bytes) => out.extend_from_slice(bytes),
            Block::Foreign => {}
        }
    }
    out.truncate(whole);
    out.push(TRAILER);
    (sizes.len() > 1).then_some((out, sizes))
}

enum Block<'a> {
    /// Without the empty block that ends the data, if that is missing.
    Image {
        size: [u8; 4],
        bytes: &'a [u8],
        is_ended: bool,
    },
    Kept(&'a [u8]),
    Foreign,
}

fn next<'a>(blocks: &mut Blocks<'a>) -> Option<Block<'a>> {
    let (bytes, start) = (blocks.bytes, blocks.at);
    match blocks.byte()? {
        IMAGE => {
            let size = size_at(blocks.take(9)?, 4)?;
            skip_colors(blocks, bytes[blocks.at - 1])?;
            blocks.byte()?;
            let data = blocks.at;
            let is_ended = skip_data(blocks).is_some();
            let is_whole = is_ended || blocks.at == bytes.len() && blocks.at > data;
            is_whole.then_some(Block::Image { size, bytes: &bytes[start..blocks.at], is_ended })
        }
        EXTENSION => {
            let label = blocks.byte()?;
            let data = blocks.at;
            skip_data(blocks)?;
            let keeps = match (label, &bytes[data..blocks.at]) {
                (CONTROL, [4, _, _, _, _, 0]) => true,
                // How often the animation repeats.
                (APPLICATION, [11, name @ .., 3, 1, _, _, 0]) => {
                    name == b"NETSCAPE2.0" || name == b"ANIMEXTS1.0"
                }
                _ => false,
            };
            Some(if keeps { Block::Kept(&bytes[start..blocks.at]) } else { Block::Foreign })
        }
        _ => None,
    }
}

fn size_at(bytes: &[u8], at: usize) -> Option<[u8; 4]> {
    bytes.get(at..at + 4)?.try_into().ok()
}

/// Skips a colour table, if the flags announce one.
fn skip_colors(blocks: &mut Blocks<'_>, flags: u8) -> Option<()> {
    if flags & 0x80 != 0 {
        blocks.take(3 << ((flags & 7) + 1))?;
    }
    Some(())
}

/// Skips sub-blocks up to the empty one; `None`, after the last complete one, if that is missing.
fn skip_data(blocks: &mut Blocks<'_>) -> Option<()> {
    loop {
        let start = blocks.at;
        let count @ 1.. = blocks.byte()? else { return Some(()) };
        if blocks.take(count.into()).is_none() {
            blocks.at = start;
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff";
    const SHOWN: &[u8] = b"\x21\xf9\x04\x01\0\0\0\0";
    const LOOP: &[u8] = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0";
    const PICTURE: &[u8] = b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0";

    fn kept(parts: &[&[u8]]) -> Option<Vec<u8>> {
        gif(&parts.concat()).map(|(bytes, _)| bytes)
    }

    #[test]
    fn only_image_blocks_of_a_gif_are_kept() {
        let whole = Some([START, LOOP, SHOWN, PICTURE, b";"].concat());
        assert_eq!(kept(&[START, LOOP, SHOWN, PICTURE, b";"]), whole);
        for foreign in [
            &b"\x21\xfe\x05place\0"[..],
            b"\x21\xff\x0bXMP DataXMP\x05place\0",
            b"\x21\x01\x0c............\x05place\0",
            b"\x21\x42\x05place\0",
            b"\x21\xf9\x05place\0",
            b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\x05place\0",
        ] {
            assert_eq!(kept(&[START, LOOP, foreign, SHOWN, PICTURE, foreign, b";", foreign]), whole);
        }
    }

    #[test]
    fn a_truncated_gif_ends_after_its_last_complete_image() {
        let one = Some([START, SHOWN, PICTURE, b";"].concat());
        let cut = &PICTURE[..PICTURE.len() - 3];
        for end in [&b";"[..], b"", b"\0", b"junk", SHOWN, &SHOWN[..4], cut] {
            assert_eq!(kept(&[START, SHOWN, PICTURE, end]), one, "{end:?}");
        }
        assert_eq!(kept(&[START, SHOWN, &PICTURE[..PICTURE.len() - 1]]), one, "without the end of its data");
        for none in [&b""[..], b";", cut, SHOWN, &PICTURE[..11]] {
            assert_eq!(kept(&[START, none]), None, "{none:?}");
        }
    }
}
