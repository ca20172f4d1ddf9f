//! Takes attachments in, gives them out, and deletes them.

use std::{fmt, io, num::NonZeroUsize, path::Path, sync::Arc};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task;
use uuid::Uuid;

use super::{
    format::{self, Beginning, Format, HEAD_BYTES, Kind},
    limits::{IMAGE_BYTES_MAX, IMAGES_AT_ONCE_MAX, NAME_CHARS_MAX},
    name::{Claim, clean_name, with_extension},
    office::{self, Content},
    ole, picture,
    range::ByteRange,
    storage::{FileBody, OpenError, Staged, Storage},
    text::TextScan,
};

/// Why an upload was not taken; nothing of it is kept.
#[derive(Debug, Error)]
pub enum UploadError {
    /// Over the limit: 413.
    #[error("upload over the limit")]
    TooLarge,
    /// Not a file that may be attached: 400, with this sentence under `attachment`.
    #[error("upload refused: {0}")]
    Refused(String),
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

/// A file that has come in and whose content passed, and that has no name yet; dropped, nothing of it is kept.
pub struct Inspected {
    content: Content,
    size: u64,
    digest: [u8; 32],
    staged: Staged,
}

impl Inspected {
    /// Names the file: as `wanted`, where that is given, else by its `own` name. A name must not claim to be
    /// something else than what is inside, and is given the extension of that; one that can't be read is
    /// as good as none.
    ///
    /// # Errors
    /// [`UploadError::Refused`] when the name claims something else, when only a name could tell what is
    /// inside and doesn't, and when it has more than [`NAME_CHARS_MAX`] code points.
    pub fn named(self, own: &str, wanted: Option<&str>) -> Result<Received, UploadError> {
        let (own, wanted) = (clean_name(own), wanted.and_then(clean_name));
        let claim = match wanted.as_deref().map(Claim::of) {
            Some(known @ Claim::Known(_)) => known,
            // What isn't an extension of ours goes by the file's own.
            _ => own.as_deref().map_or(Claim::Nothing, Claim::of),
        };
        let format = self.content.under(claim)?;
        let name = wanted.or(own);
        if name.as_ref().is_some_and(|name| name.chars().count() > NAME_CHARS_MAX) {
            return Err(UploadError::refused("The file's name is over 255 characters."));
        }
        let stored = StoredFile {
            id: self.staged.id(),
            name: with_extension(name.as_deref(), format),
            size: self.size,
            content_type: format.content_type(),
            kind: format.kind(),
            digest: self.digest,
        };
        Ok(Received { stored, staged: self.staged })
    }
}

impl Content {
    /// The format that this is under a name with such an ending.
    fn under(self, claim: Claim<'_>) -> Result<Format, UploadError> {
        if let Claim::Foreign(extension) = claim {
            return Err(UploadError::Refused(format!("Files that end in .{extension} may not be attached.")));
        }
        let known = match claim {
            Claim::Known(known) => Some(known),
            _ => None,
        };
        match (self, known) {
            (Self::Is(found), None) => Ok(found),
            // Recorders on phones write both into the same container and don't mark which.
            (Self::Is(Format::M4a | Format::Mp4), Some(known @ (Format::M4a | Format::Mp4))) => Ok(known),
            (Self::Is(found), Some(known)) if found.family() == known.family() => Ok(found),
            (Self::Is(found), Some(known)) => Err(UploadError::Refused(format!(
                "The file's content is that of a .{} file, not of a .{} as its name says.",
                found.extension(),
                known.extension()
            ))),
            (Self::Encrypted, Some(Format::Docx | Format::Doc)) => Ok(Format::Docx),
            (Self::Encrypted, Some(Format::Xlsx | Format::Xls)) => Ok(Format::Xlsx),
            (Self::Text, Some(known @ (Format::Txt | Format::Csv))) => Ok(known),
            (_, Some(known)) => Err(UploadError::Refused(format!(
                "The file's content is not that of a .{} as its name says.",
                known.extension()
            ))),
            (Self::Encrypted, None) => {
                Err(UploadError::refused("A document with a password must be named .docx or .xlsx."))
            }
            (Self::Text, None) => Err(UploadError::refused(UNKNOWN)),
        }
    }
}

/// The name under which a stored file is given out: with the extension of its content type, whatever it was
/// stored with.
#[must_use]
pub fn served_name(name: &str, content_type: &str) -> String {
    Format::of_content_type(content_type)
        .map_or_else(|| name.to_owned(), |format| with_extension(Some(name), format))
}

impl UploadError {
    fn refused(why: &str) -> Self {
        Self::Refused(why.to_owned())
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

    /// What may be attached, as a sentence for people.
    #[must_use]
    pub fn allowed(&self) -> String {
        const MIB: u64 = 1024 * 1024;
        let limit = match self.bytes_max {
            bytes if bytes % MIB == 0 => format!("{} MiB", bytes / MIB),
            bytes => format!("{bytes} bytes"),
        };
        format!("Allowed are {}, up to {limit}.", format::all_extensions())
    }

    /// Takes a file in as it arrives, and finds out what it is; in memory there is one part of it, or one image.
    ///
    /// Dropping the future drops the upload.
    ///
    /// # Errors
    /// [`UploadError`]; a beginning of nothing that may be attached and the limit end it before the body is
    /// all read.
    pub async fn take_in<S, E>(&self, body: S) -> Result<Inspected, UploadError>
    where
        S: Stream<Item = Result<Bytes, E>>,
    {
        let mut arrival = Arrival::new(self.bytes_max);
        let mut incoming = self.storage.begin(Uuid::now_v7()).await?;
        let mut body = std::pin::pin!(body);
        while let Some(bytes) = body.next().await {
            let bytes = bytes.map_err(|_| UploadError::Interrupted)?;
            arrival.take(&bytes)?;
            incoming.write(&bytes).await?;
        }
        let beginning = arrival.end()?;
        let staged = incoming.finish().await?;
        let (content, size) = self.inspect(beginning, &staged, arrival.size).await?;
        Ok(Inspected { content, size, digest: arrival.digest.finalize().into(), staged })
    }

    /// Takes a file in whose name is known before.
    ///
    /// # Errors
    /// As [`Uploads::take_in`] and [`Inspected::named`].
    pub async fn receive<S, E>(&self, name: &str, body: S) -> Result<Received, UploadError>
    where
        S: Stream<Item = Result<Bytes, E>>,
    {
        self.take_in(body).await?.named(name, None)
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

    /// Looks at what only the whole file shows; gives what it is and the size that is stored, an image's as
    /// rewritten.
    async fn inspect(
        &self,
        beginning: Beginning,
        staged: &Staged,
        size: u64,
    ) -> Result<(Content, u64), UploadError> {
        match beginning {
            Beginning::Is(format @ (Format::Jpeg | Format::Png | Format::Gif)) => {
                // The place is kept until the picture is out of memory.
                let (picture, _place) = self.rewritten(format, staged, size).await?;
                let size = picture.len() as u64;
                staged.replace(picture).await?;
                Ok((Content::Is(format), size))
            }
            Beginning::Is(format) => Ok((Content::Is(format), size)),
            Beginning::Ole => {
                let content = ole::content(staged, size).await?;
                let content = content.ok_or_else(|| UploadError::refused(NO_DOCUMENT))?;
                Ok((content, size))
            }
            Beginning::Zip => {
                let format = office::package(staged, size).await?.map_err(UploadError::refused)?;
                Ok((Content::Is(format), size))
            }
            Beginning::Unmarked => Ok((Content::Text, size)),
        }
    }

    async fn rewritten(
        &self,
        format: Format,
        staged: &Staged,
        size: u64,
    ) -> Result<(Vec<u8>, OwnedSemaphorePermit), UploadError> {
        let permit = Arc::clone(&self.images).acquire_owned().await;
        let permit = permit.expect("the semaphore is never closed");
        let bytes = staged.read(0..size).await?;
        let work = task::spawn_blocking(move || {
            // It goes with the work, which runs on when the upload is dropped.
            (picture::rewrite(format, &bytes), permit)
        });
        match work.await {
            Ok((rewritten, place)) => Ok((rewritten.map_err(UploadError::refused)?, place)),
            // A decoder's panic costs this upload alone.
            Err(_) => Err(UploadError::refused("The image can't be read.")),
        }
    }
}

const NO_DOCUMENT: &str = "The document is broken, or it is none of Word or Excel.";
const UNKNOWN: &str = "The file is of no kind that is known.";

/// What is found out about a file while it comes in.
struct Arrival {
    bytes_max: u64,
    size: u64,
    digest: Sha256,
    head: Vec<u8>,
    beginning: Option<Beginning>,
    text: TextScan,
}

impl Arrival {
    fn new(bytes_max: u64) -> Self {
        Self {
            bytes_max,
            size: 0,
            digest: Sha256::new(),
            head: Vec::new(),
            beginning: None,
            text: TextScan::default(),
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), UploadError> {
        self.size += bytes.len() as u64;
        if self.size > self.bytes_max {
            return Err(UploadError::TooLarge);
        }
        self.digest.update(bytes);
        match self.beginning {
            None => {
                let missing = HEAD_BYTES - self.head.len();
                let (head, rest) = bytes.split_at(missing.min(bytes.len()));
                self.head.extend_from_slice(head);
                if self.head.len() < HEAD_BYTES {
                    return Ok(());
                }
                self.look()?;
                self.go_on(rest)
            }
            Some(_) => self.go_on(bytes),
        }
    }

    fn end(&mut self) -> Result<Beginning, UploadError> {
        if self.size == 0 {
            return Err(UploadError::refused("The submitted file is empty."));
        }
        match self.beginning {
            Some(beginning) => Ok(beginning),
            None => self.look(),
        }
    }

    /// Looks at the head, once it is whole or the file ends.
    fn look(&mut self) -> Result<Beginning, UploadError> {
        let beginning = Beginning::of(&self.head);
        let kind = match beginning {
            Beginning::Is(format) => format.kind(),
            _ => Kind::File,
        };
        if kind == Kind::Image {
            self.bytes_max = self.bytes_max.min(IMAGE_BYTES_MAX);
        }
        self.beginning = Some(beginning);
        let head = std::mem::take(&mut self.head);
        self.go_on(&head)?;
        Ok(beginning)
    }

    fn go_on(&mut self, bytes: &[u8]) -> Result<(), UploadError> {
        if self.beginning != Some(Beginning::Unmarked) || bytes.is_empty() {
            return Ok(());
        }
        self.text.feed(bytes);
        if self.text.is_text() { Ok(()) } else { Err(UploadError::refused(UNKNOWN)) }
    }
}

#[cfg(test)]
#[path = "uploads_tests.rs"]
mod tests;
