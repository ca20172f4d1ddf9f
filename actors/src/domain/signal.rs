//! Signals: what is true now and needs no log. The newest one wins, any may be dropped, and each connection
//! starts with the state that they describe.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::ids::{MessageId, Seq, UserId};

/// A change in a room that has no position in its log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// A read mark moved forward.
    Read(ReadMark),
    /// A user started or stopped typing.
    Typing {
        /// The user.
        user: UserId,
        /// That user's username.
        username: Arc<str>,
        /// Whether the user is typing.
        is_typing: bool,
    },
    /// A user went online or offline.
    Presence {
        /// The user.
        user: UserId,
        /// Whether the user is online.
        online: bool,
        /// When the user was last seen; only for one who went offline.
        last_seen: Option<DateTime<Utc>>,
    },
    /// What only the user sees of the room changed: muting, settings, what counts as unread. For that user's
    /// own list and badges.
    #[serde(rename = "muted")]
    OwnState {
        /// The user.
        user: UserId,
    },
}

/// How far a user has read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadMark {
    /// The user.
    pub user: UserId,
    /// The position up to which everything is read.
    pub up_to: Seq,
    /// The newest message at or before that position, where it is known.
    pub message: Option<MessageId>,
    /// When the mark moved there.
    pub at: DateTime<Utc>,
}
