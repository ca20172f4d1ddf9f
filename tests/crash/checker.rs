//! What must hold for every history: one claim per function.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::history::{History, Observation};

/// The longest that an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// A claim about a history.
pub type Claim = fn(&History) -> Result<(), String>;

/// All claims by name.
pub const CLAIMS: [(&str, Claim); 12] = [
    ("the log has no hole", the_log_has_no_hole),
    ("no send is stored twice", no_send_is_stored_twice),
    ("what is acknowledged is stored", what_is_acknowledged_is_stored),
    ("all acknowledgements of a send agree", all_acknowledgements_agree),
    ("what is stored was sent so", what_is_stored_was_sent_so),
    ("what was refused is not stored", what_was_refused_is_not_stored),
    ("what is delivered is in the log", what_is_delivered_is_in_the_log),
    ("deliveries are in order", deliveries_are_in_order),
    ("nothing is left out", nothing_is_left_out),
    ("nothing is delivered after a removal", nothing_is_delivered_after_a_removal),
    ("one connection's sends keep their order", sends_keep_their_order),
    ("every send is answered in time", every_send_is_answered_in_time),
];

/// The names of the violated claims, with the reason.
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
    for (client, observation) in history.observations() {
        let Observation::Acked { send, seq, message, .. } = observation else { continue };
        if !stored.get(seq).is_some_and(|row| row.send == *send && row.message == *message) {
            return fail(format!("client {client}: {send} at {seq} is not there"));
        }
    }
    Ok(())
}

fn all_acknowledgements_agree(history: &History) -> Result<(), String> {
    let mut first = BTreeMap::new();
    for (client, observation) in history.observations() {
        let Observation::Acked { send, seq, message, .. } = observation else { continue };
        if *first.entry(send).or_insert((seq, message)) != (seq, message) {
            return fail(format!("client {client}: {send} at {seq}, and elsewhere"));
        }
    }
    Ok(())
}

fn what_is_stored_was_sent_so(history: &History) -> Result<(), String> {
    let sent: BTreeSet<_> = history
        .observations()
        .filter_map(|(_, observation)| {
            if let Observation::Sent { send, text, .. } = observation { Some((send, text)) } else { None }
        })
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
    for observations in &history.clients {
        // A send counts by its last answer, unless the connection was cut or the outcome was unknown; then it
        // may be stored or not.
        let mut last: BTreeMap<&String, (bool, bool)> = BTreeMap::new();
        for observation in observations {
            match observation {
                Observation::Sent { send, .. } => last.entry(send).or_default().0 = true,
                Observation::Acked { send, .. } => last.entry(send).or_default().1 = true,
                Observation::Refused { send, code, .. } => {
                    let (open, may_be) = last.entry(send).or_default();
                    *open = false;
                    *may_be |= code == "unknown_outcome";
                }
                Observation::Cut { .. } => {
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

fn what_is_delivered_is_in_the_log(history: &History) -> Result<(), String> {
    let stored: BTreeMap<i64, _> = history.log.iter().map(|(seq, row)| (*seq, row)).collect();
    for (client, observation) in history.observations() {
        let Observation::Delivered { seq, what } = observation else { continue };
        if stored.get(seq) != Some(&what) {
            return fail(format!("client {client} received another {seq}"));
        }
    }
    Ok(())
}

fn positions(observations: &[Observation]) -> impl Iterator<Item = i64> {
    observations.iter().filter_map(|observation| {
        if let Observation::Delivered { seq, .. } = observation { Some(*seq) } else { None }
    })
}

fn deliveries_are_in_order(history: &History) -> Result<(), String> {
    for (client, observations) in history.clients.iter().enumerate() {
        let mut last = history.since;
        for seq in positions(observations) {
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
    for (client, observations) in history.clients.iter().enumerate() {
        let delivered: BTreeSet<i64> = positions(observations).collect();
        let end = observations.iter().find_map(|observation| {
            if let Observation::Removed { seq } = observation { Some(*seq) } else { None }
        });
        if let Some(missing) = (history.since + 1..=end.unwrap_or(head)).find(|seq| !delivered.contains(seq))
        {
            let last = delivered.last().copied().unwrap_or(history.since);
            return fail(format!("client {client} did not receive {missing} of {head}, and {last} last"));
        }
    }
    Ok(())
}

fn nothing_is_delivered_after_a_removal(history: &History) -> Result<(), String> {
    for (client, observations) in history.clients.iter().enumerate() {
        let removed =
            observations.iter().position(|observation| matches!(observation, Observation::Removed { .. }));
        if removed.is_some_and(|at| positions(&observations[at..]).next().is_some()) {
            return fail(format!("client {client} still received events"));
        }
    }
    Ok(())
}

fn sends_keep_their_order(history: &History) -> Result<(), String> {
    for (client, observations) in history.clients.iter().enumerate() {
        let acked: BTreeMap<(&String, usize), i64> = observations
            .iter()
            .filter_map(|observation| match observation {
                Observation::Acked { send, seq, connection, .. } => Some(((send, *connection), *seq)),
                _ => None,
            })
            .collect();
        let mut tried = BTreeSet::new();
        let mut last: BTreeMap<usize, i64> = BTreeMap::new();
        for observation in observations {
            let Observation::Sent { send, connection, .. } = observation else { continue };
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
    for (client, observations) in history.clients.iter().enumerate() {
        let mut open: BTreeMap<&String, Duration> = BTreeMap::new();
        for observation in observations {
            let (closed, now): (Vec<&String>, Duration) = match observation {
                Observation::Sent { send, at, .. } => {
                    open.insert(send, *at);
                    continue;
                }
                Observation::Acked { send, at, .. } | Observation::Refused { send, at, .. } => {
                    (vec![send], *at)
                }
                Observation::Cut { at } => (open.keys().copied().collect(), *at),
                Observation::Delivered { .. } | Observation::Removed { .. } => continue,
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
