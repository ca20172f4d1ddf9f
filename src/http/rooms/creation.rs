//! Creating a room, or finding it where its users, task or property can have only one.

use actors::domain::command::{OpenRoom, OpenedRoom, Refusal};
use actors::domain::entry::{EntryTerms, HostRoster};
use actors::domain::ids::{RoomId, UserId};
use actors::domain::room::{RoomType, Subject};
use utoipa::ToSchema;

use crate::http::caller::Caller;
use crate::http::error::{ApiError, map_refusal};
use crate::http::fields::{Fields, FromFields, REQUIRED};
use crate::http::state::ApiState;

/// The most users that a room is created with, besides its creator.
pub const PARTICIPANTS_MAX: usize = 1_000;
/// The field that names them.
const PARTICIPANT_IDS: &str = "participant_ids";

/// A room to be made.
#[derive(ToSchema)]
#[schema(as = CreateRoom)]
pub struct CreateRoomRequest {
    /// `direct` when left out.
    #[schema(value_type = Option<String>, pattern = "^(direct|group|task|property)$", nullable = false)]
    room_type: RoomType,
    /// The name; never of a direct room.
    #[schema(max_length = 255)]
    name: Option<String>,
    /// The task, for a room of that type.
    #[schema(minimum = 1)]
    task: Option<i64>,
    /// The property, for a room of that type.
    #[schema(minimum = 1)]
    property: Option<i64>,
    /// Who is to be in it beside the caller; exactly one for a direct room.
    #[schema(max_items = 1000)]
    participant_ids: Option<Vec<i64>>,
}

impl FromFields for CreateRoomRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let room_type = if fields.has("room_type") {
            fields.choice("room_type", RoomType::parse)?
        } else {
            RoomType::Direct
        };
        let name = fields.optional_name("name");
        let participant_ids = fields.ids(PARTICIPANT_IDS, PARTICIPANTS_MAX);
        let (mut task, mut property) = (None, None);
        match room_type {
            RoomType::Task => {
                task = fields.id("task");
                fields.require("task", task)?;
            }
            RoomType::Property => {
                property = fields.id("property");
                fields.require("property", property)?;
            }
            RoomType::Direct | RoomType::Group => {}
        }
        if room_type == RoomType::Direct && participant_ids.as_ref().map_or(0, Vec::len) != 1 {
            let is_present = fields.has(PARTICIPANT_IDS);
            let problem = if is_present { "A direct room takes exactly one other person." } else { REQUIRED };
            fields.add_error(PARTICIPANT_IDS, problem);
        }
        Some(Self { room_type, name, task, property, participant_ids })
    }
}

/// A room to be created or found.
pub struct RoomSpec {
    /// Its type.
    pub room_type: RoomType,
    /// Its name; empty for none.
    pub name: String,
    /// The task or property that it is about.
    pub subject: Option<Subject>,
    /// The title of the subject in the host application.
    pub title: Option<String>,
    /// Its participants besides the caller.
    pub participants: Vec<UserId>,
    /// Who the host application says is in it.
    pub roster: HostRoster,
}

impl From<CreateRoomRequest> for RoomSpec {
    fn from(request: CreateRoomRequest) -> Self {
        let CreateRoomRequest { room_type, name, task, property, participant_ids } = request;
        // A direct room is called after its participants.
        let name = name.filter(|_| room_type != RoomType::Direct).unwrap_or_default();
        let subject = task.map(Subject::Task).or(property.map(Subject::Property));
        let participants = participant_ids.unwrap_or_default().into_iter().map(UserId).collect();
        Self { room_type, name, subject, title: None, participants, roster: HostRoster::default() }
    }
}

/// Creates or finds a room, as far as `caller` may.
///
/// # Errors
/// 400 of `participant_ids`, 403, and what the engine answers.
pub async fn open_room(
    state: &ApiState,
    caller: &Caller,
    mut spec: RoomSpec,
) -> Result<OpenedRoom, ApiError> {
    let granted = spec.subject.and_then(|subject| caller.grant_issued_at(subject));
    let is_guest = caller.is_guest() && !caller.is_service();
    if (caller.is_service() || is_guest) && !spec.room_type.is_host_managed() {
        return Err(ApiError::forbidden());
    }
    if spec.subject.is_some() && !caller.is_service() && !state.settings.open_subjects {
        // A grant is for its holder alone: other participants are ignored, and not even looked up.
        spec.participants.clear();
    }
    check_participants(state, caller, &spec).await?;
    let open = OpenRoom {
        id: RoomId::new(),
        by: caller.principal()?,
        room_type: spec.room_type,
        name: spec.name,
        subject: spec.subject,
        title: spec.title,
        users: spec.participants,
        granted,
        granted_terms: granted.map_or_else(EntryTerms::default, |_| caller.grant_terms()),
        roster: spec.roster,
        open_subjects: state.settings.open_subjects,
    };
    map_refusal(state.engine.open_room(open).await, |refusal| match refusal {
        Refusal::UsersNotFound(users) => unknown_users(&users),
        Refusal::NotParticipant => ApiError::forbidden(),
        other => other.into(),
    })
}

/// Checks that the participants exist, so that the error names the field; the engine checks them again.
async fn check_participants(state: &ApiState, caller: &Caller, spec: &RoomSpec) -> Result<(), ApiError> {
    let is_direct = spec.room_type == RoomType::Direct;
    if !caller.is_service() && caller.viewer().is_some_and(|own| spec.participants.contains(&own)) {
        return Err(if is_direct {
            ApiError::forbidden()
        } else {
            ApiError::field(PARTICIPANT_IDS, "You are in the room yourself; name others only.")
        });
    }
    let known = state.store.user_records(caller.user_scope(), &spec.participants).await?;
    let is_known = |id: &UserId| known.iter().any(|user| user.profile.summary.id == *id);
    let missing: Vec<UserId> = spec.participants.iter().filter(|id| !is_known(id)).copied().collect();
    if !missing.is_empty() {
        return Err(unknown_users(&missing));
    }
    let inactive: Vec<UserId> =
        known.iter().filter(|user| !user.is_active).map(|user| user.profile.summary.id).collect();
    match inactive.is_empty() {
        true => Ok(()),
        false if is_direct => Err(ApiError::forbidden()),
        false => Err(unknown_users(&inactive)),
    }
}

fn unknown_users(users: &[UserId]) -> ApiError {
    let shown: Vec<String> = users.iter().take(10).map(UserId::to_string).collect();
    ApiError::field(PARTICIPANT_IDS, format!("Unknown or inactive: {}", shown.join(", ")))
}
