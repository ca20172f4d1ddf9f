//! Limits the rate of WebSocket handshakes on this node.
//!
//! The token is verified first, because that costs almost nothing. A handshake without a valid token counts
//! only against its address, not against the node. One with a valid token counts against its user and then
//! against the node. Reconnecting clients, which were promised to miss nothing, take precedence over new
//! ones.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actors::domain::ids::UserId;
use governor::clock::{Clock, DefaultClock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::config::{Rate, Rates};
use crate::keyed_limiter::KeyedLimiter;
use crate::listener::connection_limiter::network;

/// How long new clients are limited further after a reconnecting one had to be rejected.
const PRESSURE_LASTS: Duration = Duration::from_secs(2);
/// By what their share of the node's rate is divided meanwhile.
const NEW_CLIENTS_DIVISOR: u32 = 4;

/// The rate limits of handshakes.
pub struct HandshakeLimiter {
    node: Option<NodeLimiter>,
    users: KeyedLimiter<UserId>,
    bad: KeyedLimiter<IpAddr>,
}

impl HandshakeLimiter {
    /// Creates the limiters for these rates.
    #[must_use]
    pub fn new(rates: &Rates) -> Self {
        Self {
            node: rates.handshakes.map(|rate| NodeLimiter::new(rate, DefaultClock::default())),
            users: KeyedLimiter::new(rates.user_handshakes),
            bad: KeyedLimiter::new(rates.bad_handshakes),
        }
    }

    /// Counts a handshake without a valid token.
    ///
    /// # Errors
    /// How long the address has to wait.
    pub fn check_bad(&self, address: IpAddr) -> Result<(), Duration> {
        self.bad.check(&network(address))
    }

    /// Counts a handshake of a user.
    ///
    /// # Errors
    /// How long the user has to wait.
    pub fn check_user(&self, user: UserId) -> Result<(), Duration> {
        self.users.check(&user)
    }

    /// Counts a handshake with a valid token against the node; false if it must be rejected.
    #[must_use]
    pub fn admit(&self, is_reconnect: bool) -> bool {
        self.node.as_ref().is_none_or(|node| node.take(is_reconnect))
    }

    /// Drops the state of idle users and addresses; to be called about once a minute.
    pub fn forget_idle(&self) {
        self.users.forget_idle();
        self.bad.forget_idle();
    }
}

type Limiter<C> = RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// The rate limit of the node.
struct NodeLimiter<C: Clock = DefaultClock> {
    all: Limiter<C>,
    /// The rate that is left to new clients while reconnecting ones are being rejected.
    new_clients: Limiter<C>,
    /// When a reconnecting client was last rejected.
    reconnect_rejected_at: Mutex<Option<C::Instant>>,
    clock: C,
}

impl<C: Clock + Clone> NodeLimiter<C> {
    fn new(rate: Rate, clock: C) -> Self {
        let part =
            |number: std::num::NonZeroU32| number.div_ceil(NEW_CLIENTS_DIVISOR.try_into().expect("not zero"));
        let quota = |per_second, burst| Quota::per_second(per_second).allow_burst(burst);
        Self {
            all: RateLimiter::direct_with_clock(quota(rate.per_second, rate.burst), clock.clone()),
            new_clients: RateLimiter::direct_with_clock(
                quota(part(rate.per_second), part(rate.burst)),
                clock.clone(),
            ),
            reconnect_rejected_at: Mutex::new(None),
            clock,
        }
    }

    fn take(&self, is_reconnect: bool) -> bool {
        if !is_reconnect && self.is_under_pressure() && self.new_clients.check().is_err() {
            return false;
        }
        let has_place = self.all.check().is_ok();
        if is_reconnect && !has_place {
            *self.reconnect_rejected_at.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(self.clock.now());
        }
        has_place
    }

    fn is_under_pressure(&self) -> bool {
        let reconnect_rejected_at =
            *self.reconnect_rejected_at.lock().unwrap_or_else(PoisonError::into_inner);
        reconnect_rejected_at
            .is_some_and(|at| Duration::from(self.clock.now().duration_since(at)) < PRESSURE_LASTS)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::NodeLimiter;

    fn budget(rate: &str) -> (NodeLimiter<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (NodeLimiter::new(rate.parse().expect("a rate"), clock.clone()), clock)
    }

    #[test]
    fn new_clients_have_the_whole_rate_without_reconnects() {
        let (node, _) = budget("40:40");
        assert_eq!((0..100).filter(|_| node.take(false)).count(), 40);
    }

    #[test]
    fn reconnecting_clients_go_first_under_pressure() {
        let (node, clock) = budget("40:40");
        assert_eq!((0..50).filter(|_| node.take(true)).count(), 40, "all of it, and some were sent away");
        clock.advance(Duration::from_secs(1));
        // Many new clients, ahead of each reconnecting one.
        let mut passed = [0, 0];
        for _ in 0..40 {
            passed[0] += (0..50).filter(|_| node.take(false)).count();
            passed[1] += usize::from(node.take(true));
        }
        assert_eq!(passed, [10, 30]);
        clock.advance(Duration::from_secs(10));
        assert_eq!((0..100).filter(|_| node.take(false)).count(), 40, "it is over");
    }
}
