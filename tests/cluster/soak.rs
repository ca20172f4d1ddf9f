//! Half an hour of traffic, disconnects and faults on two nodes, and the resources that they keep meanwhile.

use std::{
    fs,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use crate::{
    checker::violations,
    cluster::{Node, broker, report},
    faults::{ALL, Fault, Testbed, setting},
    workload::Workload,
};

/// Pause before each fault in seconds, in which the resources are sampled.
const CALM: u64 = 27;
/// Period over which samples are averaged, somewhat longer than a round of all faults.
const SPAN: Duration = Duration::from_secs(300);
/// Averages while caches fill, which are printed but not judged.
const WARMING_UP: usize = 2;

/// The resources of a node at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResourceUsage {
    after: Duration,
    resident_kib: f64,
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
}

impl ResourceUsage {
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

/// The average memory of each complete period, in KiB.
fn means(samples: &[ResourceUsage]) -> Vec<f64> {
    let span = |usage: &ResourceUsage| usage.after.as_secs() / SPAN.as_secs();
    let whole = samples.last().map_or(0, span);
    let mean =
        |part: &[ResourceUsage]| part.iter().map(|usage| usage.resident_kib).sum::<f64>() / part.len() as f64;
    samples
        .chunk_by(|one, next| span(one) == span(next))
        .filter(|part| span(&part[0]) < whole)
        .map(mean)
        .collect()
}

/// Growth of memory per hour relative to its mean, and the standard error.
#[derive(Clone, Copy, Debug)]
struct Growth {
    an_hour: f64,
    error: f64,
}

impl Growth {
    /// A linear regression over the averages; needs at least three.
    fn of(means: &[f64]) -> Option<Self> {
        if means.len() < 3 {
            return None;
        }
        let count = means.len() as f64;
        let hour = |index: usize| index as f64 * SPAN.as_secs_f64() / 3_600.0;
        let middle = hour(means.len() - 1) / 2.0;
        let mean = means.iter().sum::<f64>() / count;
        let points = || means.iter().enumerate().map(|(index, value)| (hour(index) - middle, value - mean));
        let spread: f64 = points().map(|(at, _)| at * at).sum();
        let slope = points().map(|(at, off)| at * off).sum::<f64>() / spread;
        let left: f64 = points().map(|(at, off)| (off - slope * at).powi(2)).sum();
        Some(Self { an_hour: slope / mean, error: (left / (count - 2.0) / spread).sqrt() / mean })
    }

    /// Whether growth is above one percent per hour by more than two standard errors.
    fn is_too_much(self) -> bool {
        self.an_hour - 2.0 * self.error > 0.01
    }
}

#[test]
fn growth_is_distinguished_from_chance() {
    let memory = |an_hour: f64| -> Vec<f64> {
        let wave = [0.0, 90.0, -120.0, 60.0, -30.0];
        (0..24_u32)
            .map(|at| 28_000.0 * (1.0 + an_hour * f64::from(at) / 12.0) + wave[at as usize % 5])
            .collect()
    };
    let (still, growing) = (Growth::of(&memory(0.0)).unwrap(), Growth::of(&memory(0.03)).unwrap());
    assert!(still.an_hour.abs() < 0.002 && !still.is_too_much(), "{still:?}");
    assert!((growing.an_hour - 0.03).abs() < 0.002 && growing.is_too_much(), "{growing:?}");
    assert!(Growth::of(&[28_000.0, 29_000.0]).is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "SOAK_SECONDS, 1800 by default"]
async fn half_an_hour_of_faults_leaves_nothing_behind() {
    let (seconds, seed) = (setting("SOAK_SECONDS", 1_800), setting("CLUSTER_SEED", 7));
    let mut broker = broker().await;
    let mut testbed = Testbed::new(&broker, 2, seed).await;
    let workload = Workload::start(&testbed.cluster, 40, 3, 40.0).await;
    // A node that was killed starts with fresh memory, so its samples say nothing.
    let faults = ALL.into_iter().filter(|fault| *fault != Fault::NodeKilled).cycle();
    let begin = Instant::now();
    let mut samples: [Vec<ResourceUsage>; 2] = [Vec::new(), Vec::new()];
    for fault in faults {
        if begin.elapsed() > Duration::from_secs(seconds) {
            break;
        }
        for _ in 0..CALM {
            sleep(Duration::from_secs(1)).await;
            for (node, samples) in testbed.cluster.nodes.iter().zip(&mut samples) {
                samples.push(ResourceUsage::by(node, begin.elapsed()));
            }
        }
        testbed.inject(fault, &mut broker).await;
    }
    let (history, _, converged) = workload.finish(&testbed.cluster, Duration::from_secs(12)).await;
    let wrong = violations(&history);
    for samples in &samples {
        let (first, last) = (samples[samples.len() / 3], samples[samples.len() - 1]);
        let means = means(samples);
        let growth = means.get(WARMING_UP..).and_then(Growth::of);
        report(&format!(
            "soak of {seconds} s, seed {seed}: {} acked, violations {}, converged after {converged:?}; \
             memory {growth:?}, means {means:.0?} KiB; {first:?} -> {last:?}",
            history.acked.len(),
            wrong.len(),
        ));
        assert!(growth.is_none_or(|growth| !growth.is_too_much()), "{growth:?}");
        assert!(last.descriptors <= first.descriptors + 20, "{first:?} {last:?}");
        assert!(last.threads <= first.threads + 4, "{first:?} {last:?}");
    }
    assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}");
}
