//! Rooms, without their participants and messages, and how the wire shows one.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::ids::{RoomId, Seq, UserId};
use super::participant::Role;
use super::permission::{AccessLevel, Action};
use super::room_settings::RoomSettings;
pub use super::room_type::RoomType;

/// The subject of a task or property room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind", content = "id")]
pub enum Subject {
    /// A task of the host application.
    Task(i64),
    /// A property of the host application.
    Property(i64),
}

impl Subject {
    /// The type of a room about it.
    #[must_use]
    pub fn room_type(self) -> RoomType {
        match self {
            Self::Task(_) => RoomType::Task,
            Self::Property(_) => RoomType::Property,
        }
    }
}

/// A room, without its participants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// The id.
    pub id: RoomId,
    /// The type; it never changes.
    pub room_type: RoomType,
    /// The name given by its admins; empty for none.
    pub name: String,
    /// The subject of a task or property room.
    pub subject: Option<Subject>,
    /// The subject's title, as the host application gave it; empty for none.
    pub title: String,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When its last activity was.
    pub modified_at: DateTime<Utc>,
    /// The user who created it; none when the host application did.
    pub created_by: Option<UserId>,
    /// When it was archived; an archived room accepts nothing new.
    pub archived_at: Option<DateTime<Utc>>,
    /// Whether one of a direct room's two users has blocked the other: it accepts nothing new then.
    #[serde(default)]
    pub is_blocked: bool,
    /// Whether a legal hold is on it: it isn't deleted then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_held: bool,
    /// Whether it was deleted; its log stays for audits.
    pub is_deleted: bool,
    /// The position of its last event.
    pub head: Seq,
    /// Its settings; a node that sends none doesn't know them.
    #[serde(default)]
    pub settings: RoomSettings,
    /// The position from which on all who are in it may read.
    #[serde(default)]
    pub visible_to_all_from: Seq,
}

/// What a client may show as possible: the name on the wire, and whether it takes a room that isn't archived.
const CAPABILITIES: [(Action, &str, bool); 7] = [
    (Action::Post, "post", true),
    (Action::React, "react", true),
    (Action::Pin, "pin", true),
    (Action::MarkUrgent, "urgent", true),
    (Action::ModerateMessage, "moderate", false),
    (Action::ManageParticipants, "manage_participants", false),
    (Action::ManageRoom, "manage", false),
];

impl Room {
    /// A room without name and title, before its first event.
    #[must_use]
    pub fn new(id: RoomId, room_type: RoomType, created_by: Option<UserId>, at: DateTime<Utc>) -> Self {
        Self {
            id,
            room_type,
            name: String::new(),
            subject: None,
            title: String::new(),
            created_at: at,
            modified_at: at,
            created_by,
            archived_at: None,
            is_blocked: false,
            is_held: false,
            is_deleted: false,
            head: Seq::START,
            settings: RoomSettings::default(),
            visible_to_all_from: Seq::START,
        }
    }

    /// Whether a principal of `access_level` may do `action` here, by the table and by the room's settings.
    #[must_use]
    pub fn allows(&self, access_level: AccessLevel, action: Action) -> bool {
        access_level.allows(action, self.room_type) && self.settings.permit(access_level, action)
    }

    /// The names of what a principal of `access_level` may do here now, with the rights of the staff or without.
    #[must_use]
    pub fn capabilities(&self, access_level: AccessLevel, is_staff: bool) -> Vec<&'static str> {
        let is_active = self.archived_at.is_none() && !self.is_blocked;
        let may = |action| {
            self.allows(access_level, action) || (is_staff && self.allows(AccessLevel::Staff, action))
        };
        let now = CAPABILITIES
            .iter()
            .filter(|(action, _, needs_active)| may(*action) && (is_active || !needs_active));
        now.map(|(_, name, _)| *name).collect()
    }

    /// From when on slow mode lets a user send a message who sent the last one at `last_post`; none if that
    /// is not after `now`.
    #[must_use]
    pub fn next_post_at(
        &self,
        access_level: AccessLevel,
        last_post: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let interval = self.settings.slow_mode_seconds.interval()?;
        let next = last_post? + interval;
        let is_spared = matches!(
            access_level,
            AccessLevel::Participant(Role::Admin) | AccessLevel::Service | AccessLevel::Integration
        );
        (next > now && !is_spared).then_some(next)
    }

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

    /// What to call the room, for a user whose `partner` in a direct room is called so.
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

/// A room on the wire.
#[derive(Serialize)]
#[allow(missing_docs, reason = "the fields are the wire's, described in docs/PROTOCOL.md")]
pub struct RoomView<'a> {
    pub id: RoomId,
    pub name: &'a str,
    pub room_type: &'static str,
    pub task: Option<i64>,
    pub property: Option<i64>,
    pub title: &'a str,
    pub is_active: bool,
    pub archived_at: Option<DateTime<Utc>>,
    pub modified_at: DateTime<Utc>,
    #[serde(flatten)]
    pub settings: &'a RoomSettings,
}

impl<'a> From<&'a Room> for RoomView<'a> {
    fn from(room: &'a Room) -> Self {
        Self {
            id: room.id,
            name: &room.name,
            room_type: room.room_type.as_str(),
            task: room.task(),
            property: room.property(),
            title: &room.title,
            is_active: room.archived_at.is_none(),
            archived_at: room.archived_at,
            modified_at: room.modified_at,
            settings: &room.settings,
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::room_settings::{Audience, RoomSettingsPatch, SettingInput};

    const ADMIN: AccessLevel = AccessLevel::Participant(Role::Admin);
    const MEMBER: AccessLevel = AccessLevel::Participant(Role::Member);

    fn room() -> Room {
        Room::new(RoomId(Uuid::nil()), RoomType::Group, None, DateTime::UNIX_EPOCH)
    }

    #[test]
    fn capabilities_follow_the_role_the_settings_and_archiving() {
        let mut room = room();
        assert_eq!(room.capabilities(MEMBER, false), ["post", "react", "pin", "urgent"]);
        assert_eq!(room.capabilities(MEMBER, true), ["post", "react", "pin", "urgent", "moderate"]);
        assert_eq!(
            room.capabilities(ADMIN, false),
            ["post", "react", "pin", "urgent", "moderate", "manage_participants", "manage"]
        );
        room.settings.posting = Audience::Admins;
        assert_eq!(room.capabilities(MEMBER, false), ["react", "pin"]);
        room.archived_at = Some(DateTime::UNIX_EPOCH);
        assert_eq!(room.capabilities(ADMIN, false), ["moderate", "manage_participants", "manage"]);
        assert!(room.capabilities(AccessLevel::Outsider, false).is_empty());
        let guest = AccessLevel::Participant(Role::Guest);
        assert_eq!(self::room().capabilities(guest, false), ["post", "react"]);
        let direct = Room { room_type: RoomType::Direct, ..self::room() };
        assert_eq!(direct.capabilities(ADMIN, true), ["post", "react", "pin", "urgent"]);
        let task = Room { room_type: RoomType::Task, ..self::room() };
        assert_eq!(
            task.capabilities(AccessLevel::Service, false),
            ["post", "pin", "moderate", "manage_participants", "manage"]
        );
    }

    #[test]
    fn slow_mode_counts_from_the_last_message_and_spares_admins() {
        let at = |second| DateTime::from_timestamp(second, 0).expect("a time");
        let mut room = room();
        assert_eq!(room.next_post_at(MEMBER, Some(at(100)), at(100)), None);
        let thirty = RoomSettingsPatch::read(|setting| {
            (setting.name == "slow_mode_seconds").then_some(SettingInput::Number(30))
        });
        thirty.apply_to(&mut room.settings);
        assert_eq!(room.next_post_at(MEMBER, None, at(100)), None);
        assert_eq!(room.next_post_at(MEMBER, Some(at(100)), at(100)), Some(at(130)));
        assert_eq!(room.next_post_at(MEMBER, Some(at(100)), at(129)), Some(at(130)));
        assert_eq!(room.next_post_at(MEMBER, Some(at(100)), at(130)), None);
        for spared in [ADMIN, AccessLevel::Service, AccessLevel::Integration] {
            assert_eq!(room.next_post_at(spared, Some(at(100)), at(100)), None, "{spared:?}");
        }
    }
}
