//! What came: how much, in which order, and how late.

/// Counts of one run.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Messages delivered, each counted at each socket that got it.
    pub(crate) delivered: u64,
    /// Messages that came before their socket had joined: those of a replay.
    pub(crate) early: u64,
    /// Messages sent.
    pub(crate) sent: u64,
    /// Acknowledgements.
    pub(crate) acked: u64,
    /// Answers that something was refused.
    pub(crate) refused: u64,
    /// Messages that found too many waiting, where that was meant.
    pub(crate) shed: u64,
    /// Messages that never came, by the gaps they left.
    pub(crate) lost: u64,
    /// Messages that came twice or behind a later one.
    pub(crate) doubled: u64,
    /// Sockets that the server closed, by the code where there was one.
    pub(crate) closed: Vec<u16>,
    /// Whether delays are noted now.
    pub(crate) is_measuring: bool,
    /// From sending to arrival at the sender's own socket.
    pub(crate) echoes: Delays,
    /// From sending to arrival anywhere.
    pub(crate) delays: Delays,
}

/// Delays in microseconds.
#[derive(Debug, Default)]
pub(crate) struct Delays(Vec<u32>);

impl Delays {
    /// Notes one.
    pub(crate) fn note(&mut self, ns: u64) {
        self.0.push(u32::try_from(ns / 1_000).unwrap_or(u32::MAX));
    }

    /// The delay in milliseconds that this share of all stays within.
    pub(crate) fn within(&mut self, share: f64) -> f64 {
        if self.0.is_empty() {
            return 0.0;
        }
        let at = ((self.0.len() - 1) as f64 * share).round() as usize;
        let (_, delay, _) = self.0.select_nth_unstable(at);
        f64::from(*delay) / 1_000.0
    }
}
