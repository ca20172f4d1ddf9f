//! Bad input: always JSON in the contract's shape, never a 500, never late.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::client::{ApiClient, new_user};
use crate::server::shared;

const MESSAGES: &str = "/api/chat/messages/";

#[tokio::test]
async fn malformed_tokens_all_get_the_same_401() {
    let alice = new_user("alice").await;
    let path = "/api/chat/rooms/";
    let nobody = alice.without_token();
    let missing = nobody.get(path).await;
    assert_eq!(missing.header("www-authenticate"), Some("Bearer realm=\"api\""));
    assert_eq!(missing.expect_status(401)["code"], "not_authenticated");
    let long = "x".repeat(5_000);
    for value in
        ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer a.b.c", "Bearer \u{7f}", &format!("Bearer {long}")]
    {
        let Ok(value) = reqwest::header::HeaderValue::from_bytes(value.as_bytes()) else { continue };
        let answer = ApiClient::send(nobody.request(Method::GET, path).header("authorization", value)).await;
        assert_eq!(answer.expect_status(401)["code"], "token_not_valid");
    }
    let doubled = alice.request(Method::GET, path).header("authorization", "Bearer x");
    ApiClient::send(doubled).await.expect_status(401);
}

#[tokio::test]
async fn malformed_ids_are_not_found() {
    let alice = new_user("alice").await;
    let long = "x".repeat(10_240);
    for id in ["abc", "%00", "..%2Fx", &long, "%F0%9F%98%80", "00000000000000000000000000000000", "1' or 1=1"]
    {
        for resource in ["rooms", "messages", "participants", "files"] {
            let answer = alice.get(&format!("/api/chat/{resource}/{id}/")).await;
            assert_eq!(answer.expect_status(404)["code"], "not_found", "{resource}/{id}");
        }
    }
    for path in ["/", "/api/", "/api/chat/nothing", "/api/chat/nothing/", "/api/chat/rooms/x/y/z/"] {
        assert_eq!(alice.get(path).await.expect_status(404)["code"], "not_found", "{path}");
    }
}

#[tokio::test]
async fn malformed_bodies_are_rejected() {
    let alice = new_user("alice").await;
    let nested = "[".repeat(100_000);
    for body in ["", "null", "[]", "\"x\"", "5", "{", "{\"a\":1,\"a\":2}", "{\"room\":NaN}", &nested] {
        let answer = alice.post_raw(MESSAGES, body.to_owned()).await;
        let code = answer.expect_status(400)["code"].clone();
        assert!(code == "bad_frame" || code == "invalid", "{code}");
    }
    let wrong = json!({"room": [], "content": {}, "reply_to": 5, "client_id": true, "message_type": 7});
    alice.post(MESSAGES, wrong).await.expect_field_errors(&[
        "client_id",
        "content",
        "message_type",
        "reply_to",
        "room",
    ]);
    let plain = alice.request(Method::POST, MESSAGES).header("content-type", "text/plain").body("{}");
    assert_eq!(ApiClient::send(plain).await.expect_status(415)["code"], "unsupported_media_type");
    ApiClient::send(alice.request(Method::POST, MESSAGES).body("{}")).await.expect_status(415);
    let packed = alice.request(Method::POST, MESSAGES).header("content-type", "application/json");
    ApiClient::send(packed.header("content-encoding", "gzip").body("x")).await.expect_status(415);
    let no_edge =
        alice.request(Method::POST, MESSAGES).header("content-type", "multipart/form-data").body("x");
    ApiClient::send(no_edge).await.expect_status(400);
}

#[tokio::test]
async fn a_body_over_the_limit_is_rejected_before_it_is_read() {
    let alice = new_user("alice").await;
    let mut stream = tokio::net::TcpStream::connect(shared().await.address).await.expect("a connection");
    let token =
        alice.request(Method::GET, "/").build().expect("a request").headers()["authorization"].clone();
    let head = format!(
        "POST {MESSAGES} HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nContent-Type: application/json\r\n\
         Content-Length: 1100000\r\n\r\n",
        token.to_str().expect("text")
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = vec![0; 1024];
    let length = stream.read(&mut answer).await.expect("an answer");
    assert!(String::from_utf8_lossy(&answer[..length]).starts_with("HTTP/1.1 413"));
}

#[tokio::test]
async fn a_stalled_body_times_out() {
    let alice = new_user("alice").await;
    let mut stream = tokio::net::TcpStream::connect(shared().await.address).await.expect("a connection");
    let token =
        alice.request(Method::GET, "/").build().expect("a request").headers()["authorization"].clone();
    let head = format!(
        "POST {MESSAGES} HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nContent-Type: application/json\r\n\
         Content-Length: 1000\r\n\r\n{{",
        token.to_str().expect("text")
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(8), stream.read_to_end(&mut answer)).await;
    read.expect("within the patience of the tests").expect("an answer");
    assert!(String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 408"));
}

#[tokio::test]
async fn wrong_methods_get_the_allowed_ones() {
    let alice = new_user("alice").await;
    let answer = alice.put("/api/chat/rooms/", json!({})).await;
    assert_eq!(answer.header("allow"), Some("GET, POST, HEAD"));
    assert_eq!(answer.expect_status(405)["code"], "method_not_allowed");
    alice.post(&format!("/api/chat/users/{}/", alice.id), json!({})).await.expect_status(405);
    ApiClient::send(alice.request(Method::TRACE, "/api/chat/rooms/")).await.expect_status(405);
    let head = ApiClient::send(alice.request(Method::HEAD, "/api/chat/rooms/")).await;
    assert_eq!((head.status, head.bytes.len()), (200, 0));
}

#[tokio::test]
async fn searches_answer_in_time_whatever_the_query() {
    let alice = new_user("alice").await;
    let room = alice.creates_group(&[]).await;
    for number in 0..20 {
        alice.says(&room, &format!("text {number}")).await;
    }
    let long = "x".repeat(10_240);
    for q in ["%25%25%25", "___", "\\\\\\", "%26%7C!():*", "a%26%26b", "'''", "\"unclosed", &long] {
        let began = Instant::now();
        let answer = alice.get(&format!("/api/chat/messages/search/?q={q}")).await;
        assert!([200, 400].contains(&answer.status), "{q}: {}", answer.status);
        assert!(began.elapsed() < Duration::from_millis(1_000), "{q}");
    }
}

#[tokio::test]
async fn page_links_use_the_clients_host_and_ignore_untrusted_forwarding_headers() {
    let alice = new_user("alice").await;
    for _ in 0..2 {
        alice.creates_group(&[]).await;
    }
    let request = alice.request(Method::GET, "/api/chat/rooms/?page_size=1&x=%26");
    let request = request.header("host", "chat:8443").header("x-forwarded-host", "evil.example");
    let page = ApiClient::send(request.header("x-forwarded-proto", "https")).await.expect_status(200);
    assert_eq!(page["next"], "http://chat:8443/api/chat/rooms/?page_size=1&x=%26&page=2");
}
