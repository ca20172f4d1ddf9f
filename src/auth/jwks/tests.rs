use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{Jwks, RETRY_INTERVAL};

const VECTORS: &str = include_str!("../../../tests/fixtures/tokens/foreign.json");

/// A key server with a configurable response that counts its requests.
struct KeyServer {
    url: reqwest::Url,
    answer: Arc<Mutex<(u16, String)>>,
    asked: Arc<AtomicUsize>,
}

impl KeyServer {
    async fn with(answer: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/keys", listener.local_addr().expect("an address"));
        let answer = Arc::new(Mutex::new((200, answer)));
        let asked = Arc::new(AtomicUsize::new(0));
        let (theirs, count) = (Arc::clone(&answer), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let (status, body) = theirs.lock().expect("an answer").clone();
                let mut request = [0; 2048];
                let _read = socket.read(&mut request).await;
                let head = format!(
                    "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let _written = socket.write_all(format!("{head}{body}").as_bytes()).await;
            }
        });
        Self { url: url.parse().expect("a URL"), answer, asked }
    }

    fn answers(&self, status: u16, body: &str) {
        *self.answer.lock().expect("an answer") = (status, body.to_owned());
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// The key set of the test vectors, or those of its keys with the given `kid`s.
fn key_set(kids: &[&str]) -> String {
    let vectors: serde_json::Value = serde_json::from_str(VECTORS).expect("vectors");
    let keys = vectors["jwks"]["keys"].as_array().expect("keys");
    let keys: Vec<_> = keys.iter().filter(|key| kids.iter().any(|kid| key["kid"] == *kid)).collect();
    serde_json::json!({ "keys": keys }).to_string()
}

#[tokio::test]
async fn an_unknown_kid_fetches_once_per_interval() {
    let server = KeyServer::with(key_set(&["RS256"])).await;
    let jwks = Jwks::with_retry_interval(server.url.clone(), RETRY_INTERVAL);
    let asking = (0..50).map(|n| {
        let jwks = &jwks;
        async move { jwks.keys(Some(&format!("invented-{n}"))).await }
    });
    futures_util::future::join_all(asking).await;
    assert_eq!(server.asked(), 1);
    assert!(jwks.keys(Some("RS256")).await.has("RS256"));
    assert_eq!(server.asked(), 1);
}

#[tokio::test]
async fn a_new_key_is_found_after_the_retry_interval() {
    let server = KeyServer::with(key_set(&["RS256"])).await;
    let jwks = Jwks::with_retry_interval(server.url.clone(), Duration::from_millis(50));
    assert!(jwks.keys(Some("RS256")).await.has("RS256"));
    server.answers(200, &key_set(&["ES256"]));
    tokio::time::sleep(Duration::from_millis(60)).await;
    let keys = jwks.keys(Some("ES256")).await;
    assert!(keys.has("ES256") && !keys.has("RS256"), "a withdrawn key ends");
}

#[tokio::test]
async fn a_failed_fetch_keeps_the_previous_key_set() {
    let server = KeyServer::with(key_set(&["RS256"])).await;
    let jwks = Jwks::with_retry_interval(server.url.clone(), Duration::ZERO);
    assert!(jwks.keys(Some("RS256")).await.has("RS256"));
    let symmetric = r#"{"keys":[{"kty":"oct","kid":"x","k":"AAAA"},{"kty":"new","kid":"x"}]}"#;
    let endless = " ".repeat(super::SET_BYTES_MAX + 1);
    for (status, body) in [
        (500, ""),
        (404, "gone"),
        (200, "<html>"),
        (200, "{}"),
        (200, r#"{"keys":[]}"#),
        (200, symmetric),
        (200, &endless),
    ] {
        server.answers(status, body);
        let before = server.asked();
        let keys = jwks.keys(Some("x")).await;
        assert!(keys.has("RS256") && !keys.has("x"), "{status} {}", &body[..body.len().min(40)]);
        assert_eq!(server.asked(), before + 1);
    }
}
