//! Asks a page what it is.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};

use super::html::{PageDetails, read_page};
use super::picture::shrink;
use crate::outbound::{OutboundClient, OutboundError, OutboundRequest, OutboundResponse};
use crate::store::postgres::link_previews::LinkPreview;

/// How long the page may take, and its picture again.
pub(crate) const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// The most bytes that are read of a page or a picture. What a page says of itself stands at its start.
const BYTES_MAX: usize = 512 * 1024;
const REDIRECTS_MAX: usize = 3;

const HTML: HeaderValue = HeaderValue::from_static("text/html,application/xhtml+xml,image/*;q=0.8");
const PICTURE: HeaderValue = HeaderValue::from_static("image/jpeg,image/png");

/// Fetches a page, and the picture that it names. A page that says nothing of itself has an empty preview.
pub(super) async fn fetch(outbound: &OutboundClient, url: &Url) -> Result<LinkPreview, OutboundError> {
    let response = get(outbound, url, HTML).await?;
    if !response.status.is_success() {
        return if response.status.is_server_error() {
            Err(OutboundError::Unreachable(format!("the answer is {}", response.status.as_u16())))
        } else {
            Ok(LinkPreview::default())
        };
    }
    let content_type = content_type(&response);
    if content_type.starts_with("image/") {
        let picture = (!response.is_cut).then_some(response.body);
        return Ok(LinkPreview { picture: small_picture(picture).await, ..LinkPreview::default() });
    }
    if !matches!(media_type(&content_type), "text/html" | "application/xhtml+xml") {
        return Ok(LinkPreview::default());
    }
    let page = read_page(&response.body, &content_type);
    let PageDetails { title, description, site_name, picture } = page;
    let has_text = title.is_some() || description.is_some();
    let picture = picture.filter(|_| has_text).and_then(|picture| response.url.join(&picture).ok());
    let picture = match picture {
        Some(url) => small_picture(fetch_picture(outbound, &url).await).await,
        None => None,
    };
    Ok(LinkPreview { title, description, site_name: site_name.filter(|_| has_text), picture })
}

/// Fetches a picture; a page without it is a preview still.
async fn fetch_picture(outbound: &OutboundClient, url: &Url) -> Option<Bytes> {
    let response = get(outbound, url, PICTURE).await.ok()?;
    (response.status.is_success() && !response.is_cut).then_some(response.body)
}

async fn small_picture(picture: Option<Bytes>) -> Option<Vec<u8>> {
    let picture = picture?;
    tokio::task::spawn_blocking(move || shrink(&picture)).await.ok().flatten()
}

async fn get(
    outbound: &OutboundClient,
    url: &Url,
    accept: HeaderValue,
) -> Result<OutboundResponse, OutboundError> {
    let request = OutboundRequest {
        method: Method::GET,
        url: url.clone(),
        headers: HeaderMap::from_iter([(ACCEPT, accept)]),
        body: Bytes::new(),
        deadline: FETCH_TIMEOUT,
        answer_max: BYTES_MAX,
        redirects_max: REDIRECTS_MAX,
    };
    outbound.send(request).await
}

fn content_type(response: &OutboundResponse) -> String {
    let given = response.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    given.unwrap_or_default().to_ascii_lowercase()
}

fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}
