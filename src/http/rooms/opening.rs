//! A room that someone wants made, or given back when there may be only one of it.

use actors::domain::command::{OpenRoom, Opened, Refusal};
use actors::domain::ids::{RoomId, UserId};
use actors::domain::room::{RoomType, Subject};
use utoipa::ToSchema;

use crate::http::caller::Caller;
use crate::http::error::{ApiError, blaming};
use crate::http::fields::{Fields, FromFields, REQUIRED};
use crate::http::rest::Rest;

/// The most people that a room is made with, beside its maker.
pub const PEOPLE_MAX: usize = 1_000;
const PEOPLE: &str = "participant_ids";

/// A room to be made.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the form of the body for the OpenAPI document; read field by field")]
pub struct CreateRoom {
    /// `direct` when left out.
    #[schema(pattern = "^(direct|group|task|property)$", nullable = false)]
    room_type: Option<String>,
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

/// A room as it is asked for.
pub struct RoomWanted {
    /// Its kind.
    pub room_type: RoomType,
    /// Its name; empty for none.
    pub name: String,
    /// What it is about.
    pub subject: Option<Subject>,
    /// What the host application calls that.
    pub title: Option<String>,
    /// Who shall be in it beside the one who asks.
    pub people: Vec<UserId>,
}

impl FromFields for RoomWanted {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let room_type = if fields.has("room_type") {
            fields.choice("room_type", RoomType::parse)?
        } else {
            RoomType::Direct
        };
        let name = fields.optional_name("name").unwrap_or_default();
        let people = fields.ids(PEOPLE, PEOPLE_MAX).unwrap_or_default();
        let subject = match room_type {
            RoomType::Task => {
                let task = fields.id("task");
                Some(Subject::Task(fields.require("task", task)?))
            }
            RoomType::Property => {
                let property = fields.id("property");
                Some(Subject::Property(fields.require("property", property)?))
            }
            RoomType::Direct | RoomType::Group => None,
        };
        if room_type == RoomType::Direct && people.len() != 1 {
            let problem =
                if fields.has(PEOPLE) { "A direct room takes exactly one other person." } else { REQUIRED };
            fields.fault(PEOPLE, problem);
        }
        // A direct room goes by the names of its people.
        let name = if room_type == RoomType::Direct { String::new() } else { name };
        let people = people.into_iter().map(UserId).collect();
        Some(Self { room_type, name, subject, title: None, people })
    }
}

/// Opens the room, as far as `caller` may.
///
/// # Errors
/// 400 with the field at fault, 403, and what the engine says.
pub async fn open(rest: &Rest, caller: &Caller, mut wanted: RoomWanted) -> Result<Opened, ApiError> {
    let granted = wanted.subject.and_then(|subject| caller.granted(subject));
    if caller.is_service() && !wanted.room_type.is_of_host() {
        return Err(ApiError::forbidden());
    }
    if wanted.subject.is_some() && !caller.is_service() && !rest.settings.open_subjects {
        // A grant is for its holder alone; what else is said has no effect, and isn't looked up.
        wanted.people.clear();
    }
    check_people(rest, caller, &wanted).await?;
    let open = OpenRoom {
        id: RoomId::new(),
        by: caller.actor()?,
        room_type: wanted.room_type,
        name: wanted.name,
        subject: wanted.subject,
        title: wanted.title,
        people: wanted.people,
        granted,
        open_subjects: rest.settings.open_subjects,
    };
    blaming(rest.engine.open_room(open).await, |refusal| match refusal {
        Refusal::PeopleNotFound(people) => unknown(&people),
        Refusal::NotParticipant => ApiError::forbidden(),
        other => other.into(),
    })
}

/// Looks for those who can't be put in, so that the answer names the field; the engine checks again.
async fn check_people(rest: &Rest, caller: &Caller, wanted: &RoomWanted) -> Result<(), ApiError> {
    let is_direct = wanted.room_type == RoomType::Direct;
    if !caller.is_service() && caller.viewer().is_some_and(|own| wanted.people.contains(&own)) {
        return Err(if is_direct {
            ApiError::forbidden()
        } else {
            ApiError::field(PEOPLE, "You are in the room yourself; name others only.")
        });
    }
    let known = rest.store.people(caller.people_scope(), &wanted.people).await?;
    let is_known = |id: &UserId| known.iter().any(|person| person.profile.author.id == *id);
    let missing: Vec<UserId> = wanted.people.iter().filter(|id| !is_known(id)).copied().collect();
    if !missing.is_empty() {
        return Err(unknown(&missing));
    }
    let inactive: Vec<UserId> =
        known.iter().filter(|person| !person.is_active).map(|person| person.profile.author.id).collect();
    match inactive.is_empty() {
        true => Ok(()),
        false if is_direct => Err(ApiError::forbidden()),
        false => Err(unknown(&inactive)),
    }
}

fn unknown(people: &[UserId]) -> ApiError {
    let shown: Vec<String> = people.iter().take(10).map(UserId::to_string).collect();
    ApiError::field(PEOPLE, format!("Unknown or inactive: {}", shown.join(", ")))
}
