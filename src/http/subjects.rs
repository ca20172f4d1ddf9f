//! The one room of a task or a property, for pages of the host application.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use actors::domain::ids::UserId;
use actors::domain::room::Subject;
use utoipa::ToSchema;

use super::body::Body;
use super::caller::Caller;
use super::error::ApiError;
use super::fields::{Fields, FromFields, parse_id};
use super::rest::Rest;
use super::rooms::opening::{self, PEOPLE_MAX, RoomWanted};
use super::rooms::{RoomBody, shown};

/// What the host application tells of the room of a task or property.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the form of the body for the OpenAPI document; read field by field")]
pub struct SubjectRoom {
    /// The subject's title, from the host application; else without effect.
    #[schema(max_length = 255)]
    title: Option<String>,
    /// Who is to be in it, from the host application; else without effect.
    #[schema(max_items = 1000)]
    participant_ids: Option<Vec<i64>>,
}

#[derive(Default)]
struct Wanted {
    title: Option<String>,
    people: Vec<UserId>,
}

impl FromFields for Wanted {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let title = fields.optional_name("title");
        let people = fields.ids("participant_ids", PEOPLE_MAX).unwrap_or_default();
        Some(Self { title, people: people.into_iter().map(UserId).collect() })
    }
}

/// Gives the room of a task, and makes it at the first call.
#[utoipa::path(put, path = "/api/chat/tasks/{id}/room/", tag = "embedding",
    params(("id" = i64, Path, minimum = 1)), request_body = Option<SubjectRoom>,
    responses((status = 201, body = RoomBody), (status = 200, body = RoomBody)))]
pub async fn put_task(
    request: HttpRequest,
    rest: Data<Rest>,
    caller: Caller,
    id: Path<String>,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let id = parse_id(&id).ok_or_else(ApiError::not_found)?;
    put(&request, &rest, &caller, Subject::Task(id), body).await
}

/// Gives the room of a property, and makes it at the first call.
#[utoipa::path(put, path = "/api/chat/properties/{id}/room/", tag = "embedding",
    params(("id" = i64, Path, minimum = 1)), request_body = Option<SubjectRoom>,
    responses((status = 201, body = RoomBody), (status = 200, body = RoomBody)))]
pub async fn put_property(
    request: HttpRequest,
    rest: Data<Rest>,
    caller: Caller,
    id: Path<String>,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let id = parse_id(&id).ok_or_else(ApiError::not_found)?;
    put(&request, &rest, &caller, Subject::Property(id), body).await
}

/// Whoever holds no grant gets only a room that is there already and has the caller in it.
async fn put(
    request: &HttpRequest,
    rest: &Rest,
    caller: &Caller,
    subject: Subject,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let wanted: Wanted = body.object_or_nothing().await?;
    let is_trusted = caller.is_service() || caller.granted(subject).is_some();
    let there = rest.store.subject_room(subject).await?;
    if !is_trusted {
        let room = there.ok_or_else(ApiError::forbidden)?;
        return Ok(HttpResponse::Ok().json(shown(request, rest, caller, room).await?));
    }
    if let Some(user) = caller.viewer().filter(|_| there.is_none() && !caller.is_service()) {
        rest.budgets.room(user)?;
    }
    // A grant is for its holder alone; the host names who else belongs there, and what the room is about.
    let Wanted { title, people } = if caller.is_service() { wanted } else { Wanted::default() };
    let wanted = RoomWanted {
        room_type: subject.room_type(),
        name: String::new(),
        subject: Some(subject),
        title,
        people,
    };
    let opened = opening::open(rest, caller, wanted).await?;
    let room = shown(request, rest, caller, opened.room).await?;
    Ok(if opened.made { HttpResponse::Created().json(room) } else { HttpResponse::Ok().json(room) })
}
