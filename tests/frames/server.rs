//! Frames that the server sends, built from the engine's own types.

use std::collections::BTreeSet;

use actors::domain::attachment::Media;
use actors::domain::card::{Card, CardChange};
use actors::domain::event::{Event, EventBody, EventFrame};
use actors::domain::features::{
    ButtonPress, ChangedCard, MessageAcknowledgement, MessageDeletion, PinChange, ReactionChange, RoomUpdate,
};
use actors::domain::ids::{
    ClientId, Epoch, FileId, MessageId, ParticipantId, PersonalSeq, RoomId, Seq, UserId,
};
use actors::domain::mentions::Mentions;
use actors::domain::message::{Attachment, DELETED_TEXT, Message, MessageType, RemovedBy};
use actors::domain::message_extras::{Forwarded, MessageExtras, Pinned, Reaction};
use actors::domain::participant::{NotificationLevel, Participant, Role};
use actors::domain::room::{Room, RoomType, Subject};
use actors::domain::room_settings::{RecordedChanges, RoomSettings};
use actors::domain::signal::{ReadMark, Signal};
use actors::domain::thread::{ThreadPlace, ThreadSums, ThreadView};
use actors::domain::urgency::{Acknowledgement, UrgentMark};
use actors::domain::user::UserSummary;
use actors::error::ErrorCode;
use actors::protocol::server::{PROTOCOL, ReadMarkView, ServerFrame};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{folder, golden, personal};

pub(crate) const ROOM: RoomId = RoomId(Uuid::from_u128(0x0190_a000_0000_7000_8000_0000_0000_0001));
pub(crate) const MESSAGE: MessageId = MessageId(Uuid::from_u128(0x0190_a000_0000_7000_8000_0000_0000_0002));
pub(crate) const SEND: ClientId = ClientId(Uuid::from_u128(0x4c1d_7f3a_9b2e_4d55_8a66_0000_0000_0003));
pub(crate) const EPOCH: Epoch = Epoch(Uuid::from_u128(0x8d0e_5a1c_7b64_4f2d_9e31_0000_0000_0004));
pub(crate) const ANSWERED: MessageId = MessageId(Uuid::from_u128(0x0190_a000_0000_7000_8000_0000_0000_0005));
const FILE: FileId = FileId(Uuid::from_u128(0x0190_a000_0000_7000_8000_0000_0000_0006));
const PLAN: FileId = FileId(Uuid::from_u128(0x0190_a000_0000_7000_8000_0000_0000_0007));
const MARIA: UserId = UserId(1);
const JONAS: UserId = UserId(2);
const HELPER: UserId = UserId::FIRST_BOT;

pub(crate) fn at(minute: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_763_802_000 + minute * 60, 123_456_000).expect("a time")
}

fn maria() -> UserSummary {
    UserSummary::new(MARIA, "maria", "Maria Oliveira")
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
        thread: None,
        created_at: at(0),
        modified_at: at(0),
        edited_at: None,
        deleted_at: None,
        removed_by: None,
        client_id: None,
        extras: MessageExtras::default(),
    }
}

fn reacted() -> Message {
    let reaction = |emoji: &str, users: &[UserId]| Reaction {
        emoji: emoji.to_owned(),
        count: i64::try_from(users.len()).expect("few"),
        users: users.to_vec(),
    };
    let reactions = vec![reaction("\u{1f44d}", &[JONAS, MARIA]), reaction("\u{2764}\u{fe0f}", &[JONAS])];
    Message { rev: Seq(47), extras: MessageExtras { reactions, ..MessageExtras::default() }, ..message() }
}

fn checklist(ticked: bool) -> Box<Card> {
    let card = json!({"v": 1, "kind": "checklist", "title": "Turnover of unit 4", "text": "Before 3 pm",
        "fields": [{"name": "Guests", "value": "2"}], "state": "urgent", "link": "https://example.com/units/4",
        "items": [{"id": "beds", "text": "Make the beds"}, {"text": "Take out the bins"}]});
    let mut card = Card::read(&card).expect("a card");
    card.change(&CardChange::Item { id: "beds".into(), on: ticked }, JONAS, at(6), &[]).expect("an item");
    Box::new(card)
}

/// A message of a bot, with buttons.
fn asking() -> Message {
    let card = json!({"v": 1, "kind": "card", "title": "Is unit 4 ready?", "buttons": [
        {"id": "yes", "text": "Yes", "style": "primary"}, {"id": "no", "text": "Not yet"}]});
    let sender = UserSummary::new(HELPER, "helper", "Helper");
    Message { sender, ..with_card(Box::new(Card::read(&card).expect("a card"))) }
}

fn poll() -> Box<Card> {
    let card = json!({"v": 1, "kind": "poll", "title": "When do we meet?",
        "choices": [{"id": "mo", "text": "Monday"}, {"id": "tu", "text": "Tuesday"}]});
    let mut card = Card::read(&card).expect("a card");
    card.change(&CardChange::Choice { id: "mo".into(), on: true }, JONAS, at(6), &[]).expect("a choice");
    Box::new(card)
}

fn with_card(card: Box<Card>) -> Message {
    let content = card.as_text();
    Message { content, extras: MessageExtras { card: Some(card), ..MessageExtras::default() }, ..message() }
}

fn root() -> Message {
    let sums = ThreadSums { replies: 2, last_reply_at: Some(at(7)), rev: Seq(47) };
    Message { extras: MessageExtras { thread: Some(sums), ..MessageExtras::default() }, ..message() }
}

fn reply() -> Message {
    Message { thread: Some(ThreadPlace { root: ANSWERED, in_timeline: false }), ..message() }
}

fn mentioning() -> Message {
    let mentions = Mentions::new(vec![JONAS], false);
    Message {
        content: "@Jonas Weber, it is fixed".into(),
        extras: MessageExtras { mentions, ..MessageExtras::default() },
        ..message()
    }
}

fn pinned() -> Message {
    let pinned = Some(Pinned { at: at(5), by: Some(JONAS) });
    Message { rev: Seq(49), extras: MessageExtras { pinned, ..MessageExtras::default() }, ..message() }
}

fn urgent(acks: Vec<Acknowledgement>) -> Message {
    let ack_count = i64::try_from(acks.len()).expect("few");
    let urgent = Some(Box::new(UrgentMark { ack_by: Some(at(60)), acks, ack_count }));
    Message { extras: MessageExtras { urgent, ..MessageExtras::default() }, ..message() }
}

fn forwarded() -> Message {
    let forwarded = Some(Forwarded {
        sender: UserSummary::new(JONAS, "jonas", "Jonas Weber"),
        created_at: at(-90),
        room: ROOM,
        message: ANSWERED,
    });
    Message { extras: MessageExtras { forwarded, ..MessageExtras::default() }, ..message() }
}

fn answer() -> Message {
    let answered = Message {
        id: ANSWERED,
        seq: Seq(40),
        rev: Seq(40),
        sender: UserSummary::new(JONAS, "jonas", "Jonas Weber"),
        content: "Is the boiler fixed?".into(),
        created_at: at(-5),
        ..message()
    };
    Message { reply_to: Some(answered.quote()), client_id: Some(SEND), ..message() }
}

fn picture() -> Message {
    let media =
        Media { width: Some(1_600), height: Some(1_200), has_previews: true, ..Media::of_type("image/jpeg") };
    let attachment = Some(Attachment { file: FILE, name: "boiler.jpg".into(), size: 48_213, media });
    Message { message_type: MessageType::Image, content: String::new(), attachment, ..message() }
}

fn picture_and_plan() -> Message {
    let media = Media::of_type("application/pdf");
    let plan = Attachment { file: PLAN, name: "plan.pdf".into(), size: 9_001, media };
    Message { extras: MessageExtras { more_files: vec![plan], ..MessageExtras::default() }, ..picture() }
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
        user: UserSummary::new(JONAS, "jonas", "Jonas Weber"),
        room: ROOM,
        joined_at: at(-60),
        joined_seq: Seq(3),
        left_at: None,
        role: Role::Member,
        until: None,
        read_seq: Seq(0),
        visible_from: Seq(0),
        unread_from: None,
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
        is_blocked: false,
        is_held: false,
        is_deleted: false,
        head: Seq(42),
        settings: RoomSettings::default(),
        visible_to_all_from: Seq(0),
    }
}

fn room_updated(room: Room) -> EventBody {
    EventBody::RoomUpdated(Box::new(RoomUpdate { room, changed: RecordedChanges::new() }))
}

/// A room with every setting other than by default.
fn restricted() -> Room {
    let settings = serde_json::json!({
        "posting": "admins", "slow_mode_seconds": 30, "pinning": "admins", "history": "joined",
        "edit_history": false, "description": "What the landlord announces", "urgent": "nobody",
    });
    Room { settings: serde_json::from_value(settings).expect("settings"), ..room() }
}

/// An answer to a message that someone in the room may not see.
fn hidden_answer() -> Message {
    let mut message = answer();
    message.hide_quote_before(Seq(41));
    message
}

/// The name of a frame's variant. The compiler requires an arm for a new variant, and the test below its
/// file.
fn kind(frame: &ServerFrame<'_>) -> &'static str {
    match frame {
        ServerFrame::ConnectionEstablished { .. } => "connection_established",
        ServerFrame::Subscribed { .. } => "subscribed",
        ServerFrame::EventHidden { .. } => "event_hidden",
        ServerFrame::Synced { .. } => "synced",
        ServerFrame::Reset { .. } => "reset",
        ServerFrame::ReadState { .. } => "read_state",
        ServerFrame::PresenceState { .. } => "presence_state",
        ServerFrame::Typing { .. } => "typing",
        ServerFrame::ReadReceipt { .. } => "read_receipt",
        ServerFrame::Presence { .. } => "presence",
        ServerFrame::RoomMarkedRead { .. } => "room_marked_read",
        ServerFrame::Ack { .. } => "ack",
        ServerFrame::Command { .. } => "command",
        ServerFrame::CommandSent { .. } => "command_sent",
        ServerFrame::CommandAnswer { .. } => "command_answer",
        ServerFrame::Error { .. } => "error",
        ServerFrame::Inbox { .. } => "inbox",
        ServerFrame::RoomAdded { .. } => "room_added",
        ServerFrame::RoomRemoved { .. } => "room_removed",
        ServerFrame::Pong { .. } => "pong",
        ServerFrame::AuthOk { .. } => "auth_ok",
        ServerFrame::GoingAway { .. } => "going_away",
    }
}

/// The type of an event's frame.
fn event_kind(frame: &EventFrame<'_>) -> &'static str {
    match frame {
        EventFrame::RoomCreated(_) | EventFrame::RoomUpdated(_) => "room_updated",
        EventFrame::MessagePosted(_) => "chat_message",
        EventFrame::MessageEdited(_) => "message_updated",
        EventFrame::MessageDeleted(_) => "message_deleted",
        EventFrame::Reaction(_) => "reaction",
        EventFrame::CardChanged(_) => "card_changed",
        EventFrame::CardAction(_) => "card_action",
        EventFrame::MessagePinned(_) => "message_pinned",
        EventFrame::MessageAcknowledged(_) => "message_acknowledged",
        EventFrame::ParticipantJoined(_) => "participant_joined",
        EventFrame::ParticipantLeft(_) => "participant_left",
        EventFrame::ParticipantUpdated(_) => "participant_updated",
    }
}

/// Encoded frames by name.
#[derive(Default)]
pub(crate) struct BuiltFrames(Vec<(String, &'static str, Value)>);

impl BuiltFrames {
    fn add(&mut self, variation: &str, frame: &ServerFrame<'_>) {
        self.add_kind(kind(frame), variation, frame);
    }

    pub(crate) fn add_kind(&mut self, kind: &'static str, variation: &str, frame: &impl Serialize) {
        let name = if variation.is_empty() { kind.to_owned() } else { format!("{kind}.{variation}") };
        self.0.push((name, kind, serde_json::to_value(frame).expect("a frame that can be encoded")));
    }

    fn event(&mut self, variation: &str, seq: i64, body: EventBody) {
        let event = Event { room: ROOM, seq: Seq(seq), at: at(0), by: Some(MARIA), body };
        let frame = event.frame().expect("an event with a frame");
        let json = serde_json::to_value(&frame).expect("JSON");
        assert_eq!(json["type"], event.body.kind().frame_type());
        self.add_kind(event_kind(&frame), variation, &frame);
    }

    fn signal(&mut self, variation: &str, signal: &Signal) {
        self.add(variation, &ServerFrame::of_signal(ROOM, signal).expect("a signal with a frame"));
    }
}

fn events(built: &mut BuiltFrames) {
    built.event("", 42, EventBody::MessagePosted(Box::new(message())));
    built.event("answer", 42, EventBody::MessagePosted(Box::new(answer())));
    built.event("hidden_quote", 42, EventBody::MessagePosted(Box::new(hidden_answer())));
    built.event("picture", 42, EventBody::MessagePosted(Box::new(picture())));
    built.event("attachments", 42, EventBody::MessagePosted(Box::new(picture_and_plan())));
    built.event("deleted", 42, EventBody::MessagePosted(Box::new(deleted())));
    built.event("reactions", 42, EventBody::MessagePosted(Box::new(reacted())));
    built.event("checklist", 42, EventBody::MessagePosted(Box::new(with_card(checklist(false)))));
    built.event("poll", 42, EventBody::MessagePosted(Box::new(with_card(poll()))));
    built.event("buttons", 42, EventBody::MessagePosted(Box::new(asking())));
    built.event("thread", 42, EventBody::MessagePosted(Box::new(root())));
    built.event("reply", 42, EventBody::MessagePosted(Box::new(reply())));
    built.event("mentions", 42, EventBody::MessagePosted(Box::new(mentioning())));
    built.event("pinned", 42, EventBody::MessagePosted(Box::new(pinned())));
    built.event("urgent", 42, EventBody::MessagePosted(Box::new(urgent(Vec::new()))));
    let acknowledged = Message { rev: Seq(51), ..urgent(vec![Acknowledgement { user: JONAS, at: at(8) }]) };
    built.event("acknowledged", 42, EventBody::MessagePosted(Box::new(acknowledged)));
    built.event("forwarded", 42, EventBody::MessagePosted(Box::new(forwarded())));
    built.event("", 43, EventBody::MessageEdited(Box::new(edited())));
    let reaction = |added| ReactionChange {
        message: MESSAGE,
        sent: Seq(42),
        user: JONAS,
        emoji: "\u{1f44d}".into(),
        added,
    };
    built.event("", 46, EventBody::Reaction(Box::new(reaction(true))));
    built.event("removed", 48, EventBody::Reaction(Box::new(reaction(false))));
    let changed = |card| ChangedCard { message: MESSAGE, sent: Seq(42), card, change: Value::Null };
    built.event("", 48, EventBody::CardChanged(Box::new(changed(Some(checklist(true))))));
    built.event("deleted", 48, EventBody::CardChanged(Box::new(changed(None))));
    let pressed = ButtonPress { message: MESSAGE, author: HELPER, user: JONAS, button: "yes".into() };
    built.event("", 49, EventBody::CardAction(Box::new(pressed)));
    let pin =
        |pinned| EventBody::MessagePinned(Box::new(PinChange { message: MESSAGE, sent: Seq(42), pinned }));
    built.event("", 49, pin(true));
    built.event("off", 50, pin(false));
    let acknowledgement = MessageAcknowledgement { message: MESSAGE, user: JONAS };
    built.event("", 51, EventBody::MessageAcknowledged(Box::new(acknowledgement)));
    let deletion = |removed_by, reason, thread| {
        let (message, sent, sender) = (MESSAGE, Seq(42), MARIA);
        EventBody::MessageDeleted(Box::new(MessageDeletion {
            message,
            sent,
            sender,
            removed_by,
            reason,
            thread,
        }))
    };
    built.event("", 44, deletion(RemovedBy::Author, None, None));
    built.event("moderator", 44, deletion(RemovedBy::Moderator, Some("names a guest".into()), None));
    let thread = ThreadView { root_id: ANSWERED, replies: 1, last_reply_at: Some(at(-1)) };
    built.event("reply", 44, deletion(RemovedBy::Author, None, Some(thread)));
    built.event("", 45, EventBody::ParticipantJoined(Box::new(participant())));
    let promoted = Participant { role: Role::Admin, ..participant() };
    built.event("", 46, EventBody::ParticipantUpdated(Box::new(promoted)));
    let left = Participant { left_at: Some(at(9)), ..participant() };
    built.event("", 47, EventBody::ParticipantLeft(Box::new(left)));
    built.event("made", 1, EventBody::RoomCreated(Box::new(room())));
    built.event("", 48, room_updated(room()));
    let archived = Room { archived_at: Some(at(9)), modified_at: at(9), ..room() };
    built.event("archived", 49, room_updated(archived));
    built.event("settings", 50, room_updated(restricted()));
}

fn signals(built: &mut BuiltFrames) {
    let mark = ReadMark { user: JONAS, up_to: Seq(42), message: Some(MESSAGE), at: at(1) };
    built.add("", &ServerFrame::ReadState { room_id: ROOM, marks: vec![ReadMarkView::from(&mark)] });
    built.signal("", &Signal::Read(mark));
    built.signal("", &Signal::Typing { user: JONAS, username: "jonas".into(), is_typing: true });
    built.signal("", &Signal::Presence { user: JONAS, online: true, last_seen: None });
    built.signal("offline", &Signal::Presence { user: JONAS, online: false, last_seen: Some(at(2)) });
    built.add("", &ServerFrame::PresenceState { room_id: ROOM, online: &[MARIA, JONAS] });
}

fn answers(built: &mut BuiltFrames) {
    let (room_id, seq, epoch) = (ROOM, Seq(42), EPOCH);
    built.add(
        "",
        &ServerFrame::ConnectionEstablished {
            room_id: Some(room_id),
            unread_count: 3,
            mention_count: None,
            user_id: MARIA,
            username: "maria",
            seq: Some(seq),
            epoch: Some(epoch),
            personal_position: None,
            protocol: PROTOCOL,
            capabilities: Some(vec!["post", "react", "pin", "urgent"]),
            next_post_at: None,
        },
    );
    built.add(
        "user_socket",
        &ServerFrame::ConnectionEstablished {
            room_id: None,
            unread_count: 5,
            mention_count: Some(2),
            user_id: MARIA,
            username: "maria",
            seq: None,
            epoch: None,
            personal_position: None,
            protocol: PROTOCOL,
            capabilities: None,
            next_post_at: None,
        },
    );
    built.add(
        "personal_log",
        &ServerFrame::ConnectionEstablished {
            room_id: None,
            unread_count: 5,
            mention_count: Some(2),
            user_id: MARIA,
            username: "maria",
            seq: None,
            epoch: Some(epoch),
            personal_position: Some(PersonalSeq(17)),
            protocol: PROTOCOL,
            capabilities: None,
            next_post_at: None,
        },
    );
    let subscribed = |capabilities, next_post_at| ServerFrame::Subscribed {
        room_id,
        seq,
        epoch,
        unread_count: 3,
        capabilities,
        next_post_at,
    };
    built.add("", &subscribed(vec!["post", "react", "pin", "urgent"], None));
    built.add("slow_mode", &subscribed(vec!["post"], Some(at(1))));
    built.add("", &ServerFrame::EventHidden { room_id, seq });
    built.add("", &ServerFrame::Synced { room_id, seq });
    built.add("", &ServerFrame::Reset { room_id, seq, epoch });
    built.add("", &ServerFrame::RoomMarkedRead { room_id });
    let (client_id, message_id, created_at) = (SEND, MESSAGE, at(0));
    built.add("", &ServerFrame::Ack { room_id, client_id, message_id, seq, created_at, duplicate: false });
    built.add(
        "duplicate",
        &ServerFrame::Ack { room_id, client_id, message_id, seq, created_at, duplicate: true },
    );
    let (name, text, token) = ("remind", "me at nine", "4f1d9a");
    built.add("", &ServerFrame::Command { room_id, name, text, user_id: JONAS, token });
    built.add("", &ServerFrame::CommandSent { room_id, name, client_id: None });
    built.add("named", &ServerFrame::CommandSent { room_id, name, client_id: Some(client_id) });
    built.add(
        "",
        &ServerFrame::CommandAnswer { room_id, name, user_id: HELPER, content: "I will remind you" },
    );
    for (code, ..) in ErrorCode::TABLE {
        let message = "a few words for a person";
        let retry_after = code.is_retryable().then_some(0.25);
        let (room_id, client_id) = (Some(ROOM), (code != ErrorCode::BadFrame).then_some(SEND));
        built.add(code.as_str(), &ServerFrame::Error { code, message, room_id, client_id, retry_after });
    }
    built.add("", &ServerFrame::Pong { n: None });
    built.add("numbered", &ServerFrame::Pong { n: Some(7.into()) });
    built.add("", &ServerFrame::AuthOk { expires_at: at(60) });
    built.add("", &ServerFrame::GoingAway { retry_after: 1.5 });
}

fn lists(built: &mut BuiltFrames) {
    built.add(
        "",
        &ServerFrame::Inbox {
            room_id: ROOM,
            unread_count: 3,
            mention_count: 1,
            total_unread: 5,
            total_mentions: 2,
            last_message_preview: "Boiler is fixed \u{1f44d}",
            last_message_time: at(0),
            last_message_sender: Some(&maria()),
            display_name: "Task: Fix the boiler",
            partner: None,
            is_active: true,
            is_muted: false,
            description: "What the landlord announces",
            level: NotificationLevel::All,
            favourite: true,
        },
    );
    let jonas = UserSummary::new(JONAS, "jonas", "Jonas Weber");
    built.add(
        "direct",
        &ServerFrame::Inbox {
            room_id: ROOM,
            unread_count: 0,
            mention_count: 0,
            total_unread: 2,
            total_mentions: 1,
            last_message_preview: "No messages yet",
            last_message_time: at(0),
            last_message_sender: None,
            display_name: "Jonas Weber",
            partner: Some(&jonas),
            is_active: true,
            is_muted: true,
            description: "",
            level: NotificationLevel::Mentions,
            favourite: false,
        },
    );
    built.add("", &ServerFrame::RoomAdded { room_id: ROOM, room: (&room()).into() });
    built.add("", &ServerFrame::RoomRemoved { room_id: ROOM, total_unread: 2, total_mentions: 1 });
}

#[test]
fn each_frame_matches_its_golden_file() {
    let mut built = BuiltFrames::default();
    events(&mut built);
    signals(&mut built);
    answers(&mut built);
    lists(&mut built);
    personal::add(&mut built);
    if std::env::var_os("WRITE_FRAMES").is_some() {
        std::fs::create_dir_all(folder("server")).expect("a folder");
        for (name, _, frame) in &built.0 {
            let text = serde_json::to_string_pretty(frame).expect("JSON") + "\n";
            std::fs::write(folder("server").join(format!("{name}.json")), text).expect("a file");
        }
    }
    let golden = golden("server");
    let names: BTreeSet<&str> = built.0.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names.len(), built.0.len(), "a name for each");
    assert_eq!(golden.keys().map(String::as_str).collect::<BTreeSet<_>>(), names);
    for (name, _, frame) in &built.0 {
        let expected: Value = serde_json::from_str(&golden[name]).expect("JSON");
        assert_eq!(*frame, expected, "{name}");
    }
    let kinds: BTreeSet<&str> = built.0.iter().map(|(_, kind, _)| *kind).collect();
    assert_eq!(kinds.len(), 34 + personal::KINDS, "every variant has a frame: {kinds:?}");
}
