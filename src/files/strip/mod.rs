//! Removes metadata from GIF, PNG and JPEG: comments, locations, thumbnails, unknown blocks, and anything
//! behind the end of the image.
//!
//! Each module walks over the blocks of its format and copies those that are known to be part of the image.
//! Nothing is unpacked here.

mod gif;
mod jpeg;
mod png;

pub(super) use gif::gif;
pub(super) use jpeg::jpeg;
pub(super) use png::png;

/// Walks over the blocks of a file; `None` where it is truncated.
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

/// An EXIF block with the orientation, as the standard numbers it, and nothing else.
fn orientation_exif(how: u8) -> [u8; 26] {
    let mut block = *b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\0\0\0\0\0\0\0\0";
    block[18] = how;
    block
}
