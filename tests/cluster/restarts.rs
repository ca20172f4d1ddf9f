//! Rolling restarts, a load balancer, and node names in use.

use std::time::{Duration, Instant};

use aristay_chat::store::postgres::private::PrivatePostgres;

use crate::{
    checker::violations,
    client::Socket,
    cluster::{Cluster, broker, database, report},
    proxy::{Mode, Proxy},
    workload::{Workload, quantile},
};

async fn rolling(rounds: usize) {
    let broker = broker().await;
    let postgres = PrivatePostgres::shared().await.unwrap();
    let mut cluster = Cluster::start(3, &database(postgres).await, &broker.url()).await;
    let workload = Workload::start(&cluster, 12, 3, 60.0).await;
    let (mut longest, mut slowest) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..rounds {
        for node in &mut cluster.nodes {
            let begin = Instant::now();
            let status = node.stop().await;
            slowest = slowest.max(begin.elapsed());
            assert!(status.success(), "{} dropped something: {status}\n{}", node.name, node.log_end());
            node.start();
            longest = longest.max(node.ready().await);
        }
    }
    let (history, mut stats, converged) = workload.finish(&cluster, Duration::from_secs(10)).await;
    let wrong = violations(&history);
    report(&format!(
        "rolling restart, {rounds} rounds of 3 nodes: {} acked, {} going_away, {} connects, {} removals, \
         ack p99 {:?}, stopped within {slowest:?}, ready within {longest:?}, converged after {converged:?}, violations {}",
        history.acked.len(),
        stats.going_away,
        stats.connects,
        stats.removals,
        quantile(&mut stats.acks, 0.99),
        wrong.len(),
    ));
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(stats.going_away > 0 && stats.resets == 0, "{stats:?}");
    assert!(longest < Duration::from_secs(5), "{longest:?}");
    assert!(slowest < Duration::from_secs(30), "{slowest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_loses_nothing() {
    rolling(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "some minutes"]
async fn five_rolling_restarts_lose_nothing() {
    rolling(5).await;
}

/// What a client behind a load balancer sees when its node stops: it reconnects to the same address.
#[tokio::test]
async fn behind_a_load_balancer_a_client_reconnects_to_another_node() {
    let broker = broker().await;
    let postgres = PrivatePostgres::shared().await.unwrap();
    let mut cluster = Cluster::start(2, &database(postgres).await, &broker.url()).await;
    let balancer = Proxy::start(cluster.nodes.iter().map(crate::cluster::Node::address).collect()).await;
    let ann = cluster.user().await;
    let room = cluster.room(&[&ann]).await;
    let path = |since: i64| format!("/ws/chat/{room}/?token={}&since={since}", ann.token);
    let mut seen = 0;
    for killed in 0..2 {
        let mut socket = Socket::open(balancer.port(), &path(seen)).await.expect("let in");
        socket.sees("synced").await;
        (seen, _) = socket.says("still here").await;
        cluster.nodes[killed].kill();
        let mut again = Socket::open(balancer.port(), &path(seen - 1)).await.expect("let in again");
        again.hears("still here").await;
        cluster.nodes[killed].start();
        cluster.nodes[killed].ready().await;
    }
    balancer.set(Mode::Cut);
}

#[tokio::test]
async fn a_node_name_in_use_is_refused_and_free_after_a_kill() {
    let broker = broker().await;
    let postgres = PrivatePostgres::shared().await.unwrap();
    let mut cluster = Cluster::prepare(2, &database(postgres).await, &broker.url());
    let [first, second] = &mut cluster.nodes[..] else { unreachable!() };
    second.set("NODE_ID", "node1");
    first.start();
    first.ready().await;
    second.start();
    let status = second.ended().await;
    assert!(!status.success());
    assert!(second.log_end().contains("node1"), "{}", second.log_end());
    first.kill();
    first.start();
    assert!(first.ready().await < Duration::from_secs(5));
}
