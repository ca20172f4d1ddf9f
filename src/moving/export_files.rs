//! Writes the chat's files into Django's media folder.

use std::path::{Path, PathBuf};

use futures_util::StreamExt as _;
use tokio::fs;
use tokio::io::AsyncWriteExt as _;
use uuid::Uuid;

use super::media::is_inside;
use super::report::{Finding, MoveReport};
use crate::files::{FileOpenError, Uploads};
use crate::store::postgres::moving::{ChatWriter, ExportedMessage, MoveError};

/// Code points of a file's name that its path keeps: a path has 100 in all.
const STEM_CHARS_MAX: usize = 40;
/// The same of its extension.
const EXTENSION_CHARS_MAX: usize = 10;

/// A file as Django's table names it.
#[derive(Debug)]
pub(super) struct AttachmentColumns {
    pub(super) path: String,
    pub(super) name: String,
    /// None for a file that Django has and the chat has not.
    pub(super) size: Option<i64>,
}

/// Django's media folder.
pub(super) struct MediaWriter<'a> {
    pub(super) folder: PathBuf,
    pub(super) uploads: &'a Uploads,
    pub(super) writer: &'a ChatWriter,
}

impl MediaWriter<'_> {
    /// Writes a message's file to where Django had it, or to a place of the same kind. A file that is there stays: it
    /// is the one that was uploaded, with all that the chat has stripped.
    pub(super) async fn export(
        &self,
        room: Uuid,
        message: &ExportedMessage,
        report: &mut MoveReport,
    ) -> Result<Option<AttachmentColumns>, MoveError> {
        let before = message.django_file.as_ref().filter(|_| message.deleted_at.is_none());
        let Some((file, name, size)) = &message.file else {
            let refused = before.filter(|before| before.refusal.is_some());
            return Ok(refused.map(|before| AttachmentColumns {
                path: before.path.clone(),
                name: before.name.clone(),
                size: None,
            }));
        };
        let moved = before.filter(|before| before.refusal.is_none() && is_inside(&before.path));
        let (path, name) = match moved {
            Some(moved) => (moved.path.clone(), moved.name.clone()),
            None => (new_path(message, *file, name), name.clone()),
        };
        let target = self.folder.join(&path);
        let is_there = fs::try_exists(&target).await.map_err(MoveError::io(path.as_str()))?;
        if !is_there && !self.write(*file, &target).await? {
            let id = message.id;
            report.note(Finding::ExportedFileMissing, format_args!("{file} of message {id}"));
            return Ok(None);
        }
        if moved.is_none() {
            self.writer.record_exported_file(message.id, room, *file, &path, &name).await?;
        }
        Ok(Some(AttachmentColumns { path, name, size: Some(*size) }))
    }

    /// Writes a file under another name first, so that a killed export leaves no part of one in its place. Returns
    /// whether the chat has it.
    async fn write(&self, file: Uuid, target: &Path) -> Result<bool, MoveError> {
        let what = || target.display().to_string();
        let mut body = match self.uploads.open(file, None).await {
            Ok(body) => body.stream,
            Err(FileOpenError::NotFound) => return Ok(false),
            Err(error) => return Err(MoveError::io(what())(std::io::Error::other(error))),
        };
        let folder = target.parent().unwrap_or(&self.folder);
        let partial = folder.join(format!(".{file}.part"));
        let written = async {
            fs::create_dir_all(folder).await?;
            let mut output = fs::File::create(&partial).await?;
            while let Some(part) = body.next().await {
                output.write_all(&part.map_err(std::io::Error::other)?).await?;
            }
            output.sync_all().await?;
            fs::rename(&partial, target).await
        };
        written.await.map_err(MoveError::io(what()))?;
        Ok(true)
    }
}

/// The path that Django gives a file: by the day, under a name without spaces, made unique.
fn new_path(message: &ExportedMessage, file: Uuid, name: &str) -> String {
    let clean: String = name
        .chars()
        .map(|sign| if sign.is_whitespace() { '_' } else { sign })
        .filter(|sign| sign.is_alphanumeric() || matches!(sign, '_' | '-' | '.'))
        .collect();
    let (stem, extension) = clean.rsplit_once('.').unwrap_or((&clean, ""));
    let stem: String = stem.trim_start_matches('.').chars().take(STEM_CHARS_MAX).collect();
    let extension: String = extension.chars().take(EXTENSION_CHARS_MAX).collect();
    let day = message.created_at.format("%Y/%m/%d");
    // The end of an id is random.
    let unique = file.as_u128() & 0xffff_ffff;
    let dot = if extension.is_empty() { "" } else { "." };
    format!("chat_attachments/{day}/{stem}_{unique:08x}{dot}{extension}")
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn paths_are_of_the_old_kind_and_fit_their_column() {
        let message = ExportedMessage {
            id: Uuid::nil(),
            sender: 1,
            message_type: "file".to_owned(),
            content: String::new(),
            file: None,
            reply_to: None,
            created_at: DateTime::UNIX_EPOCH,
            modified_at: DateTime::UNIX_EPOCH,
            edited_at: None,
            deleted_at: None,
            read_by: None,
            django_file: None,
        };
        let file = Uuid::from_u128(0xabcd);
        let table = [
            ("plan.pdf", "chat_attachments/1970/01/01/plan_0000abcd.pdf"),
            ("Küche 1 (alt).png", "chat_attachments/1970/01/01/Küche_1_alt_0000abcd.png"),
            ("../../x", "chat_attachments/1970/01/01/_0000abcd.x"),
            ("notes", "chat_attachments/1970/01/01/notes_0000abcd"),
        ];
        for (name, expected) in table {
            assert_eq!(new_path(&message, file, name), expected);
            assert!(is_inside(expected));
        }
        let long = new_path(&message, file, &format!("{}.{}", "ä".repeat(250), "x".repeat(50)));
        assert!(long.chars().count() <= 100, "{long}");
    }
}
