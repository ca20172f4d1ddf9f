//! Messages: lists, slices by `seq`, single messages, editing and reading.

pub mod acks;
pub(super) mod attachment;
pub mod attachment_view;
pub mod card_view;
pub mod cards;
pub mod deletion;
pub mod forwarding;
pub mod link_previews;
mod multipart;
mod origin;
pub mod pins;
pub mod reactions;
pub mod search;
pub mod send;
pub mod thread_view;
pub mod threads;
pub mod versions;
pub mod view;

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use actors::domain::command::{Command, CommandReply, ReadTarget, Refusal, RoomChange};
use actors::domain::ids::{MessageId, Seq, UserId};
use actors::domain::mentions::{Mentions, MentionsEdit};
use actors::domain::text::CONTENT_CHARS_MAX;
use actors::error::EngineError;
use serde::Serialize;
use utoipa::ToSchema;

pub use self::view::ApiMessage;
use self::view::MessagePresenter;
use super::body::RequestBody;
use super::caller::Caller;
use super::error::{ApiError, map_refusal};
use super::fields::{Fields, FromFields, REQUIRED, parse_uuid};
use super::page::{MESSAGES_PER_PAGE, Page, Pagination};
use super::params::ListMessagesParams;
use super::query::QueryString;
use super::state::ApiState;
use crate::store::postgres::queries::{MessageDetails, MessagePage, MessageSlice};

/// The header that carries the head of the room that a page shows.
pub const ROOM_SEQ: &str = "X-Room-Seq";
/// The viewer when the host application reads without a user: nobody, and so in no room.
const NOBODY: UserId = UserId(0);

/// Messages next to a position.
#[derive(Serialize, ToSchema)]
#[schema(as = MessageRunBody)]
pub struct ApiMessageSlice {
    /// Going away from the position, unless `ordering` says otherwise.
    pub results: Vec<ApiMessage>,
    /// Whether more follow in the same direction: there may be fewer than asked for, where they are long.
    pub has_more: bool,
}

/// A page of messages, or messages next to a position when `before`, `after` or `limit` is given.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = MessagesBody)]
pub enum ApiMessageList {
    /// With `count`, `next` and `previous`.
    Page(Page<ApiMessage>),
    /// With `has_more`.
    Run(ApiMessageSlice),
}

/// What changes of a message.
#[derive(ToSchema)]
#[schema(as = EditMessage)]
pub struct EditMessageRequest {
    /// The text; may be empty only beside a file.
    #[schema(value_type = String, min_length = 1, max_length = 4000)]
    content: Option<String>,
    /// Whom it mentions from now on, by ids; as it was without this. Who was mentioned before need no longer be in
    /// the room.
    #[schema(max_items = 100)]
    mentions: Option<Vec<i64>>,
    /// Whether it mentions everyone in the room from now on; as it was without this.
    mention_room: Option<bool>,
}

impl FromFields for EditMessageRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        Some(Self {
            content: fields.text("content", CONTENT_CHARS_MAX),
            mentions: fields.ids("mentions", Mentions::USERS_MAX),
            mention_room: fields.optional_flag("mention_room"),
        })
    }
}

/// Lists undeleted messages of the caller's rooms, without those that stand in a thread alone; or with `thread` that
/// thread, its root first.
#[utoipa::path(get, path = "/api/chat/messages/", tag = "messages",
    params(ListMessagesParams, Pagination),
    responses((status = 200, body = ApiMessageList,
        headers(("X-Room-Seq" = Option<i64>, description = "The head of the room that the page shows")))))]
pub async fn list(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    query: QueryString,
) -> Result<HttpResponse, ApiError> {
    let params: ListMessagesParams = query.read()?;
    let presenter = MessagePresenter::new(&request, &state, &caller);
    let viewer = caller.viewer().unwrap_or(NOBODY);
    if let Some(thread) = params.thread {
        return threads::show(&request, &query, &presenter, &state, (viewer, thread), &params).await;
    }
    if params.is_slice {
        return list_slice(&state, &presenter, viewer, &params).await;
    }
    let pagination = Pagination::read(&query, MESSAGES_PER_PAGE)?;
    let (filter, limit, offset) = (params.filter(), pagination.limit(), pagination.offset());
    let page = match params.search {
        None => state.store.message_page(viewer, &filter, limit, offset).await?,
        Some(ref text) => {
            let search = params.search(text, &state.settings.search_languages);
            state.store.search_messages(viewer, &search, limit, offset).await?.page
        }
    };
    page_response(&request, &query, &presenter, pagination, page)
}

/// Lists the messages next to a position of a room.
async fn list_slice(
    state: &ApiState,
    presenter: &MessagePresenter<'_>,
    viewer: UserId,
    params: &ListMessagesParams,
) -> Result<HttpResponse, ApiError> {
    let anchor = params.anchor();
    let slice = state.store.message_slice(viewer, &params.filter(), anchor, params.limit).await?;
    Ok(slice_response(state, presenter, slice, params.is_ascending()))
}

/// Presents a slice, as much of it as fits.
fn slice_response(
    state: &ApiState,
    presenter: &MessagePresenter<'_>,
    mut slice: MessageSlice,
    is_ascending: bool,
) -> HttpResponse {
    let fitting = view::count_within(&slice.messages, state.settings.page_bytes_max);
    slice.has_more |= fitting < slice.messages.len();
    slice.messages.truncate(fitting);
    let was_read_ascending = slice.messages.is_sorted_by_key(|details| details.message.seq);
    if was_read_ascending != is_ascending {
        slice.messages.reverse();
    }
    let results = slice.messages.into_iter().map(|details| presenter.present(details)).collect();
    let body = ApiMessageList::Run(ApiMessageSlice { results, has_more: slice.has_more });
    ok_with_head(slice.head).json(body)
}

fn page_response(
    request: &HttpRequest,
    query: &QueryString,
    presenter: &MessagePresenter<'_>,
    pagination: Pagination,
    page: MessagePage,
) -> Result<HttpResponse, ApiError> {
    let results = page.messages.into_iter().map(|details| presenter.present(details)).collect();
    let body = ApiMessageList::Page(pagination.page(request, query, page.count, results)?);
    Ok(ok_with_head(page.head).json(body))
}

fn ok_with_head(head: Option<Seq>) -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    if let Some(head) = head {
        response.insert_header((ROOM_SEQ, head.to_string()));
    }
    response
}

/// Shows one message.
#[utoipa::path(get, path = "/api/chat/messages/{id}/", tag = "messages",
    params(("id" = uuid::Uuid, Path)), responses((status = 200, body = ApiMessage)))]
pub async fn get(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<Json<ApiMessage>, ApiError> {
    let details = find_message(&state, &caller, &id).await?;
    Ok(Json(MessagePresenter::new(&request, &state, &caller).present(details)))
}

/// Changes the text of one's own message, and whom it mentions.
#[utoipa::path(put, path = "/api/chat/messages/{id}/", tag = "messages",
    params(("id" = uuid::Uuid, Path)), request_body = EditMessageRequest,
    responses((status = 200, body = ApiMessage)))]
pub async fn put(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
    body: RequestBody,
) -> Result<Json<ApiMessage>, ApiError> {
    edit(&request, &state, &caller, &id, body, true).await
}

/// Changes the text of one's own message, and whom it mentions, where these are given.
#[utoipa::path(patch, path = "/api/chat/messages/{id}/", tag = "messages",
    params(("id" = uuid::Uuid, Path)), request_body = EditMessageRequest,
    responses((status = 200, body = ApiMessage)))]
pub async fn patch(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
    body: RequestBody,
) -> Result<Json<ApiMessage>, ApiError> {
    edit(&request, &state, &caller, &id, body, false).await
}

async fn edit(
    request: &HttpRequest,
    state: &ApiState,
    caller: &Caller,
    id: &str,
    body: RequestBody,
    is_content_required: bool,
) -> Result<Json<ApiMessage>, ApiError> {
    let details = find_message(state, caller, id).await?;
    if caller.viewer() != Some(details.message.sender.id) {
        return Err(ApiError::forbidden());
    }
    let presenter = MessagePresenter::new(request, state, caller);
    let EditMessageRequest { content, mentions, mention_room } = body.object().await?;
    if content.is_none() && is_content_required {
        return Err(ApiError::field("content", REQUIRED));
    }
    let users = mentions.map(|users| users.into_iter().map(UserId).collect());
    let mentions = MentionsEdit { users, room: mention_room };
    if content.is_none() && mentions.is_empty() {
        return Ok(Json(presenter.present(details)));
    }
    let change = RoomChange::Edit { message: details.message.id, content, mentions };
    let reply = command(state, caller, &details, change).await?;
    let CommandReply::Edited(message) = reply else { return Err(EngineError::OutcomeUnknown.into()) };
    Ok(Json(presenter.present(MessageDetails { message: *message, ..details })))
}

/// Moves the caller's read mark up to this message.
#[utoipa::path(post, path = "/api/chat/messages/{id}/mark_read/", tag = "messages",
    params(("id" = uuid::Uuid, Path)), responses((status = 200, body = ApiMessage)))]
pub async fn mark_read(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<Json<ApiMessage>, ApiError> {
    let details = find_message(&state, &caller, &id).await?;
    let target = ReadTarget::Message(details.message.id);
    command(&state, &caller, &details, RoomChange::Read(target)).await?;
    let details = find_message(&state, &caller, &id).await?;
    Ok(Json(MessagePresenter::new(&request, &state, &caller).present(details)))
}

/// Finds a message of the caller's rooms by the id in a path.
///
/// # Errors
/// 404, 503.
pub(super) async fn find_message(
    state: &ApiState,
    caller: &Caller,
    id: &str,
) -> Result<MessageDetails, ApiError> {
    let id = parse_uuid(id).map(MessageId).ok_or_else(ApiError::not_found)?;
    let viewer = caller.viewer().ok_or_else(ApiError::not_found)?;
    state.store.message(viewer, id).await?.ok_or_else(ApiError::not_found)
}

async fn command(
    state: &ApiState,
    caller: &Caller,
    details: &MessageDetails,
    change: RoomChange,
) -> Result<CommandReply, ApiError> {
    let command = Command { room: details.message.room, by: caller.token_holder()?, change };
    // A caller who was removed since the message was read is answered like everyone outside the room.
    map_refusal(state.engine.command(command).await, |refusal| match refusal {
        Refusal::NotParticipant => ApiError::not_found(),
        other => other.into(),
    })
}
