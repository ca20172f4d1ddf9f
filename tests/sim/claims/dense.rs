//! Each room's log has the positions 1, 2, 3 … in the order of the commits.

use std::collections::BTreeMap;

use crate::history::History;

pub(super) fn check(history: &History) -> Result<(), String> {
    let mut heads = BTreeMap::new();
    for (_, row) in history.rows() {
        let head = heads.entry(row.room).or_insert(0);
        *head += 1;
        if row.seq.0 != *head {
            return Err(format!("{} has {} where {head} follows", row.room, row.seq));
        }
    }
    Ok(())
}
