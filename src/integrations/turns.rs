//! Which webhooks a node sends to next: no target takes the turns of the others, however many there are.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use crate::store::postgres::integrations::DueWebhook;

/// Requests of this node to one target at a time; to one that fails, one.
const TURNS_PER_TARGET: usize = 4;
/// Requests of this node at a time, and those to targets that fail: all of these together leave room for the others,
/// which leave them a few.
const TURNS_MAX: usize = 200;
const FAILING_TURNS_MAX: usize = 100;
const FAILING_TURNS_MIN: usize = 10;

/// The turns under way.
#[derive(Default)]
pub(super) struct Busy {
    /// How many there are of each webhook.
    turns: HashMap<Uuid, usize>,
    /// Those of the webhooks that failed when they were claimed.
    failing: HashSet<Uuid>,
    /// How often it was asked what may be claimed, and when each webhook that is due or busy got a turn last.
    rounds: u64,
    served: HashMap<Uuid, u64>,
}

impl Busy {
    pub(super) fn begin(&mut self, webhook: Uuid) {
        *self.turns.entry(webhook).or_default() += 1;
    }

    pub(super) fn end(&mut self, webhook: Uuid) {
        if let Some(turns) = self.turns.get_mut(&webhook) {
            *turns -= 1;
            if *turns == 0 {
                self.turns.remove(&webhook);
                self.failing.remove(&webhook);
            }
        }
    }

    fn of(&self, webhook: Uuid) -> usize {
        self.turns.get(&webhook).copied().unwrap_or(0)
    }

    /// How many lanes of each webhook may be claimed now: one each before another one's second, and those first that
    /// have waited longest for a turn. Those that are sent to in vain come last, and take no more than their part.
    pub(super) fn free(&mut self, due: Vec<DueWebhook>) -> Vec<(Uuid, i64)> {
        self.rounds += 1;
        let ids: HashSet<Uuid> = due.iter().map(|webhook| webhook.id).collect();
        self.served.retain(|webhook, _| ids.contains(webhook) || self.turns.contains_key(webhook));
        let (failing, healthy): (Vec<_>, Vec<_>) = due.into_iter().partition(|webhook| webhook.is_failing);
        let (failing, healthy) = (ids_of(&failing), ids_of(&healthy));
        let failing_turns: usize = self.failing.iter().map(|webhook| self.of(*webhook)).sum();
        let waiting = failing.iter().filter(|webhook| self.of(**webhook) == 0).count();
        let reserve = FAILING_TURNS_MIN.saturating_sub(failing_turns).min(waiting);
        let left = TURNS_MAX.saturating_sub(self.turns.values().sum());
        let mut free = self.share(healthy, TURNS_PER_TARGET, left.saturating_sub(reserve));
        for (webhook, _) in &free {
            self.failing.remove(webhook);
        }
        let left = left - free.iter().map(|(_, turns)| turns).sum::<usize>();
        let left_for_failing = left.min(FAILING_TURNS_MAX.saturating_sub(failing_turns));
        let free_for_failing = self.share(failing, 1, left_for_failing);
        self.failing.extend(free_for_failing.iter().map(|(webhook, _)| *webhook));
        free.extend(free_for_failing);
        free.into_iter().map(|(webhook, turns)| (webhook, i64::try_from(turns).unwrap_or(i64::MAX))).collect()
    }

    /// Divides `left` turns among webhooks, of which each may have `turns_max` with those under way.
    fn share(&mut self, mut webhooks: Vec<Uuid>, turns_max: usize, mut left: usize) -> Vec<(Uuid, usize)> {
        webhooks.sort_by_key(|webhook| self.served.get(webhook).copied());
        let mut shares: Vec<(Uuid, usize)> = webhooks.into_iter().map(|webhook| (webhook, 0)).collect();
        for level in 0..turns_max {
            for (webhook, turns) in &mut shares {
                if left > 0 && self.of(*webhook) + *turns <= level {
                    *turns += 1;
                    left -= 1;
                }
            }
        }
        shares.retain(|(_, turns)| *turns > 0);
        self.served.extend(shares.iter().map(|(webhook, _)| (*webhook, self.rounds)));
        shares
    }
}

fn ids_of(webhooks: &[DueWebhook]) -> Vec<Uuid> {
    webhooks.iter().map(|webhook| webhook.id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_that_fail_leave_turns_to_the_others() {
        let id = |n: usize| Uuid::from_u128(n as u128 + 1);
        let due = |range: std::ops::Range<usize>, is_failing| {
            range.map(move |n| DueWebhook { id: id(n), is_failing }).collect::<Vec<_>>()
        };
        let sum = |free: &[(Uuid, i64)]| free.iter().map(|(_, turns)| *turns).sum::<i64>();
        let fresh = Busy::default;
        let mut busy = Busy::default();
        assert_eq!(busy.free(due(0..1, false)), [(id(0), 4)]);
        assert_eq!(fresh().free(due(0..1, true)), [(id(0), 1)]);
        assert_eq!(sum(&fresh().free(due(0..300, true))), 100);
        assert_eq!(sum(&fresh().free(due(0..300, false))), 200);
        let both = fresh().free([due(0..300, true), due(300..320, false)].concat());
        assert_eq!((sum(&both), both[0]), (180, (id(300), 4)), "the others come first");
        for _ in 0..3 {
            busy.begin(id(0));
        }
        busy.end(id(0));
        assert_eq!(busy.free(due(0..1, false)), [(id(0), 2)]);
        assert_eq!(busy.free(due(0..1, true)), []);
        busy.end(id(0));
        busy.end(id(0));
        busy.end(id(0));
        assert_eq!(busy.of(id(0)), 0);
        // One that is sent to counts as failing until its turns have ended.
        assert_eq!(sum(&busy.free(due(0..60, true))), 60);
        (0..60).for_each(|n| busy.begin(id(n)));
        assert_eq!(sum(&busy.free(due(100..200, true))), 40);
    }

    #[test]
    fn whoever_has_waited_longest_comes_next() {
        let id = |n: usize| Uuid::from_u128(n as u128 + 1);
        let due = |is_failing: &dyn Fn(usize) -> bool| {
            (0..500).map(|n| DueWebhook { id: id(n), is_failing: is_failing(n) }).collect::<Vec<_>>()
        };
        let mut busy = Busy::default();
        let mut served: HashSet<Uuid> = HashSet::new();
        for _ in 0..3 {
            let free = busy.free(due(&|_| false));
            assert!(free.iter().all(|(_, turns)| *turns == 1), "one each before a second");
            assert_eq!(free.len(), 200);
            served.extend(free.iter().map(|(webhook, _)| *webhook));
        }
        assert_eq!(served.len(), 500, "after three rounds all have had a turn");
        // Those that fail are tried, too, so that it is noticed when one is back.
        let free = busy.free(due(&|n| n >= 300));
        let failing = free.iter().filter(|(webhook, _)| *webhook >= id(300)).count();
        assert_eq!((free.len(), failing), (200, 10));
        // One that is due again comes after those that had no turn at all.
        let mut busy = Busy::default();
        for (webhook, _) in busy.free(due(&|_| false)) {
            busy.begin(webhook);
        }
        assert_eq!(busy.free(due(&|_| false)[200..].to_vec()), []);
        busy.end(id(0));
        let due_again = [&due(&|_| false)[..1], &due(&|_| false)[200..]].concat();
        assert_eq!(busy.free(due_again), [(id(200), 1)]);
        // One turn under way is a first one.
        let mut busy = Busy::default();
        busy.begin(id(0));
        let free = busy.free(due(&|_| false)[..100].to_vec());
        assert_eq!(free.iter().find(|(webhook, _)| *webhook == id(0)), Some(&(id(0), 1)));
        assert_eq!(free.iter().map(|(_, turns)| *turns).sum::<i64>(), 199);
    }
}
