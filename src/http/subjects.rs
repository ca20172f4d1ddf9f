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
    /// The subject's title.
    #[schema(max_length = 255)]
    title: Option<String>,
    /// Who is to be in it beside the caller.
    #[schema(max_items = 1000)]
    participant_ids: Option<Vec<i64>>,
}

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
    let Wanted { title, mut people } = body.object_or_nothing().await?;
    let is_trusted = caller.is_service() || caller.holds(subject);
    let there = rest.store.subject_room(subject).await?;
    if !is_trusted {
        let room = there.ok_or_else(ApiError::forbidden)?;
        return Ok(HttpResponse::Ok().json(shown(request, rest, caller, room).await?));
    }
    if let Some(user) = caller.viewer().filter(|_| there.is_none() && !caller.is_service()) {
        rest.budgets.room(user)?;
    }
    // The host names everyone who belongs there, without a look at who is asking.
    people.retain(|person| caller.is_service() || caller.viewer() != Some(*person));
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
