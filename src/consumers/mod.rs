//! Background consumers of the log, one file each.
//!
//! The store keeps their positions and decides which node runs which ([`crate::store::postgres::LogConsumer`]).

mod notifications;
mod search;
mod webhooks;

use std::time::Duration;

use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::store::postgres::{ConsumerError, ConsumerRound, LogConsumer, PostgresStore};

pub use notifications::NotificationScheduler;
pub use search::SearchIndexer;
pub use webhooks::WebhookPlanner;

/// The pause when everything is consumed.
const IDLE_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause. It is shorter than the lease that a round renews.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Events consumed by one round.
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
    loop {
        let began = Instant::now();
        let round = store.consume(&consumer, owner, EVENTS_AT_ONCE).await;
        if let Ok(round) = &round {
            is_stopped = report(name, round, is_stopped);
        }
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
    let known: [Box<dyn LogConsumer>; 3] =
        [Box::new(NotificationScheduler), Box::new(SearchIndexer), Box::new(WebhookPlanner)];
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
    loop {
        match store.consume(consumer, owner, EVENTS_AT_ONCE).await? {
            ConsumerRound::Consumed { has_more: true, .. } => {}
            ConsumerRound::Consumed { has_more: false, .. } => return Ok(()),
            ConsumerRound::Stopped(reason) => return Err(ConsumerError::Event(reason)),
            ConsumerRound::NotOwner => {
                return Err(ConsumerError::Event("another process has taken the consumer over".to_owned()));
            }
        }
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
