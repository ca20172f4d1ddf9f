//! The bounds of attachments.

use std::time::Duration;

/// Most bytes of an upload when the operator sets nothing else.
pub const UPLOAD_BYTES_MAX_DEFAULT: u64 = 25 * 1024 * 1024;

/// Most code points of an attachment's name, as the contract says.
pub const NAME_CHARS_MAX: usize = 255;

/// Most bytes of an image, whatever the operator allows for files: it is held in memory once.
pub const IMAGE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Most pixels of an image, read from its header before anything is decoded. 50 megapixels are
/// more than the cameras of today's phones write by default.
pub const IMAGE_PIXELS_MAX: u64 = 50_000_000;

/// Most bytes of a decoded image: 50 megapixels of 8-bit RGBA, and some room.
pub const DECODED_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Most images being looked at at the same time, and never more than half of the cores: sockets come first.
/// Decoding and encoding one of 48 megapixels took 170 MB (JPEG) to 380 MB (PNG); turning it by its EXIF takes
/// a second copy.
pub const IMAGES_AT_ONCE_MAX: usize = 2;

/// Bytes written to storage at once, and held in memory for an upload under way.
pub const PART_BYTES: usize = 256 * 1024;

/// Most bytes of the directory of an office file; real ones have a few kilobytes.
pub const DIRECTORY_BYTES_MAX: u64 = 1024 * 1024;

/// After this long without a write, an unfinished upload is one that a killed server left behind.
pub const INCOMING_AGE_MAX: Duration = Duration::from_secs(3600);
