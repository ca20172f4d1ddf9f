//! Mailboxes for tests of single actors, in place of the actors around them.

use crate::mailbox::{Liveness, Tell};

/// A mailbox that takes every message and does nothing with it.
pub(crate) struct NullMailbox;

impl<M: Send + 'static> Tell<M> for NullMailbox {
    fn tell(&self, _: M) {}

    fn try_tell(&self, _: M) -> Result<(), M> {
        Ok(())
    }
}

impl Liveness for NullMailbox {
    fn is_alive(&self) -> bool {
        true
    }
}
