//! People, rooms and participants.

use actors::domain::ids::UserId;
use actors::domain::room::{RoomType, Subject};
use actors::ports::store::Store;
use aristay_chat::moving::ERASED_USER;

use crate::django::{Django, JONAS, MARIA, YUKI, at, id};
use crate::world::Chat;

#[tokio::test]
async fn people_keep_their_ids_and_the_host_has_told_of_them() {
    let django = Django::new().await;
    django.run("UPDATE auth_user SET is_active = false, last_name = '' WHERE id = 2").await;
    let chat = Chat::of(&django).await;
    let (jonas, access) = chat.store.user(UserId(2)).await.unwrap().unwrap();
    assert_eq!((&*jonas.username, &*jonas.full_name, access.is_active), ("jonas", "Jonas", false));
    let maria: String = chat
        .one("SELECT concat_ws(' ', full_name, email, is_staff, told_by_host) FROM people WHERE id = 1")
        .await;
    assert_eq!(maria, "Maria Person maria@example.org t t");
    let since: chrono::DateTime<chrono::Utc> = chat.one("SELECT created_at FROM people WHERE id = 1").await;
    assert_eq!(since, at(-1_000));
}

#[tokio::test]
async fn an_account_that_was_erased_here_stays_erased() {
    let (django, chat) = (Django::new().await, Chat::new().await);
    chat.imports(&django).await;
    chat.store.erase_user(UserId(2)).await.unwrap();
    chat.imports(&django).await;
    assert_eq!(chat.one::<String>("SELECT username FROM people WHERE id = 2").await, "deleted");
}

#[tokio::test]
async fn a_room_has_the_title_of_its_task_or_property() {
    let django = Django::new().await;
    django
        .run("INSERT INTO api_task VALUES (7, 'Fix the boiler'); INSERT INTO api_property VALUES (8, 'Loft')")
        .await;
    django.room(1, "task", 0, &[MARIA, JONAS]).await;
    django.set_room(1, "task_id = 7").await;
    django.room(2, "property", 1, &[MARIA]).await;
    django.set_room(2, "property_id = 8").await;
    let chat = Chat::of(&django).await;
    let (task, property) = (chat.row(MARIA, 1).await, chat.row(MARIA, 2).await);
    assert_eq!((task.room.subject, &*task.display_name), (Some(Subject::Task(7)), "Task: Fix the boiler"));
    assert_eq!(
        (property.room.subject, &*property.display_name),
        (Some(Subject::Property(8)), "Property: Loft")
    );
    assert_eq!((task.room.created_at, task.room.created_by), (at(0), Some(UserId(1))));
}

#[tokio::test]
async fn a_room_is_archived_only_if_it_is_not_active() {
    let django = Django::new().await;
    for room in 1..=3 {
        django.room(room, "group", 0, &[MARIA]).await;
    }
    django.set_room(1, &format!("archived_at = '{}'", at(5))).await;
    django.set_room(2, &format!("is_active = false, archived_at = '{}'", at(5))).await;
    django.set_room(3, &format!("is_active = false, modified_at = '{}'", at(6))).await;
    let chat = Chat::of(&django).await;
    let archived = [1, 2, 3].map(|room| chat.row(MARIA, room));
    let archived = futures_util::future::join_all(archived).await;
    let times: Vec<_> = archived.iter().map(|row| row.room.archived_at).collect();
    assert_eq!(times, [None, Some(at(5)), Some(at(6))]);
    assert_eq!(chat.story(2).await, ["room_created", "participant_joined", "room_updated"]);
}

#[tokio::test]
async fn a_second_direct_room_of_a_pair_is_merged_by_time() {
    let django = Django::new().await;
    django.room(1, "direct", 0, &[MARIA, JONAS]).await;
    django.room(2, "direct", 1, &[JONAS, MARIA]).await;
    for (message, room, minute) in [(11, 1, 2), (12, 2, 3), (13, 1, 4)] {
        django.says(message, room, Some(MARIA), minute, "text").await;
    }
    django.set_message(13, &format!("reply_to_id = '{}'", id(12))).await;
    let chat = Chat::new().await;
    let (summary, report) = chat.imports(&django).await;
    assert_eq!((summary.rooms, summary.messages), (1, 3));
    assert!(report.contains("merged into the older one"), "{report}");
    let order: Vec<u128> = chat.messages(1).await.iter().map(|message| message.id.0.as_u128()).collect();
    assert_eq!(order, [11, 12, 13]);
    assert!(chat.message(1, 13).await.reply_to.is_some(), "both are of one room now");
    assert_eq!(chat.one::<i64>("SELECT count(*) FROM rooms").await, 1);
    assert_eq!(chat.row(JONAS, 1).await.unread, 3);
    chat.is_equal_to(&django).await;
}

#[tokio::test]
async fn a_second_room_of_a_task_becomes_a_group_named_after_it() {
    let django = Django::new().await;
    django.run("INSERT INTO api_task VALUES (7, 'Fix the boiler')").await;
    for (room, user) in [(1, MARIA), (2, JONAS)] {
        django.room(room, "task", room.into(), &[user]).await;
        django.set_room(room, "task_id = 7").await;
    }
    let chat = Chat::of(&django).await;
    let (first, second) = (chat.row(MARIA, 1).await, chat.row(JONAS, 2).await);
    assert_eq!((first.room.room_type, second.room.room_type), (RoomType::Task, RoomType::Group));
    assert_eq!(second.room.name, "Task: Fix the boiler");
    assert!(!chat.store.inbox(UserId(2), None).await.unwrap().iter().any(|row| row.room.id.0 == id(1)));
    chat.is_equal_to(&django).await;
}

#[tokio::test]
async fn rooms_that_can_not_be_what_they_say_become_groups() {
    let django = Django::new().await;
    django.run("INSERT INTO api_task VALUES (7, 'Fix the boiler')").await;
    django.room(1, "task", 0, &[MARIA]).await;
    django.set_room(1, "name = 'Lost and found'").await;
    django.room(2, "direct", 0, &[MARIA, JONAS, YUKI]).await;
    django.room(3, "direct", 0, &[]).await;
    django.room(4, "group", 0, &[MARIA]).await;
    django.set_room(4, "task_id = 7").await;
    let chat = Chat::new().await;
    let (_, report) = chat.imports(&django).await;
    let types: String = chat.one("SELECT string_agg(room_type || coalesce(task, 0), ' ') FROM rooms").await;
    assert_eq!(types, "group0 group0 group0 group0");
    assert_eq!(chat.row(MARIA, 1).await.display_name, "Lost and found");
    for finding in ["without one, now a group", "of three or more, or of nobody", "which is dropped"] {
        assert!(report.contains(finding), "{finding}: {report}");
    }
    chat.is_equal_to(&django).await;
}

#[tokio::test]
async fn a_direct_room_with_one_person_gets_an_account_that_is_gone_for_each_lost_partner() {
    let django = Django::new().await;
    for room in [1, 2] {
        django.room(room, "direct", 0, &[MARIA]).await;
        django.says(10 + room, room, None, 1, "from somebody who is gone").await;
    }
    let chat = Chat::of(&django).await;
    let rows = [chat.row(MARIA, 1).await, chat.row(MARIA, 2).await];
    let partners = rows.map(|row| row.partner.unwrap());
    assert_ne!(partners[0].id, partners[1].id);
    for partner in &partners {
        assert_eq!((&*partner.username, &*partner.full_name), ("deleted", "Deleted user"));
        assert!(partner.id.0 > ERASED_USER && partner.id.0 < 1 << 53);
    }
    assert_eq!(chat.message(1, 11).await.sender.id, partners[0].id);
    assert_eq!(chat.row(MARIA, 1).await.unread, 1);
    chat.is_equal_to(&django).await;
}

#[tokio::test]
async fn participants_keep_their_ids_and_what_they_have_not_read() {
    let django = Django::new().await;
    django.room(1, "group", 0, &[MARIA, JONAS]).await;
    django.says(11, 1, Some(MARIA), -5, "before Jonas joined").await;
    django.set_participant(1, JONAS, "muted = true, muted_until = '2099-01-01Z'").await;
    django.joins(1, YUKI, 1, false).await;
    django.set_participant(1, YUKI, &format!("left_at = '{}'", at(9))).await;
    let chat = Chat::of(&django).await;
    let ids: String = chat.one("SELECT string_agg(id::text, ' ' ORDER BY id) FROM participants").await;
    assert_eq!(ids, "101 102 103");
    let next: i64 = chat.one("SELECT nextval(pg_get_serial_sequence('participants', 'id')) AS next").await;
    assert!(next > 103, "{next}");
    let row = chat.row(JONAS, 1).await;
    assert_eq!((row.unread, row.is_muted), (1, true));
    let story = chat.story(1).await;
    assert_eq!(story.last().unwrap(), "participant_left");
    chat.is_equal_to(&django).await;
}

#[tokio::test]
async fn a_bad_room_costs_itself_alone() {
    let (django, chat) = (Django::new().await, Chat::new().await);
    django.talks().await;
    django.run("INSERT INTO api_task VALUES (7, 'Fix the boiler')").await;
    django.room(2, "task", 0, &[MARIA]).await;
    django.set_room(2, "task_id = 7").await;
    django.room(3, "group", 0, &[MARIA]).await;
    // The chat has a room of that task, one of that id, and a participant of that id.
    let insert = format!(
        "INSERT INTO people (id, username) VALUES (50, 'other');
         INSERT INTO rooms (id, room_type, task, created_at, modified_at, head)
             VALUES ('{}', 'task', 7, now(), now(), 0), ('{}', 'group', NULL, now(), now(), 0);
         INSERT INTO participants (id, room_id, user_id, role, joined_at, joined_seq)
             VALUES (101, '{}', 50, 'member', now(), 0)",
        id(90),
        id(3),
        id(3)
    );
    chat.client.batch_execute(&insert).await.unwrap();
    let (summary, report) = chat.imports(&django).await;
    assert_eq!((summary.rooms, summary.failed_rooms), (2, 1), "{report}");
    assert!(report.contains("left behind: room whose id the chat has"), "{report}");
    assert!(report.contains("that has one in the chat already"), "{report}");
    assert!(report.contains("whose id was taken"), "{report}");
    assert_eq!(chat.messages(1).await.len(), 4);
    assert_eq!(chat.row(MARIA, 2).await.room.name, "Task: Fix the boiler");
}
