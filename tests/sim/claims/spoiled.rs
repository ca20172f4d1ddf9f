//! The claims themselves are tested: a sound history keeps all of them, and each way to spoil it breaks
//! the one that is meant.

use std::collections::{BTreeMap, BTreeSet};

use actors::domain::ids::{ClientId, MessageId, RoomId, Seq, UserId};
use uuid::Uuid;

use super::ALL;
use crate::history::{End, Entry, Fact, History, Row, Wish};

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
        user: None,
        says: None,
        by: Some(ANN),
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
    Fact::Asked { op, user: ANN, room: room(), wish: Wish::Post { client_id, text, conn: Some(1) } }
}

fn ack(op: u64, seq: i64) -> Fact {
    let message = message(seq).message.expect("it has one");
    Fact::Answered { op, end: End::Acked { message, seq: Seq(seq), duplicate: false } }
}

fn told(conn: u64, row: Row) -> Fact {
    Fact::Told { conn, row }
}

fn mark(up_to: i64) -> Fact {
    Fact::Marked { conn: 2, room: room(), user: ANN, up_to: Seq(up_to) }
}

/// The third message's end.
fn deletion(by: UserId, right: &str) -> Row {
    let says = Some(right.to_owned());
    Row { message: message(3).message, says, by: Some(by), ..row(4, "message_deleted") }
}

fn lines(name: &str) -> BTreeMap<RoomId, String> {
    BTreeMap::from([(room(), name.to_owned())])
}

/// Ann sends three messages and deletes the last one; Bob hears two, comes back for the others, and is
/// removed after that.
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
        told(1, message(1)),
        told(2, message(1)),
        post(2, 2),
        Fact::Committed(message(2)),
        ack(2, 2),
        told(1, message(2)),
        told(2, message(2)),
        mark(1),
        mark(2),
        Fact::Closed { conn: 2, code: None },
        post(3, 3),
        Fact::Committed(message(3)),
        ack(3, 3),
        told(1, message(3)),
        Fact::Committed(deleted.clone()),
        told(1, deleted.clone()),
        Fact::Opened { conn: 3, user: BOB, node: 0, issued_at: 1 },
        joining(3, since),
        Fact::LetIn { conn: 3 },
        joined(3, 4),
        told(3, gone),
        told(3, deleted),
        Fact::Synced { conn: 3, room, seq: Seq(4) },
        Fact::Committed(left.clone()),
        told(1, left.clone()),
        told(3, left),
        Fact::Closed { conn: 3, code: Some(4403) },
        Fact::Healed,
        Fact::Reached { conn: 1, user: ANN, room, seq: Seq(5) },
        Fact::Unread { conn: 1, user: ANN, rooms: BTreeMap::from([(room, 0)]), total: Some(0) },
        Fact::Listed { conn: 1, user: ANN, lines: lines("Roof"), total: 0 },
        Fact::Roster { room, head: Seq(5), users: BTreeSet::from([ANN]) },
        Fact::Wanting { user: ANN, room },
        Fact::Recount { user: ANN, rooms: BTreeMap::from([(room, 0)]), total: 0 },
        Fact::Lines { user: ANN, lines: lines("Roof"), total: 0 },
        Fact::SeesOnline { conn: 1, room, users: BTreeSet::from([ANN]) },
        Fact::Typing { node: 0, room, users: Vec::new() },
        Fact::Closed { conn: 1, code: Some(1000) },
        Fact::Left { node: 0, what: "rooms", count: 0 },
    ]
}

fn history(facts: Vec<Fact>) -> History {
    // Far enough apart that nothing is doubtful, close enough that nothing is late.
    History(facts.into_iter().zip(1..).map(|(fact, step)| Entry { at: step * 400, fact }).collect())
}

fn broken(facts: Vec<Fact>) -> Vec<&'static str> {
    let history = history(facts);
    ALL.iter().filter(|(_, check)| check(&history).is_err()).map(|(name, _)| *name).collect()
}

fn at(facts: &[Fact], fact: &Fact) -> usize {
    facts.iter().position(|other| other == fact).expect("the sound history has it")
}

/// Spoils the sound history and says which claim that must break.
fn spoil(claim: &str, how: impl FnOnce(&mut Vec<Fact>)) {
    let mut facts = sound();
    how(&mut facts);
    let broken = broken(facts);
    assert!(broken.contains(&claim), "{claim} does not see it, only {broken:?}");
}

#[test]
fn a_sound_history_keeps_every_claim() {
    assert_eq!(broken(sound()), Vec::<&str>::new());
}

#[test]
fn the_log_is_spoiled() {
    spoil("the log is dense", |facts| {
        let at = at(facts, &Fact::Committed(message(2)));
        facts[at] = Fact::Committed(Row { seq: Seq(7), ..message(2) });
    });
    spoil("a client_id is stored once", |facts| {
        facts.push(Fact::Committed(Row { client_id: message(1).client_id, ..message(6) }));
    });
    spoil("what is acked stays", |facts| {
        let at = at(facts, &Fact::Committed(message(2)));
        facts.remove(at);
    });
    spoil("what is acked stays", |facts| {
        let at = at(facts, &Fact::Committed(message(2)));
        facts.swap(at, at + 1);
    });
    spoil("what is acked stays", |facts| {
        let at = at(facts, &Fact::Committed(message(2)));
        facts[at] = Fact::Committed(Row { text: Some("other".into()), ..message(2) });
    });
    spoil("what is refused stays out", |facts| {
        let at = at(facts, &ack(2, 2));
        facts[at] = Fact::Answered { op: 2, end: End::Refused("archived".into()) };
    });
    spoil("a socket's sends keep their order", |facts| {
        let (first, second) = (at(facts, &post(1, 1)), at(facts, &post(2, 2)));
        facts[first] = post(1, 2);
        facts[second] = post(2, 1);
        let (first, second) = (at(facts, &ack(1, 1)), at(facts, &ack(2, 2)));
        facts[first] = ack(1, 2);
        facts[second] = ack(2, 1);
    });
}

#[test]
fn answers_are_spoiled() {
    spoil("every attempt has an answer in time", |facts| {
        let at = at(facts, &ack(3, 3));
        facts.remove(at);
    });
    spoil("every attempt has an answer in time", |facts| {
        let at = at(facts, &ack(1, 1));
        let late = facts.remove(at);
        facts.push(late);
    });
    spoil("an ack comes before its message's frame", |facts| {
        let at = at(facts, &ack(2, 2));
        facts.swap(at, at + 1);
    });
}

#[test]
fn deliveries_are_spoiled() {
    let once = "each row is told once, in order, without a hole";
    spoil(once, |facts| {
        let at = at(facts, &told(1, message(2)));
        facts.remove(at);
    });
    spoil(once, |facts| {
        let at = at(facts, &told(2, message(2)));
        facts.insert(at, told(2, message(2)));
    });
    spoil(once, |facts| {
        let at = at(facts, &Fact::Joining { conn: 3, room: room(), since: Some(Seq(2)) });
        facts[at] = Fact::Joining { conn: 3, room: room(), since: Some(Seq(1)) };
    });
    spoil("nothing is told before its commit, or otherwise", |facts| {
        let at = at(facts, &Fact::Committed(message(1)));
        facts.swap(at, at + 2);
    });
    spoil("nothing is told before its commit, or otherwise", |facts| {
        let at = at(facts, &told(2, message(1)));
        facts[at] = told(2, Row { text: Some("other".into()), ..message(1) });
    });
    spoil("nothing after a removal", |facts| {
        let at = at(facts, &Fact::Closed { conn: 3, code: Some(4403) });
        facts.insert(at, told(3, message(6)));
        facts.insert(at, Fact::Committed(message(6)));
    });
    spoil("deleted texts are gone from replays", |facts| {
        let gone = facts.iter().position(|fact| matches!(fact, Fact::Told { conn: 3, .. })).expect("it is");
        facts[gone] = told(3, message(3));
    });
    spoil("nothing is told before its commit, or otherwise", |facts| {
        let at = at(facts, &told(1, deletion(ANN, "author")));
        facts[at] = told(1, deletion(ANN, "moderator"));
    });
    for wrong in [deletion(BOB, "moderator"), deletion(BOB, "author"), deletion(ANN, "moderator")] {
        spoil("who deletes has the right to", |facts| {
            let at = at(facts, &Fact::Committed(deletion(ANN, "author")));
            facts[at] = Fact::Committed(wrong);
        });
    }
    spoil("no right, no message", |facts| {
        facts.insert(0, Fact::RightsChanged { user: ANN, is_active: false });
    });
    spoil("no right, no message", |facts| {
        let at = at(facts, &Fact::Healed);
        facts.insert(at, Fact::Revoked { user: ANN, from: 2 });
        facts.splice(at + 2..at + 2, (0..30).map(|_| Fact::Synced { conn: 1, room: room(), seq: Seq(5) }));
    });
}

#[test]
fn refusals_are_spoiled() {
    let refusals = "a refused connection has no effect and is told nothing";
    let refused = Fact::Opened { conn: 4, user: BOB, node: 0, issued_at: 1 };
    spoil(refusals, |facts| facts.insert(0, Fact::Revoked { user: BOB, from: 2 }));
    spoil(refusals, |facts| {
        let early = Fact::ToldEarly { conn: 4, kind: "read_state".into() };
        facts.extend([refused.clone(), early, Fact::Closed { conn: 4, code: Some(4401) }]);
    });
    // Ann's third message comes by a connection that is told that it may not in.
    spoil(refusals, |facts| {
        let at = at(facts, &post(3, 3));
        if let Fact::Asked { wish: Wish::Post { conn, .. }, .. } = &mut facts[at] {
            *conn = Some(4);
        }
        facts.insert(at, refused.clone());
        facts.push(Fact::Closed { conn: 4, code: Some(4409) });
    });
}

#[test]
fn what_is_so_at_the_end_is_spoiled() {
    spoil("read marks only rise", |facts| {
        let at = at(facts, &mark(1));
        facts.swap(at, at + 1);
    });
    spoil("read marks only rise", |facts| facts.push(mark(9)));
    spoil("everyone comes to the head", |facts| {
        let at = at(facts, &Fact::Reached { conn: 1, user: ANN, room: room(), seq: Seq(5) });
        facts[at] = Fact::Reached { conn: 1, user: ANN, room: room(), seq: Seq(4) };
    });
    spoil("everyone comes to the head", |facts| {
        let at = at(facts, &Fact::Reached { conn: 1, user: ANN, room: room(), seq: Seq(5) });
        facts.remove(at);
    });
    spoil("unread equals a recount", |facts| {
        facts.push(Fact::Recount { user: ANN, rooms: BTreeMap::from([(room(), 1)]), total: 1 });
    });
    let lists = "what is told of lists comes to what they are";
    for (lines, total) in [(lines("Cellar"), 0), (BTreeMap::new(), 0), (lines("Roof"), 1)] {
        spoil(lists, |facts| facts.push(Fact::Listed { conn: 1, user: ANN, lines, total }));
    }
    spoil(lists, |facts| facts.push(Fact::Lines { user: ANN, lines: BTreeMap::new(), total: 0 }));
    spoil("nobody types for ever", |facts| {
        facts.push(Fact::Typing { node: 1, room: room(), users: vec![ANN] });
    });
    spoil("presence is right", |facts| {
        let sees = Fact::SeesOnline { conn: 1, room: room(), users: BTreeSet::from([ANN]) };
        let at = at(facts, &sees);
        facts[at] = Fact::SeesOnline { conn: 1, room: room(), users: BTreeSet::new() };
    });
    spoil("nothing is left behind", |facts| {
        facts.push(Fact::Left { node: 1, what: "sockets", count: 1 });
    });
}
