//! The rate limits of REST on this node.

use std::net::IpAddr;

use actors::domain::ids::UserId;

use super::error::ApiError;
use crate::config::Rates;
use crate::keyed_limiter::KeyedLimiter;
use crate::listener::connection_limiter::network;
use crate::socket::handshake_limiter::HandshakeLimiter;

/// A limit for each user's requests, new rooms and uploads, and for each address's sign-ins.
pub struct RateLimits {
    requests: KeyedLimiter<UserId>,
    rooms: KeyedLimiter<UserId>,
    uploads: KeyedLimiter<UserId>,
    sign_ins: KeyedLimiter<IpAddr>,
    /// The limits of WebSocket handshakes.
    pub handshakes: HandshakeLimiter,
}

impl RateLimits {
    /// Creates the limits with full buckets.
    #[must_use]
    pub fn new(rates: &Rates) -> Self {
        Self {
            requests: KeyedLimiter::new(rates.rest),
            rooms: KeyedLimiter::new(rates.rooms),
            uploads: KeyedLimiter::new(rates.uploads),
            sign_ins: KeyedLimiter::new(rates.sign_ins),
            handshakes: HandshakeLimiter::new(rates),
        }
    }

    /// Counts a request of a user.
    ///
    /// # Errors
    /// 429.
    pub fn check_request(&self, user: UserId) -> Result<(), ApiError> {
        self.requests.check(&user).map_err(ApiError::rate_limited)
    }

    /// Counts a room that a user creates.
    ///
    /// # Errors
    /// 429.
    pub fn check_room_creation(&self, user: UserId) -> Result<(), ApiError> {
        self.rooms.check(&user).map_err(ApiError::rate_limited)
    }

    /// Counts a file that a user uploads.
    ///
    /// # Errors
    /// 429.
    pub fn check_upload(&self, user: UserId) -> Result<(), ApiError> {
        self.uploads.check(&user).map_err(ApiError::rate_limited)
    }

    /// Counts a sign-in from an address. The addresses of one IPv6 network share a limit, since one client
    /// can use all of them.
    ///
    /// # Errors
    /// 429.
    pub fn check_sign_in(&self, address: IpAddr) -> Result<(), ApiError> {
        self.sign_ins.check(&network(address)).map_err(ApiError::rate_limited)
    }

    /// Drops the state of those who are back at their full limit. The janitor calls it about once a minute.
    pub fn forget_idle(&self) {
        self.requests.forget_idle();
        self.rooms.forget_idle();
        self.uploads.forget_idle();
        self.sign_ins.forget_idle();
        self.handshakes.forget_idle();
    }
}
