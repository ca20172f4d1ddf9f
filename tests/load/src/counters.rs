//! Counts and latencies of what was sent and received.

/// The counters of a run.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Deliveries, counted at each receiving socket.
    pub(crate) delivered: u64,
    /// Messages before the socket had joined, which belong to a replay.
    pub(crate) early: u64,
    /// Messages sent.
    pub(crate) sent: u64,
    /// Acknowledgements.
    pub(crate) acked: u64,
    /// Refusals.
    pub(crate) refused: u64,
    /// Messages refused as `overloaded` where that is expected.
    pub(crate) shed: u64,
    /// Missing messages, according to gaps in the positions.
    pub(crate) lost: u64,
    /// Messages that arrived twice or out of order.
    pub(crate) doubled: u64,
    /// Close codes of sockets that the server closed.
    pub(crate) closed: Vec<u16>,
    /// Whether latencies are currently recorded.
    pub(crate) is_measuring: bool,
    /// From sending to arrival at the sender's own socket.
    pub(crate) echo_latencies: LatencySamples,
    /// From sending to arrival at any socket.
    pub(crate) latencies: LatencySamples,
}

/// Latencies in microseconds.
#[derive(Debug, Default)]
pub(crate) struct LatencySamples(Vec<u32>);

impl LatencySamples {
    /// Records a latency.
    pub(crate) fn note(&mut self, ns: u64) {
        self.0.push(u32::try_from(ns / 1_000).unwrap_or(u32::MAX));
    }

    /// The latency in milliseconds that this share of all samples doesn't exceed.
    pub(crate) fn within(&mut self, share: f64) -> f64 {
        if self.0.is_empty() {
            return 0.0;
        }
        let at = ((self.0.len() - 1) as f64 * share).round() as usize;
        let (_, delay, _) = self.0.select_nth_unstable(at);
        f64::from(*delay) / 1_000.0
    }
}
