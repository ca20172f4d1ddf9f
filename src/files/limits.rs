//! The limits of attachments.

use std::time::Duration;

/// Default of the upload limit in bytes.
pub const UPLOAD_BYTES_MAX_DEFAULT: u64 = 25 * 1024 * 1024;

/// Maximum length of a file name in code points.
pub const NAME_CHARS_MAX: usize = 255;

/// Maximum size of an image in bytes, whatever the upload limit is: it is held in memory twice, as sent and
/// as stored.
pub const IMAGE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Maximum pixels of a PNG, or of an image in a GIF, according to its header. Every viewer has to unpack all
/// of it.
pub const IMAGE_PIXELS_MAX: u64 = 50_000_000;

/// Maximum pixels of a JPEG. Phone sensors have up to 200 megapixels, and viewers unpack a JPEG at the size
/// they show.
pub const JPEG_PIXELS_MAX: u64 = 256_000_000;

/// Maximum pixels of an image that is rotated here, which needs two decoded copies. Phones take 12 megapixels
/// by default; larger images keep their EXIF orientation instead.
pub const ROTATED_PIXELS_MAX: u64 = 16_000_000;

/// Maximum size of a decoded image in bytes, and maximum memory of its decoder.
pub const DECODED_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Maximum scans of a JPEG that is decoded; each scan of a progressive JPEG covers the whole image. Encoders
/// write about ten.
pub const JPEG_SCANS_MAX: usize = 64;

/// Maximum side length of a PNG, because two of its rows are held in memory.
pub const PNG_SIDE_MAX: u32 = 65_535;

/// Maximum memory of the PNG check in bytes.
pub const PNG_CHECK_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Maximum size of an unpacked PNG colour profile; those for screens have a few kilobytes.
pub const PROFILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Maximum number of images processed at the same time; never more than half of the cores, so that sockets
/// take precedence.
pub const IMAGES_AT_ONCE_MAX: usize = 2;

/// Maximum pixels of an image of which smaller sizes are made, which takes a decoded copy.
pub const PREVIEWED_PIXELS_MAX: u64 = 16_000_000;

/// Size of a write to the storage, which is held in memory for each upload.
pub const PART_BYTES: usize = 256 * 1024;

/// Maximum size of the ZIP directory of an office document; real ones have a few kilobytes.
pub const DIRECTORY_BYTES_MAX: u64 = 1024 * 1024;

/// Maximum bytes read of a part of an office document, packed and unpacked; the parts that describe the
/// document have a few kilobytes.
pub const OFFICE_PART_BYTES_MAX: u64 = 1024 * 1024;

/// Maximum reads from an OLE container until its directory is known. Each sector of the directory, and of the
/// table that leads to the next one, takes a read.
pub const OLE_READS_MAX: usize = 8192;

/// Size of a piece of an upload that can be resumed, which is held in memory for each request.
pub const PIECE_BYTES: usize = 512 * 1024;

/// Maximum number of pieces of an upload beyond those of full size: as often as that it may break off.
pub const SHORT_PIECES_MAX: i64 = 500;

/// For how long an upload that can be resumed is kept until a message carries it.
pub const UPLOAD_KEPT: Duration = Duration::from_secs(24 * 3600);

/// A piece that is older belongs to no upload any more.
pub const PIECE_AGE_MAX: Duration = Duration::from_secs(25 * 3600);

/// Maximum number of uploads of one user that no message carries.
pub const UPLOADS_PER_USER_MAX: i64 = 20;

/// Maximum number of uploads of the largest size whose bytes one user may keep without sending them.
pub const UPLOAD_SIZES_PER_USER_MAX: i64 = 12;

/// Maximum number of uploads of all users that no message carries.
pub const UPLOADS_TOTAL_MAX: i64 = 10_000;

/// Maximum bytes of all of them.
pub const UPLOAD_BYTES_TOTAL_MAX: i64 = 20 * 1024 * 1024 * 1024;

/// An unfinished upload without a write for this long was left behind by a killed server.
pub const INCOMING_AGE_MAX: Duration = Duration::from_secs(3600);
