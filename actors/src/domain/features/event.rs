//! Events: what a room's log holds. Each has a position, is sent only after its commit, and reaches
//! everyone in the same order.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use super::{EventBody, EventFrame, EventKind};
use crate::domain::ids::{MessageId, RoomId, Seq, UserId};
use crate::domain::message::{Message, Quote};
use crate::domain::participant::Participant;
use crate::domain::room::Room;

/// One committed change of a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The room that changed.
    pub room: RoomId,
    /// The position in that room's log.
    pub seq: Seq,
    /// When, by the store's clock.
    pub at: DateTime<Utc>,
    /// The user who did it; none when the host application did, but for its messages, which are of its account.
    pub by: Option<UserId>,
    /// What changed.
    pub body: EventBody,
}

impl Event {
    /// The position of the oldest thing that the event's frame shows. Users who may see the room from a later
    /// one on are not shown the frame.
    #[must_use]
    pub fn shows_since(&self) -> Seq {
        match self.body.facts().subject {
            EventSubject::NewMessage(message) | EventSubject::Message(message) => self.seq.min(message.seq),
            _ => self.body.facts().shows_since.map_or(self.seq, |since| self.seq.min(since)),
        }
    }
}

/// What one kind of event is, from its judgement to the log and the wire.
pub trait EventRules {
    /// What the event carries.
    type Payload;
    /// Its frame.
    type Frame<'a>: Serialize;

    /// The name of this kind in the store.
    const STORE_NAME: &'static str;
    /// The `type` of its frame.
    const FRAME_TYPE: &'static str = Self::STORE_NAME;

    /// What an event of this kind means to those who handle it.
    fn facts(payload: &Self::Payload) -> EventFacts<'_>;

    /// The frame of `event`, which carries `payload`.
    fn frame<'a>(event: &'a Event, payload: &'a Self::Payload) -> Self::Frame<'a>;

    /// What the log keeps of the event beside its kind and its message.
    fn data(_: &Self::Payload) -> Option<serde_json::Value> {
        None
    }

    /// Makes the payload of the event's row in the log.
    fn restore(row: &impl LogRow) -> Self::Payload;
}

/// A row of a room's log, with what it is about as it is now. A store implements this once, for all kinds
/// of events; asking for what a row of that kind isn't about is a programming error.
pub trait LogRow {
    /// The message that the event is about.
    fn message(&self) -> Message;

    /// The participant that the event is about: the one whom `user` names in [`Self::data`].
    fn participant(&self) -> Participant;

    /// The room.
    fn room(&self) -> Room;

    /// What [`EventBody::data`] gave when the event was stored.
    fn data(&self) -> Option<&serde_json::Value>;
}

/// What an event means to everyone who handles it, whatever its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventFacts<'a> {
    /// What it is about.
    pub subject: EventSubject<'a>,
    /// Whether it counts as activity, which moves the room up in lists.
    pub is_activity: bool,
    /// Who may read the room after it.
    pub audience: AudienceChange,
    /// What it changes in lists of rooms.
    pub inbox: InboxChange,
    /// The user who is no longer typing, if it shows that.
    pub stops_typing: Option<UserId>,
    /// The root whose sums it changes, where it is about a reply in a thread.
    pub thread_root: Option<MessageId>,
    /// The position of an older message of which its frame shows something, where the subject doesn't say so.
    pub shows_since: Option<Seq>,
    /// A user whose sockets for all rooms are sent its frame, whether they are subscribed to the room or not.
    pub tells: Option<UserId>,
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventSubject<'a> {
    /// The room, which is new.
    NewRoom(&'a Room),
    /// The room, whose own row changed.
    Room(&'a Room),
    /// The room, which is gone.
    DeletedRoom,
    /// A new message.
    NewMessage(&'a Message),
    /// A message that changed, carried whole.
    Message(&'a Message),
    /// A message that changed, by its id alone.
    MessageId(MessageId),
    /// A message of which something changed beside its text and its file, by its id alone. The event's frame
    /// says what happened, so it stays true.
    MessageExtras(MessageId),
    /// A participant.
    Participant(&'a Participant),
}

/// How an event changes who may read the room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AudienceChange {
    /// Not at all.
    #[default]
    Same,
    /// The participant whom it is about joined.
    Joined,
    /// The participant whom it is about left.
    Left,
    /// Nobody may any more.
    Closed,
}

/// How an event changes the room's row in its participants' lists of rooms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InboxChange {
    /// Not at all, or only where [`AudienceChange`] says so.
    #[default]
    Same,
    /// The new message that it is about becomes the last one, and counts as unread for the others.
    NewMessage,
    /// The row is read anew where it shows the message that the event is about, or an older one, or counts
    /// its mentions.
    ChangedMessage,
    /// The row is read anew.
    Changed,
}

/// What a frame shows: when one of these changes, a copy of the frame is no longer true.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// The message, and the one that it replies to.
    pub messages: [Option<MessageId>; 2],
    /// The sender or participant, the sender of the message that is replied to, and the one from whom the message
    /// was forwarded.
    pub users: [Option<UserId>; 3],
}

/// What a frame no longer shows as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outdated {
    /// A message.
    Message(MessageId),
    /// A user or participant.
    User(UserId),
}

impl<'a> EventFacts<'a> {
    /// An event about `subject` that counts as activity and changes nothing else.
    #[must_use]
    pub fn about(subject: EventSubject<'a>) -> Self {
        Self {
            subject,
            is_activity: true,
            audience: AudienceChange::Same,
            inbox: InboxChange::Same,
            stops_typing: None,
            thread_root: None,
            shows_since: None,
            tells: None,
        }
    }

    /// The message that the event is about.
    #[must_use]
    pub fn message_id(&self) -> Option<MessageId> {
        match self.subject {
            EventSubject::NewMessage(message) | EventSubject::Message(message) => Some(message.id),
            EventSubject::MessageId(id) | EventSubject::MessageExtras(id) => Some(id),
            _ => None,
        }
    }

    /// The message that the event changed; none for a new one.
    #[must_use]
    pub fn changed_message(&self) -> Option<MessageId> {
        self.message_id().filter(|_| self.new_message().is_none())
    }

    /// The message that the event added.
    #[must_use]
    pub fn new_message(&self) -> Option<&'a Message> {
        match self.subject {
            EventSubject::NewMessage(message) => Some(message),
            _ => None,
        }
    }

    /// The participant that the event is about.
    #[must_use]
    pub fn participant(&self) -> Option<&'a Participant> {
        match self.subject {
            EventSubject::Participant(participant) => Some(participant),
            _ => None,
        }
    }

    /// The participant who joined.
    #[must_use]
    pub fn joined(&self) -> Option<&'a Participant> {
        self.participant().filter(|_| self.audience == AudienceChange::Joined)
    }

    /// The participant who left.
    #[must_use]
    pub fn left(&self) -> Option<&'a Participant> {
        self.participant().filter(|_| self.audience == AudienceChange::Left)
    }

    /// The room, where the event carries it.
    #[must_use]
    pub fn room(&self) -> Option<&'a Room> {
        match self.subject {
            EventSubject::NewRoom(room) | EventSubject::Room(room) => Some(room),
            _ => None,
        }
    }

    /// What the event's frame shows; none for a frame that every later event makes untrue, as the room's
    /// time of activity changes with each.
    #[must_use]
    pub fn shown(&self) -> Option<Shown> {
        match self.subject {
            EventSubject::NewRoom(_) | EventSubject::Room(_) | EventSubject::DeletedRoom => None,
            EventSubject::NewMessage(message) | EventSubject::Message(message) => {
                let quote = message.reply_to.as_ref();
                let origin = message.extras.forwarded.as_ref();
                Some(Shown {
                    messages: [Some(message.id), quote.map(|quote| quote.id)],
                    users: [
                        Some(message.sender.id),
                        quote.and_then(Quote::sender),
                        origin.map(|origin| origin.sender.id),
                    ],
                })
            }
            EventSubject::MessageExtras(_) => Some(Shown::default()),
            EventSubject::MessageId(id) => Some(Shown { messages: [Some(id), None], ..Shown::default() }),
            EventSubject::Participant(participant) => {
                Some(Shown { users: [Some(participant.user.id), None, None], ..Shown::default() })
            }
        }
    }

    /// What earlier frames show that is no longer true after the event.
    pub fn outdated(&self) -> impl Iterator<Item = Outdated> + use<> {
        let messages = [self.changed_message(), self.thread_root].into_iter().flatten();
        let user = self.participant().map(|participant| participant.user.id);
        messages.map(Outdated::Message).chain(user.map(Outdated::User))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::domain::features::MessageDeletion;
    use crate::domain::message::RemovedBy;

    #[test]
    fn a_deletion_from_an_older_node_is_understood() {
        let (message, sent, sender) = (MessageId(Uuid::nil()), Seq(4), UserId(1));
        let body = EventBody::MessageDeleted(Box::new(MessageDeletion {
            message,
            sent,
            sender,
            removed_by: RemovedBy::Author,
            reason: None,
            thread: None,
        }));
        let older = json!({"message_deleted": {"message": message, "sent": 4, "sender": 1}});
        assert_eq!(serde_json::from_value::<EventBody>(older).ok(), Some(body.clone()));
        let newer =
            json!({"message_deleted": {"message": message, "sent": 4, "sender": 1, "removed_by": "author"}});
        assert_eq!(serde_json::to_value(&body).ok(), Some(newer));
    }

    #[test]
    fn an_event_without_payload_is_its_name() {
        assert_eq!(serde_json::to_value(EventBody::RoomDeleted).ok(), Some(json!("room_deleted")));
        assert_eq!(EventKind::parse("room_deleted"), Some(EventKind::RoomDeleted));
        assert_eq!(EventKind::parse("hologram"), None);
    }
}
