//! A clock that jumps by hours, forward and back: order, resuming, typing and presence don't depend on it.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::node::Node;
use crate::users::token;

/// The library that changes a program's clock, except for the monotonic one.
fn faketime() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    folders
        .map(|folder| folder.path().join("faketime/libfaketime.so.1"))
        .find(|library| library.exists())
        .expect("libfaketime: apt-get install libfaketime")
}

#[tokio::test]
async fn a_clock_jump_affects_only_the_age_of_tokens() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = folder.path().join("clock");
    let jump = |to: &str| std::fs::write(&clock, to).expect("a file to write");
    jump("+0");
    let server = Node::start(&[
        ("LD_PRELOAD", faketime().to_str().expect("a path")),
        ("FAKETIME_TIMESTAMP_FILE", clock.to_str().expect("a path")),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("RATE_LIMITS", "off"),
    ])
    .await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut a = ana.joins(&room).await;
    let mut b = ben.joins(&room).await;
    a.receives("presence").await;
    let mut heard: Vec<Value> = Vec::new();
    for (n, to) in ["+2h", "-3d", "+40d", "-40d", "+0"].into_iter().enumerate() {
        a.sends(json!({"type": "typing", "is_typing": true})).await;
        assert_eq!(b.next_is("typing").await["is_typing"], true);
        jump(to);
        let text = format!("after a jump of {to}");
        let client_id = a.says_with_client_id(&text).await;
        assert_eq!(a.receives("ack").await["client_id"], client_id);
        a.sees(&text).await;
        // The message ends the typing; with a clock that had jumped it would have ended before.
        let told = [b.next().await, b.next().await];
        let kinds = [&told[0]["type"], &told[1]["type"]];
        assert!(kinds.contains(&&json!("typing")) && kinds.contains(&&json!("chat_message")), "{told:?}");
        let message = told.into_iter().find(|frame| frame["type"] == "chat_message").expect("a message");
        let at: DateTime<Utc> = message["message"]["created_at"].as_str().unwrap().parse().unwrap();
        assert!((Utc::now() - at).num_seconds().abs() < 60, "{n}: {at} is not the database's time");
        heard.push(message);
        b.receives_nothing().await;
    }
    let seqs: Vec<i64> = heard.iter().filter_map(|frame| frame["seq"].as_i64()).collect();
    assert!(seqs.windows(2).all(|pair| pair[0] < pair[1]), "{seqs:?}");
    // A user who joined last has received everything, as has one who resumes.
    jump("-3d");
    let years = json!({"user_id": ben.id, "iat": 1, "exp": 4_000_000_000_i64});
    let (_, missed) = ben.with_token(token(years)).resumes(&room, seqs[0] - 1).await;
    let missed = missed.iter().filter(|frame| frame["type"] == "chat_message");
    let missed: Vec<i64> = missed.filter_map(|frame| frame["seq"].as_i64()).collect();
    assert_eq!(missed, seqs);
    b.closes().await;
    assert_eq!(a.receives("presence").await["status"], "offline");
}
