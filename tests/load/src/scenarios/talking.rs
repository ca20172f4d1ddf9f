//! Scenarios in which messages are sent.

use std::time::{Duration, Instant};

use super::{Stage, apart, seats, users as user_sockets};
use crate::client::Wish;
use crate::crowd::{Crowd, Pace};

/// Handshakes under way while a crowd gathers.
const AT_ONCE: usize = 64;
/// How long a send may be without an answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);
/// The close code of a socket that doesn't read.
const TOO_SLOW: u16 = 4431;

pub(super) fn one_room(stage: &mut Stage) -> anyhow::Result<()> {
    let members = apart(1, stage.values.get("n", 1_000)?);
    fan_out(stage, &members, 8)
}

pub(super) fn rooms(stage: &mut Stage) -> anyhow::Result<()> {
    let members = apart(stage.values.get("rooms", 500)?, stage.values.get("members", 10)?);
    fan_out(stage, &members, 4)
}

pub(super) fn sends(stage: &mut Stage) -> anyhow::Result<()> {
    let members = apart(stage.values.get("rooms", 500)?, stage.values.get("members", 10)?);
    fan_out(stage, &members, 16)
}

fn fan_out(stage: &mut Stage, members: &[Vec<i64>], window: u64) -> anyhow::Result<()> {
    let window = stage.values.get("window", window)?;
    stage.note("window", window);
    let rooms = stage.make_rooms(members, stage.values.get("messages", 0)?)?;
    let mut crowd = stage.crowd(rooms)?;
    crowd.gather(seats(members, None), AT_ONCE)?;
    stage.note("sockets", crowd.open());
    stage.talk(&mut crowd, Pace::Window(window))
}

/// What is acknowledged a second at the server's capacity, and then at a multiple of it for as long: a
/// database that is young and small is faster than what lasts.
pub(super) fn overload(stage: &mut Stage) -> anyhow::Result<()> {
    let members = apart(stage.values.get("rooms", 500)?, stage.values.get("members", 10)?);
    let (window, times) = (stage.values.get("window", 16)?, stage.values.get("times", 5.0)?);
    let rooms = stage.make_rooms(&members, 0)?;
    let mut crowd = stage.crowd(rooms)?;
    crowd.gather(seats(&members, None), AT_ONCE)?;
    stage.note("sockets", crowd.open());
    stage.note("times", times);
    let warmup = stage.seconds("warmup", 2.0)?;
    crowd.talk(Pace::Window(window), warmup)?;
    let time = stage.seconds("seconds", 60.0)?;
    let capacity = goodput(&mut crowd, Pace::Window(window), time)?;
    crowd.settle()?;
    let resident = stage.node.resident();
    crowd.overdoes = true;
    crowd.talk(Pace::Rate(times * capacity), warmup)?;
    let (before, began, sent) = (stage.node.usage(), Instant::now(), crowd.tally.sent);
    let overloaded = goodput(&mut crowd, Pace::Rate(times * capacity), time)?;
    let seconds = began.elapsed().as_secs_f64();
    stage.used(stage.node.usage() - before, seconds);
    stage.measured("server_mb_before", resident as f64 / 1e6);
    stage.measured("sends_per_s", (crowd.tally.sent - sent) as f64 / seconds);
    stage.measured("capacity_per_s", capacity);
    stage.measured("goodput_per_s", overloaded);
    stage.measured("goodput_share", overloaded / capacity.max(1.0));
    // Whatever is under way gets its answer within the promised time.
    let by = Instant::now() + ANSWERED_WITHIN;
    while crowd.tally.acked + crowd.tally.shed < crowd.tally.sent && Instant::now() < by {
        crowd.listen(Duration::from_millis(50))?;
    }
    crowd.settle()?;
    stage.note("shed", crowd.tally.shed);
    stage.note("unanswered", crowd.tally.sent - crowd.tally.acked - crowd.tally.shed);
    stage.checked(&crowd);
    Ok(())
}

/// Acknowledgements a second at this pace.
fn goodput(crowd: &mut Crowd, pace: Pace, time: Duration) -> anyhow::Result<f64> {
    let (acked, began) = (crowd.tally.acked, Instant::now());
    crowd.talk(pace, time)?;
    Ok((crowd.tally.acked - acked) as f64 / began.elapsed().as_secs_f64())
}

pub(super) fn echo(stage: &mut Stage) -> anyhow::Result<()> {
    let members = apart(stage.values.get("rooms", 10)?, stage.values.get("members", 10)?);
    let rate = stage.values.get("rate", 100.0)?;
    stage.note("rate", rate);
    let rooms = stage.make_rooms(&members, 0)?;
    let mut crowd = stage.crowd(rooms)?;
    crowd.gather(seats(&members, None), AT_ONCE)?;
    stage.note("sockets", crowd.open());
    stage.talk(&mut crowd, Pace::Rate(rate))
}

pub(super) fn users(stage: &mut Stage) -> anyhow::Result<()> {
    let (members, wishes) = user_sockets(
        stage.values.get("n", 1_000)?,
        stage.values.get("rooms", 20)?,
        stage.values.get("members", 100)?,
    );
    let window = stage.values.get("window", 4)?;
    stage.note("window", window);
    let rooms = stage.make_rooms(&members, 0)?;
    let mut crowd = stage.crowd(rooms)?;
    crowd.gather(wishes, AT_ONCE)?;
    stage.note("sockets", crowd.open());
    stage.talk(&mut crowd, Pace::Window(window))
}

pub(super) fn slow(stage: &mut Stage) -> anyhow::Result<()> {
    let (reading, stalled): (usize, usize) = (stage.values.get("n", 200)?, stage.values.get("stalled", 20)?);
    let rate = stage.values.get("rate", 200.0)?;
    let members = apart(1, reading + stalled);
    let rooms = stage.make_rooms(&members, 0)?;
    let mut crowd = stage.crowd(rooms)?;
    let mut wishes = seats(&members, None);
    for wish in wishes.iter_mut().skip(reading) {
        *wish = Wish { stalls: true, ..wish.clone() };
    }
    crowd.gather(wishes, AT_ONCE)?;
    stage.note("sockets", crowd.open());
    stage.note("stalled", stalled);
    stage.note("rate", rate);
    // Texts of a kilobyte fill an outbox within the run.
    crowd.text_bytes = stage.values.get("text", 1_024)?;
    stage.talk(&mut crowd, Pace::Rate(rate))?;
    // With buffers as small as theirs, what waited in the kernel comes in at the pace of TCP's probes.
    crowd.wake(Duration::from_secs(20))?;
    let told = crowd.tally.closed.iter().filter(|code| **code == TOO_SLOW).count();
    stage.note("closed_4431", told);
    let closed = stage.node.counter("chat_sockets_closed_slow_total")?;
    stage.measured("closed_slow", closed);
    Ok(())
}
