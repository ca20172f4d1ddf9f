//! An event as integrations are told of it: the frame that sockets get.

use actors::domain::event::Event;
use actors::domain::ids::{RoomId, Seq};
use actors::protocol::codec::encode_json;
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

/// What integrations are told of the deletion of a room, of which sockets get no frame.
#[derive(Serialize)]
struct RoomRemovedFrame {
    #[serde(rename = "type")]
    kind: &'static str,
    room_id: RoomId,
    seq: Seq,
}

/// Returns the frame of an event as JSON.
#[must_use]
pub fn frame_json(event: &Event) -> Box<RawValue> {
    let json = match event.frame() {
        Some(frame) => encode_json(&frame),
        None => encode_json(&RoomRemovedFrame {
            kind: event.body.kind().frame_type(),
            room_id: event.room,
            seq: event.seq,
        }),
    };
    let json = String::from_utf8(json).expect("JSON is UTF-8");
    RawValue::from_string(json).expect("it was just encoded")
}

/// The id of an event's requests to a webhook: the same for all attempts and replays.
#[must_use]
pub fn webhook_id(webhook: Uuid, room: RoomId, seq: Seq) -> String {
    let mut name = room.0.as_bytes().to_vec();
    name.extend(seq.0.to_be_bytes());
    format!("msg_{}", Uuid::new_v5(&webhook, &name).simple())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_an_event_of_one_webhook() {
        let (webhook, room) = (Uuid::from_u128(1), RoomId(Uuid::from_u128(2)));
        let id = webhook_id(webhook, room, Seq(3));
        assert_eq!(id, webhook_id(webhook, room, Seq(3)));
        assert!(id.starts_with("msg_") && !id.contains('.'), "{id}");
        for other in [
            webhook_id(Uuid::from_u128(9), room, Seq(3)),
            webhook_id(webhook, RoomId(Uuid::from_u128(9)), Seq(3)),
            webhook_id(webhook, room, Seq(9)),
        ] {
            assert_ne!(id, other);
        }
    }
}
