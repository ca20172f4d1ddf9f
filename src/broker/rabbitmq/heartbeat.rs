//! Detects whether messages still get through the broker.
//!
//! Every [`HEARTBEAT_INTERVAL`] the node publishes a heartbeat to itself through exchange, binding, queue and
//! consumer. TCP and AMQP take many seconds to notice a frozen broker, and a broker also confirms messages
//! that it dropped. A heartbeat that returns is the only proof.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How often a heartbeat is sent. The last one that returned may be this old when the broker fails; together
/// with [`UNANSWERED_MAX`] and the check that detects it this makes two seconds.
pub(super) const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(400);
/// Checks without a returned heartbeat after which the broker has failed. Counted rather than timed, so that
/// after a pause of this machine the broker still gets its chance to answer.
const UNANSWERED_MAX: u32 = 3;
/// The same while other messages still arrive: the broker works and is only behind.
const UNANSWERED_WHILE_BUSY_MAX: u32 = 25;

/// The state of one connection, shared by its sender, receiver and monitor.
#[derive(Debug, Default)]
pub(super) struct HeartbeatMonitor(Mutex<HeartbeatState>);

#[derive(Debug, Default)]
struct HeartbeatState {
    sent: u64,
    sent_at: Option<Instant>,
    answered: u64,
    /// Checks since a heartbeat last returned, with one outstanding.
    unanswered: u32,
    /// Checks since anything was last received, with a heartbeat outstanding.
    silent: u32,
    is_blocked: bool,
}

impl HeartbeatMonitor {
    fn state(&self) -> MutexGuard<'_, HeartbeatState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers the next heartbeat.
    pub(super) fn next_heartbeat(&self) -> u64 {
        let mut state = self.state();
        state.sent += 1;
        state.sent_at = Some(Instant::now());
        state.sent
    }

    /// Notes a returned heartbeat. Returns its round-trip time if it is the most recent one.
    pub(super) fn heartbeat_received(&self, number: u64) -> Option<Duration> {
        let mut state = self.state();
        state.answered = state.answered.max(number);
        (state.unanswered, state.silent) = (0, 0);
        state.sent_at.filter(|_| state.sent == number).map(|at| at.elapsed())
    }

    /// Notes any other message.
    pub(super) fn message_received(&self) {
        self.state().silent = 0;
    }

    /// Whether a heartbeat has returned on this connection.
    pub(super) fn is_confirmed(&self) -> bool {
        self.state().answered > 0
    }

    /// Notes whether the broker has blocked publishers because of a resource alarm.
    pub(super) fn set_blocked(&self, is_blocked: bool) {
        let mut state = self.state();
        state.is_blocked = is_blocked;
        (state.unanswered, state.silent) = (0, 0);
    }

    /// Whether the broker has blocked publishers.
    pub(super) fn is_blocked(&self) -> bool {
        self.state().is_blocked
    }

    /// Checks whether the broker has failed; to be called every [`HEARTBEAT_INTERVAL`].
    pub(super) fn has_timed_out(&self) -> bool {
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

    fn looks_until_broken(heartbeat: &HeartbeatMonitor, between: impl Fn(&HeartbeatMonitor)) -> usize {
        (1..100)
            .find(|_| {
                heartbeat.next_heartbeat();
                between(heartbeat);
                heartbeat.has_timed_out()
            })
            .unwrap_or(100)
    }

    #[test]
    fn silence_is_detected_within_two_seconds() {
        let looks = looks_until_broken(&HeartbeatMonitor::default(), |_| ());
        let looks = u32::try_from(looks).expect("few");
        assert!(HEARTBEAT_INTERVAL * (looks + 1) <= Duration::from_secs(2), "{looks}");
    }

    #[test]
    fn a_busy_broker_gets_more_time() {
        let looks = looks_until_broken(&HeartbeatMonitor::default(), HeartbeatMonitor::message_received);
        assert!((10..=26).contains(&looks), "{looks}");
    }

    #[test]
    fn returned_heartbeats_and_blocking_keep_the_connection() {
        let heartbeat = HeartbeatMonitor::default();
        assert_eq!(
            looks_until_broken(&heartbeat, |heartbeat| {
                let sent = heartbeat.state().sent;
                heartbeat.heartbeat_received(sent);
            }),
            100
        );
        assert!(heartbeat.is_confirmed());
        heartbeat.set_blocked(true);
        assert_eq!(looks_until_broken(&heartbeat, |_| ()), 100);
        heartbeat.set_blocked(false);
        assert_eq!(looks_until_broken(&heartbeat, |_| ()), 4);
    }
}
