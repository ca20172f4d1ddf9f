//! A message with its file as `multipart/form-data`, read part by part as it arrives.

use actix_multipart::{Field, Multipart};
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actors::domain::ids::RoomId;
use actors::error::ErrorCode;
use futures_util::{StreamExt as _, stream};
use serde_json::{Map, Value};

use super::attachment::{self, check_uploader, rejected, too_large, upload_error};
use crate::files::InspectedUpload;
use crate::http::body::{BodyError, FORM_BYTES_MAX, RequestBody, truncated_body};
use crate::http::caller::Caller;
use crate::http::disposition::{Disposition, decode, latin_1};
use crate::http::error::ApiError;
use crate::http::fields::parse_uuid;
use crate::http::state::ApiState;

const FILE_NAME: &str = "attachment_name";
/// The text part that may come more than once.
const MENTIONS: &str = "mentions";
/// The text parts that are read; all other parts are skipped.
const TEXTS: [&str; 11] = [
    "room",
    "content",
    "message_type",
    "reply_to",
    "client_id",
    "thread_root",
    "in_timeline",
    "urgent",
    MENTIONS,
    "mention_room",
    FILE_NAME,
];

/// The parts of a form.
#[derive(Default)]
pub(super) struct FormParts {
    /// The text parts by name.
    pub(super) texts: Map<String, Value>,
    /// The file.
    pub(super) file: Option<FilePart>,
    text_bytes: usize,
    /// The name of a file part other than `attachment`.
    stray: Option<String>,
}

/// A file that was received and whose content is accepted.
pub(super) struct FilePart {
    /// The content.
    pub(super) upload: InspectedUpload,
    /// The name that the part gave it.
    pub(super) name: String,
    /// Whether the sender's membership was checked before the content was read.
    pub(super) is_sender_checked: bool,
}

impl FormParts {
    /// Reads all parts of a body; the content of the file is inspected and staged.
    ///
    /// # Errors
    /// 400, 408, 413, 415, 429, 503; nothing is kept then.
    pub(super) async fn read(state: &ApiState, caller: &Caller, body: RequestBody) -> Result<Self, ApiError> {
        let with_limit = |error| match error {
            ApiError::Coded { code: ErrorCode::TooLarge, .. } => too_large(state),
            other => other,
        };
        let (parts, body_error) = body.multipart(state.settings.upload_bytes_max).map_err(with_limit)?;
        let read = Self::read_parts(state, caller, parts, &body_error).await;
        read.map_err(|error| with_limit(body_error.take().unwrap_or(error)))
    }

    async fn read_parts(
        state: &ApiState,
        caller: &Caller,
        mut parts: Multipart,
        body_error: &BodyError,
    ) -> Result<Self, ApiError> {
        let mut form = Self::default();
        while let Some(part) = parts.next().await {
            let part = part.map_err(|_| body_error.take().unwrap_or_else(truncated_body))?;
            form.read_part(state, caller, part).await?;
        }
        match form.stray {
            Some(name) if form.file.is_none() => Err(rejected(format!(
                "No file came under the name \"{}\", but one under \"{name}\".",
                attachment::FIELD
            ))),
            _ => Ok(form),
        }
    }

    async fn read_part(&mut self, state: &ApiState, caller: &Caller, part: Field) -> Result<(), ApiError> {
        let header = part.headers().get(CONTENT_DISPOSITION);
        let Disposition { name, file_name } =
            header.map(|value| Disposition::read(value.as_bytes())).unwrap_or_default();
        let text = TEXTS.into_iter().find(|known| *known == name);
        match (text, file_name) {
            (Some(known), _) => self.read_text(known, part).await,
            (None, Some(file_name)) if name == attachment::FIELD => {
                self.read_file(state, caller, file_name, part).await
            }
            (None, None) if name == attachment::FIELD => {
                let text = self.bytes(part).await?;
                if text.is_empty() { Ok(()) } else { Err(rejected("The submitted data was not a file.")) }
            }
            (None, file_name) => self.skip(&name, file_name.is_some(), part).await,
        }
    }

    async fn read_text(&mut self, name: &'static str, part: Field) -> Result<(), ApiError> {
        let is_latin_1 = part.headers().get(CONTENT_TYPE).is_some_and(|kind| names_latin_1(kind.as_bytes()));
        let bytes = self.bytes(part).await?;
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) if is_latin_1 => latin_1(error.as_bytes()),
            // A file name in another encoding must not fail the upload.
            Err(error) if name == FILE_NAME => decode(error.as_bytes()),
            Err(_) => {
                let detail = format!("The part \"{name}\" of the form is not UTF-8.");
                return Err(ApiError::coded(ErrorCode::BadFrame, detail));
            }
        };
        // A form has no null: an empty part counts as absent, except the text of the message itself.
        if text.is_empty() && name != "content" {
            return Ok(());
        }
        if name == MENTIONS {
            self.add_mentions(text);
            return Ok(());
        }
        if self.texts.insert(name.to_owned(), Value::String(text)).is_some() {
            let detail = format!("The part \"{name}\" of the form stands twice.");
            return Err(ApiError::coded(ErrorCode::BadFrame, detail));
        }
        Ok(())
    }

    /// Adds an id, or a JSON list of ids, for clients whose forms can't repeat a part.
    fn add_mentions(&mut self, text: String) {
        let added = match serde_json::from_str(&text) {
            Ok(Value::Array(ids)) => ids,
            _ => vec![Value::String(text)],
        };
        let ids = self.texts.entry(MENTIONS).or_insert_with(|| Value::Array(Vec::new()));
        ids.as_array_mut().expect("nothing but lists is inserted under this name").extend(added);
    }

    /// Reads a part that is no file; those of a form share one limit.
    async fn bytes(&mut self, mut part: Field) -> Result<Vec<u8>, ApiError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = part.next().await {
            let chunk = chunk.map_err(|_| truncated_body())?;
            self.text_bytes += chunk.len();
            if self.text_bytes > FORM_BYTES_MAX {
                return Err(ApiError::too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    async fn read_file(
        &mut self,
        state: &ApiState,
        caller: &Caller,
        name: String,
        part: Field,
    ) -> Result<(), ApiError> {
        // A part must not be polled after its end.
        let mut part = part.fuse();
        // A file input without a file sends neither a name nor bytes.
        let first = part.next().await;
        if first.is_none() && name.is_empty() {
            return Ok(());
        }
        if self.file.is_some() {
            return Err(rejected("Only one file may be attached."));
        }
        state.rate_limits.check_upload(caller.user_id()?)?;
        // A room that comes after the file, or is no id, is checked or rejected with the other fields.
        let room = self.texts.get("room").and_then(Value::as_str).and_then(parse_uuid).map(RoomId);
        if let Some(room) = room {
            check_uploader(state, caller, room).await?;
        }
        let content = stream::iter(first).chain(part);
        let upload = state.uploads.ingest(content).await.map_err(|error| upload_error(state, error))?;
        self.file = Some(FilePart { upload, name, is_sender_checked: room.is_some() });
        Ok(())
    }

    async fn skip(&mut self, name: &str, is_file: bool, mut part: Field) -> Result<(), ApiError> {
        let mut is_empty = true;
        while let Some(chunk) = part.next().await {
            is_empty &= chunk.map_err(|_| truncated_body())?.is_empty();
        }
        if is_file && !is_empty && self.stray.is_none() {
            self.stray = Some(name.chars().take(100).collect());
        }
        Ok(())
    }
}

/// Whether a content type names a charset that some libraries write by default for what is Latin-1.
fn names_latin_1(content_type: &[u8]) -> bool {
    let kind = String::from_utf8_lossy(content_type).to_ascii_lowercase();
    ["iso-8859-1", "windows-1252", "us-ascii"].iter().any(|charset| kind.contains(charset))
}
