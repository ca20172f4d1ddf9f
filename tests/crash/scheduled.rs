//! A node that dies between claiming scheduled messages and sending them; only in builds with `failpoints`.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::node::Node;
use crate::users::text;

/// Messages to be sent, and the time within which they are due.
const MESSAGES: i64 = 24;
const DUE_WITHIN_MS: i64 = 4_000;
/// How long a claim lasts, with time to spare.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_node_has_claimed_is_sent_once_by_another() {
    let settings = [("RATE_LIMITS", "off")];
    let mut mortal = Node::start(&[&settings[..], &[("FAILPOINT", "scheduled:2")]].concat()).await;
    let other = mortal.start_peer(&settings);
    let (ana, ben) = (other.user("ana").await, other.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    for n in 0..MESSAGES {
        let at = Utc::now() + TimeDelta::milliseconds(1_000 + n * DUE_WITHIN_MS / MESSAGES);
        let body =
            json!({"room": room, "content": format!("message {n}"), "at": at, "client_id": Uuid::new_v4()});
        ana.posts("scheduled/", body).await;
    }
    // Both look every half second, so each claims some of them.
    let died = tokio::task::block_in_place(|| mortal.wait_for_exit());
    assert!(!died.success(), "it ended by itself: {died}");

    let sent = async || {
        let page = ben.gets(&format!("messages/?room={room}&page_size=100")).await;
        let mut sent: BTreeMap<String, usize> = BTreeMap::new();
        for message in page["results"].as_array().expect("results") {
            *sent.entry(text(&message["content"])).or_default() += 1;
        }
        sent
    };
    let all = async {
        while sent().await.len() < usize::try_from(MESSAGES).expect("a number") {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(TAKEN_OVER_WITHIN, all).await.expect("all are sent");
    // Time for whoever would send one again.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let sent = sent().await;
    assert!(sent.values().all(|times| *times == 1), "{sent:?}");
    let waiting: Value = ana.gets("scheduled/").await;
    assert_eq!(waiting["count"], 0, "{waiting}");
}
