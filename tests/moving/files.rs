//! Attachments pass the engine's judge of files.

use actors::domain::message::MessageType;
use aristay_chat::moving::media::MediaSource;
use futures_util::TryStreamExt as _;

use crate::django::{Django, JONAS, MARIA, PDF, PNG};
use crate::world::{Chat, UPLOAD_BYTES_MAX};

/// A room with messages 11 to 20 that have the text `see the file`.
async fn a_room() -> Django {
    let django = Django::new().await;
    django.room(1, "group", 0, &[MARIA, JONAS]).await;
    for message in 11..=20 {
        django.says(message, 1, Some(MARIA), message.into(), "see the file").await;
    }
    django
}

#[tokio::test]
async fn files_are_stored_and_the_type_follows_them() {
    let django = a_room().await;
    let folder = "chat_attachments/2025/10/20";
    django.attaches(11, "text", &format!("{folder}/p.png"), "Küche.png", Some(PNG)).await;
    django.attaches(12, "image", &format!("{folder}/r.pdf"), "Rechnung 2025/10.pdf", Some(PDF)).await;
    django.set_message(13, "message_type = 'image'").await;
    let chat = Chat::new().await;
    let (_, report) = chat.imports(&django).await;
    let picture = chat.message(1, 11).await;
    let attachment = picture.attachment.unwrap();
    assert_eq!((picture.message_type, attachment.name.as_str()), (MessageType::Image, "Küche.png"));
    let body = chat.uploads.open(attachment.file.0, None).await.unwrap();
    let size = body.size;
    let parts: Vec<bytes::Bytes> = body.stream.try_collect().await.unwrap();
    assert_eq!((i64::try_from(size).unwrap(), parts.concat().len()), (attachment.size, parts.concat().len()));
    assert_ne!(parts.concat(), [] as [u8; 0]);
    let document = chat.message(1, 12).await;
    assert_eq!(document.message_type, MessageType::File);
    assert_eq!(document.attachment.unwrap().name, "Rechnung 2025_10.pdf");
    assert_eq!(chat.message(1, 13).await.message_type, MessageType::Text);
    assert!(report.contains("3\tchoice: message whose type disagreed with its file"), "{report}");
    let record: String =
        chat.one("SELECT concat_ws(' ', uploaded_by, name, content_type) FROM files WHERE is_image").await;
    assert_eq!(record, "1 Küche.png image/png");
    chat.is_equal_to(&django).await;
}

#[tokio::test]
async fn refused_files_stay_out_and_their_messages_say_so() {
    let django = a_room().await;
    let large = [PDF, &vec![b' '; usize::try_from(UPLOAD_BYTES_MAX).unwrap()]].concat();
    django.attaches(11, "image", "page.png", "page.png", Some(b"<html><body>hello</body></html>")).await;
    django.attaches(12, "file", "big.pdf", "big.pdf", Some(&large)).await;
    django.attaches(13, "file", "gone.pdf", "gone.pdf", None).await;
    django.attaches(14, "file", "../../etc/passwd", "passwd", None).await;
    django.attaches(15, "file", "gone too.pdf", "gone too.pdf", None).await;
    django.set_message(15, "content = ''").await;
    let chat = Chat::new().await;
    let (summary, report) = chat.imports(&django).await;
    assert_eq!((summary.messages, summary.failed_rooms), (10, 0));
    for (message, name) in [(11, "page.png"), (12, "big.pdf")] {
        let message = chat.message(1, message).await;
        assert_eq!((message.message_type, message.attachment), (MessageType::Text, None));
        assert!(message.content.starts_with("see the file\n\n[The file"), "{}", message.content);
        assert!(report.contains(&format!("its message says so: {name} of message")), "{report}");
    }
    for message in [13, 14] {
        assert_eq!(chat.message(1, message).await.content, "see the file");
    }
    assert!(chat.message(1, 15).await.content.contains("gone too.pdf"), "nothing else would be left");
    assert!(report.contains("3\tleft behind: file that isn't there or can't be read"), "{report}");
    chat.is_equal_to(&django).await;
}

#[tokio::test]
async fn the_file_of_a_deleted_message_stays_out() {
    let django = a_room().await;
    django.attaches(11, "file", "a.pdf", "a.pdf", Some(PDF)).await;
    django.attaches(12, "file", "b.pdf", "b.pdf", Some(PDF)).await;
    django.deletes(11, 60).await;
    let chat = Chat::new().await;
    let (_, report) = chat.imports(&django).await;
    assert_eq!(chat.one::<i64>("SELECT count(*) FROM files").await, 1);
    assert!(report.contains("left behind: file of a deleted message: a.pdf"), "{report}");
    // One that is deleted between two imports goes.
    django.deletes(12, 61).await;
    chat.imports(&django).await;
    assert_eq!(chat.one::<i64>("SELECT count(*) FROM files").await, 0);
    assert_eq!(chat.one::<i64>("SELECT count(*) FROM files_to_erase").await, 1);
    chat.is_equal_to(&django).await;
}

#[tokio::test]
async fn a_missing_file_is_tried_again_and_a_moved_one_is_not_read_again() {
    let django = a_room().await;
    django.attaches(11, "file", "late.pdf", "late.pdf", None).await;
    django.attaches(12, "file", "here.pdf", "here.pdf", Some(PDF)).await;
    let chat = Chat::of(&django).await;
    let first: uuid::Uuid = chat.one("SELECT id FROM files").await;
    django.attaches(11, "file", "late.pdf", "late.pdf", Some(PDF)).await;
    std::fs::remove_file(django.media.path().join("here.pdf")).unwrap();
    let (summary, report) = chat.imports(&django).await;
    assert_eq!(summary.rooms, 1, "{report}");
    assert!(chat.message(1, 11).await.attachment.is_some());
    assert_eq!(chat.message(1, 12).await.attachment.unwrap().file.0, first);
    chat.is_equal_to(&django).await;
}

#[tokio::test]
async fn a_media_folder_that_is_not_there_is_refused() {
    let refused = MediaSource::parse("/nowhere/at/all").unwrap_err();
    assert!(refused.to_string().starts_with("--media /nowhere/at/all"), "{refused}");
    assert!(MediaSource::parse("https://").is_err());
}
