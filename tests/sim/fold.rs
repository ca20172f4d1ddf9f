//! What a client makes of the frames of its rooms' messages: cards, and the sums of threads.

use std::collections::BTreeMap;

use actors::domain::event::{Event, EventBody};
use actors::domain::ids::{MessageId, RoomId, Seq};
use actors::domain::message::MessageView;
use serde_json::{Value, json};

use crate::frames;

/// What a client knows of one message.
struct FoldedMessage {
    rev: Seq,
    card: Value,
    /// The sums of its thread, where it is a root.
    thread: Value,
}

/// What a client knows of the messages that it has received, by room.
#[derive(Default)]
pub(crate) struct FoldedRooms(BTreeMap<RoomId, BTreeMap<MessageId, FoldedMessage>>);

impl FoldedRooms {
    /// Forgets a room that the client loads anew.
    pub(crate) fn forget(&mut self, room: RoomId) {
        self.0.remove(&room);
    }

    /// What is known of each message of a room.
    pub(crate) fn shown(&self, room: RoomId) -> BTreeMap<MessageId, String> {
        let known = self.0.get(&room).into_iter().flatten();
        known.map(|(id, message)| (*id, shown(&message.card, &message.thread))).collect()
    }

    /// Applies one frame.
    pub(crate) fn receives(&mut self, room: RoomId, kind: &str, frame: &Value) {
        let Some(seq) = frames::seq(&frame["seq"]) else { return };
        let messages = self.0.entry(room).or_default();
        match kind {
            "chat_message" | "message_updated" => {
                let message = &frame["message"];
                let Some((id, rev)) = frames::uuid(&message["id"]).zip(frames::seq(&message["rev"])) else {
                    return;
                };
                let root = frames::thread_root(message);
                let thread = if root.is_some() { Value::Null } else { message["thread"].clone() };
                let new = FoldedMessage { rev, card: message["card"].clone(), thread };
                let is_new = !messages.contains_key(&MessageId(id));
                if messages.get(&MessageId(id)).is_none_or(|known| known.rev <= rev) {
                    messages.insert(MessageId(id), new);
                }
                if let Some(root) = root
                    .filter(|_| is_new && kind == "chat_message")
                    .and_then(|root| changed(messages, root, seq))
                {
                    let replies = root.thread["replies"].as_i64().unwrap_or_default() + 1;
                    root.thread = json!({"root_id": message["thread"]["root_id"], "replies": replies,
                        "last_reply_at": message["created_at"]});
                }
            }
            "message_deleted" => {
                if let Some(id) = frames::uuid(&frame["message_id"])
                    && let Some(message) = changed(messages, MessageId(id), seq)
                {
                    message.card = Value::Null;
                }
                if let Some(root) = frames::uuid(&frame["thread"]["root_id"])
                    && let Some(root) = changed(messages, MessageId(root), seq)
                {
                    root.thread = frame["thread"].clone();
                }
            }
            "reaction" | "card_changed" | "card_action" => {
                if let Some(id) = frames::uuid(&frame["message_id"])
                    && let Some(message) = changed(messages, MessageId(id), seq)
                    && kind == "card_changed"
                {
                    message.card = frame["card"].clone();
                }
            }
            _ => {}
        }
    }
}

/// The message that the event at `seq` changes; none if it isn't known, or includes that already.
fn changed(
    messages: &mut BTreeMap<MessageId, FoldedMessage>,
    id: MessageId,
    seq: Seq,
) -> Option<&mut FoldedMessage> {
    let message = messages.get_mut(&id).filter(|message| message.rev < seq)?;
    message.rev = seq;
    Some(message)
}

/// The same of each message of a log.
pub(crate) fn stored(log: &[Event]) -> BTreeMap<MessageId, String> {
    let messages = log.iter().filter_map(|event| match &event.body {
        EventBody::MessagePosted(message) => Some(&**message),
        _ => None,
    });
    let shown = messages.map(|message| {
        let view = serde_json::to_value(MessageView::from(message)).expect("plain data");
        let thread = if message.thread.is_some() { &Value::Null } else { &view["thread"] };
        (message.id, shown(&view["card"], thread))
    });
    shown.collect()
}

fn shown(card: &Value, thread: &Value) -> String {
    format!("card {card}, thread {thread}")
}
