//! The files of a message, as REST shows them to one caller.

use actors::domain::attachment::AttachmentView;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// A file of a message.
#[derive(Serialize, ToSchema)]
#[schema(as = Attachment)]
pub struct ApiAttachment {
    /// The file's id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: i64,
    /// Its media type.
    pub content_type: String,
    /// `image`, `video`, `audio` or `file`.
    pub kind: &'static str,
    /// Where it is, for the caller alone and to the end of the next day; null for a service token without a user.
    pub url: Option<String>,
    /// The width of a picture in pixels, as it is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub width: Option<i32>,
    /// Its height.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub height: Option<i32>,
    /// Where a picture is in smaller sizes, if it is large enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub preview: Option<ApiPreview>,
    /// `ready`.
    pub state: &'static str,
}

/// Where a picture is in smaller sizes, for the caller alone.
#[derive(Serialize, ToSchema)]
#[schema(as = AttachmentPreview)]
pub struct ApiPreview {
    /// At most 320 pixels on each side.
    pub small: String,
    /// At most 1,280 pixels on each side.
    pub large: String,
}

impl ApiAttachment {
    /// Adds the caller's address of a file to what frames say of it.
    #[must_use]
    pub fn new(frame: &AttachmentView<'_>, url: Option<String>) -> Self {
        let sized = |url: &String, size: &str| format!("{url}&size={size}");
        let preview = url.as_ref().filter(|_| frame.preview.is_some());
        let preview =
            preview.map(|url| ApiPreview { small: sized(url, "small"), large: sized(url, "large") });
        Self {
            id: frame.id.0,
            name: frame.name.to_owned(),
            size: frame.size,
            content_type: frame.content_type.to_owned(),
            kind: frame.kind,
            url,
            width: frame.width,
            height: frame.height,
            preview,
            state: frame.state,
        }
    }
}
