//! Previews of the links in a message.

use actix_web::web::{Data, Json, Path};
use actors::domain::ids::MessageId;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::caller::Caller;
use crate::http::error::ApiError;
use crate::http::fields::parse_uuid;
use crate::http::state::ApiState;
use crate::store::postgres::link_previews::LinkPreview;

/// What a page says of itself.
#[derive(Serialize, ToSchema)]
#[schema(as = LinkPreview)]
pub struct ApiLinkPreview {
    /// The link as it stands in the text, without a fragment.
    pub url: String,
    /// The title; up to 200 characters.
    pub title: Option<String>,
    /// A description; up to 400 characters.
    pub description: Option<String>,
    /// The name of the site; up to 100 characters.
    pub site_name: Option<String>,
    /// A JPEG of at most 320 by 320 pixels, as a `data:` URL.
    pub picture: Option<String>,
}

/// The previews of a message's links.
#[derive(Serialize, ToSchema)]
#[schema(as = LinkPreviews)]
pub struct ApiLinkPreviews {
    /// Whether the operator has switched previews on. If not, there are none for any message.
    pub is_enabled: bool,
    /// Those of the first three links that have one, in the order of the text.
    pub previews: Vec<ApiLinkPreview>,
    /// Whether that is all. If not, some are being asked for: ask again in some seconds.
    pub is_complete: bool,
}

impl From<(String, LinkPreview)> for ApiLinkPreview {
    fn from((url, preview): (String, LinkPreview)) -> Self {
        let LinkPreview { title, description, site_name, picture } = preview;
        let picture = picture.map(|jpeg| format!("data:image/jpeg;base64,{}", STANDARD.encode(jpeg)));
        Self { url, title, description, site_name, picture }
    }
}

/// Returns what the pages that a message links to say of themselves. Where nobody has asked them yet, the answer takes
/// up to 10 seconds.
#[utoipa::path(get, path = "/api/chat/messages/{id}/link_previews/", tag = "messages",
    params(("id" = uuid::Uuid, Path)), responses((status = 200, body = ApiLinkPreviews)))]
pub async fn get(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<Json<ApiLinkPreviews>, ApiError> {
    let message = parse_uuid(&id).map(MessageId).ok_or_else(ApiError::not_found)?;
    let viewer = caller.viewer().ok_or_else(ApiError::not_found)?;
    let details = state.store.message(viewer, message).await?.ok_or_else(ApiError::not_found)?;
    let Some(link_previews) = &state.link_previews else {
        return Ok(Json(ApiLinkPreviews { is_enabled: false, previews: Vec::new(), is_complete: true }));
    };
    let previews = link_previews.of_text(&details.message.content).await?;
    Ok(Json(ApiLinkPreviews {
        is_enabled: true,
        previews: previews.found.into_iter().map(ApiLinkPreview::from).collect(),
        is_complete: previews.is_complete,
    }))
}
