//! Messages, and how the wire shows one.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use super::attachment::Attachment;
use super::attachment::{AttachmentView, file_path};
use super::ids::{ClientId, MessageId, RoomId, Seq, UserId};
use super::message_extras::{ExtrasView, MessageExtras};
use super::text;
use super::thread::{ThreadPlace, ThreadView};
use super::user::UserSummary;

/// What a deleted message has in place of its text.
pub const DELETED_TEXT: &str = "[Message deleted]";

/// The preview of a room without messages.
pub const NO_MESSAGES_TEXT: &str = "No messages yet";

/// The types of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageType {
    /// Text alone.
    Text,
    /// A picture, perhaps with a text.
    Image,
    /// A document, perhaps with a text.
    File,
    /// Written by the engine, never by a user.
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

/// In whose right a message was deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RemovedBy {
    /// Its author's; the end of the author's account counts too.
    #[default]
    Author,
    /// A moderator's: an admin of the room, the staff or the host application.
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

    /// Reads the name in the store. A deletion from before names were kept counts as its author's.
    #[must_use]
    pub fn parse(name: Option<&str>) -> Self {
        match name {
            Some("moderator") => Self::Moderator,
            Some("retention") => Self::Retention,
            _ => Self::Author,
        }
    }
}

/// The message that another one replies to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// The message that is replied to.
    pub id: MessageId,
    /// The position of its sending.
    #[serde(default)]
    pub seq: Seq,
    /// As much of it as is shown; nothing to those who may not see it.
    #[serde(flatten)]
    pub shown: Option<QuotedMessage>,
}

/// What a quote shows of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotedMessage {
    /// The user who wrote it.
    pub sender: UserId,
    /// That user's username.
    pub username: String,
    /// Its first 100 characters.
    pub content: String,
    /// When it was sent.
    pub created_at: DateTime<Utc>,
}

impl Quote {
    /// The user who wrote what is shown.
    #[must_use]
    pub fn sender(&self) -> Option<UserId> {
        self.shown.as_ref().map(|shown| shown.sender)
    }

    /// The text that is shown.
    #[must_use]
    pub fn content(&self) -> Option<&str> {
        self.shown.as_ref().map(|shown| shown.content.as_str())
    }
}

/// A message as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The id.
    pub id: MessageId,
    /// The room.
    pub room: RoomId,
    /// The position of its sending.
    pub seq: Seq,
    /// The position of its own last change; see [`Self::last_change`].
    pub rev: Seq,
    /// The user who wrote it.
    pub sender: UserSummary,
    /// The type.
    pub message_type: MessageType,
    /// The text.
    pub content: String,
    /// The file, the first one where it carries several; see [`Self::files`].
    pub attachment: Option<Attachment>,
    /// What it replies to.
    pub reply_to: Option<Quote>,
    /// The thread that it stands in, where it is a reply; it stays when the message is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<ThreadPlace>,
    /// When it was committed.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub modified_at: DateTime<Utc>,
    /// When its text last changed.
    pub edited_at: Option<DateTime<Utc>>,
    /// When it was deleted.
    pub deleted_at: Option<DateTime<Utc>>,
    /// In whose right it was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_by: Option<RemovedBy>,
    /// What the sender's client called it.
    pub client_id: Option<ClientId>,
    /// What it carries beside its text and its file.
    #[serde(default, skip_serializing_if = "MessageExtras::is_empty")]
    pub extras: MessageExtras,
}

impl Message {
    /// A text message without content, sent at `seq`.
    #[must_use]
    pub fn new(id: MessageId, room: RoomId, seq: Seq, sender: UserSummary, at: DateTime<Utc>) -> Self {
        Self {
            id,
            room,
            seq,
            rev: seq,
            sender,
            message_type: MessageType::Text,
            content: String::new(),
            attachment: None,
            reply_to: None,
            thread: None,
            created_at: at,
            modified_at: at,
            edited_at: None,
            deleted_at: None,
            removed_by: None,
            client_id: None,
            extras: MessageExtras::default(),
        }
    }

    /// Deletes the message at `rev`: what it said goes, its place in the log and in threads stays.
    pub fn delete(&mut self, removed_by: RemovedBy, rev: Seq, at: DateTime<Utc>) {
        DELETED_TEXT.clone_into(&mut self.content);
        self.attachment = None;
        self.extras = MessageExtras {
            thread: self.extras.thread,
            external: self.extras.external,
            ..MessageExtras::default()
        };
        self.rev = rev;
        self.modified_at = at;
        self.deleted_at = Some(at);
        self.removed_by = Some(removed_by);
    }

    /// Its files, in their order.
    pub fn files(&self) -> impl Iterator<Item = &Attachment> {
        self.attachment.iter().chain(&self.extras.more_files)
    }

    /// Whether it stands in the room's timeline, and not in a thread alone.
    #[must_use]
    pub fn is_in_timeline(&self) -> bool {
        self.thread.is_none_or(|place| place.in_timeline)
    }

    /// The position of the last change of anything that the wire shows of it.
    #[must_use]
    pub fn last_change(&self) -> Seq {
        self.extras.thread.map_or(self.rev, |sums| sums.rev.max(self.rev))
    }

    /// The quote of this message in a reply to it.
    #[must_use]
    pub fn quote(&self) -> Quote {
        let shown = QuotedMessage {
            sender: self.sender.id,
            username: self.sender.username.to_string(),
            content: text::prefix(&self.content, text::PREVIEW_CHARS).to_owned(),
            created_at: self.created_at,
        };
        Quote { id: self.id, seq: self.seq, shown: Some(shown) }
    }

    /// Hides what the quote shows of a message from before `visible_from`.
    pub fn hide_quote_before(&mut self, visible_from: Seq) {
        if let Some(quote) = self.reply_to.as_mut().filter(|quote| quote.seq < visible_from) {
            quote.shown = None;
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

/// A message on the wire; the same for everyone in the room.
#[derive(Serialize)]
#[allow(missing_docs, reason = "the fields are the wire's, described in docs/PROTOCOL.md")]
pub struct MessageView<'a> {
    pub id: MessageId,
    pub room_id: RoomId,
    pub sender: SenderView<'a>,
    pub content: &'a str,
    pub message_type: &'static str,
    pub attachment: Option<String>,
    pub attachment_name: &'a str,
    pub attachment_size: Option<i64>,
    pub attachments: Vec<AttachmentView<'a>>,
    pub reply_to_id: Option<MessageId>,
    pub reply_to: Option<QuoteView<'a>>,
    pub created_at: DateTime<Utc>,
    pub is_edited: bool,
    pub edited_at: Option<DateTime<Utc>>,
    pub is_deleted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed_by: Option<RemovedBy>,
    pub seq: Seq,
    pub rev: Seq,
    pub client_id: Option<ClientId>,
    pub thread: Option<ThreadView>,
    /// Only where it is false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_timeline: Option<bool>,
    #[serde(flatten)]
    pub extras: ExtrasView<'a>,
}

impl<'a> From<&'a Message> for MessageView<'a> {
    fn from(message: &'a Message) -> Self {
        let file = message.attachment.as_ref();
        Self {
            id: message.id,
            room_id: message.room,
            sender: SenderView {
                id: message.sender.id,
                username: &message.sender.username,
                full_name: &message.sender.full_name,
                external: message.extras.external,
                kind: message.sender.id.is_bot().then(|| message.sender.id.kind()),
            },
            content: &message.content,
            message_type: message.message_type.as_str(),
            attachment: file.map(|file| file_path(file.file)),
            attachment_name: file.map_or("", |file| file.name.as_str()),
            attachment_size: file.map(|file| file.size),
            attachments: message.files().map(AttachmentView::from).collect(),
            reply_to_id: message.reply_to.as_ref().map(|quote| quote.id),
            reply_to: message.reply_to.as_ref().map(QuoteView::from),
            created_at: message.created_at,
            is_edited: message.edited_at.is_some(),
            edited_at: message.edited_at,
            is_deleted: message.deleted_at.is_some(),
            removed_by: message.removed_by,
            seq: message.seq,
            rev: message.last_change(),
            client_id: message.client_id,
            thread: message
                .thread
                .map(|place| place.view())
                .or_else(|| Some(message.extras.thread?.view(message.id))),
            in_timeline: (!message.is_in_timeline()).then_some(false),
            extras: (&message.extras).into(),
        }
    }
}

/// The sender of a message on the wire.
#[derive(Serialize)]
#[allow(missing_docs, reason = "the fields are the wire's, described in docs/PROTOCOL.md")]
pub struct SenderView<'a> {
    pub id: UserId,
    pub username: &'a str,
    pub full_name: &'a str,
    /// Only where it is true.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub external: bool,
    /// Only for a bot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
}

/// A quote on the wire.
#[derive(Serialize)]
#[allow(missing_docs, reason = "the fields are the wire's, described in docs/PROTOCOL.md")]
pub struct QuoteView<'a> {
    pub id: MessageId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<QuotedSender<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<DateTime<Utc>>,
}

/// The sender of a quoted message on the wire.
#[derive(Serialize)]
#[allow(missing_docs, reason = "the fields are the wire's, described in docs/PROTOCOL.md")]
pub struct QuotedSender<'a> {
    pub id: UserId,
    pub username: &'a str,
}

impl<'a> From<&'a Quote> for QuoteView<'a> {
    fn from(quote: &'a Quote) -> Self {
        let shown = quote.shown.as_ref();
        Self {
            id: quote.id,
            sender: shown.map(|shown| QuotedSender { id: shown.sender, username: &shown.username }),
            content: quote.content(),
            created_at: shown.map(|shown| shown.created_at),
        }
    }
}
