//! The file of a message that is being sent: who may attach one, and how it is stored and discarded.

use actors::domain::attachment::Media;
use actors::domain::command::Refusal;
use actors::domain::ids::{FileId, RoomId, UserId};
use actors::domain::message::{Attachment, MessageType};
use actors::error::{EngineError, ErrorCode};

use crate::files::{AttachmentKind, NamedUpload, StoredFile, UploadError};
use crate::http::body::truncated_body;
use crate::http::caller::Caller;
use crate::http::error::ApiError;
use crate::http::state::ApiState;
use crate::store::postgres::files::UnattachedFile;

/// The field that holds the file, and that errors in it are reported under.
pub(super) const FIELD: &str = "attachment";

/// A file that is stored and that no message carries yet.
pub(in crate::http) struct StoredAttachment(StoredFile);

impl StoredAttachment {
    /// Stores a file until its message is sent or a sweep finds it.
    ///
    /// # Errors
    /// 503: the database or the storage is unavailable. What was written is left to the sweep.
    pub(in crate::http) async fn store(
        state: &ApiState,
        sender: UserId,
        upload: NamedUpload,
    ) -> Result<Self, ApiError> {
        let file = upload.file();
        let row = UnattachedFile {
            id: FileId(file.id),
            uploaded_by: sender,
            name: &file.name,
            size: size_of(file),
            content_type: file.content_type,
            is_image: file.kind == AttachmentKind::Image,
            pixels: pixels_of(file),
            has_previews: file.has_previews,
        };
        // The row comes first: once the file has its final key, only the row leads a sweep to it.
        state.store.insert_unattached_file(row).await?;
        let stored = upload.keep().await.map_err(|error| upload_error(state, error))?;
        Ok(Self(stored))
    }

    /// Returns the type of a message that carries this file.
    pub(super) fn message_type(&self) -> MessageType {
        match self.0.kind {
            AttachmentKind::Image => MessageType::Image,
            AttachmentKind::File => MessageType::File,
        }
    }

    /// Returns the file as its message names it.
    pub(super) fn attachment(&self) -> Attachment {
        let file = &self.0;
        let (width, height) = pixels_of(file).unzip();
        let content_type = file.content_type.to_owned();
        let media = Media { content_type, width, height, has_previews: file.has_previews };
        Attachment { file: self.id(), name: file.name.clone(), size: size_of(file), media }
    }

    /// Returns the file's id.
    pub(in crate::http) fn id(&self) -> FileId {
        FileId(self.0.id)
    }

    /// Returns the digest of the bytes that the client sent.
    pub(super) fn digest(&self) -> &[u8; 32] {
        &self.0.digest
    }

    /// Discards the file, because its message isn't sent. On failure the file is left to the sweep.
    pub(in crate::http) async fn discard(self, state: &ApiState) {
        if let Err(error) = state.store.discard_file(FileId(self.0.id)).await {
            tracing::warn!(%error, "a file could not be discarded");
        }
    }
}

fn size_of(file: &StoredFile) -> i64 {
    i64::try_from(file.size).unwrap_or(i64::MAX)
}

fn pixels_of(file: &StoredFile) -> Option<(i32, i32)> {
    let (width, height) = file.pixels?;
    Some((width.try_into().ok()?, height.try_into().ok()?))
}

/// Refuses an upload from users who were never in the room, before it is read.
///
/// A former participant passes: repeating a send that succeeded is answered as before. Whether the
/// message may be posted is decided by the engine, under the room's lock.
///
/// # Errors
/// 400 of `room`, as the engine's refusal is reported.
pub(super) async fn check_uploader(state: &ApiState, caller: &Caller, room: RoomId) -> Result<(), ApiError> {
    let user = caller.user_id()?;
    if caller.is_service() || state.store.has_been_participant(room, user).await? {
        return Ok(());
    }
    Err(ApiError::field("room", Refusal::NotParticipant.to_string()))
}

/// Returns the response to an upload that failed.
pub(super) fn upload_error(state: &ApiState, error: UploadError) -> ApiError {
    match error {
        UploadError::TooLarge => too_large(state),
        UploadError::Refused(why) => rejected(format!("{why} {}", state.uploads.allowed())),
        UploadError::Interrupted => truncated_body(),
        UploadError::Io(cause) => {
            tracing::error!(%cause, "a file could not be stored");
            EngineError::Unavailable.into()
        }
    }
}

/// Returns 413 of a form, with what may be attached.
pub(super) fn too_large(state: &ApiState) -> ApiError {
    let detail =
        format!("The file, or the rest of the form, is larger than allowed. {}", state.uploads.allowed());
    ApiError::coded(ErrorCode::TooLarge, detail)
}

/// Returns 400 of the file.
pub(super) fn rejected(why: impl Into<String>) -> ApiError {
    ApiError::field(FIELD, why)
}
