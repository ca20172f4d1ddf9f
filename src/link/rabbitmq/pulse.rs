//! Whether the way through the broker works: what the beacon tells.
//!
//! Every [`BEACON_EVERY`] the node sends itself a beacon through exchange, binding, queue and consumer.
//! TCP and AMQP take many seconds to notice a frozen broker, and a broker confirms what it threw away;
//! a beacon that comes back is the only proof.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How often a beacon is sent. The last answered one may be this old when the way breaks; with
/// [`UNANSWERED_MAX`] and the look that finds it, that makes two seconds.
pub(super) const BEACON_EVERY: Duration = Duration::from_millis(400);
/// Beacons without an answer after which the way counts as broken. Counted, not timed: a node that
/// stood still itself, as in a long pause of its machine, gives the broker its chance to answer.
const UNANSWERED_MAX: u32 = 3;
/// The same while other messages still come: the broker lives and is only behind.
const UNANSWERED_WHILE_BUSY_MAX: u32 = 25;

/// What is known of one connection. Shared by what sends, what receives and what watches.
#[derive(Debug, Default)]
pub(super) struct Pulse(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    sent: u64,
    sent_at: Option<Instant>,
    answered: u64,
    /// Looks since the last answer, with a beacon under way.
    unanswered: u32,
    /// The same since anything came.
    silent: u32,
    is_blocked: bool,
}

impl Pulse {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the next beacon.
    pub(super) fn next_beacon(&self) -> u64 {
        let mut state = self.state();
        state.sent += 1;
        state.sent_at = Some(Instant::now());
        state.sent
    }

    /// A beacon came back; how long it took, when it is the newest.
    pub(super) fn beacon_came(&self, number: u64) -> Option<Duration> {
        let mut state = self.state();
        state.answered = state.answered.max(number);
        (state.unanswered, state.silent) = (0, 0);
        state.sent_at.filter(|_| state.sent == number).map(|at| at.elapsed())
    }

    /// Something came.
    pub(super) fn something_came(&self) {
        self.state().silent = 0;
    }

    /// Whether a beacon has come back.
    pub(super) fn is_proven(&self) -> bool {
        self.state().answered > 0
    }

    /// The broker takes no messages now, or takes them again.
    pub(super) fn set_blocked(&self, is_blocked: bool) {
        let mut state = self.state();
        state.is_blocked = is_blocked;
        (state.unanswered, state.silent) = (0, 0);
    }

    /// Whether the broker takes no messages now.
    pub(super) fn is_blocked(&self) -> bool {
        self.state().is_blocked
    }

    /// Looks whether the way is broken; to be called every [`BEACON_EVERY`].
    pub(super) fn is_broken(&self) -> bool {
        let mut state = self.state();
        if state.is_blocked || state.sent == state.answered {
            return false;
        }
        state.unanswered += 1;
        state.silent += 1;
        state.silent > UNANSWERED_MAX || state.unanswered > UNANSWERED_WHILE_BUSY_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks_until_broken(pulse: &Pulse, between: impl Fn(&Pulse)) -> usize {
        (1..100)
            .find(|_| {
                pulse.next_beacon();
                between(pulse);
                pulse.is_broken()
            })
            .unwrap_or(100)
    }

    #[test]
    fn silence_breaks_it_within_two_seconds() {
        let looks = looks_until_broken(&Pulse::default(), |_| ());
        let looks = u32::try_from(looks).expect("few");
        assert!(BEACON_EVERY * (looks + 1) <= Duration::from_secs(2), "{looks}");
    }

    #[test]
    fn a_busy_broker_that_is_behind_gets_longer() {
        let looks = looks_until_broken(&Pulse::default(), Pulse::something_came);
        assert!((10..=26).contains(&looks), "{looks}");
    }

    #[test]
    fn answers_keep_it_and_a_block_is_no_silence() {
        let pulse = Pulse::default();
        assert_eq!(
            looks_until_broken(&pulse, |pulse| {
                let sent = pulse.state().sent;
                pulse.beacon_came(sent);
            }),
            100
        );
        assert!(pulse.is_proven());
        pulse.set_blocked(true);
        assert_eq!(looks_until_broken(&pulse, |_| ()), 100);
        pulse.set_blocked(false);
        assert_eq!(looks_until_broken(&pulse, |_| ()), 4);
    }
}
