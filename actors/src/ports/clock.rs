//! Time, as actors see it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// A clock that never goes backwards.
///
/// It reads tokio's clock, so that a test which pauses that one pauses this one too. It is told the
/// date once, at its start.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: tokio::time::Instant,
    date: DateTime<Utc>,
}

impl Clock {
    /// Starts a clock at zero; `date` is what the calendar says then.
    #[must_use]
    pub fn start(date: DateTime<Utc>) -> Self {
        Self { origin: tokio::time::Instant::now(), date }
    }

    /// The time since the start: what the engine orders and expires by.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    /// The date, for people to read; nothing is ordered or expires by it.
    #[must_use]
    pub fn date(&self) -> DateTime<Utc> {
        self.date + TimeDelta::from_std(self.now()).unwrap_or_default()
    }
}
