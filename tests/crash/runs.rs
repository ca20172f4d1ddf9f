//! The storms: with clients that disconnect, with a server that is killed, with a PostgreSQL that is killed.

use std::process::Command;
use std::time::Duration;

use aristay_chat::store::postgres::private::PrivatePostgres;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::node::Node;
use crate::storm::{Random, Size, Storm};
use crate::users::{TestUser, token};

pub const SETTINGS: [(&str, &str); 1] = [("RATE_LIMITS", "off")];
const FULL: Size =
    Size { rooms: 20, users_per_room: 10, rate: 300.0, drops_every: Some(Duration::from_secs(1)) };
/// A load that a debug build on a busy machine can handle, including restarts.
pub const SMALL: Size =
    Size { rooms: 5, users_per_room: 6, rate: 60.0, drops_every: Some(Duration::from_secs(2)) };

fn is_long() -> bool {
    std::env::var("STORM").is_ok_and(|size| size == "long")
}

pub fn seed() -> u64 {
    let given = std::env::var("STORM_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| u64::from(std::process::id()));
    println!("STORM_SEED={seed}");
    seed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_keep_disconnecting_receive_exactly_the_log() {
    let server = Node::start(&SETTINGS).await;
    let storm = Storm::start(&server, FULL, seed()).await;
    tokio::time::sleep(Duration::from_secs(if is_long() { 60 } else { 8 })).await;
    storm.finish(&server, "drops").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_the_server_repeatedly_loses_and_duplicates_nothing() {
    let mut server = Node::start(&SETTINGS).await;
    let mut random = Random::new(seed());
    let (size, kills) = if is_long() { (FULL, 20) } else { (SMALL, 3) };
    let storm = Storm::start(&server, size, seed()).await;
    for _ in 0..kills {
        tokio::time::sleep(random.around(Duration::from_millis(1_500))).await;
        server.kill();
        tokio::task::block_in_place(|| server.start_process());
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    storm.finish(&server, &format!("{kills} kills of the server")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_postgres_repeatedly_loses_and_duplicates_nothing() {
    let postgres = PrivatePostgres::temporary().await.expect("a PostgreSQL of its own");
    let server = Node::start_on(&postgres, &SETTINGS).await;
    let mut random = Random::new(seed());
    let (size, kills) = if is_long() { (FULL, 10) } else { (SMALL, 2) };
    let storm = Storm::start(&server, size, seed()).await;
    for _ in 0..kills {
        tokio::time::sleep(random.around(Duration::from_millis(1_500))).await;
        let pid = postgres.postmaster_pid().expect("a postmaster");
        let killed = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
        assert!(killed.expect("kill").success());
        while postgres.postmaster_pid() == Some(pid) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        postgres.ready().await.expect("a PostgreSQL that comes back");
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    storm.finish(&server, &format!("{kills} kills of PostgreSQL")).await;
}

#[tokio::test]
async fn a_hundred_tasks_opened_twice_at_once_are_a_hundred_rooms() {
    let server = Node::start(&SETTINGS).await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let open = async |user: &TestUser, task: i64| {
        let says = json!({"user_id": user.id, "grant": format!("task:{task}")});
        let granted = user.with_token(token(says));
        let path = format!("tasks/{task}/room/");
        let title = json!({"title": format!("Task {task}")});
        let mut answer = granted.requests(Method::PUT, &path, Some(title.clone())).await;
        // An overloaded database answers 503, and then nothing was stored.
        for _ in 0..20 {
            if answer.0 != StatusCode::SERVICE_UNAVAILABLE {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            answer = granted.requests(Method::PUT, &path, Some(title.clone())).await;
        }
        let (status, body) = answer;
        let room: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        assert!(status.is_success(), "task {task}: {status} {body}");
        (status.as_u16(), room["id"].as_str().expect("a room").to_owned())
    };
    let pairs = (1..=100).map(|task| {
        let (ana, ben, open) = (&ana, &ben, &open);
        async move { futures_util::join!(open(ana, task), open(ben, task)) }
    });
    let opened = futures_util::future::join_all(pairs).await;
    let mut rooms = std::collections::BTreeSet::new();
    for ((first, room), (second, same)) in opened {
        assert_eq!(room, same);
        assert!([(200, 201), (201, 200)].contains(&(first, second)), "{first} and {second}");
        rooms.insert(room);
    }
    assert_eq!(rooms.len(), 100);
    for room in rooms {
        let full = ana.gets(&format!("rooms/{room}/")).await;
        assert_eq!(full["participant_count"], 2);
    }
}
