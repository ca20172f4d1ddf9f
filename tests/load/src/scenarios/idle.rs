//! The memory of an idle socket.

use std::time::Duration;

use anyhow::bail;

use super::{ScenarioRun, disjoint_rooms, room_clients, users};

/// Concurrent handshakes; few, so that what they need temporarily hardly matters.
const AT_ONCE: usize = 32;
/// Time for the server to release what the handshakes took.
const REST: Duration = Duration::from_secs(3);
/// Sockets that come and go first, so that one-time allocations aren't counted.
const BEFORE: usize = 100;

pub(super) fn idle(run: &mut ScenarioRun) -> anyhow::Result<()> {
    let n: usize = run.values.get("n", 5_000)?;
    let kind: String = run.values.get("kind", "room".to_owned())?;
    let (members, specs) = match kind.as_str() {
        "room" => {
            let size: usize = run.values.get("members", 10)?;
            let members = disjoint_rooms(n.div_ceil(size), size);
            let specs = room_clients(&members, None);
            (members, specs)
        }
        "user" => users(n, run.values.get("rooms", 20)?, run.values.get("members", 100)?),
        _ => bail!("kind={kind}: room or user"),
    };
    let rooms = run.make_rooms(&members, 0)?;
    let mut before = run.pool(rooms.clone())?;
    before.leaves_at_once = true;
    before.connect_all(specs.iter().take(BEFORE).cloned().collect(), AT_ONCE)?;
    before.listen(REST)?;
    let mut pool = run.pool(rooms)?;
    let empty = run.node.resident();
    let (before, began) = (run.node.usage(), std::time::Instant::now());
    pool.connect_all(specs, AT_ONCE)?;
    pool.listen(REST)?;
    let used = run.node.usage() - before;
    let full = run.node.resident();
    let sockets = pool.open();
    run.note("kind", kind);
    run.note("sockets", sockets);
    run.measured("bytes_per_socket", (full as f64 - empty as f64) / sockets.max(1) as f64);
    run.used(used, began.elapsed().as_secs_f64());
    run.checked(&pool);
    Ok(())
}
