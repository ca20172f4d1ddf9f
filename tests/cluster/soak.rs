//! Half an hour of traffic, drops and faults on two nodes, and what they hold on to meanwhile.

use std::{
    fs,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use crate::{
    checker::violations,
    cluster::{Node, broker, report},
    faults::{ALL, Fault, Ground, setting},
    workload::Workload,
};

/// The calm before each fault, in seconds; in each of them it is looked at what the nodes hold.
const CALM: u64 = 27;

/// What a node holds at a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    after: Duration,
    resident_kib: f64,
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
}

impl Held {
    pub(crate) fn by(node: &Node, after: Duration) -> Self {
        let of = |what: &str| format!("/proc/{}/{what}", node.pid());
        let status = fs::read_to_string(of("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        Self {
            after,
            resident_kib: line.trim().trim_end_matches(" kB").parse().unwrap(),
            descriptors: fs::read_dir(of("fd")).unwrap().count(),
            threads: fs::read_dir(of("task")).unwrap().count(),
        }
    }
}

/// The mean of each sixth of the time, in KiB.
fn sixths(samples: &[Held]) -> Vec<f64> {
    let mean = |part: &[Held]| part.iter().map(|held| held.resident_kib).sum::<f64>() / part.len() as f64;
    samples.chunks(samples.len().div_ceil(6)).map(|part| mean(part).round()).collect()
}

/// What the memory grows by in an hour, as a share of its mean; a line through the later two thirds.
fn slope(samples: &[Held]) -> f64 {
    let warm = &samples[samples.len() / 3..];
    let count = warm.len() as f64;
    let at = warm.iter().map(|held| held.after.as_secs_f64() / 3_600.0).sum::<f64>() / count;
    let mean = warm.iter().map(|held| held.resident_kib).sum::<f64>() / count;
    let (mut both, mut square) = (0.0, 0.0);
    for held in warm {
        let off = held.after.as_secs_f64() / 3_600.0 - at;
        both += off * (held.resident_kib - mean);
        square += off * off;
    }
    both / square / mean
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "SOAK_SECONDS, 1800 by default"]
async fn half_an_hour_of_faults_leaves_nothing_behind() {
    let (seconds, seed) = (setting("SOAK_SECONDS", 1_800), setting("CLUSTER_SEED", 7));
    let mut broker = broker().await;
    let mut ground = Ground::new(&broker, 2, seed).await;
    let workload = Workload::start(&ground.cluster, 40, 3, 40.0).await;
    // A node that is killed starts with fresh memory; what it holds says nothing.
    let faults = ALL.into_iter().filter(|fault| *fault != Fault::NodeKilled).cycle();
    let begin = Instant::now();
    let mut samples: [Vec<Held>; 2] = [Vec::new(), Vec::new()];
    for fault in faults {
        if begin.elapsed() > Duration::from_secs(seconds) {
            break;
        }
        for _ in 0..CALM {
            sleep(Duration::from_secs(1)).await;
            for (node, samples) in ground.cluster.nodes.iter().zip(&mut samples) {
                samples.push(Held::by(node, begin.elapsed()));
            }
        }
        ground.suffer(fault, &mut broker).await;
    }
    let (history, _, converged) = workload.finish(&ground.cluster, Duration::from_secs(12)).await;
    let wrong = violations(&history);
    for samples in &samples {
        let (first, last) = (samples[samples.len() / 3], samples[samples.len() - 1]);
        report(&format!(
            "soak of {seconds} s, seed {seed}: {} acked, violations {}, converged after {converged:?}; \
             memory {:+.2} % an hour, means {:?} KiB; {first:?} -> {last:?}",
            history.acked.len(),
            wrong.len(),
            slope(samples) * 100.0,
            sixths(samples),
        ));
        assert!(last.descriptors <= first.descriptors + 20, "{first:?} {last:?}");
        assert!(last.threads <= first.threads + 4, "{first:?} {last:?}");
    }
    assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}");
}
