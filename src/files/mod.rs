//! Attachments: what may be uploaded, and where it lies.
//!
//! An upload is streamed to a temporary key under a running size limit, inspected there, noted in the
//! database, and only then gets the key it is served from: until it is noted a sweep of the temporary
//! keys finds what is left of it, and after that a sweep of what was never sent. What is inside decides,
//! and must agree with the name's extension: `format` and `office` recognise it, `picture` and `strip` cut
//! off what a camera wrote into an image. Names are text for people and never a path. Who may see a file is not decided here.

mod format;
pub mod limits;
mod name;
mod office;
mod picture;
mod range;
mod storage;
mod strip;
mod uploads;

pub use format::Kind;
pub use name::clean_name;
pub use range::ByteRange;
pub use storage::{FileBody, OpenError};
pub use uploads::{Received, StoredFile, UploadError, Uploads};
