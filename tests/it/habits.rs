//! What clients of the chat that this one replaces, and their libraries, do; and what is made of it.

use chrono::{DateTime, Utc};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::server::shared;
use crate::stage::{Answer, Someone, someone, text_of, texts};

const MESSAGES: &str = "/api/chat/messages/";

fn at(time: &Value) -> DateTime<Utc> {
    time.as_str().expect("a time").parse().expect("a time")
}

/// Gives a request `fields` as a plain form.
fn with_form(request: RequestBuilder, fields: &[(&str, &str)]) -> RequestBuilder {
    let url = reqwest::Url::parse_with_params("http://x/", fields).expect("a URL");
    let body = url.query().unwrap_or_default().to_owned();
    request.header("content-type", "application/x-www-form-urlencoded").body(body)
}

/// Sends `fields` as a plain form.
async fn posts(who: &Someone, path: &str, fields: &[(&str, &str)]) -> Answer {
    Someone::hears(with_form(who.asks(Method::POST, path), fields)).await
}

/// Asks without following where the answer sends one.
async fn raw(head: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(shared().await.address).await.expect("a connection");
    let request = format!("{head}\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn what_answers_hold_as_null_may_come_as_null() {
    let alice = someone("alice").await;
    let room = alice.makes_group(&[]).await;
    let body = json!({"room": room, "content": "echo", "reply_to": null, "client_id": null, "attachment": null,
        "attachment_name": null, "attachment_size": null, "edited_at": null, "message_type": null});
    alice.post(MESSAGES, body).await.is(201);
    let place = alice.place_of(&alice, &room).await;
    let mute = format!("/api/chat/participants/{place}/mute/");
    let body = json!({"muted": true, "muted_until": null, "last_read_at": null, "left_at": null});
    assert_eq!(alice.post(&mute, body).await.is(200)["is_muted"], true);
    let again =
        json!({"room_type": "group", "name": "x", "task": null, "property": null, "archived_at": null});
    alice.post("/api/chat/rooms/", again).await.is(201);
}

#[tokio::test]
async fn a_mute_that_says_nothing_mutes() {
    let alice = someone("alice").await;
    let room = alice.makes_group(&[]).await;
    let place = alice.place_of(&alice, &room).await;
    let mute = format!("/api/chat/participants/{place}/mute/");
    let lift = json!({"muted": "false"});
    for _ in 0..2 {
        assert_eq!(alice.post(&mute, json!({})).await.is(200)["is_muted"], true);
        assert_eq!(alice.post(&mute, lift.clone()).await.is(200)["is_muted"], false);
        assert_eq!(Someone::hears(alice.asks(Method::POST, &mute)).await.is(200)["is_muted"], true);
        assert_eq!(alice.post(&mute, lift.clone()).await.is(200)["is_muted"], false);
        let until = json!({"muted": null, "muted_until": "2090-01-01T00:00:00"});
        assert_eq!(
            at(&alice.post(&mute, until).await.is(200)["muted_until"]),
            at(&json!("2090-01-01T00:00:00Z"))
        );
    }
}

#[tokio::test]
async fn times_of_a_room_without_messages_are_times() {
    let alice = someone("alice").await;
    let room = alice.makes_group(&[]).await;
    let made = alice.room(&room).await["created_at"].clone();
    let stats = format!("/api/chat/rooms/{room}/stats/");
    assert_eq!(at(&alice.get(&stats).await.is(200)["last_message_at"]), at(&made));
    alice.reads(&room).await;
    let me = format!("/api/chat/participants/{}/", alice.place_of(&alice, &room).await);
    let read = at(&alice.get(&me).await.is(200)["last_read_at"]);
    assert!(read >= at(&made));
    alice.reads(&room).await;
    assert_eq!(at(&alice.get(&me).await.is(200)["last_read_at"]), read, "the mark did not move");
    let said = alice.says(&room, "one").await;
    assert_eq!(at(&alice.get(&stats).await.is(200)["last_message_at"]), at(&said["created_at"]));
}

#[tokio::test]
async fn plain_forms_are_taken_as_json_is() {
    let (alice, bob, carl) = (someone("alice").await, someone("bob").await, someone("carl").await);
    let (b, c) = (bob.id.to_string(), carl.id.to_string());
    let group =
        [("room_type", "group"), ("name", "Küche & Bad"), ("participant_ids", &*b), ("participant_ids", &*c)];
    let room = posts(&alice, "/api/chat/rooms/", &group).await.is(201);
    assert_eq!((&room["name"], &room["participant_count"]), (&json!("Küche & Bad"), &json!(3)));
    let id = text_of(&room["id"]);
    let sent =
        posts(&bob, MESSAGES, &[("room", &id), ("content", "a + b = ü"), ("reply_to", "")]).await.is(201);
    assert_eq!(sent["content"], "a + b = ü");
    let direct = posts(&alice, "/api/chat/rooms/", &[("participant_ids", &b)]).await.is(201);
    assert_eq!(direct["room_type"], "direct");
    let place = format!("/api/chat/participants/{}/", alice.place_of(&bob, &id).await);
    let promote = with_form(alice.asks(Method::PATCH, &place), &[("is_admin", "true")]);
    assert_eq!(Someone::hears(promote).await.is(200)["is_admin"], true);
    posts(&bob, MESSAGES, &[("room", &id), ("content", "")]).await.blames(&["content"]);
    posts(&bob, MESSAGES, &[("room", "x"), ("content", "y")]).await.blames(&["room"]);
    let broken = bob.asks(Method::POST, MESSAGES).header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(Someone::hears(broken.body(vec![b'a', 0xff])).await.is(400)["code"], "bad_frame");
}

#[tokio::test]
async fn ids_and_booleans_may_come_as_text_and_uuids_without_hyphens() {
    let (alice, bob) = (someone("alice").await, someone("bob").await);
    let body = json!({"room_type": "group", "name": "x", "participant_ids": [bob.id.to_string()]});
    let room = text_of(&alice.post("/api/chat/rooms/", body).await.is(201)["id"]);
    let simple = room.replace('-', "");
    let said = alice.post(MESSAGES, json!({"room": simple, "content": "hi"})).await.is(201);
    assert_eq!(said["room"], room);
    assert_eq!(texts(&alice.get(&format!("{MESSAGES}?room={simple}")).await.is(200)), ["hi"]);
    let id = text_of(&said["id"]).replace('-', "");
    assert_eq!(alice.get(&format!("{MESSAGES}{id}/")).await.is(200)["id"], said["id"]);
    assert_eq!(alice.get(&format!("/api/chat/rooms/{simple}/")).await.is(200)["id"], room);
    let task = crate::stage::fresh_id();
    let body = json!({"room_type": "task", "task": task.to_string()});
    let holder = alice.granted(&format!("task:{task}")).await;
    assert_eq!(holder.post("/api/chat/rooms/", body).await.is(201)["task"], task);
    let place = format!("/api/chat/participants/{}/", alice.place_of(&bob, &room).await);
    assert_eq!(alice.patch(&place, json!({"is_admin": "True"})).await.is(200)["is_admin"], true);
    alice.patch(&place, json!({"is_admin": "perhaps"})).await.blames(&["is_admin"]);
    let list = alice.get("/api/chat/rooms/?include_archived=yes&page_size=100").await.is(200);
    assert_eq!(list["count"], 2);
}

#[tokio::test]
async fn half_an_emoji_is_a_sign_that_stands_for_it() {
    let alice = someone("alice").await;
    let room = alice.makes_group(&[]).await;
    let body = format!(r#"{{"room": "{room}", "content": "cut \ud83d, whole \ud83d\ude00, \\ud83d"}}"#);
    let said = alice.posts_raw(MESSAGES, body).await.is(201);
    assert_eq!(said["content"], "cut \u{FFFD}, whole \u{1F600}, \\ud83d");
}

#[tokio::test]
async fn a_path_without_its_last_slash_sends_one_to_the_whole_one() {
    let (alice, bob) = (someone("alice").await, someone("bob").await);
    let token = alice.token();
    let answer = raw(&format!("POST {}?a=b%20c&d=%C3%BC HTTP/1.1", MESSAGES.trim_end_matches('/'))).await;
    assert!(answer.starts_with("HTTP/1.1 308 "), "{answer}");
    assert!(answer.contains("\r\nlocation: /api/chat/messages/?a=b%20c&d=%C3%BC\r\n"), "{answer}");
    let answer = raw(&format!("GET /api/chat/rooms HTTP/1.1\r\nAuthorization: Bearer {token}")).await;
    assert!(answer.contains("\r\nlocation: /api/chat/rooms/\r\n"), "{answer}");
    for path in ["//evil.example/api/chat/rooms", "/api/chat/nothing", "/api/chat"] {
        assert!(raw(&format!("GET {path} HTTP/1.1")).await.starts_with("HTTP/1.1 404 "), "{path}");
    }
    // A client that goes there takes method and body along.
    let body = json!({"participant_ids": [bob.id]});
    assert_eq!(alice.post("/api/chat/rooms", body).await.is(201)["room_type"], "direct");
}

#[tokio::test]
async fn every_path_answers_options_and_head() {
    let alice = someone("alice").await;
    for (path, allow) in [
        ("/api/chat/rooms/", "GET, POST, HEAD, OPTIONS"),
        ("/api/chat/messages/x/mark_read/", "POST, OPTIONS"),
        ("/api/openapi.json", "GET, HEAD, OPTIONS"),
    ] {
        let answer = Someone::hears(alice.without_token().asks(Method::OPTIONS, path)).await;
        assert_eq!((answer.status, answer.header("allow")), (200, Some(allow)), "{path}");
    }
    for path in ["/api/openapi.json", "/health/live", "/api/chat/unread/"] {
        let (head, whole) = (Someone::hears(alice.asks(Method::HEAD, path)).await, alice.get(path).await);
        assert_eq!((head.status, head.bytes.len()), (whole.status, 0), "{path}");
        assert_eq!(head.header("content-type"), whole.header("content-type"), "{path}");
    }
}
