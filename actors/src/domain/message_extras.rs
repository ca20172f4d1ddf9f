//! What a message carries beside its text and its file: what features keep with it, so that whoever reads a
//! message has it without another query.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::attachment::Attachment;
use super::card::{Card, CardView};
use super::ids::{MessageId, RoomId, UserId};
use super::mentions::Mentions;
use super::thread::ThreadSums;
use super::urgency::UrgentMark;
use super::user::UserSummary;

/// What a message carries beside its text and its file. The store keeps it as one value, none where it is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageExtras {
    /// The reactions, in the order in which each emoji first appeared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<Reaction>,
    /// Its files beside the first one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more_files: Vec<Attachment>,
    /// Its card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<Box<Card>>,
    /// The sums of the thread of which it is the root; none as long as nobody has replied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<ThreadSums>,
    /// Whom it mentions.
    #[serde(default, skip_serializing_if = "Mentions::is_empty")]
    pub mentions: Mentions,
    /// Since when it is pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<Pinned>,
    /// That it is urgent, and who has acknowledged it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub urgent: Option<Box<UrgentMark>>,
    /// Where it was written first, if it is the copy of another message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forwarded: Option<Forwarded>,
    /// Whether its sender was a guest in the room.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub external: bool,
}

/// That a message is pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinned {
    /// Since when.
    pub at: DateTime<Utc>,
    /// The user who pinned it; none when the host application did.
    pub by: Option<UserId>,
}

/// Where a forwarded message was written first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forwarded {
    /// The user who wrote it.
    pub sender: UserSummary,
    /// When it was sent there.
    pub created_at: DateTime<Utc>,
    /// The room.
    pub room: RoomId,
    /// The message there.
    pub message: MessageId,
}

/// All reactions to a message with one emoji.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaction {
    /// The emoji.
    pub emoji: String,
    /// How many users reacted with it.
    pub count: i64,
    /// Some of them, the first [`Reaction::USERS_MAX`] as long as nobody takes a reaction back.
    pub users: Vec<UserId>,
}

impl MessageExtras {
    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The same without names, as stores keep it: who reads it is shown the names of that time.
    #[must_use]
    pub fn without_names(&self) -> Self {
        let mut extras = self.clone();
        if let Some(forwarded) = &mut extras.forwarded {
            forwarded.sender = UserSummary::erased(forwarded.sender.id);
        }
        extras
    }
}

impl Reaction {
    /// The most users that a reaction names.
    pub const USERS_MAX: usize = 20;

    /// Adds a user's reaction to `reactions`.
    ///
    /// Clients do the same when they receive the event, so each step is as simple as possible.
    pub fn add(reactions: &mut Vec<Self>, emoji: &str, user: UserId) {
        match reactions.iter_mut().find(|reaction| reaction.emoji == emoji) {
            Some(reaction) => {
                reaction.count += 1;
                if reaction.users.len() < Self::USERS_MAX {
                    reaction.users.push(user);
                }
            }
            None => reactions.push(Self { emoji: emoji.to_owned(), count: 1, users: vec![user] }),
        }
    }

    /// Takes a user's reaction out of `reactions`.
    pub fn remove(reactions: &mut Vec<Self>, emoji: &str, user: UserId) {
        if let Some(reaction) = reactions.iter_mut().find(|reaction| reaction.emoji == emoji) {
            reaction.count -= 1;
            reaction.users.retain(|known| *known != user);
        }
        reactions.retain(|reaction| reaction.count > 0);
    }
}

/// [`MessageExtras`] on the wire; the same for everyone in the room.
#[derive(Serialize)]
#[allow(missing_docs, reason = "the fields are the wire's, described in docs/PROTOCOL.md")]
pub struct ExtrasView<'a> {
    pub reactions: &'a [Reaction],
    pub card: Option<CardView<'a>>,
    pub mentions: &'a Mentions,
    pub forwarded: Option<ForwardedView<'a>>,
    pub pinned_at: Option<DateTime<Utc>>,
    pub pinned_by: Option<UserId>,
    pub urgent: Option<&'a UrgentMark>,
}

/// [`Forwarded`] on the wire. The room isn't told: not everyone may know of it.
#[derive(Serialize)]
#[allow(missing_docs, reason = "the fields are the wire's, described in docs/PROTOCOL.md")]
pub struct ForwardedView<'a> {
    pub sender: &'a UserSummary,
    pub created_at: DateTime<Utc>,
}

impl<'a> From<&'a MessageExtras> for ExtrasView<'a> {
    fn from(extras: &'a MessageExtras) -> Self {
        let forwarded = extras.forwarded.as_ref();
        Self {
            reactions: &extras.reactions,
            card: extras.card.as_deref().map(CardView::from),
            mentions: &extras.mentions,
            forwarded: forwarded
                .map(|origin| ForwardedView { sender: &origin.sender, created_at: origin.created_at }),
            pinned_at: extras.pinned.map(|pinned| pinned.at),
            pinned_by: extras.pinned.and_then(|pinned| pinned.by),
            urgent: extras.urgent.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_reaction_names_its_first_users_and_counts_all() {
        let mut reactions = Vec::new();
        for user in 1..=25 {
            Reaction::add(&mut reactions, "\u{1f44d}", UserId(user));
        }
        Reaction::add(&mut reactions, "\u{2764}\u{fe0f}", UserId(7));
        assert_eq!((reactions[0].count, reactions[0].users.len()), (25, Reaction::USERS_MAX));
        Reaction::remove(&mut reactions, "\u{1f44d}", UserId(3));
        Reaction::remove(&mut reactions, "\u{1f44d}", UserId(24));
        assert_eq!((reactions[0].count, reactions[0].users.len()), (23, 19));
        Reaction::remove(&mut reactions, "\u{2764}\u{fe0f}", UserId(7));
        assert_eq!(reactions.len(), 1);
    }

    #[test]
    fn a_store_keeps_no_name_of_whom_a_message_was_forwarded_from() {
        let forwarded = Forwarded {
            sender: UserSummary::new(UserId(7), "ann", "Ann Lee"),
            created_at: DateTime::UNIX_EPOCH,
            room: RoomId(Uuid::nil()),
            message: MessageId(Uuid::nil()),
        };
        let extras = MessageExtras { forwarded: Some(forwarded), ..MessageExtras::default() };
        let kept = serde_json::to_value(extras.without_names()).expect("plain data");
        let nobody = json!({"id": 7, "username": "deleted", "full_name": "Deleted user"});
        assert_eq!(kept["forwarded"]["sender"], nobody);
    }

    #[test]
    fn extras_of_a_newer_node_are_read_without_what_is_unknown() {
        let newer = json!({"reactions": [], "holograms": [1]});
        assert!(serde_json::from_value::<MessageExtras>(newer).expect("extras").is_empty());
    }
}
