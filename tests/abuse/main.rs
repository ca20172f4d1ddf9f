//! Clients that hold connections, drip bytes, flood and never read, while regular users continue.
//!
//! The test limits the growth of the server's memory and the latency of the regular users, compared to a run
//! without attacks. The short form takes about a minute and tolerates a busy machine. `ABUSE_SECONDS` sets
//! the duration of the attacks, and `ABUSE_RATIO` the permitted increase of latency (`make abuse`). The
//! measurements are printed.

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
#[path = "../support/socket.rs"]
mod socket;
#[path = "../support/users.rs"]
mod users;

use std::time::{Duration, Instant};

use attacks::Attack;
use honest::HonestUsers;
use node::Node;

/// Duration of the run without attacks: half as long as the attacks, within these limits.
const CALM_MIN: Duration = Duration::from_secs(12);
const CALM_MAX: Duration = Duration::from_secs(150);
/// Duration of the attacks in the short form.
const ABUSE: Duration = Duration::from_secs(40);
/// Permitted growth of memory over the run without attacks, in KiB. On a server without limits, each of these
/// attacks alone took gigabytes.
const MORE_KIB: u64 = 300 * 1024;
/// Permitted growth from the beginning to the end of the attacks, in KiB: nothing may accumulate.
const GROWTH_KIB: u64 = 48 * 1024;
/// Permitted increase of the regular users' latency, and the latency that is permitted anyway: attackers,
/// server and users share the processors of the test machine. Without limits the users waited eight seconds
/// and more.
const RATIO: f64 = 12.0;
const ANYWAY: Duration = Duration::from_secs(2);

/// Limits that few attackers reach, even on a busy machine.
const FEWER: [(&str, &str); 3] = [
    ("MAX_CONNECTIONS_PER_ADDRESS", "300"),
    ("RATE_USER_HANDSHAKES", "5:40"),
    ("RATE_BAD_HANDSHAKES", "5:40"),
];

fn from_environment<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

/// A runtime that stands for other machines: its threads run only when the server and everyone else leave a
/// processor idle, so what the attackers compute delays nobody.
fn attacker_runtime() -> &'static tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .on_thread_start(|| {
            let idle = libc::sched_param { sched_priority: 0 };
            // SAFETY: the call reads the parameter and changes the calling thread alone.
            let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const idle) };
            assert_eq!(result, 0, "a thread may always lower its own priority");
        })
        .enable_all()
        .build()
        .expect("a runtime");
    // Dropping it would block, which an async test may not do; the process ends soon after.
    Box::leak(Box::new(runtime))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacks_neither_grow_memory_nor_stop_other_users() {
    let lasts = from_environment("ABUSE_SECONDS").map_or(ABUSE, Duration::from_secs);
    let ratio: Option<f64> = from_environment("ABUSE_RATIO");
    let server = Node::start(&FEWER).await;
    let mallory = attacks::prepare(&server).await;
    let honest = HonestUsers::start(&server, 6).await;
    // First requests take longer.
    tokio::time::sleep(Duration::from_secs(3)).await;
    honest.take_latencies();

    tokio::time::sleep((lasts / 2).clamp(CALM_MIN, CALM_MAX)).await;
    let calm = honest.take_latencies();
    let calm_kib = server.resident_kib();

    let until = Instant::now() + lasts;
    let attackers = attacker_runtime();
    let attacks: Vec<_> = Attack::ALL
        .into_iter()
        .map(|attack| attackers.spawn(attack.run_until(mallory.clone(), until)))
        .collect();
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
    let abused = honest.take_latencies();
    let metrics = server.metrics().await;
    let mut unbounded = Vec::new();
    for (attack, ended) in Attack::ALL.into_iter().zip(attacks) {
        let counts = tokio::time::timeout(Duration::from_secs(30), ended).await.expect("an end").unwrap();
        println!("{attack:?}: {counts}");
        unbounded.extend((!counts.had_effect(attack)).then(|| format!("{attack:?}: {counts}")));
    }
    println!("calm:  {calm}, {} MiB", calm_kib / 1024);
    println!("abuse: {abused}, {} MiB at most", most_kib / 1024);
    for line in metrics.lines().filter(|line| {
        ["chat_held", "chat_connections_ended", "chat_requests_refused"]
            .iter()
            .any(|name| line.starts_with(name))
    }) {
        println!("{line}");
    }
    honest.stop().await;
    assert!(unbounded.is_empty(), "met no bound: {unbounded:?}");
    assert!(most_kib < calm_kib + MORE_KIB, "{calm_kib} KiB before, {most_kib} KiB at most");
    assert!(late_kib < early_kib + GROWTH_KIB, "{early_kib} KiB early, {late_kib} KiB late");
    assert_eq!((calm.refused, abused.refused), (0, 0), "nobody else is refused anything");
    let allowed = ratio.map_or_else(|| calm.p99.mul_f64(RATIO).max(ANYWAY), |ratio| calm.p99.mul_f64(ratio));
    assert!(abused.p99 <= allowed, "others wait {:?}, and {:?} without abuse", abused.p99, calm.p99);
}
