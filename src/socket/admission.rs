//! Which handshakes this node takes on when more come than it can.
//!
//! The token is looked at first, which costs next to nothing: a handshake without a good one takes nothing of
//! the node's budget, only of its address's own. One with a good token takes of its person's, then of the
//! node's. Those who come back, and were promised to miss nothing, go before those who come anew.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actors::domain::ids::UserId;
use governor::clock::{Clock, DefaultClock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::config::{Rate, Rates};
use crate::doors::addresses::network;
use crate::http::budgets::Budget;

/// How long those who come anew have less, after one who came back had to be sent away.
const PRESSED_FOR: Duration = Duration::from_secs(2);
/// What part of the node's budget they have then.
const FRESH_PART: u32 = 4;

/// The budgets of handshakes.
pub struct Admission {
    node: Option<NodeBudget>,
    people: Budget<UserId>,
    bad: Budget<IpAddr>,
}

impl Admission {
    /// Full budgets by these rates.
    #[must_use]
    pub fn new(rates: &Rates) -> Self {
        Self {
            node: rates.handshakes.map(|rate| NodeBudget::new(rate, DefaultClock::default())),
            people: Budget::new(rates.user_handshakes),
            bad: Budget::new(rates.bad_handshakes),
        }
    }

    /// Takes one without a good token.
    ///
    /// # Errors
    /// How long this address has to wait.
    pub fn bad(&self, address: IpAddr) -> Result<(), Duration> {
        self.bad.check(&network(address))
    }

    /// Takes one of a person.
    ///
    /// # Errors
    /// How long that person has to wait.
    pub fn person(&self, user: UserId) -> Result<(), Duration> {
        self.people.check(&user)
    }

    /// Takes one with a good token; says whether there was one left.
    #[must_use]
    pub fn node(&self, returns: bool) -> bool {
        self.node.as_ref().is_none_or(|node| node.take(returns))
    }

    /// Forgets those whose budget is full; to be called about once a minute.
    pub fn forget_idle(&self) {
        self.people.forget_idle();
        self.bad.forget_idle();
    }
}

type Limiter<C> = RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// What the node takes on in all.
struct NodeBudget<C: Clock = DefaultClock> {
    all: Limiter<C>,
    /// Of it, what those have who come anew while others can't come back.
    fresh: Limiter<C>,
    /// When one who came back was sent away last.
    pressed_at: Mutex<Option<C::Instant>>,
    clock: C,
}

impl<C: Clock + Clone> NodeBudget<C> {
    fn new(rate: Rate, clock: C) -> Self {
        let part = |number: std::num::NonZeroU32| number.div_ceil(FRESH_PART.try_into().expect("not zero"));
        let quota = |per_second, burst| Quota::per_second(per_second).allow_burst(burst);
        Self {
            all: RateLimiter::direct_with_clock(quota(rate.per_second, rate.burst), clock.clone()),
            fresh: RateLimiter::direct_with_clock(
                quota(part(rate.per_second), part(rate.burst)),
                clock.clone(),
            ),
            pressed_at: Mutex::new(None),
            clock,
        }
    }

    fn take(&self, returns: bool) -> bool {
        if !returns && self.is_pressed() && self.fresh.check().is_err() {
            return false;
        }
        let has_place = self.all.check().is_ok();
        if returns && !has_place {
            *self.pressed_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.clock.now());
        }
        has_place
    }

    fn is_pressed(&self) -> bool {
        let pressed_at = *self.pressed_at.lock().unwrap_or_else(PoisonError::into_inner);
        pressed_at.is_some_and(|at| Duration::from(self.clock.now().duration_since(at)) < PRESSED_FOR)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::NodeBudget;

    fn budget(rate: &str) -> (NodeBudget<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (NodeBudget::new(rate.parse().expect("a rate"), clock.clone()), clock)
    }

    #[test]
    fn alone_those_who_come_anew_have_all_there_is() {
        let (node, _) = budget("40:40");
        assert_eq!((0..100).filter(|_| node.take(false)).count(), 40);
    }

    #[test]
    fn those_who_come_back_go_first_for_as_long_as_they_are_too_many() {
        let (node, clock) = budget("40:40");
        assert_eq!((0..50).filter(|_| node.take(true)).count(), 40, "all of it, and some were sent away");
        clock.advance(Duration::from_secs(1));
        // A flood of those who come anew, before each of those who come back.
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
