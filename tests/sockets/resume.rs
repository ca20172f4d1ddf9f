//! Resuming: everything missed arrives in order, once, and in its current state.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::node::Node;
use crate::shared;

fn kinds(frames: &[Value]) -> Vec<&str> {
    frames.iter().map(|frame| frame["type"].as_str().expect("a type")).collect()
}

#[tokio::test]
async fn a_resumed_socket_gets_the_whole_log_and_then_the_state() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    ana.posts_message(&room, "one").await;
    let (mut b, missed) = ben.resumes(&room, 0).await;
    assert_eq!(
        kinds(&missed),
        ["room_updated", "participant_joined", "participant_joined", "chat_message", "synced"]
    );
    assert_eq!(missed[4], json!({"type": "synced", "room_id": room, "seq": 4}));
    ana.posts_message(&room, "two").await;
    assert_eq!(b.sees("two").await["seq"], 5);
    let (_, missed) = ben.resumes(&room, 5).await;
    assert_eq!(kinds(&missed), ["synced"]);
}

#[tokio::test]
async fn a_replay_equals_the_events_of_rest() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut watcher = ben.joins(&room).await;
    let mut seen = Vec::new();
    for n in 0..3 {
        ana.posts_message(&room, &format!("n{n}")).await;
        seen.push(watcher.receives("chat_message").await["message"].clone());
    }
    let path = |n: usize| format!("messages/{}/", seen[n]["id"].as_str().expect("an id"));
    let mut a = ana.joins(&room).await;
    a.sends(json!({"type": "chat_message", "message": "quote", "reply_to": seen[1]["id"]})).await;
    a.sees("quote").await;
    ana.patches(&path(0), json!({"content": "edited"})).await;
    ana.deletes(&path(1)).await;
    ana.patches(&format!("rooms/{room}/"), json!({"name": "Renamed"})).await;
    let place = ana.participant_id(&ben, &room).await;
    ana.patches(&format!("participants/{place}/"), json!({"is_admin": true})).await;
    ana.posts_message(&room, "last").await;

    for since in [0, 3, 5] {
        let (_, mut missed) = ben.resumes(&room, since).await;
        missed.pop();
        let page = ben.events(&room, since).await.1;
        assert_eq!(&missed, page["events"].as_array().expect("events"), "since {since}");
    }
}

#[tokio::test]
async fn a_deleted_text_is_in_no_replay_or_quote() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut a = ana.joins(&room).await;
    a.says("my secret").await;
    let message = a.sees("my secret").await["message"].clone();
    a.sends(json!({"type": "chat_message", "message": "I quote", "reply_to": message["id"]})).await;
    a.sees("I quote").await;
    let path = format!("messages/{}/", message["id"].as_str().expect("an id"));
    ana.patches(&path, json!({"content": "my other secret"})).await;
    ana.deletes(&path).await;
    a.receives("message_deleted").await;

    let since = message["seq"].as_i64().expect("a position") - 1;
    let (_, missed) = ana.resumes(&room, since).await;
    assert_eq!(
        kinds(&missed),
        ["chat_message", "chat_message", "message_updated", "message_deleted", "synced"]
    );
    assert!(!json!(missed).to_string().contains("secret"), "{missed:?}");
    assert_eq!(missed[0]["message"]["content"], "[Message deleted]");
    assert_eq!(
        (&missed[0]["message"]["is_deleted"], &missed[0]["message"]["attachment"]),
        (&json!(true), &json!(null))
    );
}

#[tokio::test]
async fn a_replayed_message_has_its_current_state() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut a = ana.joins(&room).await;
    a.says("first form").await;
    let message = a.sees("first form").await["message"].clone();
    let path = format!("messages/{}/", message["id"].as_str().expect("an id"));
    ana.patches(&path, json!({"content": "last form"})).await;
    a.receives("message_updated").await;
    let (_, missed) = ana.resumes(&room, message["seq"].as_i64().expect("a position") - 1).await;
    assert_eq!(missed[0]["message"]["content"], "last form");
    assert_eq!(missed[0]["message"]["rev"], missed[1]["seq"]);
}

#[tokio::test]
async fn another_epoch_or_a_position_beyond_the_head_is_a_reset() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let page = ana.events(&room, 0).await.1;
    let told = json!({"type": "reset", "room_id": room, "seq": page["seq"], "epoch": page["epoch"]});
    let (_, missed) = ana.resumes(&room, 99).await;
    assert_eq!(missed, [told.clone()]);
    let epoch = Uuid::new_v4().to_string();
    let mut socket = ana.room_socket(&room).since(0).with("epoch", &epoch).opens().await.expect("a socket");
    socket.next_is("connection_established").await;
    assert_eq!(socket.next().await, told);
    let epoch = page["epoch"].as_str().expect("an epoch");
    let mut socket = ana.room_socket(&room).since(0).with("epoch", epoch).opens().await.expect("a socket");
    socket.next_is("connection_established").await;
    socket.next_is("room_updated").await;
}

#[tokio::test]
async fn a_thousand_missed_events_are_replayed_and_more_are_a_reset() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut a = ana.joins(&room).await;
    for n in 0..999 {
        a.says(&"long enough to fill more than one page of a replay ".repeat(1 + n % 7)).await;
        a.receives("chat_message").await;
    }
    let (mut b, missed) = ana.resumes(&room, 1).await;
    let seqs: Vec<i64> = missed.iter().map(|frame| frame["seq"].as_i64().expect("a position")).collect();
    let all: Vec<i64> = (2..=1_001).chain([1_001]).collect();
    assert_eq!(seqs, all);
    b.says("live again").await;
    b.sees("live again").await;
    let (_, missed) = ana.resumes(&room, 1).await;
    assert_eq!(kinds(&missed), ["reset"]);
}

#[tokio::test]
async fn hundreds_of_reconnects_share_reads_of_the_log() {
    let mut server = Node::start(&[("RATE_LIMITS", "off"), ("MAX_SOCKETS_PER_USER", "1000")]).await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut a = ana.joins(&room).await;
    for n in 0..200 {
        a.says(&format!("n{n}")).await;
        a.sees(&format!("n{n}")).await;
    }
    // A fresh process has nothing in memory that it could answer from.
    server.kill();
    server.start_process();
    let back = futures_util::future::join_all((0..400).map(|_| ana.resumes(&room, 2))).await;
    for (_, missed) in &back {
        let seqs: Vec<i64> = missed.iter().filter_map(|frame| frame["seq"].as_i64()).collect();
        assert_eq!(seqs, (3..=202).chain([202]).collect::<Vec<_>>());
    }
    let reads = server.metric("chat_replay_reads_total").await.unwrap_or(0);
    assert!((1..=20).contains(&reads), "{reads} reads for {} who came back", back.len());
}
