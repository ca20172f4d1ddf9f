//! When a webhook is tried again.

use std::time::Duration;

/// The longest first pause. Each one after it is up to so many times as long.
const FIRST: Duration = Duration::from_secs(5);
const FACTOR: u32 = 3;
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// The number of the pause that is the longest for certain.
const LONGEST_FROM: u32 = 10;

/// How long to wait after `attempts` vain ones. `jitter`, from 0 to 1, shortens the pause by up to half, so that what
/// failed together isn't tried together. The target may ask for more by `retry_after`.
#[must_use]
pub fn pause(attempts: u32, jitter: f64, retry_after: Option<Duration>) -> Duration {
    let growth = attempts.saturating_sub(1).min(LONGEST_FROM);
    let longest = (FIRST * FACTOR.pow(growth)).min(LONGEST);
    let pause = longest.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0);
    pause.max(retry_after.unwrap_or_default()).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_day() {
        let seconds: Vec<u64> = (1..=12).map(|attempts| pause(attempts, 0.0, None).as_secs()).collect();
        assert_eq!(seconds, [5, 15, 45, 135, 405, 1_215, 3_645, 10_935, 32_805, 86_400, 86_400, 86_400]);
        assert_eq!(pause(u32::MAX, 0.0, None), LONGEST);
        assert_eq!(pause(0, 0.0, None), FIRST);
    }

    #[test]
    fn jitter_shortens_a_pause_by_up_to_half() {
        assert_eq!(pause(2, 1.0, None), Duration::from_millis(7_500));
        assert_eq!(pause(2, 7.0, None), Duration::from_millis(7_500));
    }

    #[test]
    fn a_target_asks_for_more_and_not_for_less() {
        let after = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(pause(1, 0.0, after(60)).as_secs(), 60);
        assert_eq!(pause(1, 0.0, after(1)).as_secs(), 5);
        assert_eq!(pause(1, 0.0, after(u64::MAX)), LONGEST);
    }
}
