//! Settings of notifications, subscriptions to pushes, and what is refused in both.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{ApiClient, host, new_user, text_of};

const SETTINGS: &str = "/api/chat/notifications/settings/";
const SUBSCRIPTIONS: &str = "/api/chat/push/subscriptions/";

/// The keys of a browser.
pub fn push_keys() -> Value {
    use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
    let key = PrivateKey::generate(&ECDH_P256).expect("a key");
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    json!({"p256dh": encode(key.compute_public_key().expect("a point").as_ref()), "auth": encode(&[7; 16])})
}

fn defaults() -> Value {
    json!({"quiet": null, "delay_seconds": 10, "keywords": [], "email": null, "hide_text": false})
}

#[tokio::test]
async fn settings_are_kept_and_null_sets_the_default() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    assert_eq!(alice.get(SETTINGS).await.expect_status(200), defaults());
    let quiet = json!({"from": "22:00", "to": "07:30", "days": ["mon", "sun"], "timezone": "Europe/Berlin"});
    let all = json!({"quiet": quiet, "delay_seconds": 0, "keywords": ["Boiler", "hot water"],
        "email": {"after_minutes": 30}, "hide_text": true});
    assert_eq!(alice.put(SETTINGS, all.clone()).await.expect_status(200), all);
    assert_eq!(alice.get(SETTINGS).await.expect_status(200), all);
    assert_eq!(bob.get(SETTINGS).await.expect_status(200), defaults());
    // What isn't given stays; a keyword counts once, and so does a day.
    let words = json!({"keywords": [" boiler ", "Boiler", "leak"]});
    let changed = alice.put(SETTINGS, words).await.expect_status(200);
    assert_eq!((&changed["keywords"], &changed["quiet"]), (&json!(["boiler", "leak"]), &quiet));
    let days =
        json!({"from": "09:05", "to": "09:00", "days": ["sun", "mon", "sun"], "timezone": "Asia/Tokyo"});
    let changed = alice.put(SETTINGS, json!({"quiet": days})).await.expect_status(200);
    assert_eq!(changed["quiet"]["days"], json!(["mon", "sun"]));
    let every_day = json!({"from": "22:00", "to": "06:00", "timezone": "UTC"});
    let changed = alice.put(SETTINGS, json!({"quiet": every_day})).await.expect_status(200);
    assert_eq!(changed["quiet"]["days"], json!(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]));
    let none =
        json!({"quiet": null, "delay_seconds": null, "keywords": null, "email": null, "hide_text": null});
    assert_eq!(alice.put(SETTINGS, none).await.expect_status(200), defaults());
    assert_eq!(alice.put(SETTINGS, json!({})).await.expect_status(200), defaults());
}

#[tokio::test]
async fn wrong_settings_change_nothing() {
    let alice = new_user("alice").await;
    let quiet = |name: &str, value: Value| {
        let mut quiet = json!({"from": "22:00", "to": "07:00", "days": ["mon"], "timezone": "UTC"});
        quiet[name] = value;
        ("quiet", quiet)
    };
    let many: Vec<String> = (0..21).map(|n| format!("word{n}")).collect();
    for (name, value) in [
        quiet("from", json!("25:00")),
        quiet("from", json!("22")),
        quiet("from", json!(null)),
        quiet("to", json!("22:00")),
        quiet("days", json!([])),
        quiet("days", json!(["monday"])),
        quiet("days", json!("mon")),
        quiet("days", json!([1])),
        quiet("timezone", json!("Mars/Olympus")),
        quiet("timezone", json!("")),
        quiet("timezone", json!(null)),
        ("quiet", json!("22:00-07:00")),
        ("quiet", json!({})),
        ("delay_seconds", json!(-1)),
        ("delay_seconds", json!(3_601)),
        ("delay_seconds", json!("soon")),
        ("delay_seconds", json!(1.5)),
        ("keywords", json!("boiler")),
        ("keywords", json!([1])),
        ("keywords", json!([" "])),
        ("keywords", json!(["a\u{0}b"])),
        ("keywords", json!(["x".repeat(51)])),
        ("keywords", json!(many)),
        ("email", json!({})),
        ("email", json!({"after_minutes": 0})),
        ("email", json!({"after_minutes": 10_081})),
        ("email", json!(30)),
        ("hide_text", json!("perhaps")),
    ] {
        let mut body = json!({"delay_seconds": 3});
        body[name] = value;
        alice.put(SETTINGS, body).await.expect_field_errors(&[name]);
    }
    assert_eq!(alice.get(SETTINGS).await.expect_status(200), defaults());
    alice.post_raw(SETTINGS, "{}").await.expect_status(405);
}

#[tokio::test]
async fn the_list_is_empty_before_anything_is_told() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    let message = text_of(&alice.says(&room, "hi").await["id"]);
    for query in ["", "?unread=true", "?unread=false", "?unread="] {
        let page = bob.get(&format!("/api/chat/notifications/{query}")).await.expect_status(200);
        assert_eq!((&page["count"], &page["results"]), (&json!(0), &json!([])));
    }
    bob.get("/api/chat/notifications/?unread=perhaps").await.expect_field_errors(&["unread"]);
    bob.get("/api/chat/notifications/?page=2").await.expect_status(404);
    for up_to in [json!(null), json!("x"), json!(Uuid::new_v4())] {
        let body = json!({"up_to": up_to});
        bob.post("/api/chat/notifications/read/", body).await.expect_field_errors(&["up_to"]);
    }
    let why = bob.get(&format!("/api/chat/messages/{message}/why/")).await.expect_status(200);
    assert_eq!((&why["told"], &why["reasons"][0]["rule"]), (&json!(false), &json!("message")));
    for id in ["abc", &Uuid::new_v4().to_string()] {
        bob.get(&format!("/api/chat/messages/{id}/why/")).await.expect_status(404);
    }
    let why = bob.get("/api/chat/unread/why/").await.expect_status(200);
    assert_eq!((&why["unread_count"], &why["mention_count"]), (&json!(1), &json!(0)));
    let row = &why["rooms"][0];
    assert_eq!(
        (&row["room_id"], &row["display_name"], &row["counts"], &row["first_unread"]["message_id"]),
        (&json!(room), &json!("Boiler"), &json!(true), &json!(message))
    );
    let place = bob.participant_id(&bob, &room).await;
    bob.post(&format!("/api/chat/participants/{place}/mute/"), json!({"muted": true}))
        .await
        .expect_status(200);
    let why = bob.get("/api/chat/unread/why/").await.expect_status(200);
    assert_eq!((&why["unread_count"], &why["rooms"][0]["counts"]), (&json!(0), &json!(false)));
    assert_eq!(why["rooms"][0]["reasons"][0]["rule"], "muted");
    let badge = bob.get("/api/chat/unread/").await.expect_status(200);
    assert_eq!(badge["unread_count"], why["unread_count"]);
    bob.reads(&room).await;
    assert_eq!(bob.get("/api/chat/unread/why/").await.expect_status(200)["rooms"], json!([]));
}

async fn subscribes(user: &ApiClient, endpoint: &str) -> String {
    let body = json!({"endpoint": endpoint, "keys": push_keys()});
    text_of(&user.post(SUBSCRIPTIONS, body).await.expect_status(201)["id"])
}

#[tokio::test]
async fn a_browser_has_one_subscription_and_a_user_the_newest_twenty() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let key = text_of(&alice.get("/api/chat/push/key/").await.expect_status(200)["public_key"]);
    assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(&key).expect("Base64").len(), 65);
    assert_eq!(bob.get("/api/chat/push/key/").await.expect_status(200)["public_key"], key);
    let endpoint = |n: usize| format!("https://push.example/{}/{n}", alice.id);
    let first = subscribes(&alice, &endpoint(0)).await;
    assert_eq!(subscribes(&alice, &endpoint(0)).await, first);
    assert_eq!(subscribes(&bob, &endpoint(0)).await, first, "the browser is somebody else's now");
    let path = |id: &str| format!("{SUBSCRIPTIONS}{id}/");
    alice.delete(&path(&first)).await.expect_status(404);
    bob.delete(&path(&first)).await.expect_status(204);
    bob.delete(&path(&first)).await.expect_status(404);
    let mut ids = Vec::new();
    for n in 1..=22 {
        ids.push(subscribes(&alice, &endpoint(n)).await);
    }
    for (n, id) in ids.iter().enumerate() {
        alice.delete(&path(id)).await.expect_status(if n < 2 { 404 } else { 204 });
    }
    alice.delete(&path("abc")).await.expect_status(404);
}

#[tokio::test]
async fn a_subscription_needs_an_address_outside_and_real_keys() {
    let alice = new_user("alice").await;
    let endpoint = "https://push.example/x";
    for wrong in [
        json!("x"),
        json!(""),
        json!(null),
        json!(7),
        json!("ftp://push.example/"),
        json!("http://127.0.0.1/x"),
        json!("https://127.0.0.1/x"),
        json!("https://[::1]/x"),
        json!("https://10.0.0.1/x"),
        json!(format!("https://push.example/{}", "x".repeat(2_000))),
    ] {
        let body = json!({"endpoint": wrong, "keys": push_keys()});
        alice.post(SUBSCRIPTIONS, body).await.expect_field_errors(&["endpoint"]);
    }
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    for (name, wrong) in [
        ("p256dh", json!(encode(&[4; 65]))),
        ("p256dh", json!(encode(&[4; 64]))),
        ("p256dh", json!("?")),
        ("p256dh", json!(null)),
        ("auth", json!(encode(&[7; 15]))),
        ("auth", json!("")),
    ] {
        let mut keys = push_keys();
        keys[name] = wrong;
        alice
            .post(SUBSCRIPTIONS, json!({"endpoint": endpoint, "keys": keys}))
            .await
            .expect_field_errors(&["keys"]);
    }
    alice.post(SUBSCRIPTIONS, json!({})).await.expect_field_errors(&["endpoint", "keys"]);
    alice.post(SUBSCRIPTIONS, json!({"fcm_token": "x"})).await.expect_field_errors(&["fcm_token"]);
    host()
        .await
        .post(SUBSCRIPTIONS, json!({"endpoint": endpoint, "keys": push_keys()}))
        .await
        .expect_status(403);
}
