//! The settings of a room.
//!
//! Each is declared once, in [`with_room_settings`](crate::with_room_settings): its name, which is the same in
//! the code, on the wire and as a column of the store; its type, which knows what values it has; its default.
//! Commands, frames, stores, REST with its document, and what the log records of a change follow from that. A
//! new setting is a line there and a column in a migration.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::participant::Role;
use super::permission::{AccessLevel, Action};
use super::text::DESCRIPTION_CHARS_MAX;

/// Passes the declarations of all settings to the macro that is named. A declaration is `name: type = default;`
/// below a sentence that documents it.
#[macro_export]
macro_rules! with_room_settings {
    ($($with:tt)+) => {
        $($with)+! {
            /// Who may send messages.
            posting: Audience = Audience::Everyone;
            /// The seconds that each user but the admins waits after a message before the next one; 0 for none.
            slow_mode_seconds: SlowModeSeconds = SlowModeSeconds::OFF;
            /// Who may pin messages.
            pinning: Audience = Audience::Everyone;
            /// Which messages a user who joins from now on may read: all, or those from joining on.
            history: HistoryAccess = HistoryAccess::All;
            /// Whether everyone may read the earlier texts of edited messages.
            edit_history: bool = true;
            /// What the room is for; may be empty.
            description: Description = Description::default();
            /// Who may mark messages as urgent.
            urgent: UrgentAudience = UrgentAudience::Everyone;
        }
    };
}

/// What the log records of a change, by the name of what changed: the value before and the one after. Of texts
/// it records only that they changed.
pub type RecordedChanges = BTreeMap<String, Option<[Value; 2]>>;

macro_rules! declare_settings {
    ($(#[doc = $about:literal] $name:ident: $type:ty = $default:expr;)+) => {
        /// The settings of one room.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct RoomSettings {
            $(#[doc = $about] pub $name: $type,)+
        }

        /// New values for some of the settings.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct RoomSettingsPatch {
            $(#[doc = $about] pub $name: Option<$type>,)+
        }

        impl Default for RoomSettings {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        impl RoomSettings {
            /// All settings, in the order of their declaration.
            pub const ALL: &[Setting] = &[$(Setting {
                name: stringify!($name),
                about: $about.trim_ascii(),
                kind: <$type as SettingValue>::KIND,
            },)+];

            /// What the log records of a change to `after`.
            #[must_use]
            pub fn changes(&self, after: &Self) -> RecordedChanges {
                let mut changes = RecordedChanges::new();
                $(if self.$name != after.$name {
                    let values = [self.$name.recorded(), after.$name.recorded()];
                    let both = if let [Some(before), Some(after)] = values { Some([before, after]) } else { None };
                    changes.insert(stringify!($name).to_owned(), both);
                })+
                changes
            }
        }

        impl RoomSettingsPatch {
            /// Makes a patch of what `read` finds for each setting. Nothing but a value of its kind counts.
            pub fn read<'a>(mut read: impl FnMut(&'static Setting) -> Option<SettingInput<'a>>) -> Self {
                let mut settings = RoomSettings::ALL.iter();
                let mut next = || read(settings.next().expect("there is one for each field"));
                Self { $($name: next().and_then(<$type as SettingValue>::read),)+ }
            }

            /// Changes `settings` where the patch has values.
            pub fn apply_to(&self, settings: &mut RoomSettings) {
                $(if let Some(value) = &self.$name {
                    settings.$name.clone_from(value);
                })+
            }
        }
    };
}

with_room_settings!(declare_settings);

/// What is the same for all values of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The name.
    pub name: &'static str,
    /// A sentence that documents it.
    pub about: &'static str,
    /// The values that it has.
    pub kind: SettingKind,
}

/// The kinds of values that settings have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingKind {
    /// One of these names.
    Choice(&'static [&'static str]),
    /// An integer from 0 on.
    Number {
        /// The highest.
        max: u32,
    },
    /// Yes or no.
    Flag,
    /// A text, trimmed and checked by [`text::optional`](super::text::optional).
    Text {
        /// The most code points.
        chars_max: usize,
    },
}

/// A value as it comes from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingInput<'a> {
    /// Of a choice or a text.
    Text(Cow<'a, str>),
    /// Of a number.
    Number(i64),
    /// Of a flag.
    Flag(bool),
}

/// A type of settings.
trait SettingValue: Sized + Serialize {
    /// The kind of its values.
    const KIND: SettingKind;

    /// Reads a value of [`Self::KIND`]; nothing else is one.
    fn read(input: SettingInput<'_>) -> Option<Self>;

    /// What the log records of a value: nothing of a text.
    fn recorded(&self) -> Option<Value> {
        match Self::KIND {
            SettingKind::Text { .. } => None,
            SettingKind::Choice(_) | SettingKind::Number { .. } | SettingKind::Flag => {
                serde_json::to_value(self).ok()
            }
        }
    }
}

macro_rules! choice {
    ($(#[$doc:meta])* $type:ident { $($(#[$about:meta])* $choice:ident = $name:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $type {
            $($(#[$about])* #[serde(rename = $name)] $choice,)+
        }

        impl SettingValue for $type {
            const KIND: SettingKind = SettingKind::Choice(&[$($name),+]);

            fn read(input: SettingInput<'_>) -> Option<Self> {
                let SettingInput::Text(name) = input else { return None };
                match &*name {
                    $($name => Some(Self::$choice),)+
                    _ => None,
                }
            }
        }
    };
}

choice! {
    /// Who may do something in a room.
    Audience {
        /// Every participant.
        Everyone = "everyone",
        /// Its admins.
        Admins = "admins",
    }
}

choice! {
    /// Who may mark messages as urgent.
    UrgentAudience {
        /// Every participant who may send messages.
        Everyone = "everyone",
        /// The room's admins.
        Admins = "admins",
        /// No participant.
        Nobody = "nobody",
    }
}

choice! {
    /// Which messages a user who joins may read.
    HistoryAccess {
        /// All, from before joining too.
        All = "all",
        /// Those from joining on.
        Joined = "joined",
    }
}

/// The time between two messages of one user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SlowModeSeconds(u32);

impl SlowModeSeconds {
    /// No time.
    pub const OFF: Self = Self(0);
    /// Six hours.
    pub const MAX: u32 = 21_600;

    /// So many seconds; none over [`Self::MAX`].
    #[must_use]
    pub fn new(seconds: u32) -> Option<Self> {
        (seconds <= Self::MAX).then_some(Self(seconds))
    }

    /// The time; none if slow mode is off.
    #[must_use]
    pub fn interval(self) -> Option<TimeDelta> {
        (self != Self::OFF).then(|| TimeDelta::seconds(self.0.into()))
    }
}

impl SettingValue for SlowModeSeconds {
    const KIND: SettingKind = SettingKind::Number { max: Self::MAX };

    fn read(input: SettingInput<'_>) -> Option<Self> {
        let SettingInput::Number(seconds) = input else { return None };
        u32::try_from(seconds).ok().and_then(Self::new)
    }
}

/// What a room is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Description(String);

impl Description {
    /// The text; empty for none.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SettingValue for Description {
    const KIND: SettingKind = SettingKind::Text { chars_max: DESCRIPTION_CHARS_MAX };

    fn read(input: SettingInput<'_>) -> Option<Self> {
        if let SettingInput::Text(text) = input { Some(Self(text.into_owned())) } else { None }
    }
}

impl SettingValue for bool {
    const KIND: SettingKind = SettingKind::Flag;

    fn read(input: SettingInput<'_>) -> Option<Self> {
        if let SettingInput::Flag(flag) = input { Some(flag) } else { None }
    }
}

impl RoomSettings {
    /// What a principal must be allowed to do to change a setting.
    pub const CHANGED_BY: Action = Action::ManageRoom;

    /// Whether the settings leave `action` to principals of `access_level`, whom the table in
    /// [`permission`](super::permission) allows it.
    #[must_use]
    pub fn permit(&self, access_level: AccessLevel, action: Action) -> bool {
        // The host application and integrations, which admins set up, act as admins where the table allows them
        // anything.
        let is_admin = matches!(
            access_level,
            AccessLevel::Participant(Role::Admin) | AccessLevel::Service | AccessLevel::Integration
        );
        match action {
            Action::Post => is_admin || self.posting == Audience::Everyone,
            Action::Pin => is_admin || self.pinning == Audience::Everyone,
            Action::MarkUrgent => {
                let is_left_to_them = match self.urgent {
                    UrgentAudience::Everyone => true,
                    UrgentAudience::Admins => is_admin,
                    UrgentAudience::Nobody => false,
                };
                is_left_to_them && self.permit(access_level, Action::Post)
            }
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_wire_has_each_setting_by_its_name() {
        let wire = serde_json::to_value(RoomSettings::default()).expect("plain data");
        assert_eq!(
            wire,
            json!({"posting": "everyone", "slow_mode_seconds": 0, "pinning": "everyone", "history": "all",
                "edit_history": true, "description": "", "urgent": "everyone"})
        );
        let names: Vec<&str> = RoomSettings::ALL.iter().map(|setting| setting.name).collect();
        assert_eq!(names.len(), wire.as_object().expect("an object").len());
        assert!(names.iter().all(|name| wire.get(name).is_some()), "{names:?}");
        // A node that doesn't know a setting leaves it out.
        let older: RoomSettings = serde_json::from_value(json!({"posting": "admins"})).expect("settings");
        assert_eq!(older, RoomSettings { posting: Audience::Admins, ..RoomSettings::default() });
    }

    #[test]
    fn only_values_of_its_kind_are_read() {
        let text = |text: &'static str| Some(SettingInput::Text(text.into()));
        let patch = RoomSettingsPatch::read(|setting| match setting.name {
            "posting" => text("admins"),
            "slow_mode_seconds" => Some(SettingInput::Number(21_600)),
            "pinning" => text("nobody"),
            "edit_history" => Some(SettingInput::Flag(false)),
            "description" => text("Keys and codes"),
            "urgent" => Some(SettingInput::Number(1)),
            _ => None,
        });
        let mut settings = RoomSettings::default();
        patch.apply_to(&mut settings);
        let expected = RoomSettings {
            posting: Audience::Admins,
            slow_mode_seconds: SlowModeSeconds(21_600),
            edit_history: false,
            description: Description("Keys and codes".into()),
            ..RoomSettings::default()
        };
        assert_eq!(settings, expected);
        for wrong in [-1, 21_601, i64::MAX] {
            assert_eq!(SlowModeSeconds::read(SettingInput::Number(wrong)), None, "{wrong}");
        }
    }

    #[test]
    fn a_change_is_recorded_without_texts() {
        let before = RoomSettings::default();
        let after = RoomSettings {
            history: HistoryAccess::Joined,
            slow_mode_seconds: SlowModeSeconds(30),
            description: Description("Keys".into()),
            ..RoomSettings::default()
        };
        let recorded = serde_json::to_value(before.changes(&after)).expect("plain data");
        assert_eq!(
            recorded,
            json!({"history": ["all", "joined"], "slow_mode_seconds": [0, 30], "description": null})
        );
        assert!(before.changes(&before).is_empty());
    }

    #[test]
    fn settings_leave_to_admins_what_they_take_from_members() {
        let [admin, member] = [Role::Admin, Role::Member].map(AccessLevel::Participant);
        let open = RoomSettings::default();
        for action in [Action::Post, Action::Pin, Action::MarkUrgent] {
            assert!(open.permit(admin, action) && open.permit(member, action), "{action:?}");
        }
        let closed =
            RoomSettings { posting: Audience::Admins, pinning: Audience::Admins, ..RoomSettings::default() };
        for action in [Action::Post, Action::Pin, Action::MarkUrgent] {
            assert!(closed.permit(admin, action) && !closed.permit(member, action), "{action:?}");
        }
        assert!(closed.permit(AccessLevel::Service, Action::Pin), "as an admin, where the table allows it");
        assert!(closed.permit(member, Action::ChangeOwnState) && closed.permit(member, Action::Leave));
        let calm = RoomSettings { urgent: UrgentAudience::Nobody, ..RoomSettings::default() };
        assert!(!calm.permit(admin, Action::MarkUrgent) && calm.permit(member, Action::Post));
    }
}
