//! The cost of connecting and of reconnecting.

use std::time::{Duration, Instant};

use super::{ScenarioRun, disjoint_rooms, room_clients};
use crate::client::ClientSpec;
use crate::client_pool::Pace;

/// Rooms over which the connections are distributed.
const ROOMS: usize = 500;
/// The position of a reconnecting client, far enough back that what it missed is in no actor's memory.
const OLD: i64 = 400;
/// The metrics of reads from the log.
const READS: [&str; 2] = ["chat_replay_reads_total", "chat_gap_reads_total"];

pub(super) fn connect(run: &mut ScenarioRun) -> anyhow::Result<()> {
    let members = disjoint_rooms(ROOMS, run.values.get("members", 10)?);
    let at_once = run.values.get("parallel", 64)?;
    let rooms = run.make_rooms(&members, 0)?;
    let mut pool = run.pool(rooms)?;
    pool.leaves_at_once = true;
    let specs = room_clients(&members, None);
    pool.sign(specs.iter().map(|spec| spec.user));
    let spec = |n: usize| -> ClientSpec { specs[n % specs.len()].clone() };
    pool.connect_and_leave(spec, at_once, run.seconds("warmup", 2.0)?)?;
    let beside = run.values.text("during").map(|command| run.node.during(command)).transpose()?;
    let (before, began) = (run.node.usage(), Instant::now());
    let joined = pool.connect_and_leave(spec, at_once, run.seconds("seconds", 5.0)?)? as f64;
    let (used, seconds) = (run.node.usage() - before, began.elapsed().as_secs_f64());
    if let Some(mut beside) = beside {
        beside.wait()?;
    }
    run.measured("connects_per_server_cpu_s", joined / used.server.max(0.01));
    run.measured("connects_per_s", joined / seconds);
    run.measured("postgres_us_per_connect", used.postgres * 1e6 / joined.max(1.0));
    run.used(used, seconds);
    run.checked(&pool);
    Ok(())
}

pub(super) fn storm(run: &mut ScenarioRun) -> anyhow::Result<()> {
    let (n, missed): (usize, i64) = (run.values.get("n", 1_000)?, run.values.get("missed", 100)?);
    let members = disjoint_rooms(1, n);
    let rooms = run.make_rooms(&members, OLD + missed)?;
    let mut pool = run.pool(rooms)?;
    let counted =
        |run: &ScenarioRun| -> anyhow::Result<f64> { READS.iter().map(|name| run.node.counter(name)).sum() };
    let read = counted(run)?;
    let specs = room_clients(&members, Some(OLD));
    pool.sign(specs.iter().map(|spec| spec.user));
    let (before, began) = (run.node.usage(), Instant::now());
    pool.connect_all(specs, n)?;
    let seconds = began.elapsed().as_secs_f64();
    let used = run.node.usage() - before;
    let read = counted(run)? - read;
    run.note("sockets", pool.open());
    run.note("missed", missed);
    run.measured("all_synced_s", seconds);
    run.measured("range_reads", read);
    run.used(used, seconds);
    // They are live: what is sent now is the next that reaches all of them.
    pool.talk(Pace::Window(1), Duration::from_millis(300))?;
    pool.settle()?;
    let replayed = u64::try_from(missed)? * n as u64;
    run.note("replayed", pool.counters.early);
    pool.counters.lost += replayed.saturating_sub(pool.counters.early);
    run.checked(&pool);
    Ok(())
}
