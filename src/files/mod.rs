//! Attachments: what may be uploaded, and where it lies.
//!
//! An upload is streamed to a temporary key under a running size limit, inspected there, named, noted in the
//! database, and only then gets the key it is served from: until it is noted a sweep of the temporary
//! keys finds what is left of it, and after that a sweep of what was never sent. What is inside decides:
//! `format`, `office`, `ole` and `text` recognise it, `picture` and `strip` cut off what a camera wrote into
//! an image. A name may not claim something else, and always gets the extension of what is inside; it is text
//! for people and never a path. Who may see a file is not decided here.

mod format;
pub mod limits;
mod name;
mod office;
mod ole;
mod picture;
mod range;
mod storage;
mod strip;
mod text;
mod uploads;

pub use format::Kind;
pub use range::ByteRange;
pub use storage::{FileBody, OpenError};
pub use uploads::{Inspected, Received, StoredFile, UploadError, Uploads, served_name};
