//! A message that someone wants to send, as JSON or as a form with a file.

use actors::domain::ids::{ClientId, FileId, MessageId, RoomId, UserId};
use actors::domain::message::MessageType;
use actors::domain::text::{CONTENT_CHARS_MAX, NAME_CHARS_MAX};
use actors::error::ErrorCode;
use utoipa::ToSchema;
use uuid::Uuid;

use super::form::Form;
use crate::files::{Kind, Received, StoredFile, UploadError};
use crate::http::body::{Body, broken_off};
use crate::http::error::ApiError;
use crate::http::fields::{Fields, FromFields};
use crate::http::rest::Rest;
use crate::store::postgres::files::UnsentFile;

/// A message to be sent.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the form of the body for the OpenAPI document; read field by field")]
pub struct SendMessage {
    /// The room.
    room: Uuid,
    /// The text; may be left out beside a file.
    #[schema(min_length = 1, max_length = 4000)]
    content: String,
    /// Ignored but for a value that can't be: the type follows from the file.
    #[schema(pattern = "^(text|image|file)$", nullable = false)]
    message_type: Option<String>,
    /// The message that it answers, in the same room.
    reply_to: Option<Uuid>,
    /// What the client calls this send, so that a retry makes nothing new.
    client_id: Option<Uuid>,
}

/// A message to be sent with a file.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the form of the body for the OpenAPI document; read part by part")]
pub struct SendMessageForm {
    /// The room.
    room: Uuid,
    /// The text.
    #[schema(max_length = 4000, nullable = false)]
    content: Option<String>,
    /// The file: jpg, jpeg, png, gif, webp, heic, heif, pdf, doc, docx, rtf, xls, xlsx, txt, csv, m4a, mp3,
    /// ogg, mp4 or mov.
    #[schema(value_type = Option<String>, format = Binary, nullable = false)]
    attachment: Option<Vec<u8>>,
    /// The file's name, in place of the one that it is sent with; it gets the extension of what is inside.
    #[schema(max_length = 255, nullable = false)]
    attachment_name: Option<String>,
    /// The message that it answers, in the same room.
    #[schema(nullable = false)]
    reply_to: Option<Uuid>,
    /// What the client calls this send.
    #[schema(nullable = false)]
    client_id: Option<Uuid>,
}

/// What a client asks to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageWanted {
    /// The room.
    pub room: RoomId,
    /// The text, trimmed; may be empty only beside a file.
    pub content: String,
    /// The message that it answers.
    pub reply_to: Option<MessageId>,
    /// What the client calls it.
    pub client_id: Option<ClientId>,
    /// The name that the file is to have.
    pub attachment_name: Option<String>,
}

impl FromFields for MessageWanted {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let room = fields.uuid("room");
        let room = fields.require("room", room);
        // A kind is checked and then forgotten: it follows from the file.
        if !fields.is_null("message_type") {
            fields.choice("message_type", |name| {
                MessageType::parse(name).filter(|kind| *kind != MessageType::System)
            });
        }
        let content = fields.text("content", CONTENT_CHARS_MAX);
        let reply_to = fields.uuid("reply_to").map(MessageId);
        let client_id = fields.uuid("client_id").map(ClientId);
        let attachment_name =
            fields.optional_text("attachment_name", NAME_CHARS_MAX).filter(|name| !name.is_empty());
        Some(Self {
            room: RoomId(room?),
            content: content.unwrap_or_default(),
            reply_to,
            client_id,
            attachment_name,
        })
    }
}

/// A file that came with a message, noted as one that no message carries yet.
pub struct Upload {
    /// The file.
    pub stored: StoredFile,
}

impl Upload {
    /// The type of a message with this file.
    #[must_use]
    pub fn message_type(&self) -> MessageType {
        match self.stored.kind {
            Kind::Image => MessageType::Image,
            Kind::File => MessageType::File,
        }
    }

    /// Gives the file up: its message isn't sent. What fails here is left to the sweep.
    pub async fn give_up(self, rest: &Rest) {
        if let Err(error) = rest.store.give_up_file(FileId(self.stored.id)).await {
            tracing::warn!(%error, "a file could not be given up");
        }
    }
}

/// Reads a body of either kind.
///
/// # Errors
/// 400, 408, 413, 415, 429, 503; no file is left then.
pub async fn read(
    rest: &Rest,
    sender: UserId,
    body: Body,
) -> Result<(MessageWanted, Option<Upload>), ApiError> {
    if !body.is_multipart() {
        return Ok((body.object().await?, None));
    }
    let with_limit = |error| match error {
        ApiError::Coded { code: ErrorCode::TooLarge, .. } => too_large(rest),
        other => other,
    };
    let (parts, fault) = body.form(rest.settings.upload_bytes_max).map_err(with_limit)?;
    let form = Form::read(rest, sender, parts, &fault).await;
    let form = form.map_err(|error| with_limit(fault.take().unwrap_or(error)))?;
    let wanted: MessageWanted = Fields::read(form.texts)?;
    let Some((inspected, own)) = form.file else { return Ok((wanted, None)) };
    let name = wanted.attachment_name.as_deref();
    let received = inspected.named(&own, name).map_err(|error| upload_error(rest, error))?;
    let upload = keep(rest, sender, received).await?;
    Ok((wanted, Some(upload)))
}

/// Keeps a file until its message is sent, or a sweep finds it.
async fn keep(rest: &Rest, sender: UserId, received: Received) -> Result<Upload, ApiError> {
    let file = received.file();
    let unsent = UnsentFile {
        id: FileId(file.id),
        uploaded_by: sender,
        name: &file.name,
        size: i64::try_from(file.size).unwrap_or(i64::MAX),
        content_type: file.content_type,
        is_image: file.kind == Kind::Image,
    };
    // Before the file is where no sweep of the folder looks: wherever this breaks off, a sweep finds it.
    rest.store.keep_unsent_file(unsent).await?;
    let stored = received.keep().await.map_err(|error| upload_error(rest, error))?;
    Ok(Upload { stored })
}

fn too_large(rest: &Rest) -> ApiError {
    let detail =
        format!("The file, or the rest of the form, is larger than allowed. {}", rest.uploads.allowed());
    ApiError::coded(ErrorCode::TooLarge, detail)
}

/// What an upload that wasn't taken is answered.
pub(super) fn upload_error(rest: &Rest, error: UploadError) -> ApiError {
    match error {
        UploadError::TooLarge => too_large(rest),
        UploadError::Refused(why) => refused(&format!("{why} {}", rest.uploads.allowed())),
        UploadError::Interrupted => broken_off(),
        UploadError::Io(cause) => {
            tracing::error!(%cause, "a file could not be stored");
            ApiError::from(actors::error::EngineError::Unavailable)
        }
    }
}

/// 400 of the file.
pub(super) fn refused(why: &str) -> ApiError {
    ApiError::field("attachment", why)
}
