//! Why a connection ends.

/// A WebSocket close code that the server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCode {
    /// Both sides are done.
    Normal,
    /// A panic or another fault of the engine.
    Internal,
    /// The server restarts.
    Restarting,
    /// Too many bad frames in a minute.
    BadFrames,
    /// The token is missing, invalid, expired or revoked.
    Unauthorized,
    /// The user isn't in the room, or there is no such room.
    NotInRoom,
    /// The room was deleted.
    RoomDeleted,
    /// The client sent nothing for too long.
    Silent,
    /// The user has too many sockets.
    TooManySockets,
    /// Too many rate-limit refusals in a short time.
    TooManyRefusals,
    /// The reader is too slow; it may resume.
    TooSlow,
    /// The client closes the connection, with this code.
    Echoed(u16),
    /// A protocol error of the framing, with this code.
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

    /// A short reason, for debugging a client.
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
