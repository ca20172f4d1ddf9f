//! Imports that are run again, and what they leave alone.

use std::sync::Arc;

use actors::domain::command::{Command, Principal, ReadTarget, RoomChange};
use actors::domain::ids::{RoomId, UserId};
use actors::domain::participant::Role;
use actors::ports::store::Store;
use aristay_chat::moving::ImportOptions;
use aristay_chat::moving::import::ImportSummary;
use aristay_chat::store::postgres::moving::MoveError;

use crate::django::{Django, JONAS, MARIA, PDF, YUKI, at, id};
use crate::world::{Chat, IMPORT};

#[tokio::test]
async fn a_second_import_changes_nothing() {
    let django = Django::new().await;
    django.talks().await;
    let chat = Chat::of(&django).await;
    let (before, files) = (chat.contents().await, count_files(&chat));
    let newest: i64 = chat.one("SELECT max(xid::text::bigint) FROM events").await;
    let (summary, _) = chat.imports(&django).await;
    assert_eq!(summary, ImportSummary { unchanged_rooms: 1, ..ImportSummary::default() });
    assert_eq!((chat.contents().await, count_files(&chat)), (before, files));
    assert_eq!(chat.one::<i64>("SELECT max(xid::text::bigint) FROM events").await, newest);
}

/// Imports again after a change in Django, and compares the chat with one into which all of it was moved at once.
async fn takes_what_changed(django: &Django, chat: &Chat) -> ImportSummary {
    let (summary, report) = chat.imports(django).await;
    chat.is_equal_to(django).await;
    let fresh = Chat::of(django).await;
    assert_eq!(chat.contents().await, fresh.contents().await, "{report}");
    summary
}

#[tokio::test]
async fn an_import_appends_what_is_new() {
    let django = Django::new().await;
    django.talks().await;
    django.room(2, "group", 0, &[MARIA]).await;
    let chat = Chat::of(&django).await;
    django.says(15, 1, Some(JONAS), 20, "new").await;
    django.attaches(15, "file", "new.pdf", "new.pdf", Some(PDF)).await;
    django.edits(13, 21, "edited since").await;
    django.deletes(14, 22).await;
    django.user(4, "sam").await;
    django.joins(1, 4, 23, false).await;
    django.set_participant(1, YUKI, &format!("last_read_at = '{}'", at(24))).await;
    let summary = takes_what_changed(&django, &chat).await;
    assert_eq!((summary.rooms, summary.unchanged_rooms, summary.messages), (1, 1, 1));
    assert_eq!(summary.rewritten_rooms, 0, "what was there stays where it was");
    assert_eq!(chat.row(YUKI, 1).await.unread, 0);
}

#[tokio::test]
async fn a_log_in_which_something_earlier_changed_is_written_anew() {
    let django = Django::new().await;
    django.talks().await;
    let chat = Chat::of(&django).await;
    type Change = (&'static str, String);
    let changes: [Change; 5] = [
        ("a second edit", format!("edited_at = '{}', content = 'again' WHERE id = '{}'", at(30), id(11))),
        ("an edit that left no trace", format!("content = 'changed by hand' WHERE id = '{}'", id(13))),
        ("a late commit", format!("created_at = '{}' WHERE id = '{}'", at(1), id(14))),
        ("an account that was deleted", format!("sender_id = NULL WHERE id = '{}'", id(13))),
        ("another type", format!("message_type = 'system' WHERE id = '{}'", id(13))),
    ];
    for (what, change) in changes {
        django.run(&format!("UPDATE api_chatmessage SET {change}")).await;
        let summary = takes_what_changed(&django, &chat).await;
        assert_eq!(summary.rewritten_rooms, 1, "{what}");
    }
    django
        .run(&format!(
            "UPDATE api_chatmessage SET reply_to_id = NULL; DELETE FROM api_chatmessage WHERE id = '{}'",
            id(11)
        ))
        .await;
    assert_eq!(takes_what_changed(&django, &chat).await.rewritten_rooms, 1);
    assert_eq!(chat.messages(1).await.len(), 3);
}

#[tokio::test]
async fn a_room_that_was_written_to_since_is_left_as_it_is() {
    let django = Django::new().await;
    django.talks().await;
    django.room(2, "group", 0, &[MARIA]).await;
    let chat = Chat::of(&django).await;
    let add = RoomChange::Add { user: UserId(YUKI.into()), terms: Role::Member.into() };
    let by = Principal::User(UserId(MARIA.into()));
    let add = Command { room: RoomId(id(2)), by, change: add };
    chat.store.append(&[Arc::new(add)], true).await.unwrap()[0].clone().unwrap().unwrap();
    django.says(21, 2, Some(MARIA), 9, "lost").await;
    django.says(15, 1, Some(MARIA), 9, "moved").await;
    let (summary, report) = chat.imports(&django).await;
    assert_eq!((summary.rooms, summary.failed_rooms), (1, 1));
    assert!(report.contains("written to in the chat since it was moved"), "{report}");
    assert_eq!((chat.messages(1).await.len(), chat.messages(2).await.len()), (5, 0));
}

#[tokio::test]
async fn an_import_is_refused_while_nodes_serve() {
    let (django, chat) = (Django::new().await, Chat::new().await);
    django.talks().await;
    let node = chat.store.acquire_node_id("node-1").await.unwrap();
    let refused = chat.imports_with(&django, IMPORT).await.unwrap_err();
    assert!(matches!(refused, MoveError::NodesServe(1)), "{refused}");
    assert!(refused.to_string().contains("stop them first"));
    let dry_run = ImportOptions { is_dry_run: true, ..IMPORT };
    assert!(chat.imports_with(&django, dry_run).await.is_ok(), "it writes nothing");
    chat.verifies(&django).await;
    drop(node);
    for _ in 0..100 {
        if chat.imports_with(&django, IMPORT).await.is_ok() {
            return chat.is_equal_to(&django).await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the node's name is not released");
}

#[tokio::test]
async fn built_in_accounts_do_not_become_those_of_other_people() {
    let (django, chat) = (Django::new().await, Chat::new().await);
    chat.store.upsert_account("demo", "Demo", "", false, "hash").await.unwrap();
    let refused = chat.imports_with(&django, IMPORT).await.unwrap_err();
    assert!(matches!(refused, MoveError::Accounts(1)), "{refused}");
    assert_eq!(chat.one::<String>("SELECT username FROM people WHERE id = 1").await, "demo");
}

#[tokio::test]
async fn another_database_is_no_django() {
    let chat = Chat::new().await;
    let django = Django::new().await;
    django.run("DROP TABLE api_chatmessage").await;
    let refused = chat.imports_with(&django, IMPORT).await.unwrap_err();
    assert!(refused.to_string().starts_with("api_chatmessage isn't in Django's database"), "{refused}");
}

#[tokio::test]
async fn what_was_moved_can_be_used() {
    let django = Django::new().await;
    django.talks().await;
    let chat = Chat::of(&django).await;
    let read = RoomChange::Read(ReadTarget::Head);
    let by = Principal::User(UserId(YUKI.into()));
    let read = Command { room: RoomId(id(1)), by, change: read };
    chat.store.append(&[Arc::new(read)], true).await.unwrap()[0].clone().unwrap().unwrap();
    assert_eq!(chat.row(YUKI, 1).await.unread, 0);
    let added = RoomChange::Remove { user: UserId(YUKI.into()) };
    let by = Principal::User(UserId(MARIA.into()));
    let removed = Command { room: RoomId(id(1)), by, change: added };
    chat.store.append(&[Arc::new(removed)], true).await.unwrap()[0].clone().unwrap().unwrap();
    assert_eq!(chat.story(1).await.last().unwrap(), "participant_left");
}

fn count_files(chat: &Chat) -> usize {
    let folders = std::fs::read_dir(chat.folder.path().join("files")).unwrap();
    folders.map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap().count()).sum()
}
