//! How far a move has come.

use std::time::{Duration, Instant};

/// How often progress is printed.
const INTERVAL: Duration = Duration::from_secs(2);

/// Counts what was done, and prints it on standard error with the rate and the time left.
pub(super) struct Progress {
    what: &'static str,
    messages: i64,
    rooms: usize,
    done_messages: i64,
    done_rooms: usize,
    began: Instant,
    printed: Instant,
}

impl Progress {
    /// Begins with this much to do.
    pub(super) fn new(what: &'static str, rooms: usize, messages: i64) -> Self {
        let now = Instant::now();
        Self { what, messages, rooms, done_messages: 0, done_rooms: 0, began: now, printed: now }
    }

    pub(super) fn add_messages(&mut self, count: usize) {
        self.done_messages += i64::try_from(count).unwrap_or(i64::MAX);
        if self.printed.elapsed() >= INTERVAL {
            self.print();
        }
    }

    pub(super) fn add_room(&mut self) {
        self.done_rooms += 1;
    }

    /// Prints where it stands.
    pub(super) fn print(&mut self) {
        self.printed = Instant::now();
        eprintln!("{}", self.line(self.began.elapsed()));
    }

    fn line(&self, elapsed: Duration) -> String {
        let rate = self.done_messages as f64 / elapsed.as_secs_f64().max(0.001);
        let left = (self.messages - self.done_messages).max(0) as f64 / rate.max(1.0);
        format!(
            "{} {} of {} messages, {} of {} rooms, {rate:.0} messages/s, {left:.0} s left",
            self.what, self.done_messages, self.messages, self.done_rooms, self.rooms
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_tells_rate_and_time_left() {
        let mut progress = Progress::new("moved", 4, 3_000);
        progress.add_messages(1_000);
        progress.add_room();
        let line = progress.line(Duration::from_secs(2));
        assert_eq!(line, "moved 1000 of 3000 messages, 1 of 4 rooms, 500 messages/s, 4 s left");
    }
}
