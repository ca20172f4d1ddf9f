//! A message as REST shows it to one caller: what its frame says, and what only this caller may know.

use std::collections::BTreeMap;

use actix_web::HttpRequest;
use actors::domain::ids::{FileId, UserId};
use actors::domain::mentions::Mentions;
use actors::domain::message::{Message, MessageView, Quote, QuoteView, RemovedBy};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::acks::ApiUrgentMark;
use super::attachment_view::ApiAttachment;
use super::card_view::ApiCard;
use super::origin::ApiForwarded;
use super::reactions::ApiReaction;
use super::thread_view::ApiThread;
use crate::auth::tokens::now_seconds;
use crate::http::caller::Caller;
use crate::http::state::ApiState;
use crate::http::users::ApiUser;
use crate::store::postgres::queries::{MessageDetails, ReadReceipts};
use crate::store::postgres::users::UserProfile;

/// A message.
#[derive(Serialize, ToSchema)]
#[schema(as = Message)]
pub struct ApiMessage {
    /// The message's id.
    pub id: Uuid,
    /// The room it stands in.
    pub room: Uuid,
    /// Who wrote it.
    pub sender: ApiUser,
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
    /// All its files, in their order; the three fields before are of the first.
    pub attachments: Vec<ApiAttachment>,
    /// The message that it answers.
    pub reply_to: Option<ApiQuote>,
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
    /// The reactions to it, in the order in which each emoji first appeared.
    pub reactions: Vec<ApiReaction>,
    /// Its card.
    pub card: Option<ApiCard>,
    /// The thread that it belongs to; null where nobody has replied.
    pub thread: Option<ApiThread>,
    /// False where it stands in its thread alone, else left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_timeline: Option<bool>,
    /// Whom it mentions.
    pub mentions: ApiMentions,
    /// Where it was written first, if it was forwarded.
    pub forwarded: Option<ApiForwarded>,
    /// When it was pinned, if it is.
    pub pinned_at: Option<DateTime<Utc>>,
    /// Who pinned it; none where the host application did.
    pub pinned_by: Option<i64>,
    /// That it is urgent, and who has acknowledged it.
    pub urgent: Option<ApiUrgentMark>,
}

/// Whom a message mentions.
#[derive(Serialize, ToSchema)]
#[schema(as = Mentions)]
pub struct ApiMentions {
    /// People in the room, by their ids, in the order in which its sender's client named them.
    pub users: Vec<i64>,
    /// Whether it mentions everyone in the room.
    pub room: bool,
}

impl From<&Mentions> for ApiMentions {
    fn from(mentions: &Mentions) -> Self {
        Self { users: mentions.users.iter().map(|user| user.0).collect(), room: mentions.room }
    }
}

/// The message that another one answers.
#[derive(Serialize, ToSchema)]
#[schema(as = Quote)]
pub struct ApiQuote {
    /// That message's id. All else is left out for a caller who may not see that message.
    pub id: Uuid,
    /// Who wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub sender: Option<ApiQuotedSender>,
    /// Its first 100 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub content: Option<String>,
    /// When it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub created_at: Option<DateTime<Utc>>,
}

/// Who wrote the message that another one answers.
#[derive(Serialize, ToSchema)]
#[schema(as = QuotedSender)]
pub struct ApiQuotedSender {
    /// The person's id.
    pub id: i64,
    /// The sign-in name.
    pub username: String,
}

impl From<QuoteView<'_>> for ApiQuote {
    fn from(quote: QuoteView<'_>) -> Self {
        Self {
            id: quote.id.0,
            sender: quote
                .sender
                .map(|sender| ApiQuotedSender { id: sender.id.0, username: sender.username.to_owned() }),
            content: quote.content.map(str::to_owned),
            created_at: quote.created_at,
        }
    }
}

impl ApiMessage {
    /// Adds to what the message's frame says what it says to one caller: `sender` as the caller sees that
    /// user, the URLs of the files, and who has read it.
    fn new(
        details: MessageDetails,
        sender: ApiUser,
        file_urls: impl Fn(FileId) -> Option<String>,
        viewer: Option<UserId>,
    ) -> Self {
        let reactions = ApiReaction::all(&details, viewer);
        let card = details.message.extras.card.as_deref();
        let card = card.map(|card| ApiCard::new(card, viewer, &details.own_votes));
        let forwarded = ApiForwarded::of(&details);
        let MessageDetails { message, receipts, thread_unread, .. } = details;
        let frame = MessageView::from(&message);
        Self {
            id: frame.id.0,
            room: frame.room_id.0,
            sender,
            message_type: frame.message_type,
            content: frame.content.to_owned(),
            attachment: message.attachment.as_ref().and_then(|first| file_urls(first.file)),
            attachment_name: frame.attachment_name.to_owned(),
            attachment_size: frame.attachment_size,
            attachments: frame
                .attachments
                .iter()
                .map(|file| ApiAttachment::new(file, file_urls(file.id)))
                .collect(),
            reply_to: frame.reply_to.map(ApiQuote::from),
            reply_to_id: frame.reply_to_id.map(|id| id.0),
            created_at: frame.created_at,
            modified_at: message.modified_at,
            is_edited: frame.is_edited,
            edited_at: frame.edited_at,
            is_deleted: frame.is_deleted,
            deleted_at: message.deleted_at,
            removed_by: frame.removed_by.map(RemovedBy::as_str),
            is_read: receipts.is_read,
            read_count: receipts.count,
            read_by: receipts.first_read_at.into_iter().map(|(user, at)| (user.to_string(), at)).collect(),
            seq: frame.seq.0,
            rev: frame.rev.0,
            client_id: frame.client_id.map(|id| id.0),
            reactions,
            card,
            thread: frame.thread.map(|thread| ApiThread::new(thread, thread_unread)),
            in_timeline: frame.in_timeline,
            mentions: frame.extras.mentions.into(),
            forwarded,
            pinned_at: frame.extras.pinned_at,
            pinned_by: frame.extras.pinned_by.map(|user| user.0),
            urgent: frame.extras.urgent.map(ApiUrgentMark::from),
        }
    }
}

/// Bytes of a message in JSON beside its texts and readers: names, ids and times.
pub(super) const BASE_BYTES: usize = 1_500;
/// Bytes of one user's id in JSON.
const ID_BYTES: usize = 20;
/// Bytes of one file in JSON, with its signed addresses.
const FILE_BYTES: usize = 1_500;
/// Bytes of where a message was written first: names, ids and a time.
const ORIGIN_BYTES: usize = 600;
/// Bytes of one reader in JSON.
const READER_BYTES: usize = 50;
/// Bytes of one reaction in JSON, with the users that it names.
const REACTION_BYTES: usize = 500;
/// Bytes of one acknowledgement in JSON.
const ACK_BYTES: usize = 80;

/// Returns how many of `messages`, from the first, fit into a response of `bytes_max`; at least 1.
#[must_use]
pub fn count_within(messages: &[MessageDetails], bytes_max: usize) -> usize {
    let mut left = bytes_max;
    let fits = |details: &&MessageDetails| {
        let quote = details.message.reply_to.as_ref().and_then(Quote::content).map_or(0, str::len);
        let readers = details.receipts.first_read_at.len() * READER_BYTES;
        let reactions = details.message.extras.reactions.len() * REACTION_BYTES;
        let card = details.message.extras.card.as_ref().map_or(0, |card| card.json_bytes());
        let origin = details.message.extras.forwarded.as_ref().map_or(0, |_| ORIGIN_BYTES);
        let mentions = details.message.extras.mentions.users.len() * ID_BYTES;
        let acks = details.message.extras.urgent.as_ref().map_or(0, |mark| mark.acks.len() * ACK_BYTES);
        let files = details.message.files().count() * FILE_BYTES;
        let content = json_bytes(&details.message.content);
        let extras = files + reactions + card + mentions + acks + origin;
        let bytes = content + quote + readers + extras + BASE_BYTES;
        left.checked_sub(bytes).map(|less| left = less).is_some()
    };
    messages.iter().take_while(fits).count().max(1)
}

/// Returns the length of a text as JSON.
fn json_bytes(text: &str) -> usize {
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
        0..0x20 => 6,
        _ => 1,
    };
    text.bytes().map(escaped).sum()
}

/// Presents messages to one caller: the URLs of their files are signed for that user alone.
pub struct MessagePresenter<'a> {
    state: &'a ApiState,
    caller: &'a Caller,
    base_url: String,
    now: i64,
}

impl<'a> MessagePresenter<'a> {
    /// Creates the presenter of one response.
    #[must_use]
    pub fn new(request: &HttpRequest, state: &'a ApiState, caller: &'a Caller) -> Self {
        let base_url = state.base_url(request);
        let base_url = base_url.as_ref().map_or("", |url| url.as_str().trim_end_matches('/')).to_owned();
        Self { state, caller, base_url, now: now_seconds() }
    }

    /// Presents a message that was read from the store.
    #[must_use]
    pub fn present(&self, details: MessageDetails) -> ApiMessage {
        let (summary, email) = (details.message.sender.clone(), details.sender_email.clone());
        let sender = ApiUser::seen_by(self.caller, &UserProfile { summary, email });
        let sender = sender.marked(details.message.extras.external);
        ApiMessage::new(details, sender, |file| self.file_url(file), self.caller.viewer())
    }

    /// Presents a message that the caller has just sent, and that nobody else has read.
    #[must_use]
    pub fn present_sent(&self, message: &Message) -> ApiMessage {
        let email = self.caller.user().map(|user| user.profile.email.clone()).unwrap_or_default();
        let sender = ApiUser { email, ..ApiUser::without_email(&message.sender) };
        let sender = sender.marked(message.extras.external);
        let details = MessageDetails {
            message: message.clone(),
            sender_email: String::new(),
            receipts: ReadReceipts { is_read: true, ..ReadReceipts::default() },
            own_reactions: Vec::new(),
            own_votes: Vec::new(),
            thread_unread: None,
            shows_origin: false,
        };
        ApiMessage::new(details, sender, |file| self.file_url(file), self.caller.viewer())
    }

    /// Signs the URL of a file; `None` for a service token without a user, which can't be signed for.
    fn file_url(&self, file: FileId) -> Option<String> {
        let user = self.caller.user().ok()?;
        let (viewer, valid_from) = (user.profile.summary.id.0, user.tokens_valid_from);
        let path = self.state.file_urls.sign(file.0, viewer, valid_from, self.now);
        Some(format!("{}{path}", self.base_url))
    }
}

#[cfg(test)]
mod tests {
    use actors::domain::attachment::Media;
    use actors::domain::ids::{ClientId, MessageId, RoomId, Seq};
    use actors::domain::message::{Attachment, MessageType};
    use actors::domain::message_extras::{Forwarded, MessageExtras, Pinned};
    use actors::domain::urgency::{Acknowledgement, UrgentMark};
    use actors::domain::user::UserSummary;

    use super::*;

    #[test]
    fn rest_repeats_what_a_frame_says_of_a_message() {
        let at = |second| DateTime::from_timestamp(second, 0).expect("a time");
        let sent = Message {
            id: MessageId::new(),
            room: RoomId::new(),
            seq: Seq(4),
            rev: Seq(9),
            sender: UserSummary::new(UserId(7), "ann", "Ann"),
            message_type: MessageType::File,
            content: "the \"plan\"".to_owned(),
            attachment: Some(Attachment {
                file: FileId(Uuid::new_v4()),
                name: "plan.pdf".into(),
                size: 3,
                media: Media::of_type("application/pdf"),
            }),
            reply_to: None,
            thread: None,
            created_at: at(1),
            modified_at: at(2),
            edited_at: Some(at(2)),
            deleted_at: None,
            removed_by: None,
            client_id: Some(ClientId(Uuid::new_v4())),
            extras: MessageExtras {
                pinned: Some(Pinned { at: at(3), by: Some(UserId(8)) }),
                urgent: Some(Box::new(UrgentMark {
                    ack_by: Some(at(9)),
                    acks: vec![Acknowledgement { user: UserId(8), at: at(4) }],
                    ack_count: 1,
                })),
                forwarded: Some(Forwarded {
                    sender: UserSummary::new(UserId(8), "ben", "Ben"),
                    created_at: at(0),
                    room: RoomId::new(),
                    message: MessageId::new(),
                }),
                ..MessageExtras::default()
            },
        };
        let deleted = Message {
            deleted_at: Some(at(3)),
            removed_by: Some(RemovedBy::Moderator),
            reply_to: Some(sent.quote()),
            ..sent.clone()
        };
        let mut hidden = deleted.clone();
        hidden.hide_quote_before(Seq(5));
        for message in [sent, deleted, hidden] {
            let sender = ApiUser::without_email(&message.sender);
            let frame = serde_json::to_value(MessageView::from(&message)).expect("plain data");
            let details = MessageDetails {
                message,
                sender_email: String::new(),
                receipts: ReadReceipts::default(),
                own_reactions: Vec::new(),
                own_votes: Vec::new(),
                thread_unread: None,
                shows_origin: false,
            };
            let rest = ApiMessage::new(details, sender, |_| None, None);
            let rest = serde_json::to_value(rest).expect("plain data");
            for (name, value) in frame.as_object().expect("an object") {
                // REST calls the room `room`, shows the sender's address to some, and signs the file's URL.
                if !["room_id", "sender", "attachment", "attachments"].contains(&name.as_str()) {
                    assert_eq!(rest.get(name), Some(value), "{name}");
                }
            }
        }
    }
}
