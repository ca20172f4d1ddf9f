//! Participants: the users of a room with their roles, and the caller's own settings of it.

pub mod requests;

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use actors::domain::command::{Command, CommandReply, Principal, Refusal, RoomChange};
use actors::domain::ids::{ParticipantId, RoomId};
use actors::domain::participant::{NotificationLevel, ParticipantView, Role};
use actors::domain::room::RoomType;
use actors::error::EngineError;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use self::requests::{AddParticipantRequest, ChangeParticipantRequest, MuteParticipantRequest};
use super::body::RequestBody;
use super::caller::Caller;
use super::error::{ApiError, map_refusal};
use super::fields::parse_id;
use super::page::{PER_PAGE_DEFAULT, Page, Pagination};
use super::params::ListParticipantsParams;
use super::query::QueryString;
use super::state::ApiState;
use super::users::ApiUser;
use crate::store::postgres::queries::{ParticipantDetails, ParticipantFilter, RoomAccess};
use crate::store::postgres::users::UserProfile;

/// A participant.
#[derive(Serialize, ToSchema)]
#[schema(as = Participant)]
pub struct ApiParticipant {
    /// The participant's id.
    pub id: i64,
    /// The person.
    pub user: ApiUser,
    /// The room.
    pub room: Uuid,
    /// When this person joined last.
    pub joined_at: DateTime<Utc>,
    /// When the read mark moved last.
    pub last_read_at: Option<DateTime<Utc>>,
    /// Whether this person may change the room and its people.
    pub is_admin: bool,
    /// `admin`, `member` or `guest`.
    pub role: &'static str,
    /// When the membership ends by itself.
    pub until: Option<DateTime<Utc>>,
    /// Whether this person is a guest, who belongs to another organisation.
    pub external: bool,
    /// How many messages of others are unread.
    pub unread_count: i64,
    /// Whether the room is muted for this person.
    pub is_muted: bool,
    /// When that lapses.
    pub muted_until: Option<DateTime<Utc>>,
    /// What the caller wants to be told of: `all`, `mentions` or `nothing`; null for others.
    pub level: Option<&'static str>,
    /// Whether the room is one of the caller's favourites; null for others.
    pub favourite: Option<bool>,
    /// Since when this person is out.
    pub left_at: Option<DateTime<Utc>>,
}

impl ApiParticipant {
    /// Shows a participant to `caller`: what frames say, and what only REST does.
    #[must_use]
    pub fn seen_by(caller: &Caller, details: ParticipantDetails) -> Self {
        let frame = ParticipantView::from(&details.participant);
        let profile = UserProfile { summary: frame.user.clone(), email: details.email };
        let is_own = caller.viewer() == Some(frame.user.id);
        Self {
            id: frame.id,
            user: ApiUser::seen_by(caller, &profile),
            room: frame.room.0,
            joined_at: frame.joined_at,
            last_read_at: details.read_at,
            is_admin: frame.is_admin,
            role: frame.role.as_str(),
            until: frame.until,
            external: frame.external,
            unread_count: details.unread,
            is_muted: details.is_muted,
            muted_until: details.muted_until.filter(|_| details.is_muted),
            level: is_own.then_some(details.level.as_str()),
            favourite: is_own.then_some(details.is_favourite),
            left_at: frame.left_at,
        }
    }
}

/// The error of a user who can't be added.
const UNKNOWN_USER: &str = "This person is unknown or inactive.";

/// Lists who is in a room, or in all of the caller's.
#[utoipa::path(get, path = "/api/chat/participants/", tag = "participants",
    params(ListParticipantsParams, Pagination),
    responses((status = 200, body = Page<ApiParticipant>)))]
pub async fn list(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    query: QueryString,
) -> Result<Json<Page<ApiParticipant>>, ApiError> {
    let filter = ParticipantFilter::from(query.read::<ListParticipantsParams>()?);
    let pagination = Pagination::read(&query, PER_PAGE_DEFAULT)?;
    let found = state.store.participant_page(
        caller.viewer(),
        caller.is_service(),
        &filter,
        pagination.limit(),
        pagination.offset(),
    );
    let (count, participants) = found.await?;
    let participants =
        participants.into_iter().map(|details| ApiParticipant::seen_by(&caller, details)).collect();
    Ok(Json(pagination.page(&request, &query, count, participants)?))
}

/// Puts someone into a room; its admins only.
#[utoipa::path(post, path = "/api/chat/participants/", tag = "participants", request_body = AddParticipantRequest,
    responses((status = 201, body = ApiParticipant)))]
pub async fn create(
    state: Data<ApiState>,
    caller: Caller,
    body: RequestBody,
) -> Result<HttpResponse, ApiError> {
    let request: AddParticipantRequest = body.object().await?;
    let (room, user) = (request.room, request.user);
    let access = state.store.room_access(room, caller.viewer()).await?;
    let access = access.ok_or_else(|| ApiError::field("room", "This room does not exist."))?;
    check_manager(&caller, access, "user")?;
    if !state.store.may_name_user(caller.user_scope(), user).await? {
        return Err(ApiError::field("user", UNKNOWN_USER));
    }
    let change = RoomChange::Add { user, terms: request.terms() };
    let added = state.engine.command(Command { room, by: caller.principal()?, change }).await;
    let reply = map_refusal(added, |refusal| match refusal {
        Refusal::UsersNotFound(_) => ApiError::field("user", UNKNOWN_USER),
        Refusal::AlreadyParticipant | Refusal::DirectRoom => ApiError::field("user", refusal.to_string()),
        Refusal::NotParticipant => ApiError::forbidden(),
        other => other.into(),
    })?;
    Ok(HttpResponse::Created().json(participant_after(&state, &caller, reply).await?))
}

/// Shows one participant of a room that the caller is in.
#[utoipa::path(get, path = "/api/chat/participants/{id}/", tag = "participants",
    params(("id" = i64, Path, minimum = 1)), responses((status = 200, body = ApiParticipant)))]
pub async fn get(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<Json<ApiParticipant>, ApiError> {
    let details = find_participant(&state, &caller, &id).await?;
    Ok(Json(ApiParticipant::seen_by(&caller, details)))
}

/// Changes someone's role, and until when they are in the room, for its admins; changes one's own settings of the room.
#[utoipa::path(patch, path = "/api/chat/participants/{id}/", tag = "participants",
    params(("id" = i64, Path, minimum = 1)), request_body = ChangeParticipantRequest,
    responses((status = 200, body = ApiParticipant)))]
pub async fn patch(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
    body: RequestBody,
) -> Result<Json<ApiParticipant>, ApiError> {
    let details = find_participant(&state, &caller, &id).await?;
    let (room, user) = (details.participant.room, details.participant.user.id);
    let access = state.store.room_access(room, caller.viewer()).await?.ok_or_else(ApiError::not_found)?;
    let is_own = caller.viewer() == Some(user);
    if !is_own {
        check_manager(&caller, access, "is_admin")?;
    }
    let request: ChangeParticipantRequest = body.object().await?;
    let settings = request.settings();
    if settings.is_some() && !is_own {
        return Err(ApiError::forbidden());
    }
    if is_own && (settings.is_none() || request.manages()) {
        check_manager(&caller, access, "is_admin")?;
    }
    let mut reply = None;
    if let Some(role) = request.new_role(details.participant.role) {
        let change = RoomChange::SetRole { user, role };
        reply = Some(command(&state, room, caller.principal()?, change).await?);
    }
    if let Some(until) = request.until {
        let change = RoomChange::SetUntil { user, until };
        reply = Some(command(&state, room, caller.principal()?, change).await?);
    }
    if let Some(settings) = settings {
        reply = Some(command(&state, room, caller.token_holder()?, RoomChange::Settings(settings)).await?);
    }
    Ok(Json(match reply {
        Some(reply) => participant_after(&state, &caller, reply).await?,
        None => ApiParticipant::seen_by(&caller, details),
    }))
}

async fn command(
    state: &ApiState,
    room: RoomId,
    by: Principal,
    change: RoomChange,
) -> Result<CommandReply, ApiError> {
    map_refusal(state.engine.command(Command { room, by, change }).await, |refusal| match refusal {
        Refusal::LastAdmin | Refusal::DirectRoom => ApiError::field("is_admin", refusal.to_string()),
        Refusal::NotParticipant => ApiError::not_found(),
        other => other.into(),
    })
}

/// Takes someone out of a room; its admins only.
#[utoipa::path(delete, path = "/api/chat/participants/{id}/", tag = "participants",
    params(("id" = i64, Path, minimum = 1)), responses((status = 204)))]
pub async fn delete(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let details = find_participant(&state, &caller, &id).await?;
    let room = details.participant.room;
    let access = state.store.room_access(room, caller.viewer()).await?;
    check_manager(&caller, access.ok_or_else(ApiError::not_found)?, "user")?;
    // The engine records an admin who removes their own participant as one who leaves.
    let change = RoomChange::Remove { user: details.participant.user.id };
    let removed = state.engine.command(Command { room, by: caller.principal()?, change }).await;
    map_refusal(removed, |refusal| match refusal {
        Refusal::NotParticipant => ApiError::not_found(),
        other => other.into(),
    })?;
    Ok(HttpResponse::NoContent().finish())
}

/// Mutes a room for oneself, or lifts that.
#[utoipa::path(post, path = "/api/chat/participants/{id}/mute/", tag = "participants",
    params(("id" = i64, Path, minimum = 1)), request_body = Option<MuteParticipantRequest>,
    responses((status = 200, body = ApiParticipant)))]
pub async fn mute(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
    body: RequestBody,
) -> Result<Json<ApiParticipant>, ApiError> {
    let details = find_participant(&state, &caller, &id).await?;
    if caller.user_id()? != details.participant.user.id {
        return Err(ApiError::forbidden());
    }
    let MuteParticipantRequest { muted, muted_until } = body.object_or_empty().await?;
    let change = RoomChange::Mute { muted: muted.unwrap_or(true), until: muted_until };
    let command = Command { room: details.participant.room, by: caller.token_holder()?, change };
    let reply = map_refusal(state.engine.command(command).await, |refusal| match refusal {
        Refusal::NotParticipant => ApiError::not_found(),
        other => other.into(),
    })?;
    Ok(Json(participant_after(&state, &caller, reply).await?))
}

/// Finds a participant of a room that the caller may see, by the id in a path.
async fn find_participant(
    state: &ApiState,
    caller: &Caller,
    id: &str,
) -> Result<ParticipantDetails, ApiError> {
    let id = parse_id(id).map(ParticipantId).ok_or_else(ApiError::not_found)?;
    let found = state.store.participant(caller.viewer(), caller.is_service(), id).await?;
    found.ok_or_else(ApiError::not_found)
}

/// Checks that the caller may change the participants of a room: its admins may, but nobody in a direct room.
pub(super) fn check_manager(
    caller: &Caller,
    access: RoomAccess,
    field: &'static str,
) -> Result<(), ApiError> {
    let is_manager = match access.role {
        _ if caller.is_service() => access.room_type.is_host_managed(),
        Some(_) if access.room_type == RoomType::Direct => {
            return Err(ApiError::field(field, Refusal::DirectRoom.to_string()));
        }
        role => role == Some(Role::Admin),
    };
    if is_manager { Ok(()) } else { Err(ApiError::forbidden()) }
}

/// Shows the participant of a command's reply, with the details that only the store knows.
async fn participant_after(
    state: &ApiState,
    caller: &Caller,
    reply: CommandReply,
) -> Result<ApiParticipant, ApiError> {
    let CommandReply::Participant(participant) = reply else {
        return Err(EngineError::OutcomeUnknown.into());
    };
    let stored = state.store.participant(caller.viewer(), caller.is_service(), participant.id).await?;
    // A participant who has left again meanwhile is shown as of the commit.
    let details = stored.unwrap_or(ParticipantDetails {
        participant: *participant,
        email: String::new(),
        read_at: None,
        is_muted: false,
        muted_until: None,
        level: NotificationLevel::default(),
        is_favourite: false,
        unread: 0,
    });
    Ok(ApiParticipant::seen_by(caller, details))
}
