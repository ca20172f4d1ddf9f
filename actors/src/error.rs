//! Every error that the engine answers with, on sockets and by REST.

use std::time::Duration;

use crate::domain::command::Refusal;
pub use crate::domain::error_code::ErrorCode;

/// Why the engine did not carry out a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// A rule refuses it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The user's budget is used up.
    #[error("Request was throttled.")]
    RateLimited {
        /// When the next one is allowed.
        retry_after: Duration,
    },
    /// A queue is full.
    #[error("The server is overloaded; nothing was stored")]
    Overloaded,
    /// The store could not be reached in time; nothing was stored.
    #[error("The service is temporarily unavailable; nothing was stored")]
    Unavailable,
    /// No socket of the bot took its command.
    #[error("The bot of this command isn't connected")]
    BotUnavailable,
    /// The store did not report whether it committed.
    #[error("It is unknown whether this was stored; send it again with the same client_id")]
    OutcomeUnknown,
}

impl EngineError {
    /// The error code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::RateLimited { .. } => ErrorCode::RateLimited,
            Self::Overloaded => ErrorCode::Overloaded,
            Self::Unavailable | Self::BotUnavailable => ErrorCode::Unavailable,
            Self::OutcomeUnknown => ErrorCode::UnknownOutcome,
        }
    }

    /// When to retry, where that can succeed.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } | Self::Refused(Refusal::TooSoon { retry_after }) => {
                Some(*retry_after)
            }
            Self::Overloaded | Self::Unavailable | Self::BotUnavailable | Self::OutcomeUnknown => {
                Some(Duration::from_secs(1))
            }
            Self::Refused(_) => None,
        }
    }
}
