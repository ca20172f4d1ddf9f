//! Bots: accounts for programs, which the host application and its staff make.

pub mod commands;

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use actors::domain::command::Refusal;
use actors::domain::ids::UserId;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::body::RequestBody;
use super::caller::{Caller, USERNAME_CHARS_MAX};
use super::error::ApiError;
use super::fields::{Fields, FromFields, parse_user_id};
use super::page::{PER_PAGE_DEFAULT, Page, Pagination};
use super::query::QueryString;
use super::state::ApiState;
use crate::auth::bot_tokens;
use crate::store::postgres::bots::Bot;

/// A bot to be made.
#[derive(ToSchema)]
#[schema(as = AddBot)]
pub struct AddBotRequest {
    /// The name by which it is mentioned.
    #[schema(min_length = 1, max_length = 150)]
    username: String,
    /// The name to show.
    #[schema(min_length = 1, max_length = 255)]
    full_name: String,
}

impl FromFields for AddBotRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let username = fields.text("username", USERNAME_CHARS_MAX);
        let full_name = fields.name("full_name");
        for (name, given) in [("username", &username), ("full_name", &full_name)] {
            if given.as_deref() == Some("") {
                fields.add_error(name, Refusal::Blank.to_string());
            }
        }
        let username = fields.require("username", username);
        let full_name = fields.require("full_name", full_name);
        Some(Self { username: username?, full_name: full_name? })
    }
}

/// A bot.
#[derive(Serialize, ToSchema)]
#[schema(as = Bot)]
pub struct ApiBot {
    /// Its id as a user, which is far below 0.
    pub id: i64,
    /// The name by which it is mentioned.
    pub username: String,
    /// The name to show.
    pub full_name: String,
    /// Whether it may do anything: false once it was deleted.
    pub is_active: bool,
    /// Who made it; null for the host application.
    pub created_by: Option<i64>,
    /// When.
    pub created_at: DateTime<Utc>,
    /// The token by which it calls; only in the answer to who has just made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub token: Option<String>,
}

impl From<Bot> for ApiBot {
    fn from(bot: Bot) -> Self {
        Self {
            id: bot.summary.id.0,
            username: bot.summary.username.to_string(),
            full_name: bot.summary.full_name.to_string(),
            is_active: bot.is_active,
            created_by: bot.owner.map(|owner| owner.0),
            created_at: bot.created_at,
            token: None,
        }
    }
}

/// The new token of a bot.
#[derive(Serialize, ToSchema)]
#[schema(as = BotToken)]
pub struct ApiBotToken {
    /// The bot.
    pub id: i64,
    /// The token; it is shown this once.
    pub token: String,
}

/// Checks that the caller is the host application or on its staff.
fn require_manager(caller: &Caller) -> Result<(), ApiError> {
    if caller.is_service() || caller.is_staff() { Ok(()) } else { Err(ApiError::forbidden()) }
}

fn bot_id(id: &str) -> Result<UserId, ApiError> {
    parse_user_id(id).filter(|user| user.is_bot()).ok_or_else(ApiError::not_found)
}

/// Makes a bot; by the host application and its staff.
#[utoipa::path(post, path = "/api/chat/bots/", tag = "bots", request_body = AddBotRequest,
    responses((status = 201, body = ApiBot)))]
pub async fn create(
    state: Data<ApiState>,
    caller: Caller,
    body: RequestBody,
) -> Result<HttpResponse, ApiError> {
    require_manager(&caller)?;
    let AddBotRequest { username, full_name } = body.object().await?;
    let token = bot_tokens::generate();
    let owner = caller.viewer().filter(|_| !caller.is_service());
    let added = state.store.add_bot(&username, &full_name, &bot_tokens::hash_of(&token), owner).await?;
    let bot = added.ok_or_else(|| ApiError::field("username", "There are too many bots."))?;
    Ok(HttpResponse::Created().json(ApiBot { token: Some(token), ..ApiBot::from(bot) }))
}

/// Lists all bots, the oldest first.
#[utoipa::path(get, path = "/api/chat/bots/", tag = "bots", params(Pagination),
    responses((status = 200, body = Page<ApiBot>)))]
pub async fn list(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    query: QueryString,
) -> Result<Json<Page<ApiBot>>, ApiError> {
    require_manager(&caller)?;
    let pagination = Pagination::read(&query, PER_PAGE_DEFAULT)?;
    let (count, bots) = state.store.bots(pagination.limit(), pagination.offset()).await?;
    let bots = bots.into_iter().map(ApiBot::from).collect();
    Ok(Json(pagination.page(&request, &query, count, bots)?))
}

/// Gives a bot another token. The one before is void at once, and the sockets that it has opened end.
#[utoipa::path(post, path = "/api/chat/bots/{id}/token/", tag = "bots",
    params(("id" = i64, Path)), responses((status = 200, body = ApiBotToken)))]
pub async fn replace_token(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<Json<ApiBotToken>, ApiError> {
    require_manager(&caller)?;
    let id = bot_id(&id)?;
    let token = bot_tokens::generate();
    let access = state.store.replace_bot_token(id, &bot_tokens::hash_of(&token)).await?;
    state.engine.user_changed(access.ok_or_else(ApiError::not_found)?);
    Ok(Json(ApiBotToken { id: id.0, token }))
}

/// Deletes a bot: its token and its commands are gone, and its sockets end at once. What it wrote stays.
#[utoipa::path(delete, path = "/api/chat/bots/{id}/", tag = "bots",
    params(("id" = i64, Path)), responses((status = 204)))]
pub async fn delete(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    require_manager(&caller)?;
    let access = state.store.end_bot(bot_id(&id)?).await?;
    state.engine.user_changed(access.ok_or_else(ApiError::not_found)?);
    Ok(HttpResponse::NoContent().finish())
}
