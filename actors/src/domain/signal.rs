//! Signals: what is true now and needs no memory. The newest wins, any may be dropped, and the state
//! they tell of is told anew on each connection.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::ids::{MessageId, Seq, UserId};

/// Something about a room that has no position in its log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// Someone's read mark moved forward.
    Read(ReadMark),
    /// Someone began or ceased to type.
    Typing {
        /// Who.
        user: UserId,
        /// That person's username.
        username: Arc<str>,
        /// Whether typing.
        is_typing: bool,
    },
    /// Someone came online or went.
    Presence {
        /// Who.
        user: UserId,
        /// Whether online.
        online: bool,
        /// When last seen, for one who went.
        last_seen: Option<DateTime<Utc>>,
    },
    /// Someone muted the room, or lifted that; for that person's own badges.
    Muted {
        /// Who.
        user: UserId,
    },
}

/// How far someone has read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadMark {
    /// Who.
    pub user: UserId,
    /// The position up to which all is read.
    pub up_to: Seq,
    /// The newest message at or before that position; none where that is not known.
    pub message: Option<MessageId>,
    /// When the mark moved there.
    pub at: DateTime<Utc>,
}
