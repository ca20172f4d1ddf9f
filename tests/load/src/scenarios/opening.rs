//! What it costs to come, and to come back.

use std::time::{Duration, Instant};

use super::{Stage, apart, seats};
use crate::client::Wish;
use crate::crowd::Pace;

/// Rooms that coming and going is spread over.
const ROOMS: usize = 500;
/// How far a client that comes back had got: what it missed lies in no actor's memory.
const OLD: i64 = 400;
/// Reads of a stretch of the log.
const READS: [&str; 2] = ["chat_replay_reads_total", "chat_gap_reads_total"];

pub(super) fn connect(stage: &mut Stage) -> anyhow::Result<()> {
    let members = apart(ROOMS, stage.values.get("members", 10)?);
    let at_once = stage.values.get("parallel", 64)?;
    let rooms = stage.make_rooms(&members, 0)?;
    let mut crowd = stage.crowd(rooms)?;
    crowd.leaves_at_once = true;
    let wishes = seats(&members, None);
    crowd.sign(wishes.iter().map(|wish| wish.user));
    let wish = |n: usize| -> Wish { wishes[n % wishes.len()].clone() };
    crowd.come_and_go(wish, at_once, stage.seconds("warmup", 2.0)?)?;
    let beside = stage.values.text("during").map(|command| stage.node.during(command)).transpose()?;
    let (before, began) = (stage.node.usage(), Instant::now());
    let joined = crowd.come_and_go(wish, at_once, stage.seconds("seconds", 5.0)?)? as f64;
    let (used, seconds) = (stage.node.usage() - before, began.elapsed().as_secs_f64());
    if let Some(mut beside) = beside {
        beside.wait()?;
    }
    stage.measured("connects_per_server_cpu_s", joined / used.server.max(0.01));
    stage.measured("connects_per_s", joined / seconds);
    stage.measured("postgres_us_per_connect", used.postgres * 1e6 / joined.max(1.0));
    stage.used(used, seconds);
    stage.checked(&crowd);
    Ok(())
}

pub(super) fn storm(stage: &mut Stage) -> anyhow::Result<()> {
    let (n, missed): (usize, i64) = (stage.values.get("n", 1_000)?, stage.values.get("missed", 100)?);
    let members = apart(1, n);
    let rooms = stage.make_rooms(&members, OLD + missed)?;
    let mut crowd = stage.crowd(rooms)?;
    let counted =
        |stage: &Stage| -> anyhow::Result<f64> { READS.iter().map(|name| stage.node.counter(name)).sum() };
    let read = counted(stage)?;
    let wishes = seats(&members, Some(OLD));
    crowd.sign(wishes.iter().map(|wish| wish.user));
    let (before, began) = (stage.node.usage(), Instant::now());
    crowd.gather(wishes, n)?;
    let seconds = began.elapsed().as_secs_f64();
    let used = stage.node.usage() - before;
    let read = counted(stage)? - read;
    stage.note("sockets", crowd.open());
    stage.note("missed", missed);
    stage.measured("all_synced_s", seconds);
    stage.measured("range_reads", read);
    stage.used(used, seconds);
    // They are live: what is said now reaches all of them next.
    crowd.talk(Pace::Window(1), Duration::from_millis(300))?;
    crowd.settle()?;
    let replayed = u64::try_from(missed)? * n as u64;
    stage.note("replayed", crowd.tally.early);
    crowd.tally.lost += replayed.saturating_sub(crowd.tally.early);
    stage.checked(&crowd);
    Ok(())
}
