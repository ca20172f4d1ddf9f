//! Messages: lists, pages by `seq`, sending, editing, deleting, reading, searching.

pub mod deleting;
pub mod draft;
mod form;
pub mod view;

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use actors::domain::command::{Change, Command, Draft, ReadTarget, Refusal, Reply, StrayReply};
use actors::domain::ids::{FileId, MessageId, RoomId, Seq, UserId};
use actors::domain::message::{Attachment, MessageType};
use actors::domain::text::CONTENT_CHARS_MAX;
use actors::error::EngineError;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use self::draft::{MessageWanted, Upload};
pub use self::draft::{SendMessage, SendMessageForm};
pub use self::view::MessageBody;
use self::view::Showing;
use super::body::Body;
use super::caller::Caller;
use super::error::{ApiError, blaming};
use super::fields::{Fields, FromFields, parse_uuid};
use super::page::{MESSAGES_DEFAULT, Page, PageWanted, SIZE_MAX};
use super::query::Query;
use super::rest::Rest;
use crate::store::postgres::messages::{MessageFilter, MessagePage, Place, ReadMessage};
use crate::store::postgres::search::{SearchError, is_cjk};

/// The header that carries the head of the room that a page shows.
pub const ROOM_SEQ: &str = "X-Room-Seq";
/// The fewest code points to search for, where none is a sign of Chinese, Japanese or Korean.
const SEARCH_CHARS_MIN: usize = 2;

/// Messages next to a position.
#[derive(Serialize, ToSchema)]
pub struct MessageRunBody {
    /// Going away from the position, unless `ordering` says otherwise.
    pub results: Vec<MessageBody>,
    /// Whether more follow in the same direction: there may be fewer than asked for, where they are long.
    pub has_more: bool,
}

/// A page of messages, or messages next to a position when `before`, `after` or `limit` is given.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "the two answers of one route, for the OpenAPI document")]
pub enum MessagesBody {
    /// With `count`, `next` and `previous`.
    Page(Page<MessageBody>),
    /// With `has_more`.
    Run(MessageRunBody),
}

/// What one who is no longer in the room is told of a message that was sent from there before.
#[derive(Serialize)]
struct SentBeforeBody {
    id: uuid::Uuid,
    seq: i64,
    created_at: DateTime<Utc>,
}

/// A message's new text.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the form of the body for the OpenAPI document; read field by field")]
pub struct EditMessage {
    /// The text; may be empty only beside a file.
    #[schema(min_length = 1, max_length = 4000)]
    content: String,
}

struct NewContent(Option<String>);

impl FromFields for NewContent {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        Some(Self(fields.text("content", CONTENT_CHARS_MAX)))
    }
}

fn read_filter(query: &mut Query) -> MessageFilter {
    MessageFilter {
        room: query.uuid("room").map(RoomId),
        message_type: query.choice("message_type", MessageType::parse),
        sender: query.id("sender").map(UserId),
        oldest_first: query.get("ordering") == Some("created_at"),
    }
}

/// Lists undeleted messages of the caller's rooms.
#[utoipa::path(get, path = "/api/chat/messages/", tag = "messages",
    params(("room" = Option<uuid::Uuid>, Query),
        ("message_type" = Option<super::openapi::MessageTypeParam>, Query),
        ("sender" = Option<i64>, Query, minimum = 1),
        ("search" = Option<String>, Query, max_length = 500),
        ("ordering" = Option<String>, Query, description = "`created_at` for the oldest first"),
        ("before" = Option<super::openapi::SeqParam>, Query, description = "With `room`: the newest before this `seq`"),
        ("after" = Option<super::openapi::SeqParam>, Query, description = "With `room`: the oldest after this `seq`"),
        ("limit" = Option<super::openapi::Number>, Query, description = "With `room`: how many, 100 at most"),
        super::openapi::PageParams),
    responses((status = 200, body = MessagesBody,
        headers(("X-Room-Seq" = Option<i64>, description = "The head of the room that the page shows")))))]
pub async fn list(
    request: HttpRequest,
    rest: Data<Rest>,
    caller: Caller,
    mut query: Query,
) -> Result<HttpResponse, ApiError> {
    if ["before", "after", "limit"].iter().any(|name| query.get(name).is_some()) {
        return list_run(&request, &rest, &caller, query).await;
    }
    let filter = read_filter(&mut query);
    let text = query.search("search");
    query.finish()?;
    let wanted = PageWanted::read(&query, MESSAGES_DEFAULT)?;
    // The host is in no room, and has no page of its own.
    let viewer = caller.viewer().unwrap_or(UserId(0));
    let page = match text {
        None => rest.store.message_page(viewer, &filter, wanted.limit(), wanted.offset()).await?,
        Some(text) => {
            let found = rest.store.search_messages(viewer, &text, &filter, wanted.limit(), wanted.offset());
            found.await.map_err(|error| match error {
                SearchError::TooBroad => ApiError::field("search", TOO_BROAD),
                SearchError::Store(error) => error.into(),
            })?
        }
    };
    answer_page(&request, &rest, &caller, &query, wanted, page)
}

fn answer_page(
    request: &HttpRequest,
    rest: &Rest,
    caller: &Caller,
    query: &Query,
    wanted: PageWanted,
    page: MessagePage,
) -> Result<HttpResponse, ApiError> {
    let showing = Showing::new(request, rest, caller);
    let results = page.messages.into_iter().map(|read| showing.message(read)).collect();
    let body = wanted.of(request, query, page.count, results)?;
    Ok(with_head(page.head).json(body))
}

fn with_head(head: Option<Seq>) -> actix_web::HttpResponseBuilder {
    let mut answer = HttpResponse::Ok();
    if let Some(head) = head {
        answer.insert_header((ROOM_SEQ, head.to_string()));
    }
    answer
}

async fn list_run(
    request: &HttpRequest,
    rest: &Rest,
    caller: &Caller,
    mut query: Query,
) -> Result<HttpResponse, ApiError> {
    query.require("room");
    let filter = read_filter(&mut query);
    if query.search("search").is_some() {
        query.fault("search", "Not together with before, after or limit.");
    }
    let (before, after) = (query.seq("before"), query.seq("after"));
    if before.is_some() && after.is_some() {
        query.fault("after", "Only one of before and after may be given.");
    }
    query.finish()?;
    let place = match (before, after) {
        (Some(seq), _) => Place::Before(Seq(seq)),
        (_, Some(seq)) => Place::After(Seq(seq)),
        _ => Place::Newest,
    };
    let limit = query.count("limit", MESSAGES_DEFAULT, SIZE_MAX);
    let viewer = caller.viewer().unwrap_or(UserId(0));
    let mut run = rest.store.message_run(viewer, &filter, place, limit).await?;
    let fitting = view::fitting(&run.messages, rest.settings.page_bytes_max);
    run.has_more |= fitting < run.messages.len();
    run.messages.truncate(fitting);
    let is_rising = matches!(place, Place::After(_));
    let wants_rising = match query.get("ordering") {
        Some("created_at") => true,
        Some("-created_at") => false,
        _ => is_rising,
    };
    if is_rising != wants_rising {
        run.messages.reverse();
    }
    let showing = Showing::new(request, rest, caller);
    let results = run.messages.into_iter().map(|read| showing.message(read)).collect();
    Ok(with_head(run.head).json(MessageRunBody { results, has_more: run.has_more }))
}

/// Sends a message, with a file or without.
#[utoipa::path(post, path = "/api/chat/messages/", tag = "messages",
    request_body(content((SendMessage = "application/json"), (SendMessageForm = "multipart/form-data"))),
    responses((status = 201, body = MessageBody),
        (status = 200, body = MessageBody, description = "The same `client_id` was sent before; \
            who is no longer in the room is told its `id`, `seq` and `created_at` alone")))]
pub async fn create(
    request: HttpRequest,
    rest: Data<Rest>,
    caller: Caller,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let sender = caller.user()?;
    let by = caller.actor()?;
    let (wanted, upload) = draft::read(&rest, sender, body).await?;
    let (room, draft) = match drafted(&wanted, upload.as_ref()) {
        Ok(draft) => (wanted.room, draft),
        Err(error) => {
            if let Some(upload) = upload {
                upload.give_up(&rest).await;
            }
            return Err(error);
        }
    };
    let sent = rest.engine.command(Command { room, by, change: Change::Post(draft) }).await;
    let is_carried = match &sent {
        Ok(reply) => matches!(reply, Reply::Posted { duplicate: false, .. }),
        // It may be stored with its file; if it isn't, the sweep finds the file in a day.
        Err(EngineError::OutcomeUnknown) => true,
        Err(_) => false,
    };
    if let Some(upload) = upload.filter(|_| !is_carried) {
        upload.give_up(&rest).await;
    }
    let reply = blaming(sent, |refusal| match refusal {
        Refusal::RoomNotFound | Refusal::NotParticipant => {
            ApiError::field("room", Refusal::NotParticipant.to_string())
        }
        other => other.into(),
    })?;
    let (message, duplicate) = match reply {
        Reply::Posted { message, duplicate } => (message, duplicate),
        Reply::SentBefore { message, seq, created_at } => {
            return Ok(HttpResponse::Ok().json(SentBeforeBody { id: message.0, seq: seq.0, created_at }));
        }
        _ => return Err(EngineError::OutcomeUnknown.into()),
    };
    if !duplicate {
        return Ok(HttpResponse::Created().json(Showing::new(&request, &rest, &caller).sent(*message)));
    }
    let first = rest.store.message(sender, message.id).await?;
    let showing = Showing::new(&request, &rest, &caller);
    // One that was deleted meanwhile is shown as the log has it.
    let body = first.map_or_else(|| showing.sent(*message), |first| showing.message(first));
    Ok(HttpResponse::Ok().json(body))
}

fn drafted(wanted: &MessageWanted, upload: Option<&Upload>) -> Result<Draft, ApiError> {
    if wanted.content.is_empty() && upload.is_none() {
        return Err(Refusal::Blank.into());
    }
    let attachment = upload.map(|upload| Attachment {
        file: FileId(upload.stored.id),
        name: upload.stored.name.clone(),
        size: i64::try_from(upload.stored.size).unwrap_or(i64::MAX),
    });
    let digest =
        Draft::digest_of(&wanted.content, wanted.reply_to, upload.map(|upload| &upload.stored.digest));
    Ok(Draft {
        id: MessageId::new(),
        client_id: wanted.client_id,
        content: wanted.content.clone(),
        message_type: upload.map_or(MessageType::Text, Upload::message_type),
        attachment,
        reply_to: wanted.reply_to,
        stray_reply: StrayReply::Refuse,
        digest,
    })
}

/// Shows one message.
#[utoipa::path(get, path = "/api/chat/messages/{id}/", tag = "messages",
    params(("id" = uuid::Uuid, Path)), responses((status = 200, body = MessageBody)))]
pub async fn get(
    request: HttpRequest,
    rest: Data<Rest>,
    caller: Caller,
    id: Path<String>,
) -> Result<Json<MessageBody>, ApiError> {
    let read = found(&rest, &caller, &id).await?;
    Ok(Json(Showing::new(&request, &rest, &caller).message(read)))
}

/// Changes the text of one's own message.
#[utoipa::path(put, path = "/api/chat/messages/{id}/", tag = "messages",
    params(("id" = uuid::Uuid, Path)), request_body = EditMessage,
    responses((status = 200, body = MessageBody)))]
pub async fn put(
    request: HttpRequest,
    rest: Data<Rest>,
    caller: Caller,
    id: Path<String>,
    body: Body,
) -> Result<Json<MessageBody>, ApiError> {
    edit(&request, &rest, &caller, &id, body, true).await
}

/// Changes the text of one's own message, where one is given.
#[utoipa::path(patch, path = "/api/chat/messages/{id}/", tag = "messages",
    params(("id" = uuid::Uuid, Path)), request_body = EditMessage,
    responses((status = 200, body = MessageBody)))]
pub async fn patch(
    request: HttpRequest,
    rest: Data<Rest>,
    caller: Caller,
    id: Path<String>,
    body: Body,
) -> Result<Json<MessageBody>, ApiError> {
    edit(&request, &rest, &caller, &id, body, false).await
}

async fn edit(
    request: &HttpRequest,
    rest: &Rest,
    caller: &Caller,
    id: &str,
    body: Body,
    is_whole: bool,
) -> Result<Json<MessageBody>, ApiError> {
    let read = found(rest, caller, id).await?;
    if caller.viewer() != Some(read.message.sender.id) {
        return Err(ApiError::forbidden());
    }
    let showing = Showing::new(request, rest, caller);
    let content = match body.object().await? {
        NewContent(Some(content)) => content,
        NewContent(None) if is_whole => return Err(ApiError::field("content", super::fields::REQUIRED)),
        NewContent(None) => return Ok(Json(showing.message(read))),
    };
    let change = Change::Edit { message: read.message.id, content };
    let reply = command(rest, caller, &read, change).await?;
    let Reply::Edited(message) = reply else { return Err(EngineError::OutcomeUnknown.into()) };
    Ok(Json(showing.message(ReadMessage { message: *message, ..read })))
}

/// Moves the caller's read mark up to this message.
#[utoipa::path(post, path = "/api/chat/messages/{id}/mark_read/", tag = "messages",
    params(("id" = uuid::Uuid, Path)), responses((status = 200, body = MessageBody)))]
pub async fn mark_read(
    request: HttpRequest,
    rest: Data<Rest>,
    caller: Caller,
    id: Path<String>,
) -> Result<Json<MessageBody>, ApiError> {
    let read = found(&rest, &caller, &id).await?;
    let target = ReadTarget::Message(read.message.id);
    command(&rest, &caller, &read, Change::Read(target)).await?;
    let read = found(&rest, &caller, &id).await?;
    Ok(Json(Showing::new(&request, &rest, &caller).message(read)))
}

/// Searches in the texts of the caller's rooms.
#[utoipa::path(get, path = "/api/chat/messages/search/", tag = "messages",
    params(("q" = String, Query, min_length = 2, max_length = 500,
        description = "One sign of Chinese, Japanese or Korean is enough"), ("room" = Option<uuid::Uuid>, Query),
        super::openapi::PageParams),
    responses((status = 200, body = Page<MessageBody>)))]
pub async fn search(
    request: HttpRequest,
    rest: Data<Rest>,
    caller: Caller,
    mut query: Query,
) -> Result<HttpResponse, ApiError> {
    let filter = read_filter(&mut query);
    query.finish()?;
    let text = query.search("q");
    query.finish().map_err(|_| ApiError::Said("Search query is not valid".to_owned()))?;
    let text = text
        .filter(|text| text.chars().count() >= SEARCH_CHARS_MIN || text.chars().any(is_cjk))
        .ok_or_else(|| ApiError::Said("Search query must be at least 2 characters".to_owned()))?;
    let wanted = PageWanted::read(&query, MESSAGES_DEFAULT)?;
    let viewer = caller.viewer().unwrap_or(UserId(0));
    let found = rest.store.search_messages(viewer, &text, &filter, wanted.limit(), wanted.offset());
    let page = found.await.map_err(|error| match error {
        SearchError::TooBroad => ApiError::Said(TOO_BROAD.to_owned()),
        SearchError::Store(error) => error.into(),
    })?;
    answer_page(&request, &rest, &caller, &query, wanted, page)
}

const TOO_BROAD: &str = "The search is too broad; add words or name a room";

async fn found(rest: &Rest, caller: &Caller, id: &str) -> Result<ReadMessage, ApiError> {
    let id = parse_uuid(id).map(MessageId).ok_or_else(ApiError::not_found)?;
    let viewer = caller.viewer().ok_or_else(ApiError::not_found)?;
    rest.store.message(viewer, id).await?.ok_or_else(ApiError::not_found)
}

async fn command(
    rest: &Rest,
    caller: &Caller,
    read: &ReadMessage,
    change: Change,
) -> Result<Reply, ApiError> {
    let by = caller.holder()?;
    let done = rest.engine.command(Command { room: read.message.room, by, change }).await;
    // One who was taken out since the message was read is one who isn't in the room.
    blaming(done, |refusal| match refusal {
        Refusal::NotParticipant => ApiError::not_found(),
        other => other.into(),
    })
}
