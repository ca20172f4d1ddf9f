//! Newtypes for every id and position, so that none can be taken for another.

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
    /// A person, as the host application numbers people.
    UserId(i64)
);
id!(
    /// A person's place in one room; the same one when that person comes back.
    ParticipantId(i64)
);
id!(
    /// A room.
    RoomId(Uuid)
);
id!(
    /// A message; unique over all rooms.
    MessageId(Uuid)
);
id!(
    /// A stored file.
    FileId(Uuid)
);
id!(
    /// What a client calls one send of its own, so that a retry is known again.
    ClientId(Uuid)
);
id!(
    /// One history of the database; another one after a restore.
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

    /// Makes the id of the `number`th message that is sent through a node. In place of a UUID's random
    /// bits are those of the node's id, which no other node has, with the number added.
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

impl Default for MessageId {
    fn default() -> Self {
        Self::new()
    }
}
