//! What becomes slower with the amount of data.

use std::time::Instant;

use anyhow::bail;

use super::{ScenarioRun, disjoint_rooms, room_clients};
use crate::client_pool::Pace;
use crate::counters::LatencySamples;
use crate::node::SECRET;
use crate::test_data;

/// Concurrent handshakes while the clients connect.
const AT_ONCE: usize = 64;
/// Requests of each kind.
const REQUESTS: usize = 300;

pub(super) fn growth(run: &mut ScenarioRun) -> anyhow::Result<()> {
    let (count, size) = (run.values.get("rooms", 1_000)?, run.values.get("members", 10)?);
    let messages: i64 = run.values.get("messages", 10)?;
    let talking: usize = run.values.get("talking", 100)?;
    let members = disjoint_rooms(count, size);
    let rooms = run.make_rooms(&members, messages)?;
    run.note("rooms", count);
    run.note("messages", messages * i64::try_from(count)?);
    let start = run.node.restart()?;
    run.measured("start_s", start.as_secs_f64());
    // The rooms with traffic are distributed over all.
    let step = (count / talking).max(1);
    let (members, rooms): (Vec<_>, Vec<_>) =
        members.into_iter().zip(rooms).step_by(step).take(talking).unzip();
    requests(run, &members, &rooms, messages)?;
    let mut pool = run.pool(rooms)?;
    pool.connect_all(room_clients(&members, None), AT_ONCE)?;
    run.note("sockets", pool.open());
    run.talk(&mut pool, Pace::Window(run.values.get("window", 4)?))
}

/// Requests pages of history and searches, one after another.
fn requests(
    run: &mut ScenarioRun,
    members: &[Vec<i64>],
    rooms: &[String],
    messages: i64,
) -> anyhow::Result<()> {
    let (mut pages, mut lists, mut searches) =
        (LatencySamples::default(), LatencySamples::default(), LatencySamples::default());
    for n in 0..REQUESTS {
        let at = n % rooms.len();
        let token = test_data::token(SECRET, members[at][0]);
        // A number that varies, but is the same in each run.
        let jump = i64::try_from(n.wrapping_mul(2_654_435_761) % 1_000_003)?;
        let before = jump % messages.max(1) + 1;
        let room = &rooms[at];
        ask(run, &token, &format!("/api/chat/messages/?room={room}&limit=50&before={before}"), &mut pages)?;
        ask(run, &token, "/api/chat/rooms/?page_size=20", &mut lists)?;
        ask(
            run,
            &token,
            &format!("/api/chat/messages/?room={room}&search=w{}rd", jump & 4_095),
            &mut searches,
        )?;
    }
    for (name, latencies) in [("page", &mut pages), ("list", &mut lists), ("search", &mut searches)] {
        run.measured(&format!("{name}_p50_ms"), latencies.within(0.5));
        run.measured(&format!("{name}_p99_ms"), latencies.within(0.99));
    }
    Ok(())
}

fn ask(run: &ScenarioRun, token: &str, path: &str, latencies: &mut LatencySamples) -> anyhow::Result<()> {
    let began = Instant::now();
    let answer = run.node.get_as(token, path)?;
    latencies.note(u64::try_from(began.elapsed().as_nanos())?);
    if !answer.starts_with("HTTP/1.1 200") {
        bail!("{path}: {}", answer.lines().next().unwrap_or_default());
    }
    Ok(())
}
