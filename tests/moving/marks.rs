//! Read marks and receipts.

use actors::domain::ids::{RoomId, UserId};
use aristay_chat::moving::{ImportOptions, MarksSource};
use aristay_chat::store::postgres::queries::MessageFilter;

use crate::django::{Django, JONAS, MARIA, YUKI, at, id};
use crate::world::{Chat, IMPORT};

/// Maria says five things, a minute each from the first on.
async fn maria_talks() -> Django {
    let django = Django::new().await;
    django.room(1, "group", 0, &[MARIA, JONAS, YUKI]).await;
    for message in 1..=5 {
        django.says(10 + message, 1, Some(MARIA), message.into(), "text").await;
    }
    django
}

fn read(entries: &[(&str, i64)]) -> String {
    let entries: Vec<String> = entries
        .iter()
        .map(|(user, minute)| format!("\"{user}\": \"{}\"", at(*minute).to_rfc3339()))
        .collect();
    format!("read_by = '{{{}}}'", entries.join(", "))
}

/// Who has read which message when, as REST shows it.
async fn receipts(chat: &Chat) -> Vec<Vec<(i64, i64)>> {
    let filter = MessageFilter { room: Some(RoomId(id(1))), oldest_first: true, ..MessageFilter::default() };
    let page = chat.store.message_page(UserId(1), &filter, 100, 0).await.unwrap();
    let minutes = |time: &chrono::DateTime<chrono::Utc>| (*time - at(0)).num_minutes();
    let of = |message: &aristay_chat::store::postgres::queries::MessageDetails| {
        message.receipts.first_read_at.iter().map(|(user, time)| (user.0, minutes(time))).collect()
    };
    page.messages.iter().map(of).collect()
}

#[tokio::test]
async fn the_mark_is_the_newest_message_at_or_before_last_read_at() {
    let django = maria_talks().await;
    django.set_participant(1, JONAS, &format!("last_read_at = '{}'", at(3))).await;
    django.set_participant(1, YUKI, &format!("last_read_at = '{}'", at(-60))).await;
    django.set_message(12, &read(&[("2", 20)])).await;
    django.set_message(11, &read(&[("2", 2)])).await;
    django.set_message(15, &read(&[("2", 21), ("3", 22)])).await;
    let chat = Chat::new().await;
    let (_, report) = chat.imports(&django).await;
    assert_eq!((chat.row(JONAS, 1).await.unread, chat.row(YUKI, 1).await.unread), (2, 5));
    assert_eq!(receipts(&chat).await, [vec![(2, 2)], vec![(2, 3)], vec![(2, 3)], vec![], vec![]]);
    assert!(report.contains("2\tleft behind: entry of read_by beyond last_read_at"), "{report}");
    let read_at: chrono::DateTime<chrono::Utc> =
        chat.one("SELECT read_at FROM participants WHERE user_id = 3").await;
    assert_eq!(read_at, at(-60));
    chat.is_equal_to(&django).await;
}

#[tokio::test]
async fn the_furthest_marks_keep_receipts_and_badges_shrink() {
    let django = maria_talks().await;
    django.set_participant(1, JONAS, &format!("last_read_at = '{}'", at(3))).await;
    django.set_message(15, &read(&[("2", 21)])).await;
    let chat = Chat::new().await;
    let furthest = ImportOptions { marks: MarksSource::Furthest, ..IMPORT };
    chat.imports_with(&django, furthest).await.unwrap();
    assert_eq!(chat.row(JONAS, 1).await.unread, 0);
    let expected = [vec![(2, 3)], vec![(2, 3)], vec![(2, 3)], vec![(2, 21)], vec![(2, 21)]];
    assert_eq!(receipts(&chat).await, expected);
    // Another choice takes back what the first one has taken.
    chat.imports(&django).await;
    assert_eq!(chat.row(JONAS, 1).await.unread, 2);
    assert_eq!(receipts(&chat).await[3..], [vec![], vec![]]);
}

#[tokio::test]
async fn odd_entries_of_read_by_are_dropped_and_reported() {
    let django = maria_talks().await;
    django.set_participant(1, JONAS, &format!("last_read_at = '{}'", at(9))).await;
    let odd = r#"read_by = '{"1": "2025-10-20T08:02:00+00:00", "2": "2025-10-20T08:07:00", "abc": "x",
        "99999": "2025-10-20T08:00:00+00:00"}'"#;
    django.set_message(15, odd).await;
    django.set_message(14, "read_by = '[1, 2]'").await;
    let chat = Chat::new().await;
    let (_, report) = chat.imports(&django).await;
    assert!(report.contains(&format!("or no time: 2 of message {}", id(15))), "{report}");
    assert!(report.contains("1\tleft behind: entry of read_by by the author"), "{report}");
    assert_eq!(receipts(&chat).await[4], [(2, 7)], "a time without a zone is one of UTC");
}
