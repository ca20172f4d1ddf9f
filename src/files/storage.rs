//! Where attachments lie: a folder behind `object_store`, so that a bucket can take its place.
//!
//! An upload is written under `incoming/` and moved to its own key once it has passed; nothing is
//! ever served from there. Files are synced to disk before a message may name them. What an upload
//! leaves behind is removed when it is dropped, and by [`Storage::sweep`] after a crash.

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

/// Why a file can't be given out.
#[derive(Debug, Error)]
pub enum OpenError {
    /// It isn't there, or not any more.
    #[error("no such file")]
    NotFound,
    /// The range lies outside of the file: 416 with `Content-Range: bytes */<size>`.
    #[error("range outside of a file of {size} bytes")]
    BadRange {
        /// Bytes of the whole file.
        size: u64,
    },
    /// The storage failed.
    #[error("storage failed: {0}")]
    Io(#[source] object_store::Error),
}

impl From<object_store::Error> for OpenError {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Self::NotFound,
            error => Self::Io(error),
        }
    }
}

/// A file being given out.
pub struct FileBody {
    /// Bytes of the whole file.
    pub size: u64,
    /// The bytes that `stream` gives.
    pub range: Range<u64>,
    /// The content, in pieces of some kilobytes.
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
    /// Opens `folder`, and makes it if it isn't there. It is for this account alone, whatever was set before.
    pub(super) fn open(folder: &FsPath) -> io::Result<Self> {
        let incoming = folder.join(INCOMING);
        DirBuilder::new().recursive(true).mode(0o700).create(&incoming)?;
        for folder in [folder, &incoming] {
            fs::set_permissions(folder, Permissions::from_mode(0o700))?;
        }
        let store = LocalFileSystem::new_with_prefix(folder)?.with_fsync(true);
        Ok(Self { store: Arc::new(store), incoming })
    }

    /// Begins a file that isn't there for anyone until it is committed.
    pub(super) async fn begin(&self, id: Uuid) -> Result<Incoming, object_store::Error> {
        let staged = Staged {
            store: Arc::clone(&self.store),
            id,
            key: Path::from_iter([INCOMING, &id.to_string()]),
            present: false,
        };
        let parts = self.store.put_multipart(&staged.key).await?;
        Ok(Incoming { parts, waiting: BytesMut::new(), staged })
    }

    /// Gives a file out, or one range of it.
    pub(super) async fn read(&self, id: Uuid, range: Option<ByteRange>) -> Result<FileBody, OpenError> {
        let key = key(id);
        let mut options = GetOptions::default();
        if let Some(range) = range {
            let size = self.store.head(&key).await?.size;
            let range = range.within(size).ok_or(OpenError::BadRange { size })?;
            options.range = Some(GetRange::Bounded(range));
        }
        let found = self.store.get_opts(&key, options).await?;
        Ok(FileBody { size: found.meta.size, range: found.range.clone(), stream: found.into_stream() })
    }

    /// Deletes a file; one that isn't there is deleted already.
    pub(super) async fn delete(&self, id: Uuid) -> Result<(), object_store::Error> {
        match self.store.delete(&key(id)).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            other => other,
        }
    }

    /// Removes what uploads of a killed server left behind; gives how many files that were.
    pub(super) async fn sweep(&self) -> io::Result<usize> {
        let incoming = self.incoming.clone();
        task::spawn_blocking(move || sweep(&incoming, SystemTime::now())).await.map_err(io::Error::other)?
    }
}

const INCOMING: &str = "incoming";

/// Files go by their id's last digits, which are random, into 256 folders.
fn key(id: Uuid) -> Path {
    let name = id.to_string();
    Path::from_iter([&name[name.len() - 2..], &name])
}

/// Goes by the folder itself: the store hides the parts of an unfinished upload.
fn sweep(incoming: &FsPath, now: SystemTime) -> io::Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(incoming)? {
        removed += usize::from(remove_left_behind(&entry?.path(), now)?);
    }
    Ok(removed)
}

/// Removes a file that nobody writes any more; one that has gone since it was listed needs nothing.
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

/// A file being written; dropped, it leaves nothing behind.
pub(super) struct Incoming {
    parts: Box<dyn MultipartUpload>,
    waiting: BytesMut,
    staged: Staged,
}

impl Incoming {
    /// Adds bytes; they are written when a part is full.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), object_store::Error> {
        self.waiting.extend_from_slice(bytes);
        while self.waiting.len() >= PART_BYTES {
            let part = self.waiting.split_to(PART_BYTES).freeze();
            self.parts.put_part(part.into()).await?;
        }
        Ok(())
    }

    /// Writes what is left.
    pub(super) async fn finish(mut self) -> Result<Staged, object_store::Error> {
        if !self.waiting.is_empty() {
            let part = self.waiting.split().freeze();
            self.parts.put_part(part.into()).await?;
        }
        self.staged.present = true;
        self.parts.complete().await?;
        Ok(self.staged)
    }
}

/// A complete upload under its temporary key; dropped without a commit, it is removed.
pub(super) struct Staged {
    store: Arc<dyn ObjectStore>,
    id: Uuid,
    key: Path,
    present: bool,
}

impl Staged {
    /// The id under which it will be opened.
    pub(super) fn id(&self) -> Uuid {
        self.id
    }

    /// Reads some bytes back.
    pub(super) async fn read(&self, range: Range<u64>) -> Result<Bytes, object_store::Error> {
        self.store.get_range(&self.key, range).await
    }

    /// Gives the upload its own key.
    pub(super) async fn commit(mut self) -> Result<(), object_store::Error> {
        self.store.rename(&self.key, &key(self.id)).await?;
        self.present = false;
        Ok(())
    }

    /// Puts `bytes` in place of the upload.
    pub(super) async fn replace(&self, bytes: Vec<u8>) -> Result<(), object_store::Error> {
        self.store.put(&self.key, PutPayload::from(bytes)).await.map(drop)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        let runtime = tokio::runtime::Handle::try_current();
        if let (true, Ok(runtime)) = (self.present, runtime) {
            let (store, key) = (Arc::clone(&self.store), self.key.clone());
            // The sweep takes what this fails to remove.
            runtime.spawn(async move { store.delete(&key).await });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_sweep_takes_what_is_old_and_leaves_what_is_under_way() {
        let folder = tempfile::tempdir().expect("a folder");
        let storage = Storage::open(folder.path()).expect("storage");
        fs::write(storage.incoming.join("a#1"), "left behind").expect("written");
        let now = SystemTime::now();
        assert_eq!(sweep(&storage.incoming, now).expect("swept"), 0);
        let later = now + INCOMING_AGE_MAX + Duration::from_secs(60);
        assert_eq!(sweep(&storage.incoming, later).expect("swept"), 1);
    }

    #[test]
    fn the_folder_is_for_its_account_alone() {
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
    fn a_file_that_goes_while_the_sweep_looks_is_gone() {
        let folder = tempfile::tempdir().expect("a folder");
        let removed = remove_left_behind(&folder.path().join("a#1"), SystemTime::now());
        assert!(!removed.expect("no error"));
    }
}
