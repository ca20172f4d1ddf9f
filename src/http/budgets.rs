//! How often one person, or one address, may ask.

use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};

use super::error::ApiError;
use crate::config::{Rate, Rates};
use crate::doors::addresses::network;
use crate::socket::admission::Admission;
use actors::domain::ids::UserId;

/// A budget for each of `K`; none where the operator has lifted it.
pub(crate) struct Budget<K: Hash + Eq + Clone>(
    Option<RateLimiter<K, DefaultKeyedStateStore<K>, DefaultClock>>,
);

impl<K: Hash + Eq + Clone> Budget<K> {
    pub(crate) fn new(rate: Option<Rate>) -> Self {
        Self(rate.map(|rate| RateLimiter::keyed(Quota::per_second(rate.per_second).allow_burst(rate.burst))))
    }

    /// Takes one.
    ///
    /// # Errors
    /// How long it takes until there is one again.
    pub(crate) fn check(&self, key: &K) -> Result<(), Duration> {
        let Some(limiter) = &self.0 else { return Ok(()) };
        limiter.check_key(key).map_err(|not_until| not_until.wait_time_from(DefaultClock::default().now()))
    }

    fn take(&self, key: &K) -> Result<(), ApiError> {
        self.check(key).map_err(ApiError::rate_limited)
    }

    pub(crate) fn forget_idle(&self) {
        if let Some(limiter) = &self.0 {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

/// The budgets of REST on this node.
pub struct Budgets {
    requests: Budget<UserId>,
    rooms: Budget<UserId>,
    uploads: Budget<UserId>,
    sign_ins: Budget<IpAddr>,
    /// Those of sockets.
    pub handshakes: Admission,
}

impl Budgets {
    /// Full budgets by these rates.
    #[must_use]
    pub fn new(rates: &Rates) -> Self {
        Self {
            requests: Budget::new(rates.rest),
            rooms: Budget::new(rates.rooms),
            uploads: Budget::new(rates.uploads),
            sign_ins: Budget::new(rates.sign_ins),
            handshakes: Admission::new(rates),
        }
    }

    /// Takes one request of a person.
    ///
    /// # Errors
    /// 429.
    pub fn request(&self, user: UserId) -> Result<(), ApiError> {
        self.requests.take(&user)
    }

    /// Takes the making of a room.
    ///
    /// # Errors
    /// 429.
    pub fn room(&self, user: UserId) -> Result<(), ApiError> {
        self.rooms.take(&user)
    }

    /// Takes an upload.
    ///
    /// # Errors
    /// 429.
    pub fn upload(&self, user: UserId) -> Result<(), ApiError> {
        self.uploads.take(&user)
    }

    /// Takes a sign-in from an address. Those of one IPv6 network are one: it has addresses without end.
    ///
    /// # Errors
    /// 429.
    pub fn sign_in(&self, address: IpAddr) -> Result<(), ApiError> {
        self.sign_ins.take(&network(address))
    }

    /// Forgets those whose budget is full; to be called about once a minute.
    pub fn forget_idle(&self) {
        self.requests.forget_idle();
        self.rooms.forget_idle();
        self.uploads.forget_idle();
        self.sign_ins.forget_idle();
        self.handshakes.forget_idle();
    }
}
