//! What becomes dearer when there is more of everything.

use std::time::Instant;

use anyhow::bail;

use super::{Stage, apart, seats};
use crate::crowd::Pace;
use crate::node::SECRET;
use crate::people;
use crate::tally::Delays;

/// Handshakes under way while a crowd gathers.
const AT_ONCE: usize = 64;
/// Requests of each kind.
const REQUESTS: usize = 300;

pub(super) fn growth(stage: &mut Stage) -> anyhow::Result<()> {
    let (count, size) = (stage.values.get("rooms", 1_000)?, stage.values.get("members", 10)?);
    let messages: i64 = stage.values.get("messages", 10)?;
    let talking: usize = stage.values.get("talking", 100)?;
    let members = apart(count, size);
    let rooms = stage.make_rooms(&members, messages)?;
    stage.note("rooms", count);
    stage.note("messages", messages * i64::try_from(count)?);
    let start = stage.node.restart()?;
    stage.measured("start_s", start.as_secs_f64());
    // Those who talk are spread over all of it.
    let step = (count / talking).max(1);
    let (members, rooms): (Vec<_>, Vec<_>) =
        members.into_iter().zip(rooms).step_by(step).take(talking).unzip();
    requests(stage, &members, &rooms, messages)?;
    let mut crowd = stage.crowd(rooms)?;
    crowd.gather(seats(&members, None), AT_ONCE)?;
    stage.note("sockets", crowd.open());
    stage.talk(&mut crowd, Pace::Window(stage.values.get("window", 4)?))
}

/// Asks for pages of history and searches, one after another.
fn requests(stage: &mut Stage, members: &[Vec<i64>], rooms: &[String], messages: i64) -> anyhow::Result<()> {
    let (mut pages, mut lists, mut searches) = (Delays::default(), Delays::default(), Delays::default());
    for n in 0..REQUESTS {
        let at = n % rooms.len();
        let token = people::token(SECRET, members[at][0]);
        // A number that jumps about, the same in each run.
        let jump = i64::try_from(n.wrapping_mul(2_654_435_761) % 1_000_003)?;
        let before = jump % messages.max(1) + 1;
        let room = &rooms[at];
        ask(stage, &token, &format!("/api/chat/messages/?room={room}&limit=50&before={before}"), &mut pages)?;
        ask(stage, &token, "/api/chat/rooms/?page_size=20", &mut lists)?;
        ask(
            stage,
            &token,
            &format!("/api/chat/messages/?room={room}&search=w{}rd", jump & 4_095),
            &mut searches,
        )?;
    }
    for (name, delays) in [("page", &mut pages), ("list", &mut lists), ("search", &mut searches)] {
        stage.measured(&format!("{name}_p50_ms"), delays.within(0.5));
        stage.measured(&format!("{name}_p99_ms"), delays.within(0.99));
    }
    Ok(())
}

fn ask(stage: &Stage, token: &str, path: &str, delays: &mut Delays) -> anyhow::Result<()> {
    let began = Instant::now();
    let answer = stage.node.get_as(token, path)?;
    delays.note(u64::try_from(began.elapsed().as_nanos())?);
    if !answer.starts_with("HTTP/1.1 200") {
        bail!("{path}: {}", answer.lines().next().unwrap_or_default());
    }
    Ok(())
}
