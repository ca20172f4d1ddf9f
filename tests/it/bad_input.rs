//! Bad input: always JSON in the contract's shape, never a 500, never late.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::server::shared;
use crate::stage::{Someone, someone};

const MESSAGES: &str = "/api/chat/messages/";

#[tokio::test]
async fn tokens_that_are_none_get_the_same_401() {
    let alice = someone("alice").await;
    let path = "/api/chat/rooms/";
    let nobody = alice.without_token();
    let missing = nobody.get(path).await;
    assert_eq!(missing.header("www-authenticate"), Some("Bearer realm=\"api\""));
    assert_eq!(missing.is(401)["code"], "not_authenticated");
    let long = "x".repeat(5_000);
    for value in
        ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer a.b.c", "Bearer \u{7f}", &format!("Bearer {long}")]
    {
        let Ok(value) = reqwest::header::HeaderValue::from_bytes(value.as_bytes()) else { continue };
        let answer = Someone::hears(nobody.asks(Method::GET, path).header("authorization", value)).await;
        assert_eq!(answer.is(401)["code"], "token_not_valid");
    }
    let doubled = alice.asks(Method::GET, path).header("authorization", "Bearer x");
    Someone::hears(doubled).await.is(401);
}

#[tokio::test]
async fn ids_that_are_none_are_not_found() {
    let alice = someone("alice").await;
    let long = "x".repeat(10_240);
    for id in ["abc", "%00", "..%2Fx", &long, "%F0%9F%98%80", "00000000000000000000000000000000", "1' or 1=1"]
    {
        for resource in ["rooms", "messages", "participants", "files"] {
            let answer = alice.get(&format!("/api/chat/{resource}/{id}/")).await;
            assert_eq!(answer.is(404)["code"], "not_found", "{resource}/{id}");
        }
    }
    for path in ["/", "/api/", "/api/chat/nothing", "/api/chat/nothing/", "/api/chat/rooms/x/y/z/"] {
        assert_eq!(alice.get(path).await.is(404)["code"], "not_found", "{path}");
    }
}

#[tokio::test]
async fn bodies_that_are_none_are_refused() {
    let alice = someone("alice").await;
    let nested = "[".repeat(100_000);
    for body in ["", "null", "[]", "\"x\"", "5", "{", "{\"a\":1,\"a\":2}", "{\"room\":NaN}", &nested] {
        let answer = alice.posts_raw(MESSAGES, body.to_owned()).await;
        let code = answer.is(400)["code"].clone();
        assert!(code == "bad_frame" || code == "invalid", "{code}");
    }
    let wrong = json!({"room": [], "content": {}, "reply_to": 5, "client_id": true, "message_type": 7});
    alice.post(MESSAGES, wrong).await.blames(&["client_id", "content", "message_type", "reply_to", "room"]);
    let plain = alice.asks(Method::POST, MESSAGES).header("content-type", "text/plain").body("{}");
    assert_eq!(Someone::hears(plain).await.is(415)["code"], "unsupported_media_type");
    Someone::hears(alice.asks(Method::POST, MESSAGES).body("{}")).await.is(415);
    let packed = alice.asks(Method::POST, MESSAGES).header("content-type", "application/json");
    Someone::hears(packed.header("content-encoding", "gzip").body("x")).await.is(415);
    let no_edge = alice.asks(Method::POST, MESSAGES).header("content-type", "multipart/form-data").body("x");
    Someone::hears(no_edge).await.is(400);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_it_is_read() {
    let alice = someone("alice").await;
    let mut stream = tokio::net::TcpStream::connect(shared().await.address).await.expect("a connection");
    let token = alice.asks(Method::GET, "/").build().expect("a request").headers()["authorization"].clone();
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
async fn a_body_that_stands_still_is_given_up() {
    let alice = someone("alice").await;
    let mut stream = tokio::net::TcpStream::connect(shared().await.address).await.expect("a connection");
    let token = alice.asks(Method::GET, "/").build().expect("a request").headers()["authorization"].clone();
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
async fn wrong_methods_are_told_what_is_allowed() {
    let alice = someone("alice").await;
    let answer = alice.put("/api/chat/rooms/", json!({})).await;
    assert_eq!(answer.header("allow"), Some("GET, POST, HEAD"));
    assert_eq!(answer.is(405)["code"], "method_not_allowed");
    alice.get(&format!("/api/chat/users/{}/", alice.id)).await.is(405);
    Someone::hears(alice.asks(Method::TRACE, "/api/chat/rooms/")).await.is(405);
    let head = Someone::hears(alice.asks(Method::HEAD, "/api/chat/rooms/")).await;
    assert_eq!((head.status, head.bytes.len()), (200, 0));
}

#[tokio::test]
async fn searches_answer_in_time_whatever_is_asked() {
    let alice = someone("alice").await;
    let room = alice.makes_group(&[]).await;
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
async fn pages_link_to_where_the_client_is_and_believe_no_forwarding_stranger() {
    let alice = someone("alice").await;
    for _ in 0..2 {
        alice.makes_group(&[]).await;
    }
    let request = alice.asks(Method::GET, "/api/chat/rooms/?page_size=1&x=%26");
    let request = request.header("host", "chat:8443").header("x-forwarded-host", "evil.example");
    let page = Someone::hears(request.header("x-forwarded-proto", "https")).await.is(200);
    assert_eq!(page["next"], "http://chat:8443/api/chat/rooms/?page_size=1&x=%26&page=2");
}
