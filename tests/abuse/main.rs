//! Clients that open and hold, drip, flood and never read, while others go on as if nothing were.
//!
//! Bounds are on the server's memory, and on how long everyone else waits beside the same run without
//! abuse. The short form takes about a minute and allows for a busy machine; `ABUSE_SECONDS` is how long the
//! abuse lasts, and `ABUSE_RATIO` how many times as long others may wait (`make abuse`). The figures are
//! printed.

#![allow(
    clippy::needless_pass_by_value,
    clippy::type_complexity,
    clippy::unwrap_used,
    clippy::wrong_self_convention,
    unreachable_pub,
    dead_code,
    reason = "tests fail by panicking, speak the domain and share their support"
)]

mod attacks;
mod honest;
#[path = "../support/node.rs"]
mod node;
#[path = "../support/people.rs"]
mod people;
#[path = "../support/socket.rs"]
mod socket;

use std::time::{Duration, Instant};

use attacks::Attack;
use honest::Honest;
use node::Node;

/// How long the run without abuse is, and the abuse in the short form.
const CALM: Duration = Duration::from_secs(12);
const ABUSE: Duration = Duration::from_secs(40);
/// What the server may take more than in the run without abuse, in KiB. Each of these attacks alone took
/// gigabytes of a server without bounds.
const MORE_KIB: u64 = 300 * 1024;
/// What it may take more at the end of the abuse than near its beginning: nothing of it stays.
const GROWTH_KIB: u64 = 48 * 1024;
/// How many times as long others may wait, and what they may wait anyway: the attackers, the server and the
/// others share the processors of whatever runs this. Without bounds they waited for eight seconds and more.
const RATIO: f64 = 12.0;
const ANYWAY: Duration = Duration::from_secs(2);

/// Bounds that few attackers reach, on a busy machine too.
const FEWER: [(&str, &str); 3] = [
    ("MAX_CONNECTIONS_PER_ADDRESS", "300"),
    ("RATE_USER_HANDSHAKES", "5:40"),
    ("RATE_BAD_HANDSHAKES", "5:40"),
];

fn from_environment<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_strangers_and_one_user_do_memory_stays_and_others_go_on() {
    let lasts = from_environment("ABUSE_SECONDS").map_or(ABUSE, Duration::from_secs);
    let ratio: Option<f64> = from_environment("ABUSE_RATIO");
    let server = Node::start(&FEWER).await;
    let mallory = attacks::prepare(&server).await;
    let honest = Honest::begin(&server, 6).await;
    // What is done for the first time takes longer.
    tokio::time::sleep(Duration::from_secs(3)).await;
    honest.waits();

    tokio::time::sleep(CALM).await;
    let calm = honest.waits();
    let calm_kib = server.resident_kib();

    let until = Instant::now() + lasts;
    let attacks: Vec<_> =
        Attack::ALL.into_iter().map(|attack| tokio::spawn(attack.runs(mallory.clone(), until))).collect();
    let (mut most_kib, mut early_kib, mut late_kib) = (0, 0, 0);
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = server.resident_kib();
        most_kib = most_kib.max(now);
        let left = until.saturating_duration_since(Instant::now());
        if left > lasts / 2 {
            early_kib = early_kib.max(now);
        } else {
            late_kib = late_kib.max(now);
        }
    }
    let abused = honest.waits();
    let figures = server.figures().await;
    let mut unbounded = Vec::new();
    for (attack, ended) in Attack::ALL.into_iter().zip(attacks) {
        let told = tokio::time::timeout(Duration::from_secs(30), ended).await.expect("an end").unwrap();
        println!("{attack:?}: {told}");
        unbounded.extend((!told.had_effect(attack)).then(|| format!("{attack:?}: {told}")));
    }
    println!("calm:  {calm}, {} MiB", calm_kib / 1024);
    println!("abuse: {abused}, {} MiB at most", most_kib / 1024);
    for line in figures.lines().filter(|line| {
        ["chat_held", "chat_connections_ended", "chat_requests_refused"]
            .iter()
            .any(|name| line.starts_with(name))
    }) {
        println!("{line}");
    }
    honest.ends().await;
    assert!(unbounded.is_empty(), "met no bound: {unbounded:?}");
    assert!(most_kib < calm_kib + MORE_KIB, "{calm_kib} KiB before, {most_kib} KiB at most");
    assert!(late_kib < early_kib + GROWTH_KIB, "{early_kib} KiB early, {late_kib} KiB late");
    assert_eq!((calm.refused, abused.refused), (0, 0), "nobody else is refused anything");
    let allowed = ratio.map_or_else(|| calm.p99.mul_f64(RATIO).max(ANYWAY), |ratio| calm.p99.mul_f64(ratio));
    assert!(abused.p99 <= allowed, "others wait {:?}, and {:?} without abuse", abused.p99, calm.p99);
}
