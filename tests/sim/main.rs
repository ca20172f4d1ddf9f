//! The simulation: the real engine actors of several nodes in one process, on one thread and on paused time,
//! over a store and a broker with seeded faults, and with clients that come and go. What happens is recorded in
//! one history; each claim about it is a file of its own.
//!
//! `SIM_SEED=7 cargo test --test sim every_seed` replays one seed, with `SIM_SHOW=1` its history too;
//! `SIM_SEEDS=20000` tries that many.

#![allow(
    clippy::needless_pass_by_value,
    clippy::type_complexity,
    clippy::unwrap_used,
    clippy::wrong_self_convention,
    unreachable_pub,
    dead_code,
    reason = "tests fail by panicking, speak the domain and share their support"
)]

mod claims;
mod device;
mod fold;
mod frames;
mod history;
mod requests;
mod rng;
mod run;
mod scenarios;
mod socket;
mod store;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};

use crate::history::History;

/// Seeds that every test run tries.
const SEEDS: u64 = 200;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("SIM_SEED and SIM_SEEDS are numbers"))
}

/// The claims that a history breaks, and how.
fn broken(history: &History) -> Option<String> {
    let broken: Vec<String> = claims::ALL
        .iter()
        .filter_map(|(name, check)| check(history).err().map(|how| format!("{name}: {how}")))
        .collect();
    (!broken.is_empty()).then(|| broken.join("\n  "))
}

/// Runs a seed, and reports which claims it breaks and how.
fn try_seed(seed: u64) -> Option<String> {
    let history = run::run(seed);
    if std::env::var("SIM_SHOW").is_ok() {
        for entry in &history.0 {
            println!("{:6} {:?}", entry.at, entry.fact);
        }
    }
    let how = broken(&history)?;
    println!("seed {seed}: {how}\n  replay: SIM_SEED={seed} cargo test --test sim every_seed");
    Some(how)
}

#[test]
fn every_seed_keeps_every_claim() {
    if let Some(seed) = number("SIM_SEED") {
        assert_eq!(try_seed(seed), None);
        return;
    }
    let seeds = number("SIM_SEEDS").unwrap_or(SEEDS);
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let next = &AtomicU64::new(0);
    let try_some = || {
        let take = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < seeds);
        std::iter::from_fn(take).filter(|seed| try_seed(*seed).is_some()).collect::<Vec<u64>>()
    };
    let failed: Vec<u64> = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..threads).map(|_| scope.spawn(try_some)).collect();
        tries
            .into_iter()
            .flat_map(|tried| tried.join().expect("a run ended in a panic, told above"))
            .collect()
    });
    assert!(failed.is_empty(), "of {seeds} seeds these failed: {failed:?}");
}

#[test]
fn a_seed_replays_exactly() {
    for seed in 0..10 {
        let (first, second) = (run::run(seed), run::run(seed));
        let differs = first.0.iter().zip(&second.0).position(|(one, other)| one != other);
        if let Some(at) = differs {
            panic!("seed {seed} differs at entry {at}:\n{:?}\n{:?}", first.0[at], second.0[at]);
        }
        assert_eq!(first.0.len(), second.0.len(), "seed {seed}");
    }
}

/// Each injected bug is found within the seeds that every test run tries.
#[cfg(feature = "injected-bugs")]
#[test]
fn injected_bugs_are_found() {
    use actors::injected_bugs::{InjectedBug, inject};

    for bug in InjectedBug::ALL {
        inject(Some(bug));
        let found = (0..SEEDS).find_map(|seed| Some((seed, broken(&run::run(seed))?)));
        inject(None);
        let (seed, how) = found.unwrap_or_else(|| panic!("{bug:?} was not found in {SEEDS} seeds"));
        println!("{bug:?}: seed {seed}: {how}");
    }
}
