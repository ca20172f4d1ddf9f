//! Compares what was observed during a run with the final logs. Knows nothing about how the run was produced.

use std::collections::{BTreeMap, BTreeSet};

/// The observations of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// The final log of each room, as reported by each node.
    pub(crate) logs: BTreeMap<String, Vec<Vec<Row>>>,
    /// Acknowledged sends.
    pub(crate) acked: Vec<Acked>,
    /// Sends that were refused permanently.
    pub(crate) refused: BTreeSet<String>,
    /// Sends without an answer in time on an open socket.
    pub(crate) unanswered: Vec<String>,
    /// What each member of a room received, over all its connections.
    pub(crate) deliveries: Vec<Deliveries>,
    /// What users received on a connection after they were removed from the room.
    pub(crate) after_removal: Vec<(String, i64)>,
}

/// A position in a log, and the `client_id` of the send that it came from, if any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) seq: i64,
    pub(crate) client_id: Option<String>,
}

/// An acknowledged send.
#[derive(Clone, Debug)]
pub(crate) struct Acked {
    pub(crate) room: String,
    pub(crate) client_id: String,
    pub(crate) seq: i64,
}

/// What one member received.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deliveries {
    pub(crate) who: String,
    pub(crate) room: String,
    pub(crate) rows: Vec<Row>,
}

/// All violations in a run; empty if it is correct.
pub(crate) fn violations(history: &History) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut stored: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for (room, logs) in &history.logs {
        let Some(log) = logs.first() else { continue };
        if logs.iter().any(|other| other != log) {
            wrong.push(format!("room {room}: nodes tell different logs"));
        }
        for (row, expected) in log.iter().zip(1..) {
            if row.seq != expected {
                wrong.push(format!("room {room}: {} where {expected} should be", row.seq));
                break;
            }
        }
        for row in log {
            let Some(client_id) = &row.client_id else { continue };
            if stored.insert((room, client_id), row.seq).is_some() {
                wrong.push(format!("room {room}: {client_id} is stored twice"));
            }
            if history.refused.contains(client_id) {
                wrong.push(format!("room {room}: {client_id} was refused and is stored"));
            }
        }
    }
    for Acked { room, client_id, seq } in &history.acked {
        match stored.get(&(room.as_str(), client_id.as_str())) {
            Some(at) if at == seq => {}
            Some(at) => wrong.push(format!("room {room}: {client_id} acked at {seq}, stored at {at}")),
            None => wrong.push(format!("room {room}: {client_id} acked at {seq} and lost")),
        }
    }
    for client_id in &history.unanswered {
        wrong.push(format!("{client_id} was not answered"));
    }
    for Deliveries { who, room, rows } in &history.deliveries {
        let empty = Vec::new();
        let log = history.logs.get(room).and_then(|logs| logs.first()).unwrap_or(&empty);
        if let Some((at, (got, is))) = rows.iter().zip(log).enumerate().find(|(_, (got, is))| got != is) {
            wrong.push(format!("{who} in room {room}: got {got:?} as number {at}, and it is {is:?}"));
        } else if rows.len() != log.len() {
            wrong.push(format!("{who} in room {room}: got {} of {}", rows.len(), log.len()));
        }
    }
    for (who, seq) in &history.after_removal {
        wrong.push(format!("{who} was sent {seq} after the removal"));
    }
    wrong
}

/// A corruption of a run.
type Corruption<'a> = &'a dyn Fn(&mut History);

/// A correct run, to be corrupted.
fn clean() -> History {
    let log: Vec<Row> =
        (1..=6).map(|seq| Row { seq, client_id: (seq > 2).then(|| format!("send {seq}")) }).collect();
    let acked = (3..=6).map(|seq| Acked { room: "roof".to_owned(), client_id: format!("send {seq}"), seq });
    let deliveries = ["ann", "bob"].map(|who| Deliveries {
        who: who.to_owned(),
        room: "roof".to_owned(),
        rows: log.clone(),
    });
    History {
        logs: BTreeMap::from([("roof".to_owned(), vec![log.clone(), log])]),
        acked: acked.collect(),
        deliveries: deliveries.to_vec(),
        ..History::default()
    }
}

#[test]
fn each_corruption_of_a_history_is_detected() {
    assert_eq!(violations(&clean()), Vec::<String>::new());
    let roof = "roof".to_owned();
    let corruptions: [(&str, Corruption); 12] = [
        ("an acked send is lost", &|h| {
            let acked = Acked { room: "roof".into(), client_id: "send 7".into(), seq: 7 };
            h.acked.push(acked);
        }),
        ("an ack names another position", &|h| h.acked[0].seq = 4),
        ("a hole in the log", &|h| h.logs.values_mut().flatten().for_each(|log| drop(log.remove(3)))),
        ("a send is stored twice", &|h| {
            h.logs.values_mut().flatten().for_each(|log| log[4].client_id = log[3].client_id.clone());
        }),
        ("nodes differ", &|h| drop(h.logs.get_mut(&roof).unwrap()[1].pop())),
        ("a refused send is stored", &|h| _ = h.refused.insert("send 3".into())),
        ("no answer", &|h| h.unanswered.push("send 9".into())),
        ("a delivery is missing", &|h| drop(h.deliveries[0].rows.remove(2))),
        ("the last delivery is missing", &|h| drop(h.deliveries[0].rows.pop())),
        ("a delivery comes twice", &|h| {
            let row = h.deliveries[1].rows[2].clone();
            h.deliveries[1].rows.insert(2, row);
        }),
        ("deliveries change places", &|h| h.deliveries[1].rows.swap(3, 4)),
        ("something after a removal", &|h| h.after_removal.push(("bob".into(), 6))),
    ];
    for (what, corrupt) in corruptions {
        let mut history = clean();
        corrupt(&mut history);
        assert!(!violations(&history).is_empty(), "{what}");
    }
}
