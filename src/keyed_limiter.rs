//! A rate limit for each of many keys, such as users or addresses.

use std::hash::Hash;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};

use crate::config::Rate;

/// A token bucket for each key; without a rate it lets everything through.
pub(crate) struct KeyedLimiter<K: Hash + Eq + Clone>(
    Option<RateLimiter<K, DefaultKeyedStateStore<K>, DefaultClock>>,
);

impl<K: Hash + Eq + Clone> KeyedLimiter<K> {
    pub(crate) fn new(rate: Option<Rate>) -> Self {
        Self(rate.map(|rate| RateLimiter::keyed(Quota::per_second(rate.per_second).allow_burst(rate.burst))))
    }

    /// Takes a token from the bucket of `key`.
    ///
    /// # Errors
    /// The bucket is empty; the duration until it holds a token again.
    pub(crate) fn check(&self, key: &K) -> Result<(), Duration> {
        let Some(limiter) = &self.0 else { return Ok(()) };
        limiter.check_key(key).map_err(|not_until| not_until.wait_time_from(DefaultClock::default().now()))
    }

    /// Drops the buckets that are full again.
    pub(crate) fn forget_idle(&self) {
        if let Some(limiter) = &self.0 {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}
