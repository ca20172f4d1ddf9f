//! Stores attachments in a folder, through `object_store` so that a bucket can take its place.
//!
//! An upload is written under `incoming/`, from which nothing is served, and moved to its own key once it is
//! accepted. Files are synced to disk before a message may name them. An unfinished upload is removed when it
//! is dropped, and by [`Storage::sweep`] after a crash.

use std::{
    fmt,
    fs::{self, DirBuilder, Permissions},
    io,
    ops::Range,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path as FsPath, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use bytes::{Bytes, BytesMut};
use futures_util::stream::BoxStream;
use object_store::{
    GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt as _, PutPayload,
    local::LocalFileSystem, path::Path,
};
use thiserror::Error;
use tokio::task;
use uuid::Uuid;

use super::{
    limits::{INCOMING_AGE_MAX, PART_BYTES},
    range::ByteRange,
};

/// Why a file can't be opened.
#[derive(Debug, Error)]
pub enum FileOpenError {
    /// There is no such file.
    #[error("no such file")]
    NotFound,
    /// The range is outside of the file: 416 with `Content-Range: bytes */<size>`.
    #[error("range outside of a file of {size} bytes")]
    BadRange {
        /// Size of the whole file in bytes.
        size: u64,
    },
    /// The storage failed.
    #[error("storage failed: {0}")]
    Io(#[source] object_store::Error),
}

impl From<object_store::Error> for FileOpenError {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Self::NotFound,
            error => Self::Io(error),
        }
    }
}

/// The content of a file.
pub struct FileBody {
    /// Size of the whole file in bytes.
    pub size: u64,
    /// The range that `stream` yields.
    pub range: Range<u64>,
    /// The content, in chunks of some kilobytes.
    pub stream: BoxStream<'static, Result<Bytes, object_store::Error>>,
}

impl fmt::Debug for FileBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileBody")
            .field("size", &self.size)
            .field("range", &self.range)
            .finish_non_exhaustive()
    }
}

/// The folder of attachments.
#[derive(Debug, Clone)]
pub(super) struct Storage {
    store: Arc<dyn ObjectStore>,
    incoming: PathBuf,
}

impl Storage {
    /// Opens `folder`, which is created if necessary. Its permissions are reset to the server's account.
    pub(super) fn open(folder: &FsPath) -> io::Result<Self> {
        let incoming = folder.join(INCOMING);
        DirBuilder::new().recursive(true).mode(0o700).create(&incoming)?;
        for folder in [folder, &incoming] {
            fs::set_permissions(folder, Permissions::from_mode(0o700))?;
        }
        let store = LocalFileSystem::new_with_prefix(folder)?.with_fsync(true);
        Ok(Self { store: Arc::new(store), incoming })
    }

    /// Starts a file that is invisible until it is committed.
    pub(super) async fn begin(&self, id: Uuid) -> Result<UploadWriter, object_store::Error> {
        let staged = StagedFile {
            store: Arc::clone(&self.store),
            id,
            key: Path::from_iter([INCOMING, &id.to_string()]),
            present: false,
        };
        let parts = self.store.put_multipart(&staged.key).await?;
        Ok(UploadWriter { parts, waiting: BytesMut::new(), staged })
    }

    /// Opens a file, or a range of it.
    pub(super) async fn read(&self, id: Uuid, range: Option<ByteRange>) -> Result<FileBody, FileOpenError> {
        let key = key(id);
        let mut options = GetOptions::default();
        if let Some(range) = range {
            let size = self.store.head(&key).await?.size;
            let range = range.within(size).ok_or(FileOpenError::BadRange { size })?;
            options.range = Some(GetRange::Bounded(range));
        }
        let found = self.store.get_opts(&key, options).await?;
        Ok(FileBody { size: found.meta.size, range: found.range.clone(), stream: found.into_stream() })
    }

    /// Deletes a file; a missing one is no error.
    pub(super) async fn delete(&self, id: Uuid) -> Result<(), object_store::Error> {
        match self.store.delete(&key(id)).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            other => other,
        }
    }

    /// Removes the uploads that a killed server left behind. Returns their number.
    pub(super) async fn sweep(&self) -> io::Result<usize> {
        let incoming = self.incoming.clone();
        task::spawn_blocking(move || sweep(&incoming, SystemTime::now())).await.map_err(io::Error::other)?
    }
}

const INCOMING: &str = "incoming";

/// Distributes files over 256 folders by the last digits of their ids, which are random.
fn key(id: Uuid) -> Path {
    let name = id.to_string();
    Path::from_iter([&name[name.len() - 2..], &name])
}

/// Lists the folder itself, because the store hides the parts of an unfinished upload.
fn sweep(incoming: &FsPath, now: SystemTime) -> io::Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(incoming)? {
        removed += usize::from(remove_left_behind(&entry?.path(), now)?);
    }
    Ok(removed)
}

/// Removes a file that is no longer written to; it may have been removed since it was listed.
fn remove_left_behind(file: &FsPath, now: SystemTime) -> io::Result<bool> {
    let removed = fs::metadata(file).and_then(|found| found.modified()).and_then(|written| {
        let is_old = now.duration_since(written).is_ok_and(|age| age > INCOMING_AGE_MAX);
        if is_old { fs::remove_file(file).map(|()| true) } else { Ok(false) }
    });
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        other => other,
    }
}

/// A file that is being written. Dropping it removes it.
pub(super) struct UploadWriter {
    parts: Box<dyn MultipartUpload>,
    waiting: BytesMut,
    staged: StagedFile,
}

impl UploadWriter {
    /// Appends bytes; they are written in full parts.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), object_store::Error> {
        self.waiting.extend_from_slice(bytes);
        while self.waiting.len() >= PART_BYTES {
            let part = self.waiting.split_to(PART_BYTES).freeze();
            self.parts.put_part(part.into()).await?;
        }
        Ok(())
    }

    /// Writes the rest.
    pub(super) async fn finish(mut self) -> Result<StagedFile, object_store::Error> {
        if !self.waiting.is_empty() {
            let part = self.waiting.split().freeze();
            self.parts.put_part(part.into()).await?;
        }
        self.staged.present = true;
        self.parts.complete().await?;
        Ok(self.staged)
    }
}

/// A complete upload under its temporary key. Dropping it without a commit removes it.
pub(super) struct StagedFile {
    store: Arc<dyn ObjectStore>,
    id: Uuid,
    key: Path,
    present: bool,
}

impl StagedFile {
    /// The id under which it will be opened.
    pub(super) fn id(&self) -> Uuid {
        self.id
    }

    /// Reads a range of the upload.
    pub(super) async fn read(&self, range: Range<u64>) -> Result<Bytes, object_store::Error> {
        self.store.get_range(&self.key, range).await
    }

    /// Moves the upload to its final key.
    pub(super) async fn commit(mut self) -> Result<(), object_store::Error> {
        self.store.rename(&self.key, &key(self.id)).await?;
        self.present = false;
        Ok(())
    }

    /// Replaces the content of the upload.
    pub(super) async fn replace(&self, bytes: Vec<u8>) -> Result<(), object_store::Error> {
        self.store.put(&self.key, PutPayload::from(bytes)).await.map(drop)
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        let runtime = tokio::runtime::Handle::try_current();
        if let (true, Ok(runtime)) = (self.present, runtime) {
            let (store, key) = (Arc::clone(&self.store), self.key.clone());
            // The sweep removes what this fails to remove.
            runtime.spawn(async move { store.delete(&key).await });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_sweep_removes_old_uploads_and_keeps_active_ones() {
        let folder = tempfile::tempdir().expect("a folder");
        let storage = Storage::open(folder.path()).expect("storage");
        fs::write(storage.incoming.join("a#1"), "left behind").expect("written");
        let now = SystemTime::now();
        assert_eq!(sweep(&storage.incoming, now).expect("swept"), 0);
        let later = now + INCOMING_AGE_MAX + Duration::from_secs(60);
        assert_eq!(sweep(&storage.incoming, later).expect("swept"), 1);
    }

    #[test]
    fn the_folder_is_accessible_to_its_account_only() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = parent.path().join("files");
        let open = || {
            Storage::open(&folder).expect("storage");
            [&folder, &folder.join(INCOMING)]
                .map(|folder| fs::metadata(folder).expect("there").permissions().mode() & 0o777)
        };
        assert_eq!(open(), [0o700; 2]);
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).expect("set");
        assert_eq!(open(), [0o700; 2], "one of an earlier version");
    }

    #[test]
    fn a_file_removed_during_the_sweep_is_no_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let removed = remove_left_behind(&folder.path().join("a#1"), SystemTime::now());
        assert!(!removed.expect("no error"));
    }
}
