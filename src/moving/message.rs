//! What becomes of a message.

use actors::domain::message::{DELETED_TEXT, MessageType};
use uuid::Uuid;

use super::report::{Finding, MoveReport};
use crate::store::postgres::moving::{FileFate, MovedMessage, OldMessage, OldReply};

/// The longest text that the chat takes from its users.
const TEXT_CHARS_MAX: usize = 4_000;

/// Where a message stands in its room's log, and who takes the place of authors who are gone.
#[derive(Clone, Copy)]
pub(super) struct MessagePlace {
    pub(super) seq: i64,
    pub(super) rev: i64,
    pub(super) erased_user: i64,
}

/// Makes a message of Django's a message of the chat. `fate` is that of its file, if it has one and isn't deleted.
pub(super) fn convert(old: &OldMessage, place: MessagePlace, fate: Option<&FileFate>) -> MovedMessage {
    let is_deleted = old.deleted_at.is_some();
    let file = match fate {
        Some(FileFate::Moved(file)) if !is_deleted => Some(file.clone()),
        _ => None,
    };
    let reply_to = match old.reply {
        OldReply::Earlier(target) | OldReply::Later(target) => Some(target),
        OldReply::Nothing | OldReply::Itself | OldReply::Elsewhere(_) => None,
    };
    MovedMessage {
        id: old.id,
        seq: place.seq,
        rev: place.rev,
        sender: old.sender.unwrap_or(place.erased_user),
        message_type: message_type(old, file.as_ref().map(|file| file.is_image)),
        content: if is_deleted { String::new() } else { content(old, fate) },
        file,
        reply_to,
        created_at: old.created_at,
        modified_at: old.modified_at,
        edited_at: old.edited_at,
        deleted_at: old.deleted_at,
    }
}

/// The type follows the file; what a deleted message was is kept.
fn message_type(old: &OldMessage, is_image: Option<bool>) -> MessageType {
    let stated = MessageType::parse(&old.message_type);
    match is_image {
        Some(true) => MessageType::Image,
        Some(false) => MessageType::File,
        None if old.deleted_at.is_some() => stated.unwrap_or(MessageType::Text),
        None if stated == Some(MessageType::System) => MessageType::System,
        None => MessageType::Text,
    }
}

/// The text, with a note where a file was refused, or where nothing else would be left.
fn content(old: &OldMessage, fate: Option<&FileFate>) -> String {
    match fate {
        Some(FileFate::Refused(reason)) => with_note(&old.content, &old.attachment_name, reason),
        Some(FileFate::Missing(reason)) if old.content.is_empty() => {
            with_note("", &old.attachment_name, reason)
        }
        _ => old.content.clone(),
    }
}

fn note(name: &str, reason: &str) -> String {
    format!("[The file \"{name}\" was not moved to this chat: {reason}]")
}

fn with_note(content: &str, name: &str, reason: &str) -> String {
    let note = note(name, reason);
    if content.is_empty() { note } else { format!("{content}\n\n{note}") }
}

/// Takes the note that [`convert`] has added off a text again.
pub(super) fn without_note<'a>(content: &'a str, name: &str, reason: &str) -> &'a str {
    let before = content.strip_suffix(note(name, reason).as_str());
    before.map_or(content, |before| before.strip_suffix("\n\n").unwrap_or(before))
}

/// Reports what is lost of a message, and what was decided.
pub(super) fn report(
    old: &OldMessage,
    moved: &MovedMessage,
    fate: Option<&FileFate>,
    room: Uuid,
    report: &mut MoveReport,
) {
    let name = || format!("message {} in room {room}", old.id);
    match old.reply {
        OldReply::Itself => report.note(Finding::ReplyToItself, name()),
        OldReply::Elsewhere(target) => {
            report.note(Finding::ReplyElsewhere, format_args!("{} to message {target}", name()));
        }
        OldReply::Nothing | OldReply::Earlier(_) | OldReply::Later(_) => {}
    }
    if old.sender.is_none() {
        report.note(Finding::NoSender, name());
    }
    if old.deleted_at.is_some() {
        if let Some(path) = &old.attachment {
            report.note(Finding::DeletedFile, format_args!("{path} of {}", name()));
        }
        if !old.content.is_empty() && old.content != DELETED_TEXT {
            report.note(Finding::DeletedText, name());
        }
        return;
    }
    if old.content.chars().nth(TEXT_CHARS_MAX).is_some() {
        report.note(Finding::LongText, name());
    }
    let path = old.attachment.as_deref().unwrap_or_default();
    match fate {
        Some(FileFate::Refused(reason)) => {
            report.note(Finding::FileRefused, format_args!("{path} of {}: {reason}", name()));
        }
        Some(FileFate::Missing(reason)) => {
            report.note(Finding::FileMissing, format_args!("{path} of {}: {reason}", name()));
        }
        Some(FileFate::Moved(file)) => {
            if old.message_type != moved.message_type.as_str() {
                report.note(Finding::TypeFollowsFile, name());
            }
            if !old.attachment_name.is_empty() && file.name != old.attachment_name {
                let (before, after) = (&old.attachment_name, &file.name);
                report.note(Finding::FileRenamed, format_args!("{before:?} as {after:?} of {}", name()));
            }
        }
        None => {
            if old.message_type != moved.message_type.as_str() {
                report.note(Finding::TypeFollowsFile, name());
            }
            if old.content.is_empty() {
                report.note(Finding::BlankText, name());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::store::postgres::moving::MovedFile;

    const PLACE: MessagePlace = MessagePlace { seq: 3, rev: 5, erased_user: 99 };

    fn old(message_type: &str, content: &str) -> OldMessage {
        OldMessage {
            id: Uuid::nil(),
            sender: None,
            message_type: message_type.to_owned(),
            content: content.to_owned(),
            attachment: None,
            attachment_name: "plan.pdf".to_owned(),
            created_at: DateTime::UNIX_EPOCH,
            modified_at: DateTime::UNIX_EPOCH,
            edited_at: None,
            deleted_at: None,
            read_by: "{}".to_owned(),
            reply: OldReply::Nothing,
        }
    }

    fn moved(is_image: bool) -> FileFate {
        FileFate::Moved(MovedFile { id: Uuid::nil(), name: "plan.pdf".to_owned(), size: 3, is_image })
    }

    #[test]
    fn the_type_follows_the_file() {
        let cases = [
            ("text", Some(moved(true)), MessageType::Image),
            ("image", Some(moved(false)), MessageType::File),
            ("system", Some(moved(false)), MessageType::File),
            ("image", None, MessageType::Text),
            ("system", None, MessageType::System),
            ("sticker", None, MessageType::Text),
            ("file", Some(FileFate::Refused("no".to_owned())), MessageType::Text),
        ];
        for (stated, fate, expected) in cases {
            assert_eq!(convert(&old(stated, "x"), PLACE, fate.as_ref()).message_type, expected, "{stated}");
        }
    }

    #[test]
    fn a_refused_file_leaves_a_note_that_can_be_taken_off() {
        let refused = FileFate::Refused("It is too large.".to_owned());
        for text in ["", "Here it is", "Two\n\nparts"] {
            let message = convert(&old("file", text), PLACE, Some(&refused));
            assert!(message.content.contains("plan.pdf") && message.content.starts_with(text));
            assert_eq!(without_note(&message.content, "plan.pdf", "It is too large."), text);
        }
        let missing = FileFate::Missing("It is not there.".to_owned());
        assert_eq!(convert(&old("file", "Here it is"), PLACE, Some(&missing)).content, "Here it is");
        assert_ne!(convert(&old("file", ""), PLACE, Some(&missing)).content, "");
    }

    #[test]
    fn a_deleted_message_keeps_only_its_place() {
        let at = DateTime::UNIX_EPOCH + chrono::TimeDelta::minutes(1);
        let deleted = OldMessage { deleted_at: Some(at), ..old("image", "secret") };
        let message = convert(&deleted, PLACE, Some(&moved(true)));
        assert_eq!((message.content.as_str(), message.file, message.deleted_at), ("", None, Some(at)));
        assert_eq!((message.sender, message.seq, message.rev), (99, 3, 5));
    }
}
