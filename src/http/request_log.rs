//! Records how long each request took, by its route: paths and queries may hold ids and names.

use std::time::Instant;

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;

/// Middleware: records the duration and status of a request.
///
/// # Errors
/// As the next service.
pub async fn log_request<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let started_at = Instant::now();
    let route = request.match_pattern().unwrap_or_else(|| "unknown".to_owned());
    let method = request.method().clone();
    let response = next.call(request).await?;
    let (status, elapsed) = (response.status().as_u16(), started_at.elapsed());
    metrics::histogram!("chat_http_seconds", "route" => route.clone(), "status" => status.to_string())
        .record(elapsed.as_secs_f64());
    if status >= 500 {
        tracing::warn!(%method, route, status, ms = elapsed.as_millis(), "request failed");
    } else {
        tracing::debug!(%method, route, status, ms = elapsed.as_millis(), "request");
    }
    Ok(response)
}
