//! Pushes to browsers, as their push services see them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio_postgres::NoTls;
use uuid::Uuid;

use crate::node::Node;
use crate::notifications::sets;
use crate::push_service::{Browser, PushAnswer, PushService};
use crate::users::TestUser;

/// A server that may call this machine.
async fn pushing() -> &'static Node {
    static PUSHING: OnceCell<Node> = OnceCell::const_new();
    PUSHING.get_or_init(|| Node::start(&[("RATE_LIMITS", "off"), ("OUTBOUND_ALLOW", "127.0.0.1")])).await
}

/// A room of two, one of whom is told at once, in a browser too.
struct Setting {
    ana: TestUser,
    ben: TestUser,
    room: String,
    browser: Browser,
    service: PushService,
    subscription: String,
}

async fn setting(answers: &[PushAnswer]) -> Setting {
    let server = pushing().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    sets(&ben, json!({"delay_seconds": 0})).await;
    let (browser, service) = (Browser::new(), PushService::start(answers).await);
    let path = format!("/push/{}", Uuid::new_v4());
    let subscribed = ben.posts("push/subscriptions/", browser.subscription(&service, &path)).await;
    let subscription = subscribed["id"].as_str().expect("an id").to_owned();
    Setting { ana, ben, room, browser, service, subscription }
}

/// What the server keeps of a subscription: how many rows of a table.
async fn rows(table: &str, column: &str, id: &str) -> i64 {
    let (client, connection) =
        tokio_postgres::connect(&pushing().await.database, NoTls).await.expect("a database");
    let connection = tokio::spawn(connection);
    let count = format!("SELECT count(*) FROM {table} WHERE {column} = '{id}'");
    let count = client.query_one(&count, &[]).await.expect("a count").get(0);
    connection.abort();
    count
}

async fn ways(user: &TestUser, message: &Value) -> Vec<Value> {
    let why = user.gets(&format!("messages/{}/why/", message["id"].as_str().expect("an id"))).await;
    let ways = why["ways"].as_array().expect("a list");
    ways.iter().filter(|way| way["way"] == "web_push").map(|way| way["state"].clone()).collect()
}

#[tokio::test]
async fn a_push_shows_what_is_told_and_is_taken_back_when_that_is_read() {
    let Setting { ana, ben, room, browser, mut service, .. } = setting(&[]).await;
    let message = ana.posts_message(&room, "the boiler").await;
    let push = service.next().await;
    let text = browser.opens(&push);
    assert_eq!(
        text,
        json!({"type": "notification", "id": text["id"], "kind": "message", "room_id": room, "seq": message["seq"],
            "message_id": message["id"], "title": "Team", "body": format!("Full {}: the boiler", ana.name),
            "urgent": false, "badge": 1})
    );
    assert_eq!(ben.gets("notifications/").await["results"][0]["id"], text["id"]);
    assert_eq!((push.header("content-encoding"), push.header("ttl")), (Some("aes128gcm"), Some("86400")));
    assert_eq!(push.header("urgency"), Some("normal"));
    let topic = push.header("topic").expect("a topic").to_owned();
    assert_eq!(topic.len(), 22);
    let key = ben.gets("push/key/").await["public_key"].as_str().expect("a key").to_owned();
    let authorization = push.header("authorization").expect("a token");
    assert!(authorization.starts_with("vapid t=") && authorization.ends_with(&format!(", k={key}")));

    ana.posts("messages/", json!({"room": room, "content": "you!", "mentions": [ben.id]})).await;
    let update = service.next().await;
    let updated = browser.opens(&update);
    assert_eq!(
        (&updated["id"], &updated["kind"], &updated["badge"]),
        (&text["id"], &json!("mention"), &json!(2))
    );
    assert_eq!((update.header("topic"), update.header("urgency")), (Some(topic.as_str()), Some("high")));

    ben.posts(&format!("rooms/{room}/mark_read/"), json!({})).await;
    let gone = service.next().await;
    assert_eq!(
        browser.opens(&gone),
        json!({"type": "notification_gone", "ids": [text["id"]], "room_id": room, "badge": 0})
    );
    assert_eq!(gone.header("topic"), Some(topic.as_str()));
    assert!(!service.has_received());
}

#[tokio::test]
async fn a_subscription_that_is_gone_is_forgotten() {
    for status in [404, 410] {
        let Setting { ana, room, mut service, subscription, .. } =
            setting(&[PushAnswer::Status(status, None)]).await;
        ana.posts_message(&room, "one").await;
        service.next().await;
        let since = Instant::now();
        while rows("push_subscriptions", "id", &subscription).await > 0 {
            assert!(since.elapsed() < Duration::from_secs(10), "it stays after {status}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(rows("push_deliveries", "subscription_id", &subscription).await, 0);
    }
}

#[tokio::test]
async fn a_service_that_asks_to_wait_is_asked_again() {
    let later = |status| PushAnswer::Status(status, Some(1));
    let Setting { ana, ben, room, browser, mut service, .. } = setting(&[later(429), later(500)]).await;
    let message = ana.posts_message(&room, "one").await;
    let mut topics = Vec::new();
    let mut last = Instant::now();
    for attempt in 0..3 {
        let push = service.next().await;
        assert!(attempt == 0 || last.elapsed() >= Duration::from_secs(1), "it was asked to wait");
        last = Instant::now();
        assert_eq!(browser.opens(&push)["message_id"], message["id"]);
        topics.push(push.header("topic").expect("a topic").to_owned());
    }
    topics.dedup();
    assert_eq!(topics.len(), 1);
    while ways(&ben, &message).await != ["sent"] {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!service.has_received());
}

#[tokio::test]
async fn what_a_service_refuses_is_given_up_and_the_next_is_sent() {
    let Setting { ana, ben, room, browser, mut service, .. } =
        setting(&[PushAnswer::Status(413, None)]).await;
    let refused = ana.posts_message(&room, "one").await;
    service.next().await;
    while ways(&ben, &refused).await != ["failed"] {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let message = ana.posts_message(&room, "two").await;
    assert_eq!(browser.opens(&service.next().await)["message_id"], message["id"]);
}

#[tokio::test]
async fn a_slow_service_delays_no_other_one() {
    let slow = setting(&[PushAnswer::Silence; 40]).await;
    let mut fast = setting(&[]).await;
    for n in 0..40 {
        let room = slow.ana.makes_group(&[&slow.ben]).await;
        slow.ana.posts_message(&room, &n.to_string()).await;
    }
    let message = fast.ana.posts_message(&fast.room, "quick").await;
    let since = Instant::now();
    assert_eq!(fast.browser.opens(&fast.service.next().await)["message_id"], message["id"]);
    assert!(since.elapsed() < Duration::from_secs(8), "before the slow ones are given up");
}

#[tokio::test]
async fn nothing_is_sent_to_who_is_deactivated_or_has_ended_the_subscription() {
    let ended = setting(&[]).await;
    let mut off = setting(&[]).await;
    ended.ben.deletes(&format!("push/subscriptions/{}/", ended.subscription)).await;
    pushing().await.host().upserts(&off.ben, json!({"is_active": false})).await;
    // Who watches: what is told after the others.
    let mut other = setting(&[]).await;
    for setting in [&ended, &off, &other] {
        setting.ana.posts_message(&setting.room, "hello").await;
    }
    other.service.next().await;
    // One more round for all of them.
    other.ana.posts_message(&other.room, "again").await;
    other.service.next().await;
    assert!(!ended.service.has_received() && !off.service.has_received());
    // The browser may subscribe again, as somebody else too.
    let again = off.browser.subscription(&off.service, "/again");
    let first = ended.ben.posts("push/subscriptions/", again.clone()).await;
    assert_eq!(other.ben.posts("push/subscriptions/", again).await["id"], first["id"]);
    ended.ana.posts_message(&ended.room, "not for this browser").await;
    let message = other.ana.posts_message(&other.room, "for this one").await;
    assert_eq!(off.browser.opens(&off.service.next().await)["message_id"], message["id"]);
    assert!(!off.service.has_received());
}
