//! How many connections each address has that have not shown yet who they are.
//!
//! An office behind one address may have any number of people. What it can't have is any number of
//! connections that nobody has proved to be anyone: each keeps buffers, and there is no one else to count
//! them by. One on which someone has shown a good token is that user's from then on, who may have so many.
//! The connections of trusted proxies aren't counted, for they are everybody's.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actors::domain::ids::UserId;

use crate::config::TrustedProxies;

/// Connections of one user; beyond it further ones stay their address's.
pub const USER_CONNECTIONS_MAX: usize = 200;

/// Whose a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Owner {
    Address(IpAddr),
    User(UserId),
}

/// What is known of the connections of each address.
pub struct Addresses {
    open: Mutex<HashMap<Owner, usize>>,
    each_max: usize,
    trusted: TrustedProxies,
}

impl Addresses {
    /// Lets each address have this many, and those of trusted proxies any number.
    #[must_use]
    pub fn new(each_max: usize, trusted: TrustedProxies) -> Arc<Self> {
        Arc::new(Self { open: Mutex::new(HashMap::new()), each_max, trusted })
    }

    /// Counts a connection of this address; none when it has too many.
    #[must_use]
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Arc<Stranger>> {
        let is_counted = !self.trusted.contains(address.to_canonical());
        let owner = is_counted.then_some(Owner::Address(network(address)));
        if let Some(owner) = owner
            && !self.count(owner, self.each_max)
        {
            return None;
        }
        Some(Arc::new(Stranger { addresses: self.clone(), owner: Mutex::new(owner) }))
    }

    /// Counts one more of this owner's; false where there are too many.
    fn count(&self, owner: Owner, most: usize) -> bool {
        let mut open = lock(&self.open);
        let count = open.entry(owner).or_default();
        let fits = *count < most;
        *count += usize::from(fits);
        fits
    }

    fn leave(&self, owner: Owner) {
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
    // Nothing in here can panic half way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection, counted as its address's until it is known whose it is; none's where it isn't counted.
pub struct Stranger {
    addresses: Arc<Addresses>,
    owner: Mutex<Option<Owner>>,
}

impl Stranger {
    /// This user is at the other end. A connection that several use stays the first one's.
    pub fn is_known(&self, user: UserId) {
        let mut owner = lock(&self.owner);
        if let Some(before @ Owner::Address(_)) = *owner
            && self.addresses.count(Owner::User(user), USER_CONNECTIONS_MAX)
        {
            *owner = Some(Owner::User(user));
            self.addresses.leave(before);
        }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        if let Some(owner) = lock(&self.owner).take() {
            self.addresses.leave(owner);
        }
    }
}

/// What counts as one address: all of an IPv6 network, which has addresses without end.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::{Addresses, IpAddr, TrustedProxies, USER_CONNECTIONS_MAX, UserId, lock, network};

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_has_so_many_until_they_are_known_or_gone() {
        let addresses = Addresses::new(2, TrustedProxies::default());
        let one = addresses.enter(address("10.0.0.1")).expect("a place");
        let two = addresses.enter(address("10.0.0.1")).expect("a place");
        assert!(addresses.enter(address("10.0.0.1")).is_none());
        assert!(addresses.enter(address("::ffff:10.0.0.1")).is_none(), "the same address");
        assert!(addresses.enter(address("10.0.0.2")).is_some(), "another");
        drop(one);
        let three = addresses.enter(address("10.0.0.1")).expect("a place that was given back");
        two.is_known(UserId(1));
        two.is_known(UserId(2));
        assert!(addresses.enter(address("10.0.0.1")).is_some(), "who is known is no stranger");
        drop((two, three));
        assert!(lock(&addresses.open).is_empty(), "nothing is kept of who has left");
    }

    #[test]
    fn a_user_has_so_many_and_the_others_stay_the_addresss() {
        let addresses = Addresses::new(USER_CONNECTIONS_MAX + 1, TrustedProxies::default());
        let enter = || addresses.enter(address("10.0.0.1"));
        let mut own: Vec<_> = (0..USER_CONNECTIONS_MAX).map(|_| enter().expect("a place")).collect();
        own.iter().for_each(|one| one.is_known(UserId(1)));
        let more: Vec<_> = (0..=USER_CONNECTIONS_MAX).map(|_| enter().expect("a place")).collect();
        more.iter().for_each(|one| one.is_known(UserId(1)));
        assert!(enter().is_none(), "they are still the address's");
        own.pop();
        more[0].is_known(UserId(1));
        assert!(enter().is_some());
    }

    #[test]
    fn a_proxy_has_any_number() {
        let trusted = TrustedProxies::parse(&["10.0.0.0/8".to_owned()]).expect("a network");
        let addresses = Addresses::new(1, trusted);
        let many: Vec<_> = (0..9).map(|_| addresses.enter(address("10.9.9.9")).is_some()).collect();
        assert_eq!(many, [true; 9]);
        let trusted = TrustedProxies::parse(&["::1".to_owned()]).expect("an address");
        let of_ipv6 = Addresses::new(1, trusted);
        let many: Vec<_> = (0..9).map(|_| of_ipv6.enter(address("::1")).is_some()).collect();
        assert_eq!(many, [true; 9]);
        let _only = addresses.enter(address("11.0.0.1")).expect("a place");
        assert!(addresses.enter(address("11.0.0.1")).is_none());
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        assert_eq!(network(address("2001:db8::1")), network(address("2001:db8::ffff:1:2:3")));
        assert_ne!(network(address("2001:db8::1")), network(address("2001:db8:0:1::1")));
        assert_eq!(network(address("::ffff:1.2.3.4")), address("1.2.3.4"));
    }
}
