//! Threads: replies that stand with one message, their root. A reply knows its root; the root has sums, so that a
//! timeline shows what is going on without loading replies.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::ids::{MessageId, Seq};

/// Where a reply stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadPlace {
    /// The root of its thread.
    pub root: MessageId,
    /// Whether it stands in the room's timeline too. Otherwise the room's list of messages, its unread counts and its
    /// preview leave it out.
    pub in_timeline: bool,
}

/// The sums of a thread, which its root keeps. They stay when the root is deleted, as the replies do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadSums {
    /// How many replies there are; deleted ones don't count.
    pub replies: i64,
    /// When the newest of them was sent.
    pub last_reply_at: Option<DateTime<Utc>>,
    /// The position up to which these are the sums. The root's own position of change stays, since nothing that is
    /// searched or compared by it has changed.
    pub rev: Seq,
}

/// A thread on the wire. On a reply it names the root and has no sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields are the wire's, described in docs/PROTOCOL.md")]
pub struct ThreadView {
    pub root_id: MessageId,
    pub replies: i64,
    pub last_reply_at: Option<DateTime<Utc>>,
}

impl ThreadSums {
    /// Counts a reply that was sent at `seq`.
    pub fn add(&mut self, seq: Seq, at: DateTime<Utc>) {
        *self = Self { replies: self.replies + 1, last_reply_at: Some(at), rev: seq };
    }

    /// Takes out a reply that was deleted at `seq`, after which the newest one was sent at `last_reply_at`.
    pub fn remove(&mut self, seq: Seq, last_reply_at: Option<DateTime<Utc>>) {
        *self = Self { replies: self.replies - 1, last_reply_at, rev: seq };
    }

    /// The thread of `root` on the wire.
    #[must_use]
    pub fn view(&self, root: MessageId) -> ThreadView {
        ThreadView { root_id: root, replies: self.replies, last_reply_at: self.last_reply_at }
    }
}

impl ThreadPlace {
    /// The thread of a reply on the wire.
    #[must_use]
    pub fn view(&self) -> ThreadView {
        ThreadView { root_id: self.root, replies: 0, last_reply_at: None }
    }
}
