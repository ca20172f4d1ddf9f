//! Pages of lists: `{count, next, previous, results}`.

use actix_web::HttpRequest;
use serde::Serialize;
use url::{Position, Url};
use utoipa::{IntoParams, ToSchema};

use super::error::ApiError;
use super::query::QueryString;
use super::schema::Number;
use super::state::ApiState;

/// Messages on a page when the client names no `page_size`.
pub const MESSAGES_PER_PAGE: usize = 50;
/// Items of other lists on a page when the client names no `page_size`.
pub const PER_PAGE_DEFAULT: usize = 10;
/// The largest `page_size`; a larger one is taken for this.
pub const PAGE_SIZE_MAX: usize = 100;

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

/// The page of a list that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Pagination {
    /// Which page, from 1; what is no number is 1.
    #[param(value_type = Option<Number>)]
    page: i64,
    /// How many on one page, 100 at most; what is no number is the default.
    #[param(value_type = Option<Number>)]
    page_size: i64,
}

impl Pagination {
    /// Reads `page` and `page_size`.
    ///
    /// # Errors
    /// 404 for a page under 1.
    pub fn read(query: &QueryString, size_default: usize) -> Result<Self, ApiError> {
        let page = query.number("page").unwrap_or(1);
        if page < 1 {
            return Err(ApiError::invalid_page());
        }
        let page_size = query.count("page_size", size_default, PAGE_SIZE_MAX);
        Ok(Self { page, page_size: i64::try_from(page_size).unwrap_or(i64::MAX) })
    }

    /// Lowers the page size to at most `page_size_max`, for lists of long items.
    #[must_use]
    pub fn limited_to(self, page_size_max: i64) -> Self {
        Self { page_size: self.page_size.min(page_size_max), ..self }
    }

    /// Returns the page size.
    #[must_use]
    pub fn limit(self) -> i64 {
        self.page_size
    }

    /// Returns the number of items on the pages before.
    #[must_use]
    pub fn offset(self) -> i64 {
        // Half the range of `i64` is past every end, and adding the limit doesn't overflow.
        (self.page - 1).saturating_mul(self.page_size).min(i64::MAX / 2)
    }

    /// Builds a numbered page with links to its neighbours.
    ///
    /// # Errors
    /// 404 for a page past the end.
    pub fn page<T>(
        self,
        request: &HttpRequest,
        query: &QueryString,
        count: i64,
        results: Vec<T>,
    ) -> Result<Page<T>, ApiError> {
        if self.page > 1 && self.offset() >= count {
            return Err(ApiError::invalid_page());
        }
        let number = |page: i64| (page > 1).then(|| ("page", page.to_string()));
        let link = |page: i64| page_url(request, query.without("page"), number(page));
        let has_next = self.offset().saturating_add(self.page_size) < count;
        Ok(Page {
            count,
            next: has_next.then(|| link(self.page + 1)),
            previous: (self.page > 1).then(|| link(self.page - 1)),
            results,
        })
    }

    /// Builds a page that was read by cursor; `next` is the cursor of the page after it. It has no link back.
    #[must_use]
    pub fn cursor_page<T>(
        self,
        request: &HttpRequest,
        query: &QueryString,
        count: i64,
        results: Vec<T>,
        next: Option<&str>,
    ) -> Page<T> {
        let others = || query.without("cursor").filter(|(name, _)| *name != "page");
        let next = next.map(|next| page_url(request, others(), Some(("cursor", next.to_owned()))));
        Page { count, next, previous: None, results }
    }
}

/// Builds the URL of a page: the address of this list with these parameters.
fn page_url<'a>(
    request: &HttpRequest,
    others: impl Iterator<Item = (&'a str, &'a str)>,
    last: Option<(&str, String)>,
) -> String {
    let base = ApiState::of(request).base_url(request);
    let is_absolute = base.is_some();
    let mut url = base.unwrap_or_else(placeholder_url);
    url.set_path(request.path());
    url.query_pairs_mut().extend_pairs(others).extend_pairs(last);
    let text = if is_absolute { url.as_str() } else { &url[Position::BeforePath..] };
    text.strip_suffix('?').unwrap_or(text).to_owned()
}

/// Returns the base of a URL of which only the path and the query are used.
fn placeholder_url() -> Url {
    Url::parse("http://nowhere").expect("it is a URL")
}
