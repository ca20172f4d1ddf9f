//! Each attempt has an answer, or its connection ends, within 10 s.

use std::collections::BTreeMap;

use crate::history::{Fact, History};

/// 10 s, and what a slow way there and back takes.
const MILLIS: u64 = 10_500;

pub(super) fn check(history: &History) -> Result<(), String> {
    let mut open = BTreeMap::new();
    for (at, fact) in history.facts() {
        match fact {
            Fact::Asked { op, wish, .. } => _ = open.insert(*op, (at, wish)),
            Fact::Answered { op, end } => {
                let Some((asked_at, wish)) = open.remove(op) else {
                    return Err(format!("op {op} is answered twice or was never asked"));
                };
                if at - asked_at > MILLIS {
                    return Err(format!("op {op} waited {} ms for {end:?}: {wish:?}", at - asked_at));
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
