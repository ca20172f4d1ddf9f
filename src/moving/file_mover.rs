//! Moves the files of messages into the chat's storage, through the engine's judge of files.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt as _};
use uuid::Uuid;

use super::media::MediaSource;
use crate::files::{AttachmentKind, NamedUpload, UploadError, Uploads};
use crate::store::postgres::moving::{ChatWriter, FileFate, FileRecord, MoveError, MovedFile, OldMessage};

/// Files that are moved at the same time.
const FILES_AT_ONCE: usize = 4;

/// Moves files, or only judges them.
pub(super) struct FileMover<'a> {
    pub(super) media: &'a MediaSource,
    pub(super) uploads: &'a Uploads,
    pub(super) writer: &'a ChatWriter,
    /// Whether nothing is written.
    pub(super) is_dry_run: bool,
}

impl FileMover<'_> {
    /// Moves the files of those of `messages` that have one and aren't deleted. Files that were moved before, or that
    /// were refused for good, are not read again.
    pub(super) async fn move_files(
        &self,
        room: Uuid,
        messages: &[&OldMessage],
        erased_user: i64,
    ) -> Result<BTreeMap<Uuid, FileFate>, MoveError> {
        let with_files = messages.iter().filter(|message| message.deleted_at.is_none());
        let with_files: Vec<(&OldMessage, &str)> =
            with_files.filter_map(|message| Some((*message, message.attachment.as_deref()?))).collect();
        let ids: Vec<Uuid> = with_files.iter().map(|(message, _)| message.id).collect();
        let known = self.writer.known_files(&ids).await?;
        let mut fates = BTreeMap::new();
        let mut to_move = Vec::new();
        for (message, path) in with_files {
            match known.get(&message.id).filter(|known| known.path == path) {
                Some(known) if !matches!(known.fate, FileFate::Missing(_)) => {
                    fates.insert(message.id, known.fate.clone());
                }
                _ => to_move.push(FileRecord {
                    message: message.id,
                    room,
                    sender: message.sender.unwrap_or(erased_user),
                    at: message.created_at,
                    path,
                    name: &message.attachment_name,
                }),
            }
        }
        let moving =
            to_move.iter().map(|record| async move { (record.message, self.move_file(record).await) });
        let mut moved = stream::iter(moving).buffer_unordered(FILES_AT_ONCE);
        while let Some((message, fate)) = moved.next().await {
            fates.insert(message, fate?);
        }
        Ok(fates)
    }

    async fn move_file(&self, record: &FileRecord<'_>) -> Result<FileFate, MoveError> {
        let fate = match self.judge(record).await {
            Ok(upload) if self.is_dry_run => FileFate::Moved(moved_file(&upload)),
            Ok(upload) => match self.keep(record, upload).await? {
                Ok(file) => FileFate::Moved(file),
                Err(reason) => FileFate::Missing(reason),
            },
            Err(fate) => fate,
        };
        if let (FileFate::Refused(reason) | FileFate::Missing(reason), false) = (&fate, self.is_dry_run) {
            let is_final = matches!(fate, FileFate::Refused(_));
            self.writer.record_refusal(record, reason, is_final).await?;
        }
        Ok(fate)
    }

    /// Reads a file under the judge's eyes.
    async fn judge(&self, record: &FileRecord<'_>) -> Result<NamedUpload, FileFate> {
        let body = self.media.open(record.path).await.map_err(FileFate::Missing)?;
        let name = file_name(record);
        self.uploads.ingest_named(&name, body).await.map_err(|error| match error {
            UploadError::TooLarge => {
                FileFate::Refused(format!("It is too large. {}", self.uploads.allowed()))
            }
            UploadError::Refused(reason) => FileFate::Refused(reason),
            UploadError::Interrupted => FileFate::Missing("It could not be read to its end.".to_owned()),
            UploadError::Io(error) => FileFate::Missing(format!("It could not be stored: {error}.")),
        })
    }

    /// Records a file, and then moves it to where it is served from.
    async fn keep(
        &self,
        record: &FileRecord<'_>,
        upload: NamedUpload,
    ) -> Result<Result<MovedFile, String>, MoveError> {
        let file = moved_file(&upload);
        self.writer.record_file(record, &file, upload.file().content_type).await?;
        if let Err(error) = upload.keep().await {
            return Ok(Err(format!("It could not be stored: {error}.")));
        }
        self.writer.confirm_file(record.message, file.id).await?;
        Ok(Ok(file))
    }
}

fn moved_file(upload: &NamedUpload) -> MovedFile {
    let stored = upload.file();
    MovedFile {
        id: stored.id,
        name: stored.name.clone(),
        size: i64::try_from(stored.size).unwrap_or(i64::MAX),
        is_image: stored.kind == AttachmentKind::Image,
    }
}

/// The name that Django shows, or the last part of the path. A slash in it is no folder: it was typed there.
fn file_name(record: &FileRecord<'_>) -> String {
    let name = match record.name.trim() {
        "" => record.path.rsplit('/').next().unwrap_or_default(),
        name => name,
    };
    name.replace(['/', '\\'], "_")
}
