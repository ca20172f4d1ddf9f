//! A room's log, and what becomes of odd messages.

use actors::domain::event::EventBody;
use actors::domain::ids::{MessageId, UserId};
use actors::domain::message::MessageType;
use aristay_chat::moving::{ERASED_USER, ImportOptions};

use crate::django::{Django, JONAS, MARIA, YUKI, at, id};
use crate::world::{Chat, IMPORT};

#[tokio::test]
async fn a_log_is_sorted_by_time_and_then_by_id() {
    let django = Django::new().await;
    django.room(1, "group", 0, &[MARIA]).await;
    for (message, minute) in [(13, 2), (12, 2), (11, 3)] {
        django.says(message, 1, Some(MARIA), minute, "text").await;
    }
    django.edits(13, 2, "edited in the minute in which it was sent").await;
    django.deletes(12, 4).await;
    django.set_room(1, &format!("is_active = false, archived_at = '{}'", at(5))).await;
    let chat = Chat::of(&django).await;
    let story = chat.story(1).await;
    let expected = [
        "room_created",
        "participant_joined",
        "message_posted 12",
        "message_posted 13",
        "message_edited 13",
        "message_posted 11",
        "message_deleted 12",
        "room_updated",
    ];
    assert_eq!(story, expected);
    let revs: Vec<i64> = chat.messages(1).await.iter().map(|message| message.rev.0).collect();
    assert_eq!(revs, [7, 5, 6], "the position of the last change");
    let times: Vec<_> = chat.log(1).await.iter().map(|event| event.at).collect();
    assert_eq!(times[2..], [at(2), at(2), at(2), at(3), at(4), at(5)]);
    let last: i64 = chat.one("SELECT last_message_seq FROM rooms").await;
    assert_eq!(last, 6);
}

#[tokio::test]
async fn a_message_from_before_its_room_and_one_edited_in_the_future_keep_their_times() {
    let django = Django::new().await;
    django.room(1, "group", 0, &[MARIA]).await;
    django.says(11, 1, Some(MARIA), -500, "earlier than the room").await;
    django.says(12, 1, Some(MARIA), 1, "later").await;
    django.edits(11, 9_000_000, "edited in years from now").await;
    django.set_message(12, &format!("is_edited = true, edited_at = '{}'", at(-9))).await;
    let chat = Chat::of(&django).await;
    let story = chat.story(1).await;
    let expected = [
        "room_created",
        "message_posted 11",
        "participant_joined",
        "message_posted 12",
        "message_edited 12",
        "message_edited 11",
    ];
    assert_eq!(story, expected, "a room begins with its making, and nothing is edited before it was sent");
    let (earlier, later) = (chat.message(1, 11).await, chat.message(1, 12).await);
    assert_eq!((earlier.created_at, earlier.edited_at), (at(-500), Some(at(9_000_000))));
    assert_eq!(later.edited_at, Some(at(-9)));
    chat.is_equal_to(&django).await;
}

#[tokio::test]
async fn times_that_are_none_cost_nothing_else() {
    let django = Django::new().await;
    django.room(1, "group", 0, &[MARIA, JONAS]).await;
    django.says(11, 1, Some(MARIA), 1, "text").await;
    django.says(12, 1, Some(MARIA), 2, "text").await;
    django.set_message(11, "created_at = '-infinity', is_edited = true, edited_at = 'infinity'").await;
    django.set_message(12, &format!("is_deleted = true, modified_at = '{}'", at(7))).await;
    django.set_participant(1, JONAS, "last_read_at = 'infinity'").await;
    let chat = Chat::of(&django).await;
    assert_eq!(chat.message(1, 11).await.created_at, chrono::DateTime::UNIX_EPOCH);
    assert_eq!(chat.message(1, 12).await.deleted_at, Some(at(7)), "deleted when its row was saved");
    chat.is_equal_to(&django).await;
}

#[tokio::test]
async fn a_message_without_a_sender_is_by_the_erased_account() {
    let django = Django::new().await;
    django.room(1, "group", 0, &[MARIA]).await;
    django.says(11, 1, None, 1, "from somebody who is gone").await;
    django.says(12, 1, None, 2, "Yuki joined the room").await;
    django.set_message(12, "message_type = 'system'").await;
    let chat = Chat::of(&django).await;
    let message = chat.message(1, 11).await;
    assert_eq!((message.sender.id, &*message.sender.username), (UserId(ERASED_USER), "deleted"));
    assert_eq!(chat.message(1, 12).await.message_type, MessageType::System);
    assert_eq!(chat.row(MARIA, 1).await.unread, 2);
}

#[tokio::test]
async fn a_reply_to_itself_or_into_another_room_is_none_and_one_to_a_later_message_is_kept() {
    let django = Django::new().await;
    for room in [1, 2] {
        django.room(room, "group", 0, &[MARIA]).await;
    }
    for (message, room) in [(11, 1), (12, 1), (13, 1), (14, 1), (15, 1), (21, 2)] {
        django.says(message, room, Some(MARIA), message.into(), "text").await;
    }
    django.deletes(15, 50).await;
    for (message, target) in [(11, 11), (12, 21), (13, 14), (14, 15)] {
        django.set_message(message, &format!("reply_to_id = '{}'", id(target))).await;
    }
    let chat = Chat::new().await;
    let (_, report) = chat.imports(&django).await;
    let messages = chat.messages(1).await;
    let replies: Vec<Option<u128>> =
        messages.iter().map(|message| message.reply_to.as_ref().map(|quote| quote.id.0.as_u128())).collect();
    assert_eq!(replies, [None, None, Some(14), Some(15), None]);
    assert!(report.contains(&format!("now no reply: message {}", id(11))), "{report}");
    assert!(report.contains(&format!("in room {} to message {}", id(1), id(21))), "{report}");
    chat.is_equal_to(&django).await;
    let before = chat.contents().await;
    chat.imports(&django).await;
    assert_eq!(chat.contents().await, before);
}

#[tokio::test]
async fn texts_are_kept_as_they_are_however_long() {
    let django = Django::new().await;
    django.room(1, "group", 0, &[MARIA]).await;
    let texts =
        ["x".repeat(10_000), "  spaces around ".to_owned(), String::new(), "<b>&\u{1f44d}".to_owned()];
    for (message, text) in (11..).zip(&texts) {
        django.says(message, 1, Some(MARIA), message.into(), text).await;
    }
    let chat = Chat::new().await;
    let (_, report) = chat.imports(&django).await;
    let moved: Vec<String> = chat.messages(1).await.into_iter().map(|message| message.content).collect();
    assert_eq!(moved, texts);
    assert!(report.contains("1\tchoice: text over 4,000 characters, kept whole"), "{report}");
    assert!(report.contains("1\tchoice: empty text without a file, kept"), "{report}");
}

#[tokio::test]
async fn what_a_deleted_message_said_stays_behind() {
    let django = Django::new().await;
    django.room(1, "group", 0, &[MARIA]).await;
    django.says(11, 1, Some(MARIA), 1, "secret").await;
    django.set_message(11, &format!("is_deleted = true, deleted_at = '{}'", at(2))).await;
    let chat = Chat::new().await;
    let (_, report) = chat.imports(&django).await;
    let log = chat.log(1).await;
    assert!(matches!(&log[3].body, EventBody::MessageDeleted(deletion) if deletion.sender == UserId(1)));
    assert_eq!(chat.one::<String>("SELECT content FROM messages").await, "");
    assert!(report.contains("left behind: text of a deleted message"), "{report}");
}

#[tokio::test]
async fn a_long_room_is_moved_in_pieces() {
    let django = Django::new().await;
    django.room(1, "group", 0, &[MARIA, JONAS, YUKI]).await;
    let many = format!(
        "INSERT INTO api_chatmessage
         SELECT md5(n::text)::uuid, 'text', 'text ' || n, NULL, '', NULL, t, t, n % 10 = 0,
             CASE WHEN n % 10 = 0 THEN t + interval '1 hour' END, false, NULL,
             jsonb_build_object('2', t + interval '1 minute'), NULL, 1, '{}'
         FROM generate_series(1, 4000) n, LATERAL (SELECT timestamptz '2025-10-20Z' + n * interval '20 seconds' AS t) t",
        id(1)
    );
    django.run(&many).await;
    let chat = Chat::new().await;
    let (summary, _) = chat.imports(&django).await;
    assert_eq!(summary.messages, 4_000);
    assert_eq!(chat.log(1).await.len(), 4_404);
    chat.is_equal_to(&django).await;
    let pieces: i64 = chat.one("SELECT count(DISTINCT xid) FROM events").await;
    assert!(pieces >= 4, "{pieces}");
}

#[tokio::test]
async fn what_was_moved_is_found_by_a_search() {
    let django = Django::new().await;
    django.talks().await;
    let chat = Chat::of(&django).await;
    chat.is_indexed_up_to(i64::try_from(chat.log(1).await.len()).unwrap()).await;
}

#[tokio::test]
async fn search_is_filled_whatever_the_size_of_the_pieces() {
    let django = Django::new().await;
    for room in 1..=3 {
        django.room(room, "group", 0, &[MARIA]).await;
        let many = format!(
            "INSERT INTO api_chatmessage
             SELECT md5('{room} ' || n)::uuid, 'text', 'text ' || n, NULL, '', NULL, t, t, false, NULL, false, NULL, '{{}}',
                 NULL, 1, '{}'
             FROM generate_series(1, 1100) n, LATERAL (SELECT timestamptz '2025-10-20Z' + n * interval '1 second' AS t) t",
            id(room)
        );
        django.run(&many).await;
    }
    let chat = Chat::of(&django).await;
    chat.is_indexed_up_to(3 * 1_102).await;
}

#[tokio::test]
async fn a_dry_run_reports_and_writes_nothing() {
    let (django, chat) = (Django::new().await, Chat::new().await);
    django.talks().await;
    django.set_message(13, "sender_id = NULL").await;
    let before = chat.contents().await;
    let dry_run = ImportOptions { is_dry_run: true, ..IMPORT };
    let (summary, report) = chat.imports_with(&django, dry_run).await.unwrap();
    assert_eq!((summary.rooms, summary.messages), (1, 4));
    assert!(report.contains("message without an author"), "{report}");
    assert_eq!(chat.contents().await, before);
    assert!(chat.store.room_of_message(MessageId(id(11))).await.unwrap().is_none());
    let left = std::fs::read_dir(chat.folder.path().join("files")).unwrap().count();
    assert_eq!(left, 2, "only the folders of incoming files and of uploads in pieces");
}
