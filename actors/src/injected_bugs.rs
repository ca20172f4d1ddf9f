//! Bugs injected on purpose, to show that the simulation finds them. Only in builds with the feature
//! `injected-bugs`; each thread chooses one at run time.

use std::cell::Cell;

/// An injected bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InjectedBug {
    /// A message is acknowledged when it is passed to the store.
    AckBeforeCommit,
    /// A resumed client misses the first event of its replay.
    ResumeOffByOne,
    /// The heads in the change feed are ignored.
    LostFeedHeads,
    /// A removed participant stays subscribed.
    KeepRemovedSubscriber,
    /// A row of a list that was read again isn't sent.
    LostInboxRow,
    /// A rejected session goes on processing its client's frames.
    ReadAfterReject,
    /// A room accepts joins without checking for revoked tokens.
    AdmitRevokedToken,
    /// Users are sent what was before they could see the room.
    ShowHistory,
}

impl InjectedBug {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::AckBeforeCommit,
        Self::ResumeOffByOne,
        Self::LostFeedHeads,
        Self::KeepRemovedSubscriber,
        Self::LostInboxRow,
        Self::ReadAfterReject,
        Self::AdmitRevokedToken,
        Self::ShowHistory,
    ];

    /// Whether this bug is injected on this thread.
    pub(crate) fn is_injected(self) -> bool {
        INJECTED.get() == Some(self)
    }
}

thread_local! {
    static INJECTED: Cell<Option<InjectedBug>> = const { Cell::new(None) };
}

/// Injects a bug on this thread, or removes it.
pub fn inject(bug: Option<InjectedBug>) {
    INJECTED.set(bug);
}
