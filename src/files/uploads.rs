//! Receives, opens and deletes attachments.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::{fmt, io, num::NonZeroUsize, path::Path};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task;
use uuid::Uuid;

use super::{
    format::{self, AttachmentKind, FileFormat, FileSignature, SIGNATURE_BYTES},
    image_sanitizer,
    limits::{IMAGE_BYTES_MAX, IMAGES_AT_ONCE_MAX, INCOMING_AGE_MAX, NAME_CHARS_MAX},
    name::{NameClaim, clean_name, with_extension},
    office::{self, DetectedContent},
    ole,
    range::ByteRange,
    shrinking,
    storage::{FileBody, FileOpenError, INCOMING, StagedFile, Storage},
    text::TextDetector,
};

/// Why an upload was rejected; nothing of it is kept.
#[derive(Debug, Error)]
pub enum UploadError {
    /// Over the size limit: 413.
    #[error("upload over the limit")]
    TooLarge,
    /// Not an allowed file: 400, with this sentence under `attachment`.
    #[error("upload refused: {0}")]
    Refused(String),
    /// The body ended with an error: the client disconnected or was too slow.
    #[error("upload was interrupted")]
    Interrupted,
    /// The storage failed: 503.
    #[error("storage failed: {0}")]
    Io(#[from] object_store::Error),
}

/// A file that is stored and synced, and that no message names yet.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// Identifies the file for opening and deleting it.
    pub id: Uuid,
    /// The cleaned name, at most 255 code points.
    pub name: String,
    /// Stored size in bytes; that of an image differs from what was sent.
    pub size: u64,
    /// Determined by the format, never by the client.
    pub content_type: &'static str,
    /// Whether it is shown inline.
    pub kind: AttachmentKind,
    /// The size of a picture as it is shown, width first.
    pub pixels: Option<(u32, u32)>,
    /// Whether it is served in smaller sizes too.
    pub has_previews: bool,
    /// SHA-256 of the bytes as sent, by which a repeated upload is recognized.
    pub digest: [u8; 32],
}

/// Omits the name: it is personal data and never logged.
impl fmt::Debug for StoredFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredFile")
            .field("id", &self.id)
            .field("size", &self.size)
            .field("content_type", &self.content_type)
            .finish_non_exhaustive()
    }
}

/// A received file whose content is accepted, and that has no name yet. Dropping it removes the file.
pub struct InspectedUpload {
    found: Inspection,
    digest: [u8; 32],
    staged: StagedFile,
}

/// An image without metadata, and its size as it is shown.
type Sanitized = (Vec<u8>, Option<(u32, u32)>);

/// What only a complete file reveals.
struct Inspection {
    content: DetectedContent,
    /// Its stored size in bytes.
    size: u64,
    /// The size of a picture as it is shown.
    pixels: Option<(u32, u32)>,
}

impl InspectedUpload {
    /// Names the file: `wanted` if it is given, otherwise its `own` name. A name may not claim another
    /// format, and gets the extension of the detected one; an unreadable name counts as missing.
    ///
    /// # Errors
    /// [`UploadError::Refused`] if the name claims another format, if only a name could tell the format and
    /// it doesn't, or if it has more than [`NAME_CHARS_MAX`] code points.
    pub fn named(self, own: &str, wanted: Option<&str>) -> Result<NamedUpload, UploadError> {
        let (own, wanted) = (clean_name(own), wanted.and_then(clean_name));
        let claim = match wanted.as_deref().map(NameClaim::of) {
            Some(known @ NameClaim::Known(_)) => known,
            // A wanted name without a known extension leaves the format to the file's own name.
            _ => own.as_deref().map_or(NameClaim::Nothing, NameClaim::of),
        };
        let Inspection { content, size, pixels } = self.found;
        let format = content.resolve_format(claim)?;
        let name = wanted.or(own);
        if name.as_ref().is_some_and(|name| name.chars().count() > NAME_CHARS_MAX) {
            return Err(UploadError::refused("The file's name is over 255 characters."));
        }
        let stored = StoredFile {
            id: self.staged.id(),
            name: with_extension(name.as_deref(), format),
            size,
            content_type: format.content_type(),
            kind: format.kind(),
            pixels,
            has_previews: pixels.is_some_and(|pixels| shrinking::has_previews(format, pixels)),
            digest: self.digest,
        };
        Ok(NamedUpload { stored, staged: self.staged })
    }
}

impl DetectedContent {
    /// The format of this content under a name with that claim.
    fn resolve_format(self, claim: NameClaim<'_>) -> Result<FileFormat, UploadError> {
        if let NameClaim::Foreign(extension) = claim {
            return Err(UploadError::Refused(format!("Files that end in .{extension} may not be attached.")));
        }
        let known = match claim {
            NameClaim::Known(known) => Some(known),
            _ => None,
        };
        match (self, known) {
            (Self::Is(found), None) => Ok(found),
            // Phones record both into the same container without marking which.
            (
                Self::Is(FileFormat::M4a | FileFormat::Mp4),
                Some(known @ (FileFormat::M4a | FileFormat::Mp4)),
            ) => Ok(known),
            (Self::Is(found), Some(known)) if found.family() == known.family() => Ok(found),
            (Self::Is(found), Some(known)) => Err(UploadError::Refused(format!(
                "The file's content is that of a .{} file, not of a .{} as its name says.",
                found.extension(),
                known.extension()
            ))),
            (Self::Encrypted, Some(FileFormat::Docx | FileFormat::Doc)) => Ok(FileFormat::Docx),
            (Self::Encrypted, Some(FileFormat::Xlsx | FileFormat::Xls)) => Ok(FileFormat::Xlsx),
            (Self::Text, Some(known @ (FileFormat::Txt | FileFormat::Csv))) => Ok(known),
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

/// The name under which a stored file is served: with the extension of its content type, whatever it was
/// stored with.
#[must_use]
pub fn served_name(name: &str, content_type: &str) -> String {
    FileFormat::of_content_type(content_type)
        .map_or_else(|| name.to_owned(), |format| with_extension(Some(name), format))
}

impl UploadError {
    fn refused(why: &str) -> Self {
        Self::Refused(why.to_owned())
    }
}

/// A received, accepted and named file that is not served yet. Dropping it removes the file.
pub struct NamedUpload {
    stored: StoredFile,
    staged: StagedFile,
}

impl NamedUpload {
    /// The file to be recorded.
    #[must_use]
    pub fn file(&self) -> &StoredFile {
        &self.stored
    }

    /// Moves the file to the key from which it is served. The caller has recorded it before, because from
    /// here on no sweep of this folder finds it.
    ///
    /// # Errors
    /// If the storage fails; the file may have been moved.
    pub async fn keep(self) -> Result<StoredFile, UploadError> {
        self.staged.commit().await?;
        Ok(self.stored)
    }
}

/// All attachments. Clones share the same storage.
#[derive(Debug, Clone)]
pub struct Uploads {
    pub(super) storage: Storage,
    bytes_max: u64,
    pub(super) images: Arc<Semaphore>,
    /// The uploads that are being looked at.
    pub(super) inspections: Arc<Mutex<HashSet<Uuid>>>,
}

impl Uploads {
    /// Opens `DATA_DIR/files`; `bytes_max` is `MAX_UPLOAD_BYTES`.
    ///
    /// # Errors
    /// If the folder can't be created.
    pub fn open_folder(data_dir: &Path, bytes_max: u64) -> io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let images = (cores / 2).clamp(1, IMAGES_AT_ONCE_MAX);
        Ok(Self {
            storage: Storage::open(&data_dir.join("files"))?,
            bytes_max,
            images: Arc::new(Semaphore::new(images)),
            inspections: Arc::default(),
        })
    }

    /// The folder that everything is stored in.
    pub(super) fn storage(&self) -> &Storage {
        &self.storage
    }

    /// The allowed files, as a sentence for users.
    #[must_use]
    pub fn allowed(&self) -> String {
        const MIB: u64 = 1024 * 1024;
        let limit = match self.bytes_max {
            bytes if bytes % MIB == 0 => format!("{} MiB", bytes / MIB),
            bytes => format!("{bytes} bytes"),
        };
        format!("Allowed are {}, up to {limit}.", format::all_extensions())
    }

    /// Receives a file as a stream and determines its format. Holds one part of it, or one image, in memory.
    /// Dropping the future aborts the upload.
    ///
    /// # Errors
    /// [`UploadError`]. A signature of a disallowed format, and the size limit, end the upload before the
    /// body is read completely.
    pub async fn ingest<S, E>(&self, body: S) -> Result<InspectedUpload, UploadError>
    where
        S: Stream<Item = Result<Bytes, E>>,
    {
        let mut scan = UploadScan::new(self.bytes_max);
        let mut incoming = self.storage.begin(Uuid::now_v7()).await?;
        let mut body = std::pin::pin!(body);
        while let Some(bytes) = body.next().await {
            let bytes = bytes.map_err(|_| UploadError::Interrupted)?;
            scan.feed(&bytes)?;
            incoming.write(&bytes).await?;
        }
        let signature = scan.end()?;
        let staged = incoming.finish().await?;
        let found = self.inspect(signature, &staged, scan.size).await?;
        Ok(InspectedUpload { found, digest: scan.digest.finalize().into(), staged })
    }

    /// Receives a file whose name is already known.
    ///
    /// # Errors
    /// Like [`Uploads::ingest`] and [`InspectedUpload::named`].
    pub async fn ingest_named<S, E>(&self, name: &str, body: S) -> Result<NamedUpload, UploadError>
    where
        S: Stream<Item = Result<Bytes, E>>,
    {
        self.ingest(body).await?.named(name, None)
    }

    /// Opens a file, or a range of it. The caller has checked that the user may see it.
    ///
    /// # Errors
    /// [`FileOpenError`].
    pub async fn open(&self, id: Uuid, range: Option<ByteRange>) -> Result<FileBody, FileOpenError> {
        self.storage.read(id, range).await
    }

    /// Deletes a file; a missing one is no error.
    ///
    /// # Errors
    /// If the storage fails; the file may still exist.
    pub async fn delete(&self, id: Uuid) -> Result<(), object_store::Error> {
        self.storage.delete(id).await
    }

    /// Removes uploads that a killed server left unfinished; to be called from time to time. Returns their
    /// number.
    ///
    /// # Errors
    /// If the folder can't be read, or a file can't be removed.
    pub async fn sweep(&self) -> io::Result<usize> {
        self.storage.sweep(INCOMING, INCOMING_AGE_MAX).await
    }

    /// Examines what only the complete file reveals.
    async fn inspect(
        &self,
        signature: FileSignature,
        staged: &StagedFile,
        size: u64,
    ) -> Result<Inspection, UploadError> {
        let of = |content| Inspection { content, size, pixels: None };
        match signature {
            FileSignature::Is(format @ (FileFormat::Jpeg | FileFormat::Png | FileFormat::Gif)) => {
                // The permit is held until the image is no longer in memory.
                let ((image, pixels), _permit) = self.sanitized(format, staged, size).await?;
                let size = image.len() as u64;
                staged.replace(image).await?;
                Ok(Inspection { content: DetectedContent::Is(format), size, pixels })
            }
            FileSignature::Is(format) => Ok(of(DetectedContent::Is(format))),
            FileSignature::Ole => {
                let content = ole::content(staged, size).await?;
                let content = content.ok_or_else(|| UploadError::refused(NO_DOCUMENT))?;
                Ok(of(content))
            }
            FileSignature::Zip => {
                let format = office::package(staged, size).await?.map_err(UploadError::refused)?;
                Ok(of(DetectedContent::Is(format)))
            }
            FileSignature::Unmarked => Ok(of(DetectedContent::Text)),
        }
    }

    async fn sanitized(
        &self,
        format: FileFormat,
        staged: &StagedFile,
        size: u64,
    ) -> Result<(Sanitized, OwnedSemaphorePermit), UploadError> {
        let permit = Arc::clone(&self.images).acquire_owned().await;
        let permit = permit.expect("the semaphore is never closed");
        let bytes = staged.read(0..size).await?;
        let work = task::spawn_blocking(move || {
            // The permit moves into the task, which continues even if the upload is dropped.
            let sanitized = image_sanitizer::sanitize(format, &bytes).map(|image| {
                let pixels = shrinking::shown_size(format, &image);
                (image, pixels)
            });
            (sanitized, permit)
        });
        match work.await {
            Ok((sanitized, permit)) => Ok((sanitized.map_err(UploadError::refused)?, permit)),
            // A panic in a decoder affects only this upload.
            Err(_) => Err(UploadError::refused("The image can't be read.")),
        }
    }
}

const NO_DOCUMENT: &str = "The document is broken, or it is none of Word or Excel.";
const UNKNOWN: &str = "The file is of no kind that is known.";

/// What is determined while a file is being received.
struct UploadScan {
    bytes_max: u64,
    size: u64,
    digest: Sha256,
    head: Vec<u8>,
    signature: Option<FileSignature>,
    text: TextDetector,
}

impl UploadScan {
    fn new(bytes_max: u64) -> Self {
        Self {
            bytes_max,
            size: 0,
            digest: Sha256::new(),
            head: Vec::new(),
            signature: None,
            text: TextDetector::default(),
        }
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<(), UploadError> {
        self.size += bytes.len() as u64;
        if self.size > self.bytes_max {
            return Err(UploadError::TooLarge);
        }
        self.digest.update(bytes);
        match self.signature {
            None => {
                let missing = SIGNATURE_BYTES - self.head.len();
                let (head, rest) = bytes.split_at(missing.min(bytes.len()));
                self.head.extend_from_slice(head);
                if self.head.len() < SIGNATURE_BYTES {
                    return Ok(());
                }
                self.detect_signature()?;
                self.scan_text(rest)
            }
            Some(_) => self.scan_text(bytes),
        }
    }

    fn end(&mut self) -> Result<FileSignature, UploadError> {
        if self.size == 0 {
            return Err(UploadError::refused("The submitted file is empty."));
        }
        match self.signature {
            Some(signature) => Ok(signature),
            None => self.detect_signature(),
        }
    }

    /// Examines the head, once it is complete or the file has ended.
    fn detect_signature(&mut self) -> Result<FileSignature, UploadError> {
        let signature = FileSignature::of(&self.head);
        let kind = match signature {
            FileSignature::Is(format) => format.kind(),
            _ => AttachmentKind::File,
        };
        if kind == AttachmentKind::Image {
            self.bytes_max = self.bytes_max.min(IMAGE_BYTES_MAX);
        }
        self.signature = Some(signature);
        let head = std::mem::take(&mut self.head);
        self.scan_text(&head)?;
        Ok(signature)
    }

    fn scan_text(&mut self, bytes: &[u8]) -> Result<(), UploadError> {
        if self.signature != Some(FileSignature::Unmarked) || bytes.is_empty() {
            return Ok(());
        }
        self.text.feed(bytes);
        if self.text.is_text() { Ok(()) } else { Err(UploadError::refused(UNKNOWN)) }
    }
}

#[cfg(test)]
#[path = "uploads_tests.rs"]
mod tests;
