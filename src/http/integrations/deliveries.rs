//! What was sent to a webhook, and what it answered.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Path};
use actors::domain::event::EventKind;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::webhooks::find;
use crate::http::caller::Caller;
use crate::http::error::ApiError;
use crate::http::page::{PER_PAGE_DEFAULT, Page, Pagination};
use crate::http::query::QueryString;
use crate::http::state::ApiState;
use crate::integrations::event::webhook_id;
use crate::store::postgres::integrations::Delivery;

/// What became of an event that was sent.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookDelivery)]
pub struct ApiDelivery {
    /// The `webhook-id` of its requests.
    pub id: String,
    /// The `type` of the event's frame.
    #[serde(rename = "type")]
    pub kind: String,
    /// The room.
    pub room_id: Uuid,
    /// The position in the room's log.
    pub seq: i64,
    /// Where it was sent last.
    pub url: String,
    /// `delivered`; `retrying`, which holds the room's later events back; or `given_up`.
    pub state: String,
    /// How often it was sent.
    pub attempts: i32,
    /// When it was sent first.
    pub first_attempt_at: DateTime<Utc>,
    /// When it was sent last.
    pub last_attempt_at: DateTime<Utc>,
    /// When it is sent again.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// How long the last answer took, in milliseconds.
    pub duration_ms: i32,
    /// The status of the last answer; none without one.
    pub status: Option<i32>,
    /// The start of its body.
    pub answer: String,
    /// Why there was none; empty where there was.
    pub error: String,
}

/// Lists what was sent to a webhook in the last days, the newest first.
#[utoipa::path(get, path = "/api/chat/webhooks/{id}/deliveries/", tag = "integrations",
    params(("id" = Uuid, Path), Pagination), responses((status = 200, body = Page<ApiDelivery>)))]
pub async fn list(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
    query: QueryString,
) -> Result<Json<Page<ApiDelivery>>, ApiError> {
    let webhook = find(&state, &caller, &id).await?.id;
    let pagination = Pagination::read(&query, PER_PAGE_DEFAULT)?;
    let (limit, offset) = (pagination.limit(), pagination.offset());
    let (count, deliveries) = state.store.webhook_deliveries(webhook, limit, offset).await?;
    let shown = deliveries.into_iter().map(|delivery| shown(webhook, delivery)).collect();
    Ok(Json(pagination.page(&request, &query, count, shown)?))
}

fn shown(webhook: Uuid, delivery: Delivery) -> ApiDelivery {
    let kind = EventKind::parse(&delivery.kind).map_or(delivery.kind, |kind| kind.frame_type().to_owned());
    ApiDelivery {
        id: webhook_id(webhook, delivery.room, delivery.seq),
        kind,
        room_id: delivery.room.0,
        seq: delivery.seq.0,
        url: delivery.url,
        state: delivery.state,
        attempts: delivery.attempts,
        first_attempt_at: delivery.first_at,
        last_attempt_at: delivery.last_at,
        next_attempt_at: delivery.next_at,
        duration_ms: delivery.duration_ms,
        status: delivery.status,
        answer: delivery.answer,
        error: delivery.error,
    }
}
