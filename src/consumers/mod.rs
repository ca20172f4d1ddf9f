//! Background consumers of the log, one file each.
//!
//! The store keeps their positions and decides which node runs which ([`crate::store::postgres::LogConsumer`]).

mod audit;
mod notifications;
mod search;
mod stall_watch;
mod webhooks;

use std::time::Duration;

use actors::ports::store::StoreError;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::store::postgres::{ConsumerError, ConsumerRound, LogConsumer, PostgresStore};

pub use audit::AuditWriter;
pub use notifications::NotificationScheduler;
pub use search::SearchIndexer;
use stall_watch::StallWatch;
pub use webhooks::WebhookPlanner;

/// The pause when everything is consumed.
const IDLE_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause. It is shorter than the lease that a round renews.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Events consumed by one round, unless fewer take too long.
const EVENTS_AT_ONCE: usize = 2_000;
/// When it is behind, a consumer works one part in this many of the time, because sends come first.
const DUTY_DIVISOR: u32 = 4;

/// Runs `consumer` until it is dropped.
pub async fn run(store: PostgresStore, consumer: impl LogConsumer) {
    let name = consumer.name();
    let owner = Uuid::new_v4();
    while let Err(error) = store.start_consumer(name).await {
        tracing::debug!(name, %error, "a consumer can't be started yet");
        sleep(IDLE_PAUSE).await;
    }
    let mut is_stopped = false;
    let mut stall_watch = StallWatch::new(name);
    let mut wanted = EVENTS_AT_ONCE;
    loop {
        let began = Instant::now();
        let round = store.consume(&consumer, owner, wanted).await;
        if let Ok(round) = &round {
            is_stopped = report(name, round, is_stopped);
        }
        stall_watch.observe(&store, &round).await;
        wanted = next_size(wanted, &round);
        let pause = match round {
            Ok(ConsumerRound::Consumed { has_more: true, .. }) => {
                (began.elapsed() * (DUTY_DIVISOR - 1)).min(PAUSE_MAX)
            }
            Ok(_) => IDLE_PAUSE,
            Err(error) => {
                tracing::debug!(name, %error, "a consumer made no progress; the next round tries again");
                IDLE_PAUSE
            }
        };
        sleep(pause).await;
    }
}

/// Returns the consumer of this name.
#[must_use]
pub fn named(name: &str) -> Option<Box<dyn LogConsumer>> {
    let known: [Box<dyn LogConsumer>; 4] = [
        Box::new(AuditWriter),
        Box::new(NotificationScheduler),
        Box::new(SearchIndexer),
        Box::new(WebhookPlanner),
    ];
    known.into_iter().find(|consumer| consumer.name() == name)
}

/// Consumes everything that is left without a pause, in place of the nodes.
///
/// # Errors
/// [`ConsumerError`]: the consumer has stopped at an event, another process has taken it over, or the store failed.
pub async fn catch_up(store: &PostgresStore, consumer: &dyn LogConsumer) -> Result<(), ConsumerError> {
    let owner = Uuid::new_v4();
    store.start_consumer(consumer.name()).await?;
    store.take_over_consumer(consumer.name(), owner).await?;
    let mut wanted = EVENTS_AT_ONCE;
    loop {
        let round = store.consume(consumer, owner, wanted).await;
        wanted = next_size(wanted, &round);
        match round? {
            ConsumerRound::Consumed { has_more: true, .. } => {}
            ConsumerRound::Consumed { has_more: false, .. } => return Ok(()),
            ConsumerRound::Stopped(reason) => return Err(ConsumerError::Event(reason)),
            ConsumerRound::NotOwner => {
                return Err(ConsumerError::Event("another process has taken the consumer over".to_owned()));
            }
        }
    }
}

/// How many events the next round is to have: a few more than went well, which may be less than was wanted, and half
/// as many after a failure.
fn next_size(wanted: usize, round: &Result<ConsumerRound, StoreError>) -> usize {
    match round {
        Ok(ConsumerRound::Consumed { events, has_more: true }) => {
            (events + events / 8 + 1).min(EVENTS_AT_ONCE)
        }
        Ok(_) => EVENTS_AT_ONCE,
        Err(_) => (wanted / 2).max(1),
    }
}

/// Reports a round to metrics, and the beginning and the end of a stop to the log. Returns whether it is stopped.
fn report(name: &'static str, round: &ConsumerRound, was_stopped: bool) -> bool {
    let is_stopped = match round {
        ConsumerRound::Stopped(reason) => {
            if !was_stopped {
                tracing::error!(name, reason, "a consumer has stopped at an event; skip it or restart");
            }
            true
        }
        ConsumerRound::Consumed { events, .. } => {
            let events = u64::try_from(*events).unwrap_or(u64::MAX);
            metrics::counter!("chat_consumer_events_total", "consumer" => name).increment(events);
            if was_stopped {
                tracing::info!(name, "a consumer goes on");
            }
            false
        }
        ConsumerRound::NotOwner => false,
    };
    metrics::gauge!("chat_consumer_stopped", "consumer" => name).set(if is_stopped { 1.0 } else { 0.0 });
    is_stopped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_that_took_too_long_makes_the_next_ones_smaller_for_a_while() {
        let consumed = |events, has_more| Ok(ConsumerRound::Consumed { events, has_more });
        assert_eq!(next_size(2_000, &consumed(2_000, true)), 2_000);
        assert_eq!(next_size(2_000, &consumed(125, true)), 141, "it went well with fewer");
        assert_eq!(next_size(141, &consumed(141, true)), 159);
        assert_eq!(next_size(1, &consumed(1, true)), 2);
        assert_eq!(next_size(141, &consumed(60, false)), 2_000, "nothing is left");
        let failed = || Err(StoreError::Unavailable("late".into()));
        assert_eq!((next_size(2_000, &failed()), next_size(1, &failed())), (1_000, 1));
    }
}
