//! The bytes of uploads that are not complete yet, in pieces: a row of the database says which make up an upload.
//!
//! Each piece is a file of its own, which is synced before it counts. So any node continues what another began, and a
//! node that dies loses at most the piece that it was receiving.

use std::io;
use std::sync::PoisonError;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use object_store::{ObjectStoreExt as _, PutPayload, path::Path};
use uuid::Uuid;

use super::limits::PIECE_AGE_MAX;
use super::storage::PIECES;
use super::uploads::Uploads;

impl Uploads {
    /// Stores a piece. It is swept some time after the longest time for which an upload is kept.
    ///
    /// # Errors
    /// If the storage fails; there may be a piece that nothing names.
    pub async fn put_piece(&self, bytes: Bytes) -> Result<Uuid, object_store::Error> {
        let id = Uuid::now_v7();
        self.storage.store.put(&key(id), PutPayload::from(bytes)).await?;
        Ok(id)
    }

    /// Reads pieces one after the other.
    pub fn read_pieces(
        &self,
        pieces: Vec<Uuid>,
    ) -> impl Stream<Item = Result<Bytes, object_store::Error>> + use<> {
        let store = self.storage.store.clone();
        stream::iter(pieces)
            .then(move |piece| {
                let store = store.clone();
                async move { Ok::<_, object_store::Error>(store.get(&key(piece)).await?.into_stream()) }
            })
            .try_flatten()
    }

    /// Deletes pieces. Those that can't be deleted are left to the sweep.
    pub async fn delete_pieces(&self, pieces: &[Uuid]) {
        for piece in pieces {
            match self.storage.store.delete(&key(*piece)).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => tracing::warn!(%error, "a piece of an upload can't be deleted"),
            }
        }
    }

    /// Begins to look at a complete upload; `None` if that is done already by another request on this node.
    #[must_use]
    pub fn begin_inspection(&self, upload: Uuid) -> Option<Inspecting> {
        let mut inspections = self.inspections.lock().unwrap_or_else(PoisonError::into_inner);
        inspections.insert(upload).then(|| Inspecting { uploads: self.clone(), upload })
    }

    /// Removes pieces that no upload can name any more. Returns their number.
    ///
    /// # Errors
    /// If the folder can't be read, or a piece can't be removed.
    pub async fn sweep_pieces(&self) -> io::Result<usize> {
        self.storage.sweep(PIECES, PIECE_AGE_MAX).await
    }
}

/// That an upload is being looked at, until this is dropped.
pub struct Inspecting {
    uploads: Uploads,
    upload: Uuid,
}

impl Drop for Inspecting {
    fn drop(&mut self) {
        let mut inspections = self.uploads.inspections.lock().unwrap_or_else(PoisonError::into_inner);
        inspections.remove(&self.upload);
    }
}

fn key(piece: Uuid) -> Path {
    Path::from_iter([PIECES, &piece.to_string()])
}
