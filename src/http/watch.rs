//! Notes how long each request took, by its route and never by what stands in its place or query.

use std::time::Instant;

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;

/// Passes a request on and counts its answer.
///
/// # Errors
/// What the handler's answer fails with.
pub async fn watch<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let begun = Instant::now();
    let route = request.match_pattern().unwrap_or_else(|| "unknown".to_owned());
    let method = request.method().clone();
    let answer = next.call(request).await?;
    let (status, took) = (answer.status().as_u16(), begun.elapsed());
    metrics::histogram!("chat_http_seconds", "route" => route.clone(), "status" => status.to_string())
        .record(took.as_secs_f64());
    if status >= 500 {
        tracing::warn!(%method, route, status, ms = took.as_millis(), "request failed");
    } else {
        tracing::debug!(%method, route, status, ms = took.as_millis(), "request");
    }
    Ok(answer)
}
