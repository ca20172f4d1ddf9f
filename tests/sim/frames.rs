//! How a client decodes the bytes that it receives.

use actors::domain::ids::{ClientId, MessageId, RoomId, Seq, UserId};
use actors::ports::store::InboxRoom;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::history::Row;

/// One frame of the WebSocket protocol.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Frame {
    Text(Value),
    Ping,
    Pong,
    Close(u16),
}

/// Takes the complete frames off the front of a buffer.
pub(crate) fn take_frames(buffer: &mut Vec<u8>) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some((frame, length)) = first_frame(buffer) {
        buffer.drain(..length);
        frames.push(frame);
    }
    frames
}

fn first_frame(bytes: &[u8]) -> Option<(Frame, usize)> {
    let (opcode, short) = (*bytes.first()?, usize::from(*bytes.get(1)?));
    let (start, length) = match short {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?),
        _ => (2, short),
    };
    let payload = bytes.get(start..start + length)?;
    let frame = match opcode {
        0x81 => Frame::Text(serde_json::from_slice(payload).expect("the engine sends JSON")),
        0x88 => Frame::Close(u16::from_be_bytes([payload[0], payload[1]])),
        0x89 => Frame::Ping,
        0x8A => Frame::Pong,
        other => panic!("the engine sends no opcode {other:#x}"),
    };
    Some((frame, start + length))
}

/// A row of a list, by a frame.
pub(crate) fn listed_row(frame: &Value) -> String {
    let shown = [
        "unread_count",
        "mention_count",
        "last_message_preview",
        "last_message_time",
        "last_message_sender",
        "display_name",
        "partner",
        "is_active",
        "is_muted",
        "description",
    ];
    let shown: Vec<String> = shown.iter().map(|name| format!("{name}: {}", frame[*name])).collect();
    shown.join(", ")
}

/// The same row, by the store.
pub(crate) fn stored_row(room: &InboxRoom) -> String {
    listed_row(&json!({
        "unread_count": room.unread,
        "mention_count": room.mentions,
        "last_message_preview": room.last_message_preview,
        "last_message_time": room.last_message_time,
        "last_message_sender": room.last_message_sender,
        "display_name": room.display_name,
        "partner": room.partner,
        "is_active": room.room.archived_at.is_none(),
        "is_muted": room.is_muted,
        "description": room.room.settings.description,
    }))
}

pub(crate) fn uuid(value: &Value) -> Option<Uuid> {
    value.as_str()?.parse().ok()
}

pub(crate) fn room(value: &Value) -> Option<RoomId> {
    uuid(&value["room_id"]).map(RoomId)
}

pub(crate) fn seq(value: &Value) -> Option<Seq> {
    value.as_i64().map(Seq)
}

pub(crate) fn user(value: &Value) -> Option<UserId> {
    value.as_i64().map(UserId)
}

pub(crate) fn client_id(value: &Value) -> Option<ClientId> {
    uuid(&value["client_id"]).map(ClientId)
}

/// The root of a message's thread, where the message is a reply.
pub(crate) fn thread_root(message: &Value) -> Option<MessageId> {
    let root = uuid(&message["thread"]["root_id"])?;
    (uuid(&message["id"]) != Some(root)).then_some(MessageId(root))
}

/// The log row that a frame shows, if it shows one.
pub(crate) fn row(kind: &str, frame: &Value) -> Option<Row> {
    let message = &frame["message"];
    let mut row = Row {
        room: room(frame)?,
        seq: seq(&frame["seq"])?,
        kind: kind.to_owned(),
        message: None,
        text: None,
        rev: None,
        client_id: None,
        root: None,
        user: None,
        says: None,
        by: None,
        settings: None,
    };
    match kind {
        "chat_message" | "message_updated" => {
            row.message = uuid(&message["id"]).map(MessageId);
            row.text = message["content"].as_str().map(str::to_owned);
            row.rev = seq(&message["rev"]);
            row.client_id = client_id(message);
            row.root = thread_root(message).filter(|_| kind == "chat_message");
            row.user = user(&message["sender"]["id"]);
        }
        "message_deleted" => {
            row.message = uuid(&frame["message_id"]).map(MessageId);
            row.says = frame["removed_by"].as_str().map(str::to_owned);
            row.root = uuid(&frame["thread"]["root_id"]).map(MessageId);
        }
        "card_changed" | "card_action" => row.message = uuid(&frame["message_id"]).map(MessageId),
        "reaction" => {
            row.message = uuid(&frame["message_id"]).map(MessageId);
            row.user = user(&frame["user_id"]);
            row.says = Some(format!("{} {}", frame["emoji"].as_str()?, frame["added"]));
        }
        "message_pinned" => {
            row.message = uuid(&frame["message_id"]).map(MessageId);
            row.user = user(&frame["pinned_by"]);
            row.says = Some(frame["pinned"].to_string());
        }
        "message_acknowledged" => {
            row.message = uuid(&frame["message_id"]).map(MessageId);
            row.user = user(&frame["user_id"]);
        }
        "participant_joined" | "participant_left" | "participant_updated" => {
            row.user = user(&frame["participant"]["user"]["id"]);
        }
        "event_hidden" => {}
        "room_updated" => row.text = frame["room"]["name"].as_str().map(str::to_owned),
        _ => return None,
    }
    Some(row)
}
