//! The directory of users, their access, and the built-in accounts with their refresh tokens.

pub(crate) mod access;
mod accounts;
mod directory;
mod record;
mod token_families;
mod upsert;

pub use accounts::Account;
pub use directory::{FoundUser, ProfileClaims, UserScope};
pub use record::{UserProfile, UserRecord};
pub use token_families::{ROTATION_GRACE_MS, RefreshState, TokenFamily};
pub use upsert::{EraseOutcome, UpsertedUser, UserUpsert};
