//! A newtype for every id and position, so that none can be mistaken for another.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// A user, as the host application numbers users.
    UserId(i64)
);
id!(
    /// A user in one room; a user who joins again keeps it.
    ParticipantId(i64)
);
id!(
    /// A room.
    RoomId(Uuid)
);
id!(
    /// A message; unique across rooms.
    MessageId(Uuid)
);
id!(
    /// A stored file.
    FileId(Uuid)
);
id!(
    /// A file that a user uploads before its message is sent.
    UploadId(Uuid)
);
id!(
    /// A client's own id of one send, by which a retry is recognised.
    ClientId(Uuid)
);
id!(
    /// One history of the database; a restore starts another.
    Epoch(Uuid)
);
id!(
    /// One running server process.
    NodeId(Uuid)
);

/// A position in a room's log: 1, 2, 3 … in commit order; 0 is before the first event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub i64);

impl Seq {
    /// Before the first event of a room.
    pub const START: Self = Self(0);

    /// The position after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A position in a user's personal log: 1, 2, 3 … in commit order; 0 is before the first entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PersonalSeq(pub i64);

impl UserId {
    /// The account in whose name the host application writes.
    pub const HOST: Self = Self(-1);

    /// The first bot; the others' ids are below this one's. So an id alone says what it is of, wherever it is shown.
    pub const FIRST_BOT: Self = Self(-1_000_000_000);

    /// Whether this is the account of an integration. The host application numbers its users from 1.
    #[must_use]
    pub fn is_integration(self) -> bool {
        self.0 < 0 && !self.is_bot()
    }

    /// Whether this is a bot.
    #[must_use]
    pub fn is_bot(self) -> bool {
        self <= Self::FIRST_BOT
    }

    /// The kind of account as the wire names it.
    #[must_use]
    pub fn kind(self) -> &'static str {
        if self.is_bot() {
            "bot"
        } else if self.is_integration() {
            "integration"
        } else {
            "person"
        }
    }
}

impl RoomId {
    /// Makes a new id; ids made later sort later.
    #[must_use]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl Default for RoomId {
    fn default() -> Self {
        Self::new()
    }
}

impl MessageId {
    /// Makes a new id; ids made later sort later.
    #[must_use]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id of message `number` of a node. It is a UUIDv7 whose random bits are those of the node's id,
    /// which no other node has, plus the number.
    #[must_use]
    pub fn numbered(at: DateTime<Utc>, node: NodeId, number: u64) -> Self {
        let (high, low) = node.0.as_u64_pair();
        let mut unique = [0; 10];
        unique[..2].copy_from_slice(&high.to_be_bytes()[..2]);
        unique[2..].copy_from_slice(&low.wrapping_add(number).to_be_bytes());
        let millis = u64::try_from(at.timestamp_millis()).unwrap_or_default();
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &unique).into_uuid())
    }
}

impl ClientId {
    /// The id of one message of a send that makes several: the copy of `source` in `room`, or what is said
    /// beside the copies there. The same send always gives the same ids.
    #[must_use]
    pub fn of_part(self, room: RoomId, source: Option<MessageId>) -> Self {
        let mut name = room.0.as_bytes().to_vec();
        name.extend(source.iter().flat_map(|source| source.0.as_bytes()));
        Self(Uuid::new_v5(&self.0, &name))
    }
}

impl Default for MessageId {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::UserId;

    #[test]
    fn an_id_says_what_it_is_of() {
        for (id, kind) in [
            (1, "person"),
            (i64::MAX, "person"),
            (UserId::HOST.0, "integration"),
            (-999_999_999, "integration"),
            (-1_000_000_000, "bot"),
            (-1_000_000_001, "bot"),
        ] {
            assert_eq!(UserId(id).kind(), kind, "{id}");
        }
    }
}
