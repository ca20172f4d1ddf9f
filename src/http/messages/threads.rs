//! Lists of threads: one thread, and the caller's threads.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use actors::domain::ids::{MessageId, UserId};

use super::view::{ApiMessage, MessagePresenter};
use super::{NOBODY, page_response, slice_response};
use crate::http::caller::Caller;
use crate::http::error::ApiError;
use crate::http::page::{MESSAGES_PER_PAGE, Page, Pagination};
use crate::http::params::{ListMessagesParams, ListThreadsParams};
use crate::http::query::QueryString;
use crate::http::state::ApiState;

/// Lists the root and the replies of a thread, oldest first.
pub(super) async fn show(
    request: &HttpRequest,
    query: &QueryString,
    presenter: &MessagePresenter<'_>,
    state: &ApiState,
    (viewer, thread): (UserId, MessageId),
    params: &ListMessagesParams,
) -> Result<HttpResponse, ApiError> {
    let (filter, anchor) = (params.filter(), params.anchor());
    if params.is_slice {
        let slice = state.store.thread_slice(viewer, thread, &filter, anchor, params.limit).await?;
        return Ok(slice_response(state, presenter, slice, true));
    }
    let pagination = Pagination::read(query, MESSAGES_PER_PAGE)?;
    let (limit, offset) = (pagination.limit(), pagination.offset());
    let page = state.store.thread_page(viewer, thread, &filter, limit, offset).await?;
    page_response(request, query, presenter, pagination, page)
}

/// Lists the threads that the caller takes part in by their roots, latest reply first.
#[utoipa::path(get, path = "/api/chat/threads/", tag = "messages", params(ListThreadsParams, Pagination),
    responses((status = 200, body = Page<ApiMessage>)))]
pub async fn list(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    query: QueryString,
) -> Result<HttpResponse, ApiError> {
    let ListThreadsParams { room } = query.read()?;
    let pagination = Pagination::read(&query, MESSAGES_PER_PAGE)?;
    let viewer = caller.viewer().unwrap_or(NOBODY);
    let page = state.store.threads_of(viewer, room, pagination.limit(), pagination.offset()).await?;
    page_response(&request, &query, &MessagePresenter::new(&request, &state, &caller), pagination, page)
}
