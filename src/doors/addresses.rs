//! How many connections each address has that have not shown yet who they are.
//!
//! An office behind one address may have any number of people. What it can't have is any number of
//! connections that nobody has proved to be anyone: each keeps buffers, and there is no one else to count
//! them by. The connections of trusted proxies aren't counted, for they are everybody's.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::TrustedProxies;

/// What is known of the connections of each address.
pub struct Addresses {
    open: Mutex<HashMap<IpAddr, usize>>,
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
        let address = network(address);
        let is_counted = !self.trusted.contains(address.to_canonical());
        if is_counted {
            let mut open = self.open();
            let count = open.entry(address).or_default();
            if *count >= self.each_max {
                return None;
            }
            *count += 1;
        }
        Some(Arc::new(Stranger { addresses: self.clone(), address, is_counted: AtomicBool::new(is_counted) }))
    }

    fn leave(&self, address: IpAddr) {
        let mut open = self.open();
        if let Some(count) = open.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&address);
            }
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // Nothing in here can panic half way.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection of which nobody knows whose it is; counted until it is known or gone.
pub struct Stranger {
    addresses: Arc<Addresses>,
    address: IpAddr,
    is_counted: AtomicBool,
}

impl Stranger {
    /// Someone with a good token is at the other end.
    pub fn is_known(&self) {
        if self.is_counted.load(Ordering::Relaxed) && self.is_counted.swap(false, Ordering::Relaxed) {
            self.addresses.leave(self.address);
        }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.is_known();
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
    use super::{Addresses, IpAddr, TrustedProxies, network};

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
        two.is_known();
        two.is_known();
        assert!(addresses.enter(address("10.0.0.1")).is_some(), "who is known is no stranger");
        drop((two, three));
        assert!(addresses.open().is_empty(), "nothing is kept of who has left");
    }

    #[test]
    fn a_proxy_has_any_number() {
        let trusted = TrustedProxies::parse(&["10.0.0.0/8".to_owned()]).expect("a network");
        let addresses = Addresses::new(1, trusted);
        let many: Vec<_> = (0..9).map(|_| addresses.enter(address("10.9.9.9")).is_some()).collect();
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
