//! What is indexed of a message, as the database has it.

use actors::domain::message::{Message, MessageType};
use actors::domain::message_extras::MessageExtras;
use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use tokio_postgres::types::Json;

use super::block::{EntryFlags, EntryMeta};
use super::block_builder::IndexedMessage;

/// The columns of a message `m`, for [`indexed_message`].
macro_rules! indexed_columns {
    () => {
        "m.seq, m.created_at, m.sender_id, m.message_type, m.attachment_name, m.file_id IS NOT NULL, \
         m.deleted_at IS NOT NULL, m.extras"
    };
}

pub(super) use indexed_columns;

/// How many columns [`indexed_columns`] names.
pub(super) const INDEXED_WIDTH: usize = 8;

/// Reads a message whose columns begin at `at`, with its content; `None` if it is deleted.
pub(super) fn indexed_message(row: &Row, at: usize, content: &str) -> Option<IndexedMessage> {
    let is_deleted: bool = row.get(at + 6);
    let message_type = MessageType::parse(row.get(at + 3)).expect("the table holds known types only");
    let extras: Option<Json<MessageExtras>> = row.get(at + 7);
    let MessageExtras { mentions, more_files, .. } = extras.map(|Json(extras)| extras).unwrap_or_default();
    let flags = entry_flags(message_type, row.get(at + 5), content);
    let meta = EntryMeta {
        seq: row.get(at),
        at: row.get::<_, DateTime<Utc>>(at + 1).timestamp_micros(),
        sender: row.get(at + 2),
        flags: flags.with(EntryFlags::MENTIONS_ROOM, mentions.room),
        mentions: mentions.users.iter().map(|user| user.0).collect(),
    };
    let first = row.get::<_, Option<String>>(at + 4).filter(|name| !name.is_empty());
    let file_name = file_names(first.into_iter().chain(more_files.into_iter().map(|file| file.name)));
    (!is_deleted).then(|| IndexedMessage { meta, content: content.to_owned(), file_name })
}

/// What a message is compared by when its matches are shown.
pub(super) fn searched_texts(message: &Message) -> IndexedMessage {
    IndexedMessage {
        meta: EntryMeta::default(),
        content: message.content.clone(),
        file_name: file_names(message.files().map(|attachment| attachment.name.clone())),
    }
}

/// The names of a message's files as one text.
fn file_names(names: impl Iterator<Item = String>) -> Option<String> {
    let names: Vec<String> = names.collect();
    (!names.is_empty()).then(|| names.join(" "))
}

/// What a message is and has.
fn entry_flags(message_type: MessageType, has_file: bool, content: &str) -> EntryFlags {
    EntryFlags::default()
        .with(EntryFlags::FILE, has_file)
        .with(EntryFlags::IMAGE, message_type == MessageType::Image)
        .with(EntryFlags::SYSTEM, message_type == MessageType::System)
        .with(EntryFlags::LINK, has_link(content))
}

/// Whether a text contains the address of a page.
fn has_link(content: &str) -> bool {
    let lower = content.to_ascii_lowercase();
    ["http://", "https://", "www."].iter().any(|start| {
        lower.match_indices(start).any(|(at, _)| {
            let is_begun = !lower[..at].ends_with(char::is_alphanumeric);
            is_begun && lower[at + start.len()..].starts_with(char::is_alphanumeric)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_recognized() {
        for text in ["see https://x.org/y", "(HTTP://X.org)", "www.example.com"] {
            assert!(has_link(text), "{text}");
        }
        for text in ["https:// is safe", "owww.nice", "http", "www. alone"] {
            assert!(!has_link(text), "{text}");
        }
    }
}
