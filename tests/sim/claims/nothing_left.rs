//! When everyone has gone, the engines hold nothing for any of them.

use crate::history::{Fact, History};

pub(super) fn check(history: &History) -> Result<(), String> {
    for (_, fact) in history.facts() {
        if let Fact::Left { node, what, count } = fact
            && *count > 0
        {
            return Err(format!("node {node} still has {count} {what}"));
        }
    }
    Ok(())
}
