//! Each attempt is answered, or its connection ends, within 10 s.

use std::collections::BTreeMap;

use crate::history::{Fact, History};

/// 10 s, and the time of a slow round trip.
const MILLIS: u64 = 10_500;

pub(super) fn check(history: &History) -> Result<(), String> {
    let mut open = BTreeMap::new();
    for (at, fact) in history.facts() {
        match fact {
            Fact::Asked { op, request, .. } => _ = open.insert(*op, (at, request)),
            Fact::Answered { op, end } => {
                let Some((asked_at, request)) = open.remove(op) else {
                    return Err(format!("op {op} is answered twice or was never asked"));
                };
                if at - asked_at > MILLIS {
                    return Err(format!("op {op} waited {} ms for {end:?}: {request:?}", at - asked_at));
                }
            }
            _ => {}
        }
    }
    match open.first_key_value() {
        None => Ok(()),
        Some((op, (at, _))) => Err(format!("op {op} of {at} ms was never answered")),
    }
}
