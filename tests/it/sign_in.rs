//! Built-in accounts and their rate limits.

use reqwest::Method;
use serde_json::json;

use crate::client::{ApiClient, host_at, new_user_at, text_of};
use crate::server::start;

#[tokio::test]
async fn a_built_in_account_signs_in_and_stays_in() {
    let server = start(&[]).await;
    server.creates_account("ann", "correct horse").await;
    let nobody = host_at(&server).without_token();
    let pair = nobody
        .post("/api/token/", json!({"username": "ann", "password": "correct horse"}))
        .await
        .expect_status(200);
    let ann = nobody.with_token(&text_of(&pair["access"]));
    assert_eq!(ann.get("/api/chat/users/me/").await.expect_status(200)["username"], "ann");
    nobody.with_token(&text_of(&pair["refresh"])).get("/api/chat/users/me/").await.expect_status(401);
    let renewed =
        nobody.post("/api/token/refresh/", json!({"refresh": pair["refresh"]})).await.expect_status(200);
    nobody.with_token(&text_of(&renewed["access"])).get("/api/chat/users/me/").await.expect_status(200);
    nobody.post("/api/token/refresh/", json!({"refresh": pair["access"]})).await.expect_status(401);
    assert_eq!(
        nobody.post("/api/token/verify/", json!({"token": pair["access"]})).await.expect_status(200),
        json!({})
    );
    nobody.post("/api/token/verify/", json!({"token": "x"})).await.expect_status(401);
    for (username, password) in [("ann", "wrong"), ("nobody", "correct horse")] {
        let refused = nobody.post("/api/token/", json!({"username": username, "password": password})).await;
        assert_eq!(refused.expect_status(401)["code"], "no_active_account");
    }
    nobody.post("/api/token/", json!({})).await.expect_field_errors(&["password", "username"]);
}

#[tokio::test]
async fn a_rate_limited_client_is_told_when_to_retry() {
    let server = start(&["--rate-rest", "1:5", "--rate-sign-ins", "1:3", "--rate-rooms", "1:2"]).await;
    let (alice, bob) = (new_user_at(&server, "alice").await, new_user_at(&server, "bob").await);
    for _ in 0..2 {
        alice.creates_group(&[]).await;
    }
    let third = alice.post("/api/chat/rooms/", json!({"room_type": "group"})).await;
    assert!(third.header("retry-after").is_some());
    assert_eq!(third.expect_status(429)["code"], "rate_limited");
    let mut limited = None;
    for _ in 0..10 {
        limited =
            Some(alice.get("/api/chat/users/me/").await).filter(|answer| answer.status == 429).or(limited);
    }
    let limited = limited.expect("five at once and one a second");
    assert!(limited.expect_status(429)["retry_after"].as_f64().expect("a number") > 0.0);
    bob.get("/api/chat/users/me/").await.expect_status(200);
    let nobody = alice.without_token();
    let signs_in = async || {
        // An untrusted forwarding header doesn't spend another address's budget.
        let request = nobody.request(Method::POST, "/api/token/").header("x-forwarded-for", "1.2.3.4");
        ApiClient::send(request.json(&json!({"username": "x", "password": "x"}))).await.status
    };
    let statuses = [signs_in().await, signs_in().await, signs_in().await, signs_in().await, signs_in().await];
    assert!(statuses.contains(&429), "{statuses:?}");
}

#[tokio::test]
async fn a_trusted_proxy_names_the_client() {
    let server = start(&["--trusted-proxies", "127.0.0.0/8"]).await;
    let alice = new_user_at(&server, "alice").await;
    for _ in 0..2 {
        alice.creates_group(&[]).await;
    }
    let request = alice.request(Method::GET, "/api/chat/rooms/?page_size=1");
    let request = request.header("x-forwarded-host", "chat.example").header("x-forwarded-proto", "https");
    let page = ApiClient::send(request).await.expect_status(200);
    assert_eq!(page["next"], "https://chat.example/api/chat/rooms/?page_size=1&page=2");
}
