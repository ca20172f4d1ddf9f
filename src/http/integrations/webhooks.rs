//! Webhooks: addresses to which the events of rooms are sent.

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use actors::domain::event::EventKind;
use actors::domain::room::RoomType;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::webhook_requests::{AddWebhookRequest, ChangeWebhookRequest, ReplayRequest};
use super::{check_rooms, manager};
use crate::http::body::RequestBody;
use crate::http::caller::Caller;
use crate::http::error::ApiError;
use crate::http::fields::parse_uuid;
use crate::http::page::{PER_PAGE_DEFAULT, Page, Pagination};
use crate::http::query::QueryString;
use crate::http::state::ApiState;
use crate::integrations::signature::WebhookSecret;
use crate::store::postgres::integrations::{
    IntegrationManager, NewWebhook, Webhook, WebhookChange, WebhookOutcome,
};

/// A webhook.
#[derive(Serialize, ToSchema)]
#[schema(as = Webhook)]
pub struct ApiWebhook {
    /// Its id.
    pub id: Uuid,
    /// Where requests are sent.
    pub url: String,
    /// The types of the frames that are sent; none: all of them.
    pub events: Vec<&'static str>,
    /// The rooms that are followed; none: all of them.
    pub rooms: Vec<Uuid>,
    /// The types of rooms that are followed; none: all of them.
    pub room_types: Vec<String>,
    /// When it was set up.
    pub created_at: DateTime<Utc>,
    /// `active`; `paused`, by hand or after days in vain; or `ended`, by the target's 410.
    pub state: &'static str,
    /// Why it isn't active.
    pub reason: String,
    /// Since when requests have failed and none has succeeded.
    pub failing_since: Option<DateTime<Utc>>,
    /// When a request succeeded last, give or take some seconds.
    pub succeeded_at: Option<DateTime<Utc>>,
    /// What signs the requests; only in the answer to who has just set it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub secret: Option<String>,
}

impl ApiWebhook {
    fn new(webhook: Webhook, secret: Option<&WebhookSecret>) -> Self {
        let kinds = webhook.kinds.iter().filter_map(|kind| EventKind::parse(kind));
        let mut events: Vec<&'static str> = kinds.map(EventKind::frame_type).collect();
        events.sort_unstable();
        events.dedup();
        Self {
            id: webhook.id,
            url: webhook.url,
            events,
            rooms: webhook.rooms,
            room_types: webhook.room_types,
            created_at: webhook.created_at,
            state: webhook.state.as_str(),
            reason: webhook.reason,
            failing_since: webhook.failing_since,
            succeeded_at: webhook.succeeded_at,
            secret: secret.map(WebhookSecret::text),
        }
    }
}

/// What will be sent again.
#[derive(Serialize, ToSchema)]
#[schema(as = Replay)]
pub struct ApiReplay {
    /// In how many rooms there is something.
    pub rooms: i64,
}

/// Which rooms a webhook of `manager` may name. The conversations of two are the host application's to follow.
fn follows(manager: IntegrationManager) -> impl Fn(RoomType) -> bool {
    move |room_type| room_type != RoomType::Direct || manager == IntegrationManager::Host
}

/// Sets up a webhook: by the host application or its staff, or by the admins of the rooms that it names.
#[utoipa::path(post, path = "/api/chat/webhooks/", tag = "integrations", request_body = AddWebhookRequest,
    responses((status = 201, body = ApiWebhook)))]
pub async fn create(
    state: Data<ApiState>,
    caller: Caller,
    body: RequestBody,
) -> Result<HttpResponse, ApiError> {
    let manager = manager(&caller)?;
    let request: AddWebhookRequest = body.object().await?;
    check_rooms(&state, manager, &request.rooms, follows(manager)).await?;
    state.outbound.judge(&request.url).map_err(|error| ApiError::field("url", error.to_string()))?;
    let secret = request.secret.unwrap_or_else(WebhookSecret::generate);
    let new = NewWebhook {
        url: request.url.as_str(),
        kinds: &request.kinds,
        rooms: &request.rooms,
        room_types: &request.room_types,
        secret: secret.bytes(),
        owner: manager.user(),
        since: request.since,
    };
    match state.store.add_webhook(new).await? {
        WebhookOutcome::Added(webhook) => {
            Ok(HttpResponse::Created().json(ApiWebhook::new(*webhook, Some(&secret))))
        }
        WebhookOutcome::TooMany => Err(ApiError::field("url", "There are, or you have, too many webhooks.")),
    }
}

/// Lists the webhooks that the caller may change.
#[utoipa::path(get, path = "/api/chat/webhooks/", tag = "integrations", params(Pagination),
    responses((status = 200, body = Page<ApiWebhook>)))]
pub async fn list(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    query: QueryString,
) -> Result<Json<Page<ApiWebhook>>, ApiError> {
    let pagination = Pagination::read(&query, PER_PAGE_DEFAULT)?;
    let webhooks = state.store.webhooks(manager(&caller)?).await?;
    let count = i64::try_from(webhooks.len()).unwrap_or(i64::MAX);
    let skipped = usize::try_from(pagination.offset()).unwrap_or(usize::MAX);
    let taken = usize::try_from(pagination.limit()).unwrap_or(usize::MAX);
    let shown = webhooks.into_iter().skip(skipped).take(taken);
    let shown = shown.map(|webhook| ApiWebhook::new(webhook, None)).collect();
    Ok(Json(pagination.page(&request, &query, count, shown)?))
}

/// Shows a webhook.
#[utoipa::path(get, path = "/api/chat/webhooks/{id}/", tag = "integrations",
    params(("id" = Uuid, Path)), responses((status = 200, body = ApiWebhook)))]
pub async fn get(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<Json<ApiWebhook>, ApiError> {
    let webhook = find(&state, &caller, &id).await?;
    Ok(Json(ApiWebhook::new(webhook, None)))
}

/// Changes a webhook. The caller answers for it from then on: it goes on as long as the caller may read its rooms.
#[utoipa::path(patch, path = "/api/chat/webhooks/{id}/", tag = "integrations",
    params(("id" = Uuid, Path)), request_body = ChangeWebhookRequest,
    responses((status = 200, body = ApiWebhook)))]
pub async fn patch(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
    body: RequestBody,
) -> Result<Json<ApiWebhook>, ApiError> {
    let manager = manager(&caller)?;
    let id = find(&state, &caller, &id).await?.id;
    let request: ChangeWebhookRequest = body.object().await?;
    if let Some(rooms) = &request.rooms {
        check_rooms(&state, manager, rooms, follows(manager)).await?;
    }
    if let Some(url) = &request.url {
        state.outbound.judge(url).map_err(|error| ApiError::field("url", error.to_string()))?;
    }
    let change = WebhookChange {
        url: request.url.as_ref().map(url::Url::as_str),
        kinds: request.kinds.as_deref(),
        rooms: request.rooms.as_deref(),
        room_types: request.room_types.as_deref(),
        secret: request.secret.as_ref().map(WebhookSecret::bytes),
        is_active: request.is_active,
    };
    let changed = state.store.change_webhook(manager, id, change).await?.ok_or_else(ApiError::not_found)?;
    Ok(Json(ApiWebhook::new(changed, request.secret.as_ref())))
}

/// Deletes a webhook. What it was not sent yet it isn't sent.
#[utoipa::path(delete, path = "/api/chat/webhooks/{id}/", tag = "integrations",
    params(("id" = Uuid, Path)), responses((status = 204)))]
pub async fn delete(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = parse_uuid(&id).ok_or_else(ApiError::not_found)?;
    match state.store.delete_webhook(manager(&caller)?, id).await? {
        true => Ok(HttpResponse::NoContent().finish()),
        false => Err(ApiError::not_found()),
    }
}

/// Has a webhook sent again what happened, under the same ids.
#[utoipa::path(post, path = "/api/chat/webhooks/{id}/replay/", tag = "integrations",
    params(("id" = Uuid, Path)), request_body = ReplayRequest, responses((status = 202, body = ApiReplay)))]
pub async fn replay(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
    body: RequestBody,
) -> Result<HttpResponse, ApiError> {
    let id = find(&state, &caller, &id).await?.id;
    let ReplayRequest { room, since } = body.object().await?;
    if let Some(room) = room
        && state.store.managed_rooms(&[room], None).await?.is_empty()
    {
        return Err(ApiError::field("room", "There is no such room."));
    }
    let rooms = state.store.replay_webhook(id, room, since).await?;
    Ok(HttpResponse::Accepted().json(ApiReplay { rooms }))
}

/// Reads a webhook that the caller may manage.
pub(super) async fn find(state: &ApiState, caller: &Caller, id: &str) -> Result<Webhook, ApiError> {
    let id = parse_uuid(id).ok_or_else(ApiError::not_found)?;
    state.store.webhook(manager(caller)?, id).await?.ok_or_else(ApiError::not_found)
}
