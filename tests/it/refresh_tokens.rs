//! Refresh tokens: who gets them, how often they work, and how a sign-in ends.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::client::{ApiClient, ApiResponse, fresh_id, host_at, new_user_at, text_of};
use crate::server::{Server, start};

/// A server with an account, and a client without a token.
async fn account_holder_at(flags: &[&str]) -> (Server, ApiClient) {
    let server = start(flags).await;
    server.creates_account("ann", "correct horse").await;
    let nobody = host_at(&server).without_token();
    (server, nobody)
}

async fn signs_in(nobody: &ApiClient) -> Value {
    let ann = json!({"username": "ann", "password": "correct horse"});
    nobody.post("/api/token/", ann).await.expect_status(200)
}

async fn refresh(nobody: &ApiClient, token: &Value) -> ApiResponse {
    nobody.post("/api/token/refresh/", json!({"refresh": token})).await
}

async fn is_good(nobody: &ApiClient, token: &Value) -> bool {
    let answer = nobody.post("/api/token/verify/", json!({"token": token})).await;
    if answer.status != 200 {
        assert_eq!(answer.expect_status(401)["code"], "token_not_valid");
        return false;
    }
    true
}

fn claims(token: &Value) -> Value {
    let payload = text_of(token).split('.').nth(1).map(|part| URL_SAFE_NO_PAD.decode(part).expect("base64"));
    serde_json::from_slice(&payload.expect("a payload")).expect("JSON")
}

const UNHURRIED: &[&str] = &[];

#[tokio::test]
async fn a_refresh_token_works_once_and_reuse_revokes_its_family() {
    let (_server, nobody) = account_holder_at(UNHURRIED).await;
    let first = signs_in(&nobody).await;
    let elsewhere = signs_in(&nobody).await;
    let second = refresh(&nobody, &first["refresh"]).await.expect_status(200);
    let third = refresh(&nobody, &second["refresh"]).await.expect_status(200);
    assert_eq!(claims(&third["refresh"])["family"], claims(&first["refresh"])["family"]);
    nobody.with_token(&text_of(&third["access"])).get("/api/chat/users/me/").await.expect_status(200);
    assert!(is_good(&nobody, &third["refresh"]).await && !is_good(&nobody, &second["refresh"]).await);

    assert_eq!(refresh(&nobody, &second["refresh"]).await.expect_status(401)["code"], "token_not_valid");
    for token in [&first, &second, &third] {
        refresh(&nobody, &token["refresh"]).await.expect_status(401);
        assert!(!is_good(&nobody, &token["refresh"]).await);
    }
    refresh(&nobody, &elsewhere["refresh"]).await.expect_status(200);
}

#[tokio::test]
async fn two_tabs_that_refresh_concurrently_both_stay_signed_in() {
    let (server, nobody) = account_holder_at(UNHURRIED).await;
    let pair = signs_in(&nobody).await;
    let held = server.client().await;
    held.batch_execute("BEGIN; SELECT * FROM token_families FOR UPDATE").await.unwrap();
    let tabs: Vec<_> = (0..3)
        .map(|_| {
            let (tab, token) = (nobody.clone(), pair["refresh"].clone());
            tokio::spawn(async move { refresh(&tab, &token).await })
        })
        .collect();
    server.wait_for_locks(3).await;
    held.batch_execute("ROLLBACK").await.unwrap();
    let mut renewed = Vec::new();
    for tab in tabs {
        renewed.push(tab.await.unwrap().expect_status(200)["refresh"].clone());
    }
    // Both tabs share the token that is valid now.
    for token in &renewed {
        assert_eq!(claims(token)["jti"], claims(&renewed[0])["jti"]);
    }
    // So does a tab whose call arrives after the first was done but before its response.
    let moment = async |of: &str| {
        let sql = format!("UPDATE token_families SET used_at = clock_timestamp() {of}");
        server.client().await.batch_execute(&sql).await.unwrap();
    };
    moment("+ interval '1 minute'").await;
    let late = refresh(&nobody, &pair["refresh"]).await.expect_status(200);
    assert_eq!(claims(&late["refresh"])["jti"], claims(&renewed[0])["jti"]);
    let next = refresh(&nobody, &renewed[1]).await.expect_status(200);
    moment("+ interval '1 minute'").await;
    refresh(&nobody, &renewed[0]).await.expect_status(200);
    moment("- interval '1 second'").await;
    refresh(&nobody, &renewed[0]).await.expect_status(401);
    refresh(&nobody, &next["refresh"]).await.expect_status(401);
}

#[tokio::test]
async fn only_built_in_accounts_get_tokens() {
    let (server, nobody) = account_holder_at(UNHURRIED).await;
    let bob = new_user_at(&server, "bob").await;
    let foreign = |user: i64, family: Option<&str>| {
        let mut says = json!({"token_type": "refresh", "user_id": user});
        if let Some(family) = family {
            says["family"] = json!(family);
        }
        json!(server.signs_token(&says))
    };
    for user in [bob.id, fresh_id()] {
        let token = foreign(user, None);
        assert_eq!(refresh(&nobody, &token).await.expect_status(401)["code"], "token_not_valid");
        assert!(!is_good(&nobody, &token).await);
        refresh(&nobody, &foreign(user, Some("4c1d7f3a9b2e4d558a66000000000003"))).await.expect_status(401);
    }
    // Nor with another user's family.
    let pair = signs_in(&nobody).await;
    let family = text_of(&claims(&pair["refresh"])["family"]);
    refresh(&nobody, &foreign(bob.id, Some(&family))).await.expect_status(401);
    refresh(&nobody, &pair["refresh"]).await.expect_status(200);
}

#[tokio::test]
async fn sign_out_revocation_and_deactivation_end_a_sign_in() {
    let (server, nobody) = account_holder_at(UNHURRIED).await;
    let host = host_at(&server);
    let pair = signs_in(&nobody).await;
    let second = refresh(&nobody, &pair["refresh"]).await.expect_status(200);
    assert_eq!(
        nobody.post("/api/token/revoke/", json!({"refresh": second["refresh"]})).await.expect_status(200),
        json!({})
    );
    refresh(&nobody, &second["refresh"]).await.expect_status(401);
    nobody.post("/api/token/revoke/", json!({"refresh": second["access"]})).await.expect_status(401);
    nobody.post("/api/token/revoke/", json!({})).await.expect_field_errors(&["refresh"]);

    let pair = signs_in(&nobody).await;
    let ann = claims(&pair["access"])["user_id"].as_str().expect("an id").to_owned();
    let path = format!("/api/chat/users/{ann}/");
    assert!(is_good(&nobody, &pair["access"]).await && is_good(&nobody, &pair["refresh"]).await);
    let soon = chrono::Utc::now().timestamp() + 5;
    for (end, again) in [
        (json!({"is_active": false}), json!({"is_active": true})),
        (json!({"tokens_valid_from": soon}), json!({"tokens_valid_from": null})),
    ] {
        host.put(&path, end).await.expect_status(200);
        assert!(!is_good(&nobody, &pair["access"]).await && !is_good(&nobody, &pair["refresh"]).await);
        refresh(&nobody, &pair["refresh"]).await.expect_status(401);
        host.put(&path, again).await.expect_status(200);
        assert!(is_good(&nobody, &pair["access"]).await && is_good(&nobody, &pair["refresh"]).await);
    }
    host.delete(&path).await.expect_status(204);
    refresh(&nobody, &pair["refresh"]).await.expect_status(401);
    assert!(!is_good(&nobody, &pair["access"]).await && !is_good(&nobody, &pair["refresh"]).await);
}

#[tokio::test]
async fn sign_ins_from_before_token_families_stay_valid() {
    let (server, nobody) = account_holder_at(UNHURRIED).await;
    let ann = claims(&signs_in(&nobody).await["access"])["user_id"].clone();
    let old = json!(server.signs_token(&json!({"token_type": "refresh", "user_id": ann})));
    assert!(is_good(&nobody, &old).await);
    // Each tab that holds the old token gets a family of its own.
    let (one, other) =
        (refresh(&nobody, &old).await.expect_status(200), refresh(&nobody, &old).await.expect_status(200));
    assert_ne!(claims(&one["refresh"])["family"], claims(&other["refresh"])["family"]);
    let next = refresh(&nobody, &one["refresh"]).await.expect_status(200);
    refresh(&nobody, &one["refresh"]).await.expect_status(401);
    refresh(&nobody, &next["refresh"]).await.expect_status(401);
    refresh(&nobody, &other["refresh"]).await.expect_status(200);
    // By now such tokens are no longer issued.
    let long_ago = "UPDATE installation SET families_since = now() - interval '2 hours'";
    server.client().await.batch_execute(long_ago).await.unwrap();
    refresh(&nobody, &old).await.expect_status(401);
    assert!(!is_good(&nobody, &old).await);
}

#[tokio::test]
async fn the_least_recently_used_of_very_many_sign_ins_ends() {
    let (server, nobody) = account_holder_at(UNHURRIED).await;
    let (oldest, kept) = (signs_in(&nobody).await, signs_in(&nobody).await);
    let client = server.client().await;
    let many = "UPDATE token_families SET used_at = used_at - interval '1 hour';
        INSERT INTO token_families (id, user_id, current, used_at, expires_at)
        SELECT gen_random_uuid(), user_id, gen_random_uuid(), now(), now() + interval '1 day'
        FROM (SELECT user_id FROM token_families LIMIT 1) one, generate_series(1, 998)";
    client.batch_execute(many).await.unwrap();
    let kept = refresh(&nobody, &kept["refresh"]).await.expect_status(200);
    signs_in(&nobody).await;
    refresh(&nobody, &oldest["refresh"]).await.expect_status(401);
    refresh(&nobody, &kept["refresh"]).await.expect_status(200);
    let count = client.query_one("SELECT count(*) FROM token_families", &[]).await.unwrap();
    assert_eq!(count.get::<_, i64>(0), 1_000);
}

#[tokio::test]
async fn token_calls_are_limited_per_address() {
    let (_server, nobody) = account_holder_at(&["--rate-sign-ins", "1:3"]).await;
    for path in ["", "refresh/", "verify/", "revoke/"] {
        let path = format!("/api/token/{path}");
        let ask = async || {
            nobody.post(&path, json!({"token": "x", "refresh": "x", "username": "x", "password": "x"})).await
        };
        let mut statuses = Vec::new();
        for _ in 0..5 {
            statuses.push(ask().await.status);
        }
        assert!(statuses.contains(&429), "{path}: {statuses:?}");
    }
    let (_server, nobody) = account_holder_at(UNHURRIED).await;
    let long = "x".repeat(9_000);
    for (path, field) in
        [("", "password"), ("refresh/", "refresh"), ("verify/", "token"), ("revoke/", "refresh")]
    {
        let path = format!("/api/token/{path}");
        assert_eq!(
            nobody.post(&path, json!({field: long})).await.expect_status(413)["code"],
            "too_large",
            "{path}"
        );
    }
}
