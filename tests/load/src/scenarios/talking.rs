//! Scenarios with messages.

use std::time::{Duration, Instant};

use super::{ScenarioRun, disjoint_rooms, room_clients, users as user_sockets};
use crate::client::ClientSpec;
use crate::client_pool::{ClientPool, Pace};

/// Concurrent handshakes while the clients connect.
const AT_ONCE: usize = 64;
/// How long a send may remain unanswered.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);
/// The close code of a socket that doesn't read.
const TOO_SLOW: u16 = 4431;

pub(super) fn one_room(run: &mut ScenarioRun) -> anyhow::Result<()> {
    let members = disjoint_rooms(1, run.values.get("n", 1_000)?);
    fan_out(run, &members, 8)
}

pub(super) fn rooms(run: &mut ScenarioRun) -> anyhow::Result<()> {
    let members = disjoint_rooms(run.values.get("rooms", 500)?, run.values.get("members", 10)?);
    fan_out(run, &members, 4)
}

pub(super) fn sends(run: &mut ScenarioRun) -> anyhow::Result<()> {
    let members = disjoint_rooms(run.values.get("rooms", 500)?, run.values.get("members", 10)?);
    fan_out(run, &members, 16)
}

fn fan_out(run: &mut ScenarioRun, members: &[Vec<i64>], window: u64) -> anyhow::Result<()> {
    let window = run.values.get("window", window)?;
    run.note("window", window);
    let rooms = run.make_rooms(members, run.values.get("messages", 0)?)?;
    let mut pool = run.pool(rooms)?;
    pool.connect_all(room_clients(members, None), AT_ONCE)?;
    run.note("sockets", pool.open());
    run.talk(&mut pool, Pace::Window(window))
}

/// Acknowledgements per second at the server's capacity, and then at a multiple of it for the same time; a
/// small, fresh database is faster than a filled one.
pub(super) fn overload(run: &mut ScenarioRun) -> anyhow::Result<()> {
    let members = disjoint_rooms(run.values.get("rooms", 500)?, run.values.get("members", 10)?);
    let (window, times) = (run.values.get("window", 16)?, run.values.get("times", 5.0)?);
    let rooms = run.make_rooms(&members, 0)?;
    let mut pool = run.pool(rooms)?;
    pool.connect_all(room_clients(&members, None), AT_ONCE)?;
    run.note("sockets", pool.open());
    run.note("times", times);
    let warmup = run.seconds("warmup", 2.0)?;
    pool.talk(Pace::Window(window), warmup)?;
    let time = run.seconds("seconds", 60.0)?;
    let capacity = goodput(&mut pool, Pace::Window(window), time)?;
    pool.settle()?;
    let resident = run.node.resident();
    pool.expects_overload = true;
    pool.talk(Pace::Rate(times * capacity), warmup)?;
    let (before, began, sent) = (run.node.usage(), Instant::now(), pool.counters.sent);
    let overloaded = goodput(&mut pool, Pace::Rate(times * capacity), time)?;
    let seconds = began.elapsed().as_secs_f64();
    run.used(run.node.usage() - before, seconds);
    run.measured("server_mb_before", resident as f64 / 1e6);
    run.measured("sends_per_s", (pool.counters.sent - sent) as f64 / seconds);
    run.measured("capacity_per_s", capacity);
    run.measured("goodput_per_s", overloaded);
    run.measured("goodput_share", overloaded / capacity.max(1.0));
    // Pending sends are answered within the promised time.
    let by = Instant::now() + ANSWERED_WITHIN;
    while pool.counters.acked + pool.counters.shed < pool.counters.sent && Instant::now() < by {
        pool.listen(Duration::from_millis(50))?;
    }
    pool.settle()?;
    run.note("shed", pool.counters.shed);
    run.note("unanswered", pool.counters.sent - pool.counters.acked - pool.counters.shed);
    run.checked(&pool);
    Ok(())
}

/// Acknowledgements per second at this pace.
fn goodput(pool: &mut ClientPool, pace: Pace, time: Duration) -> anyhow::Result<f64> {
    let (acked, began) = (pool.counters.acked, Instant::now());
    pool.talk(pace, time)?;
    Ok((pool.counters.acked - acked) as f64 / began.elapsed().as_secs_f64())
}

pub(super) fn echo(run: &mut ScenarioRun) -> anyhow::Result<()> {
    let members = disjoint_rooms(run.values.get("rooms", 10)?, run.values.get("members", 10)?);
    let rate = run.values.get("rate", 100.0)?;
    run.note("rate", rate);
    let rooms = run.make_rooms(&members, 0)?;
    let mut pool = run.pool(rooms)?;
    pool.connect_all(room_clients(&members, None), AT_ONCE)?;
    run.note("sockets", pool.open());
    run.talk(&mut pool, Pace::Rate(rate))
}

pub(super) fn users(run: &mut ScenarioRun) -> anyhow::Result<()> {
    let (members, specs) = user_sockets(
        run.values.get("n", 1_000)?,
        run.values.get("rooms", 20)?,
        run.values.get("members", 100)?,
    );
    let window = run.values.get("window", 4)?;
    run.note("window", window);
    let rooms = run.make_rooms(&members, 0)?;
    let mut pool = run.pool(rooms)?;
    pool.connect_all(specs, AT_ONCE)?;
    run.note("sockets", pool.open());
    run.talk(&mut pool, Pace::Window(window))
}

pub(super) fn slow(run: &mut ScenarioRun) -> anyhow::Result<()> {
    let (reading, stalled): (usize, usize) = (run.values.get("n", 200)?, run.values.get("stalled", 20)?);
    let rate = run.values.get("rate", 200.0)?;
    let members = disjoint_rooms(1, reading + stalled);
    let rooms = run.make_rooms(&members, 0)?;
    let mut pool = run.pool(rooms)?;
    let mut specs = room_clients(&members, None);
    for spec in specs.iter_mut().skip(reading) {
        *spec = ClientSpec { stalls: true, ..spec.clone() };
    }
    pool.connect_all(specs, AT_ONCE)?;
    run.note("sockets", pool.open());
    run.note("stalled", stalled);
    run.note("rate", rate);
    // Texts of a kilobyte fill an outbox within the run.
    pool.text_bytes = run.values.get("text", 1_024)?;
    run.talk(&mut pool, Pace::Rate(rate))?;
    // With such small buffers, data that waits in the kernel arrives at the pace of TCP's window probes.
    pool.resume_stalled(Duration::from_secs(20))?;
    let closed_with_4431 = pool.counters.closed.iter().filter(|code| **code == TOO_SLOW).count();
    run.note("closed_4431", closed_with_4431);
    let closed = run.node.counter("chat_sockets_closed_slow_total")?;
    run.measured("closed_slow", closed);
    Ok(())
}
