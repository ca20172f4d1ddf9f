//! Events: what a room's log holds. Each has a position, is told only after its commit, and is told
//! to everyone in the same order.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::ids::{MessageId, RoomId, Seq, UserId};
use super::message::{Message, RemovedBy};
use super::participant::Participant;
use super::room::Room;

/// One committed change of a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The room that changed.
    pub room: RoomId,
    /// The position in that room's log.
    pub seq: Seq,
    /// When, by the store's clock.
    pub at: DateTime<Utc>,
    /// Who did it; nobody when the host application did.
    pub by: Option<UserId>,
    /// What changed.
    pub body: EventBody,
}

/// What an event says. A live event carries things as they were at its commit, a replayed one as they
/// are now, and folding either gives the same state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventBody {
    /// The room was made.
    RoomCreated(Box<Room>),
    /// Its name, title or archive state changed.
    RoomUpdated(Box<Room>),
    /// It was deleted; nothing follows.
    RoomDeleted,
    /// A message was sent.
    MessagePosted(Box<Message>),
    /// A message's text changed.
    MessageEdited(Box<Message>),
    /// A message was deleted.
    MessageDeleted {
        /// Which one.
        message: MessageId,
        /// The position of its sending.
        sent: Seq,
        /// Who had written it.
        sender: UserId,
        /// In what right; a node from before this was told acts for authors alone.
        #[serde(default)]
        removed_by: RemovedBy,
        /// Why, as far as the one who did it has said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Someone came in, or came back.
    ParticipantJoined(Box<Participant>),
    /// Someone left or was removed.
    ParticipantLeft(Box<Participant>),
    /// Someone's role changed.
    ParticipantUpdated(Box<Participant>),
}

impl EventBody {
    /// The name of its kind in the store.
    #[must_use]
    pub fn kind(&self) -> EventKind {
        match self {
            Self::RoomCreated(_) => EventKind::RoomCreated,
            Self::RoomUpdated(_) => EventKind::RoomUpdated,
            Self::RoomDeleted => EventKind::RoomDeleted,
            Self::MessagePosted(_) => EventKind::MessagePosted,
            Self::MessageEdited(_) => EventKind::MessageEdited,
            Self::MessageDeleted { .. } => EventKind::MessageDeleted,
            Self::ParticipantJoined(_) => EventKind::ParticipantJoined,
            Self::ParticipantLeft(_) => EventKind::ParticipantLeft,
            Self::ParticipantUpdated(_) => EventKind::ParticipantUpdated,
        }
    }

    /// The message that it is about.
    #[must_use]
    pub fn message(&self) -> Option<MessageId> {
        match self {
            Self::MessagePosted(message) | Self::MessageEdited(message) => Some(message.id),
            Self::MessageDeleted { message, .. } => Some(*message),
            _ => None,
        }
    }

    /// The participant that it is about.
    #[must_use]
    pub fn participant(&self) -> Option<&Participant> {
        match self {
            Self::ParticipantJoined(participant)
            | Self::ParticipantLeft(participant)
            | Self::ParticipantUpdated(participant) => Some(participant),
            _ => None,
        }
    }
}

/// The kinds of events, as the store names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// See [`EventBody::RoomCreated`].
    RoomCreated,
    /// See [`EventBody::RoomUpdated`].
    RoomUpdated,
    /// See [`EventBody::RoomDeleted`].
    RoomDeleted,
    /// See [`EventBody::MessagePosted`].
    MessagePosted,
    /// See [`EventBody::MessageEdited`].
    MessageEdited,
    /// See [`EventBody::MessageDeleted`].
    MessageDeleted,
    /// See [`EventBody::ParticipantJoined`].
    ParticipantJoined,
    /// See [`EventBody::ParticipantLeft`].
    ParticipantLeft,
    /// See [`EventBody::ParticipantUpdated`].
    ParticipantUpdated,
}

impl EventKind {
    const ALL: [(Self, &'static str); 9] = [
        (Self::RoomCreated, "room_created"),
        (Self::RoomUpdated, "room_updated"),
        (Self::RoomDeleted, "room_deleted"),
        (Self::MessagePosted, "message_posted"),
        (Self::MessageEdited, "message_edited"),
        (Self::MessageDeleted, "message_deleted"),
        (Self::ParticipantJoined, "participant_joined"),
        (Self::ParticipantLeft, "participant_left"),
        (Self::ParticipantUpdated, "participant_updated"),
    ];

    /// The store's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    /// Reads the store's name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_a_node_from_before_tells_of_a_deletion_is_understood() {
        let (message, sent, sender) = (MessageId(Uuid::nil()), Seq(4), UserId(1));
        let body =
            EventBody::MessageDeleted { message, sent, sender, removed_by: RemovedBy::Author, reason: None };
        let told = json!({"message_deleted": {"message": message, "sent": 4, "sender": 1}});
        assert_eq!(serde_json::from_value::<EventBody>(told).expect("an event"), body);
        let now =
            json!({"message_deleted": {"message": message, "sent": 4, "sender": 1, "removed_by": "author"}});
        assert_eq!(serde_json::to_value(&body).expect("JSON"), now);
    }
}
