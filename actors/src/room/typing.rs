//! Who is typing in a room: what is passed on, and when it lapses.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::domain::ids::UserId;
use crate::limits;

/// One who is typing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypingNow {
    /// Who.
    pub user: UserId,
    /// Since when.
    pub since: DateTime<Utc>,
}

struct Typist {
    username: Arc<str>,
    /// What everyone was told last.
    told: bool,
    /// What is so.
    wanted: bool,
    told_at: Duration,
    /// When the person last said otherwise than before.
    changed_at: Duration,
    heard_at: Duration,
    lasts: Duration,
    since: DateTime<Utc>,
    /// When changes were passed on, as far back as they count.
    changes: VecDeque<Duration>,
    /// Whether this node is the one that tells others.
    is_ours: bool,
}

/// The people who type, by id so that every order is the same each time.
#[derive(Default)]
pub(super) struct Typists(BTreeMap<UserId, Typist>);

/// What to tell everyone here.
pub(super) struct Told {
    pub(super) user: UserId,
    pub(super) username: Arc<str>,
    pub(super) is_typing: bool,
    /// Whether other nodes are to be told; of someone who types elsewhere they hear from there.
    pub(super) is_ours: bool,
}

impl Typists {
    /// Takes in what someone says of himself; what comes back is to be told.
    pub(super) fn heard(
        &mut self,
        user: UserId,
        username: &Arc<str>,
        is_typing: bool,
        now: Duration,
        today: DateTime<Utc>,
    ) -> Option<Told> {
        if !is_typing && !self.0.contains_key(&user) {
            return None;
        }
        let typist = self.0.entry(user).or_insert_with(|| Typist::new(username, now, today));
        typist.lasts = limits::TYPING_LASTS;
        if is_typing {
            typist.is_ours = true;
            if !typist.wanted {
                typist.since = today;
            }
        }
        if typist.wanted != is_typing {
            typist.changed_at = now;
        }
        typist.wanted = is_typing;
        typist.heard_at = now;
        let repeats = is_typing && typist.told && now - typist.told_at >= limits::TYPING_REPEAT;
        if repeats {
            typist.told_at = now;
            return Some(typist.told(user));
        }
        typist.catch_up(user, now)
    }

    /// Takes in what another node has told already; true when it is news here.
    pub(super) fn heard_elsewhere(
        &mut self,
        user: UserId,
        username: &Arc<str>,
        is_typing: bool,
        now: Duration,
        today: DateTime<Utc>,
    ) -> bool {
        if !is_typing && !self.0.get(&user).is_some_and(|typist| typist.told) {
            return false;
        }
        let typist = self.0.entry(user).or_insert_with(|| Typist::new(username, now, today));
        typist.lasts = limits::TYPING_LASTS_ELSEWHERE;
        typist.is_ours = false;
        if is_typing && !typist.wanted {
            typist.since = today;
        }
        typist.wanted = is_typing;
        typist.told = is_typing;
        typist.heard_at = now;
        true
    }

    /// Lets what was not repeated lapse, and tells what had to wait; to be called now and then.
    pub(super) fn lapse(&mut self, now: Duration) -> Vec<Told> {
        let mut told = Vec::new();
        for (user, typist) in &mut self.0 {
            if typist.wanted && now - typist.heard_at >= typist.lasts {
                typist.wanted = false;
            }
            told.extend(typist.catch_up(*user, now));
        }
        self.0.retain(|_, typist| typist.wanted || typist.told || !typist.is_rested(now));
        told
    }

    /// Who is typing now.
    pub(super) fn now(&self) -> Vec<TypingNow> {
        self.0
            .iter()
            .filter(|(_, typist)| typist.wanted)
            .map(|(user, typist)| TypingNow { user: *user, since: typist.since })
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
            told: false,
            wanted: false,
            told_at: now,
            changed_at: now,
            heard_at: now,
            lasts: limits::TYPING_LASTS,
            since,
            changes: VecDeque::new(),
            is_ours: false,
        }
    }

    fn told(&self, user: UserId) -> Told {
        Told { user, username: self.username.clone(), is_typing: self.told, is_ours: self.is_ours }
    }

    /// Whether no change that was passed on counts any more.
    fn is_rested(&mut self, now: Duration) -> bool {
        while self.changes.front().is_some_and(|first| now - *first >= limits::TYPING_CHANGES_WITHIN) {
            self.changes.pop_front();
        }
        self.changes.is_empty()
    }

    fn catch_up(&mut self, user: UserId, now: Duration) -> Option<Told> {
        let is_one_too_many = !self.is_rested(now) && self.changes.len() >= limits::TYPING_CHANGES_MAX;
        let lasts = now - self.changed_at >= limits::TYPING_SETTLES;
        if self.wanted == self.told || is_one_too_many && !lasts {
            return None;
        }
        self.changes.push_back(now);
        self.told = self.wanted;
        self.told_at = now;
        Some(self.told(user))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(typists: &mut Typists, is_typing: bool, ms: u64) -> Option<bool> {
        let now = Duration::from_millis(ms);
        typists
            .heard(UserId(1), &"ann".into(), is_typing, now, DateTime::UNIX_EPOCH)
            .map(|told| told.is_typing)
    }

    #[test]
    fn a_change_is_told_at_once_and_a_repeat_every_two_seconds() {
        let mut typists = Typists::default();
        assert_eq!(told(&mut typists, true, 0), Some(true));
        assert_eq!(told(&mut typists, true, 500), None);
        assert_eq!(told(&mut typists, true, 2_000), Some(true));
        assert_eq!(told(&mut typists, false, 2_100), Some(false));
        assert_eq!(told(&mut typists, false, 2_200), None);
    }

    #[test]
    fn the_last_state_is_always_told() {
        let mut typists = Typists::default();
        let passed = (0..200).filter_map(|n| told(&mut typists, n % 2 == 0, n * 5)).count();
        assert_eq!(passed, 4);
        assert_eq!(told(&mut typists, true, 1_001), None);
        let late: Vec<(u64, bool)> = (1..40)
            .map(|n| 1_001 + n * 500)
            .flat_map(|ms| {
                let late = typists.lapse(Duration::from_millis(ms));
                late.into_iter().map(move |told| (ms, told.is_typing))
            })
            .collect();
        assert_eq!(late, [(3_501, true), (7_001, false)], "once it lasts; and it lapses as always");
    }

    #[test]
    fn who_changes_each_second_is_told_of_four_times_in_ten() {
        let mut typists = Typists::default();
        let mut passed = Vec::new();
        for ms in (0..60_000).step_by(500) {
            passed.extend(typists.lapse(Duration::from_millis(ms)).iter().map(|_| ms));
            if ms % 1_000 == 0 {
                passed.extend(told(&mut typists, ms % 2_000 == 0, ms).map(|_| ms));
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
        told(&mut typists, true, 0);
        assert_eq!(typists.now().len(), 1);
        assert!(typists.lapse(Duration::from_millis(5_900)).is_empty());
        assert_eq!(typists.lapse(Duration::from_millis(6_000)).len(), 1);
        assert!(typists.now().is_empty());
        typists.lapse(Duration::from_secs(30));
        assert!(typists.is_empty());
    }

    #[test]
    fn other_nodes_hear_only_of_those_who_type_here() {
        let (mut typists, ann) = (Typists::default(), UserId(1));
        let at = Duration::from_millis;
        let elsewhere = |typists: &mut Typists, is_typing, ms| {
            typists.heard_elsewhere(ann, &"ann".into(), is_typing, at(ms), DateTime::UNIX_EPOCH)
        };
        assert!(!elsewhere(&mut typists, false, 0), "no news of one who did not type");
        assert!(elsewhere(&mut typists, true, 0));
        // Her message has come, which ends it here.
        let ended = typists.heard(ann, &"".into(), false, at(100), DateTime::UNIX_EPOCH).expect("an end");
        assert!(!ended.is_typing && !ended.is_ours);
        assert!(!elsewhere(&mut typists, false, 150), "it has ended already");
        assert!(elsewhere(&mut typists, true, 200));
        let lapsed = typists.lapse(at(200) + limits::TYPING_LASTS_ELSEWHERE);
        assert!(lapsed.len() == 1 && !lapsed[0].is_typing && !lapsed[0].is_ours);
        assert_eq!(told(&mut typists, true, 20_000), Some(true));
    }
}
