//! Attachments: which files may be uploaded, and how they are stored.
//!
//! An upload is streamed to a temporary key under a size limit, inspected there, named, recorded in the
//! database, and only then moved to the key from which it is served. If it is interrupted before it was
//! recorded, a sweep of the temporary keys removes it; afterwards a sweep of unsent files does. An upload that
//! can be resumed is kept in pieces until it is complete, and then goes the same way.
//!
//! The content decides the format: `format`, `office`, `ole` and `text` detect it, and `image_sanitizer` and
//! `strip` remove the metadata of images. A file name may not claim another format, and always gets the
//! extension of the detected one. It is display text and never a path. Who may see a file is not decided
//! here.

mod exports;
mod format;
mod image_sanitizer;
pub mod limits;
mod name;
mod office;
mod ole;
mod pieces;
mod preview_size;
mod previews;
mod range;
mod shrinking;
mod storage;
mod strip;
mod text;
mod uploads;

pub use exports::ExportFile;
pub use format::AttachmentKind;
pub use preview_size::PreviewSize;
pub use previews::{PREVIEW_TYPE, PREVIEWED_TYPES};
pub use range::ByteRange;
pub(crate) use shrinking::on_white;
pub use storage::{FileBody, FileOpenError};
pub use uploads::{InspectedUpload, NamedUpload, StoredFile, UploadError, Uploads, served_name};

/// Why a file is rejected, as a sentence for users.
type Rejection = &'static str;
