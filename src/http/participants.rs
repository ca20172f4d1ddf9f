//! Participants: who is in a room, as what, and whether it is muted for oneself.

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use actors::domain::command::{Change, Command, Refusal, Reply};
use actors::domain::ids::{ParticipantId, RoomId, UserId};
use actors::domain::participant::Role;
use actors::domain::room::RoomType;
use actors::error::EngineError;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::body::Body;
use super::caller::Caller;
use super::error::{ApiError, blaming};
use super::fields::{Fields, FromFields, parse_id};
use super::page::{OTHERS_DEFAULT, Page, PageWanted};
use super::query::Query;
use super::rest::Rest;
use super::users::User;
use crate::store::postgres::participants::{ParticipantFilter, SeenParticipant, Standing};
use crate::store::postgres::people::{PeopleScope, Profile};

/// A participant.
#[derive(Serialize, ToSchema)]
#[schema(as = Participant)]
pub struct ParticipantBody {
    /// The participant's id.
    pub id: i64,
    /// The person.
    pub user: User,
    /// The room.
    pub room: Uuid,
    /// When this person joined last.
    pub joined_at: DateTime<Utc>,
    /// When the read mark moved last.
    pub last_read_at: Option<DateTime<Utc>>,
    /// Whether this person may change the room and its people.
    pub is_admin: bool,
    /// How many messages of others are unread.
    pub unread_count: i64,
    /// Whether the room is muted for this person.
    pub is_muted: bool,
    /// When that lapses.
    pub muted_until: Option<DateTime<Utc>>,
    /// Since when this person is out.
    pub left_at: Option<DateTime<Utc>>,
}

impl ParticipantBody {
    /// A participant as `caller` may see one.
    #[must_use]
    pub fn seen_by(caller: &Caller, seen: SeenParticipant) -> Self {
        let participant = seen.participant;
        let profile = Profile { author: participant.user, email: seen.email };
        Self {
            id: participant.id.0,
            user: User::seen_by(caller, &profile),
            room: participant.room.0,
            joined_at: participant.joined_at,
            last_read_at: seen.read_at,
            is_admin: participant.role == Role::Admin,
            unread_count: seen.unread,
            is_muted: seen.is_muted,
            muted_until: seen.muted_until.filter(|_| seen.is_muted),
            left_at: participant.left_at,
        }
    }
}

/// What is said of one who can't be put in.
const UNKNOWN: &str = "This person is unknown or inactive.";

/// Someone to be put into a room.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the form of the body for the OpenAPI document; read field by field")]
pub struct AddParticipant {
    /// The room.
    room: Uuid,
    /// Whom.
    #[schema(minimum = 1)]
    user: i64,
    /// As what.
    #[schema(nullable = false)]
    is_admin: Option<bool>,
}

/// What a participant becomes.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the form of the body for the OpenAPI document; read field by field")]
pub struct ChangeParticipant {
    /// Whether this person may change the room and its people.
    #[schema(nullable = false)]
    is_admin: Option<bool>,
}

/// Whether a room is muted for oneself.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the form of the body for the OpenAPI document; read field by field")]
pub struct MuteParticipant {
    /// Whether it is; yes when left out.
    muted: Option<bool>,
    /// When that lapses by itself.
    muted_until: Option<DateTime<Utc>>,
}

struct Addition {
    room: RoomId,
    user: UserId,
    role: Role,
}

impl FromFields for Addition {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let room = fields.uuid("room");
        let room = fields.require("room", room);
        let user = fields.id("user");
        let user = fields.require("user", user);
        let role = Role::of(fields.optional_flag("is_admin").unwrap_or(false));
        Some(Self { room: RoomId(room?), user: UserId(user?), role })
    }
}

struct NewRole(Option<Role>);

impl FromFields for NewRole {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        Some(Self(fields.flag("is_admin").map(Role::of)))
    }
}

struct Mute {
    muted: bool,
    until: Option<DateTime<Utc>>,
}

impl FromFields for Mute {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let muted = fields.optional_flag("muted").unwrap_or(true);
        Some(Self { muted, until: fields.time("muted_until") })
    }
}

/// Lists who is in a room, or in all of the caller's.
#[utoipa::path(get, path = "/api/chat/participants/", tag = "participants",
    params(("room" = Option<Uuid>, Query), ("user" = Option<i64>, Query, minimum = 1),
        ("is_admin" = Option<bool>, Query), super::openapi::PageParams),
    responses((status = 200, body = Page<ParticipantBody>)))]
pub async fn list(
    request: HttpRequest,
    rest: Data<Rest>,
    caller: Caller,
    mut query: Query,
) -> Result<Json<Page<ParticipantBody>>, ApiError> {
    let filter = ParticipantFilter {
        room: query.uuid("room").map(RoomId),
        user: query.id("user").map(UserId),
        is_admin: query.flag("is_admin"),
    };
    query.finish()?;
    let wanted = PageWanted::read(&query, OTHERS_DEFAULT)?;
    let found = rest.store.participant_page(
        caller.viewer(),
        caller.is_service(),
        &filter,
        wanted.limit(),
        wanted.offset(),
    );
    let (count, people) = found.await?;
    let people = people.into_iter().map(|seen| ParticipantBody::seen_by(&caller, seen)).collect();
    Ok(Json(wanted.of(&request, &query, count, people)?))
}

/// Puts someone into a room; its admins only.
#[utoipa::path(post, path = "/api/chat/participants/", tag = "participants", request_body = AddParticipant,
    responses((status = 201, body = ParticipantBody)))]
pub async fn create(rest: Data<Rest>, caller: Caller, body: Body) -> Result<HttpResponse, ApiError> {
    let Addition { room, user, role } = body.object().await?;
    let standing = rest.store.standing(room, caller.viewer()).await?;
    let standing = standing.ok_or_else(|| ApiError::field("room", "This room does not exist."))?;
    check_people_change(&caller, standing, "user")?;
    let whom = caller.people_scope();
    if whom != PeopleScope::Everyone && rest.store.people(whom, &[user]).await?.is_empty() {
        return Err(ApiError::field("user", UNKNOWN));
    }
    let change = Change::Add { user, role };
    let added = rest.engine.command(Command { room, by: caller.actor()?, change }).await;
    let reply = blaming(added, |refusal| match refusal {
        Refusal::PeopleNotFound(_) => ApiError::field("user", UNKNOWN),
        Refusal::AlreadyIn | Refusal::DirectRoom => ApiError::field("user", refusal.to_string()),
        Refusal::NotParticipant => ApiError::forbidden(),
        other => other.into(),
    })?;
    Ok(HttpResponse::Created().json(shown(&rest, &caller, reply).await?))
}

/// Shows one participant of a room that the caller is in.
#[utoipa::path(get, path = "/api/chat/participants/{id}/", tag = "participants",
    params(("id" = i64, Path, minimum = 1)), responses((status = 200, body = ParticipantBody)))]
pub async fn get(
    rest: Data<Rest>,
    caller: Caller,
    id: Path<String>,
) -> Result<Json<ParticipantBody>, ApiError> {
    let seen = found(&rest, &caller, &id).await?;
    Ok(Json(ParticipantBody::seen_by(&caller, seen)))
}

/// Makes someone an admin, or no longer one; the room's admins only.
#[utoipa::path(patch, path = "/api/chat/participants/{id}/", tag = "participants",
    params(("id" = i64, Path, minimum = 1)), request_body = ChangeParticipant,
    responses((status = 200, body = ParticipantBody)))]
pub async fn patch(
    rest: Data<Rest>,
    caller: Caller,
    id: Path<String>,
    body: Body,
) -> Result<Json<ParticipantBody>, ApiError> {
    let seen = found(&rest, &caller, &id).await?;
    let standing = rest.store.standing(seen.participant.room, caller.viewer()).await?;
    check_people_change(&caller, standing.ok_or_else(ApiError::not_found)?, "is_admin")?;
    let NewRole(role) = body.object().await?;
    let Some(role) = role else { return Ok(Json(ParticipantBody::seen_by(&caller, seen))) };
    let change = Change::SetRole { user: seen.participant.user.id, role };
    let by = caller.actor()?;
    let changed = rest.engine.command(Command { room: seen.participant.room, by, change }).await;
    let reply = blaming(changed, |refusal| match refusal {
        Refusal::LastAdmin | Refusal::DirectRoom => ApiError::field("is_admin", refusal.to_string()),
        Refusal::NotParticipant => ApiError::not_found(),
        other => other.into(),
    })?;
    Ok(Json(shown(&rest, &caller, reply).await?))
}

/// Takes someone out of a room; its admins only.
#[utoipa::path(delete, path = "/api/chat/participants/{id}/", tag = "participants",
    params(("id" = i64, Path, minimum = 1)), responses((status = 204)))]
pub async fn delete(rest: Data<Rest>, caller: Caller, id: Path<String>) -> Result<HttpResponse, ApiError> {
    let seen = found(&rest, &caller, &id).await?;
    let standing = rest.store.standing(seen.participant.room, caller.viewer()).await?;
    check_people_change(&caller, standing.ok_or_else(ApiError::not_found)?, "user")?;
    // An admin who goes leaves like anyone else: it is what the log is to say.
    let change = Change::Remove { user: seen.participant.user.id };
    let removed =
        rest.engine.command(Command { room: seen.participant.room, by: caller.actor()?, change }).await;
    blaming(removed, |refusal| match refusal {
        Refusal::NotParticipant => ApiError::not_found(),
        other => other.into(),
    })?;
    Ok(HttpResponse::NoContent().finish())
}

/// Mutes a room for oneself, or lifts that.
#[utoipa::path(post, path = "/api/chat/participants/{id}/mute/", tag = "participants",
    params(("id" = i64, Path, minimum = 1)), request_body = Option<MuteParticipant>,
    responses((status = 200, body = ParticipantBody)))]
pub async fn mute(
    rest: Data<Rest>,
    caller: Caller,
    id: Path<String>,
    body: Body,
) -> Result<Json<ParticipantBody>, ApiError> {
    let seen = found(&rest, &caller, &id).await?;
    if caller.user()? != seen.participant.user.id {
        return Err(ApiError::forbidden());
    }
    let Mute { muted, until } = body.object_or_nothing().await?;
    let command =
        Command { room: seen.participant.room, by: caller.holder()?, change: Change::Mute { muted, until } };
    let reply = blaming(rest.engine.command(command).await, |refusal| match refusal {
        Refusal::NotParticipant => ApiError::not_found(),
        other => other.into(),
    })?;
    Ok(Json(shown(&rest, &caller, reply).await?))
}

async fn found(rest: &Rest, caller: &Caller, id: &str) -> Result<SeenParticipant, ApiError> {
    let id = parse_id(id).map(ParticipantId).ok_or_else(ApiError::not_found)?;
    let found = rest.store.participant(caller.viewer(), caller.is_service(), id).await?;
    found.ok_or_else(ApiError::not_found)
}

/// Admins alone change a room's people, and nobody those of a direct room.
fn check_people_change(caller: &Caller, standing: Standing, field: &'static str) -> Result<(), ApiError> {
    let is_admin = match standing.role {
        _ if caller.is_service() => standing.room_type.is_of_host(),
        Some(_) if standing.room_type == RoomType::Direct => {
            return Err(ApiError::field(field, Refusal::DirectRoom.to_string()));
        }
        role => role == Some(Role::Admin),
    };
    if is_admin { Ok(()) } else { Err(ApiError::forbidden()) }
}

/// What the engine answered, with what only the store knows of it.
async fn shown(rest: &Rest, caller: &Caller, reply: Reply) -> Result<ParticipantBody, ApiError> {
    let Reply::Participant(participant) = reply else { return Err(EngineError::OutcomeUnknown.into()) };
    let seen = rest.store.participant(caller.viewer(), caller.is_service(), participant.id).await?;
    // One who is gone again meanwhile is shown as the commit left things.
    let seen = seen.unwrap_or(SeenParticipant {
        participant: *participant,
        email: String::new(),
        read_at: None,
        is_muted: false,
        muted_until: None,
        unread: 0,
    });
    Ok(ParticipantBody::seen_by(caller, seen))
}
