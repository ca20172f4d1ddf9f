//! What the server sends, made from the engine's own values.

use std::collections::BTreeSet;

use actors::domain::event::{Event, EventBody};
use actors::domain::ids::{ClientId, Epoch, FileId, MessageId, ParticipantId, RoomId, Seq, UserId};
use actors::domain::message::{Attachment, DELETED_TEXT, Message, MessageType, RemovedBy};
use actors::domain::participant::{Participant, Role};
use actors::domain::person::Author;
use actors::domain::room::{Room, RoomType, Subject};
use actors::domain::signal::{ReadMark, Signal};
use actors::error::ErrorCode;
use actors::protocol::server::{MarkView, PROTOCOL, ServerFrame};
use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::{folder, golden};

const ROOM: RoomId = RoomId(Uuid::from_u128(0x0190_a000_0000_7000_8000_0000_0000_0001));
const MESSAGE: MessageId = MessageId(Uuid::from_u128(0x0190_a000_0000_7000_8000_0000_0000_0002));
const SEND: ClientId = ClientId(Uuid::from_u128(0x4c1d_7f3a_9b2e_4d55_8a66_0000_0000_0003));
const EPOCH: Epoch = Epoch(Uuid::from_u128(0x8d0e_5a1c_7b64_4f2d_9e31_0000_0000_0004));
const ANSWERED: MessageId = MessageId(Uuid::from_u128(0x0190_a000_0000_7000_8000_0000_0000_0005));
const FILE: FileId = FileId(Uuid::from_u128(0x0190_a000_0000_7000_8000_0000_0000_0006));
const MARIA: UserId = UserId(1);
const JONAS: UserId = UserId(2);

fn at(minute: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_763_802_000 + minute * 60, 123_456_000).expect("a time")
}

fn maria() -> Author {
    Author::new(MARIA, "maria", "Maria Oliveira")
}

fn message() -> Message {
    Message {
        id: MESSAGE,
        room: ROOM,
        seq: Seq(42),
        rev: Seq(42),
        sender: maria(),
        message_type: MessageType::Text,
        content: "Boiler is fixed \u{1f44d}".into(),
        attachment: None,
        reply_to: None,
        created_at: at(0),
        modified_at: at(0),
        edited_at: None,
        deleted_at: None,
        removed_by: None,
        client_id: None,
    }
}

fn answer() -> Message {
    let answered = Message {
        id: ANSWERED,
        seq: Seq(40),
        rev: Seq(40),
        sender: Author::new(JONAS, "jonas", "Jonas Weber"),
        content: "Is the boiler fixed?".into(),
        created_at: at(-5),
        ..message()
    };
    Message { reply_to: Some(answered.quote()), client_id: Some(SEND), ..message() }
}

fn picture() -> Message {
    let attachment = Some(Attachment { file: FILE, name: "boiler.jpg".into(), size: 48_213 });
    Message { message_type: MessageType::Image, content: String::new(), attachment, ..message() }
}

fn edited() -> Message {
    Message {
        content: "Boiler and radiator are fixed".into(),
        rev: Seq(43),
        edited_at: Some(at(3)),
        ..message()
    }
}

fn deleted() -> Message {
    Message {
        content: DELETED_TEXT.into(),
        rev: Seq(44),
        deleted_at: Some(at(4)),
        removed_by: Some(RemovedBy::Author),
        ..message()
    }
}

fn participant() -> Participant {
    Participant {
        id: ParticipantId(17),
        user: Author::new(JONAS, "jonas", "Jonas Weber"),
        room: ROOM,
        joined_at: at(-60),
        joined_seq: Seq(3),
        left_at: None,
        role: Role::Member,
        read_seq: Seq(0),
        visible_from: Seq(0),
    }
}

fn room() -> Room {
    Room {
        id: ROOM,
        room_type: RoomType::Task,
        name: String::new(),
        subject: Some(Subject::Task(42)),
        title: "Fix the boiler".into(),
        created_at: at(-60),
        modified_at: at(0),
        created_by: Some(MARIA),
        archived_at: None,
        is_deleted: false,
        head: Seq(42),
    }
}

/// The variant that a frame is; the compiler asks for a new one, and the test below for its file.
fn kind(frame: &ServerFrame<'_>) -> &'static str {
    match frame {
        ServerFrame::ConnectionEstablished { .. } => "connection_established",
        ServerFrame::Subscribed { .. } => "subscribed",
        ServerFrame::Synced { .. } => "synced",
        ServerFrame::Reset { .. } => "reset",
        ServerFrame::ReadState { .. } => "read_state",
        ServerFrame::PresenceState { .. } => "presence_state",
        ServerFrame::ChatMessage { .. } => "chat_message",
        ServerFrame::MessageUpdated { .. } => "message_updated",
        ServerFrame::MessageDeleted { .. } => "message_deleted",
        ServerFrame::ParticipantJoined { .. } => "participant_joined",
        ServerFrame::ParticipantLeft { .. } => "participant_left",
        ServerFrame::ParticipantUpdated { .. } => "participant_updated",
        ServerFrame::RoomUpdated { .. } => "room_updated",
        ServerFrame::Typing { .. } => "typing",
        ServerFrame::ReadReceipt { .. } => "read_receipt",
        ServerFrame::Presence { .. } => "presence",
        ServerFrame::RoomMarkedRead { .. } => "room_marked_read",
        ServerFrame::Ack { .. } => "ack",
        ServerFrame::Error { .. } => "error",
        ServerFrame::Inbox { .. } => "inbox",
        ServerFrame::RoomAdded { .. } => "room_added",
        ServerFrame::RoomRemoved { .. } => "room_removed",
        ServerFrame::Pong { .. } => "pong",
        ServerFrame::AuthOk { .. } => "auth_ok",
        ServerFrame::GoingAway { .. } => "going_away",
    }
}

/// Frames as they were encoded, by name.
#[derive(Default)]
struct Made(Vec<(String, &'static str, Value)>);

impl Made {
    fn add(&mut self, variation: &str, frame: &ServerFrame<'_>) {
        let kind = kind(frame);
        let name = if variation.is_empty() { kind.to_owned() } else { format!("{kind}.{variation}") };
        self.0.push((name, kind, serde_json::to_value(frame).expect("a frame that can be encoded")));
    }

    fn event(&mut self, variation: &str, seq: i64, body: EventBody) {
        let event = Event { room: ROOM, seq: Seq(seq), at: at(0), by: Some(MARIA), body };
        self.add(variation, &ServerFrame::of_event(&event).expect("an event with a frame"));
    }

    fn signal(&mut self, variation: &str, signal: &Signal) {
        self.add(variation, &ServerFrame::of_signal(ROOM, signal).expect("a signal with a frame"));
    }
}

fn events(made: &mut Made) {
    made.event("", 42, EventBody::MessagePosted(Box::new(message())));
    made.event("answer", 42, EventBody::MessagePosted(Box::new(answer())));
    made.event("picture", 42, EventBody::MessagePosted(Box::new(picture())));
    made.event("deleted", 42, EventBody::MessagePosted(Box::new(deleted())));
    made.event("", 43, EventBody::MessageEdited(Box::new(edited())));
    let deletion = |removed_by, reason| {
        let (message, sent, sender) = (MESSAGE, Seq(42), MARIA);
        EventBody::MessageDeleted { message, sent, sender, removed_by, reason }
    };
    made.event("", 44, deletion(RemovedBy::Author, None));
    made.event("moderator", 44, deletion(RemovedBy::Moderator, Some("names a guest".into())));
    made.event("", 45, EventBody::ParticipantJoined(Box::new(participant())));
    let promoted = Participant { role: Role::Admin, ..participant() };
    made.event("", 46, EventBody::ParticipantUpdated(Box::new(promoted)));
    let left = Participant { left_at: Some(at(9)), ..participant() };
    made.event("", 47, EventBody::ParticipantLeft(Box::new(left)));
    made.event("made", 1, EventBody::RoomCreated(Box::new(room())));
    made.event("", 48, EventBody::RoomUpdated(Box::new(room())));
    let archived = Room { archived_at: Some(at(9)), modified_at: at(9), ..room() };
    made.event("archived", 49, EventBody::RoomUpdated(Box::new(archived)));
}

fn signals(made: &mut Made) {
    let mark = ReadMark { user: JONAS, up_to: Seq(42), message: Some(MESSAGE), at: at(1) };
    made.add("", &ServerFrame::ReadState { room_id: ROOM, marks: vec![MarkView::from(&mark)] });
    made.signal("", &Signal::Read(mark));
    made.signal("", &Signal::Typing { user: JONAS, username: "jonas".into(), is_typing: true });
    made.signal("", &Signal::Presence { user: JONAS, online: true, last_seen: None });
    made.signal("offline", &Signal::Presence { user: JONAS, online: false, last_seen: Some(at(2)) });
    made.add("", &ServerFrame::PresenceState { room_id: ROOM, online: &[MARIA, JONAS] });
}

fn answers(made: &mut Made) {
    let (room_id, seq, epoch) = (ROOM, Seq(42), EPOCH);
    made.add(
        "",
        &ServerFrame::ConnectionEstablished {
            room_id: Some(room_id),
            unread_count: 3,
            user_id: MARIA,
            username: "maria",
            seq: Some(seq),
            epoch: Some(epoch),
            protocol: PROTOCOL,
        },
    );
    made.add(
        "user_socket",
        &ServerFrame::ConnectionEstablished {
            room_id: None,
            unread_count: 5,
            user_id: MARIA,
            username: "maria",
            seq: None,
            epoch: None,
            protocol: PROTOCOL,
        },
    );
    made.add("", &ServerFrame::Subscribed { room_id, seq, epoch, unread_count: 3 });
    made.add("", &ServerFrame::Synced { room_id, seq });
    made.add("", &ServerFrame::Reset { room_id, seq, epoch });
    made.add("", &ServerFrame::RoomMarkedRead { room_id });
    let (client_id, message_id, created_at) = (SEND, MESSAGE, at(0));
    made.add("", &ServerFrame::Ack { room_id, client_id, message_id, seq, created_at, duplicate: false });
    made.add(
        "duplicate",
        &ServerFrame::Ack { room_id, client_id, message_id, seq, created_at, duplicate: true },
    );
    for (code, ..) in ErrorCode::TABLE {
        let message = "a few words for a person";
        let retry_after = code.is_retryable().then_some(0.25);
        let (room_id, client_id) = (Some(ROOM), (code != ErrorCode::BadFrame).then_some(SEND));
        made.add(code.as_str(), &ServerFrame::Error { code, message, room_id, client_id, retry_after });
    }
    made.add("", &ServerFrame::Pong { n: None });
    made.add("numbered", &ServerFrame::Pong { n: Some(7.into()) });
    made.add("", &ServerFrame::AuthOk { expires_at: at(60) });
    made.add("", &ServerFrame::GoingAway { retry_after: 1.5 });
}

fn lists(made: &mut Made) {
    made.add(
        "",
        &ServerFrame::Inbox {
            room_id: ROOM,
            unread_count: 3,
            total_unread: 5,
            last_message_preview: "Boiler is fixed \u{1f44d}",
            last_message_time: at(0),
            last_message_sender: Some(&maria()),
            display_name: "Task: Fix the boiler",
            partner: None,
            is_active: true,
            is_muted: false,
        },
    );
    let jonas = Author::new(JONAS, "jonas", "Jonas Weber");
    made.add(
        "direct",
        &ServerFrame::Inbox {
            room_id: ROOM,
            unread_count: 0,
            total_unread: 2,
            last_message_preview: "No messages yet",
            last_message_time: at(0),
            last_message_sender: None,
            display_name: "Jonas Weber",
            partner: Some(&jonas),
            is_active: true,
            is_muted: true,
        },
    );
    made.add("", &ServerFrame::RoomAdded { room_id: ROOM, room: (&room()).into() });
    made.add("", &ServerFrame::RoomRemoved { room_id: ROOM, total_unread: 2 });
}

#[test]
fn each_frame_is_as_its_golden_file() {
    let mut made = Made::default();
    events(&mut made);
    signals(&mut made);
    answers(&mut made);
    lists(&mut made);
    if std::env::var_os("WRITE_FRAMES").is_some() {
        std::fs::create_dir_all(folder("server")).expect("a folder");
        for (name, _, frame) in &made.0 {
            let text = serde_json::to_string_pretty(frame).expect("JSON") + "\n";
            std::fs::write(folder("server").join(format!("{name}.json")), text).expect("a file");
        }
    }
    let golden = golden("server");
    let names: BTreeSet<&str> = made.0.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names.len(), made.0.len(), "a name for each");
    assert_eq!(golden.keys().map(String::as_str).collect::<BTreeSet<_>>(), names);
    for (name, _, frame) in &made.0 {
        let expected: Value = serde_json::from_str(&golden[name]).expect("JSON");
        assert_eq!(*frame, expected, "{name}");
    }
    let kinds: BTreeSet<&str> = made.0.iter().map(|(_, kind, _)| *kind).collect();
    assert_eq!(kinds.len(), 25, "every variant has a frame: {kinds:?}");
}
