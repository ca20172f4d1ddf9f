//! Why a connection ends.

/// A WebSocket close code that the engine gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCode {
    /// Both are done.
    Normal,
    /// A panic or another fault of the engine.
    Internal,
    /// The server restarts.
    Restarting,
    /// Ten bad frames in a minute.
    BadFrames,
    /// The token is missing, invalid, expired or revoked.
    Unauthorized,
    /// Not, or no longer, in the room; or no such room.
    NotInRoom,
    /// The room was deleted while one was in.
    RoomDeleted,
    /// Nothing was heard for too long.
    Silent,
    /// Too many sockets of one person.
    TooManySockets,
    /// Too many refusals in a short time.
    TooManyRefusals,
    /// The reader is too slow; it may resume.
    TooSlow,
    /// The client ends it, with this code.
    Echoed(u16),
    /// A code that the framing gives.
    Framing(u16),
}

impl CloseCode {
    /// The code of the wire.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::Internal => 1011,
            Self::Restarting => 1012,
            Self::BadFrames => 4400,
            Self::Unauthorized => 4401,
            Self::NotInRoom => 4403,
            Self::RoomDeleted => 4404,
            Self::Silent => 4408,
            Self::TooManySockets => 4409,
            Self::TooManyRefusals => 4429,
            Self::TooSlow => 4431,
            Self::Echoed(code) | Self::Framing(code) => code,
        }
    }

    /// A few words for a person who debugs a client.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Normal | Self::Echoed(_) => "",
            Self::Internal => "internal error",
            Self::Restarting => "restarting",
            Self::BadFrames => "too many bad frames",
            Self::Unauthorized => "token missing, invalid, expired or revoked",
            Self::NotInRoom => "not in this room",
            Self::RoomDeleted => "room deleted",
            Self::Silent => "nothing heard",
            Self::TooManySockets => "too many sockets",
            Self::TooManyRefusals => "too many refusals",
            Self::TooSlow => "reader too slow",
            Self::Framing(_) => "protocol error",
        }
    }
}
