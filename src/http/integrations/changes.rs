//! Everything that happened in all rooms, for the host application.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json};
use actors::domain::event::Event;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::http::caller::Caller;
use crate::http::error::ApiError;
use crate::http::in_flight::Permit;
use crate::http::params::ListChangesParams;
use crate::http::query::QueryString;
use crate::http::state::ApiState;
use crate::integrations::event::frame_json;
use crate::store::postgres::ChangesCursor;

/// Events read at once: 1.6 MB if each holds the longest text.
const PORTION: usize = 100;
/// Bytes of a change in JSON beside its frame.
const BASE_BYTES: usize = 200;

/// What happened after a cursor.
#[derive(Serialize, ToSchema)]
#[schema(as = Changes)]
pub struct ApiChanges {
    /// Where to go on; its text says nothing to others than this server.
    pub cursor: String,
    /// Whether more follows now.
    pub has_more: bool,
    /// What happened, each room's events in their order; the rooms are in none.
    pub changes: Vec<ApiChange>,
}

/// An event of a room.
#[derive(Serialize, ToSchema)]
#[schema(as = Change)]
pub struct ApiChange {
    /// The room.
    pub room_id: Uuid,
    /// The position in the room's log.
    pub seq: i64,
    /// The `type` of the event's frame.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// The event's frame, with what it is about as it is now.
    #[schema(value_type = Object)]
    pub data: Box<RawValue>,
}

impl From<&Event> for ApiChange {
    fn from(event: &Event) -> Self {
        Self {
            room_id: event.room.0,
            seq: event.seq.0,
            kind: event.body.kind().frame_type(),
            at: event.at,
            data: frame_json(event),
        }
    }
}

/// Lists what happened in all rooms after a cursor; service tokens only.
#[utoipa::path(get, path = "/api/chat/changes/", tag = "integrations",
    params(ListChangesParams), responses((status = 200, body = ApiChanges)))]
pub async fn list(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    query: QueryString,
) -> Result<Json<ApiChanges>, ApiError> {
    caller.require_service()?;
    let ListChangesParams { cursor, limit } = query.read()?;
    let epoch = state.log.epoch();
    let cursor = cursor.unwrap_or_else(|| ChangesCursor::start(epoch));
    if cursor.epoch != epoch {
        return Err(ApiError::field(
            "cursor",
            "This cursor is of a history that the database no longer has: read on without one.",
        ));
    }
    let bytes_max = state.settings.page_bytes_max;
    Permit::of(&request, &state.in_flight).reserve(bytes_max)?;
    let page = state.store.changes_page(cursor, limit).await?;
    let (mut changes, mut bytes) = (Vec::new(), 0);
    'portions: for portion in page.positions.chunks(PORTION) {
        let events = state.store.events_at(portion).await?;
        for event in &events {
            let change = ApiChange::from(event);
            bytes += change.data.get().len() + BASE_BYTES;
            if bytes > bytes_max && !changes.is_empty() {
                break 'portions;
            }
            changes.push(change);
        }
        if events.len() < portion.len() {
            break;
        }
    }
    let cursor = page.cursor_after(changes.len());
    let is_cut = changes.len() < page.positions.len();
    Ok(Json(ApiChanges { cursor: cursor.to_string(), has_more: page.has_more || is_cut, changes }))
}
