//! A room as it stood: who was in it, what it said, and what isn't shown any more.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{ApiClient, host, new_user, text_of};

/// The time of the database, which runs on the same clock.
fn now() -> DateTime<Utc> {
    Utc::now()
}

fn path(room: &str, time: DateTime<Utc>) -> String {
    format!("/api/chat/rooms/{room}/at/?time={}", time.format("%Y-%m-%dT%H:%M:%S%.6fZ"))
}

async fn shown(who: &ApiClient, room: &str, time: DateTime<Utc>) -> Value {
    who.get(&path(room, time)).await.expect_status(200)
}

/// The texts, the oldest first.
fn texts(shown: &Value) -> Vec<&Value> {
    shown["messages"].as_array().expect("messages").iter().rev().map(|message| &message["content"]).collect()
}

fn people(shown: &Value) -> Vec<(i64, &str)> {
    let participants = shown["participants"].as_array().expect("participants");
    let of = |one: &'_ Value| one["user"]["id"].as_i64().expect("an id");
    participants.iter().map(|one| (of(one), one["role"].as_str().expect("a role"))).collect()
}

#[tokio::test]
async fn a_room_is_shown_as_it_stood() {
    let (alice, bob, carol) = (new_user("alice").await, new_user("bob").await, new_user("carol").await);
    let before = now();
    let room = alice.creates_group(&[&bob]).await;
    let room_path = format!("/api/chat/rooms/{room}/");
    let edited = alice.says(&room, "at nine").await;
    let deleted = bob.says(&room, "with a slip").await;
    alice.post(&format!("{room_path}mark_read/"), Value::Null).await.expect_status(200);
    let first = now();
    let message = |one: &Value| format!("/api/chat/messages/{}/", text_of(&one["id"]));
    alice.patch(&message(&edited), json!({"content": "at ten"})).await.expect_status(200);
    bob.delete(&message(&deleted)).await.expect_status(204);
    alice.patch(&room_path, json!({"posting": "admins", "name": "Roof"})).await.expect_status(200);
    let body = json!({"room": room, "user": carol.id});
    alice.post("/api/chat/participants/", body).await.expect_status(201);
    let second = now();
    alice.removes(&bob, &room).await;
    alice.patch(&room_path, json!({"posting": "everyone"})).await.expect_status(200);
    alice.patch(&message(&edited), json!({"content": "at eleven"})).await.expect_status(200);
    alice.says(&room, "later").await;
    alice.post(&format!("{room_path}archive/"), Value::Null).await.expect_status(200);

    let then = shown(&alice, &room, first).await;
    assert_eq!(texts(&then), ["at nine", "[Message deleted]"], "what was deleted since isn't shown");
    assert_eq!(people(&then), [(alice.id, "admin"), (bob.id, "member")]);
    assert_eq!(
        (&then["room"]["posting"], &then["room"]["is_active"], &then["changed_since"], &then["seq"]),
        (&json!("everyone"), &json!(true), &json!(["name"]), &json!(5))
    );
    let marks = then["read_marks"].as_array().expect("marks");
    let alices = marks.iter().find(|mark| mark["user_id"] == json!(alice.id)).expect("a mark");
    assert_eq!(alices["seq"], json!(5));
    let then = shown(&alice, &room, second).await;
    assert_eq!(texts(&then), ["at ten", "[Message deleted]"]);
    assert_ne!(then["messages"][1]["edited_at"], Value::Null);
    assert_eq!(people(&then), [(alice.id, "admin"), (bob.id, "member"), (carol.id, "member")]);
    assert_eq!((&then["room"]["posting"], &then["changed_since"]), (&json!("admins"), &json!([])));
    let today = shown(&alice, &room, now()).await;
    assert_eq!(texts(&today), ["at eleven", "[Message deleted]", "later"]);
    assert_eq!((&today["room"]["is_active"], &today["room"]["name"]), (&json!(false), &json!("Roof")));
    assert_eq!(people(&today), [(alice.id, "admin"), (carol.id, "member")]);

    alice.get(&path(&room, before)).await.expect_field_errors(&["time"]);
    for query in ["", "?time=", "?time=yesterday"] {
        alice.get(&format!("{room_path}at/{query}")).await.expect_field_errors(&["time"]);
    }
    let newest = alice.get(&format!("{}&limit=1", path(&room, now()))).await.expect_status(200);
    assert_eq!((texts(&newest), &newest["has_more"]), (vec![&json!("later")], &json!(true)));
    let seq = &newest["messages"][0]["seq"];
    let older = alice.get(&format!("{}&before={seq}", path(&room, now()))).await.expect_status(200);
    assert_eq!((texts(&older).len(), &older["has_more"]), (2, &json!(false)));
}

#[tokio::test]
async fn nobody_sees_more_of_the_past_than_of_today() {
    let (alice, bob, carol) = (new_user("alice").await, new_user("bob").await, new_user("carol").await);
    let room = alice.creates_group(&[&bob]).await;
    let secret = alice.says(&room, "secret").await;
    let early = now();
    alice
        .patch(&format!("/api/chat/rooms/{room}/"), json!({"history": "joined", "edit_history": false}))
        .await
        .expect_status(200);
    alice.post("/api/chat/participants/", json!({"room": room, "user": carol.id})).await.expect_status(201);
    alice.says(&room, "for all").await;
    let late = now();
    alice
        .patch(&format!("/api/chat/messages/{}/", text_of(&secret["id"])), json!({"content": "public"}))
        .await
        .expect_status(200);

    carol.get(&path(&room, early)).await.expect_status(403);
    assert_eq!(texts(&shown(&carol, &room, late).await), ["for all"]);
    let then = shown(&bob, &room, late).await;
    assert_eq!(texts(&then), [&Value::Null, &json!("for all")], "the room shows no earlier texts");
    alice.removes(&bob, &room).await;
    bob.get(&path(&room, late)).await.expect_status(403);
    new_user("dan").await.get(&path(&room, late)).await.expect_status(403);
    host().await.get(&path(&Uuid::new_v4().to_string(), late)).await.expect_status(404);
}
