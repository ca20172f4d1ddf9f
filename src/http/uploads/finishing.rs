//! What becomes of a complete upload: a file that a message may carry, or a refusal.

use actors::domain::ids::{UploadId, UserId};
use actors::error::EngineError;

use crate::files::UploadError;
use crate::http::error::ApiError;
use crate::http::messages::attachment::StoredAttachment;
use crate::http::state::ApiState;
use crate::store::postgres::uploads::UploadContent;

/// Looks at those of a user's uploads that are complete and that nobody has looked at, as after the death of the node
/// that received them.
///
/// # Errors
/// 503; whoever asks next tries again.
pub(in crate::http) async fn finish(
    state: &ApiState,
    user: UserId,
    ids: &[UploadId],
) -> Result<(), ApiError> {
    for (id, content) in state.store.unfinished_uploads(user, ids).await? {
        // Another request on this node is at it; its result is what counts.
        let Some(_turn) = state.uploads.begin_inspection(id.0) else { continue };
        inspect(state, user, id, &content).await?;
        state.uploads.delete_pieces(&content.pieces).await;
    }
    Ok(())
}

async fn inspect(
    state: &ApiState,
    user: UserId,
    id: UploadId,
    content: &UploadContent,
) -> Result<(), ApiError> {
    let bytes = state.uploads.read_pieces(content.pieces.clone());
    let why = match state.uploads.ingest_named(&content.name, bytes).await {
        Ok(upload) => {
            let stored = StoredAttachment::store(state, user, upload).await?;
            if !state.store.finish_upload(id, Ok(stored.id())).await? {
                stored.discard(state).await;
            }
            return Ok(());
        }
        Err(UploadError::Refused(why)) => why,
        Err(UploadError::TooLarge) => "The file is larger than allowed.".to_owned(),
        Err(error @ (UploadError::Interrupted | UploadError::Io(_))) => {
            tracing::error!(%error, "an upload could not be read");
            return Err(EngineError::Unavailable.into());
        }
    };
    let why = format!("{why} {}", state.uploads.allowed());
    state.store.finish_upload(id, Err(&why)).await?;
    Ok(())
}
