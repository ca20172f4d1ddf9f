//! The page that shows the OpenAPI document, as Swagger UI presents it.

use actix_web::http::header::{CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY, X_FRAME_OPTIONS};
use actix_web::web::{Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};

use super::assets::{MINUTES, asset};
use super::endpoint::at;
use super::error::ApiError;

/// Only this server's content, in no frame. The page needs inline styles.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// Registers the page under `/api/docs/`.
pub(super) fn routes(config: &mut ServiceConfig) {
    at("/api/docs/{path:.*}").get(page_or_part).register(config);
}

async fn page_or_part(request: HttpRequest, path: Path<String>) -> Result<HttpResponse, ApiError> {
    let name = if path.is_empty() { "index.html" } else { path.as_str() };
    let mut part = asset(&request, &format!("docs/{name}"), MINUTES).ok_or_else(ApiError::not_found)?;
    let headers = part.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(part)
}
