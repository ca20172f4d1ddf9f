//! Notices a consumer that is behind and makes no progress: a batch takes too long however small it is, or a
//! transaction that doesn't end keeps the log from being read.

use std::time::Duration;

use actors::ports::store::StoreError;
use tokio::time::Instant;

use crate::store::postgres::{ConsumerRound, PostgresStore};

/// For how long a consumer may be behind at one position.
const STALLED_AFTER: Duration = Duration::from_secs(60);
/// How often a consumer that consumes nothing is asked where it is.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// Watches one consumer on the node that owns it.
pub(super) struct StallWatch {
    name: &'static str,
    /// The position at which it is behind, and since when.
    behind: Option<(i64, Instant)>,
    looked_at: Option<Instant>,
    is_stalled: bool,
}

impl StallWatch {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, behind: None, looked_at: None, is_stalled: false }
    }

    /// Takes a round into account, and reports the beginning and the end of a stall.
    pub(super) async fn observe(&mut self, store: &PostgresStore, round: &Result<ConsumerRound, StoreError>) {
        if !matches!(round, Err(_) | Ok(ConsumerRound::Consumed { events: 0, .. })) {
            self.update(None, Instant::now());
            return;
        }
        if self.looked_at.is_some_and(|at| at.elapsed() < LOOK_INTERVAL) {
            return;
        }
        self.looked_at = Some(Instant::now());
        // A database that doesn't answer says nothing about the consumer, and is reported by others.
        if let Ok(position) = store.consumer_behind_at(self.name).await {
            self.update(position, Instant::now());
        }
    }

    /// Notes where the consumer is behind, if it is.
    fn update(&mut self, position: Option<i64>, now: Instant) {
        let known = self.behind.filter(|(known, _)| Some(*known) == position);
        self.behind = position.map(|position| known.unwrap_or((position, now)));
        let was_stalled = self.is_stalled;
        self.is_stalled = self.behind.is_some_and(|(_, since)| now - since >= STALLED_AFTER);
        let name = self.name;
        match (was_stalled, self.is_stalled) {
            (false, true) => {
                tracing::error!(
                    name,
                    "a consumer is behind and makes no progress; it is tried again and again"
                );
            }
            (true, false) => tracing::info!(name, "a consumer makes progress again"),
            _ => {}
        }
        let value = if self.is_stalled { 1.0 } else { 0.0 };
        metrics::gauge!("chat_consumer_stalled", "consumer" => name).set(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumer_that_is_behind_at_one_position_for_a_minute_is_stalled() {
        let mut watch = StallWatch::new("test");
        let began = Instant::now();
        let mut looks = |position, second| {
            watch.update(position, began + Duration::from_secs(second));
            watch.is_stalled
        };
        assert!(!looks(Some(7), 0) && !looks(Some(7), 50));
        assert!(looks(Some(7), 60) && looks(Some(7), 90));
        assert!(!looks(Some(8), 100), "it has moved");
        assert!(!looks(Some(8), 150) && looks(Some(8), 160));
        assert!(!looks(None, 170), "everything is consumed");
        assert!(!looks(Some(8), 180) && !looks(Some(8), 200) && !looks(None, 210));
        assert!(!looks(Some(8), 220) && !looks(Some(8), 270));
    }
}
