//! The settings of rooms: how they are set and shown, and what they refuse.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{ApiClient, fresh_id, host, new_user, text_of};
use crate::files::PNG;

fn path(room: &str) -> String {
    format!("/api/chat/rooms/{room}/")
}

async fn sends(who: &ApiClient, room: &str, text: &str) -> crate::client::ApiResponse {
    who.post("/api/chat/messages/", json!({"room": room, "content": text})).await
}

#[tokio::test]
async fn settings_have_defaults_and_are_changed_together() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    let defaults = json!({"posting": "everyone", "slow_mode_seconds": 0, "pinning": "everyone", "history": "all",
        "edit_history": true, "description": "", "urgent": "everyone"});
    let shown = bob.room(&room).await;
    for (name, value) in defaults.as_object().expect("settings") {
        assert_eq!(&shown[name], value, "{name}");
    }
    let changes = json!({"name": "News", "posting": "admins", "slow_mode_seconds": 30, "pinning": "admins",
        "edit_history": false, "description": "  What the landlord\nannounces ", "urgent": "nobody",
        "picture": "x", "no_setting": [1]});
    let head = shown["seq"].as_i64().expect("a position");
    let changed = alice.patch(&path(&room), changes.clone()).await.expect_status(200);
    assert_eq!((&changed["name"], &changed["posting"]), (&json!("News"), &json!("admins")));
    assert_eq!(changed["description"], "What the landlord\nannounces");
    assert_eq!((&changed["slow_mode_seconds"], &changed["edit_history"]), (&json!(30), &json!(false)));
    assert_eq!(changed["seq"], head + 1, "one event");
    let again = alice.patch(&path(&room), changes).await.expect_status(200);
    assert_eq!(again["seq"], head + 1, "nothing new");
    let listed = bob.get("/api/chat/rooms/").await.expect_status(200)["results"][0].clone();
    assert_eq!(listed["description"], "What the landlord\nannounces");
    // A form has texts, an empty one of which says nothing, and one setting leaves the others.
    let form = alice.request(Method::PATCH, &path(&room));
    let form = form.header("content-type", "application/x-www-form-urlencoded");
    let changed = ApiClient::send(form.body("slow_mode_seconds=7&edit_history=true&description="))
        .await
        .expect_status(200);
    assert_eq!((&changed["slow_mode_seconds"], &changed["edit_history"]), (&json!(7), &json!(true)));
    assert_eq!((&changed["description"], &changed["posting"]), (&listed["description"], &json!("admins")));
    let cleared = alice.patch(&path(&room), json!({"description": " "})).await.expect_status(200);
    assert_eq!(cleared["description"], "");
    // What a client has read it may send back.
    let read = bob.room(&room).await;
    let kept = alice.put(&path(&room), read.clone()).await.expect_status(200);
    assert_eq!(kept["seq"], read["seq"]);
}

#[tokio::test]
async fn a_wrong_value_is_named_and_nothing_is_changed() {
    let alice = new_user("alice").await;
    let room = alice.creates_group(&[]).await;
    let before = alice.room(&room).await;
    let long = "x".repeat(1_001);
    for (name, wrong) in [
        ("posting", json!("nobody")),
        ("posting", json!(null)),
        ("posting", json!("Admins")),
        ("posting", json!(["admins"])),
        ("slow_mode_seconds", json!(-1)),
        ("slow_mode_seconds", json!(21_601)),
        ("slow_mode_seconds", json!(1.5)),
        ("slow_mode_seconds", json!("soon")),
        ("slow_mode_seconds", json!(null)),
        ("slow_mode_seconds", json!(10_000_000_000_000_000_000_000_f64)),
        ("pinning", json!("nobody")),
        ("history", json!("none")),
        ("edit_history", json!("perhaps")),
        ("edit_history", json!(null)),
        ("description", json!(long)),
        ("description", json!(5)),
        ("description", json!("a\u{0}b")),
        ("urgent", json!("")),
    ] {
        let mut body = json!({"pinning": "admins", "name": "Changed"});
        body[name] = wrong.clone();
        alice.patch(&path(&room), body).await.expect_field_errors(&[name]);
    }
    let two = json!({"posting": "x", "urgent": "y", "slow_mode_seconds": 5});
    alice.patch(&path(&room), two).await.expect_field_errors(&["posting", "urgent"]);
    assert_eq!(alice.room(&room).await, before);
    // The longest that are accepted.
    let most = json!({"description": "é".repeat(1_000), "slow_mode_seconds": 21_600});
    alice.patch(&path(&room), most).await.expect_status(200);
}

#[tokio::test]
async fn only_who_manages_a_room_changes_its_settings() {
    let (alice, bob, eve) = (new_user("alice").await, new_user("bob").await, new_user("eve").await);
    let (room, direct) = (alice.creates_group(&[&bob]).await, alice.opens_direct(&bob).await);
    let change = json!({"posting": "admins"});
    for (who, room, status) in [
        (&bob, &room, 403),
        (&eve, &room, 403),
        (&alice, &direct, 403),
        (&host().await, &room, 403),
        (&alice, &room, 200),
    ] {
        who.patch(&path(room), change.clone()).await.expect_status(status);
    }
    // Who may not is told so whatever the values are.
    bob.patch(&path(&room), json!({"posting": "x"})).await.expect_status(403);
    let body = json!({"participant_ids": [alice.id, bob.id]});
    let task =
        host().await.put(&format!("/api/chat/tasks/{}/room/", fresh_id()), body).await.expect_status(201);
    let task = text_of(&task["id"]);
    let changed = host().await.patch(&path(&task), json!({"posting": "admins"})).await.expect_status(200);
    assert_eq!(changed["capabilities"], json!(["post", "pin", "moderate", "manage_participants", "manage"]));
    assert_eq!(sends(&bob, &task, "hi").await.expect_status(403)["code"], "forbidden");
}

#[tokio::test]
async fn an_announcement_room_is_read_by_all_and_written_by_admins() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    assert_eq!(bob.room(&room).await["capabilities"], json!(["post", "react", "pin", "urgent"]));
    let closed = alice.patch(&path(&room), json!({"posting": "admins"})).await.expect_status(200);
    assert_eq!(
        closed["capabilities"],
        json!(["post", "react", "pin", "urgent", "moderate", "manage_participants", "manage"])
    );
    assert_eq!(bob.room(&room).await["capabilities"], json!(["react", "pin"]));
    let refused = sends(&bob, &room, "hi").await;
    assert_eq!(refused.expect_status(403)["code"], "forbidden");
    let (texts, files) = ([("room", room.as_str())], [("attachment", "a.png", PNG)]);
    bob.post_form("/api/chat/messages/", &texts, &files).await.expect_status(403);
    alice.says(&room, "Water is off on Monday").await;
    assert_eq!((bob.unread(&room).await, bob.sees(&room).await.len()), (1, 1));
    bob.reads(&room).await;
    assert_eq!(bob.unread(&room).await, 0);
    let place = alice.participant_id(&bob, &room).await;
    let role = async |is_admin: bool| {
        let path = format!("/api/chat/participants/{place}/");
        alice.patch(&path, json!({"is_admin": is_admin})).await.expect_status(200);
    };
    role(true).await;
    bob.says(&room, "as an admin").await;
    role(false).await;
    sends(&bob, &room, "as a member").await.expect_status(403);
    alice.post(&format!("{}archive/", path(&room)), json!({})).await.expect_status(200);
    let archived = alice.room(&room).await;
    assert_eq!(archived["capabilities"], json!(["moderate", "manage_participants", "manage"]));
}

#[tokio::test]
async fn slow_mode_says_how_long_to_wait() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    alice.patch(&path(&room), json!({"slow_mode_seconds": 3})).await.expect_status(200);
    assert_eq!(bob.room(&room).await["next_post_at"], Value::Null);
    let client_id = uuid::Uuid::new_v4();
    let send = json!({"room": room, "content": "one", "client_id": client_id});
    let first = bob.post("/api/chat/messages/", send.clone()).await.expect_status(201);
    let refused = sends(&bob, &room, "two").await;
    let body = refused.expect_status(429);
    let wait = body["retry_after"].as_f64().expect("seconds");
    assert_eq!(body["code"], "rate_limited");
    assert!(wait > 0.0 && wait <= 3.0, "{body}");
    let header: f64 = refused.header("retry-after").expect("a header").parse().expect("seconds");
    assert!((header - wait.ceil()).abs() < f64::EPSILON, "{header} for {wait}");
    let next = text_of(&bob.room(&room).await["next_post_at"]);
    let at = |text: &str| text.parse::<chrono::DateTime<chrono::Utc>>().expect("a time");
    let interval = at(&next) - at(&text_of(&first["created_at"]));
    assert_eq!(interval, chrono::TimeDelta::seconds(3));
    // A retry isn't a second message, and admins don't wait.
    let again = bob.post("/api/chat/messages/", send).await.expect_status(200);
    assert_eq!(again["id"], first["id"]);
    for text in ["a", "b"] {
        alice.says(&room, text).await;
    }
    assert_eq!(alice.room(&room).await["next_post_at"], Value::Null);
    // Deleting it doesn't help.
    bob.delete(&format!("/api/chat/messages/{}/", text_of(&first["id"]))).await.expect_status(204);
    let body = sends(&bob, &room, "two").await.expect_status(429);
    let wait = Duration::from_secs_f64(body["retry_after"].as_f64().expect("seconds"));
    tokio::time::sleep(wait).await;
    bob.says(&room, "two").await;
}

#[tokio::test]
async fn the_texts_of_a_message_are_shown_where_the_room_shows_them() {
    let (alice, bob, eve) = (new_user("alice").await, new_user("bob").await, new_user("eve").await);
    let room = alice.creates_group(&[&bob]).await;
    let message = bob.says(&room, "first").await;
    let at = format!("/api/chat/messages/{}/", text_of(&message["id"]));
    let versions = format!("{at}versions/");
    let shown = alice.get(&versions).await.expect_status(200);
    assert_eq!(shown, json!([{"content": "first", "edited_at": message["created_at"]}]));
    let mut times = vec![message["created_at"].clone()];
    for text in ["second", "third"] {
        let edited = bob.patch(&at, json!({"content": text})).await.expect_status(200);
        times.push(edited["edited_at"].clone());
    }
    let shown = alice.get(&versions).await.expect_status(200);
    let expected: Vec<Value> = ["first", "second", "third"]
        .iter()
        .zip(&times)
        .map(|(text, at)| json!({"content": text, "edited_at": at}))
        .collect();
    assert_eq!(shown, json!(expected));
    eve.get(&versions).await.expect_status(404);
    host().await.get(&versions).await.expect_status(404);
    alice.patch(&path(&room), json!({"edit_history": false})).await.expect_status(200);
    for who in [&alice, &bob] {
        assert_eq!(who.get(&versions).await.expect_status(403)["code"], "forbidden");
    }
    alice.patch(&path(&room), json!({"edit_history": true})).await.expect_status(200);
    bob.get(&versions).await.expect_status(200);
    bob.delete(&at).await.expect_status(204);
    bob.get(&versions).await.expect_status(404);
    bob.get("/api/chat/messages/x/versions/").await.expect_status(404);
}
