//! Rooms: the caller's list, single rooms, creation, names and settings, archiving, leaving, and reading.

pub mod creation;
pub mod log;
pub mod marking;
pub mod settings;
pub mod view;

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use actors::domain::command::{Command, CommandReply, Principal, Refusal, RoomChange, RoomPatch};
use actors::domain::ids::RoomId;
use actors::domain::participant::Role;
use actors::domain::room::RoomType;
use actors::error::EngineError;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use self::creation::{CreateRoomRequest, RoomSpec};
use self::settings::UpdateRoomRequest;
pub use self::view::{ApiListedRoom, ApiRoom};
use super::body::RequestBody;
use super::caller::Caller;
use super::error::{ApiError, ErrorBody, map_refusal};
use super::fields::parse_uuid;
use super::page::{PER_PAGE_DEFAULT, Page, Pagination};
use super::params::ListRoomsParams;
use super::query::QueryString;
use super::state::ApiState;
use crate::store::postgres::queries::{RoomAccess, RoomLookup};

/// A page of the list of rooms.
#[derive(Serialize, ToSchema)]
#[schema(as = RoomPage)]
pub struct ApiRoomPage {
    /// How many there are in all.
    pub count: i64,
    /// Where the next page is.
    pub next: Option<String>,
    /// Where the page before is.
    pub previous: Option<String>,
    /// What to ask for as `cursor` to go on through the list as it was when its first page was read:
    /// nothing is repeated or left out though rooms move. None at the end.
    pub next_cursor: Option<String>,
    /// What is on this page.
    pub results: Vec<ApiListedRoom>,
}

/// A sentence about what was done.
#[derive(Serialize, ToSchema)]
#[schema(as = Done)]
pub struct Confirmation {
    /// The sentence.
    pub message: &'static str,
}

/// What a room adds up to.
#[derive(Serialize, ToSchema)]
#[schema(as = RoomStats)]
pub struct ApiRoomStats {
    /// Undeleted messages.
    pub message_count: i64,
    /// Who is in it.
    pub participant_count: i64,
    /// What the caller has not read.
    pub unread_count: i64,
    /// When the newest message was sent; without one, when the room was made.
    pub last_message_at: DateTime<Utc>,
}

/// Lists the caller's rooms.
#[utoipa::path(get, path = "/api/chat/rooms/", tag = "rooms",
    params(ListRoomsParams, Pagination),
    responses((status = 200, body = ApiRoomPage)))]
pub async fn list(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    query: QueryString,
) -> Result<Json<ApiRoomPage>, ApiError> {
    let params: ListRoomsParams = query.read()?;
    let pagination = Pagination::read(&query, PER_PAGE_DEFAULT)?;
    let viewer = caller.user_id()?;
    let (filter, limit) = (params.filter(), pagination.limit());
    let page = match &params.cursor {
        Some(cursor) => state.store.room_page_after(viewer, &filter, limit, cursor).await?,
        None => state.store.room_page(viewer, &filter, limit, pagination.offset()).await?,
    };
    let next_cursor = page.next.map(|next| next.to_string());
    let rooms = page.rooms.into_iter().map(ApiListedRoom::from).collect();
    let Page { count, next, previous, results } = match params.cursor {
        Some(_) => pagination.cursor_page(&request, &query, page.count, rooms, next_cursor.as_deref()),
        None => pagination.page(&request, &query, page.count, rooms)?,
    };
    Ok(Json(ApiRoomPage { count, next, previous, next_cursor, results }))
}

/// Makes a room, or gives back the one there is of its pair, task or property.
#[utoipa::path(post, path = "/api/chat/rooms/", tag = "rooms", request_body = CreateRoomRequest,
    responses((status = 201, body = ApiRoom)))]
pub async fn create(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    body: RequestBody,
) -> Result<HttpResponse, ApiError> {
    let spec = RoomSpec::from(body.object::<CreateRoomRequest>().await?);
    if let Some(user) = caller.viewer().filter(|_| !caller.is_service()) {
        state.rate_limits.check_room_creation(user)?;
    }
    let opened = creation::open_room(&state, &caller, spec).await?;
    let room = load_room(&request, &state, &caller, opened.room).await?;
    Ok(HttpResponse::Created().json(room))
}

/// Shows a room in full.
#[utoipa::path(get, path = "/api/chat/rooms/{id}/", tag = "rooms",
    params(("id" = Uuid, Path)), responses((status = 200, body = ApiRoom)))]
pub async fn get(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<Json<ApiRoom>, ApiError> {
    Ok(Json(load_room(&request, &state, &caller, room_id(&id)?).await?))
}

/// Names a room and changes its settings; admins only.
#[utoipa::path(put, path = "/api/chat/rooms/{id}/", tag = "rooms",
    params(("id" = Uuid, Path)), request_body = UpdateRoomRequest, responses((status = 200, body = ApiRoom)))]
pub async fn put(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
    body: RequestBody,
) -> Result<Json<ApiRoom>, ApiError> {
    update(&request, &state, &caller, &id, body).await
}

/// Names a room and changes its settings; admins only.
#[utoipa::path(patch, path = "/api/chat/rooms/{id}/", tag = "rooms",
    params(("id" = Uuid, Path)), request_body = UpdateRoomRequest, responses((status = 200, body = ApiRoom)))]
pub async fn patch(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
    body: RequestBody,
) -> Result<Json<ApiRoom>, ApiError> {
    update(&request, &state, &caller, &id, body).await
}

async fn update(
    request: &HttpRequest,
    state: &ApiState,
    caller: &Caller,
    id: &str,
    body: RequestBody,
) -> Result<Json<ApiRoom>, ApiError> {
    let room = room_id(id)?;
    let access = require_access(state, caller, room).await?;
    let may_update = match access.role {
        _ if caller.is_service() => true,
        role => role == Some(Role::Admin) && access.room_type != RoomType::Direct,
    };
    if !may_update {
        return Err(ApiError::forbidden());
    }
    let UpdateRoomRequest(patch) = body.object().await?;
    if patch != RoomPatch::default() {
        command(state, room, caller.principal()?, patch.into()).await?;
    }
    Ok(Json(load_room(request, state, caller, room).await?))
}

/// Deletes a room for everyone; admins only. While a legal hold is on it, it isn't deleted.
#[utoipa::path(delete, path = "/api/chat/rooms/{id}/", tag = "rooms",
    params(("id" = Uuid, Path)),
    responses((status = 204), (status = 422, body = ErrorBody, description = "A legal hold is on it")))]
pub async fn delete(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let room = room_id(&id)?;
    let command = Command { room, by: caller.principal()?, change: RoomChange::DeleteRoom };
    match state.engine.command(command).await {
        Ok(_) => Ok(HttpResponse::NoContent().finish()),
        Err(EngineError::Refused(Refusal::OnHold)) => {
            Err(ApiError::on_hold(&state.store.hold_on_room(room).await?.unwrap_or_default()))
        }
        Err(error) => map_refusal(Err(error), ApiError::from),
    }
}

/// Closes a room to new messages; admins only.
#[utoipa::path(post, path = "/api/chat/rooms/{id}/archive/", tag = "rooms",
    params(("id" = Uuid, Path)), responses((status = 200, body = ApiRoom)))]
pub async fn archive(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<Json<ApiRoom>, ApiError> {
    let id = room_id(&id)?;
    command(&state, id, caller.principal()?, RoomChange::Archive).await?;
    Ok(Json(load_room(&request, &state, &caller, id).await?))
}

/// Opens a room to new messages again; admins only.
#[utoipa::path(post, path = "/api/chat/rooms/{id}/unarchive/", tag = "rooms",
    params(("id" = Uuid, Path)), responses((status = 200, body = ApiRoom)))]
pub async fn unarchive(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<Json<ApiRoom>, ApiError> {
    let id = room_id(&id)?;
    command(&state, id, caller.principal()?, RoomChange::Unarchive).await?;
    Ok(Json(load_room(&request, &state, &caller, id).await?))
}

/// Leaves a room.
#[utoipa::path(post, path = "/api/chat/rooms/{id}/leave/", tag = "rooms",
    params(("id" = Uuid, Path)), responses((status = 200, body = Confirmation)))]
pub async fn leave(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<Json<Confirmation>, ApiError> {
    let room = room_id(&id)?;
    let by = caller.token_holder()?;
    let left = state.engine.command(Command { room, by, change: RoomChange::Leave }).await;
    map_refusal(left, |refusal| match refusal {
        Refusal::LastAdmin => ApiError::ErrorMessage(refusal.to_string()),
        other => other.into(),
    })?;
    Ok(Json(Confirmation { message: "Successfully left the room" }))
}

/// Adds a room up.
#[utoipa::path(get, path = "/api/chat/rooms/{id}/stats/", tag = "rooms",
    params(("id" = Uuid, Path)), responses((status = 200, body = ApiRoomStats)))]
pub async fn stats(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<Json<ApiRoomStats>, ApiError> {
    let room = room_id(&id)?;
    require_access(&state, &caller, room).await?;
    let stats = state.store.room_stats(caller.viewer(), room).await?;
    Ok(Json(ApiRoomStats {
        message_count: stats.message_count,
        participant_count: stats.participant_count,
        unread_count: stats.unread_count,
        last_message_at: stats.last_message_at,
    }))
}

/// Parses the id of a room in a path.
///
/// # Errors
/// 404.
pub fn room_id(text: &str) -> Result<RoomId, ApiError> {
    parse_uuid(text).map(RoomId).ok_or_else(ApiError::not_found)
}

/// Checks that the caller may see a room: as a participant, or as the host application that manages it.
///
/// # Errors
/// 403, 404, 503.
pub(super) async fn require_access(
    state: &ApiState,
    caller: &Caller,
    room: RoomId,
) -> Result<RoomAccess, ApiError> {
    let access = state.store.room_access(room, caller.viewer()).await?.ok_or_else(ApiError::not_found)?;
    let is_managed = caller.is_service() && access.room_type.is_host_managed();
    if access.role.is_some() || is_managed { Ok(access) } else { Err(ApiError::forbidden()) }
}

/// Loads a room in full, as the caller sees it.
///
/// # Errors
/// 403, 404, 503.
pub async fn load_room(
    request: &HttpRequest,
    state: &ApiState,
    caller: &Caller,
    room: RoomId,
) -> Result<ApiRoom, ApiError> {
    match state.store.room_details(caller.viewer(), caller.is_service(), room).await? {
        RoomLookup::NotFound => Err(ApiError::not_found()),
        RoomLookup::Forbidden => Err(ApiError::forbidden()),
        RoomLookup::Found(details) => Ok(ApiRoom::seen_by(request, state, caller, *details)),
    }
}

async fn command(
    state: &ApiState,
    room: RoomId,
    by: Principal,
    change: RoomChange,
) -> Result<CommandReply, ApiError> {
    map_refusal(state.engine.command(Command { room, by, change }).await, ApiError::from)
}
