//! Whom a message mentions.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::ids::UserId;

/// Whom a message mentions, by ids, so that a client shows today's names. The text names them too, for clients
/// that know no mentions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mentions {
    /// Users, each once, in the order in which the sender's client named them.
    #[serde(default)]
    pub users: Vec<UserId>,
    /// Whether everyone in the room is mentioned.
    #[serde(default)]
    pub room: bool,
}

impl Mentions {
    /// The most users that a message mentions by their ids.
    pub const USERS_MAX: usize = 100;

    /// Mentions of `users`, who may be named more than once, and of everyone in the room.
    #[must_use]
    pub fn new(mut users: Vec<UserId>, room: bool) -> Self {
        let mut seen = BTreeSet::new();
        users.retain(|user| seen.insert(*user));
        Self { users, room }
    }

    /// Whether nobody is mentioned.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && !self.room
    }

    /// Whether a message of `sender` mentions `user`. Nobody is mentioned by an own message.
    #[must_use]
    pub fn includes(&self, user: UserId, sender: UserId) -> bool {
        user != sender && (self.room || self.users.contains(&user))
    }
}

/// What an edit does with a message's mentions; what isn't given stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MentionsEdit {
    /// The users to mention from now on, each once.
    pub users: Option<Vec<UserId>>,
    /// Whether everyone in the room is mentioned from now on.
    pub room: Option<bool>,
}

impl MentionsEdit {
    /// Whether everything stays as it is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What the edit makes of `mentions`.
    #[must_use]
    pub fn applied_to(&self, mentions: &Mentions) -> Mentions {
        Mentions {
            users: self.users.as_ref().unwrap_or(&mentions.users).clone(),
            room: self.room.unwrap_or(mentions.room),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: UserId = UserId(1);
    const BOB: UserId = UserId(2);

    #[test]
    fn a_user_named_twice_is_mentioned_once() {
        assert_eq!(Mentions::new(vec![BOB, ANN, BOB], false).users, [BOB, ANN]);
    }

    #[test]
    fn nobody_is_mentioned_by_an_own_message() {
        for mentions in [Mentions::new(vec![ANN], false), Mentions::new(Vec::new(), true)] {
            assert!(mentions.includes(ANN, BOB));
            assert!(!mentions.includes(ANN, ANN));
        }
        assert!(!Mentions::new(vec![ANN], false).includes(BOB, ANN));
    }

    #[test]
    fn an_edit_replaces_what_it_names() {
        let before = Mentions::new(vec![ANN], true);
        let edit = |users, room| MentionsEdit { users, room }.applied_to(&before);
        assert_eq!(edit(None, None), before);
        assert_eq!(edit(Some(vec![BOB]), None), Mentions::new(vec![BOB], true));
        assert_eq!(edit(None, Some(false)), Mentions::new(vec![ANN], false));
        assert!(edit(Some(Vec::new()), Some(false)).is_empty());
    }
}
