//! On which terms users come into a room: as what, until when, and from where on they see it.

use chrono::{DateTime, Utc};

use super::ids::UserId;
use super::participant::Role;

/// From where on a user who comes into a room sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryStart {
    /// From its first event on.
    Start,
    /// From the entry on.
    Now,
}

impl HistoryStart {
    /// Reads the name on the wire.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "start" => Some(Self::Start),
            "now" => Some(Self::Now),
            _ => None,
        }
    }
}

/// On which terms a user comes into a room. What is unset follows from the room and the account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryTerms {
    /// The role; unset, a guest account comes in as a guest and everyone else as a member.
    pub role: Option<Role>,
    /// When the membership ends by itself.
    pub until: Option<DateTime<Utc>>,
    /// From where on the user sees the room; unset, a guest sees from the entry on, and for everyone else the
    /// room's `history` decides.
    pub from: Option<HistoryStart>,
}

impl EntryTerms {
    /// Whether a membership on these terms would be over at `now`.
    #[must_use]
    pub fn have_ended(&self, now: DateTime<Utc>) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

impl From<Role> for EntryTerms {
    fn from(role: Role) -> Self {
        Self { role: Some(role), ..Self::default() }
    }
}

/// Who the host application says is in the room of a task or property. From anyone else it has no effect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostRoster {
    /// Users with their terms. A membership that has ended already ends where there still is one.
    pub named: Vec<(UserId, EntryTerms)>,
    /// Whether these are all: everyone else is removed.
    pub is_complete: bool,
}
