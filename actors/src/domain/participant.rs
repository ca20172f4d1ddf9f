//! A person's place in a room.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::ids::{ParticipantId, RoomId, Seq};
use super::person::Author;

/// What a participant may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// May change the room and its people.
    Admin,
    /// May talk.
    Member,
}

impl Role {
    /// The name in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Member => "member",
        }
    }

    /// Reads the store's name; what it doesn't know may do least.
    #[must_use]
    pub fn parse(name: &str) -> Self {
        if name == "admin" { Self::Admin } else { Self::Member }
    }

    /// The role for the wire's `is_admin`.
    #[must_use]
    pub fn of(is_admin: bool) -> Self {
        if is_admin { Self::Admin } else { Self::Member }
    }
}

/// A participant as events carry one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    /// The participant's id.
    pub id: ParticipantId,
    /// The person.
    pub user: Author,
    /// The room.
    pub room: RoomId,
    /// When this person joined last.
    pub joined_at: DateTime<Utc>,
    /// The position of that joining.
    pub joined_seq: Seq,
    /// Since when this person is out.
    pub left_at: Option<DateTime<Utc>>,
    /// What this person may do.
    pub role: Role,
    /// Up to which position this person has read.
    pub read_seq: Seq,
    /// From which position on this person may read.
    pub visible_from: Seq,
}

impl Participant {
    /// Whether this person is in the room now.
    #[must_use]
    pub fn is_in(&self) -> bool {
        self.left_at.is_none()
    }

    /// After which position a message of another counts as unread.
    #[must_use]
    pub fn unread_after(&self) -> Seq {
        self.read_seq.max(self.joined_seq)
    }
}
