//! Pages of lists: `{count, next, previous, results}`.

use actix_web::HttpRequest;
use serde::Serialize;
use url::{Position, Url};
use utoipa::ToSchema;

use super::error::ApiError;
use super::query::Query;
use super::rest::Rest;

/// One page of a list.
#[derive(Serialize, ToSchema)]
pub struct Page<T> {
    /// How many there are in all.
    pub count: i64,
    /// Where the next page is: an absolute URL, or from the path on where the server's name isn't known.
    pub next: Option<String>,
    /// Where the page before is.
    pub previous: Option<String>,
    /// What is on this page.
    pub results: Vec<T>,
}

/// Which page is wanted, by `page` and `page_size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageWanted {
    /// From 1.
    page: i64,
    /// How many there are on one.
    size: i64,
}

/// Messages on a page when the client says nothing.
pub const MESSAGES_DEFAULT: usize = 50;
/// Others on a page when the client says nothing.
pub const OTHERS_DEFAULT: usize = 10;
/// The most on a page.
pub const SIZE_MAX: usize = 100;

impl PageWanted {
    /// Reads `page` and `page_size`.
    ///
    /// # Errors
    /// 404 for a page under 1.
    pub fn read(query: &Query, size_default: usize) -> Result<Self, ApiError> {
        let page = query.number("page").unwrap_or(1);
        if page < 1 {
            return Err(ApiError::invalid_page());
        }
        let size = query.count("page_size", size_default, SIZE_MAX);
        Ok(Self { page, size: i64::try_from(size).unwrap_or(i64::MAX) })
    }

    /// How many are wanted.
    #[must_use]
    pub fn limit(self) -> i64 {
        self.size
    }

    /// How many are on the pages before.
    #[must_use]
    pub fn offset(self) -> i64 {
        // Half the range is past every end, and a sum with the limit still fits.
        (self.page - 1).saturating_mul(self.size).min(i64::MAX / 2)
    }

    /// Puts a page together out of what was found.
    ///
    /// # Errors
    /// 404 for a page past the end.
    pub fn of<T>(
        self,
        request: &HttpRequest,
        query: &Query,
        count: i64,
        results: Vec<T>,
    ) -> Result<Page<T>, ApiError> {
        if self.page > 1 && self.offset() >= count {
            return Err(ApiError::invalid_page());
        }
        let number = |page: i64| (page > 1).then(|| ("page", page.to_string()));
        let link = |page: i64| link(request, query.without("page"), number(page));
        let has_next = self.offset().saturating_add(self.size) < count;
        Ok(Page {
            count,
            next: has_next.then(|| link(self.page + 1)),
            previous: (self.page > 1).then(|| link(self.page - 1)),
            results,
        })
    }

    /// Puts a page together that follows a cursor; `next` is that of the page after it. There is no way back.
    #[must_use]
    pub fn after_cursor<T>(
        self,
        request: &HttpRequest,
        query: &Query,
        count: i64,
        results: Vec<T>,
        next: Option<&str>,
    ) -> Page<T> {
        let others = || query.without("cursor").filter(|(name, _)| *name != "page");
        let next = next.map(|next| link(request, others(), Some(("cursor", next.to_owned()))));
        Page { count, next, previous: None, results }
    }
}

/// This list's address with these parameters.
fn link<'a>(
    request: &HttpRequest,
    others: impl Iterator<Item = (&'a str, &'a str)>,
    last: Option<(&str, String)>,
) -> String {
    let base = Rest::of(request).base_url(request);
    let is_absolute = base.is_some();
    let mut url = base.unwrap_or_else(nowhere);
    url.set_path(request.path());
    url.query_pairs_mut().extend_pairs(others).extend_pairs(last);
    let text = if is_absolute { url.as_str() } else { &url[Position::BeforePath..] };
    text.strip_suffix('?').unwrap_or(text).to_owned()
}

/// A URL for the path and the query of a link that has nothing before them.
fn nowhere() -> Url {
    Url::parse("http://nowhere").expect("it is a URL")
}
