//! Targets of all kinds, and what each is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::node::Node;
use crate::receiver::{Answer, Received, Receiver};
use crate::users::TestUser;
use crate::verifying::verify;
use crate::world::{Hook, NoPauses, SETTINGS, order, time_passes, wait_for_texts};

/// Has a user send these texts, in turn to each of the rooms.
async fn says(user: &TestUser, rooms: &[String], texts: &[String]) {
    for (n, text) in texts.iter().enumerate() {
        user.posts_message(&rooms[n % rooms.len()], text).await;
    }
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("message {n}")).collect()
}

/// Checks that each room's events came in their order without a gap, repeats aside.
fn check_order(received: &[Received], rooms: &[String]) {
    for room in rooms {
        let seqs = order(received, room);
        let first = seqs.first().copied().expect("something came");
        assert_eq!(seqs, (first..).take(seqs.len()).collect::<Vec<i64>>(), "{room}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_sent_signed_and_in_order() {
    let node = Node::start(&SETTINGS).await;
    let (ana, ben, receiver) = (node.user("ana").await, node.user("ben").await, Receiver::start().await);
    let mut rooms = Vec::new();
    for _ in 0..3 {
        rooms.push(ana.makes_group(&[&ben]).await);
    }
    let hook = Hook::adds(&node, receiver.url("/hook?x=1"), json!({"events": ["chat_message"]})).await;
    says(&ana, &rooms, &numbered(30)).await;
    let received = wait_for_texts(&receiver, &numbered(30)).await;
    assert_eq!(received.len(), 30, "each once");
    check_order(&received, &rooms);
    assert!(verify(&hook.secret, &received).iter().all(|is_good| *is_good));
    assert!(!verify("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &received)[0], "by this secret alone");
    let ids: BTreeSet<String> = received.iter().map(Received::id).collect();
    assert_eq!(ids.len(), 30);
    let first = received.iter().find(|one| one.text() == "message 0").expect("the first one");
    assert_eq!(first.path, "/hook?x=1");
    assert_eq!(first.headers["content-type"], "application/json");
    let body = first.json();
    assert_eq!((&body["type"], &body["room_id"]), (&json!("chat_message"), &json!(rooms[0])));
    assert_eq!(body["timestamp"], body["data"]["message"]["created_at"]);
    // The data is the event's frame, as sockets get it.
    let seq = first.seq();
    let log = ana.gets(&format!("rooms/{}/events/?since={}&limit=1", rooms[0], seq - 1)).await;
    assert_eq!(body["data"], log["events"][0]);
    let deliveries = hook.wait_for_deliveries(|all| all.len() == 30).await;
    let one = deliveries.iter().find(|one| one["id"] == json!(first.id())).expect("its delivery");
    assert_eq!(
        (&one["state"], &one["status"], &one["answer"]),
        (&json!("delivered"), &json!(200), &json!("taken"))
    );
    assert_eq!(
        (&one["seq"], &one["type"], &one["attempts"]),
        (&json!(seq), &json!("chat_message"), &json!(1))
    );

    // A secret is replaced without a gap.
    let renewed = crate::users::text(&hook.changes(json!({"secret": null})).await["secret"]);
    ana.posts_message(&rooms[0], "with two secrets").await;
    let received = wait_for_texts(&receiver, &["with two secrets".to_owned()]).await;
    let last = received.last().expect("a request").clone();
    assert_eq!((verify(&hook.secret, &[last.clone()]), verify(&renewed, &[last])), (vec![true], vec![true]));

    // A replay comes under the same ids.
    assert_eq!(hook.replays(json!({"room": rooms[0], "since": seq - 1})).await, json!({"rooms": 1}));
    let again = |received: &[Received]| received.iter().filter(|one| one.id() == first.id()).count() == 2;
    receiver.wait_until("the first one again", again).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_target_answers_badly_is_sent_again_before_what_follows() {
    let node = Node::start(&SETTINGS).await;
    let (ana, receiver) = (node.user("ana").await, Receiver::start().await);
    let rooms = vec![ana.makes_group(&[]).await, ana.makes_group(&[]).await];
    let bad = [
        Answer::status(500),
        Answer::Status(302, "Location: /elsewhere\r\n", Vec::new()),
        Answer::Status(307, "Location: http://169.254.169.254/\r\n", Vec::new()),
        Answer::Break,
        Answer::Status(503, "Retry-After: 60\r\n", Vec::new()),
        Answer::Status(400, "", vec![b'x'; 10 * 1024 * 1024]),
        Answer::Late(Duration::from_millis(300)),
        Answer::Status(200, "", vec![b'y'; 10 * 1024 * 1024]),
    ];
    // Each request of the first room is answered by the next of these, those of the second at once.
    let (slow, mut n) = (rooms[0].clone(), 0);
    receiver.answers(move |request| {
        if request.room() != slow {
            return Answer::good();
        }
        n += 1;
        bad.get(n - 1).cloned().unwrap_or_else(Answer::good)
    });
    let _hasty = NoPauses::start(&node);
    let hook = Hook::adds(&node, receiver.url("/"), json!({"events": ["chat_message"]})).await;
    says(&ana, &rooms, &numbered(12)).await;
    let received = wait_for_texts(&receiver, &numbered(12)).await;
    check_order(&received, &rooms);
    assert!(verify(&hook.secret, &received).iter().all(|is_good| *is_good));
    assert!(received.iter().all(|one| one.path == "/"), "no redirect is followed");
    let mut attempts: BTreeMap<String, Vec<&Received>> = BTreeMap::new();
    for request in &received {
        attempts.entry(request.id()).or_default().push(request);
    }
    let first = received.iter().find(|one| one.room() == rooms[0]).expect("a request");
    assert_eq!(attempts[&first.id()].len(), 7, "until it is taken");
    assert_eq!(attempts.len(), 12);
    assert!(attempts.values().all(|all| all.iter().all(|one| one.body == all[0].body)));
    let deliveries =
        hook.wait_for_deliveries(|all| all.len() == 12 && all.iter().all(|one| one["state"] == "delivered"));
    let deliveries = deliveries.await;
    let of_first = deliveries.iter().find(|one| one["id"] == json!(first.id())).expect("its delivery");
    assert_eq!(of_first["attempts"], 7);
    let longest = deliveries.iter().map(|one| one["answer"].as_str().unwrap_or_default().len()).max();
    assert_eq!(longest, Some(1_024), "the start of an answer is kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_never_answers_holds_up_no_other() {
    let node = Node::start(&SETTINGS).await;
    let (ana, dead, living) = (node.user("ana").await, Receiver::start().await, Receiver::start().await);
    dead.answers(|_| Answer::Never);
    let mut rooms = Vec::new();
    for _ in 0..12 {
        rooms.push(ana.makes_group(&[]).await);
    }
    let deaf = Hook::adds(&node, dead.url("/"), json!({"events": ["chat_message"]})).await;
    // Nobody listens there.
    let closed = Hook::adds(&node, "http://127.0.0.1:9/".to_owned(), json!({})).await;
    let hook = Hook::adds(&node, living.url("/"), json!({"events": ["chat_message"]})).await;
    let began = Instant::now();
    says(&ana, &rooms, &numbered(36)).await;
    let received = wait_for_texts(&living, &numbered(36)).await;
    assert!(began.elapsed() < Duration::from_secs(14), "{:?}", began.elapsed());
    check_order(&received, &rooms);
    let waits = dead.received().len();
    assert!((1..=4).contains(&waits), "{waits} requests at a time");
    let refused = closed.wait_for_deliveries(|all| !all.is_empty()).await;
    assert_eq!((&refused[0]["status"], &refused[0]["state"]), (&json!(null), &json!("retrying")));
    assert_eq!(refused[0]["error"], "there is no connection");
    assert!(refused[0]["next_attempt_at"].is_string());
    assert!(closed.shown().await["failing_since"].is_string());
    assert!(hook.shown().await["succeeded_at"].is_string());
    let late = deaf.wait_for_deliveries(|all| !all.is_empty()).await;
    assert_eq!((&late[0]["error"], &late[0]["attempts"]), (&json!("no whole answer in time"), &json!(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_ends_its_webhook_and_its_owner_resumes_it() {
    let node = Node::start(&SETTINGS).await;
    let (ana, receiver) = (node.user("ana").await, Receiver::start().await);
    let room = ana.makes_group(&[]).await;
    receiver.answers(|_| Answer::status(410));
    let hook = Hook::adds(&node, receiver.url("/"), json!({"events": ["chat_message"]})).await;
    ana.posts_message(&room, "unwanted").await;
    let ended = hook.wait_for_state("ended").await;
    assert_eq!(ended["reason"], "The target answered 410 Gone.");
    ana.posts_message(&room, "not sent").await;
    time_passes(&node, "2 days").await;
    // Whoever looks after this would send it.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(receiver.received().len(), 1);
    receiver.answers(|_| Answer::good());
    hook.changes(json!({"state": "active"})).await;
    let received = wait_for_texts(&receiver, &["not sent".to_owned()]).await;
    let texts: Vec<String> = received.iter().map(Received::text).collect();
    assert_eq!(texts, ["unwanted", "unwanted", "not sent"], "nothing is left out");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_days_in_vain_a_webhook_pauses_and_a_single_event_is_given_up() {
    let node = Node::start(&SETTINGS).await;
    let (ana, receiver) = (node.user("ana").await, Receiver::start().await);
    let room = ana.makes_group(&[]).await;
    receiver.answers(|_| Answer::status(502));
    let hook = Hook::adds(&node, receiver.url("/"), json!({"events": ["chat_message"]})).await;
    ana.posts_message(&room, "poison").await;
    hook.wait_for_deliveries(|all| all.len() == 1).await;
    time_passes(&node, "6 days").await;
    let paused = hook.wait_for_state("paused").await;
    let reason = "The target has taken nothing for days. The last answer was 502 Bad Gateway.";
    assert_eq!(paused["reason"], reason);
    ana.posts_message(&room, "behind it").await;

    // Now it takes everything but this one.
    receiver.answers(|request| if request.text() == "poison" { Answer::status(500) } else { Answer::good() });
    hook.changes(json!({"state": "active"})).await;
    let tried = |all: &[serde_json::Value]| all.iter().any(|one| one["attempts"] == json!(3));
    hook.wait_for_deliveries(tried).await;
    // What another room sends shows that the target lives.
    let other = ana.makes_group(&[]).await;
    ana.posts_message(&other, "elsewhere").await;
    hook.wait_for_deliveries(|all| all.iter().any(|one| one["state"] == "delivered")).await;
    time_passes(&node, "6 days").await;
    let given_up = hook.wait_for_deliveries(|all| all.iter().any(|one| one["state"] == "given_up")).await;
    assert!(given_up.iter().any(|one| one["state"] == "given_up" && one["status"] == 500));
    let received = wait_for_texts(&receiver, &["behind it".to_owned(), "elsewhere".to_owned()]).await;
    check_order(&received, &[room]);
    assert_eq!(hook.shown().await["state"], "active");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_inside_is_not_called() {
    let node = Node::start(&[("RATE_LIMITS", "off")]).await;
    let (ana, receiver) = (node.user("ana").await, Receiver::start().await);
    let room = ana.makes_group(&[]).await;
    let port = receiver.address.port();
    let (status, body) = node
        .host()
        .requests(reqwest::Method::POST, "webhooks/", Some(json!({"url": receiver.url("/")})))
        .await;
    assert_eq!(status, 400, "{body}");
    // A name that leads inside is found out when it is called.
    let hook = Hook::adds(&node, format!("https://localhost:{port}/"), json!({})).await;
    ana.posts_message(&room, "a secret").await;
    let deliveries = hook.wait_for_deliveries(|all| !all.is_empty()).await;
    assert_eq!(deliveries[0]["error"], "the host has no address that may be called");
    assert!(receiver.received().is_empty());
}
