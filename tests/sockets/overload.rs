//! More commands than the server can hold.

use std::collections::BTreeSet;

use serde_json::Value;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

use crate::shared;

/// Unanswered sends of one socket.
const PENDING_MAX: usize = 128;

/// Locks the room's row: every send waits and nothing is committed until the transaction is rolled back.
async fn holds(database: &str, room: &str) -> Client {
    let (holder, connection) = tokio_postgres::connect(database, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    holder.batch_execute("BEGIN").await.expect("a transaction");
    let id: Uuid = room.parse().expect("an id");
    holder.execute("SELECT FROM rooms WHERE id = $1 FOR UPDATE", &[&id]).await.expect("the room's row");
    holder
}

#[tokio::test]
async fn sends_beyond_capacity_are_overloaded_and_not_stored() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut a = ana.joins(&room).await;
    let holder = holds(&server.database, &room).await;
    let mut waiting = BTreeSet::new();
    for n in 0..PENDING_MAX + 60 {
        waiting.insert(a.says_with_client_id(&format!("n{n}")).await);
    }
    for _ in 0..60 {
        let error = a.receives_error("overloaded").await;
        assert!(error["retry_after"].as_f64().is_some_and(|seconds| seconds > 0.0), "{error}");
        assert!(waiting.remove(error["client_id"].as_str().expect("whose")), "{error}");
    }
    holder.batch_execute("ROLLBACK").await.expect("the end of the transaction");
    for _ in 0..PENDING_MAX {
        let ack = a.receives("ack").await;
        assert!(waiting.contains(ack["client_id"].as_str().expect("whose")), "{ack}");
    }
    let log = ana.events(&room, 0).await.1;
    let named = |event: &Value| event["message"]["client_id"].as_str().map(str::to_owned);
    let stored: BTreeSet<String> =
        log["events"].as_array().expect("events").iter().filter_map(named).collect();
    assert_eq!(stored, waiting, "what was refused is not stored, and all else is");
    // There is room again.
    a.says("again").await;
    a.sees("again").await;
}

#[tokio::test]
async fn silent_overloaded_clients_keep_nobody_waiting() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let holder = holds(&server.database, &room).await;
    let mut sockets = Vec::new();
    // More than are read at a time.
    for _ in 0..6 {
        let mut socket = ana.joins(&room).await;
        for n in 0..=PENDING_MAX {
            socket.says_with_client_id(&format!("n{n}")).await;
        }
        socket.receives_error("overloaded").await;
        // One more, so that the pause applies when it is read.
        socket.says_with_client_id("more").await;
        socket.receives_error("overloaded").await;
        sockets.push(socket);
    }
    holder.batch_execute("ROLLBACK").await.expect("the end of the transaction");
    for socket in sockets.iter_mut().rev() {
        // Read again, and answered; it may take a while until everything is stored.
        loop {
            let client_id = socket.says_with_client_id("again").await;
            let answer = socket.answer_to(&client_id).await;
            if answer["type"] == "ack" {
                break;
            }
            assert_eq!(answer["code"], "overloaded", "{answer}");
        }
    }
}
