//! The error codes of the wire: one table for sockets and REST.

use serde::Serialize;

/// The error codes of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The frame or body isn't understood.
    BadFrame,
    /// A value isn't allowed.
    Invalid,
    /// The user may not do this.
    Forbidden,
    /// One of a direct room's two users has blocked the other.
    Blocked,
    /// It doesn't exist, or the user may not know of it.
    NotFound,
    /// The room accepts nothing new.
    Archived,
    /// The `client_id` was used for another message.
    ClientIdConflict,
    /// A body or a file is over its limit.
    TooLarge,
    /// A rule of the operator or of the database refuses it.
    Rejected,
    /// It was asked for too often.
    RateLimited,
    /// The server is overloaded; nothing was stored.
    Overloaded,
    /// The store can't be reached; nothing was stored.
    Unavailable,
    /// It may be stored or not; a retry with the same `client_id` is safe.
    UnknownOutcome,
}

impl ErrorCode {
    /// Every code with its name, its HTTP status, and whether a retry can succeed.
    pub const TABLE: [(Self, &'static str, u16, bool); 13] = [
        (Self::BadFrame, "bad_frame", 400, false),
        (Self::Invalid, "invalid", 400, false),
        (Self::Forbidden, "forbidden", 403, false),
        (Self::Blocked, "blocked", 403, false),
        (Self::NotFound, "not_found", 404, false),
        (Self::Archived, "archived", 409, false),
        (Self::ClientIdConflict, "client_id_conflict", 409, false),
        (Self::TooLarge, "too_large", 413, false),
        (Self::Rejected, "rejected", 422, false),
        (Self::RateLimited, "rate_limited", 429, true),
        (Self::Overloaded, "overloaded", 503, true),
        (Self::Unavailable, "unavailable", 503, true),
        (Self::UnknownOutcome, "unknown_outcome", 503, true),
    ];

    fn row(self) -> (&'static str, u16, bool) {
        Self::TABLE
            .iter()
            .find(|(code, ..)| *code == self)
            .map(|(_, name, status, retryable)| (*name, *status, *retryable))
            .expect("the table has a row for each code")
    }

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(self) -> u16 {
        self.row().1
    }

    /// Whether a retry of the same request can succeed.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        self.row().2
    }
}
