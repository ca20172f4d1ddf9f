//! Habits of existing clients and their libraries, and how the server handles them.

use chrono::{DateTime, Utc};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::client::{ApiClient, ApiResponse, new_user, text_of, texts};
use crate::server::shared;

const MESSAGES: &str = "/api/chat/messages/";

fn at(time: &Value) -> DateTime<Utc> {
    time.as_str().expect("a time").parse().expect("a time")
}

/// Adds `fields` to a request as an urlencoded form.
fn with_form(request: RequestBuilder, fields: &[(&str, &str)]) -> RequestBuilder {
    let url = reqwest::Url::parse_with_params("http://x/", fields).expect("a URL");
    let body = url.query().unwrap_or_default().to_owned();
    request.header("content-type", "application/x-www-form-urlencoded").body(body)
}

/// Sends `fields` as an urlencoded form.
async fn posts(who: &ApiClient, path: &str, fields: &[(&str, &str)]) -> ApiResponse {
    ApiClient::send(with_form(who.request(Method::POST, path), fields)).await
}

/// Sends a request without following redirects.
async fn raw(head: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(shared().await.address).await.expect("a connection");
    let request = format!("{head}\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn fields_that_are_null_in_responses_may_be_null_in_requests() {
    let alice = new_user("alice").await;
    let room = alice.creates_group(&[]).await;
    let body = json!({"room": room, "content": "echo", "reply_to": null, "client_id": null, "attachment": null,
        "attachment_name": null, "attachment_size": null, "edited_at": null, "message_type": null});
    alice.post(MESSAGES, body).await.expect_status(201);
    let place = alice.participant_id(&alice, &room).await;
    let mute = format!("/api/chat/participants/{place}/mute/");
    let body = json!({"muted": true, "muted_until": null, "last_read_at": null, "left_at": null});
    assert_eq!(alice.post(&mute, body).await.expect_status(200)["is_muted"], true);
    let again =
        json!({"room_type": "group", "name": "x", "task": null, "property": null, "archived_at": null});
    alice.post("/api/chat/rooms/", again).await.expect_status(201);
}

#[tokio::test]
async fn an_empty_mute_request_mutes() {
    let alice = new_user("alice").await;
    let room = alice.creates_group(&[]).await;
    let place = alice.participant_id(&alice, &room).await;
    let mute = format!("/api/chat/participants/{place}/mute/");
    let lift = json!({"muted": "false"});
    for _ in 0..2 {
        assert_eq!(alice.post(&mute, json!({})).await.expect_status(200)["is_muted"], true);
        assert_eq!(alice.post(&mute, lift.clone()).await.expect_status(200)["is_muted"], false);
        assert_eq!(
            ApiClient::send(alice.request(Method::POST, &mute)).await.expect_status(200)["is_muted"],
            true
        );
        assert_eq!(alice.post(&mute, lift.clone()).await.expect_status(200)["is_muted"], false);
        let until = json!({"muted": null, "muted_until": "2090-01-01T00:00:00"});
        assert_eq!(
            at(&alice.post(&mute, until).await.expect_status(200)["muted_until"]),
            at(&json!("2090-01-01T00:00:00Z"))
        );
    }
}

#[tokio::test]
async fn a_room_without_messages_has_valid_times() {
    let alice = new_user("alice").await;
    let room = alice.creates_group(&[]).await;
    let made = alice.room(&room).await["created_at"].clone();
    let stats = format!("/api/chat/rooms/{room}/stats/");
    assert_eq!(at(&alice.get(&stats).await.expect_status(200)["last_message_at"]), at(&made));
    alice.reads(&room).await;
    let me = format!("/api/chat/participants/{}/", alice.participant_id(&alice, &room).await);
    let read = at(&alice.get(&me).await.expect_status(200)["last_read_at"]);
    assert!(read >= at(&made));
    alice.reads(&room).await;
    assert_eq!(at(&alice.get(&me).await.expect_status(200)["last_read_at"]), read, "the mark did not move");
    let said = alice.says(&room, "one").await;
    assert_eq!(at(&alice.get(&stats).await.expect_status(200)["last_message_at"]), at(&said["created_at"]));
}

#[tokio::test]
async fn urlencoded_forms_are_accepted_like_json() {
    let (alice, bob, carl) = (new_user("alice").await, new_user("bob").await, new_user("carl").await);
    let (b, c) = (bob.id.to_string(), carl.id.to_string());
    let group =
        [("room_type", "group"), ("name", "Küche & Bad"), ("participant_ids", &*b), ("participant_ids", &*c)];
    let room = posts(&alice, "/api/chat/rooms/", &group).await.expect_status(201);
    assert_eq!((&room["name"], &room["participant_count"]), (&json!("Küche & Bad"), &json!(3)));
    let id = text_of(&room["id"]);
    let sent = posts(&bob, MESSAGES, &[("room", &id), ("content", "a + b = ü"), ("reply_to", "")])
        .await
        .expect_status(201);
    assert_eq!(sent["content"], "a + b = ü");
    let direct = posts(&alice, "/api/chat/rooms/", &[("participant_ids", &b)]).await.expect_status(201);
    assert_eq!(direct["room_type"], "direct");
    let place = format!("/api/chat/participants/{}/", alice.participant_id(&bob, &id).await);
    let promote = with_form(alice.request(Method::PATCH, &place), &[("is_admin", "true")]);
    assert_eq!(ApiClient::send(promote).await.expect_status(200)["is_admin"], true);
    posts(&bob, MESSAGES, &[("room", &id), ("content", "")]).await.expect_field_errors(&["content"]);
    posts(&bob, MESSAGES, &[("room", "x"), ("content", "y")]).await.expect_field_errors(&["room"]);
    let broken =
        bob.request(Method::POST, MESSAGES).header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(ApiClient::send(broken.body(vec![b'a', 0xff])).await.expect_status(400)["code"], "bad_frame");
}

#[tokio::test]
async fn ids_and_booleans_may_come_as_text_and_uuids_without_hyphens() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let body = json!({"room_type": "group", "name": "x", "participant_ids": [bob.id.to_string()]});
    let room = text_of(&alice.post("/api/chat/rooms/", body).await.expect_status(201)["id"]);
    let simple = room.replace('-', "");
    let said = alice.post(MESSAGES, json!({"room": simple, "content": "hi"})).await.expect_status(201);
    assert_eq!(said["room"], room);
    assert_eq!(texts(&alice.get(&format!("{MESSAGES}?room={simple}")).await.expect_status(200)), ["hi"]);
    let id = text_of(&said["id"]).replace('-', "");
    assert_eq!(alice.get(&format!("{MESSAGES}{id}/")).await.expect_status(200)["id"], said["id"]);
    assert_eq!(alice.get(&format!("/api/chat/rooms/{simple}/")).await.expect_status(200)["id"], room);
    let task = crate::client::fresh_id();
    let body = json!({"room_type": "task", "task": task.to_string()});
    let holder = alice.granted(&format!("task:{task}")).await;
    assert_eq!(holder.post("/api/chat/rooms/", body).await.expect_status(201)["task"], task);
    let place = format!("/api/chat/participants/{}/", alice.participant_id(&bob, &room).await);
    assert_eq!(alice.patch(&place, json!({"is_admin": "True"})).await.expect_status(200)["is_admin"], true);
    alice.patch(&place, json!({"is_admin": "perhaps"})).await.expect_field_errors(&["is_admin"]);
    let list = alice.get("/api/chat/rooms/?include_archived=yes&page_size=100").await.expect_status(200);
    assert_eq!(list["count"], 2);
}

#[tokio::test]
async fn half_an_emoji_becomes_a_replacement_character() {
    let alice = new_user("alice").await;
    let room = alice.creates_group(&[]).await;
    let body = format!(r#"{{"room": "{room}", "content": "cut \ud83d, whole \ud83d\ude00, \\ud83d"}}"#);
    let said = alice.post_raw(MESSAGES, body).await.expect_status(201);
    assert_eq!(said["content"], "cut \u{FFFD}, whole \u{1F600}, \\ud83d");
}

#[tokio::test]
async fn a_path_without_its_last_slash_redirects() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let token = alice.token();
    let answer = raw(&format!("POST {}?a=b%20c&d=%C3%BC HTTP/1.1", MESSAGES.trim_end_matches('/'))).await;
    assert!(answer.starts_with("HTTP/1.1 308 "), "{answer}");
    assert!(answer.contains("\r\nlocation: /api/chat/messages/?a=b%20c&d=%C3%BC\r\n"), "{answer}");
    let answer = raw(&format!("GET /api/chat/rooms HTTP/1.1\r\nAuthorization: Bearer {token}")).await;
    assert!(answer.contains("\r\nlocation: /api/chat/rooms/\r\n"), "{answer}");
    for path in ["//evil.example/api/chat/rooms", "/api/chat/nothing", "/api/chat"] {
        assert!(raw(&format!("GET {path} HTTP/1.1")).await.starts_with("HTTP/1.1 404 "), "{path}");
    }
    // A client that follows it keeps method and body.
    let body = json!({"participant_ids": [bob.id]});
    assert_eq!(alice.post("/api/chat/rooms", body).await.expect_status(201)["room_type"], "direct");
}

#[tokio::test]
async fn every_path_answers_options_and_head() {
    let alice = new_user("alice").await;
    for (path, allow) in [
        ("/api/chat/rooms/", "GET, POST, HEAD, OPTIONS"),
        ("/api/chat/messages/x/mark_read/", "POST, OPTIONS"),
        ("/api/openapi.json", "GET, HEAD, OPTIONS"),
    ] {
        let answer = ApiClient::send(alice.without_token().request(Method::OPTIONS, path)).await;
        assert_eq!((answer.status, answer.header("allow")), (200, Some(allow)), "{path}");
    }
    for path in ["/api/openapi.json", "/health/live", "/api/chat/unread/"] {
        let (head, whole) = (ApiClient::send(alice.request(Method::HEAD, path)).await, alice.get(path).await);
        assert_eq!((head.status, head.bytes.len()), (whole.status, 0), "{path}");
        assert_eq!(head.header("content-type"), whole.header("content-type"), "{path}");
    }
}
