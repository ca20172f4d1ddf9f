//! Urgent messages by REST, and acknowledging them.

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use crate::client::{ApiClient, host, new_user, text_of};
use crate::files::PNG;

fn path(message: &Value) -> String {
    format!("/api/chat/messages/{}/", text_of(&message["id"]))
}

fn ack(message: &Value) -> String {
    format!("{}ack/", path(message))
}

async fn sends(user: &ApiClient, room: &str, urgent: &Value) -> crate::client::ApiResponse {
    let body = json!({"room": room, "content": "water in the cellar", "urgent": urgent});
    user.post("/api/chat/messages/", body).await
}

#[tokio::test]
async fn an_urgent_message_is_acknowledged_once_by_each() {
    let (alice, bob, carl) = (new_user("alice").await, new_user("bob").await, new_user("carl").await);
    let room = alice.creates_group(&[&bob, &carl]).await;
    let plain = alice.says(&room, "lunch").await;
    assert_eq!(plain["urgent"], json!(null));
    let message = sends(&alice, &room, &json!({})).await.expect_status(201);
    assert_eq!(message["urgent"], json!({"acks": [], "ack_count": 0}));
    let given = bob.post(&ack(&message), Value::Null).await.expect_status(200);
    let urgent = &given["urgent"];
    assert_eq!((&given["message_id"], &urgent["ack_count"]), (&message["id"], &json!(1)));
    assert_eq!(urgent["acks"][0]["user_id"], json!(bob.id));
    assert_eq!(bob.post(&ack(&message), Value::Null).await.expect_status(200), given, "again");
    carl.post(&ack(&message), Value::Null).await.expect_status(200);
    let shown = alice.get(&path(&message)).await.expect_status(200);
    assert_eq!((&shown["urgent"]["ack_count"], &shown["urgent"]["acks"][0]), (&json!(2), &urgent["acks"][0]));
    assert_eq!(shown["rev"], message["seq"].as_i64().expect("a position") + 2);
    alice.post(&ack(&message), Value::Null).await.expect_field_errors(&["ack"]);
    bob.post(&ack(&plain), Value::Null).await.expect_field_errors(&["ack"]);
    // An edit leaves it urgent, and a deletion ends that.
    alice.patch(&path(&message), json!({"content": "less water"})).await.expect_status(200);
    assert_eq!(bob.get(&path(&message)).await.expect_status(200)["urgent"]["ack_count"], 2);
    alice.delete(&path(&message)).await.expect_status(204);
    bob.post(&ack(&message), Value::Null).await.expect_status(404);
}

#[tokio::test]
async fn the_time_to_acknowledge_is_ahead_and_at_most_a_week() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    let at = |hours| (Utc::now() + TimeDelta::hours(hours)).to_rfc3339();
    let message = sends(&alice, &room, &json!({"ack_by": at(1)})).await.expect_status(201);
    assert!(message["urgent"]["ack_by"].is_string());
    for wrong in [
        json!({"ack_by": at(-1)}),
        json!({"ack_by": at(24 * 8)}),
        json!({"ack_by": "soon"}),
        json!({"ack_by": 5}),
        json!(true),
        json!("x"),
        json!([]),
    ] {
        sends(&alice, &room, &wrong).await.expect_field_errors(&["urgent"]);
    }
    assert_eq!(sends(&alice, &room, &json!(null)).await.expect_status(201)["urgent"], json!(null));
    // A form has the object as JSON.
    let texts = [("room", room.as_str()), ("urgent", "{}")];
    let sent = alice.post_form("/api/chat/messages/", &texts, &[("attachment", "a.png", PNG)]).await;
    assert_eq!(sent.expect_status(201)["urgent"]["ack_count"], 0);
}

#[tokio::test]
async fn the_same_send_is_sent_once_and_with_another_time_refused() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    let client_id = uuid::Uuid::new_v4();
    let body =
        |urgent: Value| json!({"room": room, "content": "fire", "client_id": client_id, "urgent": urgent});
    let first = alice.post("/api/chat/messages/", body(json!({}))).await.expect_status(201);
    bob.post(&ack(&first), Value::Null).await.expect_status(200);
    let again = alice.post("/api/chat/messages/", body(json!({}))).await.expect_status(200);
    assert_eq!((&again["id"], &again["urgent"]["ack_count"]), (&first["id"], &json!(1)));
    for other in [json!(null), json!({"ack_by": "2030-01-01T00:00:00Z"})] {
        alice.post("/api/chat/messages/", body(other)).await.expect_status(409);
    }
}

#[tokio::test]
async fn a_room_says_who_may_send_urgent_messages() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    for (setting, statuses) in [("everyone", [201, 201]), ("admins", [201, 403]), ("nobody", [403, 403])] {
        alice.patch(&format!("/api/chat/rooms/{room}/"), json!({"urgent": setting})).await.expect_status(200);
        for (user, status) in [&alice, &bob].into_iter().zip(statuses) {
            let answer = sends(user, &room, &json!({})).await.expect_status(status);
            if status == 403 {
                assert_eq!(answer["code"], "forbidden");
            }
        }
    }
    let host = host().await;
    let task = json!({"participant_ids": [alice.id]});
    let path = format!("/api/chat/tasks/{}/room/", crate::client::fresh_id());
    let task = text_of(&host.put(&path, task).await.expect_status(201)["id"]);
    sends(&host, &task, &json!({})).await.expect_status(403);
}
