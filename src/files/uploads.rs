//! Takes attachments in, gives them out, and deletes them.

use std::{fmt, io, num::NonZeroUsize, path::Path, sync::Arc};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use tokio::{sync::Semaphore, task};
use uuid::Uuid;

use super::{
    format::{Format, HEAD_BYTES, Kind},
    limits::{DIRECTORY_BYTES_MAX, IMAGE_BYTES_MAX, IMAGES_AT_ONCE_MAX},
    name::clean_name,
    office::{self, OleScan},
    picture,
    range::ByteRange,
    storage::{FileBody, OpenError, Staged, Storage},
};

/// Why an upload was not taken; nothing of it is kept.
#[derive(Debug, Error)]
pub enum UploadError {
    /// Over the limit: 413.
    #[error("upload over the limit")]
    TooLarge,
    /// Not a file that may be attached: 400, with this sentence under `attachment`.
    #[error("upload refused: {0}")]
    Refused(&'static str),
    /// The body ended with an error: the client went away, or sent too slowly.
    #[error("upload was interrupted")]
    Interrupted,
    /// The storage failed: 503.
    #[error("storage failed: {0}")]
    Io(#[from] object_store::Error),
}

/// A file as it is stored and synced, and that no message names yet.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// By which it is opened and deleted.
    pub id: Uuid,
    /// Its name, cleaned, 255 code points at most.
    pub name: String,
    /// Bytes as they are stored; an image's differ from what was sent.
    pub size: u64,
    /// By its format, never by what the client said.
    pub content_type: &'static str,
    /// Whether it is shown in place.
    pub kind: Kind,
    /// SHA-256 of the bytes that were sent, so that the same upload sent again is known by it.
    pub digest: [u8; 32],
}

/// Leaves the name out: it belongs to people and is never logged.
impl fmt::Debug for StoredFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredFile")
            .field("id", &self.id)
            .field("size", &self.size)
            .field("content_type", &self.content_type)
            .finish_non_exhaustive()
    }
}

/// A file that has come in and passed, and that nobody can be given yet; dropped, nothing of it is kept.
pub struct Received {
    stored: StoredFile,
    staged: Staged,
}

impl Received {
    /// What is kept.
    #[must_use]
    pub fn file(&self) -> &StoredFile {
        &self.stored
    }

    /// Puts the file where it is given out from. The caller has noted it before: from here on no sweep of
    /// this folder finds it.
    ///
    /// # Errors
    /// When the storage fails; the file may be there.
    pub async fn keep(self) -> Result<StoredFile, UploadError> {
        self.staged.commit().await?;
        Ok(self.stored)
    }
}

/// All attachments of this installation. Clones share it.
#[derive(Debug, Clone)]
pub struct Uploads {
    storage: Storage,
    bytes_max: u64,
    images: Arc<Semaphore>,
}

impl Uploads {
    /// Opens `DATA_DIR/files`; `bytes_max` is `MAX_UPLOAD_BYTES`.
    ///
    /// # Errors
    /// When the folder can't be made.
    pub fn open_folder(data_dir: &Path, bytes_max: u64) -> io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let images = (cores / 2).clamp(1, IMAGES_AT_ONCE_MAX);
        Ok(Self {
            storage: Storage::open(&data_dir.join("files"))?,
            bytes_max,
            images: Arc::new(Semaphore::new(images)),
        })
    }

    /// Takes a file in as it arrives; in memory there is one part of it, or one image.
    ///
    /// Dropping the future drops the upload.
    ///
    /// # Errors
    /// [`UploadError`]; a wrong beginning and the limit end it before the body is all read.
    pub async fn receive<S, E>(&self, name: &str, body: S) -> Result<Received, UploadError>
    where
        S: Stream<Item = Result<Bytes, E>>,
    {
        let name = clean_name(name)?;
        let format = Format::of_name(&name).ok_or(UploadError::Refused(
            "Only jpg, jpeg, png, gif, pdf, doc, docx, xls and xlsx may be attached.",
        ))?;
        let id = Uuid::now_v7();
        let mut arrival = Arrival::new(format, self.bytes_max);
        let mut incoming = self.storage.begin(id).await?;
        let mut body = std::pin::pin!(body);
        while let Some(bytes) = body.next().await {
            let bytes = bytes.map_err(|_| UploadError::Interrupted)?;
            arrival.take(&bytes)?;
            incoming.write(&bytes).await?;
        }
        arrival.end()?;
        let staged = incoming.finish().await?;
        let size = self.inspect(format, &staged, arrival.size).await?;
        let stored = StoredFile {
            id,
            name,
            size,
            content_type: format.content_type(),
            kind: format.kind(),
            digest: arrival.digest.finalize().into(),
        };
        Ok(Received { stored, staged })
    }

    /// Opens a file, or a range of it. Whether the caller may see it has been checked before.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(&self, id: Uuid, range: Option<ByteRange>) -> Result<FileBody, OpenError> {
        self.storage.read(id, range).await
    }

    /// Deletes a file; doing it again is no error.
    ///
    /// # Errors
    /// When the storage fails; the file may still be there.
    pub async fn delete(&self, id: Uuid) -> Result<(), object_store::Error> {
        self.storage.delete(id).await
    }

    /// Removes what a killed server left half uploaded; to be called now and then. Gives the count.
    ///
    /// # Errors
    /// When the folder can't be read or a file not removed.
    pub async fn sweep(&self) -> io::Result<usize> {
        self.storage.sweep().await
    }

    /// Looks at what only the whole file shows; gives the size that is stored, an image's as rewritten.
    async fn inspect(&self, format: Format, staged: &Staged, size: u64) -> Result<u64, UploadError> {
        match format {
            Format::Jpeg | Format::Png | Format::Gif => {
                let picture = self.rewritten(format, staged, size).await?;
                let size = picture.len() as u64;
                staged.replace(picture).await?;
                return Ok(size);
            }
            Format::Docx | Format::Xlsx => check_document(format, staged, size).await?,
            Format::Pdf | Format::Doc | Format::Xls => {}
        }
        Ok(size)
    }

    async fn rewritten(&self, format: Format, staged: &Staged, size: u64) -> Result<Vec<u8>, UploadError> {
        let permit = Arc::clone(&self.images).acquire_owned().await;
        let permit = permit.expect("the semaphore is never closed");
        let bytes = staged.read(0..size).await?;
        let work = task::spawn_blocking(move || {
            // It goes with the work, which runs on when the upload is dropped.
            let _permit = permit;
            picture::rewrite(format, &bytes)
        });
        match work.await {
            Ok(rewritten) => rewritten.map_err(UploadError::Refused),
            Err(_) => Err(UploadError::Refused("The image can't be read.")),
        }
    }
}

const WRONG_CONTENT: UploadError = UploadError::Refused("The file's content is not what its name says.");

/// Checks by its directory that a ZIP is the document that its name says.
async fn check_document(format: Format, staged: &Staged, size: u64) -> Result<(), UploadError> {
    let tail = staged.read(size.saturating_sub(office::ZIP_TAIL_BYTES)..size).await?;
    let directory = office::zip_directory(&tail, size)
        .filter(|directory| directory.start < directory.end)
        .filter(|directory| directory.end - directory.start <= DIRECTORY_BYTES_MAX)
        .ok_or(WRONG_CONTENT)?;
    let directory = staged.read(directory).await?;
    office::is_document(&directory, format).then_some(()).ok_or(WRONG_CONTENT)
}

/// What is found out about a file while it comes in.
struct Arrival {
    format: Format,
    bytes_max: u64,
    size: u64,
    digest: Sha256,
    head: Vec<u8>,
    ole: Option<OleScan>,
}

impl Arrival {
    fn new(format: Format, bytes_max: u64) -> Self {
        let bytes_max = match format.kind() {
            Kind::Image => bytes_max.min(IMAGE_BYTES_MAX),
            Kind::File => bytes_max,
        };
        Self { format, bytes_max, size: 0, digest: Sha256::new(), head: Vec::new(), ole: OleScan::of(format) }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), UploadError> {
        self.size += bytes.len() as u64;
        if self.size > self.bytes_max {
            return Err(UploadError::TooLarge);
        }
        if self.head.len() < HEAD_BYTES {
            let missing = HEAD_BYTES - self.head.len();
            self.head.extend_from_slice(&bytes[..missing.min(bytes.len())]);
            if self.head.len() == HEAD_BYTES && !self.format.begins(&self.head) {
                return Err(WRONG_CONTENT);
            }
        }
        self.digest.update(bytes);
        if let Some(ole) = &mut self.ole {
            ole.feed(bytes);
        }
        Ok(())
    }

    fn end(&self) -> Result<(), UploadError> {
        if self.size == 0 {
            return Err(UploadError::Refused("The submitted file is empty."));
        }
        let is_another = self.ole.as_ref().is_some_and(OleScan::is_another);
        (self.format.begins(&self.head) && !is_another).then_some(()).ok_or(WRONG_CONTENT)
    }
}

#[cfg(test)]
#[path = "uploads_tests.rs"]
mod tests;
