//! What only the caller sees: drafts, saved messages, reminders, messages to be sent later.

use chrono::{Duration, SubsecRound as _, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{ApiClient, new_user, text_of, texts};

/// The most code points of a draft.
const LONGEST: usize = 20_000;

async fn drafts(of: &ApiClient) -> Vec<Value> {
    let page = of.get("/api/chat/drafts/").await.expect_status(200);
    page["results"].as_array().expect("results").clone()
}

#[tokio::test]
async fn a_draft_is_kept_as_it_was_typed_until_it_is_ended() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    let other = alice.opens_direct(&bob).await;
    let asked = text_of(&bob.says(&room, "When?").await["id"]);
    let path = format!("/api/chat/rooms/{room}/draft/");
    let draft =
        alice.put(&path, json!({"content": "  on Mon\n", "reply_to": asked})).await.expect_status(200);
    assert_eq!(
        (&draft["room_id"], &draft["content"], &draft["reply_to_id"]),
        (&json!(room), &json!("  on Mon\n"), &json!(asked))
    );
    assert_eq!(
        alice.put(&path, json!({"content": "  on Mon\n", "reply_to": asked})).await.expect_status(200),
        draft
    );
    let second = alice.put(&format!("/api/chat/rooms/{other}/draft/"), json!({"content": "hi"})).await;
    assert_eq!(second.expect_status(200)["reply_to_id"], Value::Null);
    let page = alice.get("/api/chat/drafts/").await;
    assert_eq!(page.header("x-personal-position"), Some("2"));
    assert_eq!(page.expect_status(200)["count"], 2);
    let kept = drafts(&alice).await;
    assert_eq!((&kept[0]["room_id"], &kept[1]), (&json!(other), &draft));
    assert_eq!(drafts(&bob).await, Vec::<Value>::new());

    let changed = alice.put(&path, json!({"content": "on Tuesday"})).await.expect_status(200);
    assert_eq!((&changed["content"], &changed["reply_to_id"]), (&json!("on Tuesday"), &Value::Null));
    assert_eq!(alice.put(&path, json!({"content": ""})).await.expect_status(200)["content"], "");
    alice.put(&path, json!({"content": ""})).await.expect_status(200);
    assert_eq!(drafts(&alice).await.len(), 1);
    // Sending doesn't end it: the client does.
    alice.says(&other, "hi").await;
    assert_eq!(drafts(&alice).await.len(), 1);
}

#[tokio::test]
async fn drafts_are_checked() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    let elsewhere = text_of(&bob.says(&bob.creates_group(&[]).await, "elsewhere").await["id"]);
    let path = format!("/api/chat/rooms/{room}/draft/");
    alice.put(&path, json!({})).await.expect_field_errors(&["content"]);
    alice.put(&path, json!({"content": null})).await.expect_field_errors(&["content"]);
    alice.put(&path, json!({"content": "a\u{0}b"})).await.expect_field_errors(&["content"]);
    alice.put(&path, json!({"content": "é".repeat(LONGEST + 1)})).await.expect_field_errors(&["content"]);
    for target in [json!(elsewhere), json!(Uuid::new_v4())] {
        alice
            .put(&path, json!({"content": "x", "reply_to": target}))
            .await
            .expect_field_errors(&["reply_to"]);
    }
    alice.put(&path, json!({"content": "x", "reply_to": "x"})).await.expect_field_errors(&["reply_to"]);
    assert_eq!(drafts(&alice).await, Vec::<Value>::new());
    let longest = "é".repeat(LONGEST);
    assert_eq!(alice.put(&path, json!({"content": longest})).await.expect_status(200)["content"], longest);
    alice
        .put(&format!("/api/chat/rooms/{}/draft/", Uuid::new_v4()), json!({"content": "x"}))
        .await
        .expect_status(404);
    alice.get("/api/chat/drafts/?page=2").await.expect_status(404);
    assert_eq!(alice.get("/api/chat/drafts/?page_size=100").await.expect_status(200)["count"], 1);
}

#[tokio::test]
async fn a_draft_waits_for_a_user_who_is_out_and_for_an_archived_room() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    let path = format!("/api/chat/rooms/{room}/draft/");
    alice.post(&format!("/api/chat/rooms/{room}/archive/"), json!({})).await.expect_status(200);
    bob.put(&path, json!({"content": "later"})).await.expect_status(200);
    alice.post(&format!("/api/chat/rooms/{room}/unarchive/"), json!({})).await.expect_status(200);
    alice.removes(&bob, &room).await;
    bob.put(&path, json!({"content": "now"})).await.expect_status(403);
    assert_eq!(drafts(&bob).await, Vec::<Value>::new());
    alice.post("/api/chat/participants/", json!({"room": room, "user": bob.id})).await.expect_status(201);
    assert_eq!(drafts(&bob).await[0]["content"], "later");
    alice.delete(&format!("/api/chat/rooms/{room}/")).await.expect_status(204);
    assert_eq!(drafts(&bob).await, Vec::<Value>::new());
}

async fn saved(of: &ApiClient) -> Vec<String> {
    let page = of.get("/api/chat/saved/").await.expect_status(200);
    texts(&page)
}

#[tokio::test]
async fn saved_messages_are_listed_with_the_newest_saved_first() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    let mut paths = Vec::new();
    for text in ["one", "two", "three"] {
        let id = text_of(&alice.says(&room, text).await["id"]);
        paths.push((id.clone(), format!("/api/chat/messages/{id}/saved/")));
    }
    let first = bob.put(&paths[2].1, Value::Null).await.expect_status(200);
    assert_eq!((&first["message_id"], &first["room_id"]), (&json!(paths[2].0), &json!(room)));
    bob.put(&paths[0].1, Value::Null).await.expect_status(200);
    assert_eq!(bob.put(&paths[2].1, Value::Null).await.expect_status(200), first, "again changes nothing");
    let page = bob.get("/api/chat/saved/?page_size=1").await;
    assert_eq!(page.header("x-personal-position"), Some("2"));
    let page = page.expect_status(200);
    assert_eq!((&page["count"], texts(&page)), (&json!(2), vec!["one".to_owned()]));
    let message = &page["results"][0];
    assert_eq!((&message["room"], &message["sender"]["id"]), (&json!(room), &json!(alice.id)));
    assert!(message["saved_at"].is_string() && message["is_read"].is_boolean());
    let next = text_of(&page["next"]);
    let next = bob.get(&next[next.find("/api").expect("a path")..]).await.expect_status(200);
    assert_eq!(
        (texts(&next), &next["results"][0]["saved_at"]),
        (vec!["three".to_owned()], &first["saved_at"])
    );
    assert_eq!(saved(&alice).await, Vec::<String>::new());
    for _ in 0..2 {
        bob.delete(&paths[0].1).await.expect_status(204);
    }
    assert_eq!(saved(&bob).await, ["three"]);
}

#[tokio::test]
async fn only_what_a_user_may_read_now_is_listed_as_saved() {
    let (alice, bob, eve) = (new_user("alice").await, new_user("bob").await, new_user("eve").await);
    let (room, other) = (alice.creates_group(&[&bob]).await, alice.creates_group(&[&bob]).await);
    let (kept, gone) = (alice.says(&room, "kept").await, alice.says(&room, "gone").await);
    let away = alice.says(&other, "away").await;
    let path = |message: &Value| format!("/api/chat/messages/{}/saved/", text_of(&message["id"]));
    for message in [&kept, &gone, &away] {
        bob.put(&path(message), Value::Null).await.expect_status(200);
        eve.put(&path(message), Value::Null).await.expect_status(404);
        eve.delete(&path(message)).await.expect_status(404);
    }
    alice.delete(&format!("/api/chat/messages/{}/", text_of(&gone["id"]))).await.expect_status(204);
    alice.removes(&bob, &other).await;
    assert_eq!(saved(&bob).await, ["kept"]);
    assert_eq!(bob.get("/api/chat/saved/").await.expect_status(200)["count"], 1);
    bob.put(&path(&gone), Value::Null).await.expect_status(404);
    // What can't be read any more can still be put away.
    bob.delete(&path(&away)).await.expect_status(204);
    alice.post("/api/chat/participants/", json!({"room": other, "user": bob.id})).await.expect_status(201);
    assert_eq!(saved(&bob).await, ["kept"]);
    bob.put("/api/chat/messages/abc/saved/", Value::Null).await.expect_status(404);
    bob.put(&format!("/api/chat/messages/{}/saved/", Uuid::new_v4()), Value::Null).await.expect_status(404);
}

#[tokio::test]
async fn reminders_are_kept_until_they_are_deleted() {
    let (alice, bob, eve) = (new_user("alice").await, new_user("bob").await, new_user("eve").await);
    let room = alice.creates_group(&[&bob]).await;
    let message = text_of(&alice.says(&room, "on Monday").await["id"]);
    let path = "/api/chat/reminders/";
    let at = (Utc::now() + Duration::hours(2)).trunc_subsecs(3);
    let body = json!({"message_id": message, "at": at});
    let later = bob.post(path, body.clone()).await.expect_status(201);
    assert_eq!(
        (&later["message_id"], &later["room_id"], &later["fired_at"]),
        (&json!(message), &json!(room), &Value::Null)
    );
    assert_eq!(bob.post(path, body).await.expect_status(201), later, "the same again is the same");
    let sooner = json!({"message_id": message, "at": at - Duration::hours(1)});
    let sooner = bob.post(path, sooner).await.expect_status(201);
    let page = bob.get(path).await.expect_status(200);
    assert_eq!((&page["count"], &page["results"]), (&json!(2), &json!([sooner, later])));
    let one = format!("{path}{}/", text_of(&later["id"]));
    assert_eq!(bob.get(&one).await.expect_status(200), later);
    for other in [&alice, &eve] {
        other.get(&one).await.expect_status(404);
        other.delete(&one).await.expect_status(404);
    }
    bob.delete(&one).await.expect_status(204);
    bob.delete(&one).await.expect_status(404);
    assert_eq!(bob.get(path).await.expect_status(200)["count"], 1);
    bob.get(&format!("{path}abc/")).await.expect_status(404);
}

#[tokio::test]
async fn reminders_are_checked() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[]).await;
    let message = text_of(&alice.says(&room, "x").await["id"]);
    let add = async |user: &ApiClient, message: &str, at: Value| {
        user.post("/api/chat/reminders/", json!({"message_id": message, "at": at})).await
    };
    let ahead = |hours| json!(Utc::now() + Duration::hours(hours));
    alice.post("/api/chat/reminders/", json!({})).await.expect_field_errors(&["at", "message_id"]);
    for at in [json!("soon"), json!(null), ahead(-1), ahead(24 * 367)] {
        add(&alice, &message, at).await.expect_field_errors(&["at"]);
    }
    add(&bob, &message, ahead(1)).await.expect_field_errors(&["message_id"]);
    add(&alice, &Uuid::new_v4().to_string(), ahead(1)).await.expect_field_errors(&["message_id"]);
    add(&alice, &message, ahead(24 * 365)).await.expect_status(201);
}

fn ahead(minutes: i64) -> Value {
    json!((Utc::now() + Duration::minutes(minutes)).trunc_subsecs(3))
}

#[tokio::test]
async fn a_message_is_kept_until_its_time_and_can_be_changed() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    let asked = text_of(&bob.says(&room, "When?").await["id"]);
    let (path, client_id) = ("/api/chat/scheduled/", Uuid::new_v4());
    let body = json!({"room": room, "content": " on Monday ", "at": ahead(60), "client_id": client_id,
        "reply_to": asked});
    let kept = alice.post(path, body.clone()).await.expect_status(201);
    assert_eq!(
        (&kept["content"], &kept["state"], &kept["room"]),
        (&json!("on Monday"), &json!("pending"), &json!(room))
    );
    assert_eq!(
        (&kept["reply_to_id"], &kept["client_id"], &kept["at"]),
        (&json!(asked), &json!(client_id), &body["at"])
    );
    assert_eq!(alice.post(path, body.clone()).await.expect_status(200), kept, "the same again is the same");
    let other = json!({"room": room, "content": "other", "at": ahead(60), "client_id": client_id});
    assert_eq!(alice.post(path, other).await.expect_status(409)["code"], "client_id_conflict");
    let sooner = alice.post(path, json!({"room": room, "content": "soon", "at": ahead(30)})).await;
    let sooner = sooner.expect_status(201);
    let page = alice.get(path).await;
    assert_eq!(page.header("x-personal-position"), Some("2"));
    assert_eq!(page.expect_status(200)["results"], json!([sooner, kept]));
    assert_eq!(bob.get(path).await.expect_status(200)["count"], 0);
    assert_eq!(bob.sees(&room).await, ["When?"], "nothing is sent yet");

    let one = format!("{path}{}/", text_of(&kept["id"]));
    let at = ahead(90);
    let changed = alice.patch(&one, json!({"content": "on Tuesday", "at": at, "reply_to": null})).await;
    let changed = changed.expect_status(200);
    assert_eq!(
        (&changed["content"], &changed["at"], &changed["reply_to_id"]),
        (&json!("on Tuesday"), &at, &Value::Null)
    );
    assert_eq!(alice.get(&one).await.expect_status(200), changed);
    assert_eq!(alice.patch(&one, json!({})).await.expect_status(200)["content"], "on Tuesday");
    assert_eq!(alice.post(path, body).await.expect_status(200)["content"], "on Tuesday", "a late retry");
    alice.delete(&one).await.expect_status(204);
    alice.delete(&one).await.expect_status(404);
    assert_eq!(alice.get(path).await.expect_status(200)["count"], 1);
}

#[tokio::test]
async fn messages_to_be_sent_later_are_checked() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[]).await;
    let elsewhere = text_of(&bob.says(&bob.creates_group(&[]).await, "elsewhere").await["id"]);
    let path = "/api/chat/scheduled/";
    alice.post(path, json!({})).await.expect_field_errors(&["at", "content", "room"]);
    let with = |name: &str, value: Value| {
        let mut body = json!({"room": room, "content": "x", "at": ahead(60)});
        body[name] = value;
        body
    };
    for (name, value) in [
        ("room", json!(Uuid::new_v4())),
        ("content", json!(" \u{200b} ")),
        ("content", json!("x".repeat(4_001))),
        ("content", json!(null)),
        ("at", json!("soon")),
        ("at", ahead(-1)),
        ("at", ahead(367 * 24 * 60)),
        ("client_id", json!("x")),
        ("reply_to", json!(elsewhere)),
    ] {
        alice.post(path, with(name, value)).await.expect_field_errors(&[name]);
    }
    bob.post(path, with("content", json!("x"))).await.expect_field_errors(&["room"]);
    let kept = alice.post(path, with("content", json!("x"))).await.expect_status(201);
    let one = format!("{path}{}/", text_of(&kept["id"]));
    for (name, value) in
        [("content", json!("")), ("at", json!(null)), ("at", ahead(-1)), ("reply_to", json!(elsewhere))]
    {
        alice.patch(&one, json!({name: value})).await.expect_field_errors(&[name]);
    }
    bob.patch(&one, json!({"content": "y"})).await.expect_status(404);
    assert_eq!(alice.get(&one).await.expect_status(200), kept);
}
