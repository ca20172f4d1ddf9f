//! A part of a room's log, read in portions until it is as long as an answer may be.

use std::time::Duration;

use actors::domain::ids::{RoomId, Seq};
use actors::error::EngineError;
use actors::protocol::codec::encode_json;
use actors::protocol::server::ServerFrame;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::http::error::ApiError;
use crate::http::rest::Rest;

/// Events read at first, when nobody knows how long they are: 1.6 MB where each has the longest text.
const FIRST_PORTION: usize = 100;

/// Long parts read at a time. One who asks for a hundred at once keeps those waiting who want long ones too,
/// and neither the connections to the store nor the processor from everyone else.
static LONG_READS: Semaphore = Semaphore::const_new(2);

/// How long a turn is waited for.
const TURN_WITHIN: Duration = Duration::from_secs(1);

/// Events next to each other.
pub(super) struct LogPart {
    /// The frames that sockets get.
    pub(super) frames: Vec<Box<RawValue>>,
    /// The last event of it; where it began, when there is none.
    pub(super) last: Seq,
    count: usize,
    bytes: usize,
}

impl LogPart {
    /// Reads at most `limit` events after `since`, and fewer where they are long, but one.
    pub(super) async fn read(rest: &Rest, room: RoomId, since: Seq, limit: usize) -> Result<Self, ApiError> {
        let _turn = match limit > FIRST_PORTION {
            true => match timeout(TURN_WITHIN, LONG_READS.acquire()).await {
                Ok(turn) => turn.ok(),
                Err(_) => return Err(EngineError::Unavailable.into()),
            },
            false => None,
        };
        let bytes_max = rest.settings.page_bytes_max;
        let mut part = Self { frames: Vec::new(), last: since, count: 0, bytes: 0 };
        while part.count < limit {
            let wanted = part.next_portion(bytes_max).min(limit - part.count);
            let events = rest.log.events(room, part.last, wanted).await?;
            for event in &events {
                let json = ServerFrame::of_event(event).map(|frame| encode_json(&frame)).unwrap_or_default();
                if part.count > 0 && part.bytes + json.len() > bytes_max {
                    return Ok(part);
                }
                part.bytes += json.len();
                part.count += 1;
                part.last = event.seq;
                let frame = String::from_utf8(json).ok().and_then(|json| RawValue::from_string(json).ok());
                part.frames.extend(frame);
            }
            if events.len() < wanted {
                break;
            }
        }
        Ok(part)
    }

    /// How many more may fit, if they are as long as those before.
    fn next_portion(&self, bytes_max: usize) -> usize {
        match self.bytes.checked_div(self.count) {
            None => FIRST_PORTION,
            Some(each) => (bytes_max.saturating_sub(self.bytes) / each.max(1)).max(1),
        }
    }
}
