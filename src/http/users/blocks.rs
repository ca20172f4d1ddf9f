//! Blocking users: between two of whom one has blocked the other, nothing is written in their direct room.

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use actors::domain::ids::UserId;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::caller::Caller;
use crate::http::error::ApiError;
use crate::http::fields::parse_user_id;
use crate::http::page::{PER_PAGE_DEFAULT, Page, Pagination};
use crate::http::query::QueryString;
use crate::http::state::ApiState;
use crate::store::postgres::blocks::{BLOCKS_MAX, BlockOutcome, BlockedUser};

/// A user whom the caller has blocked.
#[derive(Serialize, ToSchema)]
#[schema(as = Block)]
pub struct ApiBlock {
    /// The user.
    pub user_id: i64,
    /// The sign-in name.
    pub username: String,
    /// The name to show.
    pub full_name: String,
    /// Since when.
    pub created_at: DateTime<Utc>,
}

impl From<BlockedUser> for ApiBlock {
    fn from(BlockedUser { user, since }: BlockedUser) -> Self {
        Self {
            user_id: user.id.0,
            username: user.username.to_string(),
            full_name: user.full_name.to_string(),
            created_at: since,
        }
    }
}

fn user_id(id: &str) -> Result<UserId, ApiError> {
    parse_user_id(id).ok_or_else(ApiError::not_found)
}

/// Blocks a user: neither writes in the direct room of the two any more. Groups stay as they are. The same again
/// changes nothing.
#[utoipa::path(put, path = "/api/chat/users/{id}/block/", tag = "users",
    params(("id" = i64, Path)), responses((status = 200, body = ApiBlock)))]
pub async fn put(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<Json<ApiBlock>, ApiError> {
    let (user, blocked) = (caller.user_id()?, user_id(&id)?);
    if user == blocked {
        return Err(ApiError::field("user", "Nobody blocks themselves."));
    }
    if !state.store.may_name_user(caller.user_scope(), blocked).await? {
        return Err(ApiError::not_found());
    }
    match state.store.block_user(user, blocked).await? {
        BlockOutcome::Blocked(block) => Ok(Json(block.into())),
        BlockOutcome::UnknownUser => Err(ApiError::not_found()),
        BlockOutcome::Staff => Err(ApiError::forbidden()),
        BlockOutcome::TooMany => {
            Err(ApiError::field("user", format!("No more than {BLOCKS_MAX} users are blocked.")))
        }
    }
}

/// Blocks a user no more.
#[utoipa::path(delete, path = "/api/chat/users/{id}/block/", tag = "users",
    params(("id" = i64, Path)), responses((status = 204)))]
pub async fn delete(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let (user, blocked) = (caller.user_id()?, user_id(&id)?);
    state.store.unblock_user(user, blocked).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Lists the users whom the caller has blocked, the last one first.
#[utoipa::path(get, path = "/api/chat/blocks/", tag = "users", params(Pagination),
    responses((status = 200, body = Page<ApiBlock>)))]
pub async fn list(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    query: QueryString,
) -> Result<Json<Page<ApiBlock>>, ApiError> {
    let pagination = Pagination::read(&query, PER_PAGE_DEFAULT)?;
    let (count, blocks) =
        state.store.blocks(caller.user_id()?, pagination.limit(), pagination.offset()).await?;
    let blocks = blocks.into_iter().map(ApiBlock::from).collect();
    Ok(Json(pagination.page(&request, &query, count, blocks)?))
}
