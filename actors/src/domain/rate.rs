//! A rate with a burst: the generic cell rate algorithm, on a clock that is handed in.

use std::time::Duration;

/// How often something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The time that one use costs.
    pub every: Duration,
    /// How many uses may come at once.
    pub burst: u32,
}

impl Rate {
    /// `per_second` uses a second, `burst` at once; 0 a second lifts the limit.
    #[must_use]
    pub fn new(per_second: f64, burst: u32) -> Self {
        let every = if per_second > 0.0 { Duration::from_secs_f64(1.0 / per_second) } else { Duration::ZERO };
        Self { every, burst: burst.max(1) }
    }

    /// No limit at all.
    pub const UNLIMITED: Self = Self { every: Duration::ZERO, burst: 1 };
}

/// What one has left of a [`Rate`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// When the next use would be due if uses came evenly, on the caller's clock.
    due: Duration,
}

impl Budget {
    /// Takes one use at `now`, or tells how long to wait for it.
    ///
    /// # Errors
    /// The time after which one use is free again.
    pub fn take(&mut self, rate: Rate, now: Duration) -> Result<(), Duration> {
        if rate.every.is_zero() {
            return Ok(());
        }
        let due = self.due.max(now);
        let ahead = rate.every * (rate.burst - 1);
        if due > now + ahead {
            return Err(due - now - ahead);
        }
        self.due = due + rate.every;
        Ok(())
    }

    /// Gives one use back, for one that came to nothing.
    pub fn give_back(&mut self, rate: Rate) {
        self.due = self.due.saturating_sub(rate.every);
    }

    /// Whether nothing is owed at `now`, so that it can be forgotten.
    #[must_use]
    pub fn is_full(&self, now: Duration) -> bool {
        self.due <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_burst_and_then_the_rate() {
        let rate = Rate::new(10.0, 3);
        let mut budget = Budget::default();
        let now = Duration::from_secs(5);
        for _ in 0..3 {
            assert_eq!(budget.take(rate, now), Ok(()));
        }
        assert_eq!(budget.take(rate, now), Err(Duration::from_millis(100)));
        assert_eq!(budget.take(rate, now + Duration::from_millis(100)), Ok(()));
        assert!(budget.take(rate, now + Duration::from_millis(100)).is_err());
        assert!(budget.is_full(now + Duration::from_secs(1)));
        budget.give_back(rate);
        assert_eq!(budget.take(rate, now + Duration::from_millis(100)), Ok(()));
    }

    #[test]
    fn an_unlimited_rate_never_refuses() {
        let mut budget = Budget::default();
        for _ in 0..1_000 {
            assert_eq!(budget.take(Rate::UNLIMITED, Duration::ZERO), Ok(()));
        }
    }
}
