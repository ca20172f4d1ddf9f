//! When nobody has typed for a while, no node reports anyone as typing.

use crate::history::{Fact, History};

pub(super) fn check(history: &History) -> Result<(), String> {
    let typing = history.facts().find_map(|(_, fact)| match fact {
        Fact::Typing { node, room, users } if !users.is_empty() => {
            Some(format!("{users:?} in {room} at node {node}"))
        }
        _ => None,
    });
    typing.map_or(Ok(()), Err)
}
