//! What a silent socket costs in memory.

use std::time::Duration;

use anyhow::bail;

use super::{Stage, apart, seats, users};

/// Handshakes under way; few, so that what they need for a moment doesn't count for long.
const AT_ONCE: usize = 32;
/// How long the server gets to give back what the joining took.
const REST: Duration = Duration::from_secs(3);
/// Sockets that come and go before, so that what is made once isn't counted.
const BEFORE: usize = 100;

pub(super) fn idle(stage: &mut Stage) -> anyhow::Result<()> {
    let n: usize = stage.values.get("n", 5_000)?;
    let kind: String = stage.values.get("kind", "room".to_owned())?;
    let (members, wishes) = match kind.as_str() {
        "room" => {
            let size: usize = stage.values.get("members", 10)?;
            let members = apart(n.div_ceil(size), size);
            let wishes = seats(&members, None);
            (members, wishes)
        }
        "user" => users(n, stage.values.get("rooms", 20)?, stage.values.get("members", 100)?),
        _ => bail!("kind={kind}: room or user"),
    };
    let rooms = stage.make_rooms(&members, 0)?;
    let mut before = stage.crowd(rooms.clone())?;
    before.leaves_at_once = true;
    before.gather(wishes.iter().take(BEFORE).cloned().collect(), AT_ONCE)?;
    before.listen(REST)?;
    let mut crowd = stage.crowd(rooms)?;
    let empty = stage.node.resident();
    let (before, began) = (stage.node.usage(), std::time::Instant::now());
    crowd.gather(wishes, AT_ONCE)?;
    crowd.listen(REST)?;
    let used = stage.node.usage() - before;
    let full = stage.node.resident();
    let sockets = crowd.open();
    stage.note("kind", kind);
    stage.note("sockets", sockets);
    stage.measured("bytes_per_socket", (full as f64 - empty as f64) / sockets.max(1) as f64);
    stage.used(used, began.elapsed().as_secs_f64());
    stage.checked(&crowd);
    Ok(())
}
