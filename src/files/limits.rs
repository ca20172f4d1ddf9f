//! The bounds of attachments.

use std::time::Duration;

/// Most bytes of an upload when the operator sets nothing else.
pub const UPLOAD_BYTES_MAX_DEFAULT: u64 = 25 * 1024 * 1024;

/// Most code points of an attachment's name, as the contract says.
pub const NAME_CHARS_MAX: usize = 255;

/// Most bytes of an image, whatever the operator allows for files: it is held in memory twice, as it came
/// and as it is kept.
pub const IMAGE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Most pixels of a PNG or of a picture in a GIF, read from its header before anything is unpacked: whoever
/// looks at one must unpack all of it.
pub const IMAGE_PIXELS_MAX: u64 = 50_000_000;

/// Most pixels of a JPEG. Sensors of phones have up to 200 megapixels, and viewers unpack a JPEG at the size
/// that they show.
pub const JPEG_PIXELS_MAX: u64 = 256_000_000;

/// Most pixels of a picture that is turned by its EXIF here, which takes it decoded, twice. Phones write 12
/// megapixels unless told otherwise; a larger one keeps its EXIF's word on the turn instead.
pub const TURNED_PIXELS_MAX: u64 = 16_000_000;

/// Most bytes of a picture that is decoded, and most that its decoder may take.
pub const DECODED_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Most scans of a JPEG that is decoded: each one of a progressive JPEG goes over the whole picture.
/// Encoders write about ten.
pub const JPEG_SCANS_MAX: usize = 64;

/// Longest side of a PNG: two rows of it are held while it is checked.
pub const PNG_SIDE_MAX: u32 = 65_535;

/// Most bytes that a PNG's checker may take.
pub const PNG_CHECK_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most bytes of a PNG's colour profile, unpacked; those for screens have some kilobytes.
pub const PROFILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Most images being looked at at the same time, and never more than half of the cores: sockets come first.
pub const IMAGES_AT_ONCE_MAX: usize = 2;

/// Bytes written to storage at once, and held in memory for an upload under way.
pub const PART_BYTES: usize = 256 * 1024;

/// Most bytes of the directory of an office file; real ones have a few kilobytes.
pub const DIRECTORY_BYTES_MAX: u64 = 1024 * 1024;

/// Most bytes that are read of a part of an office file, packed and unpacked: those that say what the
/// document is have a few kilobytes.
pub const OFFICE_PART_BYTES_MAX: u64 = 1024 * 1024;

/// Most reads from a container up to 2003 until its directory is known; each sector of the directory and
/// of the table that leads to the next takes one.
pub const OLE_READS_MAX: usize = 8192;

/// After this long without a write, an unfinished upload is one that a killed server left behind.
pub const INCOMING_AGE_MAX: Duration = Duration::from_secs(3600);
