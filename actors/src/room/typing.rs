//! Who is typing in a room: which changes are passed on, and when typing expires.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::domain::ids::UserId;
use crate::limits;
use crate::messages::room::TypingUser;

/// A user who is typing, or was a moment ago.
struct Typist {
    username: Arc<str>,
    /// The state that subscribers were sent last.
    announced: bool,
    /// The state as it is.
    current: bool,
    announced_at: Duration,
    /// When the state last changed.
    changed_at: Duration,
    refreshed_at: Duration,
    ttl: Duration,
    since: DateTime<Utc>,
    /// When changes were passed on, within [`limits::TYPING_CHANGES_WINDOW`].
    changes: VecDeque<Duration>,
    /// Whether the user types at this node, which then tells the others.
    is_ours: bool,
}

/// The users who are typing, ordered by id so that a run can be repeated.
#[derive(Default)]
pub(super) struct Typists(BTreeMap<UserId, Typist>);

/// A change to broadcast.
pub(super) struct TypingUpdate {
    pub(super) user: UserId,
    pub(super) username: Arc<str>,
    pub(super) is_typing: bool,
    /// Whether to tell other nodes too. A user's own node does that.
    pub(super) is_ours: bool,
}

impl Typists {
    /// Notes what a session of this node says of its user. Returns what is to be broadcast.
    pub(super) fn update(
        &mut self,
        user: UserId,
        username: &Arc<str>,
        is_typing: bool,
        now: Duration,
        today: DateTime<Utc>,
    ) -> Option<TypingUpdate> {
        if !is_typing && !self.0.contains_key(&user) {
            return None;
        }
        let typist = self.0.entry(user).or_insert_with(|| Typist::new(username, now, today));
        typist.ttl = limits::TYPING_TTL;
        if is_typing {
            typist.is_ours = true;
            if !typist.current {
                typist.since = today;
            }
        }
        if typist.current != is_typing {
            typist.changed_at = now;
        }
        typist.current = is_typing;
        typist.refreshed_at = now;
        let repeats =
            is_typing && typist.announced && now - typist.announced_at >= limits::TYPING_REPEAT_INTERVAL;
        if repeats {
            typist.announced_at = now;
            return Some(typist.announcement(user));
        }
        typist.announce(user, now)
    }

    /// Notes what another node has broadcast already. Returns whether it is news here.
    pub(super) fn update_remote(
        &mut self,
        user: UserId,
        username: &Arc<str>,
        is_typing: bool,
        now: Duration,
        today: DateTime<Utc>,
    ) -> bool {
        if !is_typing && !self.0.get(&user).is_some_and(|typist| typist.announced) {
            return false;
        }
        let typist = self.0.entry(user).or_insert_with(|| Typist::new(username, now, today));
        typist.ttl = limits::REMOTE_TYPING_TTL;
        typist.is_ours = false;
        if is_typing && !typist.current {
            typist.since = today;
        }
        typist.current = is_typing;
        typist.announced = is_typing;
        typist.refreshed_at = now;
        true
    }

    /// Ends typing that was not repeated, and returns what is to be broadcast, including changes that had to
    /// wait. Call it every half second while anyone types.
    pub(super) fn expire(&mut self, now: Duration) -> Vec<TypingUpdate> {
        let mut updates = Vec::new();
        for (user, typist) in &mut self.0 {
            if typist.current && now - typist.refreshed_at >= typist.ttl {
                typist.current = false;
            }
            updates.extend(typist.announce(*user, now));
        }
        self.0.retain(|_, typist| typist.current || typist.announced || !typist.has_no_recent_changes(now));
        updates
    }

    /// Returns who is typing.
    pub(super) fn now(&self) -> Vec<TypingUser> {
        self.0
            .iter()
            .filter(|(_, typist)| typist.current)
            .map(|(user, typist)| TypingUser { user: *user, since: typist.since })
            .collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Typist {
    fn new(username: &Arc<str>, now: Duration, since: DateTime<Utc>) -> Self {
        Self {
            username: username.clone(),
            announced: false,
            current: false,
            announced_at: now,
            changed_at: now,
            refreshed_at: now,
            ttl: limits::TYPING_TTL,
            since,
            changes: VecDeque::new(),
            is_ours: false,
        }
    }

    fn announcement(&self, user: UserId) -> TypingUpdate {
        TypingUpdate {
            user,
            username: self.username.clone(),
            is_typing: self.announced,
            is_ours: self.is_ours,
        }
    }

    /// Returns whether no change that was passed on counts any more.
    fn has_no_recent_changes(&mut self, now: Duration) -> bool {
        while self.changes.front().is_some_and(|first| now - *first >= limits::TYPING_CHANGES_WINDOW) {
            self.changes.pop_front();
        }
        self.changes.is_empty()
    }

    fn announce(&mut self, user: UserId, now: Duration) -> Option<TypingUpdate> {
        let is_one_too_many =
            !self.has_no_recent_changes(now) && self.changes.len() >= limits::TYPING_CHANGES_MAX;
        let is_settled = now - self.changed_at >= limits::TYPING_SETTLE_DELAY;
        if self.current == self.announced || is_one_too_many && !is_settled {
            return None;
        }
        self.changes.push_back(now);
        self.announced = self.current;
        self.announced_at = now;
        Some(self.announcement(user))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(typists: &mut Typists, is_typing: bool, ms: u64) -> Option<bool> {
        let now = Duration::from_millis(ms);
        typists
            .update(UserId(1), &"ann".into(), is_typing, now, DateTime::UNIX_EPOCH)
            .map(|update| update.is_typing)
    }

    #[test]
    fn a_change_is_told_at_once_and_a_repeat_every_two_seconds() {
        let mut typists = Typists::default();
        assert_eq!(set(&mut typists, true, 0), Some(true));
        assert_eq!(set(&mut typists, true, 500), None);
        assert_eq!(set(&mut typists, true, 2_000), Some(true));
        assert_eq!(set(&mut typists, false, 2_100), Some(false));
        assert_eq!(set(&mut typists, false, 2_200), None);
    }

    #[test]
    fn the_last_state_is_always_told() {
        let mut typists = Typists::default();
        let passed = (0..200).filter_map(|n| set(&mut typists, n % 2 == 0, n * 5)).count();
        assert_eq!(passed, 4);
        assert_eq!(set(&mut typists, true, 1_001), None);
        let late: Vec<(u64, bool)> = (1..40)
            .map(|n| 1_001 + n * 500)
            .flat_map(|ms| {
                let late = typists.expire(Duration::from_millis(ms));
                late.into_iter().map(move |set| (ms, set.is_typing))
            })
            .collect();
        assert_eq!(late, [(3_501, true), (7_001, false)], "once it lasts; and it lapses as always");
    }

    #[test]
    fn who_changes_each_second_is_told_of_four_times_in_ten() {
        let mut typists = Typists::default();
        let mut passed = Vec::new();
        for ms in (0..60_000).step_by(500) {
            passed.extend(typists.expire(Duration::from_millis(ms)).iter().map(|_| ms));
            if ms % 1_000 == 0 {
                passed.extend(set(&mut typists, ms % 2_000 == 0, ms).map(|_| ms));
            }
        }
        let most = passed
            .iter()
            .map(|from| passed.iter().filter(|ms| (*from..*from + 10_000).contains(*ms)).count());
        assert_eq!(most.max(), Some(4), "{passed:?}");
    }

    #[test]
    fn typing_lapses_after_six_seconds() {
        let mut typists = Typists::default();
        set(&mut typists, true, 0);
        assert_eq!(typists.now().len(), 1);
        assert!(typists.expire(Duration::from_millis(5_900)).is_empty());
        assert_eq!(typists.expire(Duration::from_millis(6_000)).len(), 1);
        assert!(typists.now().is_empty());
        typists.expire(Duration::from_secs(30));
        assert!(typists.is_empty());
    }

    #[test]
    fn other_nodes_hear_only_of_those_who_type_here() {
        let (mut typists, ann) = (Typists::default(), UserId(1));
        let at = Duration::from_millis;
        let elsewhere = |typists: &mut Typists, is_typing, ms| {
            typists.update_remote(ann, &"ann".into(), is_typing, at(ms), DateTime::UNIX_EPOCH)
        };
        assert!(!elsewhere(&mut typists, false, 0), "no news of one who did not type");
        assert!(elsewhere(&mut typists, true, 0));
        // Her message has come, which ends it here.
        let ended = typists.update(ann, &"".into(), false, at(100), DateTime::UNIX_EPOCH).expect("an end");
        assert!(!ended.is_typing && !ended.is_ours);
        assert!(!elsewhere(&mut typists, false, 150), "it has ended already");
        assert!(elsewhere(&mut typists, true, 200));
        let lapsed = typists.expire(at(200) + limits::REMOTE_TYPING_TTL);
        assert!(lapsed.len() == 1 && !lapsed[0].is_typing && !lapsed[0].is_ours);
        assert_eq!(set(&mut typists, true, 20_000), Some(true));
    }
}
