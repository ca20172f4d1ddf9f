//! What a reader that stopped costs the others: a figure to look at, for a busy machine moves it more.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::node::Node;
use crate::people::Person;
use crate::socket::Socket;

/// Sends messages one after the other, and tells after what time the slowest of all had each: median and
/// 99th of a hundred.
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
async fn a_reader_that_stops_in_a_room_of_two_hundred() {
    let server = Node::start(&[("RATE_LIMITS", "off")]).await;
    let mut people = Vec::new();
    for _ in 0..200 {
        people.push(server.person("p").await);
    }
    let room = people[0].makes_group(&people[1..].iter().collect::<Vec<&Person>>()).await;
    let mut a = people[0].enters(&room).await;
    let mut others = Vec::new();
    for person in &people[1..199] {
        others.push(person.enters(&room).await);
    }
    let text = "z".repeat(3_900);
    latency(&mut a, &mut others, &text, 10).await;
    let without = latency(&mut a, &mut others, &text, 100).await;
    // It never reads: what is for it fills the kernel's buffers, then its outbox, and then it is closed.
    let stopped = people[199].enters(&room).await;
    let with = latency(&mut a, &mut others, &text, 400).await;
    println!("room of 200: p50, p99 without a stopped reader {without:?}, with one {with:?}");
    drop(stopped);
}
