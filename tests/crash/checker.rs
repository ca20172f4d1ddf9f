//! What must hold of every history: one claim a function, each as simple as it can be said.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::history::{History, Note};

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// A claim that may be found broken.
pub type Claim = fn(&History) -> Result<(), String>;

/// All claims by name.
pub const CLAIMS: [(&str, Claim); 12] = [
    ("the log has no hole", the_log_has_no_hole),
    ("no send is stored twice", no_send_is_stored_twice),
    ("what is acknowledged is stored", what_is_acknowledged_is_stored),
    ("all acknowledgements of a send agree", all_acknowledgements_agree),
    ("what is stored was sent so", what_is_stored_was_sent_so),
    ("what was refused is not stored", what_was_refused_is_not_stored),
    ("what is told is in the log", what_is_told_is_in_the_log),
    ("what is told rises", what_is_told_rises),
    ("nothing is left out", nothing_is_left_out),
    ("nothing is told after a removal", nothing_is_told_after_a_removal),
    ("one connection's sends keep their order", sends_keep_their_order),
    ("every send is answered in time", every_send_is_answered_in_time),
];

/// The names of the claims that are broken, with what broke them.
pub fn check(history: &History) -> Vec<(&'static str, String)> {
    CLAIMS.iter().filter_map(|(name, claim)| claim(history).err().map(|why| (*name, why))).collect()
}

fn fail(why: impl Into<String>) -> Result<(), String> {
    Err(why.into())
}

fn the_log_has_no_hole(history: &History) -> Result<(), String> {
    for (index, (seq, _)) in history.log.iter().enumerate() {
        if usize::try_from(*seq) != Ok(index + 1) {
            return fail(format!("position {seq} at place {}", index + 1));
        }
    }
    Ok(())
}

fn no_send_is_stored_twice(history: &History) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for (seq, row) in history.log.iter().filter(|(_, row)| !row.send.is_empty()) {
        if !seen.insert(&row.send) {
            return fail(format!("{} again at {seq}", row.send));
        }
    }
    Ok(())
}

fn what_is_acknowledged_is_stored(history: &History) -> Result<(), String> {
    let stored: BTreeMap<i64, _> = history.log.iter().map(|(seq, row)| (*seq, row)).collect();
    for (client, note) in history.notes() {
        let Note::Acked { send, seq, message, .. } = note else { continue };
        if !stored.get(seq).is_some_and(|row| row.send == *send && row.message == *message) {
            return fail(format!("client {client}: {send} at {seq} is not there"));
        }
    }
    Ok(())
}

fn all_acknowledgements_agree(history: &History) -> Result<(), String> {
    let mut first = BTreeMap::new();
    for (client, note) in history.notes() {
        let Note::Acked { send, seq, message, .. } = note else { continue };
        if *first.entry(send).or_insert((seq, message)) != (seq, message) {
            return fail(format!("client {client}: {send} at {seq}, and elsewhere"));
        }
    }
    Ok(())
}

fn what_is_stored_was_sent_so(history: &History) -> Result<(), String> {
    let sent: BTreeSet<_> = history
        .notes()
        .filter_map(
            |(_, note)| if let Note::Sent { send, text, .. } = note { Some((send, text)) } else { None },
        )
        .collect();
    for (seq, row) in history.log.iter().filter(|(_, row)| !row.send.is_empty()) {
        if !sent.contains(&(&row.send, &row.text)) {
            return fail(format!("nobody sent what is at {seq}"));
        }
    }
    Ok(())
}

fn what_was_refused_is_not_stored(history: &History) -> Result<(), String> {
    let stored: BTreeSet<&String> = history.log.iter().map(|(_, row)| &row.send).collect();
    for notes in &history.clients {
        // A send counts by its last answer, unless it was cut off or nobody knew: then it may be either.
        let mut last: BTreeMap<&String, (bool, bool)> = BTreeMap::new();
        for note in notes {
            match note {
                Note::Sent { send, .. } => last.entry(send).or_default().0 = true,
                Note::Acked { send, .. } => last.entry(send).or_default().1 = true,
                Note::Refused { send, code, .. } => {
                    let (open, may_be) = last.entry(send).or_default();
                    *open = false;
                    *may_be |= code == "unknown_outcome";
                }
                Note::Cut { .. } => {
                    for (open, may_be) in last.values_mut() {
                        *may_be |= *open;
                    }
                }
                _ => {}
            }
        }
        if let Some((send, _)) =
            last.iter().find(|(send, (open, may_be))| !open && !may_be && stored.contains(*send))
        {
            return fail(format!("{send} was refused"));
        }
    }
    Ok(())
}

fn what_is_told_is_in_the_log(history: &History) -> Result<(), String> {
    let stored: BTreeMap<i64, _> = history.log.iter().map(|(seq, row)| (*seq, row)).collect();
    for (client, note) in history.notes() {
        let Note::Told { seq, what } = note else { continue };
        if stored.get(seq) != Some(&what) {
            return fail(format!("client {client} was told another {seq}"));
        }
    }
    Ok(())
}

fn positions(notes: &[Note]) -> impl Iterator<Item = i64> {
    notes.iter().filter_map(|note| if let Note::Told { seq, .. } = note { Some(*seq) } else { None })
}

fn what_is_told_rises(history: &History) -> Result<(), String> {
    for (client, notes) in history.clients.iter().enumerate() {
        let mut last = history.since;
        for seq in positions(notes) {
            if seq <= last {
                return fail(format!("client {client}: {seq} after {last}"));
            }
            last = seq;
        }
    }
    Ok(())
}

fn nothing_is_left_out(history: &History) -> Result<(), String> {
    let head = history.log.last().map_or(0, |(seq, _)| *seq);
    for (client, notes) in history.clients.iter().enumerate() {
        let told: BTreeSet<i64> = positions(notes).collect();
        let end =
            notes.iter().find_map(|note| if let Note::Removed { seq } = note { Some(*seq) } else { None });
        if let Some(missing) = (history.since + 1..=end.unwrap_or(head)).find(|seq| !told.contains(seq)) {
            let last = told.last().copied().unwrap_or(history.since);
            return fail(format!("client {client} was not told {missing} of {head}, and {last} last"));
        }
    }
    Ok(())
}

fn nothing_is_told_after_a_removal(history: &History) -> Result<(), String> {
    for (client, notes) in history.clients.iter().enumerate() {
        let removed = notes.iter().position(|note| matches!(note, Note::Removed { .. }));
        if removed.is_some_and(|at| positions(&notes[at..]).next().is_some()) {
            return fail(format!("client {client} still heard"));
        }
    }
    Ok(())
}

fn sends_keep_their_order(history: &History) -> Result<(), String> {
    for (client, notes) in history.clients.iter().enumerate() {
        let acked: BTreeMap<(&String, usize), i64> = notes
            .iter()
            .filter_map(|note| match note {
                Note::Acked { send, seq, connection, .. } => Some(((send, *connection), *seq)),
                _ => None,
            })
            .collect();
        let mut tried = BTreeSet::new();
        let mut last: BTreeMap<usize, i64> = BTreeMap::new();
        for note in notes {
            let Note::Sent { send, connection, .. } = note else { continue };
            let is_first_try = tried.insert(send);
            let Some(seq) = acked.get(&(send, *connection)).filter(|_| is_first_try) else { continue };
            if last.insert(*connection, *seq).is_some_and(|before| before > *seq) {
                return fail(format!("client {client}: {send} came to {seq}"));
            }
        }
    }
    Ok(())
}

fn every_send_is_answered_in_time(history: &History) -> Result<(), String> {
    for (client, notes) in history.clients.iter().enumerate() {
        let mut open: BTreeMap<&String, Duration> = BTreeMap::new();
        for note in notes {
            let (closed, now): (Vec<&String>, Duration) = match note {
                Note::Sent { send, at, .. } => {
                    open.insert(send, *at);
                    continue;
                }
                Note::Acked { send, at, .. } | Note::Refused { send, at, .. } => (vec![send], *at),
                Note::Cut { at } => (open.keys().copied().collect(), *at),
                Note::Told { .. } | Note::Removed { .. } => continue,
            };
            for send in closed {
                if let Some(since) = open.remove(send).filter(|since| now - *since > ANSWER_MAX) {
                    return fail(format!("client {client}: {send} after {:?}", now - since));
                }
            }
        }
        if let Some((send, _)) = open.first_key_value() {
            return fail(format!("client {client}: {send} was never answered"));
        }
    }
    Ok(())
}
