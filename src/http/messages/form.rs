//! A form with a message and its file, read part by part as it arrives.

use actix_multipart::{Field, Multipart};
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actors::domain::ids::UserId;
use actors::error::ErrorCode;
use futures_util::{StreamExt as _, stream};
use serde_json::{Map, Value};

use super::draft::{refused, upload_error};
use crate::files::Inspected;
use crate::http::body::{BodyFault, FORM_BYTES_MAX, broken_off};
use crate::http::disposition::{Disposition, decode, latin_1};
use crate::http::error::ApiError;
use crate::http::rest::Rest;

const FILE: &str = "attachment";
const FILE_NAME: &str = "attachment_name";
/// The texts that are read; other parts are passed over, whatever they are.
const TEXTS: [&str; 6] = ["room", "content", "message_type", "reply_to", "client_id", FILE_NAME];

/// What a form held.
#[derive(Default)]
pub(super) struct Form {
    /// Its texts by name.
    pub(super) texts: Map<String, Value>,
    /// Its file, and the name that was sent with it.
    pub(super) file: Option<(Inspected, String)>,
    text_bytes: usize,
    /// The name of the part of a file that nobody asked for.
    stray: Option<String>,
}

impl Form {
    /// Reads all parts; the file is taken in and looked at.
    ///
    /// # Errors
    /// 400, 408, 413, 429, 503; nothing is kept then.
    pub(super) async fn read(
        rest: &Rest,
        sender: UserId,
        mut parts: Multipart,
        fault: &BodyFault,
    ) -> Result<Self, ApiError> {
        let mut form = Self::default();
        while let Some(part) = parts.next().await {
            let part = part.map_err(|_| fault.take().unwrap_or_else(broken_off))?;
            form.take(rest, sender, part).await?;
        }
        match form.stray {
            Some(name) if form.file.is_none() => {
                Err(refused(&format!("No file came under the name \"{FILE}\", but one under \"{name}\".")))
            }
            _ => Ok(form),
        }
    }

    async fn take(&mut self, rest: &Rest, sender: UserId, part: Field) -> Result<(), ApiError> {
        let header = part.headers().get(CONTENT_DISPOSITION);
        let Disposition { name, file_name } =
            header.map(|value| Disposition::read(value.as_bytes())).unwrap_or_default();
        let text = TEXTS.into_iter().find(|known| *known == name);
        match (text, file_name) {
            (Some(known), _) => self.take_text(known, part).await,
            (None, Some(own)) if name == FILE => self.take_file(rest, sender, own, part).await,
            (None, None) if name == FILE => {
                let text = self.bytes(part).await?;
                if text.is_empty() { Ok(()) } else { Err(refused("The submitted data was not a file.")) }
            }
            (None, file_name) => self.pass_over(&name, file_name.is_some(), part).await,
        }
    }

    async fn take_text(&mut self, name: &'static str, part: Field) -> Result<(), ApiError> {
        let charset = part.headers().get(CONTENT_TYPE).is_some_and(|kind| is_latin_1(kind.as_bytes()));
        let bytes = self.bytes(part).await?;
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) if charset => latin_1(error.as_bytes()),
            // A name that can't be read must not cost the file.
            Err(error) if name == FILE_NAME => decode(error.as_bytes()),
            Err(_) => {
                let detail = format!("The part \"{name}\" of the form is not UTF-8.");
                return Err(ApiError::coded(ErrorCode::BadFrame, detail));
            }
        };
        // A form has no null: what is empty was left out, but for the text itself.
        if text.is_empty() && name != "content" {
            return Ok(());
        }
        if self.texts.insert(name.to_owned(), Value::String(text)).is_some() {
            let detail = format!("The part \"{name}\" of the form stands twice.");
            return Err(ApiError::coded(ErrorCode::BadFrame, detail));
        }
        Ok(())
    }

    /// All of a text; those of a form are bounded together.
    async fn bytes(&mut self, mut part: Field) -> Result<Vec<u8>, ApiError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = part.next().await {
            let chunk = chunk.map_err(|_| broken_off())?;
            self.text_bytes += chunk.len();
            if self.text_bytes > FORM_BYTES_MAX {
                return Err(ApiError::too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    async fn take_file(
        &mut self,
        rest: &Rest,
        sender: UserId,
        own: String,
        part: Field,
    ) -> Result<(), ApiError> {
        // A part must not be asked again after its end.
        let mut part = part.fuse();
        // A field in which no file was chosen comes without a name and without bytes.
        let first = part.next().await;
        if first.is_none() && own.is_empty() {
            return Ok(());
        }
        if self.file.is_some() {
            return Err(refused("Only one file may be attached."));
        }
        rest.budgets.upload(sender)?;
        let body = stream::iter(first).chain(part);
        let inspected = rest.uploads.take_in(body).await.map_err(|error| upload_error(rest, error))?;
        self.file = Some((inspected, own));
        Ok(())
    }

    async fn pass_over(&mut self, name: &str, is_file: bool, mut part: Field) -> Result<(), ApiError> {
        let mut is_empty = true;
        while let Some(chunk) = part.next().await {
            is_empty &= chunk.map_err(|_| broken_off())?.is_empty();
        }
        if is_file && !is_empty && self.stray.is_none() {
            self.stray = Some(name.chars().take(100).collect());
        }
        Ok(())
    }
}

/// Whether a part says that it is in the charset that some libraries write when nothing else is asked for.
fn is_latin_1(content_type: &[u8]) -> bool {
    let kind = String::from_utf8_lossy(content_type).to_ascii_lowercase();
    ["iso-8859-1", "windows-1252", "us-ascii"].iter().any(|charset| kind.contains(charset))
}
