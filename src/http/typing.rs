//! Who is typing, for clients that poll.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json};
use actors::domain::ids::RoomId;
use chrono::{DateTime, SubsecRound as _, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::caller::Caller;
use super::error::ApiError;
use super::page::{OTHERS_DEFAULT, Page, PageWanted};
use super::query::Query;
use super::rest::Rest;
use super::users::User;
use crate::store::postgres::people::Profile;

/// Someone who is typing.
#[derive(Serialize, ToSchema)]
#[schema(as = Typing)]
pub struct TypingBody {
    /// The participant's id.
    pub id: i64,
    /// Where.
    pub room: Uuid,
    /// Who.
    pub user: User,
    /// Since when.
    pub started_at: DateTime<Utc>,
}

/// Lists who is typing in a room now, the caller left out.
#[utoipa::path(get, path = "/api/chat/typing/", tag = "typing",
    params(("room" = Uuid, Query), super::openapi::PageParams),
    responses((status = 200, body = Page<TypingBody>)))]
pub async fn list(
    request: HttpRequest,
    rest: Data<Rest>,
    caller: Caller,
    mut query: Query,
) -> Result<Json<Page<TypingBody>>, ApiError> {
    let room = query.required_uuid("room").map(RoomId);
    query.finish()?;
    let wanted = PageWanted::read(&query, OTHERS_DEFAULT)?;
    let typing = match (room, caller.viewer()) {
        (Some(room), Some(_)) => now(&rest, &caller, room).await?,
        _ => Vec::new(),
    };
    let count = i64::try_from(typing.len()).unwrap_or(i64::MAX);
    let skip = usize::try_from(wanted.offset()).unwrap_or(usize::MAX);
    let take = usize::try_from(wanted.limit()).unwrap_or(usize::MAX);
    let results = typing.into_iter().skip(skip).take(take).collect();
    Ok(Json(wanted.of(&request, &query, count, results)?))
}

async fn now(rest: &Rest, caller: &Caller, room: RoomId) -> Result<Vec<TypingBody>, ApiError> {
    let standing = rest.store.standing(room, caller.viewer()).await?;
    if standing.is_none_or(|standing| standing.role.is_none()) {
        return Ok(Vec::new());
    }
    let mut typing = rest.engine.typing_in(room).await;
    typing.retain(|one| Some(one.user) != caller.viewer());
    typing.sort_by_key(|one| (one.since, one.user));
    let users: Vec<_> = typing.iter().map(|one| one.user).collect();
    let people = rest.store.people_in(room, &users).await?;
    let body = |one: &actors::room::TypingNow| {
        let seen = people.iter().find(|seen| seen.participant.user.id == one.user)?;
        let profile = Profile { author: seen.participant.user.clone(), email: seen.email.clone() };
        Some(TypingBody {
            id: seen.participant.id.0,
            room: room.0,
            user: User::seen_by(caller, &profile),
            started_at: one.since.trunc_subsecs(6),
        })
    };
    Ok(typing.iter().filter_map(body).collect())
}
