//! Faults of the chat that this one replaces, as far as REST can show them.

use futures_util::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{ApiClient, fresh_id, host, new_user, text_of, texts};

#[tokio::test]
async fn the_previous_pages_query_keeps_its_meaning() {
    let alice = new_user("alice").await;
    let room = alice.creates_group(&[]).await;
    for number in 1..=51 {
        alice.says(&room, &number.to_string()).await;
    }
    let page = alice
        .get(&format!("/api/chat/messages/?room={room}&page_size=50&ordering=created_at"))
        .await
        .expect_status(200);
    assert_eq!(texts(&page), (1..=50).map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(alice.sees(&room).await[0], "51");
}

#[tokio::test]
async fn changes_over_rest_are_events() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[]).await;
    let id = text_of(&alice.says(&room, "hi").await["id"]);
    alice.patch(&format!("/api/chat/messages/{id}/"), json!({"content": "ho"})).await.expect_status(200);
    alice.delete(&format!("/api/chat/messages/{id}/")).await.expect_status(204);
    alice.post("/api/chat/participants/", json!({"room": room, "user": bob.id})).await.expect_status(201);
    alice.patch(&format!("/api/chat/rooms/{room}/"), json!({"name": "x"})).await.expect_status(200);
    let log = alice.get(&format!("/api/chat/rooms/{room}/events/")).await.expect_status(200);
    let types: Vec<String> =
        log["events"].as_array().expect("events").iter().map(|event| text_of(&event["type"])).collect();
    assert_eq!(
        types,
        [
            "room_updated",
            "participant_joined",
            "chat_message",
            "message_updated",
            "message_deleted",
            "participant_joined",
            "room_updated"
        ]
    );
}

#[tokio::test]
async fn a_removed_user_learns_nothing_by_resending() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    let quoted = text_of(&alice.says(&room, "quoted").await["id"]);
    let body = json!({"room": room, "content": "mine", "reply_to": quoted, "client_id": Uuid::new_v4()});
    let first = bob.post("/api/chat/messages/", body.clone()).await.expect_status(201);
    alice.removes(&bob, &room).await;
    alice
        .patch(&format!("/api/chat/messages/{quoted}/"), json!({"content": "a secret"}))
        .await
        .expect_status(200);
    let again = bob.post("/api/chat/messages/", body).await.expect_status(200);
    let known = json!({"id": first["id"], "seq": first["seq"], "created_at": first["created_at"]});
    assert_eq!(again, known);
}

#[tokio::test]
async fn a_removed_or_deactivated_user_loses_access() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    alice.removes(&bob, &room).await;
    bob.post("/api/chat/messages/", json!({"room": room, "content": "x"}))
        .await
        .expect_field_errors(&["room"]);
    assert!(bob.sees(&room).await.is_empty());
    bob.get(&format!("/api/chat/rooms/{room}/")).await.expect_status(403);
    host()
        .await
        .put(&format!("/api/chat/users/{}/", alice.id), json!({"is_active": false}))
        .await
        .expect_status(200);
    alice.get(&format!("/api/chat/rooms/{room}/")).await.expect_status(401);
}

#[tokio::test]
async fn a_returning_user_is_the_same_participant() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    let place = alice.participant_id(&bob, &room).await;
    alice.removes(&bob, &room).await;
    bob.post("/api/chat/participants/", json!({"room": room, "user": bob.id})).await.expect_status(403);
    alice.post("/api/chat/participants/", json!({"room": room, "user": bob.id})).await.expect_status(201);
    assert_eq!(alice.participant_id(&bob, &room).await, place);
}

#[tokio::test]
async fn admins_archive_and_unarchive() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    for call in ["archive", "unarchive"] {
        bob.post(&format!("/api/chat/rooms/{room}/{call}/"), json!({})).await.expect_status(403);
        alice.post(&format!("/api/chat/rooms/{room}/{call}/"), json!({})).await.expect_status(200);
    }
}

#[tokio::test]
async fn own_messages_are_never_unread() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.opens_direct(&bob).await;
    alice.says(&room, "1").await;
    alice.says(&room, "2").await;
    assert_eq!((alice.unread(&room).await, bob.unread(&room).await), (0, 2));
}

#[tokio::test]
async fn a_message_and_its_room_share_one_mark() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.opens_direct(&bob).await;
    let messages = [alice.says(&room, "1").await, alice.says(&room, "2").await];
    bob.post(&format!("/api/chat/messages/{}/mark_read/", text_of(&messages[1]["id"])), json!({}))
        .await
        .expect_status(200);
    assert_eq!(bob.unread(&room).await, 0);
    let first =
        bob.get(&format!("/api/chat/messages/{}/", text_of(&messages[0]["id"]))).await.expect_status(200);
    assert_eq!(first["is_read"], true);
}

#[tokio::test]
async fn a_reply_to_an_erased_user_is_still_shown() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    let first = alice.says(&room, "hi").await;
    let answer = json!({"room": room, "content": "ho", "reply_to": first["id"]});
    bob.post("/api/chat/messages/", answer).await.expect_status(201);
    host().await.delete(&format!("/api/chat/users/{}/", alice.id)).await.expect_status(204);
    let page = bob.get(&format!("/api/chat/messages/?room={room}")).await.expect_status(200);
    assert_eq!(page["results"][0]["reply_to"]["sender"], json!({"id": alice.id, "username": "deleted"}));
    assert_eq!(page["results"][1]["sender"]["full_name"], "Deleted user");
}

#[tokio::test]
async fn a_message_of_two_megabytes_is_rejected() {
    let alice = new_user("alice").await;
    let room = alice.creates_group(&[]).await;
    let body = json!({"room": room, "content": "x".repeat(4_001)});
    alice.post("/api/chat/messages/", body).await.expect_field_errors(&["content"]);
    let body = json!({"room": room, "content": "x".repeat(2_000_000)});
    let request = alice.request(reqwest::Method::POST, "/api/chat/messages/").json(&body);
    // The server may close the connection after its error while the rest is still being sent.
    if let Ok(answer) = request.send().await {
        assert_eq!(answer.status().as_u16(), 413);
    }
    assert!(alice.sees(&room).await.is_empty());
}

#[tokio::test]
async fn a_property_and_a_pair_have_one_room_under_concurrency() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let rooms = |request: Vec<Value>| {
        request.iter().map(|room| text_of(&room["id"])).collect::<std::collections::BTreeSet<_>>().len()
    };
    let direct = (0..8).map(async |number| {
        let (by, other) = if number % 2 == 0 { (&alice, &bob) } else { (&bob, &alice) };
        by.post("/api/chat/rooms/", json!({"participant_ids": [other.id]})).await.expect_status(201)
    });
    assert_eq!(rooms(join_all(direct).await), 1);
    let property = fresh_id();
    let body = json!({"room_type": "property", "property": property});
    let granted = alice.granted(&format!("property:{property}")).await;
    let twice = (0..8).map(async |_| granted.post("/api/chat/rooms/", body.clone()).await.expect_status(201));
    assert_eq!(rooms(join_all(twice).await), 1);
}

#[tokio::test]
async fn opening_a_direct_room_readmits_a_user_who_left() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.opens_direct(&bob).await;
    alice.says(&room, "hi").await;
    alice.post(&format!("/api/chat/rooms/{room}/leave/"), json!({})).await.expect_status(200);
    alice
        .post("/api/chat/messages/", json!({"room": room, "content": "x"}))
        .await
        .expect_field_errors(&["room"]);
    assert_eq!(alice.opens_direct(&bob).await, room);
    assert_eq!(alice.sees(&room).await, ["hi"]);
    alice.post(&format!("/api/chat/rooms/{room}/leave/"), json!({})).await.expect_status(200);
    bob.says(&room, "are you there?").await;
    assert_eq!(alice.sees(&room).await, ["are you there?", "hi"], "a partner who writes brings one back");
}

#[tokio::test]
async fn a_failed_creation_leaves_nothing() {
    let alice = new_user("alice").await;
    alice.get("/api/chat/messages/?room=abc").await.expect_field_errors(&["room"]);
    let body = json!({"room_type": "group", "participant_ids": [alice.id]});
    alice.post("/api/chat/rooms/", body).await.expect_field_errors(&["participant_ids"]);
    assert_eq!(alice.get("/api/chat/rooms/").await.expect_status(200)["count"], 0);
}

#[tokio::test]
async fn nobody_writes_system_messages() {
    let alice = new_user("alice").await;
    let room = alice.creates_group(&[]).await;
    let body = json!({"room": room, "content": "x", "message_type": "system"});
    alice.post("/api/chat/messages/", body).await.expect_field_errors(&["message_type"]);
}

#[tokio::test]
async fn a_patch_moves_nothing_to_another_room() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let (own, other) = (alice.creates_group(&[]).await, bob.creates_group(&[&alice]).await);
    let place = alice.participant_id(&alice, &other).await;
    let path = format!("/api/chat/participants/{place}/");
    alice.patch(&path, json!({"room": own, "is_admin": true})).await.expect_status(403);
    let id = text_of(&alice.says(&own, "hi").await["id"]);
    let body =
        json!({"content": "ho", "room": other, "sender": bob.id, "created_at": "2020-01-01T00:00:00Z"});
    let edited = alice.patch(&format!("/api/chat/messages/{id}/"), body).await.expect_status(200);
    assert_eq!((&edited["room"], &edited["sender"]["id"]), (&json!(own), &json!(alice.id)));
    assert!(alice.sees(&other).await.is_empty());
}

#[tokio::test]
async fn twenty_concurrent_receipts_all_count() {
    let alice = new_user("alice").await;
    let readers = join_all((0..20).map(|_| new_user("reader"))).await;
    let room = alice.creates_group(&readers.iter().collect::<Vec<_>>()).await;
    let id = text_of(&alice.says(&room, "hi").await["id"]);
    let path = format!("/api/chat/messages/{id}/mark_read/");
    join_all(readers.iter().map(async |reader| reader.post(&path, json!({})).await.expect_status(200))).await;
    let message = alice.get(&format!("/api/chat/messages/{id}/")).await.expect_status(200);
    assert_eq!(message["read_count"], 20);
    assert_eq!(message["read_by"].as_object().expect("readers").len(), 20);
}

#[tokio::test]
async fn a_receipt_for_a_message_of_another_room_is_rejected() {
    let (alice, eve) = (new_user("alice").await, new_user("eve").await);
    let room = alice.creates_group(&[]).await;
    let id = text_of(&alice.says(&room, "hi").await["id"]);
    for id in [id, Uuid::new_v4().to_string()] {
        eve.post(&format!("/api/chat/messages/{id}/mark_read/"), json!({})).await.expect_status(404);
    }
}

#[tokio::test]
async fn a_text_with_nul_is_an_error() {
    let alice = new_user("alice").await;
    let room = alice.creates_group(&[]).await;
    alice
        .post("/api/chat/messages/", json!({"room": room, "content": "a\0b"}))
        .await
        .expect_field_errors(&["content"]);
    alice
        .patch(&format!("/api/chat/rooms/{room}/"), json!({"name": "a\0b"}))
        .await
        .expect_field_errors(&["name"]);
}

#[tokio::test]
async fn of_two_admins_who_leave_concurrently_one_is_rejected() {
    for _ in 0..10 {
        let (alice, bob, carol) = (new_user("alice").await, new_user("bob").await, new_user("carol").await);
        let room = alice.creates_group(&[&bob, &carol]).await;
        let place = alice.participant_id(&bob, &room).await;
        alice
            .patch(&format!("/api/chat/participants/{place}/"), json!({"is_admin": true}))
            .await
            .expect_status(200);
        let path = format!("/api/chat/rooms/{room}/leave/");
        let leaves = async |person: &ApiClient| person.post(&path, json!({})).await.status;
        let statuses = join_all([leaves(&alice), leaves(&bob)]).await;
        assert!(statuses == [200, 400] || statuses == [400, 200], "{statuses:?}");
    }
}

#[tokio::test]
async fn deleting_a_room_keeps_its_log_and_a_patch_changes_its_name_alone() {
    let alice = new_user("alice").await;
    let room = alice.creates_group(&[]).await;
    let path = format!("/api/chat/rooms/{room}/");
    let body = json!({"name": "x", "room_type": "task", "task": 5, "is_active": false, "archived_at": null});
    let patched = alice.patch(&path, body).await.expect_status(200);
    assert_eq!(
        (&patched["room_type"], &patched["task"], &patched["is_active"]),
        (&json!("group"), &Value::Null, &json!(true))
    );
    alice.delete(&path).await.expect_status(204);
    alice.get(&path).await.expect_status(404);
}

#[tokio::test]
async fn an_archived_room_accepts_nothing() {
    let alice = new_user("alice").await;
    let room = alice.creates_group(&[]).await;
    let id = text_of(&alice.says(&room, "hi").await["id"]);
    alice.post(&format!("/api/chat/rooms/{room}/archive/"), json!({})).await.expect_status(200);
    let sent = alice.post("/api/chat/messages/", json!({"room": room, "content": "x"})).await;
    assert_eq!(sent.expect_status(409)["code"], "archived");
    let edited = alice.patch(&format!("/api/chat/messages/{id}/"), json!({"content": "x"})).await;
    assert_eq!(edited.expect_status(409)["code"], "archived");
    alice.reads(&room).await;
    alice.delete(&format!("/api/chat/messages/{id}/")).await.expect_status(204);
    alice.post(&format!("/api/chat/rooms/{room}/leave/"), json!({})).await.expect_status(200);
}

#[tokio::test]
async fn nobody_sees_others_email_addresses() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.opens_direct(&bob).await;
    alice.says(&room, "hi").await;
    for path in [
        format!("/api/chat/rooms/{room}/"),
        format!("/api/chat/messages/?room={room}"),
        format!("/api/chat/participants/?room={room}"),
        format!("/api/chat/rooms/{room}/events/"),
        format!("/api/chat/users/?search=alice{}", alice.id),
    ] {
        let answer = bob.get(&path).await;
        let shown = String::from_utf8_lossy(&answer.bytes);
        assert!(!shown.contains(&format!("alice{}@example.org", alice.id)), "{path}");
    }
}
