//! Addresses to which other applications post, as they are set up.

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use actors::domain::command::Refusal;
use actors::domain::room::RoomType;
use argon2::password_hash::rand_core::{OsRng, RngCore};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{check_rooms, manager};
use crate::http::body::RequestBody;
use crate::http::caller::Caller;
use crate::http::error::ApiError;
use crate::http::fields::{Fields, FromFields, parse_uuid};
use crate::http::page::{PER_PAGE_DEFAULT, Page, Pagination};
use crate::http::query::QueryString;
use crate::http::state::ApiState;
use crate::store::postgres::integrations::{IncomingHook, IncomingOutcome, NewIncomingHook};

/// The most rooms to which one address posts.
const ROOMS_MAX: usize = 10;
/// Bytes of a secret.
const SECRET_BYTES: usize = 32;

/// An address to be set up.
#[derive(ToSchema)]
#[schema(as = AddIncoming)]
pub struct AddIncomingRequest {
    /// The rooms to which it posts.
    #[schema(min_items = 1, max_items = 10)]
    rooms: Vec<Uuid>,
    /// The name of the author of what it posts.
    #[schema(min_length = 1, max_length = 255)]
    name: String,
}

impl FromFields for AddIncomingRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let rooms = fields.some_uuids("rooms", ROOMS_MAX);
        let name = fields.name("name");
        if name.as_deref() == Some("") {
            fields.add_error("name", Refusal::Blank.to_string());
        }
        let name = fields.require("name", name);
        Some(Self { rooms: rooms?, name: name? })
    }
}

/// An address to which another application posts.
#[derive(Serialize, ToSchema)]
#[schema(as = Incoming)]
pub struct ApiIncoming {
    /// Its id.
    pub id: Uuid,
    /// The name of the author of what it posts.
    pub name: String,
    /// The id of that author, which is below 0.
    pub user_id: i64,
    /// The rooms to which it posts.
    pub rooms: Vec<Uuid>,
    /// When it was set up.
    pub created_at: DateTime<Utc>,
    /// The address, which is the secret; only in the answer to who has just set it up.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub url: Option<String>,
}

impl From<IncomingHook> for ApiIncoming {
    fn from(hook: IncomingHook) -> Self {
        Self {
            id: hook.id,
            name: hook.name,
            user_id: hook.account.0,
            rooms: hook.rooms,
            created_at: hook.created_at,
            url: None,
        }
    }
}

/// What is kept of a secret.
pub(super) fn hash_of(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// Sets up an address to which another application posts: by the host application or its staff, or by the admins of its
/// rooms.
#[utoipa::path(post, path = "/api/chat/incoming/", tag = "integrations", request_body = AddIncomingRequest,
    responses((status = 201, body = ApiIncoming)))]
pub async fn create(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    body: RequestBody,
) -> Result<HttpResponse, ApiError> {
    let manager = manager(&caller)?;
    let AddIncomingRequest { rooms, name } = body.object().await?;
    check_rooms(&state, manager, &rooms, |room_type| room_type != RoomType::Direct).await?;
    let mut bytes = [0; SECRET_BYTES];
    OsRng.fill_bytes(&mut bytes);
    let secret = URL_SAFE_NO_PAD.encode(bytes);
    let secret_hash = hash_of(&secret);
    let new =
        NewIncomingHook { name: &name, rooms: &rooms, secret_hash: &secret_hash, owner: manager.user() };
    match state.store.add_incoming_hook(new).await? {
        IncomingOutcome::Added(hook) => {
            let path = format!("/api/chat/hooks/{secret}/");
            let base = state.base_url(&request).and_then(|base| base.join(&path).ok());
            let url = base.map_or(path, String::from);
            Ok(HttpResponse::Created().json(ApiIncoming { url: Some(url), ..ApiIncoming::from(hook) }))
        }
        IncomingOutcome::TooMany => {
            Err(ApiError::field("rooms", "There are, or you have, too many of them."))
        }
    }
}

/// Lists the addresses that the caller may take out of rooms, each with these rooms.
#[utoipa::path(get, path = "/api/chat/incoming/", tag = "integrations", params(Pagination),
    responses((status = 200, body = Page<ApiIncoming>)))]
pub async fn list(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    query: QueryString,
) -> Result<Json<Page<ApiIncoming>>, ApiError> {
    let pagination = Pagination::read(&query, PER_PAGE_DEFAULT)?;
    let (limit, offset) = (pagination.limit(), pagination.offset());
    let (count, hooks) = state.store.incoming_hooks(manager(&caller)?, limit, offset).await?;
    let hooks = hooks.into_iter().map(ApiIncoming::from).collect();
    Ok(Json(pagination.page(&request, &query, count, hooks)?))
}

/// Shows one of them, without its secret.
#[utoipa::path(get, path = "/api/chat/incoming/{id}/", tag = "integrations",
    params(("id" = Uuid, Path)), responses((status = 200, body = ApiIncoming)))]
pub async fn get(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<Json<ApiIncoming>, ApiError> {
    let id = parse_uuid(&id).ok_or_else(ApiError::not_found)?;
    let hook = state.store.incoming_hook(manager(&caller)?, id).await?;
    Ok(Json(hook.ok_or_else(ApiError::not_found)?.into()))
}

/// Takes one of them out of the rooms that it is listed with: nothing more is posted there by it. Its messages stay. An
/// address without rooms is deleted.
#[utoipa::path(delete, path = "/api/chat/incoming/{id}/", tag = "integrations",
    params(("id" = Uuid, Path)), responses((status = 204)))]
pub async fn delete(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = parse_uuid(&id).ok_or_else(ApiError::not_found)?;
    match state.store.delete_incoming_hook(manager(&caller)?, id).await? {
        true => Ok(HttpResponse::NoContent().finish()),
        false => Err(ApiError::not_found()),
    }
}
