//! Every way in which the engine says no: one table for sockets and REST.

use std::time::Duration;

use serde::Serialize;

use crate::domain::command::Refusal;

/// The codes of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// Not understood.
    BadFrame,
    /// Understood, and not allowed in value.
    Invalid,
    /// Not allowed for this person.
    Forbidden,
    /// Not there, or not for this person to know of.
    NotFound,
    /// The room takes nothing new.
    Archived,
    /// The `client_id` was used for another message.
    ClientIdConflict,
    /// A body or a file is over its limit.
    TooLarge,
    /// Refused by a rule of the operator or of the database.
    Rejected,
    /// More often than allowed.
    RateLimited,
    /// More than can be taken now; nothing was stored.
    Overloaded,
    /// The store can't be reached; nothing was stored.
    Unavailable,
    /// It may be stored or not; sending it again with the same `client_id` is safe.
    UnknownOutcome,
}

impl ErrorCode {
    /// Every code with its name, its HTTP status, and whether trying again can help.
    pub const TABLE: [(Self, &'static str, u16, bool); 12] = [
        (Self::BadFrame, "bad_frame", 400, false),
        (Self::Invalid, "invalid", 400, false),
        (Self::Forbidden, "forbidden", 403, false),
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

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        self.row().2
    }
}

/// Why the engine did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// A rule says no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Too often.
    #[error("Request was throttled.")]
    RateLimited {
        /// After how long one more is allowed.
        retry_after: Duration,
    },
    /// A queue is full.
    #[error("The server is overloaded; nothing was stored")]
    Overloaded,
    /// The store can't be reached, or not in time; nothing was stored.
    #[error("The service is temporarily unavailable; nothing was stored")]
    Unavailable,
    /// The store didn't say whether it committed.
    #[error("It is unknown whether this was stored; send it again with the same client_id")]
    OutcomeUnknown,
}

impl EngineError {
    /// The code of the wire.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::RateLimited { .. } => ErrorCode::RateLimited,
            Self::Overloaded => ErrorCode::Overloaded,
            Self::Unavailable => ErrorCode::Unavailable,
            Self::OutcomeUnknown => ErrorCode::UnknownOutcome,
        }
    }

    /// After how long it is worth trying again, where that can help.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } => Some(*retry_after),
            Self::Overloaded | Self::Unavailable | Self::OutcomeUnknown => Some(Duration::from_secs(1)),
            Self::Refused(_) => None,
        }
    }
}

impl Refusal {
    /// The code of the wire.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::RoomNotFound | Self::MessageNotFound | Self::ParticipantNotFound => ErrorCode::NotFound,
            Self::NotParticipant | Self::Forbidden => ErrorCode::Forbidden,
            Self::Archived => ErrorCode::Archived,
            Self::ClientIdConflict => ErrorCode::ClientIdConflict,
            Self::PeopleNotFound(_)
            | Self::StrayReply
            | Self::Blank
            | Self::LastAdmin
            | Self::DirectRoom
            | Self::AlreadyIn => ErrorCode::Invalid,
            Self::Rejected => ErrorCode::Rejected,
        }
    }
}
