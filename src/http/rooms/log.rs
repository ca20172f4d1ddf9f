//! A part of a room's log, read in portions until the response is as long as it may be.

use std::ops::Range;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Path};
use actors::domain::ids::{RoomId, Seq};
use actors::error::EngineError;
use actors::protocol::codec::encode_json;
use actors::protocol::server::ServerFrame;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{require_access, room_id};
use crate::http::caller::Caller;
use crate::http::error::ApiError;
use crate::http::in_flight::Permit;
use crate::http::params::ListEventsParams;
use crate::http::query::QueryString;
use crate::http::state::ApiState;

/// Events in the first portion, while their length is unknown: 1.6 MB if each holds the longest text.
const FIRST_PORTION: usize = 100;
/// Bytes that are encoded before other tasks of the thread run: about 0.1 ms of work.
const YIELD_BYTES: usize = 64 * 1024;
/// Long parts that are read at a time. A client that asks for many at once so delays other readers of long
/// parts, and doesn't take the connections and the processor from everyone else.
static LONG_READS: Semaphore = Semaphore::const_new(2);
/// How long a long read waits for its permit.
const PERMIT_TIMEOUT: Duration = Duration::from_secs(1);

/// A part of a room's log, as the frames that sockets get.
#[derive(Serialize, ToSchema)]
#[schema(as = Events)]
pub struct ApiEvents {
    /// The room.
    pub room_id: Uuid,
    /// The history that the positions belong to.
    pub epoch: Uuid,
    /// The room's head.
    pub seq: i64,
    /// The frames.
    #[schema(value_type = Vec<Object>)]
    pub events: Vec<Box<RawValue>>,
    /// Whether more follow: there may be fewer than asked for, where they are long.
    pub has_more: bool,
}

/// Reads a part of a room's log, as a resuming socket would be told it.
#[utoipa::path(get, path = "/api/chat/rooms/{id}/events/", tag = "rooms",
    params(("id" = Uuid, Path), ListEventsParams),
    responses((status = 200, body = ApiEvents)))]
pub async fn events(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
    query: QueryString,
) -> Result<Json<ApiEvents>, ApiError> {
    let room = room_id(&id)?;
    let ListEventsParams { since, limit } = query.read()?;
    // Whoever is in the room after the head was read may read up to it, whatever happens meanwhile.
    let head = state.store.room_head(room).await?;
    let visible_from = require_access(&state, &caller, room).await?.visible_from;
    let head = head.ok_or_else(ApiError::not_found)?;
    let permit = Permit::of(&request, &state.in_flight);
    let page = EventPage::read(&state, &permit, room, visible_from, since..head, limit).await?;
    Ok(Json(ApiEvents {
        room_id: room.0,
        epoch: state.log.epoch().0,
        seq: head.0,
        has_more: since < page.last && page.last < head,
        events: page.frames,
    }))
}

/// Consecutive events of a room.
struct EventPage {
    /// The frames of the events that sockets are told of.
    frames: Vec<Box<RawValue>>,
    /// The position of the last event; the start of the page when it holds none.
    last: Seq,
    count: usize,
    bytes: usize,
}

impl EventPage {
    /// Reads at most `limit` events after the start of `range` and up to its end: fewer where they are long, but at least one. What a viewer
    /// may not see who may read from `visible_from` on is hidden.
    async fn read(
        state: &ApiState,
        permit: &Permit,
        room: RoomId,
        visible_from: Seq,
        range: Range<Seq>,
        limit: usize,
    ) -> Result<Self, ApiError> {
        let bytes_max = state.settings.page_bytes_max;
        if limit > FIRST_PORTION {
            permit.check_long_page(bytes_max)?;
        }
        let _turn = match limit > FIRST_PORTION {
            true => match timeout(PERMIT_TIMEOUT, LONG_READS.acquire()).await {
                Ok(turn) => turn.ok(),
                Err(_) => return Err(EngineError::Unavailable.into()),
            },
            false => None,
        };
        let mut page = Self { frames: Vec::new(), last: range.start, count: 0, bytes: 0 };
        while page.count < limit {
            let portion = page.next_portion(bytes_max).min(limit - page.count);
            let events = state.log.events(room, page.last, portion).await?;
            for event in &events {
                if event.seq > range.end {
                    return Ok(page);
                }
                let json = match event.frame() {
                    Some(_) if event.shows_since() < visible_from => {
                        encode_json(&ServerFrame::EventHidden { room_id: room, seq: event.seq })
                    }
                    Some(frame) => encode_json(&frame),
                    None => Vec::new(),
                };
                if page.count > 0 && page.bytes + json.len() > bytes_max {
                    return Ok(page);
                }
                // Other requests of this thread get their turn while a long page is encoded.
                if page.bytes / YIELD_BYTES < (page.bytes + json.len()) / YIELD_BYTES {
                    tokio::task::yield_now().await;
                }
                page.bytes += json.len();
                page.count += 1;
                page.last = event.seq;
                let frame = String::from_utf8(json).ok().and_then(|json| RawValue::from_string(json).ok());
                page.frames.extend(frame);
            }
            if events.len() < portion {
                break;
            }
        }
        Ok(page)
    }

    /// Returns how many more events fit, assuming the average length of those read so far.
    fn next_portion(&self, bytes_max: usize) -> usize {
        match self.bytes.checked_div(self.count) {
            None => FIRST_PORTION,
            Some(average) => (bytes_max.saturating_sub(self.bytes) / average.max(1)).max(1),
        }
    }
}
