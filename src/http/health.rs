//! Whether this node lives, whether it may be given work, and its figures.

use std::sync::atomic::Ordering;

use actix_web::web::{Data, Json};
use actix_web::{HttpRequest, HttpResponse};
use actors::error::EngineError;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use super::caller::bearer;
use super::error::ApiError;
use super::rest::Rest;

/// A node that is well.
#[derive(Serialize, ToSchema)]
pub struct Health {
    /// `ok`.
    pub status: &'static str,
}

/// Answers as long as the process does.
#[utoipa::path(get, path = "/health/live", tag = "operation", security(()),
    responses((status = 200, body = Health)))]
pub async fn live() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Answers 200 while this node takes new work and its store answers.
#[utoipa::path(get, path = "/health/ready", tag = "operation", security(()),
    responses((status = 200, body = Health)))]
pub async fn ready(rest: Data<Rest>) -> Result<Json<Health>, ApiError> {
    if rest.is_ready.load(Ordering::Acquire) && rest.store.is_reachable().await {
        Ok(Json(Health { status: "ok" }))
    } else {
        Err(EngineError::Unavailable.into())
    }
}

/// Gives the figures of this node, in the form of Prometheus, to who shows `METRICS_TOKEN`.
///
/// Where none is set they are not here, only at `METRICS_BIND`.
#[utoipa::path(get, path = "/metrics", tag = "operation", security(("bearer" = [])),
    responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn metrics(request: HttpRequest, rest: Data<Rest>) -> Result<HttpResponse, ApiError> {
    let token = rest.settings.metrics_token.as_ref().ok_or_else(ApiError::not_found)?;
    // Of digests it doesn't matter how much of them is alike.
    if Sha256::digest(bearer(&request)?) != Sha256::digest(token.expose_secret()) {
        return Err(ApiError::BadToken);
    }
    figures(&rest)
}

/// Gives the figures to whoever reaches the address that is for them.
///
/// # Errors
/// 404: nothing is counted.
pub async fn metrics_alone(rest: Data<Rest>) -> Result<HttpResponse, ApiError> {
    figures(&rest)
}

fn figures(rest: &Rest) -> Result<HttpResponse, ApiError> {
    let figures = rest.metrics.as_ref().ok_or_else(ApiError::not_found)?;
    rest.in_flight.observe();
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(figures.render()))
}
