//! Frames from clients.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Number, Value};
use uuid::Uuid;

use super::surrogates;
use crate::domain::card::CardChange;
use crate::domain::command::{ReadTarget, RoomChange};
use crate::domain::ids::{ClientId, Epoch, MessageId, RoomId, Seq, UploadId, UserId};
use crate::domain::mentions::Mentions;
use crate::domain::thread::ThreadPlace;
use crate::domain::urgency::UrgentDraft;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientFrame {
    /// Send a message.
    ChatMessage {
        /// The text as it came, not yet trimmed.
        text: String,
        /// The message that it replies to; a malformed id means none.
        reply_to: Option<MessageId>,
        /// What else it carries.
        extras: SentExtras,
        /// What the client calls this send.
        client_id: Option<ClientId>,
    },
    /// Report that the user started or stopped typing.
    Typing {
        /// Whether the user is typing.
        is_typing: bool,
    },
    /// React to a message, or take a reaction back.
    React {
        /// The message.
        message: MessageId,
        /// The text as it came, perhaps no emoji.
        emoji: String,
        /// Whether the reaction shall be there.
        on: bool,
        /// What the client calls the command.
        client_id: Option<ClientId>,
    },
    /// Give a command to a bot of the room.
    BotCommand {
        /// The command's name, perhaps none.
        name: String,
        /// What stands behind it, as it came.
        text: String,
        /// What the client calls this.
        client_id: Option<ClientId>,
    },
    /// Change the room by a command that needs nothing but the frame.
    Change {
        /// The change.
        change: RoomChange,
        /// What the client calls the command, where the frame has a `client_id`.
        client_id: Option<ClientId>,
    },
    /// Ask for a pong.
    Ping {
        /// Repeated in the pong.
        n: Option<Number>,
    },
    /// Renew the session's token.
    Auth {
        /// The newer token.
        token: String,
    },
    /// Subscribe to a room.
    Subscribe {
        /// The position to resume after.
        since: Option<Seq>,
        /// The history that the position is of.
        epoch: Option<Epoch>,
    },
    /// Unsubscribe from a room.
    Unsubscribe,
}

/// What a message that is sent carries beside its text and what it replies to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SentExtras {
    /// The card as it came, perhaps none that is accepted.
    pub card: Option<Value>,
    /// The thread that it stands in.
    pub thread: Option<ThreadPlace>,
    /// Whom it mentions.
    pub mentions: Mentions,
    /// That it is urgent.
    pub urgent: Option<UrgentDraft>,
    /// The uploads that become its files, each once.
    pub uploads: Vec<UploadId>,
}

impl ClientFrame {
    /// A frame that moves the read mark.
    #[must_use]
    pub fn read(target: ReadTarget) -> Self {
        Self::Change { change: RoomChange::Read(target), client_id: None }
    }

    /// What the client calls the command that the frame asks for.
    #[must_use]
    pub fn client_id(&self) -> Option<ClientId> {
        match self {
            Self::ChatMessage { client_id, .. }
            | Self::React { client_id, .. }
            | Self::BotCommand { client_id, .. }
            | Self::Change { client_id, .. } => *client_id,
            _ => None,
        }
    }
}

/// A frame with the room that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressedFrame {
    /// The room; on a room's own socket it may be left out.
    pub room: Option<RoomId>,
    /// The frame.
    pub frame: ClientFrame,
}

/// Why a frame isn't understood, with the parts that were, for the error frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadFrame {
    /// What is wrong, without repeating anything of the frame.
    pub message: &'static str,
    /// The `client_id` that it carried.
    pub client_id: Option<ClientId>,
    /// The room that it named.
    pub room: Option<RoomId>,
    /// Whether its type is unknown here; it may mean something to another server.
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
    mentions: Option<&'a RawValue>,
    #[serde(borrow)]
    mention_room: Option<&'a RawValue>,
    #[serde(borrow)]
    attachments: Option<&'a RawValue>,
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
    #[serde(borrow)]
    emoji: Option<&'a RawValue>,
    #[serde(borrow)]
    on: Option<&'a RawValue>,
    #[serde(borrow)]
    card: Option<&'a RawValue>,
    #[serde(borrow)]
    thread_root: Option<&'a RawValue>,
    #[serde(borrow)]
    in_timeline: Option<&'a RawValue>,
    #[serde(borrow)]
    urgent: Option<&'a RawValue>,
    #[serde(borrow)]
    item: Option<&'a RawValue>,
    #[serde(borrow)]
    choice: Option<&'a RawValue>,
    #[serde(borrow)]
    button: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
}

/// Reads one field, `None` when it is missing or null.
fn field<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Result<Option<T>, serde_json::Error> {
    raw.map_or(Ok(None), |raw| serde_json::from_str(raw.get()))
}

/// Decodes one frame. A lone half of a UTF-16 surrogate pair becomes U+FFFD.
///
/// # Errors
/// [`BadFrame`] for anything but a JSON object with a known type and the fields of that type.
pub fn decode(text: &str) -> Result<AddressedFrame, BadFrame> {
    read(text).or_else(|bad| surrogates::replace_lone(text).map_or(Err(bad), |mended| read(&mended)))
}

fn read(text: &str) -> Result<AddressedFrame, BadFrame> {
    let bad = |message| BadFrame { message, client_id: None, room: None, is_unknown: false };
    let fields: Fields<'_> =
        serde_json::from_str(text).map_err(|_| bad("not a JSON object of the protocol"))?;
    let client_id = field::<Uuid>(fields.client_id);
    let room = field::<Uuid>(fields.room_id);
    // The error frame repeats these.
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
        "chat_message" => {
            let card = field(fields.card).map_err(|_| bad("card must be an object"))?;
            let mut uploads = field::<Vec<Uuid>>(fields.attachments)
                .map_err(|_| bad("attachments must be a list of UUIDs"))?
                .unwrap_or_default();
            let mut seen = HashSet::new();
            uploads.retain(|upload| seen.insert(*upload));
            let uploads: Vec<UploadId> = uploads.into_iter().map(UploadId).collect();
            let text = match field(fields.message) {
                Ok(None) if card.is_some() || !uploads.is_empty() => String::new(),
                text => text.ok().flatten().ok_or_else(|| bad("message must be a string"))?,
            };
            let reply_to = field::<Uuid>(fields.reply_to).ok().flatten().map(MessageId);
            let root = field(fields.thread_root).map_err(|_| bad("thread_root must be a UUID"))?;
            let in_timeline =
                field(fields.in_timeline).map_err(|_| bad("in_timeline must be a boolean"))?.unwrap_or(true);
            if root.is_none() && !in_timeline {
                return Err(bad("in_timeline is for messages with a thread_root"));
            }
            let thread = root.map(|root| ThreadPlace { root: MessageId(root), in_timeline });
            let mentions = Mentions::new(
                field::<Vec<UserId>>(fields.mentions)
                    .map_err(|_| bad("mentions must be a list of ids"))?
                    .unwrap_or_default(),
                field(fields.mention_room)
                    .map_err(|_| bad("mention_room must be a boolean"))?
                    .unwrap_or_default(),
            );
            let urgent: Option<Value> = field(fields.urgent).map_err(|_| bad("urgent must be an object"))?;
            let urgent = urgent.map(|given| UrgentDraft::read(&given)).transpose();
            let urgent = urgent.map_err(|_| bad("urgent must be an object, and its ack_by a time"))?;
            ClientFrame::ChatMessage {
                text,
                reply_to,
                extras: SentExtras { card, thread, mentions, urgent, uploads },
                client_id,
            }
        }
        "typing" => ClientFrame::Typing {
            is_typing: field(fields.is_typing)
                .ok()
                .flatten()
                .ok_or_else(|| bad("is_typing must be a boolean"))?,
        },
        "read_receipt" => {
            let message = field::<Uuid>(fields.message_id).ok().flatten().map(MessageId);
            let message = message.ok_or_else(|| bad("message_id must be a UUID"))?;
            ClientFrame::read(ReadTarget::Message(message))
        }
        "mark_room_read" => ClientFrame::read(ReadTarget::Head),
        "react" => ClientFrame::React {
            message: field::<Uuid>(fields.message_id)
                .ok()
                .flatten()
                .map(MessageId)
                .ok_or_else(|| bad("message_id must be a UUID"))?,
            emoji: field(fields.emoji).ok().flatten().ok_or_else(|| bad("emoji must be a string"))?,
            on: field(fields.on).ok().flatten().ok_or_else(|| bad("on must be a boolean"))?,
            client_id,
        },
        "card" => ClientFrame::Change { change: card_change(&fields, client_id).map_err(bad)?, client_id },
        "command" => ClientFrame::BotCommand {
            name: field(fields.name).ok().flatten().ok_or_else(|| bad("name must be a string"))?,
            text: field(fields.text).map_err(|_| bad("text must be a string"))?.unwrap_or_default(),
            client_id,
        },
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
    Ok(AddressedFrame { room, frame })
}

/// Reads what a frame does to a card, an error when it doesn't say one thing.
fn card_change(fields: &Fields<'_>, client_id: Option<ClientId>) -> Result<RoomChange, &'static str> {
    const WRONG: &str = "item, choice or button must be a string, on a boolean";
    let id = |given| field::<String>(given).map_err(|_| WRONG);
    let message = field::<Uuid>(fields.message_id).ok().flatten().map(MessageId);
    let message = message.ok_or("message_id must be a UUID")?;
    let on = field::<bool>(fields.on).map_err(|_| WRONG)?;
    match (id(fields.item)?, id(fields.choice)?, id(fields.button)?, on) {
        (Some(id), None, None, Some(on)) => {
            Ok(RoomChange::ChangeCard { message, change: CardChange::Item { id, on } })
        }
        (None, Some(id), None, Some(on)) => {
            Ok(RoomChange::ChangeCard { message, change: CardChange::Choice { id, on } })
        }
        (None, None, Some(button), None | Some(true)) => Ok(RoomChange::Press { message, button, client_id }),
        _ => Err(WRONG),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// A message of a text alone.
    fn message(text: &str) -> ClientFrame {
        let (text, extras) = (text.to_owned(), SentExtras::default());
        ClientFrame::ChatMessage { text, reply_to: None, extras, client_id: None }
    }

    #[test]
    fn reads_a_message() {
        let frame = decode(r#"{"type":"chat_message","message":"h\u00e9 \"x\"","extra":{"a":[1]}}"#);
        assert_eq!(frame, Ok(AddressedFrame { room: None, frame: message("hé \"x\"") }));
    }

    #[test]
    fn mentions_are_ids_and_a_flag() {
        let decoded = |fields: &str| {
            let text = format!(r#"{{"type":"chat_message","message":"a",{fields}}}"#);
            match decode(&text).ok()?.frame {
                ClientFrame::ChatMessage { extras, .. } => Some(extras.mentions),
                _ => None,
            }
        };
        let users = |users: &[i64]| users.iter().copied().map(UserId).collect::<Vec<_>>();
        assert_eq!(decoded(r#""mentions":[7,5,7]"#), Some(Mentions::new(users(&[7, 5]), false)));
        assert_eq!(decoded(r#""mentions":null,"mention_room":true"#), Some(Mentions::new(users(&[]), true)));
        for bad in [
            r#""mentions":7"#,
            r#""mentions":["7"]"#,
            r#""mentions":[1.5]"#,
            r#""mentions":[9223372036854775808]"#,
            r#""mentions":{"users":[7]}"#,
            r#""mention_room":"yes""#,
            r#""mention_room":1"#,
        ] {
            assert_eq!(decoded(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_malformed_reply_is_ignored_and_other_wrong_fields_are_refused() {
        let frame =
            decode(r#"{"type":"chat_message","message":"a","reply_to":7}"#).map(|addressed| addressed.frame);
        assert_eq!(frame, Ok(message("a")));
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
            r#"{"type":"chat_message","card":null}"#,
            r#"{"type":"chat_message","message":"a","thread_root":"x"}"#,
            r#"{"type":"chat_message","message":"a","in_timeline":false}"#,
            r#"{"type":"chat_message","message":"a","urgent":true}"#,
            r#"{"type":"chat_message","message":"a","urgent":{"ack_by":"soon"}}"#,
            r#"{"type":"chat_message","message":"a","attachments":"x"}"#,
            r#"{"type":"chat_message","message":"a","attachments":["x"]}"#,
            r#"{"type":"chat_message","attachments":[]}"#,
            r#"{"type":"card","message_id":"0190a000-0000-7000-8000-000000000001","item":"a"}"#,
            r#"{"type":"card","message_id":"0190a000-0000-7000-8000-000000000001","item":5,"on":true}"#,
            r#"{"type":"card","message_id":"0190a000-0000-7000-8000-000000000001","item":"a","choice":"a","on":true}"#,
            r#"{"type":"card","item":"a","on":true}"#,
            r#"{"type":"card","button":"a","message_id":"x"}"#,
            r#"{"type":"card","message_id":"0190a000-0000-7000-8000-000000000001","button":7}"#,
            r#"{"type":"card","message_id":"0190a000-0000-7000-8000-000000000001","button":"a","item":"a","on":true}"#,
            r#"{"type":"card","message_id":"0190a000-0000-7000-8000-000000000001","button":"a","on":false}"#,
            r#"{"type":"command"}"#,
            r#"{"type":"command","name":7}"#,
            r#"{"type":"command","name":"remind","text":7}"#,
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
    fn half_an_emoji_is_accepted() {
        let frame =
            decode(r#"{"type":"chat_message","message":"cut \ud83d"}"#).map(|addressed| addressed.frame);
        assert_eq!(frame, Ok(message("cut \u{FFFD}")));
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
    fn a_bad_frame_still_has_its_client_id_and_its_room() {
        let id = "0190a000-0000-7000-8000-000000000001";
        let bad = decode(&format!(r#"{{"type":"chat_message","client_id":"{id}","room_id":"{id}"}}"#))
            .expect_err("no message");
        assert_eq!(bad.client_id.map(|id| id.to_string()).as_deref(), Some(id));
        assert_eq!(bad.room.map(|id| id.to_string()).as_deref(), Some(id));
    }

    /// JSON of any shape, with the names that frames use among its keys.
    fn json() -> impl Strategy<Value = Value> {
        let key = prop_oneof![
            "type|message|client_id|reply_to|room_id|since|epoch|n|token|message_id|emoji|on|card|item|choice|button|name|text|thread_root|in_timeline|mentions|mention_room|urgent|ack_by|attachments",
            "\\PC{0,8}"
        ];
        let kind = "chat_message|typing|read_receipt|mark_room_read|subscribe|unsubscribe|auth|ping|react|card|command";
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
        fn only_objects_are_frames(value in json()) {
            let frame = decode(&value.to_string());
            prop_assert!(value.is_object() || frame.is_err(), "{:?}", frame);
        }
    }
}
