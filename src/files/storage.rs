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
    time::{Duration, SystemTime},
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

use super::{limits::PART_BYTES, preview_size::PreviewSize, range::ByteRange};

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
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) folder: PathBuf,
}

impl Storage {
    /// Opens `folder`, which is created if necessary. Its permissions are reset to the server's account.
    pub(super) fn open(folder: &FsPath) -> io::Result<Self> {
        let (incoming, pieces) = (folder.join(INCOMING), folder.join(PIECES));
        for inner in [&incoming, &pieces] {
            DirBuilder::new().recursive(true).mode(0o700).create(inner)?;
        }
        for folder in [folder, &incoming, &pieces] {
            fs::set_permissions(folder, Permissions::from_mode(0o700))?;
        }
        let store = LocalFileSystem::new_with_prefix(folder)?.with_fsync(true);
        Ok(Self { store: Arc::new(store), folder: folder.to_owned() })
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
        self.read_key(&key(id), range).await
    }

    async fn read_key(&self, key: &Path, range: Option<ByteRange>) -> Result<FileBody, FileOpenError> {
        let mut options = GetOptions::default();
        if let Some(range) = range {
            let size = self.store.head(key).await?.size;
            let range = range.within(size).ok_or(FileOpenError::BadRange { size })?;
            options.range = Some(GetRange::Bounded(range));
        }
        let found = self.store.get_opts(key, options).await?;
        Ok(FileBody { size: found.meta.size, range: found.range.clone(), stream: found.into_stream() })
    }

    /// Reads a whole file into memory.
    pub(super) async fn read_whole(&self, id: Uuid) -> Result<Bytes, FileOpenError> {
        Ok(self.store.get(&key(id)).await?.bytes().await?)
    }

    /// The size of a smaller size of a picture; `None` if none was made.
    pub(super) async fn preview_bytes(
        &self,
        id: Uuid,
        size: PreviewSize,
    ) -> Result<Option<u64>, FileOpenError> {
        match self.store.head(&preview_key(id, size)).await {
            Ok(found) => Ok(Some(found.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a smaller size of a picture, or a range of it.
    pub(super) async fn read_preview(
        &self,
        id: Uuid,
        size: PreviewSize,
        range: Option<ByteRange>,
    ) -> Result<FileBody, FileOpenError> {
        self.read_key(&preview_key(id, size), range).await
    }

    /// Stores a smaller size of a picture, unless that was deleted meanwhile.
    pub(super) async fn put_preview(
        &self,
        id: Uuid,
        size: PreviewSize,
        bytes: Bytes,
    ) -> Result<(), FileOpenError> {
        let preview = preview_key(id, size);
        self.store.put(&preview, PutPayload::from(bytes)).await?;
        // Who deletes a file deletes it first and what is beside it afterwards.
        match self.store.head(&key(id)).await {
            Ok(_) => Ok(()),
            Err(error) => {
                self.delete_key(&preview).await?;
                Err(error.into())
            }
        }
    }

    /// Deletes a file and what was made of it; a missing one is no error.
    pub(super) async fn delete(&self, id: Uuid) -> Result<(), object_store::Error> {
        self.delete_key(&key(id)).await?;
        for size in PreviewSize::ALL {
            self.delete_key(&preview_key(id, size)).await?;
        }
        Ok(())
    }

    async fn delete_key(&self, key: &Path) -> Result<(), object_store::Error> {
        match self.store.delete(key).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            other => other,
        }
    }

    /// Removes the files of a folder that nobody has written to for `age`. Returns their number.
    pub(super) async fn sweep(&self, folder: &str, age: Duration) -> io::Result<usize> {
        let folder = self.folder.join(folder);
        task::spawn_blocking(move || sweep(&folder, age, SystemTime::now()))
            .await
            .map_err(io::Error::other)?
    }
}

/// The folder of uploads under way.
pub(super) const INCOMING: &str = "incoming";
/// The folder of pieces of uploads that can be resumed.
pub(super) const PIECES: &str = "pieces";

/// Distributes files over 256 folders by the last digits of their ids, which are random.
fn key(id: Uuid) -> Path {
    let name = id.to_string();
    Path::from_iter([&name[name.len() - 2..], &name])
}

/// The key of a smaller size of a picture, beside that of the picture.
fn preview_key(id: Uuid, size: PreviewSize) -> Path {
    let name = id.to_string();
    let beside = format!("{name}-{}", size.as_str());
    Path::from_iter([&name[name.len() - 2..], &beside])
}

/// Lists the folder itself, because the store hides the parts of an unfinished upload.
fn sweep(folder: &FsPath, age: Duration, now: SystemTime) -> io::Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(folder)? {
        removed += usize::from(remove_left_behind(&entry?.path(), age, now)?);
    }
    Ok(removed)
}

/// Removes a file that is no longer written to; it may have been removed since it was listed.
fn remove_left_behind(file: &FsPath, age_max: Duration, now: SystemTime) -> io::Result<bool> {
    let removed = fs::metadata(file).and_then(|found| found.modified()).and_then(|written| {
        let is_old = now.duration_since(written).is_ok_and(|age| age > age_max);
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
    use crate::files::limits::INCOMING_AGE_MAX;

    #[test]
    fn the_sweep_removes_old_uploads_and_keeps_active_ones() {
        let folder = tempfile::tempdir().expect("a folder");
        let storage = Storage::open(folder.path()).expect("storage");
        let incoming = storage.folder.join(INCOMING);
        fs::write(incoming.join("a#1"), "left behind").expect("written");
        let now = SystemTime::now();
        assert_eq!(sweep(&incoming, INCOMING_AGE_MAX, now).expect("swept"), 0);
        let later = now + INCOMING_AGE_MAX + Duration::from_secs(60);
        assert_eq!(sweep(&incoming, INCOMING_AGE_MAX, later).expect("swept"), 1);
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
        let removed = remove_left_behind(&folder.path().join("a#1"), INCOMING_AGE_MAX, SystemTime::now());
        assert!(!removed.expect("no error"));
    }
}
