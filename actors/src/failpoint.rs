//! Points at which a test kills the process or breaks an actor. Without the feature `failpoints`, which no
//! release has, passing one does nothing.

/// A point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// A transaction has written all and is about to be committed. Kills.
    Committing,
    /// A batch is committed, and nobody has been told. Kills.
    Committed,
    /// What happened is about to be told to the other nodes. Kills.
    Publishing,
    /// A room is about to tell what was committed. Panics.
    Room,
    /// A session has read a frame. Panics.
    Session,
}

#[cfg(feature = "failpoints")]
pub use armed::{arm, pass};

/// Passes a point.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub const fn pass(_: Point) {}

#[cfg(feature = "failpoints")]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::Point;

    static ARMED: OnceLock<(Point, AtomicU32)> = OnceLock::new();

    impl Point {
        /// The point of this name.
        #[must_use]
        pub fn named(name: &str) -> Option<Self> {
            [Self::Committing, Self::Committed, Self::Publishing, Self::Room, Self::Session]
                .into_iter()
                .find(|point| format!("{point:?}").eq_ignore_ascii_case(name))
        }
    }

    /// Makes `point` fail at its `times`th passing, once.
    pub fn arm(point: Point, times: u32) {
        ARMED.set((point, AtomicU32::new(times))).expect("one point is armed, at the start");
    }

    /// Passes a point, and fails there when it is its time.
    pub fn pass(point: Point) {
        let Some((armed, left)) = ARMED.get() else { return };
        if *armed != point || left.fetch_sub(1, Ordering::Relaxed) != 1 {
            return;
        }
        match point {
            Point::Committing | Point::Committed | Point::Publishing => std::process::abort(),
            Point::Room | Point::Session => panic!("a failpoint in an actor"),
        }
    }
}
