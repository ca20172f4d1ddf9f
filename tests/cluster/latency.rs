//! How much later a message arrives on another node than on its own. Only printed, because the machine has
//! other things to do.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::{
    client::{Socket, SocketEvent},
    cluster::{report, shared},
    workload::quantile,
};

/// Sockets that share the sending, because one alone is refused when it is too far ahead of its answers.
const SENDERS: usize = 4;

/// Notes when each of `count` messages arrives, whose texts are their numbers. Those that a busy machine
/// refused never do.
async fn arrivals(mut socket: Socket, count: usize) -> Vec<Option<Instant>> {
    let mut at = vec![None; count];
    let mut left = count;
    while left > 0 {
        let Ok(event) = timeout(Duration::from_secs(5), socket.next()).await else { break };
        let SocketEvent::Frame(frame) = event else { panic!("the socket ended") };
        let number = frame["message"]["content"].as_str().and_then(|text| text.parse::<usize>().ok());
        if let (Some(number), "chat_message") = (number, frame["type"].as_str().unwrap_or_default()) {
            at[number] = Some(Instant::now());
            left -= 1;
        }
    }
    at
}

async fn measure(rate: usize, seconds: usize) {
    let cluster = shared().await;
    let ann = cluster.user().await;
    let room = cluster.room(&[&ann]).await;
    let count = rate * seconds;
    let here = tokio::spawn(arrivals(cluster.room_socket(0, &ann, &room).await, count));
    let there = tokio::spawn(arrivals(cluster.room_socket(1, &ann, &room).await, count));
    let mut senders = Vec::new();
    for _ in 0..SENDERS {
        // A socket that isn't subscribed to the room receives little, so nobody needs to read it.
        senders.push(cluster.user_socket(0, &ann).await);
    }
    let mut beats = interval(Duration::from_secs(1) / u32::try_from(rate).unwrap());
    beats.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut sent = Vec::with_capacity(count);
    for number in 0..count {
        beats.tick().await;
        sent.push(Instant::now());
        let sender = &mut senders[number % SENDERS];
        assert!(
            sender
                .send(&json!({"type": "chat_message", "room_id": room, "message": number.to_string()}))
                .await
        );
    }
    let mut line = format!("{rate} messages/s for {seconds} s:");
    for (place, at) in [("own node", here.await.unwrap()), ("other node", there.await.unwrap())] {
        let mut took: Vec<Duration> =
            at.iter().zip(&sent).filter_map(|(at, sent)| Some((*at)? - *sent)).collect();
        let refused = count - took.len();
        let (p50, p99) = (quantile(&mut took, 0.5), quantile(&mut took, 0.99));
        line += &format!(" {place} p50 {p50:.2?} p99 {p99:.2?}, {refused} refused;");
    }
    report(&line);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_arrive_on_another_node_little_later() {
    measure(100, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "for figures, on a quiet machine"]
async fn latency_to_another_node_under_load() {
    measure(100, 10).await;
    measure(1_000, 10).await;
}
