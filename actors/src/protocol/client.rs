//! Frames from clients.

use serde::Deserialize;
use serde_json::Number;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::surrogates;
use crate::domain::ids::{ClientId, Epoch, MessageId, RoomId, Seq};

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientFrame {
    /// Send a message.
    ChatMessage {
        /// The text as it came, not yet trimmed.
        text: String,
        /// What it answers; a malformed id answers nothing.
        reply_to: Option<MessageId>,
        /// What the client calls this send.
        client_id: Option<ClientId>,
    },
    /// Began or ceased to type.
    Typing {
        /// Whether typing.
        is_typing: bool,
    },
    /// Has read up to a message.
    ReadReceipt {
        /// Which one.
        message: MessageId,
    },
    /// Has read all.
    MarkRoomRead,
    /// Is anyone there?
    Ping {
        /// Comes back in the answer.
        n: Option<Number>,
    },
    /// A newer token.
    Auth {
        /// It.
        token: String,
    },
    /// Turn a room's frames on.
    Subscribe {
        /// The position after which events are wanted.
        since: Option<Seq>,
        /// The history that the position is of.
        epoch: Option<Epoch>,
    },
    /// Turn a room's frames off.
    Unsubscribe,
}

/// A frame with the room that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addressed {
    /// The room; on a room's own socket it may be left out.
    pub room: Option<RoomId>,
    /// The frame.
    pub frame: ClientFrame,
}

/// Why a frame isn't understood, with what of it was, for the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadFrame {
    /// What is wrong, in a few words that repeat nothing of the frame.
    pub message: &'static str,
    /// The `client_id` that it carried.
    pub client_id: Option<ClientId>,
    /// The room that it named.
    pub room: Option<RoomId>,
    /// Whether it is of a type that isn't known here, and may mean something elsewhere.
    pub is_unknown: bool,
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    reply_to: Option<&'a RawValue>,
    #[serde(borrow)]
    client_id: Option<&'a RawValue>,
    #[serde(borrow)]
    is_typing: Option<&'a RawValue>,
    #[serde(borrow)]
    message_id: Option<&'a RawValue>,
    #[serde(borrow)]
    room_id: Option<&'a RawValue>,
    #[serde(borrow)]
    since: Option<&'a RawValue>,
    #[serde(borrow)]
    epoch: Option<&'a RawValue>,
    #[serde(borrow)]
    token: Option<&'a RawValue>,
    #[serde(borrow)]
    n: Option<&'a RawValue>,
}

/// Reads one field, `None` when it is missing or null.
fn field<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Result<Option<T>, serde_json::Error> {
    raw.map_or(Ok(None), |raw| serde_json::from_str(raw.get()))
}

/// Decodes one frame; a half of a UTF-16 pair that stands alone is U+FFFD.
///
/// # Errors
/// [`BadFrame`] for what is no JSON object, has an unknown type, or lacks a field.
pub fn decode(text: &str) -> Result<Addressed, BadFrame> {
    read(text).or_else(|bad| surrogates::mended(text).map_or(Err(bad), |mended| read(&mended)))
}

fn read(text: &str) -> Result<Addressed, BadFrame> {
    let bad = |message| BadFrame { message, client_id: None, room: None, is_unknown: false };
    let fields: Fields<'_> =
        serde_json::from_str(text).map_err(|_| bad("not a JSON object of the protocol"))?;
    let client_id = field::<Uuid>(fields.client_id);
    let room = field::<Uuid>(fields.room_id);
    // What is understood of it goes into the answer.
    let named = (client_id.as_ref().ok().copied().flatten(), room.as_ref().ok().copied().flatten());
    let bad = |message| BadFrame {
        message,
        client_id: named.0.map(ClientId),
        room: named.1.map(RoomId),
        is_unknown: false,
    };
    let client_id = client_id.map_err(|_| bad("client_id must be a UUID"))?.map(ClientId);
    let room = room.map_err(|_| bad("room_id must be a UUID"))?.map(RoomId);
    let kind: Option<&str> = field(fields.kind).map_err(|_| bad("type must be a plain string"))?;
    let frame = match kind.ok_or_else(|| bad("type is missing"))? {
        "chat_message" => ClientFrame::ChatMessage {
            text: field(fields.message).ok().flatten().ok_or_else(|| bad("message must be a string"))?,
            reply_to: field::<Uuid>(fields.reply_to).ok().flatten().map(MessageId),
            client_id,
        },
        "typing" => ClientFrame::Typing {
            is_typing: field(fields.is_typing)
                .ok()
                .flatten()
                .ok_or_else(|| bad("is_typing must be a boolean"))?,
        },
        "read_receipt" => ClientFrame::ReadReceipt {
            message: field::<Uuid>(fields.message_id)
                .ok()
                .flatten()
                .map(MessageId)
                .ok_or_else(|| bad("message_id must be a UUID"))?,
        },
        "mark_room_read" => ClientFrame::MarkRoomRead,
        "ping" => ClientFrame::Ping { n: field(fields.n).map_err(|_| bad("n must be a number"))? },
        "auth" => ClientFrame::Auth {
            token: field(fields.token).ok().flatten().ok_or_else(|| bad("token must be a string"))?,
        },
        "subscribe" => ClientFrame::Subscribe {
            since: match field::<i64>(fields.since) {
                Ok(since) if since.is_none_or(|since| since >= 0) => since.map(Seq),
                _ => return Err(bad("since must be a number of 0 or more")),
            },
            epoch: field::<Uuid>(fields.epoch).map_err(|_| bad("epoch must be a UUID"))?.map(Epoch),
        },
        "unsubscribe" => ClientFrame::Unsubscribe,
        _ => return Err(BadFrame { is_unknown: true, ..bad("unknown type") }),
    };
    Ok(Addressed { room, frame })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn reads_a_message() {
        let frame = decode(r#"{"type":"chat_message","message":"h\u00e9 \"x\"","extra":{"a":[1]}}"#);
        let text = "hé \"x\"".to_owned();
        assert_eq!(
            frame,
            Ok(Addressed {
                room: None,
                frame: ClientFrame::ChatMessage { text, reply_to: None, client_id: None }
            })
        );
    }

    #[test]
    fn a_stray_reply_is_dropped_and_a_wrong_field_is_not() {
        let frame =
            decode(r#"{"type":"chat_message","message":"a","reply_to":7}"#).map(|addressed| addressed.frame);
        assert_eq!(frame, Ok(ClientFrame::ChatMessage { text: "a".into(), reply_to: None, client_id: None }));
        for bad in [
            "",
            "null",
            "[]",
            "7",
            "{",
            r#"{"type":"typing"}"#,
            r#"{"type":"typing","is_typing":"yes"}"#,
            r#"{"type":"typing","is_typing":true,"is_typing":false}"#,
            r#"{"type":"chat_message"}"#,
            r#"{"type":"chat_message","message":{"a":1}}"#,
            r#"{"type":"read_receipt","message_id":"x"}"#,
            r#"{"type":"subscribe","since":-1}"#,
            r#"{"type":"nonsense"}"#,
            r#"{"type":7}"#,
        ] {
            assert!(decode(bad).is_err(), "{bad}");
        }
        assert!(decode(&"[".repeat(60_000)).is_err());
        assert!(decode(&format!("{{\"x\":{}", "[".repeat(60_000))).is_err());
    }

    #[test]
    fn half_an_emoji_is_no_bad_frame() {
        let frame =
            decode(r#"{"type":"chat_message","message":"cut \ud83d"}"#).map(|addressed| addressed.frame);
        let text = "cut \u{FFFD}".into();
        assert_eq!(frame, Ok(ClientFrame::ChatMessage { text, reply_to: None, client_id: None }));
    }

    #[test]
    fn only_an_unknown_type_is_unknown() {
        for (text, is_unknown) in [
            (r#"{"type":"heartbeat"}"#, true),
            (r#"{"type":"typing"}"#, false),
            (r#"{"type":7}"#, false),
            (r#"{"x":1}"#, false),
            ("{", false),
        ] {
            assert_eq!(decode(text).map_err(|bad| bad.is_unknown), Err(is_unknown), "{text}");
        }
    }

    #[test]
    fn a_bad_frame_still_tells_its_client_id_and_its_room() {
        let id = "0190a000-0000-7000-8000-000000000001";
        let bad = decode(&format!(r#"{{"type":"chat_message","client_id":"{id}","room_id":"{id}"}}"#))
            .expect_err("no message");
        assert_eq!(bad.client_id.map(|id| id.to_string()).as_deref(), Some(id));
        assert_eq!(bad.room.map(|id| id.to_string()).as_deref(), Some(id));
    }

    /// JSON of any shape, with the names that frames use among its keys.
    fn json() -> impl Strategy<Value = Value> {
        let key = prop_oneof!["type|message|client_id|reply_to|room_id|since|epoch|n|token", "\\PC{0,8}"];
        let kind = "chat_message|typing|read_receipt|mark_room_read|subscribe|unsubscribe|auth|ping";
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            kind.prop_map(Value::from),
            "\\PC{0,20}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(key.clone(), inner, 0..6)
                    .prop_map(|object| Value::Object(object.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_text_is_a_frame_or_none(text in "\\PC{0,200}") {
            let _frame_or_not = decode(&text);
        }

        #[test]
        fn what_is_no_object_is_no_frame(value in json()) {
            let frame = decode(&value.to_string());
            prop_assert!(value.is_object() || frame.is_err(), "{:?}", frame);
        }
    }
}
