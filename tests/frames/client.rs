//! Frames that clients send, and how they are decoded.

use std::collections::BTreeSet;

use actors::domain::card::CardChange;
use actors::domain::command::{ReadTarget, RoomChange};
use actors::domain::ids::{ClientId, Epoch, MessageId, RoomId, Seq, UploadId, UserId};
use actors::domain::mentions::Mentions;
use actors::domain::thread::ThreadPlace;
use actors::domain::urgency::UrgentDraft;
use actors::protocol::client::{AddressedFrame, ClientFrame, SentExtras, decode};
use serde_json::json;
use uuid::Uuid;

use crate::golden;

const ROOM: RoomId = RoomId(Uuid::from_u128(0x0190_a000_0000_7000_8000_0000_0000_0001));
const MESSAGE: MessageId = MessageId(Uuid::from_u128(0x0190_a000_0000_7000_8000_0000_0000_0002));
const UPLOAD: UploadId = UploadId(Uuid::from_u128(0x0190_a000_0000_7000_8000_0000_0000_0008));
const SEND: ClientId = ClientId(Uuid::from_u128(0x4c1d_7f3a_9b2e_4d55_8a66_0000_0000_0003));
const EPOCH: Epoch = Epoch(Uuid::from_u128(0x8d0e_5a1c_7b64_4f2d_9e31_0000_0000_0004));

/// The name of a frame's variant. The compiler requires an arm for a new variant, and the test below its
/// file.
fn kind(frame: &ClientFrame) -> &'static str {
    match frame {
        ClientFrame::ChatMessage { .. } => "chat_message",
        ClientFrame::Typing { .. } => "typing",
        ClientFrame::React { .. } => "react",
        ClientFrame::Change { change: RoomChange::Read(ReadTarget::Message(_)), .. } => "read_receipt",
        ClientFrame::Change { change: RoomChange::Read(ReadTarget::Head), .. } => "mark_room_read",
        ClientFrame::Change { change: RoomChange::ChangeCard { .. } | RoomChange::Press { .. }, .. } => {
            "card"
        }
        ClientFrame::BotCommand { .. } => "command",
        ClientFrame::Change { change, .. } => panic!("no frame asks for {change:?}"),
        ClientFrame::Ping { .. } => "ping",
        ClientFrame::Auth { .. } => "auth",
        ClientFrame::Subscribe { .. } => "subscribe",
        ClientFrame::Unsubscribe => "unsubscribe",
    }
}

fn react(emoji: &str, on: bool, client_id: Option<ClientId>) -> ClientFrame {
    ClientFrame::React { message: MESSAGE, emoji: emoji.to_owned(), on, client_id }
}

fn card(change: CardChange, client_id: Option<ClientId>) -> ClientFrame {
    ClientFrame::Change { change: RoomChange::ChangeCard { message: MESSAGE, change }, client_id }
}

fn press(client_id: Option<ClientId>) -> ClientFrame {
    let change = RoomChange::Press { message: MESSAGE, button: "yes".into(), client_id };
    ClientFrame::Change { change, client_id }
}

fn bot_command(text: &str, client_id: Option<ClientId>) -> ClientFrame {
    ClientFrame::BotCommand { name: "remind".into(), text: text.to_owned(), client_id }
}

fn message(text: &str, extras: SentExtras) -> ClientFrame {
    ClientFrame::ChatMessage { text: text.to_owned(), reply_to: None, extras, client_id: Some(SEND) }
}

fn frames() -> Vec<(&'static str, Option<RoomId>, ClientFrame)> {
    let text = "Boiler is fixed \u{1f44d}".to_owned();
    vec![
        (
            "chat_message",
            None,
            ClientFrame::ChatMessage {
                text: text.clone(),
                reply_to: None,
                extras: SentExtras::default(),
                client_id: None,
            },
        ),
        (
            "chat_message.full",
            Some(ROOM),
            ClientFrame::ChatMessage {
                text: text.clone(),
                reply_to: Some(MESSAGE),
                extras: SentExtras::default(),
                client_id: Some(SEND),
            },
        ),
        (
            "chat_message.mentions",
            Some(ROOM),
            message(
                &text,
                SentExtras {
                    mentions: Mentions::new(vec![UserId(2), UserId(7)], true),
                    ..SentExtras::default()
                },
            ),
        ),
        (
            "chat_message.card",
            None,
            message(
                "",
                SentExtras {
                    card: Some(json!({"v": 1, "kind": "checklist", "title": "Turnover of unit 4", "items": [
                        {"id": "beds", "text": "Make the beds"}, {"text": "Take out the bins"}]})),
                    ..SentExtras::default()
                },
            ),
        ),
        (
            "chat_message.thread",
            Some(ROOM),
            message(
                &text,
                SentExtras {
                    thread: Some(ThreadPlace { root: MESSAGE, in_timeline: false }),
                    ..SentExtras::default()
                },
            ),
        ),
        (
            "chat_message.urgent",
            Some(ROOM),
            message(
                &text,
                SentExtras {
                    urgent: Some(UrgentDraft {
                        ack_by: Some("2026-11-30T09:00:00Z".parse().expect("a time")),
                    }),
                    ..SentExtras::default()
                },
            ),
        ),
        (
            "chat_message.attachments",
            Some(ROOM),
            message("", SentExtras { uploads: vec![UPLOAD], ..SentExtras::default() }),
        ),
        ("typing", None, ClientFrame::Typing { is_typing: true }),
        ("typing.user_socket", Some(ROOM), ClientFrame::Typing { is_typing: false }),
        ("read_receipt", None, ClientFrame::read(ReadTarget::Message(MESSAGE))),
        ("read_receipt.user_socket", Some(ROOM), ClientFrame::read(ReadTarget::Message(MESSAGE))),
        ("mark_room_read", None, ClientFrame::read(ReadTarget::Head)),
        ("mark_room_read.user_socket", Some(ROOM), ClientFrame::read(ReadTarget::Head)),
        ("react", None, react("\u{1f44d}", true, None)),
        ("react.off", Some(ROOM), react("\u{2764}\u{fe0f}", false, Some(SEND))),
        ("card", None, card(CardChange::Item { id: "beds".into(), on: true }, None)),
        ("card.choice", Some(ROOM), card(CardChange::Choice { id: "1".into(), on: false }, Some(SEND))),
        ("card.button", Some(ROOM), press(None)),
        ("card.button_named", None, press(Some(SEND))),
        ("command", None, bot_command("", None)),
        ("command.text", Some(ROOM), bot_command("me at nine", Some(SEND))),
        ("ping", None, ClientFrame::Ping { n: None }),
        ("ping.numbered", None, ClientFrame::Ping { n: Some(7.into()) }),
        ("auth", None, ClientFrame::Auth { token: "header.claims.signature".into() }),
        ("subscribe", Some(ROOM), ClientFrame::Subscribe { since: None, epoch: None }),
        ("subscribe.since", Some(ROOM), ClientFrame::Subscribe { since: Some(Seq(41)), epoch: Some(EPOCH) }),
        ("unsubscribe", Some(ROOM), ClientFrame::Unsubscribe),
    ]
}

#[test]
fn each_golden_frame_is_decoded() {
    let golden = golden("client");
    let expected = frames();
    let names: BTreeSet<&str> = expected.iter().map(|(name, ..)| *name).collect();
    assert_eq!(golden.keys().map(String::as_str).collect::<BTreeSet<_>>(), names);
    for (name, room, frame) in expected {
        assert!(name.starts_with(kind(&frame)), "{name}");
        assert_eq!(decode(&golden[name]), Ok(AddressedFrame { room, frame }), "{name}");
    }
}
