//! Nodes that die while they send webhooks; only in builds with `failpoints`.

use std::collections::BTreeMap;

use serde_json::json;

use crate::node::Node;
use crate::receiver::{Received, Receiver};
use crate::verifying::verify;
use crate::world::{Hook, NoPauses, SETTINGS, order, wait_for_texts};

/// Lets a node die at a point while it sends, and another one go on; returns what came.
async fn dies_at(point: &str) -> Vec<Received> {
    let failpoint = format!("{point}:1");
    let mut mortal = Node::start(&[&SETTINGS[..], &[("FAILPOINT", &failpoint)]].concat()).await;
    let (ana, receiver) = (mortal.user("ana").await, Receiver::start().await);
    let mut rooms = Vec::new();
    for _ in 0..4 {
        rooms.push(ana.makes_group(&[]).await);
    }
    let hook = Hook::adds(&mortal, receiver.url("/"), json!({"events": ["chat_message"]})).await;
    let texts: Vec<String> = (0..12).map(|n| format!("message {n}")).collect();
    ana.posts_message(&rooms[0], &texts[0]).await;
    let died = tokio::task::block_in_place(|| mortal.wait_for_exit());
    assert!(!died.success(), "it ended by itself: {died}");

    let other = mortal.start_peer(&SETTINGS);
    let ana = other.unknown_user(ana.id, &ana.name);
    for (n, text) in texts.iter().enumerate().skip(1) {
        ana.posts_message(&rooms[n % rooms.len()], text).await;
    }
    let _hasty = NoPauses::start(&other);
    let received = wait_for_texts(&receiver, &texts).await;
    assert!(verify(&hook.secret, &received).iter().all(|is_good| *is_good));
    for room in &rooms {
        let seqs = order(&received, room);
        assert_eq!(seqs, (seqs[0]..).take(seqs.len()).collect::<Vec<i64>>(), "{room}");
    }
    received
}

/// How many requests came more than once.
fn repeats(received: &[Received]) -> usize {
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for request in received {
        *times.entry(request.id()).or_default() += 1;
    }
    times.values().map(|times| times - 1).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_node_has_claimed_another_one_sends_once() {
    let received = dies_at("delivering").await;
    assert_eq!(repeats(&received), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_node_has_sent_is_sent_again_at_most_once() {
    let received = dies_at("delivered").await;
    assert_eq!(repeats(&received), 1);
}
