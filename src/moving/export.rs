//! Moves the chat out again, into Django's tables and media folder.
//!
//! Rows of Django's are changed where they differ, so an export that was killed is run again, and one that is run twice
//! changes nothing. What the chat has no row for stays as it is in Django.

use std::collections::BTreeSet;
use std::path::Path;

use actors::domain::message::DELETED_TEXT;
use actors::domain::room::RoomType;
use uuid::Uuid;

use super::export_files::MediaWriter;
use super::message::without_note;
use super::plan::describe;
use super::progress::Progress;
use super::report::{Finding, MoveReport};
use crate::files::Uploads;
use crate::store::postgres::moving::{
    ChatSnapshot, ChatWriter, DjangoMessage, DjangoWriter, ExportedMessage, ExportedParticipant,
    ExportedRoom, MoveError, MovedRoomRow,
};

/// Messages read and written at once.
const MESSAGES_AT_ONCE: i32 = 500;

/// What every export loses, whatever there is.
const ALWAYS_LOST: &str =
    "seq, epoch, client_id and all that only the chat has: Django's tables have no place for it";

/// An export.
pub struct Export<'a> {
    /// The chat's tables.
    pub chat: &'a ChatSnapshot<'a>,
    /// Notes where files were written to.
    pub writer: &'a ChatWriter,
    /// Django's tables.
    pub django: &'a DjangoWriter,
    /// The chat's files.
    pub uploads: &'a Uploads,
    /// Django's media folder.
    pub media: &'a Path,
}

/// What an export came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportSummary {
    /// Rooms that were read.
    pub rooms: u64,
    /// Messages that were read.
    pub messages: u64,
    /// Rows of Django's that were new or changed.
    pub changed: u64,
}

impl Export<'_> {
    /// Exports everything.
    ///
    /// # Errors
    /// [`MoveError`]; what was written stays, and the next export goes on from there.
    pub async fn run(&self, report: &mut MoveReport) -> Result<ExportSummary, MoveError> {
        let users = self.django.users().await?;
        self.django.reserve_participant_ids(self.chat.last_participant().await?).await?;
        report.line(format_args!("left behind: {ALWAYS_LOST}"));
        for (what, count) in self.chat.lost().await? {
            if count > 0 {
                report.note(Finding::LostInDjango, format_args!("{count} {what}"));
            }
        }
        let rooms = self.chat.rooms().await?;
        let messages = rooms.iter().map(|room| room.messages).sum();
        let mut progress = Progress::new("exported", rooms.len(), messages);
        let mut summary = ExportSummary::default();
        for room in &rooms {
            self.export_room(room, &users, report, &mut progress, &mut summary).await?;
            summary.rooms += 1;
            progress.add_room();
        }
        progress.print();
        Ok(summary)
    }

    async fn export_room(
        &self,
        room: &ExportedRoom,
        users: &BTreeSet<i64>,
        report: &mut MoveReport,
        progress: &mut Progress,
        summary: &mut ExportSummary,
    ) -> Result<(), MoveError> {
        let row = self.room_row(&room.row, report).await?;
        let participants = self.chat.participants(row.id).await?;
        let (known, unknown): (Vec<&ExportedParticipant>, Vec<&ExportedParticipant>) =
            participants.iter().partition(|participant| users.contains(&participant.user));
        for participant in unknown {
            let user = participant.user;
            report.note(Finding::ParticipantUnknown, format_args!("user {user} of {}", describe(&row)));
        }
        self.django.begin().await?;
        summary.changed += u64::from(self.django.put_room(&row).await?);
        summary.changed += self.django.put_participants(row.id, &known).await?;
        self.django.commit().await?;
        let files = MediaWriter { folder: self.media.to_owned(), uploads: self.uploads, writer: self.writer };
        let messages = self.chat.messages(row.id).await?;
        let mut later_replies = Vec::new();
        loop {
            let piece = messages.next(MESSAGES_AT_ONCE).await?;
            if piece.is_empty() {
                break;
            }
            let later: Vec<Uuid> =
                piece.iter().filter_map(|one| Some(one.reply_to.filter(|(_, later)| *later)?.0)).collect();
            let present = self.django.present_messages(&later).await?;
            let mut rows = Vec::with_capacity(piece.len());
            for message in &piece {
                let file = files.export(row.id, message, report).await?;
                let reply_to = match message.reply_to {
                    Some((target, true)) if !present.contains(&target) => {
                        later_replies.push((message.id, target));
                        None
                    }
                    reply => reply.map(|(target, _)| target),
                };
                let sender = users.contains(&message.sender).then_some(message.sender);
                if sender.is_none() {
                    let id = message.id;
                    report.note(Finding::SenderUnknown, format_args!("message {id} in room {}", row.id));
                }
                let (attachment, name, size) = match file {
                    Some(file) => (Some(file.path), file.name, file.size),
                    None => (None, String::new(), None),
                };
                rows.push(DjangoMessage {
                    id: message.id,
                    sender,
                    message_type: message_type(message, attachment.is_some()),
                    content: content(message).to_owned(),
                    attachment,
                    attachment_name: name,
                    attachment_size: size,
                    reply_to,
                    created_at: message.created_at,
                    modified_at: message.modified_at,
                    edited_at: message.edited_at,
                    deleted_at: message.deleted_at,
                    read_by: message.read_by.clone().unwrap_or_else(|| "{}".to_owned()),
                });
            }
            self.django.begin().await?;
            summary.changed += self.django.put_messages(row.id, &rows).await?;
            self.django.commit().await?;
            summary.messages += u64::try_from(rows.len()).unwrap_or(u64::MAX);
            progress.add_messages(rows.len());
        }
        if !later_replies.is_empty() {
            self.django.set_replies(&later_replies).await?;
        }
        Ok(())
    }

    /// The room as Django can have it: a group where Django doesn't have the task or property.
    async fn room_row(
        &self,
        room: &MovedRoomRow,
        report: &mut MoveReport,
    ) -> Result<MovedRoomRow, MoveError> {
        let mut row = room.clone();
        let has_subject = row.task.is_some() || row.property.is_some();
        if has_subject && !self.django.has_subject(row.task, row.property).await? {
            report.note(Finding::GroupInDjango, describe(&row));
            if row.name.is_empty() {
                row.name.clone_from(&row.title);
            }
            (row.room_type, row.task, row.property) = (RoomType::Group, None, None);
        }
        Ok(row)
    }
}

/// The text, without the note that a refused file has left.
fn content(message: &ExportedMessage) -> &str {
    if message.deleted_at.is_some() {
        return DELETED_TEXT;
    }
    match &message.django_file {
        Some(file) => match &file.refusal {
            Some(reason) => without_note(&message.content, &file.name, reason),
            None => &message.content,
        },
        None => &message.content,
    }
}

/// A message whose file was refused has it again in Django, as a document: what it was shown as is forgotten.
fn message_type(message: &ExportedMessage, has_file: bool) -> String {
    if has_file && message.file.is_none() && message.message_type == "text" {
        return "file".to_owned();
    }
    message.message_type.clone()
}
