//! Sending a message, as JSON or as a form with a file.
//!
//! `read` turns either body into one [`SendMessageForm`]; `post` stores its file, has the engine post the
//! message, and discards the file where that fails.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use actors::domain::attachment::ATTACHMENTS_MAX;
use actors::domain::card::Card;
use actors::domain::command::{
    Command, CommandReply, DraftExtras, MessageDraft, MissingReplyTarget, Refusal, RoomChange,
};
use actors::domain::ids::{ClientId, MessageId, RoomId, UploadId, UserId};
use actors::domain::mentions::Mentions;
use actors::domain::message::MessageType;
use actors::domain::text::{CONTENT_CHARS_MAX, NAME_CHARS_MAX};
use actors::domain::thread::ThreadPlace;
use actors::domain::urgency::UrgentDraft;
use actors::error::EngineError;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::acks::SendUrgent;
use super::attachment::{StoredAttachment, check_uploader, upload_error};
use super::card_view::SendCard;
use super::multipart::{FilePart, FormParts};
use super::view::{ApiMessage, MessagePresenter};
use crate::http::body::RequestBody;
use crate::http::caller::Caller;
use crate::http::error::{ApiError, map_refusal};
use crate::http::fields::{Fields, FromFields};
use crate::http::state::ApiState;
use crate::http::uploads::finishing::finish;

/// The error of a message that would stand nowhere.
const ONLY_IN_THREADS: &str = "Only with thread_root.";

/// A message to be sent.
#[derive(ToSchema)]
#[schema(as = SendMessage)]
pub struct SendMessageRequest {
    /// The room.
    #[schema(value_type = Uuid)]
    room: RoomId,
    /// The text; may be left out beside files or a card.
    #[schema(value_type = Option<String>, max_length = 4000, nullable = false)]
    content: String,
    /// Ignored but for a value that can't be: the type follows from the file.
    #[schema(value_type = Option<String>, pattern = "^(text|image|file)$", nullable = false)]
    #[expect(dead_code, reason = "validated, and then the type follows from the file")]
    message_type: Option<MessageType>,
    /// The message that it answers, in the same room.
    #[schema(value_type = Option<Uuid>)]
    reply_to: Option<MessageId>,
    /// What the client calls this send, so that a retry makes nothing new.
    #[schema(value_type = Option<Uuid>)]
    client_id: Option<ClientId>,
    /// Its card.
    #[schema(value_type = Option<SendCard>)]
    card: Option<Card>,
    /// The message in whose thread it stands; a reply in a thread stands for the thread's root.
    #[schema(value_type = Option<Uuid>)]
    thread_root: Option<MessageId>,
    /// With `thread_root`: whether it stands in the room's timeline too; true unless it is given.
    #[schema(value_type = Option<bool>)]
    in_timeline: bool,
    /// Whom it mentions, by ids of people in the room; its text names them too.
    #[schema(max_items = 100)]
    mentions: Option<Vec<i64>>,
    /// Whether it mentions everyone in the room; with more than 20 people in it, for its admins only.
    mention_room: Option<bool>,
    /// That it is urgent: everyone in the room is told at once, and again until they acknowledge it.
    #[schema(value_type = Option<SendUrgent>)]
    urgent: Option<UrgentDraft>,
    /// The uploads that become its files, in their order, by their ids.
    #[schema(value_type = Option<Vec<Uuid>>, max_items = 10)]
    attachments: Vec<UploadId>,
    /// Of use in a form only, and validated in JSON too.
    #[schema(ignore)]
    attachment_name: Option<String>,
}

/// A message to be sent with a file.
#[derive(ToSchema)]
pub struct SendMessageForm {
    /// The room.
    #[schema(value_type = Uuid)]
    room: RoomId,
    /// The text.
    #[schema(max_length = 4000, nullable = false)]
    content: Option<String>,
    /// The file: jpg, jpeg, png, gif, webp, heic, heif, pdf, doc, docx, rtf, xls, xlsx, txt, csv, m4a, mp3,
    /// ogg, mp4 or mov.
    #[schema(value_type = Option<String>, format = Binary, nullable = false)]
    attachment: Option<FilePart>,
    /// The file's name, in place of the one that it is sent with; it gets the extension of what is inside.
    #[schema(max_length = 255, nullable = false)]
    attachment_name: Option<String>,
    /// The message that it answers, in the same room.
    #[schema(value_type = Option<Uuid>, nullable = false)]
    reply_to: Option<MessageId>,
    /// What the client calls this send.
    #[schema(value_type = Option<Uuid>, nullable = false)]
    client_id: Option<ClientId>,
    /// A form has no card.
    #[schema(ignore)]
    card: Option<Card>,
    /// A form brings its file itself.
    #[schema(ignore)]
    attachments: Vec<UploadId>,
    /// The message in whose thread it stands; a reply in a thread stands for the thread's root.
    #[schema(value_type = Option<Uuid>, nullable = false)]
    thread_root: Option<MessageId>,
    /// With `thread_root`: whether it stands in the room's timeline too; true unless it is given.
    #[schema(value_type = Option<bool>, nullable = false)]
    in_timeline: bool,
    /// Whom it mentions, by ids of people in the room; the part comes once for each, or holds a JSON list.
    #[schema(max_items = 100, nullable = false)]
    mentions: Option<Vec<i64>>,
    /// Whether it mentions everyone in the room.
    #[schema(nullable = false)]
    mention_room: Option<bool>,
    /// That it is urgent, as JSON.
    #[schema(value_type = Option<SendUrgent>, nullable = false)]
    urgent: Option<UrgentDraft>,
}

impl FromFields for SendMessageRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let room = fields.uuid("room");
        let room = fields.require("room", room);
        let sendable = |name: &str| MessageType::parse(name).filter(|kind| *kind != MessageType::System);
        let message_type =
            if fields.is_null("message_type") { None } else { fields.choice("message_type", sendable) };
        let content = fields.text("content", CONTENT_CHARS_MAX).unwrap_or_default();
        let reply_to = fields.uuid("reply_to").map(MessageId);
        let client_id = fields.uuid("client_id").map(ClientId);
        let card = fields.parsed("card", Card::read);
        let thread_root = fields.uuid("thread_root").map(MessageId);
        let in_timeline = fields.optional_flag("in_timeline").unwrap_or(true);
        let has_root = fields.has("thread_root") && !fields.is_null("thread_root");
        if !in_timeline && !has_root {
            fields.add_error("in_timeline", ONLY_IN_THREADS);
        }
        let attachment_name =
            fields.optional_text("attachment_name", NAME_CHARS_MAX).filter(|name| !name.is_empty());
        let mentions = fields.ids("mentions", Mentions::USERS_MAX);
        let mention_room = fields.optional_flag("mention_room");
        let urgent = fields.parsed("urgent", UrgentDraft::read);
        let attachments = fields.uuids("attachments", ATTACHMENTS_MAX).unwrap_or_default();
        let room = RoomId(room?);
        Some(Self {
            room,
            content,
            message_type,
            reply_to,
            client_id,
            card,
            thread_root,
            in_timeline,
            mentions,
            mention_room,
            urgent,
            attachments: attachments.into_iter().map(UploadId).collect(),
            attachment_name,
        })
    }
}

impl SendMessageForm {
    fn new(request: SendMessageRequest, attachment: Option<FilePart>) -> Self {
        Self {
            room: request.room,
            content: (!request.content.is_empty()).then_some(request.content),
            attachment,
            attachment_name: request.attachment_name,
            reply_to: request.reply_to,
            client_id: request.client_id,
            card: request.card,
            attachments: request.attachments,
            thread_root: request.thread_root,
            in_timeline: request.in_timeline,
            mentions: request.mentions,
            mention_room: request.mention_room,
            urgent: request.urgent,
        }
    }
}

/// The answer to a sender who repeats a send and has left the room since.
#[derive(Serialize)]
struct AlreadyPostedBody {
    id: Uuid,
    seq: i64,
    created_at: DateTime<Utc>,
}

/// Sends a message, with a file or without. With a service token it is one of the application's own account, without
/// a file, in the room of a task or property.
#[utoipa::path(post, path = "/api/chat/messages/", tag = "messages",
    request_body(content((SendMessageRequest = "application/json"), (SendMessageForm = "multipart/form-data"))),
    responses((status = 201, body = ApiMessage),
        (status = 200, body = ApiMessage, description = "The same `client_id` was sent before; \
            who is no longer in the room is told its `id`, `seq` and `created_at` alone")))]
pub async fn create(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    body: RequestBody,
) -> Result<HttpResponse, ApiError> {
    let form = read(&state, &caller, body).await?;
    let presenter = MessagePresenter::new(&request, &state, &caller);
    match post(&state, &caller, form).await? {
        CommandReply::Posted { message, duplicate } => {
            // As the log has it, where a quote is hidden from some who are in the room.
            let is_as_in_frames = message.reply_to.as_ref().is_some_and(|quote| quote.shown.is_none());
            let stored = match caller.viewer().filter(|_| !caller.is_service()) {
                _ if !duplicate && !is_as_in_frames => None,
                Some(sender) => state.store.message(sender, message.id).await?,
                None => state.store.message_for_host(message.id).await?,
            };
            // A message that was deleted meanwhile is shown as the log has it.
            let body =
                stored.map_or_else(|| presenter.present_sent(&message), |details| presenter.present(details));
            let mut response = if duplicate { HttpResponse::Ok() } else { HttpResponse::Created() };
            Ok(response.json(body))
        }
        CommandReply::AlreadyPosted { message, seq, created_at } => {
            Ok(HttpResponse::Ok().json(AlreadyPostedBody { id: message.0, seq: seq.0, created_at }))
        }
        _ => Err(EngineError::OutcomeUnknown.into()),
    }
}

/// Reads a body of either kind.
///
/// # Errors
/// 400, 408, 413, 415, 429, 503; nothing is kept then.
async fn read(state: &ApiState, caller: &Caller, body: RequestBody) -> Result<SendMessageForm, ApiError> {
    if !body.is_multipart() {
        return Ok(SendMessageForm::new(body.object().await?, None));
    }
    let parts = FormParts::read(state, caller, body).await?;
    Ok(SendMessageForm::new(Fields::read(parts.texts)?, parts.file))
}

/// Posts a message with its file.
///
/// The file is stored before the message, so that the message never names a missing file. It is discarded
/// here, and only here, once it is certain that no new message carries it.
async fn post(state: &ApiState, caller: &Caller, form: SendMessageForm) -> Result<CommandReply, ApiError> {
    let by = caller.principal()?;
    let stored = match form.attachment {
        Some(part) => Some(store(state, caller, form.room, form.attachment_name.as_deref(), part).await?),
        None => None,
    };
    let content = form.content.or_else(|| form.card.as_ref().map(Card::as_text)).unwrap_or_default();
    let mentioned = form.mentions.unwrap_or_default().into_iter().map(UserId).collect();
    let mentions = Mentions::new(mentioned, form.mention_room.unwrap_or(false));
    if !form.attachments.is_empty() {
        finish(state, caller.user_id()?, &form.attachments).await?;
    }
    if content.is_empty() && stored.is_none() && form.attachments.is_empty() {
        return Err(Refusal::Blank.into());
    }
    let in_timeline = form.in_timeline;
    let thread = form.thread_root.map(|root| ThreadPlace { root, in_timeline });
    let (card, uploads) = (form.card.map(Box::new), form.attachments);
    let extras = DraftExtras { card, thread, urgent: form.urgent, uploads, ..DraftExtras::default() };
    let digest =
        MessageDraft::digest_of(&content, form.reply_to, stored.as_ref().map(StoredAttachment::digest));
    let draft = MessageDraft {
        id: MessageId::new(),
        client_id: form.client_id,
        digest: extras.add_to(digest),
        content,
        message_type: stored.as_ref().map_or(MessageType::Text, StoredAttachment::message_type),
        attachment: stored.as_ref().map(StoredAttachment::attachment),
        reply_to: form.reply_to,
        missing_reply_target: MissingReplyTarget::Reject,
        extras,
        mentions: Mentions::default(),
    }
    .mentioning(mentions);
    let posted = state.engine.command(Command { room: form.room, by, change: RoomChange::Post(draft) }).await;
    // After an unknown outcome the message may exist with its file; if it doesn't, a sweep discards the file.
    let may_carry_file = matches!(
        posted,
        Ok(CommandReply::Posted { duplicate: false, .. }) | Err(EngineError::OutcomeUnknown)
    );
    if let Some(stored) = stored.filter(|_| !may_carry_file) {
        stored.discard(state).await;
    }
    map_refusal(posted, |refusal| match refusal {
        Refusal::RoomNotFound | Refusal::NotParticipant => {
            ApiError::field("room", Refusal::NotParticipant.to_string())
        }
        other => other.into(),
    })
}

/// Names and stores the file of a form.
async fn store(
    state: &ApiState,
    caller: &Caller,
    room: RoomId,
    name: Option<&str>,
    part: FilePart,
) -> Result<StoredAttachment, ApiError> {
    if !part.is_sender_checked {
        check_uploader(state, caller, room).await?;
    }
    let upload = part.upload.named(&part.name, name).map_err(|error| upload_error(state, error))?;
    StoredAttachment::store(state, caller.user_id()?, upload).await
}
