//! Presence while nodes start and stop.

use std::time::{Duration, Instant};

use aristay_chat::store::postgres::private::PrivatePostgres;
use serde_json::Value;

use crate::{
    client::SocketEvent,
    cluster::{Cluster, broker, database},
};

/// A node that has just started knows within 5 s who is online on the others. When a node dies its users go
/// offline within 30 s; when one stops in an orderly way, within a few seconds more than a reconnect takes.
#[tokio::test]
async fn presence_is_right_when_nodes_start_stop_or_die() {
    let broker = broker().await;
    let postgres = PrivatePostgres::shared().await.unwrap();
    let mut cluster = Cluster::start(2, &database(postgres).await, &broker.url()).await;
    let (ann, bob, cat) = (cluster.user().await, cluster.user().await, cluster.user().await);
    let room = cluster.room(&[&ann, &bob, &cat]).await;
    let mut anns = cluster.room_socket(0, &ann, &room).await;
    let is = |frame: &Value, id: i64, status: &str| frame["user_id"] == id && frame["status"] == status;

    let _bobs = cluster.room_socket(1, &bob, &room).await;
    anns.sees_where("presence", |frame| is(frame, bob.id, "online")).await;
    let begin = Instant::now();
    cluster.nodes[1].kill();
    while begin.elapsed() < Duration::from_secs(19) {
        let event =
            tokio::time::timeout(Duration::from_secs(19).saturating_sub(begin.elapsed()), anns.next());
        if let Ok(event) = event.await {
            assert!(matches!(&event, SocketEvent::Frame(frame) if frame["type"] != "presence"), "{event:?}");
        }
    }
    anns.sees_where("presence", |frame| is(frame, bob.id, "offline")).await;
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());

    cluster.nodes[1].start();
    cluster.nodes[1].ready().await;
    let begin = Instant::now();
    let mut cats = cluster.room_socket(1, &cat, &room).await;
    let state = cats.sees("presence_state").await;
    if !state["online"].as_array().unwrap().contains(&ann.id.into()) {
        cats.sees_where("presence", |frame| is(frame, ann.id, "online")).await;
    }
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());

    anns.sees_where("presence", |frame| is(frame, cat.id, "online")).await;
    let begin = Instant::now();
    assert!(cluster.nodes[1].stop().await.success());
    anns.sees_where("presence", |frame| is(frame, cat.id, "offline")).await;
    assert!(begin.elapsed() < Duration::from_secs(12), "{:?}", begin.elapsed());
}
