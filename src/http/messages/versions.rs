//! The texts that a message has had.

use actix_web::web::{Data, Json, Path};
use actors::domain::ids::MessageId;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::caller::Caller;
use crate::http::error::ApiError;
use crate::http::fields::parse_uuid;
use crate::http::state::ApiState;
use crate::store::postgres::queries::{MessageVersion, VersionsLookup};

/// The most texts that are shown: the newest ones.
const VERSIONS_MAX: i64 = 100;

/// A text that a message has or had.
#[derive(Serialize, ToSchema)]
#[schema(as = MessageVersion)]
pub struct ApiMessageVersion {
    /// The text.
    pub content: String,
    /// When it was written: of the first one, when the message was sent; of each other, when the edit came that
    /// made it.
    pub edited_at: DateTime<Utc>,
}

impl From<MessageVersion> for ApiMessageVersion {
    fn from(version: MessageVersion) -> Self {
        Self { content: version.content, edited_at: version.written_at }
    }
}

/// Lists the texts that a message has had, the oldest first and the current one last; the newest 100 of them.
/// A room may not show them.
#[utoipa::path(get, path = "/api/chat/messages/{id}/versions/", tag = "messages",
    params(("id" = uuid::Uuid, Path)), responses((status = 200, body = Vec<ApiMessageVersion>)))]
pub async fn list(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<Json<Vec<ApiMessageVersion>>, ApiError> {
    let message = parse_uuid(&id).map(MessageId).ok_or_else(ApiError::not_found)?;
    let viewer = caller.viewer().ok_or_else(ApiError::not_found)?;
    match state.store.message_versions(viewer, message, VERSIONS_MAX).await? {
        VersionsLookup::NotFound => Err(ApiError::not_found()),
        VersionsLookup::Forbidden => Err(ApiError::forbidden()),
        VersionsLookup::Found(versions) => {
            Ok(Json(versions.into_iter().map(ApiMessageVersion::from).collect()))
        }
    }
}
