//! Rooms: lists, one in full, making, naming, archiving, leaving, reading, and the log.

mod log;
pub mod opening;
pub mod view;

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use actors::domain::command::{Actor, Change, Command, ReadTarget, Refusal, Reply};
use actors::domain::ids::{RoomId, Seq};
use actors::domain::participant::Role;
use actors::domain::room::RoomType;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use self::log::LogPart;
pub use self::opening::CreateRoom;
use self::opening::RoomWanted;
pub use self::view::{ListedRoomBody, RoomBody};
use super::body::Body;
use super::caller::Caller;
use super::error::{ApiError, blaming};
use super::fields::{Fields, FromFields, parse_uuid};
use super::page::{OTHERS_DEFAULT, Page, PageWanted};
use super::query::Query;
use super::rest::Rest;
use crate::store::postgres::participants::Standing;
use crate::store::postgres::room_pages::{RoomCursor, RoomFilter, RoomOrder};
use crate::store::postgres::rooms::RoomLookup;

/// Events in one answer when the client says nothing.
const EVENTS_DEFAULT: usize = 100;
/// Events in one answer at most.
pub(crate) const EVENTS_MAX: usize = 1_000;

/// A room's new name.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the form of the body for the OpenAPI document; read field by field")]
pub struct RenameRoom {
    /// The name; empty for none.
    #[schema(max_length = 255, nullable = false)]
    name: Option<String>,
}

struct NewName(Option<String>);

impl FromFields for NewName {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        Some(Self(fields.name("name")))
    }
}

/// A page of the list of rooms.
#[derive(Serialize, ToSchema)]
#[schema(as = RoomPage)]
pub struct RoomPageBody {
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
    pub results: Vec<ListedRoomBody>,
}

/// A sentence about what was done.
#[derive(Serialize, ToSchema)]
pub struct Done {
    /// The sentence.
    pub message: &'static str,
}

/// What a room adds up to.
#[derive(Serialize, ToSchema)]
#[schema(as = RoomStats)]
pub struct RoomStatsBody {
    /// Undeleted messages.
    pub message_count: i64,
    /// Who is in it.
    pub participant_count: i64,
    /// What the caller has not read.
    pub unread_count: i64,
    /// When the newest message was sent; without one, when the room was made.
    pub last_message_at: DateTime<Utc>,
}

/// A part of a room's log, as the frames that sockets get.
#[derive(Serialize, ToSchema)]
pub struct Events {
    /// The room.
    pub room_id: Uuid,
    /// The history that the positions belong to.
    pub epoch: Uuid,
    /// The room's head.
    pub seq: i64,
    /// The frames.
    #[schema(value_type = Vec<Object>)]
    pub events: Vec<Box<RawValue>>,
    /// Whether more follow: there may be fewer than asked for, where they are long.
    pub has_more: bool,
}

/// Lists the caller's rooms.
#[utoipa::path(get, path = "/api/chat/rooms/", tag = "rooms",
    params(("room_type" = Option<super::openapi::RoomTypeParam>, Query),
        ("search" = Option<String>, Query, description = "Part of a name", max_length = 500),
        ("is_active" = Option<bool>, Query), ("include_archived" = Option<bool>, Query),
        ("ordering" = Option<String>, Query,
            description = "`modified_at`, `created_at`, `-modified_at` or `-created_at`"),
        ("cursor" = Option<String>, Query, max_length = 4096,
            description = "`next_cursor` of the page before; in place of `page`"),
        super::openapi::PageParams),
    responses((status = 200, body = RoomPageBody)))]
pub async fn list(
    request: HttpRequest,
    rest: Data<Rest>,
    caller: Caller,
    mut query: Query,
) -> Result<Json<RoomPageBody>, ApiError> {
    let includes_archived = query.flag("include_archived").unwrap_or(false);
    let filter = RoomFilter {
        room_type: query.choice("room_type", RoomType::parse),
        search: query.search("search"),
        is_active: query.flag("is_active").or((!includes_archived).then_some(true)),
        order: match query.get("ordering") {
            Some("modified_at") => RoomOrder::EarliestActivity,
            Some("created_at") => RoomOrder::Oldest,
            Some("-created_at") => RoomOrder::Newest,
            _ => RoomOrder::LatestActivity,
        },
    };
    let cursor: Option<RoomCursor> = query.choice("cursor", |cursor| {
        cursor.parse().ok().filter(|cursor: &RoomCursor| cursor.is_usable(Utc::now()))
    });
    query.finish()?;
    let wanted = PageWanted::read(&query, OTHERS_DEFAULT)?;
    let viewer = caller.user()?;
    let page = match &cursor {
        Some(cursor) => rest.store.room_page_after(viewer, &filter, wanted.limit(), cursor).await?,
        None => rest.store.room_page(viewer, &filter, wanted.limit(), wanted.offset()).await?,
    };
    let next_cursor = page.next.map(|next| next.to_string());
    let rooms = page.rooms.into_iter().map(ListedRoomBody::from).collect();
    let Page { count, next, previous, results } = match cursor {
        Some(_) => wanted.after_cursor(&request, &query, page.count, rooms, next_cursor.as_deref()),
        None => wanted.of(&request, &query, page.count, rooms)?,
    };
    Ok(Json(RoomPageBody { count, next, previous, next_cursor, results }))
}

/// Makes a room, or gives back the one there is of its pair, task or property.
#[utoipa::path(post, path = "/api/chat/rooms/", tag = "rooms", request_body = CreateRoom,
    responses((status = 201, body = RoomBody)))]
pub async fn create(
    request: HttpRequest,
    rest: Data<Rest>,
    caller: Caller,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let wanted: RoomWanted = body.object().await?;
    if let Some(user) = caller.viewer().filter(|_| !caller.is_service()) {
        rest.budgets.room(user)?;
    }
    let opened = opening::open(&rest, &caller, wanted).await?;
    let room = shown(&request, &rest, &caller, opened.room).await?;
    Ok(HttpResponse::Created().json(room))
}

/// Shows a room in full.
#[utoipa::path(get, path = "/api/chat/rooms/{id}/", tag = "rooms",
    params(("id" = Uuid, Path)), responses((status = 200, body = RoomBody)))]
pub async fn get(
    request: HttpRequest,
    rest: Data<Rest>,
    caller: Caller,
    id: Path<String>,
) -> Result<Json<RoomBody>, ApiError> {
    Ok(Json(shown(&request, &rest, &caller, room_id(&id)?).await?))
}

/// Names a room; admins only.
#[utoipa::path(put, path = "/api/chat/rooms/{id}/", tag = "rooms",
    params(("id" = Uuid, Path)), request_body = RenameRoom, responses((status = 200, body = RoomBody)))]
pub async fn put(
    request: HttpRequest,
    rest: Data<Rest>,
    caller: Caller,
    id: Path<String>,
    body: Body,
) -> Result<Json<RoomBody>, ApiError> {
    rename(&request, &rest, &caller, &id, body).await
}

/// Names a room, where a name is given; admins only.
#[utoipa::path(patch, path = "/api/chat/rooms/{id}/", tag = "rooms",
    params(("id" = Uuid, Path)), request_body = RenameRoom, responses((status = 200, body = RoomBody)))]
pub async fn patch(
    request: HttpRequest,
    rest: Data<Rest>,
    caller: Caller,
    id: Path<String>,
    body: Body,
) -> Result<Json<RoomBody>, ApiError> {
    rename(&request, &rest, &caller, &id, body).await
}

async fn rename(
    request: &HttpRequest,
    rest: &Rest,
    caller: &Caller,
    id: &str,
    body: Body,
) -> Result<Json<RoomBody>, ApiError> {
    let room = room_id(id)?;
    let standing = standing(rest, caller, room).await?;
    let may = match standing.role {
        _ if caller.is_service() => true,
        role => role == Some(Role::Admin) && standing.room_type != RoomType::Direct,
    };
    if !may {
        return Err(ApiError::forbidden());
    }
    if let NewName(Some(name)) = body.object().await? {
        command(rest, room, caller.actor()?, Change::Rename { name }).await?;
    }
    Ok(Json(shown(request, rest, caller, room).await?))
}

/// Deletes a room for everyone; admins only.
#[utoipa::path(delete, path = "/api/chat/rooms/{id}/", tag = "rooms",
    params(("id" = Uuid, Path)), responses((status = 204)))]
pub async fn delete(rest: Data<Rest>, caller: Caller, id: Path<String>) -> Result<HttpResponse, ApiError> {
    command(&rest, room_id(&id)?, caller.actor()?, Change::DeleteRoom).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Closes a room to new messages; admins only.
#[utoipa::path(post, path = "/api/chat/rooms/{id}/archive/", tag = "rooms",
    params(("id" = Uuid, Path)), responses((status = 200, body = RoomBody)))]
pub async fn archive(
    request: HttpRequest,
    rest: Data<Rest>,
    caller: Caller,
    id: Path<String>,
) -> Result<Json<RoomBody>, ApiError> {
    let id = room_id(&id)?;
    command(&rest, id, caller.actor()?, Change::Archive).await?;
    Ok(Json(shown(&request, &rest, &caller, id).await?))
}

/// Opens a room to new messages again; admins only.
#[utoipa::path(post, path = "/api/chat/rooms/{id}/unarchive/", tag = "rooms",
    params(("id" = Uuid, Path)), responses((status = 200, body = RoomBody)))]
pub async fn unarchive(
    request: HttpRequest,
    rest: Data<Rest>,
    caller: Caller,
    id: Path<String>,
) -> Result<Json<RoomBody>, ApiError> {
    let id = room_id(&id)?;
    command(&rest, id, caller.actor()?, Change::Unarchive).await?;
    Ok(Json(shown(&request, &rest, &caller, id).await?))
}

/// Leaves a room.
#[utoipa::path(post, path = "/api/chat/rooms/{id}/leave/", tag = "rooms",
    params(("id" = Uuid, Path)), responses((status = 200, body = Done)))]
pub async fn leave(rest: Data<Rest>, caller: Caller, id: Path<String>) -> Result<Json<Done>, ApiError> {
    let room = room_id(&id)?;
    let by = caller.holder()?;
    let left = rest.engine.command(Command { room, by, change: Change::Leave }).await;
    blaming(left, |refusal| match refusal {
        Refusal::LastAdmin => ApiError::Said(refusal.to_string()),
        other => other.into(),
    })?;
    Ok(Json(Done { message: "Successfully left the room" }))
}

/// Reads all of a room.
#[utoipa::path(post, path = "/api/chat/rooms/{id}/mark_read/", tag = "rooms",
    params(("id" = Uuid, Path)), responses((status = 200, body = Done)))]
pub async fn mark_read(rest: Data<Rest>, caller: Caller, id: Path<String>) -> Result<Json<Done>, ApiError> {
    let room = room_id(&id)?;
    command(&rest, room, caller.holder()?, Change::Read(ReadTarget::Head)).await?;
    Ok(Json(Done { message: "Room marked as read" }))
}

/// Adds a room up.
#[utoipa::path(get, path = "/api/chat/rooms/{id}/stats/", tag = "rooms",
    params(("id" = Uuid, Path)), responses((status = 200, body = RoomStatsBody)))]
pub async fn stats(
    rest: Data<Rest>,
    caller: Caller,
    id: Path<String>,
) -> Result<Json<RoomStatsBody>, ApiError> {
    let room = room_id(&id)?;
    standing(&rest, &caller, room).await?;
    let stats = rest.store.room_stats(caller.viewer(), room).await?;
    Ok(Json(RoomStatsBody {
        message_count: stats.message_count,
        participant_count: stats.participant_count,
        unread_count: stats.unread_count,
        last_message_at: stats.last_message_at,
    }))
}

/// Reads a part of a room's log, as a resuming socket would be told it.
#[utoipa::path(get, path = "/api/chat/rooms/{id}/events/", tag = "rooms",
    params(("id" = Uuid, Path),
        ("since" = Option<super::openapi::SeqParam>, Query, description = "The events after this `seq`"),
        ("limit" = Option<super::openapi::Number>, Query, description = "How many, 1,000 at most")),
    responses((status = 200, body = Events)))]
pub async fn events(
    rest: Data<Rest>,
    caller: Caller,
    id: Path<String>,
    mut query: Query,
) -> Result<Json<Events>, ApiError> {
    let room = room_id(&id)?;
    let since = Seq(query.seq("since").unwrap_or(0));
    query.finish()?;
    let limit = query.count("limit", EVENTS_DEFAULT, EVENTS_MAX);
    standing(&rest, &caller, room).await?;
    let head = rest.store.head(room).await?.ok_or_else(ApiError::not_found)?;
    let part = LogPart::read(&rest, room, since, limit).await?;
    Ok(Json(Events {
        room_id: room.0,
        epoch: rest.log.epoch().0,
        seq: head.max(part.last).0,
        has_more: since < part.last && part.last < head,
        events: part.frames,
    }))
}

/// Reads a room's id in a path.
///
/// # Errors
/// 404.
pub fn room_id(text: &str) -> Result<RoomId, ApiError> {
    parse_uuid(text).map(RoomId).ok_or_else(ApiError::not_found)
}

/// How the caller stands to a room that is for him.
async fn standing(rest: &Rest, caller: &Caller, room: RoomId) -> Result<Standing, ApiError> {
    let standing = rest.store.standing(room, caller.viewer()).await?.ok_or_else(ApiError::not_found)?;
    let is_for_host = caller.is_service() && standing.room_type.is_of_host();
    if standing.role.is_some() || is_for_host { Ok(standing) } else { Err(ApiError::forbidden()) }
}

/// Shows a room in full to one who may see it.
///
/// # Errors
/// 403, 404, 503.
pub async fn shown(
    request: &HttpRequest,
    rest: &Rest,
    caller: &Caller,
    room: RoomId,
) -> Result<RoomBody, ApiError> {
    match rest.store.full_room(caller.viewer(), caller.is_service(), room).await? {
        RoomLookup::Missing => Err(ApiError::not_found()),
        RoomLookup::NotForThis => Err(ApiError::forbidden()),
        RoomLookup::Seen(full) => Ok(RoomBody::seen_by(request, rest, caller, *full)),
    }
}

async fn command(rest: &Rest, room: RoomId, by: Actor, change: Change) -> Result<Reply, ApiError> {
    let done = rest.engine.command(Command { room, by, change }).await;
    blaming(done, ApiError::from)
}
