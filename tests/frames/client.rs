//! What clients send, and what is understood of it.

use std::collections::BTreeSet;

use actors::domain::ids::{ClientId, Epoch, MessageId, RoomId, Seq};
use actors::protocol::client::{Addressed, ClientFrame, decode};
use uuid::Uuid;

use crate::golden;

const ROOM: RoomId = RoomId(Uuid::from_u128(0x0190_a000_0000_7000_8000_0000_0000_0001));
const MESSAGE: MessageId = MessageId(Uuid::from_u128(0x0190_a000_0000_7000_8000_0000_0000_0002));
const SEND: ClientId = ClientId(Uuid::from_u128(0x4c1d_7f3a_9b2e_4d55_8a66_0000_0000_0003));
const EPOCH: Epoch = Epoch(Uuid::from_u128(0x8d0e_5a1c_7b64_4f2d_9e31_0000_0000_0004));

/// The variant that a frame is; the compiler asks for a new one, and the test below for its file.
fn kind(frame: &ClientFrame) -> &'static str {
    match frame {
        ClientFrame::ChatMessage { .. } => "chat_message",
        ClientFrame::Typing { .. } => "typing",
        ClientFrame::ReadReceipt { .. } => "read_receipt",
        ClientFrame::MarkRoomRead => "mark_room_read",
        ClientFrame::Ping { .. } => "ping",
        ClientFrame::Auth { .. } => "auth",
        ClientFrame::Subscribe { .. } => "subscribe",
        ClientFrame::Unsubscribe => "unsubscribe",
    }
}

fn frames() -> Vec<(&'static str, Option<RoomId>, ClientFrame)> {
    let text = "Boiler is fixed \u{1f44d}".to_owned();
    vec![
        (
            "chat_message",
            None,
            ClientFrame::ChatMessage { text: text.clone(), reply_to: None, client_id: None },
        ),
        (
            "chat_message.full",
            Some(ROOM),
            ClientFrame::ChatMessage { text, reply_to: Some(MESSAGE), client_id: Some(SEND) },
        ),
        ("typing", None, ClientFrame::Typing { is_typing: true }),
        ("typing.user_socket", Some(ROOM), ClientFrame::Typing { is_typing: false }),
        ("read_receipt", None, ClientFrame::ReadReceipt { message: MESSAGE }),
        ("read_receipt.user_socket", Some(ROOM), ClientFrame::ReadReceipt { message: MESSAGE }),
        ("mark_room_read", None, ClientFrame::MarkRoomRead),
        ("mark_room_read.user_socket", Some(ROOM), ClientFrame::MarkRoomRead),
        ("ping", None, ClientFrame::Ping { n: None }),
        ("ping.numbered", None, ClientFrame::Ping { n: Some(7.into()) }),
        ("auth", None, ClientFrame::Auth { token: "header.claims.signature".into() }),
        ("subscribe", Some(ROOM), ClientFrame::Subscribe { since: None, epoch: None }),
        ("subscribe.since", Some(ROOM), ClientFrame::Subscribe { since: Some(Seq(41)), epoch: Some(EPOCH) }),
        ("unsubscribe", Some(ROOM), ClientFrame::Unsubscribe),
    ]
}

#[test]
fn each_golden_frame_is_understood() {
    let golden = golden("client");
    let expected = frames();
    let names: BTreeSet<&str> = expected.iter().map(|(name, ..)| *name).collect();
    assert_eq!(golden.keys().map(String::as_str).collect::<BTreeSet<_>>(), names);
    for (name, room, frame) in expected {
        assert!(name.starts_with(kind(&frame)), "{name}");
        assert_eq!(decode(&golden[name]), Ok(Addressed { room, frame }), "{name}");
    }
}
