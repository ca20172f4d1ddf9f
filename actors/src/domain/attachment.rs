//! The files of messages, and how the wire shows them.

use serde::{Deserialize, Serialize};

use super::ids::FileId;

/// The most files of one message.
pub const ATTACHMENTS_MAX: usize = 10;

/// A file that a message carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The stored file.
    pub file: FileId,
    /// The name to show.
    pub name: String,
    /// The size in bytes.
    pub size: i64,
    /// What is known of its content.
    #[serde(default)]
    pub media: Media,
}

/// What is known of a file's content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    /// The media type, by which clients show the file; empty where it isn't known.
    pub content_type: String,
    /// The width of a picture in pixels, as it is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<i32>,
    /// The height of a picture in pixels, as it is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<i32>,
    /// Whether the picture is served in smaller sizes too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_previews: bool,
}

/// As what clients show a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaKind {
    /// A picture that every browser shows.
    Image,
    /// A film.
    Video,
    /// A recording.
    Audio,
    /// Anything else, to be downloaded.
    File,
}

impl MediaKind {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::File => "file",
        }
    }
}

impl Media {
    /// A content of which only the type is known.
    #[must_use]
    pub fn of_type(content_type: impl Into<String>) -> Self {
        Self { content_type: content_type.into(), ..Self::default() }
    }

    /// As what clients show the file. Of pictures, only those that every browser shows count as such.
    #[must_use]
    pub fn kind(&self) -> MediaKind {
        match self.content_type.as_str() {
            "image/jpeg" | "image/png" | "image/gif" => MediaKind::Image,
            other if other.starts_with("video/") => MediaKind::Video,
            other if other.starts_with("audio/") => MediaKind::Audio,
            _ => MediaKind::File,
        }
    }
}

/// The path that serves a stored file.
#[must_use]
pub fn file_path(file: FileId) -> String {
    format!("/api/chat/files/{file}/")
}

/// An [`Attachment`] on the wire; the same for everyone in the room.
#[derive(Serialize)]
#[allow(missing_docs, reason = "the fields are the wire's, described in docs/PROTOCOL.md")]
pub struct AttachmentView<'a> {
    pub id: FileId,
    pub name: &'a str,
    pub size: i64,
    pub content_type: &'a str,
    pub kind: &'static str,
    pub url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview: Option<PreviewPaths>,
    pub state: &'static str,
}

/// Where the smaller sizes of a picture are.
#[derive(Serialize)]
#[allow(missing_docs, reason = "the fields are the wire's, described in docs/PROTOCOL.md")]
pub struct PreviewPaths {
    pub small: String,
    pub large: String,
}

impl<'a> From<&'a Attachment> for AttachmentView<'a> {
    fn from(attachment: &'a Attachment) -> Self {
        let Attachment { file, name, size, media } = attachment;
        let url = file_path(*file);
        let sized = |size: &str| format!("{url}?size={size}");
        let preview =
            media.has_previews.then(|| PreviewPaths { small: sized("small"), large: sized("large") });
        let is_known = !media.content_type.is_empty();
        Self {
            id: *file,
            name,
            size: *size,
            content_type: if is_known { &media.content_type } else { "application/octet-stream" },
            kind: media.kind().as_str(),
            preview,
            url,
            width: media.width,
            height: media.height,
            // A file is checked before a message may carry it.
            state: "ready",
        }
    }
}
