//! The one room of a task or a property, for pages of the host application.

use std::collections::HashSet;

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use actors::domain::entry::{EntryTerms, HistoryStart, HostRoster};
use actors::domain::ids::UserId;
use actors::domain::participant::Role;
use actors::domain::room::Subject;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::body::RequestBody;
use super::caller::Caller;
use super::error::ApiError;
use super::fields::{Fields, FromFields, parse_id};
use super::rooms::creation::{self, PARTICIPANTS_MAX, RoomSpec};
use super::rooms::{ApiRoom, load_room};
use super::state::ApiState;

/// What the host application tells of the room of a task or property.
#[derive(Default, ToSchema)]
#[schema(as = SubjectRoom)]
pub struct SubjectRoomRequest {
    /// The subject's title, from the host application; else without effect.
    #[schema(max_length = 255)]
    title: Option<String>,
    /// Who is to be in it, from the host application; else without effect.
    #[schema(max_items = 1000)]
    participant_ids: Option<Vec<i64>>,
    /// The same with their roles, and for how long; in place of `participant_ids`.
    #[schema(max_items = 1000)]
    participants: Option<Vec<NamedParticipant>>,
    /// Whether these are all, so that everyone else is taken out; no when left out.
    replace: Option<bool>,
}

/// Someone who is to be in the room of a task or property.
#[derive(ToSchema)]
pub struct NamedParticipant {
    /// Whom.
    #[schema(value_type = i64)]
    user: UserId,
    /// As what; when left out, someone who is in it stays what they are.
    #[schema(value_type = Option<String>, pattern = "^(admin|member|guest)$")]
    role: Option<Role>,
    /// Until when; null or left out for no end. Whose time is over is taken out.
    until: Option<DateTime<Utc>>,
    /// From where on they see the room when they come in: `start`, or `now` as guests do when it is left out.
    #[schema(value_type = Option<String>, pattern = "^(start|now)$")]
    from: Option<HistoryStart>,
}

/// The room of a task or property.
#[derive(Serialize, ToSchema)]
#[schema(as = OpenedSubjectRoom)]
pub struct ApiSubjectRoom {
    #[serde(flatten)]
    room: ApiRoom,
    /// Those of `participants` who are unknown or inactive; only where these were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    unknown: Option<Vec<i64>>,
}

impl FromFields for SubjectRoomRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let title = fields.optional_name("title");
        let participant_ids = fields.ids("participant_ids", PARTICIPANTS_MAX);
        let participants: Option<Vec<NamedParticipant>> = fields.objects("participants", PARTICIPANTS_MAX);
        let replace = fields.optional_flag("replace");
        if participants.is_some() && participant_ids.is_some() {
            fields.add_error("participants", "Not together with participant_ids.");
        }
        let is_named = |name| fields.has(name) && !fields.is_null(name);
        if replace == Some(true) && !is_named("participants") && !is_named("participant_ids") {
            fields.add_error("replace", "Only together with participants.");
        }
        let mut seen = HashSet::new();
        let twice = participants.iter().flatten().find(|named| !seen.insert(named.user));
        if let Some(named) = twice {
            fields.add_error("participants", format!("{} is named twice.", named.user));
        }
        Some(Self { title, participant_ids, participants, replace })
    }
}

impl FromFields for NamedParticipant {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let user = fields.user("user");
        let user = fields.require("user", user);
        let role = if fields.is_null("role") { None } else { fields.choice("role", Role::named) };
        let until = fields.stored_time("until");
        let from = if fields.is_null("from") { None } else { fields.choice("from", HistoryStart::parse) };
        Some(Self { user: user?, role, until, from })
    }
}

impl SubjectRoomRequest {
    fn roster(&self) -> HostRoster {
        let named = self.participants.iter().flatten().map(|named| {
            let NamedParticipant { user, role, until, from } = *named;
            (user, EntryTerms { role, until, from })
        });
        HostRoster { named: named.collect(), is_complete: self.replace == Some(true) }
    }
}

/// Gives the room of a task, and makes it at the first call.
#[utoipa::path(put, path = "/api/chat/tasks/{id}/room/", tag = "embedding",
    params(("id" = i64, Path, minimum = 1)), request_body = Option<SubjectRoomRequest>,
    responses((status = 201, body = ApiSubjectRoom), (status = 200, body = ApiSubjectRoom)))]
pub async fn put_task(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
    body: RequestBody,
) -> Result<HttpResponse, ApiError> {
    let id = parse_id(&id).ok_or_else(ApiError::not_found)?;
    open_room(&request, &state, &caller, Subject::Task(id), body).await
}

/// Gives the room of a property, and makes it at the first call.
#[utoipa::path(put, path = "/api/chat/properties/{id}/room/", tag = "embedding",
    params(("id" = i64, Path, minimum = 1)), request_body = Option<SubjectRoomRequest>,
    responses((status = 201, body = ApiSubjectRoom), (status = 200, body = ApiSubjectRoom)))]
pub async fn put_property(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
    body: RequestBody,
) -> Result<HttpResponse, ApiError> {
    let id = parse_id(&id).ok_or_else(ApiError::not_found)?;
    open_room(&request, &state, &caller, Subject::Property(id), body).await
}

/// Finds the room of a subject, or creates it for the host application and the holders of a grant.
///
/// Everyone else only gets a room that exists and that they are in.
async fn open_room(
    request: &HttpRequest,
    state: &ApiState,
    caller: &Caller,
    subject: Subject,
    body: RequestBody,
) -> Result<HttpResponse, ApiError> {
    let body: SubjectRoomRequest = body.object_or_empty().await?;
    let may_create = caller.is_service() || caller.grant_issued_at(subject).is_some();
    let existing = state.store.room_of_subject(subject).await?;
    if !may_create {
        let room = existing.ok_or_else(ApiError::forbidden)?;
        return Ok(HttpResponse::Ok().json(load_room(request, state, caller, room).await?));
    }
    if let Some(user) = caller.viewer().filter(|_| existing.is_none() && !caller.is_service()) {
        state.rate_limits.check_room_creation(user)?;
    }
    // A grant is for its holder alone; only the host application names a title and other participants.
    let body = if caller.is_service() { body } else { SubjectRoomRequest::default() };
    let (roster, names_terms) = (body.roster(), body.participants.is_some());
    let SubjectRoomRequest { title, participant_ids, .. } = body;
    let spec = RoomSpec {
        room_type: subject.room_type(),
        name: String::new(),
        subject: Some(subject),
        title,
        participants: participant_ids.unwrap_or_default().into_iter().map(UserId).collect(),
        roster,
    };
    let opened = creation::open_room(state, caller, spec).await?;
    let room = load_room(request, state, caller, opened.room).await?;
    let unknown = names_terms.then(|| opened.unknown.iter().map(|user| user.0).collect());
    let room = ApiSubjectRoom { room, unknown };
    Ok(if opened.created { HttpResponse::Created().json(room) } else { HttpResponse::Ok().json(room) })
}
