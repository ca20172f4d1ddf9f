//! What a room is, apart from its people and messages.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::ids::{RoomId, Seq, UserId};

/// The kinds of rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoomType {
    /// Exactly two people, neither of them an admin.
    Direct,
    /// People who were put together by one of them.
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
    pub fn is_of_host(self) -> bool {
        matches!(self, Self::Task | Self::Property)
    }
}

/// What a task or property room is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind", content = "id")]
pub enum Subject {
    /// A task of the host application.
    Task(i64),
    /// A property of the host application.
    Property(i64),
}

impl Subject {
    /// The type that a room about it has.
    #[must_use]
    pub fn room_type(self) -> RoomType {
        match self {
            Self::Task(_) => RoomType::Task,
            Self::Property(_) => RoomType::Property,
        }
    }
}

/// A room, without its people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// The room's id.
    pub id: RoomId,
    /// Its kind; never changes.
    pub room_type: RoomType,
    /// The name that its admins gave it; empty for none.
    pub name: String,
    /// What it is about, for task and property rooms.
    pub subject: Option<Subject>,
    /// The subject's own title, as the host application told it; empty for none.
    pub title: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When something in it last changed.
    pub modified_at: DateTime<Utc>,
    /// Who made it; nobody when a service did.
    pub created_by: Option<UserId>,
    /// Since when it takes nothing new.
    pub archived_at: Option<DateTime<Utc>>,
    /// Whether it was deleted; its log stays, for audit alone.
    pub is_deleted: bool,
    /// The position of its last event.
    pub head: Seq,
}

impl Room {
    /// The task it is about.
    #[must_use]
    pub fn task(&self) -> Option<i64> {
        match self.subject {
            Some(Subject::Task(id)) => Some(id),
            _ => None,
        }
    }

    /// The property it is about.
    #[must_use]
    pub fn property(&self) -> Option<i64> {
        match self.subject {
            Some(Subject::Property(id)) => Some(id),
            _ => None,
        }
    }

    /// What to call the room, for one who sees `partner` as the other of a direct room.
    #[must_use]
    pub fn display_name(&self, partner: Option<&str>) -> String {
        if !self.name.is_empty() {
            return self.name.clone();
        }
        if let (RoomType::Direct, Some(partner)) = (self.room_type, partner) {
            return partner.to_owned();
        }
        match (self.subject, self.title.as_str()) {
            (Some(Subject::Task(_)), title) if !title.is_empty() => format!("Task: {title}"),
            (Some(Subject::Property(_)), title) if !title.is_empty() => format!("Property: {title}"),
            _ => {
                let id = self.id.to_string();
                format!("Chat #{}", &id[..8])
            }
        }
    }
}
