//! Searching for messages.

use std::ops::Range;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

use super::view::MessagePresenter;
use super::{ApiMessage, NOBODY, ok_with_head};
use crate::http::caller::Caller;
use crate::http::error::ApiError;
use crate::http::page::{MESSAGES_PER_PAGE, Page, Pagination};
use crate::http::params::SearchMessagesParams;
use crate::http::query::QueryString;
use crate::http::state::ApiState;

/// A part of a message's content that matches a search.
#[derive(Serialize, ToSchema)]
#[schema(as = Highlight)]
pub struct ApiHighlight {
    /// Its first code point in `content`, from 0.
    pub start: u32,
    /// The code point after its last one.
    pub end: u32,
}

/// A message that a search found.
#[derive(Serialize, ToSchema)]
#[schema(as = SearchHit)]
pub struct ApiSearchHit {
    /// The message.
    #[serde(flatten)]
    pub message: ApiMessage,
    /// What matches in its content, in order; empty where only the file's name or the filters match.
    pub highlights: Vec<ApiHighlight>,
}

/// A page of the messages that a search found.
#[derive(Serialize, ToSchema)]
#[schema(as = SearchPage)]
pub struct ApiSearchPage {
    /// The page.
    #[serde(flatten)]
    pub page: Page<ApiSearchHit>,
    /// Whether older messages may match that were not looked at: because more than 10,000 match, or because the
    /// search index is behind.
    pub is_incomplete: bool,
}

/// Searches for messages in the caller's rooms.
#[utoipa::path(get, path = "/api/chat/messages/search/", tag = "messages",
    params(SearchMessagesParams, Pagination),
    responses((status = 200, body = ApiSearchPage)))]
pub async fn search(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    query: QueryString,
) -> Result<HttpResponse, ApiError> {
    let params: SearchMessagesParams = query.read()?;
    let search = params.request(&state.settings.search_languages)?;
    let pagination = Pagination::read(&query, MESSAGES_PER_PAGE)?;
    let viewer = caller.viewer().unwrap_or(NOBODY);
    let (limit, offset) = (pagination.limit(), pagination.offset());
    let found = state.store.search_messages(viewer, &search, limit, offset).await?;
    let presenter = MessagePresenter::new(&request, &state, &caller);
    let hit = |(details, highlights): (_, Vec<Range<u32>>)| ApiSearchHit {
        message: presenter.present(details),
        highlights: highlights.into_iter().map(|Range { start, end }| ApiHighlight { start, end }).collect(),
    };
    let results = found.page.messages.into_iter().zip(found.highlights).map(hit).collect();
    let page = pagination.page(&request, &query, found.page.count, results)?;
    Ok(ok_with_head(found.page.head).json(ApiSearchPage { page, is_incomplete: found.is_incomplete }))
}
