//! A message as REST shows it to one person.

use std::collections::BTreeMap;

use actors::domain::message::{Message, Quote, RemovedBy};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth::tokens::now_seconds;
use crate::http::caller::Caller;
use crate::http::rest::Rest;
use crate::http::users::User;
use crate::store::postgres::messages::{ReadMessage, Readers};
use crate::store::postgres::people::Profile;

/// A message.
#[derive(Serialize, ToSchema)]
#[schema(as = Message)]
pub struct MessageBody {
    /// The message's id.
    pub id: Uuid,
    /// The room it stands in.
    pub room: Uuid,
    /// Who wrote it.
    pub sender: User,
    /// `text`, `image`, `file` or `system`.
    pub message_type: &'static str,
    /// Its text.
    pub content: String,
    /// Where its file is, for the caller alone and to the end of the next day.
    pub attachment: Option<String>,
    /// The file's name; empty without a file.
    pub attachment_name: String,
    /// The file's size in bytes.
    pub attachment_size: Option<i64>,
    /// The message that it answers.
    pub reply_to: Option<QuoteBody>,
    /// The id of that one.
    pub reply_to_id: Option<Uuid>,
    /// When it was sent.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub modified_at: DateTime<Utc>,
    /// Whether its text was changed.
    pub is_edited: bool,
    /// When that was last.
    pub edited_at: Option<DateTime<Utc>>,
    /// Whether it was deleted.
    pub is_deleted: bool,
    /// When.
    pub deleted_at: Option<DateTime<Utc>>,
    /// In what right it was deleted: `author`, `moderator` or `retention`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed_by: Option<&'static str>,
    /// Whether the caller has read it.
    pub is_read: bool,
    /// How many others have.
    pub read_count: i64,
    /// When each of them first did, by id; empty in rooms of more than 50 people.
    pub read_by: BTreeMap<String, DateTime<Utc>>,
    /// The position of its sending in the room's log.
    pub seq: i64,
    /// The position of its last change.
    pub rev: i64,
    /// What its sender's client called it.
    pub client_id: Option<Uuid>,
}

/// The message that another one answers.
#[derive(Serialize, ToSchema)]
#[schema(as = Quote)]
pub struct QuoteBody {
    /// That message's id.
    pub id: Uuid,
    /// Who wrote it.
    pub sender: QuotedSender,
    /// Its first 100 characters.
    pub content: String,
    /// When it was sent.
    pub created_at: DateTime<Utc>,
}

/// Who wrote the message that another one answers.
#[derive(Serialize, ToSchema)]
pub struct QuotedSender {
    /// The person's id.
    pub id: i64,
    /// The sign-in name.
    pub username: String,
}

impl From<Quote> for QuoteBody {
    fn from(quote: Quote) -> Self {
        Self {
            id: quote.id.0,
            sender: QuotedSender { id: quote.sender.0, username: quote.username },
            content: quote.content,
            created_at: quote.created_at,
        }
    }
}

/// What a message takes beside its texts and its readers: names, ids, times.
const FRAME_BYTES: usize = 1_500;
/// What one of its readers takes.
const READER_BYTES: usize = 50;

/// How many of these, from the first, fit into an answer of so many bytes; one always does.
#[must_use]
pub fn fitting(messages: &[ReadMessage], bytes_max: usize) -> usize {
    let mut left = bytes_max;
    let fits = |read: &&ReadMessage| {
        let quote = read.message.reply_to.as_ref().map_or(0, |quote| quote.content.len());
        let readers = read.readers.first.len() * READER_BYTES;
        let bytes = json_bytes(&read.message.content) + quote + readers + FRAME_BYTES;
        left.checked_sub(bytes).map(|less| left = less).is_some()
    };
    messages.iter().take_while(fits).count().max(1)
}

/// The bytes of a text in JSON.
fn json_bytes(text: &str) -> usize {
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
        0..0x20 => 6,
        _ => 1,
    };
    text.bytes().map(escaped).sum()
}

/// Shows messages to one caller, with addresses of files that are made for that one.
pub struct Showing<'a> {
    rest: &'a Rest,
    caller: &'a Caller,
    base: String,
    now: i64,
}

impl<'a> Showing<'a> {
    /// Shows messages in an answer to `request`.
    #[must_use]
    pub fn new(request: &actix_web::HttpRequest, rest: &'a Rest, caller: &'a Caller) -> Self {
        let base = rest.base_url(request);
        let base = base.as_ref().map_or("", |base| base.as_str().trim_end_matches('/')).to_owned();
        Self { rest, caller, base, now: now_seconds() }
    }

    /// Shows a message that was read.
    #[must_use]
    pub fn message(&self, read: ReadMessage) -> MessageBody {
        let profile = Profile { author: read.message.sender.clone(), email: read.sender_email };
        self.body(read.message, User::seen_by(self.caller, &profile), read.readers)
    }

    /// Shows a message that the caller has just sent: nobody else has read it.
    #[must_use]
    pub fn sent(&self, message: Message) -> MessageBody {
        let email = self.caller.person().map(|person| person.profile.email.clone()).unwrap_or_default();
        let sender = User { email, ..User::without_email(&message.sender) };
        self.body(message, sender, Readers { is_read: true, ..Readers::default() })
    }

    fn body(&self, message: Message, sender: User, readers: Readers) -> MessageBody {
        let file = message.attachment.as_ref();
        // A service token without a person is nobody to sign for.
        let attachment = file.zip(self.caller.person().ok()).map(|(file, person)| {
            let (viewer, since) = (person.profile.author.id.0, person.tokens_valid_from);
            format!("{}{}", self.base, self.rest.file_urls.sign(file.file.0, viewer, since, self.now))
        });
        MessageBody {
            id: message.id.0,
            room: message.room.0,
            sender,
            message_type: message.message_type.as_str(),
            attachment,
            attachment_name: file.map(|file| file.name.clone()).unwrap_or_default(),
            attachment_size: file.map(|file| file.size),
            reply_to_id: message.reply_to.as_ref().map(|quote| quote.id.0),
            reply_to: message.reply_to.map(QuoteBody::from),
            content: message.content,
            created_at: message.created_at,
            modified_at: message.modified_at,
            is_edited: message.edited_at.is_some(),
            edited_at: message.edited_at,
            is_deleted: message.deleted_at.is_some(),
            deleted_at: message.deleted_at,
            removed_by: message.removed_by.map(RemovedBy::as_str),
            is_read: readers.is_read,
            read_count: readers.count,
            read_by: readers.first.into_iter().map(|(user, at)| (user.to_string(), at)).collect(),
            seq: message.seq.0,
            rev: message.rev.0,
            client_id: message.client_id.map(|id| id.0),
        }
    }
}
