//! Limits the connections of each address that have not authenticated.
//!
//! Many users may share one address, but each unauthenticated connection takes buffers and has no other owner
//! to be counted against. Once a valid token arrives on a connection it counts against that user instead.
//! Connections from trusted proxies are not counted, because they carry everyone's requests.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actors::domain::ids::UserId;

use crate::config::TrustedProxies;

/// Connections of one user. Further ones stay counted against their address.
pub const USER_CONNECTIONS_MAX: usize = 200;

/// Whom a connection is counted against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Owner {
    Address(IpAddr),
    User(UserId),
}

/// Counts open connections by owner.
pub struct ConnectionLimiter {
    open: Mutex<HashMap<Owner, usize>>,
    per_address_max: usize,
    trusted: TrustedProxies,
}

impl ConnectionLimiter {
    /// Allows `per_address_max` connections to each address, and any number to trusted proxies.
    #[must_use]
    pub fn new(per_address_max: usize, trusted: TrustedProxies) -> Arc<Self> {
        Arc::new(Self { open: Mutex::new(HashMap::new()), per_address_max, trusted })
    }

    /// Counts a connection from this address; `None` if the address has too many.
    #[must_use]
    pub fn acquire(self: &Arc<Self>, address: IpAddr) -> Option<Arc<ConnectionGuard>> {
        let is_counted = !self.trusted.contains(address.to_canonical());
        let owner = is_counted.then_some(Owner::Address(network(address)));
        if let Some(owner) = owner
            && !self.try_count(owner, self.per_address_max)
        {
            return None;
        }
        Some(Arc::new(ConnectionGuard { limiter: self.clone(), owner: Mutex::new(owner) }))
    }

    /// Counts one more connection of `owner`, unless that exceeds `max`.
    fn try_count(&self, owner: Owner, max: usize) -> bool {
        let mut open = lock(&self.open);
        let count = open.entry(owner).or_default();
        let fits = *count < max;
        *count += usize::from(fits);
        fits
    }

    fn release(&self, owner: Owner) {
        let mut open = lock(&self.open);
        if let Some(count) = open.get_mut(&owner) {
            *count -= 1;
            if *count == 0 {
                open.remove(&owner);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code that holds one of these locks can panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts a connection until it is dropped; without an owner if the address isn't counted.
pub struct ConnectionGuard {
    limiter: Arc<ConnectionLimiter>,
    owner: Mutex<Option<Owner>>,
}

impl ConnectionGuard {
    /// Moves the connection from its address to this user. A connection shared by several users stays with
    /// the first.
    pub fn assign_to(&self, user: UserId) {
        let mut owner = lock(&self.owner);
        if let Some(before @ Owner::Address(_)) = *owner
            && self.limiter.try_count(Owner::User(user), USER_CONNECTIONS_MAX)
        {
            *owner = Some(Owner::User(user));
            self.limiter.release(before);
        }
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        if let Some(owner) = lock(&self.owner).take() {
            self.limiter.release(owner);
        }
    }
}

/// The address that counts: for IPv6 the /64 network, since a client can use any address in it.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::{ConnectionLimiter, IpAddr, TrustedProxies, USER_CONNECTIONS_MAX, UserId, lock, network};

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_is_limited_until_its_connections_authenticate_or_end() {
        let limiter = ConnectionLimiter::new(2, TrustedProxies::default());
        let one = limiter.acquire(address("10.0.0.1")).expect("a place");
        let two = limiter.acquire(address("10.0.0.1")).expect("a place");
        assert!(limiter.acquire(address("10.0.0.1")).is_none());
        assert!(limiter.acquire(address("::ffff:10.0.0.1")).is_none(), "the same address");
        assert!(limiter.acquire(address("10.0.0.2")).is_some(), "another");
        drop(one);
        let three = limiter.acquire(address("10.0.0.1")).expect("a place that was given back");
        two.assign_to(UserId(1));
        two.assign_to(UserId(2));
        assert!(limiter.acquire(address("10.0.0.1")).is_some(), "who is known is no stranger");
        drop((two, three));
        assert!(lock(&limiter.open).is_empty(), "nothing is kept of who has left");
    }

    #[test]
    fn connections_beyond_a_users_limit_stay_with_the_address() {
        let limiter = ConnectionLimiter::new(USER_CONNECTIONS_MAX + 1, TrustedProxies::default());
        let acquire = || limiter.acquire(address("10.0.0.1"));
        let mut own: Vec<_> = (0..USER_CONNECTIONS_MAX).map(|_| acquire().expect("a place")).collect();
        own.iter().for_each(|one| one.assign_to(UserId(1)));
        let more: Vec<_> = (0..=USER_CONNECTIONS_MAX).map(|_| acquire().expect("a place")).collect();
        more.iter().for_each(|one| one.assign_to(UserId(1)));
        assert!(acquire().is_none(), "they are still the address's");
        own.pop();
        more[0].assign_to(UserId(1));
        assert!(acquire().is_some());
    }

    #[test]
    fn a_trusted_proxy_is_not_limited() {
        let trusted = TrustedProxies::parse(&["10.0.0.0/8".to_owned()]).expect("a network");
        let limiter = ConnectionLimiter::new(1, trusted);
        let many: Vec<_> = (0..9).map(|_| limiter.acquire(address("10.9.9.9")).is_some()).collect();
        assert_eq!(many, [true; 9]);
        let trusted = TrustedProxies::parse(&["::1".to_owned()]).expect("an address");
        let of_ipv6 = ConnectionLimiter::new(1, trusted);
        let many: Vec<_> = (0..9).map(|_| of_ipv6.acquire(address("::1")).is_some()).collect();
        assert_eq!(many, [true; 9]);
        let _only = limiter.acquire(address("11.0.0.1")).expect("a place");
        assert!(limiter.acquire(address("11.0.0.1")).is_none());
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        assert_eq!(network(address("2001:db8::1")), network(address("2001:db8::ffff:1:2:3")));
        assert_ne!(network(address("2001:db8::1")), network(address("2001:db8:0:1::1")));
        assert_eq!(network(address("::ffff:1.2.3.4")), address("1.2.3.4"));
    }
}
