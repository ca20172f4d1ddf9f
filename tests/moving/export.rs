//! The way back.

use std::process::{Command as Process, Output};
use std::sync::Arc;

use actors::domain::attachment::Media;
use actors::domain::command::{
    Command, DraftExtras, MessageDraft, MissingReplyTarget, OpenRoom, Principal, ReadTarget, RoomChange,
};
use actors::domain::entry::{EntryTerms, HostRoster};
use actors::domain::ids::{ClientId, FileId, MessageId, RoomId, UserId};
use actors::domain::mentions::Mentions;
use actors::domain::message::{Attachment, MessageType};
use actors::domain::room::{RoomType, Subject};
use actors::ports::store::Store;
use aristay_chat::moving::IMPORT_LEASE;
use aristay_chat::store::postgres::files::UnattachedFile;
use bytes::Bytes;
use futures_util::stream;
use uuid::Uuid;

use crate::django::{Django, JONAS, MARIA, PDF, YUKI, at, id};
use crate::world::Chat;

/// The rows of Django's chat, without what an export renews: when marks moved, and receipts.
async fn rows(django: &Django) -> Vec<String> {
    let mut found = Vec::new();
    for table in [
        "SELECT to_jsonb(t)::text FROM api_chatroom t ORDER BY id",
        "SELECT (to_jsonb(t) - 'last_read_at')::text FROM api_chatparticipant t ORDER BY id",
        "SELECT (to_jsonb(t) - 'read_by' - 'attachment_size')::text FROM api_chatmessage t ORDER BY id",
    ] {
        found
            .extend(django.client.query(table, &[]).await.unwrap().iter().map(|row| row.get::<_, String>(0)));
    }
    found
}

async fn empties(django: &Django) {
    django.run("TRUNCATE api_chatmessage, api_chatparticipant, api_chatroom").await;
    std::fs::remove_dir_all(django.media.path()).unwrap();
    std::fs::create_dir(django.media.path()).unwrap();
}

#[tokio::test]
async fn what_was_moved_in_comes_out_as_it_was() {
    let django = Django::new().await;
    django.talks().await;
    django.run("INSERT INTO api_task VALUES (7, 'Fix the boiler')").await;
    django.room(2, "task", 1, &[JONAS, MARIA]).await;
    django.set_room(2, "task_id = 7").await;
    django.room(3, "direct", 2, &[JONAS]).await;
    django.says(31, 3, None, 3, "from somebody who is gone").await;
    django.says(21, 2, Some(JONAS), 3, "a reply to what comes later").await;
    django.says(22, 2, Some(JONAS), 4, "later").await;
    django.set_message(21, &format!("reply_to_id = '{}'", id(22))).await;
    django.attaches(22, "file", "page.png", "page.png", Some(b"<html>no picture</html>")).await;
    let before = rows(&django).await;
    let chat = Chat::of(&django).await;
    empties(&django).await;
    let (summary, report) = chat.exports(&django).await;
    assert_eq!((summary.rooms, summary.messages), (3, 7));
    assert_eq!(rows(&django).await, before, "{report}");
    let back = std::fs::read(django.media.path().join("chat_attachments/2025/10/20/plan.pdf")).unwrap();
    assert_eq!(back, PDF);
    assert!(report.contains("seq, epoch, client_id"), "{report}");
    assert!(report.contains("participant whom Django doesn't have"), "{report}");
    chat.is_equal_to(&django).await;
    let sql = "SELECT (SELECT last_read_at FROM api_chatparticipant WHERE id = 102),
        (SELECT read_by::text FROM api_chatmessage WHERE content = 'text 11, edited')";
    let read = django.client.query_one(sql, &[]).await.unwrap();
    let last_read_at: Option<chrono::DateTime<chrono::Utc>> = read.get(0);
    assert_eq!(last_read_at, Some(at(3)), "when the newest read message was sent");
    assert_eq!(read.get::<_, &str>(1), r#"{"2": "2025-10-20T08:02:00.000000+00:00"}"#);
    // And in again, into a chat that has nothing.
    django.attaches(22, "file", "page.png", "page.png", Some(b"<html>no picture</html>")).await;
    let again = Chat::of(&django).await;
    again.is_equal_to(&django).await;
    assert_eq!(again.story(1).await, chat.story(1).await);
}

#[tokio::test]
async fn what_was_sent_since_comes_out_too() {
    let django = Django::new().await;
    django.talks().await;
    let chat = Chat::of(&django).await;
    chat.sends(1, MARIA, "sent here", None).await;
    let with_file = chat.sends(1, JONAS, "", Some(("Plan B.pdf", PDF))).await;
    chat.does(1, YUKI, RoomChange::Delete { message: MessageId(id(13)), reason: None }).await;
    chat.does(1, YUKI, RoomChange::Read(ReadTarget::Head)).await;
    chat.opens_task_room(77, "A task that Django doesn't have").await;
    let (summary, report) = chat.exports(&django).await;
    assert!(summary.changed > 0);
    assert!(report.contains("room of a task or property that Django doesn't have"), "{report}");
    chat.is_equal_to(&django).await;
    let path: String = django
        .client
        .query_one("SELECT attachment FROM api_chatmessage WHERE id = $1", &[&with_file.0])
        .await
        .unwrap()
        .get(0);
    assert!(path.starts_with("chat_attachments/") && path.ends_with(".pdf"), "{path}");
    assert_eq!(std::fs::read(django.media.path().join(path)).unwrap(), PDF);
    let deleted: String = django
        .client
        .query_one("SELECT content FROM api_chatmessage WHERE id = $1", &[&id(13)])
        .await
        .unwrap()
        .get(0);
    assert_eq!(deleted, "[Message deleted]");
    let (summary, _) = chat.exports(&django).await;
    assert_eq!(summary.changed, 0, "an export that is run twice changes nothing");
    // What was sent here is no reason to move the room in again.
    let (summary, _) = chat.imports(&django).await;
    assert_eq!(summary.messages, 0);
}

#[tokio::test]
async fn people_whom_django_does_not_have_are_nobody_there() {
    let django = Django::new().await;
    django.talks().await;
    let chat = Chat::of(&django).await;
    empties(&django).await;
    django.run("DELETE FROM auth_user WHERE id = 3").await;
    let (_, report) = chat.exports(&django).await;
    let sender: Option<i32> = django
        .client
        .query_one("SELECT sender_id FROM api_chatmessage WHERE id = $1", &[&id(13)])
        .await
        .unwrap()
        .get(0);
    assert_eq!(sender, None);
    assert!(report.contains(&format!("there without an author: message {}", id(13))), "{report}");
    chat.is_equal_to(&django).await;
}

#[tokio::test]
async fn each_difference_is_named() {
    let django = Django::new().await;
    django.talks().await;
    django.room(2, "group", 1, &[MARIA]).await;
    let chat = Chat::of(&django).await;
    django.set_message(13, "content = 'another text'").await;
    django.says(15, 1, Some(MARIA), 50, "only in Django").await;
    django.run(&format!("DELETE FROM api_chatmessage WHERE id = '{}'", id(12))).await;
    django.set_participant(1, JONAS, "is_admin = true, last_read_at = NULL").await;
    django.run(&format!("DELETE FROM api_chatparticipant WHERE room_id = '{}'", id(2))).await;
    django.run(&format!("DELETE FROM api_chatroom WHERE id = '{}'", id(2))).await;
    django.room(3, "group", 2, &[MARIA]).await;
    chat.client.batch_execute("UPDATE rooms SET head = head + 1 WHERE name = 'Team'").await.unwrap();
    std::fs::remove_dir_all(chat.folder.path().join("files")).unwrap();
    let (summary, report) = chat.verifies(&django).await;
    for difference in [
        format!("the text of message {} differs", id(13)),
        format!("message {} is only in Django", id(15)),
        format!("message {} is only in the chat", id(12)),
        format!("room {} \"\" is only in the chat", id(2)),
        format!("room {} \"\" is only in Django", id(3)),
        "admin of user 2 is true in Django and false in the chat".to_owned(),
        "newest read message of user 2".to_owned(),
        "1 positions of its log are wrong".to_owned(),
        format!("of message {} should have {} bytes", id(14), PDF.len()),
        "DIFFERENT: room".to_owned(),
    ] {
        assert!(report.contains(&difference), "{difference}: {report}");
    }
    assert_eq!(summary.differences, 9, "{report}");
}

#[tokio::test]
async fn the_commands_work_from_outside() {
    let (django, chat) = (Django::new().await, Chat::new().await);
    django.talks().await;
    let report = chat.folder.path().join("report");
    let media = django.media.path().to_str().unwrap();
    let import =
        runs(&chat, &["import-django", &django.url, "--media", media, "--report", report.to_str().unwrap()]);
    assert!(import.status.success(), "{}", String::from_utf8_lossy(&import.stderr));
    let report = std::fs::read_to_string(report).unwrap();
    assert!(report.contains("3 people, 1 rooms and 4 messages moved"), "{report}");
    assert!(report.contains("search is filled"), "{report}");
    assert!(String::from_utf8_lossy(&import.stderr).contains("4 of 4 messages"), "progress");
    let equal = runs(&chat, &["verify-django", &django.url]);
    assert!(equal.status.success(), "{}", String::from_utf8_lossy(&equal.stdout));
    let export = runs(&chat, &["export-django", &django.url, "--media", media]);
    assert!(export.status.success(), "{}", String::from_utf8_lossy(&export.stderr));
    django.set_message(13, "content = 'another text'").await;
    let different = runs(&chat, &["verify-django", &django.url]);
    assert_eq!(different.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&different.stdout).contains("1 differences"));
    let refused = runs(&chat, &["verify-django", "no address"]);
    assert_eq!(refused.status.code(), Some(2), "{}", String::from_utf8_lossy(&refused.stderr));
    let node = chat.store.acquire_node_id("node-1").await.unwrap();
    let refused = runs(&chat, &["import-django", &django.url, "--media", media]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("1 node(s) serve"));
    drop(node);
    let _import = chat.store.acquire_node_id(IMPORT_LEASE).await.unwrap();
    let refused = runs(&chat, &["serve", "--bind", "127.0.0.1:0", "--metrics-bind", "off"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is being imported"));
}

fn runs(chat: &Chat, arguments: &[&str]) -> Output {
    Process::new(env!("CARGO_BIN_EXE_aristay-chat"))
        .args(arguments)
        .env("DATABASE_URL", &chat.url)
        .env("DATA_DIR", chat.folder.path())
        .env("JWT_SECRET", "a-key-that-is-only-for-the-tests-of-moving")
        .env("LOG", "error")
        .output()
        .unwrap()
}

impl Chat {
    async fn does(&self, room: u32, user: i32, change: RoomChange) {
        let by = Principal::User(UserId(user.into()));
        let command = Command { room: RoomId(id(room)), by, change };
        self.store.append(&[Arc::new(command)], true).await.unwrap()[0].clone().unwrap().unwrap();
    }

    async fn sends(&self, room: u32, user: i32, content: &str, file: Option<(&str, &[u8])>) -> MessageId {
        let attachment = match file {
            Some((name, bytes)) => Some(self.stores(user, name, bytes).await),
            None => None,
        };
        let message = MessageId(Uuid::now_v7());
        let draft = MessageDraft {
            id: message,
            client_id: Some(ClientId(Uuid::new_v4())),
            digest: [0; 16],
            message_type: if attachment.is_some() { MessageType::File } else { MessageType::Text },
            content: content.to_owned(),
            attachment,
            reply_to: None,
            missing_reply_target: MissingReplyTarget::Reject,
            extras: DraftExtras::default(),
            mentions: Mentions::default(),
        };
        self.does(room, user, RoomChange::Post(draft)).await;
        message
    }

    async fn stores(&self, user: i32, name: &str, bytes: &[u8]) -> Attachment {
        let body = stream::iter([Ok::<_, std::io::Error>(Bytes::copy_from_slice(bytes))]);
        let upload = self.uploads.ingest_named(name, body).await.unwrap();
        let (id, size) = (FileId(upload.file().id), i64::try_from(upload.file().size).unwrap());
        let record = UnattachedFile {
            id,
            uploaded_by: UserId(user.into()),
            name,
            size,
            content_type: upload.file().content_type,
            is_image: false,
            pixels: None,
            has_previews: false,
        };
        self.store.insert_unattached_file(record).await.unwrap();
        upload.keep().await.unwrap();
        Attachment { file: id, name: name.to_owned(), size, media: Media::default() }
    }

    async fn opens_task_room(&self, task: i64, title: &str) {
        let open = OpenRoom {
            id: RoomId(Uuid::new_v4()),
            by: Principal::Service,
            room_type: RoomType::Task,
            name: String::new(),
            subject: Some(Subject::Task(task)),
            title: Some(title.to_owned()),
            users: vec![UserId(MARIA.into())],
            granted: None,
            granted_terms: EntryTerms::default(),
            roster: HostRoster::default(),
            open_subjects: true,
        };
        self.store.open_room(&open).await.unwrap().unwrap();
    }
}
