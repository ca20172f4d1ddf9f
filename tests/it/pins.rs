//! Pinned messages by REST.

use serde_json::{Value, json};

use crate::client::{ApiClient, fresh_id, host, new_user, text_of, texts};

fn path(message: &Value) -> String {
    format!("/api/chat/messages/{}/pin/", text_of(&message["id"]))
}

async fn pins(user: &ApiClient, room: &str) -> Value {
    user.get(&format!("/api/chat/rooms/{room}/pins/")).await.expect_status(200)
}

#[tokio::test]
async fn a_message_is_pinned_once_and_taken_off_once() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    let message = alice.says(&room, "the code is 4711").await;
    assert_eq!((&message["pinned_at"], &message["pinned_by"]), (&json!(null), &json!(null)));
    let pinned = bob.put(&path(&message), json!({})).await.expect_status(200);
    assert_eq!((&pinned["id"], &pinned["pinned_by"]), (&message["id"], &json!(bob.id)));
    assert!(pinned["pinned_at"].is_string());
    // Again, by another: it stays as it is.
    let again = alice.put(&path(&message), json!({})).await.expect_status(200);
    for field in ["pinned_at", "pinned_by", "rev"] {
        assert_eq!(again[field], pinned[field], "{field}");
    }
    let shown =
        alice.get(&format!("/api/chat/messages/{}/", text_of(&message["id"]))).await.expect_status(200);
    assert_eq!(shown, again);
    for _ in 0..2 {
        let off = alice.delete(&path(&message)).await.expect_status(200);
        assert_eq!((&off["pinned_at"], &off["pinned_by"]), (&json!(null), &json!(null)));
        assert_eq!(off["rev"], pinned["rev"].as_i64().expect("a position") + 1);
    }
    assert_eq!(pins(&bob, &room).await["results"], json!([]));
}

#[tokio::test]
async fn the_list_has_the_last_pin_first_and_messages_as_everywhere() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    let mut messages = Vec::new();
    for text in ["one", "two", "three"] {
        messages.push(alice.says(&room, text).await);
    }
    for at in [1, 0, 2] {
        bob.put(&path(&messages[at]), json!({})).await.expect_status(200);
    }
    let page = pins(&bob, &room).await;
    assert_eq!((texts(&page), &page["count"]), (vec!["three".into(), "one".into(), "two".into()], &json!(3)));
    let one =
        bob.get(&format!("/api/chat/messages/{}/", text_of(&messages[0]["id"]))).await.expect_status(200);
    assert_eq!(page["results"][1], one);
    let answer = bob.get(&format!("/api/chat/rooms/{room}/pins/?page=2&page_size=2")).await;
    assert_eq!(texts(&answer.expect_status(200)), ["two"]);
    assert_eq!(
        answer.header("x-room-seq"),
        Some((one["seq"].as_i64().expect("a position") + 5).to_string().as_str())
    );
    bob.get(&format!("/api/chat/rooms/{room}/pins/?page=2")).await.expect_status(404);
    // What is deleted isn't pinned.
    alice.delete(&format!("/api/chat/messages/{}/", text_of(&messages[2]["id"]))).await.expect_status(204);
    assert_eq!(texts(&pins(&bob, &room).await), ["one", "two"]);
}

#[tokio::test]
async fn a_room_has_fifty_pinned_messages_at_most() {
    let alice = new_user("alice").await;
    let room = alice.creates_group(&[]).await;
    let mut last = Value::Null;
    for n in 0..51 {
        last = alice.says(&room, &n.to_string()).await;
        let answer = alice.put(&path(&last), json!({})).await;
        if n < 50 {
            answer.expect_status(200);
        } else {
            answer.expect_field_errors(&["pin"]);
        }
    }
    let page = pins(&alice, &room).await;
    assert_eq!((page["count"].as_i64(), texts(&page).len()), (Some(50), 50));
    // Changes of a user have a rate.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    alice.delete(&path(&page["results"][49])).await.expect_status(200);
    alice.put(&path(&last), json!({})).await.expect_status(200);
}

#[tokio::test]
async fn outsiders_archived_rooms_and_deleted_messages() {
    let (alice, bob, eve) = (new_user("alice").await, new_user("bob").await, new_user("eve").await);
    let room = alice.creates_group(&[&bob]).await;
    let (kept, gone) = (alice.says(&room, "kept").await, alice.says(&room, "gone").await);
    for message in [&kept, &gone] {
        bob.put(&path(message), json!({})).await.expect_status(200);
        eve.put(&path(message), json!({})).await.expect_status(404);
        eve.delete(&path(message)).await.expect_status(404);
    }
    eve.get(&format!("/api/chat/rooms/{room}/pins/")).await.expect_status(403);
    alice.delete(&format!("/api/chat/messages/{}/", text_of(&gone["id"]))).await.expect_status(204);
    bob.delete(&path(&gone)).await.expect_status(404);
    alice.post(&format!("/api/chat/rooms/{room}/archive/"), json!({})).await.expect_status(200);
    bob.delete(&path(&kept)).await.expect_status(409);
    alice.put(&path(&kept), json!({})).await.expect_status(409);
    assert_eq!(texts(&pins(&bob, &room).await), ["kept"]);
    alice.removes(&bob, &room).await;
    bob.put(&path(&kept), json!({})).await.expect_status(404);
    bob.get(&format!("/api/chat/rooms/{room}/pins/")).await.expect_status(403);
    let direct = alice.opens_direct(&bob).await;
    let message = alice.says(&direct, "between two").await;
    for user in [&bob, &alice] {
        user.put(&path(&message), json!({})).await.expect_status(200);
        user.delete(&path(&message)).await.expect_status(200);
    }
}

#[tokio::test]
async fn the_host_pins_in_the_rooms_that_it_manages() {
    let (host, alice) = (host().await, new_user("alice").await);
    let body = json!({"participant_ids": [alice.id]});
    let room = host.put(&format!("/api/chat/tasks/{}/room/", fresh_id()), body).await.expect_status(201);
    let room = text_of(&room["id"]);
    let message = alice.says(&room, "the keys are in the box").await;
    let pinned = host.put(&path(&message), json!({})).await.expect_status(200);
    assert_eq!((pinned["pinned_at"].is_string(), &pinned["pinned_by"]), (true, &json!(null)));
    assert_eq!(texts(&pins(&host, &room).await), ["the keys are in the box"]);
    assert_eq!(pins(&alice, &room).await["results"][0]["pinned_at"], pinned["pinned_at"]);
    host.delete(&path(&message)).await.expect_status(200);
    let group = alice.creates_group(&[]).await;
    let own = alice.says(&group, "ours").await;
    host.put(&path(&own), json!({})).await.expect_status(403);
    host.get(&format!("/api/chat/rooms/{group}/pins/")).await.expect_status(403);
    host.put("/api/chat/messages/00000000-0000-4000-8000-000000000000/pin/", json!({}))
        .await
        .expect_status(404);
}
