//! A node that dies between claiming pushes and sending them; only in builds with `failpoints`.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::node::Node;
use crate::push_service::{Browser, PushService};

const ROOMS: usize = 6;
/// How long a claim lasts, with time to spare.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_node_was_to_push_is_pushed_by_another() {
    let settings = [("RATE_LIMITS", "off"), ("OUTBOUND_ALLOW", "127.0.0.1")];
    let mut mortal = Node::start(&[&settings[..], &[("FAILPOINT", "pushing:1")]].concat()).await;
    let (ana, ben) = (mortal.user("ana").await, mortal.user("ben").await);
    let (browser, mut service) = (Browser::new(), PushService::start(&[]).await);
    ben.posts("push/subscriptions/", browser.subscription(&service, "/ben")).await;
    let at_once = Some(json!({"delay_seconds": 0}));
    let (status, body) = ben.requests(Method::PUT, "notifications/settings/", at_once).await;
    assert_eq!(status, 200, "{body}");
    let mut rooms = Vec::new();
    for _ in 0..ROOMS {
        rooms.push(ana.makes_group(&[&ben]).await);
    }
    join_all(rooms.iter().map(|room| ana.posts_message(room, "hello"))).await;
    let died = tokio::task::block_in_place(|| mortal.wait_for_exit());
    assert!(!died.success(), "it ended by itself: {died}");
    assert!(!service.has_received());

    // Another node goes on when the claim has lapsed.
    mortal.configure("FAILPOINT", "session:0");
    tokio::task::block_in_place(|| mortal.start_process());
    let mut pushes: BTreeMap<String, Value> = BTreeMap::new();
    while pushes.len() < ROOMS {
        let push = service.next_within(TAKEN_OVER_WITHIN).await;
        let text = browser.opens(&push);
        let before = pushes.insert(text["room_id"].as_str().expect("a room").to_owned(), text);
        assert_eq!(before, None, "once");
    }
    assert!(rooms.iter().all(|room| pushes.contains_key(room)));
    assert!(!service.has_received());
}
