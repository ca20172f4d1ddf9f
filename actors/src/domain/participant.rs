//! Participants: users in a room, and how the wire shows one.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::ids::{ParticipantId, RoomId, Seq};
use super::user::UserSummary;

/// What a participant may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// May change the room and its participants.
    Admin,
    /// May send messages.
    Member,
    /// May send messages, and belongs to another organisation: a contractor, a tenant.
    Guest,
}

impl Role {
    /// Of two roles the one that may do less.
    #[must_use]
    pub fn lower(self, other: Self) -> Self {
        match (self, other) {
            (Self::Guest, _) | (_, Self::Guest) => Self::Guest,
            (Self::Member, _) | (_, Self::Member) => Self::Member,
            (Self::Admin, Self::Admin) => Self::Admin,
        }
    }

    /// The name in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Member => "member",
            Self::Guest => "guest",
        }
    }

    /// Reads the name in the store; an unknown one may do least.
    #[must_use]
    pub fn parse(name: &str) -> Self {
        Self::named(name).unwrap_or(Self::Guest)
    }

    /// Reads the name on the wire.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Admin, Self::Member, Self::Guest].into_iter().find(|role| role.as_str() == name)
    }

    /// The role for the wire's `is_admin`.
    #[must_use]
    pub fn of(is_admin: bool) -> Self {
        if is_admin { Self::Admin } else { Self::Member }
    }
}

/// What a participant wants to be told of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NotificationLevel {
    /// Everything.
    #[default]
    All,
    /// Being mentioned.
    Mentions,
    /// Nothing.
    Nothing,
}

impl NotificationLevel {
    /// The name in the store and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Mentions => "mentions",
            Self::Nothing => "nothing",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::All, Self::Mentions, Self::Nothing].into_iter().find(|level| level.as_str() == name)
    }
}

/// A user who is or was in a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    /// The id.
    pub id: ParticipantId,
    /// The user.
    pub user: UserSummary,
    /// The room.
    pub room: RoomId,
    /// When the user joined last.
    pub joined_at: DateTime<Utc>,
    /// The position of that event.
    pub joined_seq: Seq,
    /// When the user left; none for a current participant.
    pub left_at: Option<DateTime<Utc>>,
    /// The role.
    pub role: Role,
    /// When the membership ends by itself; none if it doesn't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// Up to which position the user has read.
    pub read_seq: Seq,
    /// From which position on the user may read.
    pub visible_from: Seq,
    /// From which position on the room counts as unread, whatever was read; for the user alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread_from: Option<Seq>,
}

impl Participant {
    /// Whether the user is in the room now.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.left_at.is_none()
    }

    /// Whether the time of the membership was over at `now`. Until the event of that is in the log, the user is
    /// still in the room and may do nothing there.
    #[must_use]
    pub fn has_ended(&self, now: DateTime<Utc>) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// Whether this user may see what stands at `seq` of the room's log.
    #[must_use]
    pub fn can_see(&self, seq: Seq) -> bool {
        seq >= self.visible_from
    }

    /// The position after which other users' messages count as unread for this user.
    #[must_use]
    pub fn unread_after(&self) -> Seq {
        let marked = self.unread_from.map(|from| Seq(from.0.max(self.visible_from.0) - 1));
        marked.unwrap_or_else(|| self.unread_after_mark())
    }

    /// The same as others see it, by the read mark alone.
    #[must_use]
    pub fn unread_after_mark(&self) -> Seq {
        self.read_seq.max(self.joined_seq).max(Seq(self.visible_from.0 - 1))
    }
}

/// A participant on the wire.
#[derive(Serialize)]
#[allow(missing_docs, reason = "the fields are the wire's, described in docs/PROTOCOL.md")]
pub struct ParticipantView<'a> {
    pub id: i64,
    pub user: &'a UserSummary,
    pub room: RoomId,
    pub joined_at: DateTime<Utc>,
    pub left_at: Option<DateTime<Utc>>,
    pub is_admin: bool,
    pub role: Role,
    pub until: Option<DateTime<Utc>>,
    pub external: bool,
}

impl<'a> From<&'a Participant> for ParticipantView<'a> {
    fn from(participant: &'a Participant) -> Self {
        Self {
            id: participant.id.0,
            user: &participant.user,
            room: participant.room,
            joined_at: participant.joined_at,
            left_at: participant.left_at,
            is_admin: participant.role == Role::Admin,
            role: participant.role,
            until: participant.until,
            external: participant.role == Role::Guest,
        }
    }
}
