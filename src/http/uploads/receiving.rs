//! The body of a request becomes pieces of an upload.
//!
//! Without a checksum each piece counts as soon as it is stored, so that a body that breaks off is continued behind its
//! last whole piece, or better. With one, all of them count once the sum is right.

use actix_web::web::{Bytes, BytesMut};
use actors::error::EngineError;
use futures_util::{Stream, StreamExt as _};
use uuid::Uuid;

use super::headers::{Checksum, invalid};
use crate::files::limits::{PIECE_BYTES, SHORT_PIECES_MAX};
use crate::http::body::{BodyError, RequestBody, truncated_body};
use crate::http::error::ApiError;
use crate::http::state::ApiState;
use crate::store::postgres::uploads::UploadRecord;

/// Adds the bytes of a body to an upload, whose `received` tells afterwards how many it has, whatever failed.
///
/// # Errors
/// 400, 408, 409, 413, 415, 429, 460, 503.
pub(super) async fn receive(
    state: &ApiState,
    upload: &mut UploadRecord,
    body: RequestBody,
    checksum: Option<Checksum>,
) -> Result<(), ApiError> {
    if upload.piece_count - upload.received / PIECE_BYTES as i64 >= SHORT_PIECES_MAX {
        return Err(invalid("The upload broke off too often; begin another one."));
    }
    let missing = usize::try_from(upload.length - upload.received).unwrap_or_default();
    let (stream, error) = body.octets(missing)?;
    let has_checksum = checksum.is_some();
    let mut receiver =
        Receiver { state, upload, checksum, buffer: BytesMut::new(), stored: Vec::new(), stored_bytes: 0 };
    let read = receiver.read(stream, &error).await;
    match read {
        Ok(()) => receiver.finish().await,
        Err(failure) => {
            if has_checksum {
                receiver.discard().await;
            } else if let Err(second) = receiver.finish().await {
                tracing::debug!(error = %second, "the last bytes of a body were not kept");
            }
            Err(failure)
        }
    }
}

struct Receiver<'a> {
    state: &'a ApiState,
    upload: &'a mut UploadRecord,
    checksum: Option<Checksum>,
    buffer: BytesMut,
    /// Pieces that don't count yet.
    stored: Vec<Uuid>,
    stored_bytes: i64,
}

impl Receiver<'_> {
    async fn read<E>(
        &mut self,
        stream: impl Stream<Item = Result<Bytes, E>>,
        error: &BodyError,
    ) -> Result<(), ApiError> {
        let mut stream = std::pin::pin!(stream);
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|_| error.take().unwrap_or_else(truncated_body))?;
            if let Some(checksum) = &mut self.checksum {
                checksum.update(&chunk);
            }
            self.buffer.extend_from_slice(&chunk);
            while self.buffer.len() >= PIECE_BYTES {
                let piece = self.buffer.split_to(PIECE_BYTES).freeze();
                self.store(piece).await?;
            }
        }
        Ok(())
    }

    async fn store(&mut self, piece: Bytes) -> Result<(), ApiError> {
        let length = i64::try_from(piece.len()).unwrap_or(i64::MAX);
        let id = self.state.uploads.put_piece(piece).await.map_err(|cause| {
            tracing::error!(%cause, "a piece of an upload could not be stored");
            ApiError::from(EngineError::Unavailable)
        })?;
        self.stored.push(id);
        self.stored_bytes += length;
        if self.checksum.is_none() { self.count().await } else { Ok(()) }
    }

    /// Stores the rest, and lets all that is stored count.
    async fn finish(&mut self) -> Result<(), ApiError> {
        let checksum = self.checksum.take();
        if checksum.is_some_and(|checksum| !checksum.matches()) {
            self.discard().await;
            return Err(ApiError::ChecksumMismatch);
        }
        let rest = self.buffer.split().freeze();
        if rest.is_empty() { self.count().await } else { self.store(rest).await }
    }

    async fn count(&mut self) -> Result<(), ApiError> {
        if self.stored.is_empty() {
            return Ok(());
        }
        let UploadRecord { id, received, .. } = *self.upload;
        let store = &self.state.store;
        if !store.append_to_upload(id, received, self.stored_bytes, &self.stored).await? {
            self.discard().await;
            return Err(ApiError::Conflict("Another request has continued this upload.".to_owned()));
        }
        self.upload.received += self.stored_bytes;
        self.stored.clear();
        self.stored_bytes = 0;
        Ok(())
    }

    /// Forgets what doesn't count.
    async fn discard(&mut self) {
        self.buffer.clear();
        self.stored_bytes = 0;
        let pieces = std::mem::take(&mut self.stored);
        self.state.uploads.delete_pieces(&pieces).await;
    }
}
