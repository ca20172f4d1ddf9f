//! Read marks: one per user and room, forward only, and everything that depends on them.

use serde_json::json;
use uuid::Uuid;

use crate::shared;
use crate::users::text;

#[tokio::test]
async fn a_mark_moves_forward_and_is_broadcast_once() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut a = ana.joins(&room).await;
    let mut b = ben.joins(&room).await;
    a.receives("presence").await;
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
    b.receives("room_marked_read").await;
    let receipt = a.next_is("read_receipt").await;
    assert_eq!((&receipt["message_id"], &receipt["up_to"]), (&two["message"]["id"], &two["seq"]));
    b.next_is("read_receipt").await;

    b.sends(json!({"type": "read_receipt", "message_id": one["message"]["id"]})).await;
    b.sends(json!({"type": "mark_room_read"})).await;
    b.receives("room_marked_read").await;
    b.receives_nothing().await;
    a.receives_nothing().await;

    let mut again = ana.room_socket(&room).opens().await.expect("a socket");
    again.next_is("connection_established").await;
    let marks = again.next_is("read_state").await["marks"].clone();
    assert_eq!(marks, json!([{"user_id": ben.id, "seq": two["seq"], "read_at": receipt["read_at"]}]));
}

#[tokio::test]
async fn every_call_moves_the_same_mark() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut a = ana.joins(&room).await;
    let one = ana.posts_message(&room, "one").await;
    let two = ana.posts_message(&room, "two").await;
    let place = ana.participant_id(&ben, &room).await;
    ana.patches(&format!("participants/{place}/"), json!({"is_admin": true})).await;

    ben.posts(&format!("messages/{}/mark_read/", one["id"].as_str().expect("an id")), json!({})).await;
    assert_eq!(a.receives("read_receipt").await["message_id"], one["id"]);
    ben.posts(&format!("rooms/{room}/mark_read/"), json!({})).await;
    let receipt = a.receives("read_receipt").await;
    assert_eq!(receipt["message_id"], two["id"], "the newest message at or before the mark");
    ben.posts(&format!("messages/{}/mark_read/", two["id"].as_str().expect("an id")), json!({})).await;
    a.receives_nothing().await;
}

#[tokio::test]
async fn a_mark_for_a_message_elsewhere_is_refused_and_not_broadcast() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let other = ana.makes_group(&[]).await;
    let foreign = ana.posts_message(&other, "elsewhere").await;
    let mut a = ana.joins(&room).await;
    let mut b = ben.joins(&room).await;
    for stray in [json!(Uuid::new_v4()), foreign["id"].clone()] {
        b.sends(json!({"type": "read_receipt", "message_id": stray})).await;
        b.receives_error("not_found").await;
    }
    a.receives_nothing().await;
}

#[tokio::test]
async fn a_mark_on_one_device_clears_the_badge_on_the_others() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let (mut phone, greeting) = ben.opens_user_socket().await;
    assert_eq!(greeting["unread_count"], 0);
    let mut desk = ben.joins(&room).await;
    ana.posts_message(&room, "one").await;
    assert_eq!(phone.next_is("inbox").await["unread_count"], 1);
    desk.sends(json!({"type": "mark_room_read"})).await;
    let line = phone.next_is("inbox").await;
    assert_eq!((&line["unread_count"], &line["total_unread"]), (&json!(0), &json!(0)));
}

#[tokio::test]
async fn a_returning_client_gets_its_read_mark() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let message = ana.posts_message(&room, "one").await;
    ben.posts(&format!("rooms/{room}/mark_read/"), json!({})).await;
    ben.leaves(&room).await;
    // A new socket receives nothing about a user who has left.
    let mut a = ana.room_socket(&room).opens().await.expect("a socket");
    a.next_is("connection_established").await;
    assert_eq!(a.next_is("read_state").await["marks"], json!([]));
    ana.adds(&ben, &room).await;
    a.receives("participant_joined").await;
    let receipt = a.receives("read_receipt").await;
    assert_eq!((&receipt["user_id"], &receipt["up_to"]), (&json!(ben.id), &message["seq"]));
    assert_eq!(receipt["message_id"], message["id"]);
}

#[tokio::test]
async fn a_mark_does_not_move_to_a_deleted_message() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let message = ana.posts_message(&room, "one").await;
    let mut b = ben.joins(&room).await;
    let id = text(&message["id"]);
    ana.deletes(&format!("messages/{id}/")).await;
    b.receives("message_deleted").await;
    b.sends(json!({"type": "read_receipt", "message_id": id})).await;
    b.receives_error("not_found").await;
    let (status, _) = ben.requests(reqwest::Method::POST, &format!("messages/{id}/mark_read/"), None).await;
    assert_eq!(status, 404);
    b.receives_nothing().await;
}

#[tokio::test]
async fn a_users_own_messages_are_never_unread() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let (mut list, _) = ana.opens_user_socket().await;
    ana.posts_message(&room, "mine").await;
    assert_eq!(list.next_is("inbox").await["unread_count"], 0);
    let greeting = ana.room_socket(&room).opens().await.expect("a socket").reads_greeting().await;
    assert_eq!(greeting["unread_count"], 0);
}

#[tokio::test]
async fn in_a_huge_room_a_new_socket_gets_only_its_own_mark() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let crowd = server.create_users(999).await;
    let ids: Vec<i64> = crowd.iter().copied().chain([ben.id]).collect();
    let room = json!({"room_type": "group", "name": "Crowd", "participant_ids": ids});
    let room = text(&ana.posts("rooms/", room).await["id"]);
    let message = ana.posts_message(&room, "one").await;
    for user in [&ana, &ben] {
        user.posts(&format!("rooms/{room}/mark_read/"), json!({})).await;
    }
    let mut b = ben.room_socket(&room).opens().await.expect("a socket");
    b.next_is("connection_established").await;
    let marks = b.next_is("read_state").await["marks"].clone();
    assert_eq!(marks.as_array().map(Vec::len), Some(1), "{marks}");
    assert_eq!((&marks[0]["user_id"], &marks[0]["seq"]), (&json!(ben.id), &message["seq"]));
}
