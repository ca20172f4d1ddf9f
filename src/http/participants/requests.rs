//! The bodies of requests that change participants.

use actors::domain::entry::EntryTerms;
use actors::domain::features::SettingsChange;
use actors::domain::ids::{RoomId, UserId};
use actors::domain::participant::{NotificationLevel, Role};
use chrono::{DateTime, Utc};
use utoipa::ToSchema;

use crate::http::fields::{Fields, FromFields};

/// Someone to be put into a room.
#[derive(ToSchema)]
#[schema(as = AddParticipant)]
pub struct AddParticipantRequest {
    /// The room.
    #[schema(value_type = Uuid)]
    pub(super) room: RoomId,
    /// Whom.
    #[schema(value_type = i64)]
    pub(super) user: UserId,
    /// As admin, or as member; in place of `role`.
    #[schema(nullable = false)]
    pub(super) is_admin: Option<bool>,
    /// As what; when left out, guest accounts come in as guests and everyone else as members.
    #[schema(value_type = Option<String>, pattern = "^(admin|member|guest)$", nullable = false)]
    role: Option<Role>,
    /// When that ends by itself.
    until: Option<DateTime<Utc>>,
}

impl FromFields for AddParticipantRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let room = fields.uuid("room");
        let room = fields.require("room", room);
        let user = fields.user("user");
        let user = fields.require("user", user);
        let is_admin = fields.optional_flag("is_admin");
        let role = read_role(fields, is_admin);
        let until = fields.stored_time("until");
        Some(Self { room: RoomId(room?), user: user?, is_admin, role, until })
    }
}

impl AddParticipantRequest {
    /// On which terms the person is put into the room.
    pub(super) fn terms(&self) -> EntryTerms {
        let admin = self.is_admin.filter(|is_admin| *is_admin).map(Role::of);
        EntryTerms { role: self.role.or(admin), until: self.until, from: None }
    }
}

/// Reads `role`, which may not contradict `is_admin`.
fn read_role(fields: &mut Fields, is_admin: Option<bool>) -> Option<Role> {
    let role = fields.choice("role", Role::named);
    if is_admin.zip(role).is_some_and(|(is_admin, role)| is_admin != (role == Role::Admin)) {
        fields.add_error("role", "This contradicts is_admin.");
    }
    role
}

/// What a participant becomes, or the caller's own settings of the room.
#[derive(ToSchema)]
#[schema(as = ChangeParticipant)]
pub struct ChangeParticipantRequest {
    /// Whether this person may change the room and its people; for its admins to say.
    #[schema(nullable = false)]
    is_admin: Option<bool>,
    /// The role; for the room's admins to say.
    #[schema(value_type = Option<String>, pattern = "^(admin|member|guest)$", nullable = false)]
    role: Option<Role>,
    /// When the membership ends by itself, null for never; for the room's admins to say.
    #[schema(value_type = Option<DateTime<Utc>>)]
    pub(super) until: Option<Option<DateTime<Utc>>>,
    /// What to be told of, for oneself.
    #[schema(value_type = Option<String>, pattern = "^(all|mentions|nothing)$", nullable = false)]
    pub(super) level: Option<NotificationLevel>,
    /// Until when the room is muted, for oneself; null to lift that.
    #[schema(value_type = Option<DateTime<Utc>>)]
    pub(super) muted_until: Option<Option<DateTime<Utc>>>,
    /// Whether the room is a favourite, for oneself.
    #[schema(nullable = false)]
    pub(super) favourite: Option<bool>,
}

impl FromFields for ChangeParticipantRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let is_admin = fields.flag("is_admin");
        let role = read_role(fields, is_admin);
        Some(Self {
            is_admin,
            role,
            until: fields.has("until").then(|| fields.stored_time("until")),
            level: fields.choice("level", NotificationLevel::parse),
            muted_until: fields.has("muted_until").then(|| fields.time("muted_until")),
            favourite: fields.flag("favourite"),
        })
    }
}

impl ChangeParticipantRequest {
    /// The new role, if one is given. Who is no admin, and shall be none, stays what they are.
    pub(super) fn new_role(&self, now: Role) -> Option<Role> {
        match (self.role, self.is_admin) {
            (Some(role), _) => Some(role),
            (None, Some(true)) => Some(Role::Admin),
            (None, Some(false)) => (now == Role::Admin).then_some(Role::Member),
            (None, None) => None,
        }
    }

    /// Whether anything is to change that is for the room's admins to say.
    pub(super) fn manages(&self) -> bool {
        self.is_admin.is_some() || self.role.is_some() || self.until.is_some()
    }

    /// The change of the caller's own settings, if there is any.
    pub(super) fn settings(&self) -> Option<SettingsChange> {
        let Self { level, muted_until, favourite, .. } = *self;
        let change = SettingsChange { level, muted_until, is_favourite: favourite };
        (change != SettingsChange::default()).then_some(change)
    }
}

/// Whether a room is muted for oneself.
#[derive(ToSchema)]
#[schema(as = MuteParticipant)]
pub struct MuteParticipantRequest {
    /// Whether it is; yes when left out.
    pub(super) muted: Option<bool>,
    /// When that lapses by itself.
    pub(super) muted_until: Option<DateTime<Utc>>,
}

impl FromFields for MuteParticipantRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        Some(Self { muted: fields.optional_flag("muted"), muted_until: fields.time("muted_until") })
    }
}
