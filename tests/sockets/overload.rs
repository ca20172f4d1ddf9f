//! More than there is room for.

use std::collections::BTreeSet;

use serde_json::Value;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

use crate::shared;

/// Sends of one socket that may wait for their answers.
const PENDING_MAX: usize = 128;

/// Holds the room's row: nothing is committed there and every send waits, until it is rolled back.
async fn holds(database: &str, room: &str) -> Client {
    let (holder, connection) = tokio_postgres::connect(database, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    holder.batch_execute("BEGIN").await.expect("a transaction");
    let id: Uuid = room.parse().expect("an id");
    holder.execute("SELECT FROM rooms WHERE id = $1 FOR UPDATE", &[&id]).await.expect("the room's row");
    holder
}

#[tokio::test]
async fn what_is_more_than_fits_is_overloaded_and_not_stored() {
    let server = shared().await;
    let ana = server.person("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut a = ana.enters(&room).await;
    let holder = holds(&server.database, &room).await;
    let mut waiting = BTreeSet::new();
    for n in 0..PENDING_MAX + 60 {
        waiting.insert(a.says_surely(&format!("n{n}")).await);
    }
    for _ in 0..60 {
        let error = a.is_told("overloaded").await;
        assert!(error["retry_after"].as_f64().is_some_and(|seconds| seconds > 0.0), "{error}");
        assert!(waiting.remove(error["client_id"].as_str().expect("whose")), "{error}");
    }
    holder.batch_execute("ROLLBACK").await.expect("the end of the transaction");
    for _ in 0..PENDING_MAX {
        let ack = a.hears("ack").await;
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
async fn those_who_were_refused_and_are_silent_keep_nobody_waiting() {
    let server = shared().await;
    let ana = server.person("ana").await;
    let room = ana.makes_group(&[]).await;
    let holder = holds(&server.database, &room).await;
    let mut sockets = Vec::new();
    // More than are read at a time.
    for _ in 0..6 {
        let mut socket = ana.enters(&room).await;
        for n in 0..=PENDING_MAX {
            socket.says_surely(&format!("n{n}")).await;
        }
        socket.is_told("overloaded").await;
        // One more, so that the pause is known when it is read.
        socket.says_surely("more").await;
        socket.is_told("overloaded").await;
        sockets.push(socket);
    }
    holder.batch_execute("ROLLBACK").await.expect("the end of the transaction");
    for socket in sockets.iter_mut().rev() {
        // Read again, and answered; what waits may take a while to be stored.
        loop {
            let client_id = socket.says_surely("again").await;
            let answer = socket.answer_to(&client_id).await;
            if answer["type"] == "ack" {
                break;
            }
            assert_eq!(answer["code"], "overloaded", "{answer}");
        }
    }
}
