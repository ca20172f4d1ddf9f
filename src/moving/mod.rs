//! Moving a Django chat in, and out again.
//!
//! [`import`] reads Django's tables and media folder and writes logs, [`export`] fills Django's tables from the logs,
//! and [`verify`] compares both. What becomes of a row is decided here; the SQL is in
//! [`crate::store::postgres::moving`]. `docs/MOVING.md` is the operator's side of it.

pub mod export;
mod export_files;
mod file_mover;
pub mod import;
pub mod media;
mod message;
mod plan;
mod progress;
mod read_marks;
pub mod report;
mod room_import;
pub mod verify;

use clap::ValueEnum;

/// The account that stands for every author whose account is gone in Django. Ids from here on are below 2^53, which
/// JavaScript can count to, and above every id that Django gives.
pub const ERASED_USER: i64 = 1 << 52;

/// The name that an import holds as nodes hold theirs: no two imports run at a time, and no node starts meanwhile.
pub const IMPORT_LEASE: &str = "import-django";

/// The name that an export holds.
pub const EXPORT_LEASE: &str = "export-django";

/// What read marks are taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MarksSource {
    /// `last_read_at` alone: badges stay as they are in Django
    LastRead,
    /// The furthest of `last_read_at` and `read_by`: all receipts stay, and badges may shrink
    Furthest,
}

/// What an import is told.
#[derive(Clone, Copy, Debug)]
pub struct ImportOptions {
    /// What read marks are taken from.
    pub marks: MarksSource,
    /// Whether nothing is written.
    pub is_dry_run: bool,
}
