//! How a client that stops reading affects the others. Only printed, because a busy machine has a larger
//! effect.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::node::Node;
use crate::socket::Socket;
use crate::users::TestUser;

/// Sends messages one after the other and returns the latency until the others have received them: the median
/// and the 99th percentile.
async fn latency(a: &mut Socket, others: &mut [Socket], text: &str, count: usize) -> (Duration, Duration) {
    let mut times = Vec::with_capacity(count * others.len());
    for n in 0..count {
        let text = format!("{n} {text}");
        let since = Instant::now();
        a.says(&text).await;
        let seen = join_all(others.iter_mut().map(|socket| async {
            socket.sees(&text).await;
            since.elapsed()
        }));
        times.extend(seen.await);
        a.sees(&text).await;
    }
    times.sort();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn latency_with_a_stopped_reader_among_two_hundred() {
    let server = Node::start(&[("RATE_LIMITS", "off")]).await;
    let mut users = Vec::new();
    for _ in 0..200 {
        users.push(server.user("p").await);
    }
    let room = users[0].makes_group(&users[1..].iter().collect::<Vec<&TestUser>>()).await;
    let mut a = users[0].joins(&room).await;
    let mut others = Vec::new();
    for user in &users[1..199] {
        others.push(user.joins(&room).await);
    }
    let text = "z".repeat(3_900);
    latency(&mut a, &mut others, &text, 10).await;
    let without = latency(&mut a, &mut others, &text, 100).await;
    // It never reads: its data fills the buffers of the kernel and then its outbox, and then it is closed.
    let stopped = users[199].joins(&room).await;
    let with = latency(&mut a, &mut others, &text, 400).await;
    println!("room of 200: p50, p99 without a stopped reader {without:?}, with one {with:?}");
    drop(stopped);
}
