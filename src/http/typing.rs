//! Who is typing, for clients that poll.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json};
use actors::domain::ids::RoomId;
use actors::engine::TypingUser;
use chrono::{DateTime, SubsecRound as _, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::caller::Caller;
use super::error::ApiError;
use super::page::{PER_PAGE_DEFAULT, Page, Pagination};
use super::params::ListTypingParams;
use super::query::QueryString;
use super::state::ApiState;
use super::users::ApiUser;
use crate::store::postgres::users::UserProfile;

/// Someone who is typing.
#[derive(Serialize, ToSchema)]
#[schema(as = Typing)]
pub struct ApiTyping {
    /// The participant's id.
    pub id: i64,
    /// Where.
    pub room: Uuid,
    /// Who.
    pub user: ApiUser,
    /// Since when.
    pub started_at: DateTime<Utc>,
}

/// Lists who is typing in a room now, the caller left out.
#[utoipa::path(get, path = "/api/chat/typing/", tag = "typing",
    params(ListTypingParams, Pagination),
    responses((status = 200, body = Page<ApiTyping>)))]
pub async fn list(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    query: QueryString,
) -> Result<Json<Page<ApiTyping>>, ApiError> {
    let params: ListTypingParams = query.read()?;
    let pagination = Pagination::read(&query, PER_PAGE_DEFAULT)?;
    let typing = match (params.room, caller.viewer()) {
        (Some(room), Some(_)) => typing_in(&state, &caller, room).await?,
        _ => Vec::new(),
    };
    let count = i64::try_from(typing.len()).unwrap_or(i64::MAX);
    let skip = usize::try_from(pagination.offset()).unwrap_or(usize::MAX);
    let take = usize::try_from(pagination.limit()).unwrap_or(usize::MAX);
    let results = typing.into_iter().skip(skip).take(take).collect();
    Ok(Json(pagination.page(&request, &query, count, results)?))
}

/// Reads who is typing; outside the room nobody is seen.
async fn typing_in(state: &ApiState, caller: &Caller, room: RoomId) -> Result<Vec<ApiTyping>, ApiError> {
    let access = state.store.room_access(room, caller.viewer()).await?;
    if access.is_none_or(|access| access.role.is_none()) {
        return Ok(Vec::new());
    }
    let mut typing = state.engine.typing_in(room).await;
    typing.retain(|typing| Some(typing.user) != caller.viewer());
    typing.sort_by_key(|typing| (typing.since, typing.user));
    let users: Vec<_> = typing.iter().map(|typing| typing.user).collect();
    let participants = state.store.participants_among(room, &users).await?;
    let present = |typing: &TypingUser| {
        let details = participants.iter().find(|details| details.participant.user.id == typing.user)?;
        let profile = UserProfile { summary: details.participant.user.clone(), email: details.email.clone() };
        Some(ApiTyping {
            id: details.participant.id.0,
            room: room.0,
            user: ApiUser::seen_by(caller, &profile),
            started_at: typing.since.trunc_subsecs(6),
        })
    };
    Ok(typing.iter().filter_map(present).collect())
}
