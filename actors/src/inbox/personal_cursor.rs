//! Where a user socket is in its user's personal log.

use crate::domain::ids::PersonalSeq;

/// How far a socket has been sent its user's personal log.
#[derive(Default)]
pub(super) struct PersonalCursor {
    /// Everything up to here has been sent, or the client knows it.
    pub(super) position: PersonalSeq,
    /// Whether the client follows the log; another one is sent only what no row of its inbox shows.
    pub(super) is_followed: bool,
    /// Whether the socket has caught up once, or need not.
    pub(super) is_synced: bool,
    /// Whether it gets the next page once it has taken everything that waits for it.
    pub(super) is_waiting: bool,
}
