//! A server that exits, or an actor that panics, at a failpoint; only in builds with `failpoints`.

use std::time::Duration;

use crate::node::Node;
use crate::rabbitmq::RabbitMq;
use crate::runs::{SETTINGS, SMALL, seed};
use crate::storm::Storm;

/// The passing at which a failpoint triggers, after the users and rooms were created.
const TIMES: usize = 150;
const DEATHS: usize = 3;

/// Lets a server exit at a failpoint several times, and checks that nothing was lost or duplicated.
async fn dies_at(point: &str, more: &[(&str, &str)]) {
    let mut server = Node::start(&[&SETTINGS[..], more].concat()).await;
    let storm = Storm::start(&server, SMALL, seed()).await;
    tokio::task::block_in_place(|| {
        server.stop();
        server.configure("FAILPOINT", &format!("{point}:{TIMES}"));
        for _ in 0..DEATHS {
            server.start_process();
            let ended = server.wait_for_exit();
            assert!(!ended.success(), "it ended by itself: {ended}");
        }
        server.configure("FAILPOINT", "session:0");
        server.start_process();
    });
    storm.finish(&server, &format!("{DEATHS} deaths at {point}")).await;
}

/// Lets an actor panic, and checks that no other actor was affected.
async fn panics_in(point: &str) {
    let failpoint = format!("{point}:{TIMES}");
    let server = Node::start(&[&SETTINGS[..], &[("FAILPOINT", &failpoint)]].concat()).await;
    let pid = server.pid();
    let storm = Storm::start(&server, SMALL, seed()).await;
    let panicked = async {
        while !server.log().contains("a failpoint in an actor") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), panicked).await.expect("a panic");
    storm.finish(&server, &format!("a panic in a {point}")).await;
    assert_eq!(std::fs::metadata(format!("/proc/{pid}")).map(|it| it.is_dir()).ok(), Some(true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exits_before_the_commit_store_nothing_twice() {
    dies_at("committing", &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exits_between_commit_and_ack_lose_and_duplicate_nothing() {
    dies_at("committed", &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exits_between_ack_and_publish_lose_and_duplicate_nothing() {
    let broker = tokio::task::block_in_place(RabbitMq::start);
    dies_at("publishing", &[("AMQP_URL", &broker.url())]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_in_a_room_affects_only_the_room_and_loses_nothing() {
    panics_in("room").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_in_a_session_affects_only_the_session_and_loses_nothing() {
    panics_in("session").await;
}
