//! Smaller sizes of pictures: made when somebody first asks for one, and kept beside the file.

use std::sync::Arc;
use std::time::Duration;

use tokio::task;
use tokio::time::timeout;
use uuid::Uuid;

use super::preview_size::PreviewSize;
use super::range::ByteRange;
use super::shrinking::shrink;
use super::storage::{FileBody, FileOpenError};
use super::uploads::Uploads;

/// How long a request waits for its turn; after that it is given the original.
const TURN_WITHIN: Duration = Duration::from_secs(5);

/// The media types of pictures of which smaller sizes are made.
pub const PREVIEWED_TYPES: [&str; 2] = ["image/jpeg", "image/png"];
/// The media type of previews.
pub const PREVIEW_TYPE: &str = "image/jpeg";

impl Uploads {
    /// Makes a smaller size of a picture, unless it was made. `false`: the original is to be served, because it isn't
    /// larger, can't be decoded within the limits, or others are being made.
    ///
    /// # Errors
    /// [`FileOpenError`].
    pub async fn make_preview(&self, id: Uuid, size: PreviewSize) -> Result<bool, FileOpenError> {
        if let Some(known) = self.storage.preview_bytes(id, size).await? {
            return Ok(known > 0);
        }
        let Ok(permit) = timeout(TURN_WITHIN, Arc::clone(&self.images).acquire_owned()).await else {
            return Ok(false);
        };
        // Another request may have made it meanwhile.
        if let Some(known) = self.storage.preview_bytes(id, size).await? {
            return Ok(known > 0);
        }
        let original = self.storage.read_whole(id).await?;
        let work = task::spawn_blocking(move || {
            let preview = shrink(&original, size.side());
            // The next one begins when this one is no longer in memory.
            drop((original, permit));
            preview
        });
        // An empty file says that there is none, so that nobody tries again.
        let preview = work.await.ok().flatten().unwrap_or_default();
        let is_made = !preview.is_empty();
        self.storage.put_preview(id, size, preview).await?;
        Ok(is_made)
    }

    /// Opens a smaller size of a picture that was made, or a range of it.
    ///
    /// # Errors
    /// [`FileOpenError`].
    pub async fn open_preview(
        &self,
        id: Uuid,
        size: PreviewSize,
        range: Option<ByteRange>,
    ) -> Result<FileBody, FileOpenError> {
        self.storage.read_preview(id, size, range).await
    }
}

#[cfg(test)]
#[path = "previews_tests.rs"]
mod tests;
