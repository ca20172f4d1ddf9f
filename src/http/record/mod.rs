//! What is kept on record: the audit log, legal holds, for how long messages are kept, and rooms as they stood.

pub mod audit;
pub mod exports;
pub mod holds;
pub mod retention;
pub mod room_at;

use super::caller::Caller;
use super::error::ApiError;

/// Checks that the caller is of the staff or the host application.
fn require_moderator(caller: &Caller) -> Result<(), ApiError> {
    if caller.is_moderator() { Ok(()) } else { Err(ApiError::forbidden()) }
}
