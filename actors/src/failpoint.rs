//! Points at which a test kills the process or panics an actor. Without the feature `failpoints`, which no
//! release has, passing one does nothing.

/// A point in the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failpoint {
    /// A transaction is written and about to be committed. Kills the process.
    Committing,
    /// A batch is committed, and nothing of it was sent. Kills the process.
    Committed,
    /// An envelope is about to be published to the other nodes. Kills the process.
    Publishing,
    /// Scheduled messages are claimed, and none of them was sent. Kills the process.
    Scheduled,
    /// What webhooks are to be sent is claimed, and nothing of it was sent. Kills the process.
    Delivering,
    /// A webhook's target has answered, and that isn't stored. Kills the process.
    Delivered,
    /// Pushes are claimed, and none of them was sent. Kills the process.
    Pushing,
    /// A room is about to deliver what was committed. Panics.
    Room,
    /// A session has read a frame. Panics.
    Session,
}

#[cfg(feature = "failpoints")]
pub use armed::{arm, pass};

/// Passes a point.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub const fn pass(_: Failpoint) {}

#[cfg(feature = "failpoints")]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::Failpoint;

    static ARMED: OnceLock<(Failpoint, AtomicU32)> = OnceLock::new();

    impl Failpoint {
        /// The point with this name, whatever its case.
        #[must_use]
        pub fn named(name: &str) -> Option<Self> {
            let killing = [
                Self::Committing,
                Self::Committed,
                Self::Publishing,
                Self::Scheduled,
                Self::Delivering,
                Self::Delivered,
                Self::Pushing,
            ];
            killing
                .into_iter()
                .chain([Self::Room, Self::Session])
                .find(|point| format!("{point:?}").eq_ignore_ascii_case(name))
        }
    }

    /// Makes `point` fail once, at pass number `times`.
    pub fn arm(point: Failpoint, times: u32) {
        ARMED.set((point, AtomicU32::new(times))).expect("one point is armed, at the start");
    }

    /// Passes a point; fails there if it was armed for this pass.
    pub fn pass(point: Failpoint) {
        let Some((armed, left)) = ARMED.get() else { return };
        if *armed != point || left.fetch_sub(1, Ordering::Relaxed) != 1 {
            return;
        }
        match point {
            Failpoint::Committing
            | Failpoint::Committed
            | Failpoint::Publishing
            | Failpoint::Scheduled
            | Failpoint::Delivering
            | Failpoint::Delivered
            | Failpoint::Pushing => std::process::abort(),
            Failpoint::Room | Failpoint::Session => panic!("a failpoint in an actor"),
        }
    }
}
