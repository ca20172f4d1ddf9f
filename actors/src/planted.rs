//! Bugs that are planted on purpose, to see that the simulation finds them. Only in builds with the
//! feature of that name; which one is chosen at run time, for each thread.

use std::cell::Cell;

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A message is acked when it is passed to the store.
    AckBeforeCommit,
    /// A resumed client is given what follows one position too late.
    ResumeOffByOne,
    /// What the feed of commits tells of heads is not passed on.
    LostSweep,
    /// Who is removed stays in the room's audience.
    NoCutOff,
    /// A line of a list that was read anew isn't told.
    UntoldLine,
    /// A session that was turned away goes on taking what its client sends.
    ListensOn,
    /// A room lets people in without a look at their tokens.
    GreetsTheRevoked,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::AckBeforeCommit,
        Self::ResumeOffByOne,
        Self::LostSweep,
        Self::NoCutOff,
        Self::UntoldLine,
        Self::ListensOn,
        Self::GreetsTheRevoked,
    ];

    /// Whether this one is planted now.
    pub(crate) fn is_planted(self) -> bool {
        PLANTED.get() == Some(self)
    }
}

thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Plants a bug on this thread, or takes it out.
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}
