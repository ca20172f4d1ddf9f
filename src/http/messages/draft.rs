//! A message that someone wants to send, as JSON or as a form with a file.

use actix_multipart::{Field, Multipart};
use actix_web::http::header::ContentDisposition;
use actors::domain::ids::{ClientId, FileId, MessageId, RoomId, UserId};
use actors::domain::message::MessageType;
use actors::domain::text::{CONTENT_CHARS_MAX, NAME_CHARS_MAX};
use actors::error::ErrorCode;
use futures_util::StreamExt as _;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::files::{Kind, StoredFile, UploadError, clean_name};
use crate::http::body::{Body, BodyFault, FORM_BYTES_MAX, broken_off};
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
    /// The file: jpg, jpeg, png, gif, pdf, doc, docx, xls or xlsx.
    #[schema(value_type = Option<String>, format = Binary, nullable = false)]
    attachment: Option<Vec<u8>>,
    /// The file's name, in place of the one that it is sent with.
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
    let (parts, fault) = body.form(rest.settings.upload_bytes_max)?;
    let mut form = Form { texts: Map::new(), text_bytes: 0, upload: None };
    let outcome = match form.read(rest, sender, parts, &fault).await {
        Ok(()) => Fields::read(std::mem::take(&mut form.texts)),
        Err(error) => Err(fault.take().unwrap_or(error)),
    };
    match (outcome, form.upload) {
        (Ok(wanted), upload) => Ok((wanted, upload)),
        (Err(error), upload) => {
            if let Some(upload) = upload {
                upload.give_up(rest).await;
            }
            Err(error)
        }
    }
}

struct Form {
    texts: Map<String, Value>,
    text_bytes: usize,
    upload: Option<Upload>,
}

impl Form {
    async fn read(
        &mut self,
        rest: &Rest,
        sender: UserId,
        mut parts: Multipart,
        fault: &BodyFault,
    ) -> Result<(), ApiError> {
        while let Some(part) = parts.next().await {
            let part = part.map_err(|_| fault.take().unwrap_or_else(broken_off))?;
            let file = part.content_disposition().and_then(file_name);
            match (part.name().unwrap_or_default(), file) {
                ("attachment", Some(name)) if name.is_empty() => no_file(part).await?,
                ("attachment", Some(name)) => self.take_file(rest, sender, &name, part).await?,
                ("attachment", None) => return Err(refused("The submitted data was not a file.")),
                _ => self.take_text(part).await?,
            }
        }
        Ok(())
    }

    async fn take_text(&mut self, mut part: Field) -> Result<(), ApiError> {
        let name = part.name().unwrap_or_default().to_owned();
        let mut bytes = Vec::new();
        while let Some(chunk) = part.next().await {
            let chunk = chunk.map_err(|_| broken_off())?;
            self.text_bytes += chunk.len();
            if self.text_bytes > FORM_BYTES_MAX {
                return Err(ApiError::too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| ApiError::coded(ErrorCode::BadFrame, "The form is not UTF-8."))?;
        // A form has no null: what is empty was left out, but for the text itself.
        if text.is_empty() && name != "content" {
            return Ok(());
        }
        if self.texts.insert(name, Value::String(text)).is_some() {
            return Err(ApiError::coded(ErrorCode::BadFrame, "A part of the form stands twice."));
        }
        Ok(())
    }

    async fn take_file(
        &mut self,
        rest: &Rest,
        sender: UserId,
        name: &str,
        part: Field,
    ) -> Result<(), ApiError> {
        if self.upload.is_some() {
            return Err(refused("Only one file may be attached."));
        }
        rest.budgets.upload(sender)?;
        let received = rest.uploads.receive(name, part).await.map_err(upload_error)?;
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
        let stored = received.keep().await.map_err(upload_error)?;
        self.upload = Some(Upload { stored });
        Ok(())
    }
}

/// The name of a part that is a file; the form for names that aren't ASCII counts first, where it is there.
fn file_name(how: &ContentDisposition) -> Option<String> {
    let extended = how.get_filename_ext().map(|name| String::from_utf8_lossy(&name.value).into_owned());
    extended.or_else(|| how.get_filename().map(str::to_owned))
}

/// A file without a name is what browsers send of a field in which none was chosen; it is empty then.
async fn no_file(mut part: Field) -> Result<(), ApiError> {
    while let Some(chunk) = part.next().await {
        if !chunk.map_err(|_| broken_off())?.is_empty() {
            return Err(refused("The file has no name."));
        }
    }
    Ok(())
}

fn upload_error(error: UploadError) -> ApiError {
    match error {
        UploadError::TooLarge => ApiError::too_large(),
        UploadError::Refused(why) => refused(why),
        UploadError::Interrupted => broken_off(),
        UploadError::Io(cause) => {
            tracing::error!(%cause, "a file could not be stored");
            ApiError::from(actors::error::EngineError::Unavailable)
        }
    }
}

/// The name that a file gets: the client's, without what doesn't belong into a name.
///
/// # Errors
/// 400.
pub fn attachment_name(wanted: &MessageWanted, upload: &Upload) -> Result<String, ApiError> {
    match &wanted.attachment_name {
        None => Ok(upload.stored.name.clone()),
        Some(name) => clean_name(name).map_err(|_| ApiError::field("attachment_name", "Not a valid name.")),
    }
}

fn refused(why: &str) -> ApiError {
    ApiError::field("attachment", why)
}
