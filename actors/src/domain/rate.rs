//! A rate with a burst: the generic cell rate algorithm (GCRA), on a clock that the caller passes in.

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
    /// A rate of `per_second`, with `burst` at once; 0 per second means no limit.
    #[must_use]
    pub fn new(per_second: f64, burst: u32) -> Self {
        let every = if per_second > 0.0 { Duration::from_secs_f64(1.0 / per_second) } else { Duration::ZERO };
        Self { every, burst: burst.max(1) }
    }

    /// No limit at all.
    pub const UNLIMITED: Self = Self { every: Duration::ZERO, burst: 1 };
}

/// What is left of a [`Rate`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// When the next use would be due if uses came evenly, on the caller's clock.
    due: Duration,
}

impl Budget {
    /// Takes one use at `now`.
    ///
    /// # Errors
    /// How long to wait for the next use.
    pub fn take(&mut self, rate: Rate, now: Duration) -> Result<(), Duration> {
        self.take_many(rate, 1, now)
    }

    /// Takes all of `uses` at `now`, or none; more than the burst count as the whole burst.
    ///
    /// # Errors
    /// How long to wait for as many.
    pub fn take_many(&mut self, rate: Rate, uses: usize, now: Duration) -> Result<(), Duration> {
        if rate.every.is_zero() {
            return Ok(());
        }
        let uses = u32::try_from(uses).unwrap_or(u32::MAX).clamp(1, rate.burst);
        let due = self.due.max(now) + rate.every * (uses - 1);
        let ahead = rate.every * (rate.burst - 1);
        if due > now + ahead {
            return Err(due - now - ahead);
        }
        self.due = due + rate.every;
        Ok(())
    }

    /// Gives one use back.
    pub fn give_back(&mut self, rate: Rate) {
        self.due = self.due.saturating_sub(rate.every);
    }

    /// Whether the whole burst is available at `now`, so that the budget need not be kept.
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
    fn several_uses_are_taken_together_or_not_at_all() {
        let rate = Rate::new(10.0, 5);
        let (mut budget, now) = (Budget::default(), Duration::from_secs(5));
        assert_eq!(budget.take_many(rate, 3, now), Ok(()));
        assert_eq!(budget.take_many(rate, 3, now), Err(Duration::from_millis(100)));
        assert_eq!(budget.take_many(rate, 2, now), Ok(()));
        assert_eq!(budget.take(rate, now), Err(Duration::from_millis(100)));
        // More than the burst is possible when nothing was used for long enough.
        let later = now + Duration::from_secs(1);
        assert_eq!(budget.take_many(rate, 50, later), Ok(()));
        assert_eq!(budget.take_many(rate, 50, later), Err(Duration::from_millis(500)));
    }

    #[test]
    fn an_unlimited_rate_never_refuses() {
        let mut budget = Budget::default();
        for _ in 0..1_000 {
            assert_eq!(budget.take(Rate::UNLIMITED, Duration::ZERO), Ok(()));
        }
    }
}
