//! The types of rooms.

use serde::{Deserialize, Serialize};

/// The types of rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoomType {
    /// Exactly two users, neither of them an admin.
    Direct,
    /// Users brought together by one of them.
    Group,
    /// The one room of a task.
    Task,
    /// The one room of a property.
    Property,
}

impl RoomType {
    /// The name on the wire and in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Group => "group",
            Self::Task => "task",
            Self::Property => "property",
        }
    }

    /// Reads a name of the wire; nothing else is a room type.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "direct" => Some(Self::Direct),
            "group" => Some(Self::Group),
            "task" => Some(Self::Task),
            "property" => Some(Self::Property),
            _ => None,
        }
    }

    /// Whether a service token acts as this room's admin.
    #[must_use]
    pub fn is_host_managed(self) -> bool {
        matches!(self, Self::Task | Self::Property)
    }
}
