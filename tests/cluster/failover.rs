//! A standby without the end of the log takes over: a real primary, a real standby, and a promotion.

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tokio_postgres::Client;

use crate::client::{SOON, Socket, SocketEvent};
use crate::cluster::{Cluster, User, broker};
use crate::postgres::{Server, postgres_program, run};
use crate::proxy::{Mode, Proxy};

/// A primary, and a standby that replicates asynchronously.
async fn pair(folder: &Path) -> (Server, Server) {
    let (mut primary, mut standby) = (Server::created(folder, "primary"), Server::new(folder, "standby"));
    primary.start();
    primary.client().await;
    let (port, data) = (primary.port.to_string(), standby.folder.to_string_lossy().into_owned());
    run(postgres_program("pg_basebackup").args([
        "-h",
        "127.0.0.1",
        "-p",
        &port,
        "-U",
        "aristay",
        "-D",
        &data,
        "-R",
        "-c",
        "fast",
    ]));
    standby.start();
    (primary, standby)
}

/// Waits until a query returns true.
async fn until(client: &Client, question: &str) {
    let begin = Instant::now();
    while !client.query_one(question, &[]).await.unwrap().get::<_, bool>(0) {
        assert!(begin.elapsed() < SOON, "never: {question}");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn post(cluster: &Cluster, node: usize, user: &User, room: &str, text: &str) -> (StatusCode, Value) {
    let body = json!({"room": room, "content": text});
    cluster.call(node, Method::POST, "/api/chat/messages/", &user.token, Some(body)).await
}

/// The frames of a socket before its reset, and the reset.
async fn until_reset(socket: &mut Socket) -> (Vec<Value>, Value) {
    let mut before = Vec::new();
    let reset = async {
        loop {
            match socket.next().await {
                SocketEvent::Frame(frame) if frame["type"] == "reset" => return frame,
                SocketEvent::Frame(frame) => before.push(frame),
                end => panic!("no reset but {end:?}"),
            }
        }
    };
    let reset = timeout(SOON, reset).await.expect("a reset");
    (before, reset)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_without_the_end_of_the_log_starts_a_new_history() {
    let broker = broker().await;
    let folder = tempfile::Builder::new().prefix("failover").tempdir_in("/tmp").unwrap();
    let (mut primary, standby) = pair(folder.path()).await;
    let proxy = Proxy::start(vec![primary.address()]).await;
    let url = format!("postgres://aristay@127.0.0.1:{}/postgres", proxy.port());
    let mut cluster = Cluster::start(2, &url, &broker.url()).await;
    let (ann, bob) = (cluster.user().await, cluster.user().await);
    let room = cluster.room(&[&ann, &bob]).await;
    for text in ["one", "two"] {
        assert_eq!(post(&cluster, 0, &ann, &room, text).await.0, StatusCode::CREATED);
    }
    let (at_primary, at_standby) = (primary.client().await, standby.client().await);
    until(
        &at_primary,
        "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_lsn())",
    )
    .await;
    // From here on the standby receives nothing.
    at_standby.batch_execute("ALTER SYSTEM SET primary_conninfo = ''").await.unwrap();
    at_standby.query_one("SELECT pg_reload_conf()", &[]).await.unwrap();
    until(&at_standby, "SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver)").await;

    let mut in_room = cluster.room_socket(1, &bob, &room).await;
    let mut subscribed = cluster.user_socket(1, &ann).await;
    assert!(subscribed.send(&json!({"type": "subscribe", "room_id": room})).await);
    let epoch = subscribed.sees("subscribed").await["epoch"].clone();
    let mut lost = 0;
    for text in ["three", "four", "five", "six"] {
        let (status, message) = post(&cluster, 0, &ann, &room, text).await;
        assert_eq!(status, StatusCode::CREATED);
        lost = message["seq"].as_i64().unwrap();
        in_room.hears(text).await;
        subscribed.hears(text).await;
    }

    primary.kill();
    at_standby.query_one("SELECT pg_promote()", &[]).await.unwrap();
    proxy.route_to(vec![standby.address()]);
    proxy.set(Mode::Cut);
    proxy.set(Mode::Pass);

    // Node 0 writes into the new history before node 1 has heard of it.
    let begin = Instant::now();
    let after = loop {
        let (status, message) = post(&cluster, 0, &ann, &room, "after").await;
        if status == StatusCode::CREATED {
            break message;
        }
        assert!(status == StatusCode::SERVICE_UNAVAILABLE && begin.elapsed() < SOON, "{status} {message}");
        sleep(Duration::from_millis(100)).await;
    };
    assert!(after["seq"].as_i64().unwrap() < lost, "the new history ends before the old one: {after}");

    let (before, reset) = until_reset(&mut in_room).await;
    assert!(before.iter().all(|frame| frame["type"] != "chat_message"), "{before:?}");
    assert_ne!(reset["epoch"], epoch);
    // An inbox can't be reset; its socket is closed, and the client reconnects.
    assert_eq!(subscribed.ends().await, 1012);
    let (_, message) = post(&cluster, 1, &ann, &room, "and live again").await;
    let received = in_room.hears("and live again").await;
    assert_eq!(received["seq"], message["seq"]);

    let path = format!("/api/chat/rooms/{room}/events/?since=0");
    for node in [0, 1] {
        let (_, log) = cluster.call(node, Method::GET, &path, &bob.token, None).await;
        assert_eq!(log["epoch"], reset["epoch"], "node {node}");
        let seqs: Vec<i64> =
            log["events"].as_array().unwrap().iter().map(|event| event["seq"].as_i64().unwrap()).collect();
        assert_eq!(seqs, (1..=message["seq"].as_i64().unwrap()).collect::<Vec<_>>());
    }
    let path = format!("/ws/chat/{room}/?token={}&since={lost}&epoch={}", bob.token, epoch.as_str().unwrap());
    let mut back = Socket::open(cluster.nodes[0].port, &path).await.expect("let in");
    assert_eq!(until_reset(&mut back).await.1["epoch"], reset["epoch"]);
    for node in &mut cluster.nodes {
        assert!(node.is_ready().await, "{}", node.log_end());
    }
}
