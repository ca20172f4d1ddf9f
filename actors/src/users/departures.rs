//! Users whose last session has ended a moment ago and who still count as online.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::domain::ids::UserId;

/// The pending departures.
///
/// The actor has one timer for all of them: a context polls each of its futures whenever it is woken, so a
/// timer for each of thousands of users would slow it down.
#[derive(Default)]
pub(super) struct Departures {
    /// The number of each user's departure. One that was cancelled stays queued, and its number isn't found
    /// here any more.
    pending: BTreeMap<UserId, u64>,
    started: u64,
    /// When each departure is due, in that order.
    queue: VecDeque<(Duration, UserId, u64)>,
}

impl Departures {
    /// Starts a departure. It must not be due before those that were started earlier.
    pub(super) fn start(&mut self, user: UserId, due: Duration) {
        self.started += 1;
        self.pending.insert(user, self.started);
        self.queue.push_back((due, user, self.started));
    }

    pub(super) fn cancel(&mut self, user: UserId) {
        self.pending.remove(&user);
    }

    pub(super) fn contains(&self, user: UserId) -> bool {
        self.pending.contains_key(&user)
    }

    pub(super) fn users(&self) -> impl Iterator<Item = UserId> {
        self.pending.keys().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    /// When to look again for departures that are due.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.queue.front().map(|(due, ..)| *due)
    }

    /// Removes the departures that are due, and returns their users.
    pub(super) fn take_due(&mut self, now: Duration) -> Vec<UserId> {
        let mut users = Vec::new();
        while let Some((_, user, number)) = self.queue.pop_front_if(|(due, ..)| *due <= now) {
            if self.pending.get(&user) == Some(&number) {
                self.pending.remove(&user);
                users.push(user);
            }
        }
        users
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_departure_is_due_once_unless_it_was_cancelled() {
        let mut departures = Departures::default();
        let (returning, leaving) = (UserId(1), UserId(2));
        departures.start(returning, SECOND);
        departures.start(leaving, SECOND * 2);
        departures.cancel(returning);
        departures.start(returning, SECOND * 3);
        assert!(departures.contains(returning) && departures.len() == 2);
        assert_eq!(departures.next_due(), Some(SECOND));
        assert_eq!(departures.take_due(SECOND), []);
        assert_eq!(departures.take_due(SECOND * 2), [leaving]);
        assert_eq!(departures.take_due(SECOND * 2), []);
        assert_eq!(departures.take_due(SECOND * 3), [returning]);
        assert_eq!((departures.next_due(), departures.len()), (None, 0));
    }
}
