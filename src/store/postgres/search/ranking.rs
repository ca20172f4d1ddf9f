//! The order of what a search finds.

/// The order in which a search returns messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SearchOrder {
    /// What matches better and what is newer comes first.
    #[default]
    Relevance,
    /// The newest first.
    Newest,
    /// The oldest first.
    Oldest,
}

/// A message that matches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Hit {
    /// The number of its room among those that are searched.
    pub(super) room: usize,
    pub(super) seq: i64,
    /// When it was sent, in microseconds since 1970.
    pub(super) at: i64,
    /// How well it matches, from 0 to 1.
    pub(super) score: f32,
}

/// What is left of the score of a very old message.
const OLD_SHARE: f32 = 0.25;
/// The time after which a message has lost half of the rest.
const HALF_LIFE_DAYS: f32 = 90.0;
const DAY_MICROS: f32 = 86_400.0 * 1e6;

/// Sorts `hits`; `now` is the time in microseconds since 1970.
pub(super) fn sort(hits: &mut [Hit], order: SearchOrder, now: i64) {
    let newest = |a: &Hit, b: &Hit| (b.at, b.seq, b.room).cmp(&(a.at, a.seq, a.room));
    match order {
        SearchOrder::Newest => hits.sort_unstable_by(newest),
        SearchOrder::Oldest => hits.sort_unstable_by(|a, b| newest(b, a)),
        SearchOrder::Relevance => {
            for hit in hits.iter_mut() {
                hit.score *= age_share(now.saturating_sub(hit.at));
            }
            hits.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then_with(|| newest(a, b)));
        }
    }
}

/// What is left of a message's score after this time.
fn age_share(micros: i64) -> f32 {
    #[allow(clippy::cast_precision_loss, reason = "an age needs no microseconds")]
    let days = micros.max(0) as f32 / DAY_MICROS;
    OLD_SHARE + (1.0 - OLD_SHARE) * (-days / HALF_LIFE_DAYS).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn better_and_newer_matches_come_first() {
        let day = 86_400_000_000;
        let hit = |seq, days: i64, score| Hit { room: 0, seq, at: (1_000 - days) * day, score };
        let hits = [hit(1, 900, 1.0), hit(2, 1, 0.4), hit(3, 30, 0.9), hit(4, 30, 0.9), hit(5, 0, 0.2)];
        let sorted = |order| {
            let mut hits = hits;
            sort(&mut hits, order, 1_000 * day);
            hits.map(|hit| hit.seq)
        };
        assert_eq!(sorted(SearchOrder::Relevance), [4, 3, 2, 1, 5]);
        assert_eq!(sorted(SearchOrder::Newest), [5, 2, 4, 3, 1]);
        assert_eq!(sorted(SearchOrder::Oldest), [1, 3, 4, 2, 5]);
    }
}
