//! Read marks: one per person and room, forward only, and all that follows from them.

use serde_json::json;
use uuid::Uuid;

use crate::people::text;
use crate::shared;

#[tokio::test]
async fn a_mark_moves_forward_and_everyone_is_told_once() {
    let server = shared().await;
    let (ana, ben) = (server.person("ana").await, server.person("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut a = ana.enters(&room).await;
    let mut b = ben.enters(&room).await;
    a.hears("presence").await;
    a.says("one").await;
    a.says("two").await;
    let (one, two) = (a.sees("one").await, a.sees("two").await);
    b.sees("two").await;

    b.sends(json!({"type": "read_receipt", "message_id": one["message"]["id"]})).await;
    let receipt = b.next_is("read_receipt").await;
    assert_eq!(receipt, a.next_is("read_receipt").await);
    assert_eq!((&receipt["user_id"], &receipt["message_id"]), (&json!(ben.id), &one["message"]["id"]));
    assert_eq!((&receipt["up_to"], &receipt["room_id"]), (&one["seq"], &json!(room)));
    b.sends(json!({"type": "mark_room_read"})).await;
    b.hears("room_marked_read").await;
    let receipt = a.next_is("read_receipt").await;
    assert_eq!((&receipt["message_id"], &receipt["up_to"]), (&two["message"]["id"], &two["seq"]));
    b.next_is("read_receipt").await;

    b.sends(json!({"type": "read_receipt", "message_id": one["message"]["id"]})).await;
    b.sends(json!({"type": "mark_room_read"})).await;
    b.hears("room_marked_read").await;
    b.has_heard_nothing().await;
    a.has_heard_nothing().await;

    let mut again = ana.way_into(&room).opens().await.expect("a socket");
    again.next_is("connection_established").await;
    let marks = again.next_is("read_state").await["marks"].clone();
    assert_eq!(marks, json!([{"user_id": ben.id, "seq": two["seq"], "read_at": receipt["read_at"]}]));
}

#[tokio::test]
async fn whatever_call_moves_a_mark_it_is_the_same_one() {
    let server = shared().await;
    let (ana, ben) = (server.person("ana").await, server.person("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut a = ana.enters(&room).await;
    let one = ana.posts_message(&room, "one").await;
    let two = ana.posts_message(&room, "two").await;
    let place = ana.place_of(&ben, &room).await;
    ana.patches(&format!("participants/{place}/"), json!({"is_admin": true})).await;

    ben.posts(&format!("messages/{}/mark_read/", one["id"].as_str().expect("an id")), json!({})).await;
    assert_eq!(a.hears("read_receipt").await["message_id"], one["id"]);
    ben.posts(&format!("rooms/{room}/mark_read/"), json!({})).await;
    let receipt = a.hears("read_receipt").await;
    assert_eq!(receipt["message_id"], two["id"], "the newest message at or before the mark");
    ben.posts(&format!("messages/{}/mark_read/", two["id"].as_str().expect("an id")), json!({})).await;
    a.has_heard_nothing().await;
}

#[tokio::test]
async fn a_mark_for_a_message_that_is_not_here_is_refused_and_told_to_nobody() {
    let server = shared().await;
    let (ana, ben) = (server.person("ana").await, server.person("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let other = ana.makes_group(&[]).await;
    let foreign = ana.posts_message(&other, "elsewhere").await;
    let mut a = ana.enters(&room).await;
    let mut b = ben.enters(&room).await;
    for stray in [json!(Uuid::new_v4()), foreign["id"].clone()] {
        b.sends(json!({"type": "read_receipt", "message_id": stray})).await;
        b.is_told("not_found").await;
    }
    a.has_heard_nothing().await;
}

#[tokio::test]
async fn a_mark_on_one_device_clears_the_badge_on_the_others() {
    let server = shared().await;
    let (ana, ben) = (server.person("ana").await, server.person("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let (mut phone, greeting) = ben.signs_in().await;
    assert_eq!(greeting["unread_count"], 0);
    let mut desk = ben.enters(&room).await;
    ana.posts_message(&room, "one").await;
    assert_eq!(phone.next_is("inbox").await["unread_count"], 1);
    desk.sends(json!({"type": "mark_room_read"})).await;
    let line = phone.next_is("inbox").await;
    assert_eq!((&line["unread_count"], &line["total_unread"]), (&json!(0), &json!(0)));
}

#[tokio::test]
async fn how_far_one_had_read_who_comes_back_is_told() {
    let server = shared().await;
    let (ana, ben) = (server.person("ana").await, server.person("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let message = ana.posts_message(&room, "one").await;
    ben.posts(&format!("rooms/{room}/mark_read/"), json!({})).await;
    ben.leaves(&room).await;
    // Who comes now is told nothing of someone who is out.
    let mut a = ana.way_into(&room).opens().await.expect("a socket");
    a.next_is("connection_established").await;
    assert_eq!(a.next_is("read_state").await["marks"], json!([]));
    ana.adds(&ben, &room).await;
    a.hears("participant_joined").await;
    let receipt = a.hears("read_receipt").await;
    assert_eq!((&receipt["user_id"], &receipt["up_to"]), (&json!(ben.id), &message["seq"]));
    assert_eq!(receipt["message_id"], message["id"]);
}

#[tokio::test]
async fn a_mark_does_not_go_to_a_message_that_is_deleted() {
    let server = shared().await;
    let (ana, ben) = (server.person("ana").await, server.person("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let message = ana.posts_message(&room, "one").await;
    let mut b = ben.enters(&room).await;
    let id = text(&message["id"]);
    ana.deletes(&format!("messages/{id}/")).await;
    b.hears("message_deleted").await;
    b.sends(json!({"type": "read_receipt", "message_id": id})).await;
    b.is_told("not_found").await;
    let (status, _) = ben.asks(reqwest::Method::POST, &format!("messages/{id}/mark_read/"), None).await;
    assert_eq!(status, 404);
    b.has_heard_nothing().await;
}

#[tokio::test]
async fn ones_own_messages_are_never_unread() {
    let server = shared().await;
    let ana = server.person("ana").await;
    let room = ana.makes_group(&[]).await;
    let (mut list, _) = ana.signs_in().await;
    ana.posts_message(&room, "mine").await;
    assert_eq!(list.next_is("inbox").await["unread_count"], 0);
    let greeting = ana.way_into(&room).opens().await.expect("a socket").is_greeted().await;
    assert_eq!(greeting["unread_count"], 0);
}

#[tokio::test]
async fn in_a_room_of_very_many_one_who_comes_is_told_of_his_own_mark_alone() {
    let server = shared().await;
    let (ana, ben) = (server.person("ana").await, server.person("ben").await);
    let crowd = server.crowd(999).await;
    let ids: Vec<i64> = crowd.iter().copied().chain([ben.id]).collect();
    let room = json!({"room_type": "group", "name": "Crowd", "participant_ids": ids});
    let room = text(&ana.posts("rooms/", room).await["id"]);
    let message = ana.posts_message(&room, "one").await;
    for person in [&ana, &ben] {
        person.posts(&format!("rooms/{room}/mark_read/"), json!({})).await;
    }
    let mut b = ben.way_into(&room).opens().await.expect("a socket");
    b.next_is("connection_established").await;
    let marks = b.next_is("read_state").await["marks"].clone();
    assert_eq!(marks.as_array().map(Vec::len), Some(1), "{marks}");
    assert_eq!((&marks[0]["user_id"], &marks[0]["seq"]), (&json!(ben.id), &message["seq"]));
}
