//! Tests of the claims themselves: a sound history keeps all of them, and each corruption breaks the intended
//! one.

use std::collections::{BTreeMap, BTreeSet};

use actors::domain::ids::{ClientId, MessageId, RoomId, Seq, UserId};
use serde_json::json;
use uuid::Uuid;

use super::ALL;
use crate::history::{End, Entry, Fact, History, Request, Row};

const ANN: UserId = UserId(1);
const BOB: UserId = UserId(2);

fn room() -> RoomId {
    RoomId(Uuid::from_u128(1))
}

fn row(seq: i64, kind: &str) -> Row {
    let (room, kind) = (room(), kind.to_owned());
    Row {
        room,
        seq: Seq(seq),
        kind,
        message: None,
        text: None,
        rev: None,
        client_id: None,
        root: None,
        user: None,
        says: None,
        by: Some(ANN),
        settings: None,
    }
}

fn message(seq: i64) -> Row {
    let id = u128::try_from(seq).expect("positions are positive");
    Row {
        message: Some(MessageId(Uuid::from_u128(100 + id))),
        text: Some(format!("text {seq}")),
        rev: Some(Seq(seq)),
        client_id: Some(ClientId(Uuid::from_u128(200 + id))),
        user: Some(ANN),
        ..row(seq, "chat_message")
    }
}

fn post(op: u64, seq: i64) -> Fact {
    let Row { client_id, text, .. } = message(seq);
    let (client_id, text) = (client_id.expect("it has one"), text.expect("it has one"));
    Fact::Asked { op, user: ANN, room: room(), request: Request::Post { client_id, text, conn: Some(1) } }
}

fn ack(op: u64, seq: i64) -> Fact {
    let message = message(seq).message.expect("it has one");
    Fact::Answered { op, end: End::Acked { message, seq: Seq(seq), duplicate: false } }
}

/// A forward of what is called like two messages, and its answer.
fn forward(messages: [i64; 2]) -> [Fact; 2] {
    let client_ids = messages.iter().filter_map(|seq| message(*seq).client_id).collect();
    let request = Request::Forward { client_ids };
    let asked = Fact::Asked { op: 4, user: ANN, room: room(), request };
    [asked, Fact::Answered { op: 4, end: End::Done }]
}

fn received(conn: u64, row: Row) -> Fact {
    Fact::Received { conn, row }
}

fn mark(up_to: i64) -> Fact {
    Fact::Marked { conn: 2, room: room(), user: ANN, up_to: Seq(up_to) }
}

/// The deletion of the third message.
fn deletion(by: UserId, right: &str) -> Row {
    let says = Some(right.to_owned());
    Row { message: message(3).message, says, by: Some(by), ..row(4, "message_deleted") }
}

fn listed_rows(name: &str) -> BTreeMap<RoomId, String> {
    BTreeMap::from([(room(), name.to_owned())])
}

fn folded(shown: &str) -> BTreeMap<MessageId, String> {
    message(1).message.map(|id| (id, shown.to_owned())).into_iter().collect()
}

/// Ann sends three messages and deletes the last one; Bob receives two, resumes for the others, and is removed
/// after that.
fn sound() -> Vec<Fact> {
    let (room, since) = (room(), Some(Seq(2)));
    let deleted = deletion(ANN, "author");
    let gone = Row { text: Some("[Message deleted]".into()), rev: Some(Seq(4)), ..message(3) };
    let left = Row { user: Some(BOB), ..row(5, "participant_left") };
    let joining = |conn, since| Fact::Joining { conn, room, since };
    let joined = |conn, head| Fact::Joined { conn, room, head: Seq(head) };
    vec![
        Fact::Opened { conn: 1, user: ANN, node: 0, issued_at: 1 },
        joining(1, None),
        Fact::LetIn { conn: 1 },
        joined(1, 0),
        Fact::Opened { conn: 2, user: BOB, node: 1, issued_at: 1 },
        joining(2, None),
        Fact::LetIn { conn: 2 },
        joined(2, 0),
        post(1, 1),
        Fact::Committed(message(1)),
        ack(1, 1),
        received(1, message(1)),
        received(2, message(1)),
        post(2, 2),
        Fact::Committed(message(2)),
        ack(2, 2),
        received(1, message(2)),
        received(2, message(2)),
        mark(1),
        mark(2),
        Fact::Closed { conn: 2, code: None },
        post(3, 3),
        Fact::Committed(message(3)),
        ack(3, 3),
        received(1, message(3)),
        Fact::Committed(deleted.clone()),
        received(1, deleted.clone()),
        Fact::Opened { conn: 3, user: BOB, node: 0, issued_at: 1 },
        joining(3, since),
        Fact::LetIn { conn: 3 },
        joined(3, 4),
        received(3, gone),
        received(3, deleted),
        Fact::Synced { conn: 3, room, seq: Seq(4) },
        Fact::Committed(left.clone()),
        received(1, left.clone()),
        received(3, left),
        Fact::Closed { conn: 3, code: Some(4403) },
        Fact::Healed,
        Fact::Reached { conn: 1, user: ANN, room, seq: Seq(5) },
        Fact::Unread { conn: 1, user: ANN, rooms: BTreeMap::from([(room, 0)]), total: Some(0) },
        Fact::Listed { conn: 1, user: ANN, listed_rows: listed_rows("Roof"), total: 0, total_mentions: 0 },
        Fact::Folded { conn: 1, room, messages: folded("2 replies") },
        Fact::StoredMessages { room, messages: folded("2 replies") },
        Fact::Roster { room, head: Seq(5), users: BTreeSet::from([ANN]) },
        Fact::Wanting { user: ANN, room },
        Fact::Recount { user: ANN, rooms: BTreeMap::from([(room, 0)]), total: 0 },
        Fact::StoredList { user: ANN, listed_rows: listed_rows("Roof"), total: 0, total_mentions: 0 },
        Fact::SeesOnline { conn: 1, room, users: BTreeSet::from([ANN]) },
        Fact::Typing { node: 0, room, users: Vec::new() },
        Fact::Closed { conn: 1, code: Some(1000) },
        Fact::Left { node: 0, what: "rooms", count: 0 },
    ]
}

fn history(facts: Vec<Fact>) -> History {
    // Far enough apart that nothing is ambiguous, close enough that nothing is late.
    History(facts.into_iter().zip(1..).map(|(fact, step)| Entry { at: step * 400, fact }).collect())
}

fn broken(facts: Vec<Fact>) -> Vec<&'static str> {
    let history = history(facts);
    ALL.iter().filter(|(_, check)| check(&history).is_err()).map(|(name, _)| *name).collect()
}

fn at(facts: &[Fact], fact: &Fact) -> usize {
    facts.iter().position(|other| other == fact).expect("the sound history has it")
}

/// Corrupts the sound history, and names the claim that this must break.
fn corrupt(claim: &str, how: impl FnOnce(&mut Vec<Fact>)) {
    let mut facts = sound();
    how(&mut facts);
    let broken = broken(facts);
    assert!(broken.contains(&claim), "{claim} does not see it, only {broken:?}");
}

#[test]
fn a_sound_history_keeps_every_claim() {
    assert_eq!(broken(sound()), Vec::<&str>::new());
    assert_eq!(broken([sound(), forward([2, 3]).into()].concat()), Vec::<&str>::new());
}

#[test]
fn corrupted_logs_are_found() {
    corrupt("the log is dense", |facts| {
        let at = at(facts, &Fact::Committed(message(2)));
        facts[at] = Fact::Committed(Row { seq: Seq(7), ..message(2) });
    });
    corrupt("a client_id is stored once", |facts| {
        facts.push(Fact::Committed(Row { client_id: message(1).client_id, ..message(6) }));
    });
    corrupt("what is acked stays", |facts| {
        let at = at(facts, &Fact::Committed(message(2)));
        facts.remove(at);
    });
    corrupt("what is acked stays", |facts| {
        let at = at(facts, &Fact::Committed(message(2)));
        facts.swap(at, at + 1);
    });
    corrupt("what is acked stays", |facts| {
        let at = at(facts, &Fact::Committed(message(2)));
        facts[at] = Fact::Committed(Row { text: Some("other".into()), ..message(2) });
    });
    corrupt("what is refused stays out", |facts| {
        let at = at(facts, &ack(2, 2));
        facts[at] = Fact::Answered { op: 2, end: End::Refused("archived".into()) };
    });
    // One of a forward's messages is missing, is elsewhere, or all are.
    for client_ids in [[1, 7], [7, 1], [1, 3], [2, 1], [8, 9]] {
        corrupt("a forward is sent as a whole", |facts| facts.extend(forward(client_ids)));
    }
    corrupt("a socket's sends keep their order", |facts| {
        let (first, second) = (at(facts, &post(1, 1)), at(facts, &post(2, 2)));
        facts[first] = post(1, 2);
        facts[second] = post(2, 1);
        let (first, second) = (at(facts, &ack(1, 1)), at(facts, &ack(2, 2)));
        facts[first] = ack(1, 2);
        facts[second] = ack(2, 1);
    });
}

#[test]
fn corrupted_answers_are_found() {
    corrupt("every attempt has an answer in time", |facts| {
        let at = at(facts, &ack(3, 3));
        facts.remove(at);
    });
    corrupt("every attempt has an answer in time", |facts| {
        let at = at(facts, &ack(1, 1));
        let late = facts.remove(at);
        facts.push(late);
    });
    corrupt("an ack comes before its message's frame", |facts| {
        let at = at(facts, &ack(2, 2));
        facts.swap(at, at + 1);
    });
}

#[test]
fn corrupted_deliveries_are_found() {
    let once = "each row is received once, in order, without a gap";
    corrupt(once, |facts| {
        let at = at(facts, &received(1, message(2)));
        facts.remove(at);
    });
    corrupt(once, |facts| {
        let at = at(facts, &received(2, message(2)));
        facts.insert(at, received(2, message(2)));
    });
    corrupt(once, |facts| {
        let at = at(facts, &Fact::Joining { conn: 3, room: room(), since: Some(Seq(2)) });
        facts[at] = Fact::Joining { conn: 3, room: room(), since: Some(Seq(1)) };
    });
    corrupt("nothing is received before its commit, or differently", |facts| {
        let at = at(facts, &Fact::Committed(message(1)));
        facts.swap(at, at + 2);
    });
    corrupt("nothing is received before its commit, or differently", |facts| {
        let at = at(facts, &received(2, message(1)));
        facts[at] = received(2, Row { text: Some("other".into()), ..message(1) });
    });
    corrupt("nothing after a removal", |facts| {
        let at = at(facts, &Fact::Closed { conn: 3, code: Some(4403) });
        facts.insert(at, received(3, message(6)));
        facts.insert(at, Fact::Committed(message(6)));
    });
    corrupt("deleted texts are gone from replays", |facts| {
        let gone =
            facts.iter().position(|fact| matches!(fact, Fact::Received { conn: 3, .. })).expect("it is");
        facts[gone] = received(3, message(3));
    });
    corrupt("nothing is received before its commit, or differently", |facts| {
        let at = at(facts, &received(1, deletion(ANN, "author")));
        facts[at] = received(1, deletion(ANN, "moderator"));
    });
    corrupt("nothing is received before its commit, or differently", |facts| {
        let at = at(facts, &received(1, message(2)));
        facts[at] = received(1, Row { root: message(1).message, ..message(2) });
    });
    for wrong in [deletion(BOB, "moderator"), deletion(BOB, "author"), deletion(ANN, "moderator")] {
        corrupt("messages are deleted by right", |facts| {
            let at = at(facts, &Fact::Committed(deletion(ANN, "author")));
            facts[at] = Fact::Committed(wrong);
        });
    }
    for settings in [json!({"posting": "admins"}), json!({"slow_mode_seconds": 60})] {
        corrupt("nobody writes against a room's settings", |facts| {
            let settings = serde_json::from_value(settings).expect("settings");
            facts.insert(0, Fact::Committed(Row { settings: Some(settings), ..row(0, "room_updated") }));
        });
    }
    // Bob joins at the third message, and sees no more than that.
    let visible = "nobody sees what was before";
    let joins_late = |facts: &mut Vec<Fact>| {
        let settings = serde_json::from_value(json!({"history": "joined"})).expect("settings");
        let joined = Row { user: Some(BOB), ..row(3, "participant_joined") };
        let settings = Row { settings: Some(settings), ..row(0, "room_updated") };
        facts.splice(0..0, [Fact::Committed(settings), Fact::Committed(joined)]);
        let at = at(facts, &Fact::Joined { conn: 2, room: room(), head: Seq(0) });
        facts[at] = Fact::Joined { conn: 2, room: room(), head: Seq(3) };
    };
    corrupt(visible, joins_late);
    corrupt(visible, |facts| {
        let at = at(facts, &received(2, message(1)));
        facts[at] = received(2, row(1, "event_hidden"));
    });
    corrupt("no right, no message", |facts| {
        facts.insert(0, Fact::RightsChanged { user: ANN, is_active: false });
    });
    corrupt("no right, no message", |facts| {
        let at = at(facts, &Fact::Healed);
        facts.insert(at, Fact::Revoked { user: ANN, from: 2 });
        facts.splice(at + 2..at + 2, (0..30).map(|_| Fact::Synced { conn: 1, room: room(), seq: Seq(5) }));
    });
}

#[test]
fn corrupted_refusals_are_found() {
    let refusals = "a refused connection has no effect and receives nothing";
    let refused = Fact::Opened { conn: 4, user: BOB, node: 0, issued_at: 1 };
    corrupt(refusals, |facts| facts.insert(0, Fact::Revoked { user: BOB, from: 2 }));
    corrupt(refusals, |facts| {
        let early = Fact::ReceivedEarly { conn: 4, kind: "read_state".into() };
        facts.extend([refused.clone(), early, Fact::Closed { conn: 4, code: Some(4401) }]);
    });
    // Ann's third message comes by a connection that is refused.
    corrupt(refusals, |facts| {
        let at = at(facts, &post(3, 3));
        if let Fact::Asked { request: Request::Post { conn, .. }, .. } = &mut facts[at] {
            *conn = Some(4);
        }
        facts.insert(at, refused.clone());
        facts.push(Fact::Closed { conn: 4, code: Some(4409) });
    });
}

#[test]
fn corrupted_final_states_are_found() {
    corrupt("read marks only rise", |facts| {
        let at = at(facts, &mark(1));
        facts.swap(at, at + 1);
    });
    corrupt("read marks only rise", |facts| facts.push(mark(9)));
    corrupt("everyone comes to the head", |facts| {
        let at = at(facts, &Fact::Reached { conn: 1, user: ANN, room: room(), seq: Seq(5) });
        facts[at] = Fact::Reached { conn: 1, user: ANN, room: room(), seq: Seq(4) };
    });
    corrupt("everyone comes to the head", |facts| {
        let at = at(facts, &Fact::Reached { conn: 1, user: ANN, room: room(), seq: Seq(5) });
        facts.remove(at);
    });
    corrupt("unread equals a recount", |facts| {
        facts.push(Fact::Recount { user: ANN, rooms: BTreeMap::from([(room(), 1)]), total: 1 });
    });
    let lists = "lists equal what the store has";
    for (listed_rows, total, total_mentions) in [
        (listed_rows("Cellar"), 0, 0),
        (BTreeMap::new(), 0, 0),
        (listed_rows("Roof"), 1, 0),
        (listed_rows("Roof"), 0, 1),
    ] {
        let listed = Fact::Listed { conn: 1, user: ANN, listed_rows, total, total_mentions };
        corrupt(lists, |facts| facts.push(listed));
    }
    corrupt(lists, |facts| {
        facts.push(Fact::StoredList { user: ANN, listed_rows: BTreeMap::new(), total: 0, total_mentions: 0 });
    });
    corrupt("folded messages equal the store's", |facts| {
        facts.push(Fact::Folded { conn: 1, room: room(), messages: folded("1 reply") });
    });
    corrupt("nobody types for ever", |facts| {
        facts.push(Fact::Typing { node: 1, room: room(), users: vec![ANN] });
    });
    corrupt("presence is right", |facts| {
        let sees = Fact::SeesOnline { conn: 1, room: room(), users: BTreeSet::from([ANN]) };
        let at = at(facts, &sees);
        facts[at] = Fact::SeesOnline { conn: 1, room: room(), users: BTreeSet::new() };
    });
    corrupt("nothing is left behind", |facts| {
        facts.push(Fact::Left { node: 1, what: "sockets", count: 1 });
    });
}
