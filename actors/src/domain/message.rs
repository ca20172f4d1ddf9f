//! Messages.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::ids::{ClientId, FileId, MessageId, RoomId, Seq, UserId};
use super::person::Author;
use super::text;

/// What stands in place of a deleted message's text.
pub const DELETED_TEXT: &str = "[Message deleted]";

/// The kinds of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageType {
    /// Text alone.
    Text,
    /// A picture, perhaps with a text.
    Image,
    /// A document, perhaps with a text.
    File,
    /// Written by the engine; never by a person.
    System,
}

impl MessageType {
    /// The name on the wire and in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::File => "file",
            Self::System => "system",
        }
    }

    /// Reads a name of the wire; nothing else is a message type.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "text" => Some(Self::Text),
            "image" => Some(Self::Image),
            "file" => Some(Self::File),
            "system" => Some(Self::System),
            _ => None,
        }
    }
}

/// In what right a message was deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RemovedBy {
    /// Its author's, whose account's end counts too.
    #[default]
    Author,
    /// That of those who look after the room.
    Moderator,
    /// A rule about how long messages are kept.
    Retention,
}

impl RemovedBy {
    /// The name on the wire and in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Author => "author",
            Self::Moderator => "moderator",
            Self::Retention => "retention",
        }
    }

    /// Reads the store's name. What was deleted before that was noted, its author deleted.
    #[must_use]
    pub fn parse(name: Option<&str>) -> Self {
        match name {
            Some("moderator") => Self::Moderator,
            Some("retention") => Self::Retention,
            _ => Self::Author,
        }
    }
}

/// A file that a message carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Where it is stored.
    pub file: FileId,
    /// Its name, for people only.
    pub name: String,
    /// Its size in bytes.
    pub size: i64,
}

/// The message that another one answers, as much of it as is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// The message that is answered.
    pub id: MessageId,
    /// Who wrote it.
    pub sender: UserId,
    /// The writer's username.
    pub username: String,
    /// Its first 100 characters.
    pub content: String,
    /// When it was sent.
    pub created_at: DateTime<Utc>,
}

/// A message as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The message's id.
    pub id: MessageId,
    /// The room it stands in.
    pub room: RoomId,
    /// The position of its sending.
    pub seq: Seq,
    /// The position of its last change.
    pub rev: Seq,
    /// Who wrote it.
    pub sender: Author,
    /// Its kind.
    pub message_type: MessageType,
    /// Its text.
    pub content: String,
    /// Its file.
    pub attachment: Option<Attachment>,
    /// What it answers.
    pub reply_to: Option<Quote>,
    /// When it was committed.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub modified_at: DateTime<Utc>,
    /// When its text last changed.
    pub edited_at: Option<DateTime<Utc>>,
    /// When it was deleted.
    pub deleted_at: Option<DateTime<Utc>>,
    /// In what right it was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_by: Option<RemovedBy>,
    /// What its sender's client called it.
    pub client_id: Option<ClientId>,
}

impl Message {
    /// The quote of this message in an answer to it.
    #[must_use]
    pub fn quote(&self) -> Quote {
        Quote {
            id: self.id,
            sender: self.sender.id,
            username: self.sender.username.to_string(),
            content: text::prefix(&self.content, text::PREVIEW_CHARS).to_owned(),
            created_at: self.created_at,
        }
    }

    /// One line about this message, for lists of rooms.
    #[must_use]
    pub fn preview(&self) -> String {
        preview(self.message_type, self.deleted_at.is_some(), &self.content)
    }
}

/// One line about a message, for lists of rooms.
#[must_use]
pub fn preview(message_type: MessageType, is_deleted: bool, content: &str) -> String {
    if is_deleted {
        return DELETED_TEXT.to_owned();
    }
    match message_type {
        MessageType::Image => "[Image]".to_owned(),
        MessageType::File => "[File Attachment]".to_owned(),
        MessageType::Text | MessageType::System => text::prefix(content, text::PREVIEW_CHARS).to_owned(),
    }
}
