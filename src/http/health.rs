//! Liveness, readiness and metrics of this node.

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
use super::state::ApiState;

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
pub async fn ready(state: Data<ApiState>) -> Result<Json<Health>, ApiError> {
    if state.is_ready.load(Ordering::Acquire) && state.store.is_reachable().await {
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
pub async fn metrics(request: HttpRequest, state: Data<ApiState>) -> Result<HttpResponse, ApiError> {
    let token = state.settings.metrics_token.as_ref().ok_or_else(ApiError::not_found)?;
    // Digests are compared, so that timing tells nothing about the token.
    if Sha256::digest(bearer(&request)?) != Sha256::digest(token.expose_secret()) {
        return Err(ApiError::BadToken);
    }
    render_metrics(&state)
}

/// Serves the metrics without a token, at `METRICS_BIND` only.
///
/// # Errors
/// 404: metrics aren't recorded.
pub async fn metrics_without_token(state: Data<ApiState>) -> Result<HttpResponse, ApiError> {
    render_metrics(&state)
}

fn render_metrics(state: &ApiState) -> Result<HttpResponse, ApiError> {
    let recorder = state.metrics.as_ref().ok_or_else(ApiError::not_found)?;
    state.in_flight.update_gauges();
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(recorder.render()))
}
