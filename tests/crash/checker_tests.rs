//! Tests of the checker: a good history passes, and each corruption is detected by the intended claim.

use std::time::Duration;

use crate::checker::{CLAIMS, check};
use crate::history::{History, Observation, Row};

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn row(send: &str) -> Row {
    Row {
        kind: "chat_message".into(),
        message: format!("m-{send}"),
        send: send.into(),
        text: format!("text of {send}"),
    }
}

fn sent(send: &str, connection: usize, seconds: u64) -> Observation {
    Observation::Sent { send: send.into(), text: format!("text of {send}"), connection, at: at(seconds) }
}

fn acked(send: &str, seq: i64, connection: usize, seconds: u64) -> Observation {
    Observation::Acked { send: send.into(), seq, message: format!("m-{send}"), connection, at: at(seconds) }
}

fn delivered(seq: i64, what: Row) -> Observation {
    Observation::Delivered { seq, what }
}

/// Two clients. The first sends `a`, `b` and, interrupted and retried, `c`; its `d` is refused. The second
/// receives everything until it is removed.
fn good() -> History {
    let made = Row { kind: "room_updated".into(), ..Row::default() };
    let left = Row { kind: "participant_left".into(), ..Row::default() };
    let log = vec![(1, made), (2, row("a")), (3, row("b")), (4, row("c")), (5, left.clone())];
    let first = vec![
        sent("a", 1, 1),
        sent("b", 1, 1),
        acked("a", 2, 1, 2),
        delivered(2, row("a")),
        acked("b", 3, 1, 2),
        delivered(3, row("b")),
        sent("c", 1, 3),
        Observation::Cut { at: at(4) },
        sent("c", 2, 5),
        delivered(4, row("c")),
        acked("c", 4, 2, 6),
        sent("d", 2, 7),
        Observation::Refused { send: "d".into(), code: "unavailable".into(), at: at(12) },
        delivered(5, left.clone()),
    ];
    let second = vec![
        delivered(2, row("a")),
        delivered(3, row("b")),
        delivered(4, row("c")),
        delivered(5, left),
        Observation::Removed { seq: 5 },
    ];
    History { since: 1, log, clients: vec![first, second] }
}

#[test]
fn a_good_history_passes() {
    assert_eq!(check(&good()), []);
}

/// A corruption of the good history.
type Corruption = fn(&mut History);

#[test]
fn each_corrupted_history_is_detected() {
    let corruptions: [(&str, &str, Corruption); 18] = [
        ("a hole in the log", "the log has no hole", |h| h.log[3].0 = 5),
        ("a position twice", "the log has no hole", |h| h.log[3].0 = 3),
        ("a log that begins at 2", "the log has no hole", |h| drop(h.log.remove(0))),
        ("a send stored twice", "no send is stored twice", |h| h.log.push((6, row("a")))),
        ("an acknowledged row gone", "what is acknowledged is stored", |h| h.log[2].1 = row("x")),
        ("an acknowledged row elsewhere", "what is acknowledged is stored", |h| {
            h.log.swap(1, 2);
            (h.log[1].0, h.log[2].0) = (2, 3);
        }),
        ("two answers to one send", "all acknowledgements of a send agree", |h| {
            h.clients[0].push(acked("a", 3, 2, 9));
        }),
        ("a changed text", "what is stored was sent so", |h| h.log[1].1.text = "other".into()),
        ("a row that nobody sent", "what is stored was sent so", |h| h.log.push((6, row("ghost")))),
        ("a refused row stored", "what was refused is not stored", |h| h.log.push((6, row("d")))),
        ("delivered what was never stored", "what is delivered is in the log", |h| {
            h.clients[1].insert(3, delivered(6, row("z")));
        }),
        ("delivered with another text", "what is delivered is in the log", |h| {
            h.clients[1][0] = delivered(2, row("b"));
        }),
        ("delivered twice", "deliveries are in order", |h| h.clients[1].insert(1, delivered(2, row("a")))),
        ("delivered out of order", "deliveries are in order", |h| h.clients[1].swap(0, 1)),
        ("one left out in the middle", "nothing is left out", |h| drop(h.clients[1].remove(1))),
        ("delivered after the removal", "nothing is delivered after a removal", |h| h.clients[1].swap(3, 4)),
        ("sends that changed places", "one connection's sends keep their order", |h| h.clients[0].swap(0, 1)),
        ("an answer after 20 s", "every send is answered in time", |h| {
            h.clients[0][2] = acked("a", 2, 1, 21);
        }),
    ];
    for (name, claim, corrupt) in corruptions {
        let mut history = good();
        corrupt(&mut history);
        let broken = check(&history);
        assert!(broken.iter().any(|(broken, _)| *broken == claim), "{name}: {broken:?}");
    }
    for (claim, _) in CLAIMS {
        assert!(corruptions.iter().any(|(_, caught, _)| *caught == claim), "nothing breaks: {claim}");
    }
}

#[test]
fn a_missing_answer_is_detected() {
    let mut history = good();
    history.clients[1].insert(0, sent("e", 1, 1));
    assert_eq!(check(&history).first().map(|broken| broken.0), Some("every send is answered in time"));
}

#[test]
fn a_send_with_unknown_outcome_may_be_stored_or_not() {
    let mut history = good();
    history.clients[0][12] =
        Observation::Refused { send: "d".into(), code: "unknown_outcome".into(), at: at(12) };
    assert_eq!(check(&history), []);
    history.log.push((6, row("d")));
    history.clients[0].push(delivered(6, row("d")));
    assert_eq!(check(&history), []);
}
