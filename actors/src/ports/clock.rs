//! Time, as actors see it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// A clock that never goes backwards.
///
/// It follows tokio's clock, so a test that pauses that one pauses this one too. The date is set once, at
/// the start.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: tokio::time::Instant,
    date: DateTime<Utc>,
}

impl Clock {
    /// Starts a clock at zero, when the date is `date`.
    #[must_use]
    pub fn start(date: DateTime<Utc>) -> Self {
        Self { origin: tokio::time::Instant::now(), date }
    }

    /// The time since the start, by which the engine orders and expires.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    /// The date, for display, and for what other nodes read; nothing here is ordered or expires by it.
    #[must_use]
    pub fn date(&self) -> DateTime<Utc> {
        self.date + TimeDelta::from_std(self.now()).unwrap_or_default()
    }
}
