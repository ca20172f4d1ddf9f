//! What names a session, and why one isn't accepted.

use std::fmt;

use crate::protocol::close::CloseCode;

/// Names a session of this node: its worker thread, and its number there. Small, because each room that a
/// session is in keeps it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SessionId(u64);

impl SessionId {
    /// Before every session.
    pub(crate) const FIRST: Self = Self(0);
    /// Behind every session.
    pub(crate) const LAST: Self = Self(u64::MAX);
    /// The bits of the number; a thread that accepts a million sessions a second has enough for years.
    const NUMBER_BITS: u32 = 48;

    pub(crate) fn new(worker: usize, number: u64) -> Self {
        debug_assert!(worker < 1 << (u64::BITS - Self::NUMBER_BITS));
        Self((worker as u64) << Self::NUMBER_BITS | number)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.0 & ((1 << Self::NUMBER_BITS) - 1);
        write!(f, "{}/{number}", self.0 >> Self::NUMBER_BITS)
    }
}

/// Why a connection isn't accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectError {
    /// The token was revoked, or the account is closed.
    Unauthorized,
    /// The user isn't in the room, or there is no such room.
    NotInRoom,
    /// The user has too many sockets already.
    TooManySockets,
    /// The store can't be reached.
    Unavailable,
    /// The server is about to stop.
    Restarting,
    /// The user has asked for too many rooms in vain.
    RateLimited,
}

impl ConnectError {
    /// The close code for a client that is accepted just to be told.
    #[must_use]
    pub fn close_code(self) -> CloseCode {
        match self {
            Self::Unauthorized => CloseCode::Unauthorized,
            Self::NotInRoom => CloseCode::NotInRoom,
            Self::TooManySockets => CloseCode::TooManySockets,
            Self::Unavailable | Self::Restarting => CloseCode::Restarting,
            Self::RateLimited => CloseCode::TooManyRefusals,
        }
    }

    /// The refusal of a socket that is closed with `code` before it was accepted.
    pub(crate) fn of_close_code(code: CloseCode) -> Self {
        match code {
            CloseCode::Unauthorized => Self::Unauthorized,
            CloseCode::NotInRoom | CloseCode::RoomDeleted => Self::NotInRoom,
            CloseCode::Restarting => Self::Restarting,
            _ => Self::Unavailable,
        }
    }
}
