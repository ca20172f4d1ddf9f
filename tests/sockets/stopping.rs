//! Orderly and other stops.

use std::time::{Duration, Instant};

use aristay_chat::store::postgres::private::PrivatePostgres;
use serde_json::json;
use tokio_postgres::NoTls;

use crate::node::Node;

#[tokio::test]
async fn a_stop_tells_clients_when_to_reconnect_and_loses_nothing() {
    let mut server = Node::start(&[("RATE_LIMITS", "off")]).await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut a = ana.joins(&room).await;
    let mut b = ben.joins(&room).await;
    let (mut list, _) = ben.opens_user_socket().await;
    for n in 0..200 {
        a.says_with_client_id(&format!("n{n}")).await;
    }
    server.send_sigterm();
    let (heard, code) = a.receives_until_closed().await;
    assert_eq!(code, 1012);
    let acked = heard.iter().filter(|frame| frame["type"] == "ack").count();
    let refused = heard.iter().filter(|frame| frame["type"] == "error").count();
    assert!(heard.iter().any(|frame| frame["type"] == "going_away" && frame["retry_after"].is_number()));
    for socket in [&mut b, &mut list] {
        let (heard, code) = socket.receives_until_closed().await;
        assert_eq!(code, 1012);
        assert!(heard.iter().any(|frame| frame["type"] == "going_away"), "{heard:?}");
    }
    assert_eq!(server.wait_for_exit().code(), Some(0), "{}", server.log());

    let since = Instant::now();
    server.start_process();
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    let stored = ana.events(&room, 3).await.1["events"].as_array().expect("events").len();
    assert!(stored >= acked && stored + refused <= 200, "{acked} acked, {refused} refused, {stored} stored");
}

#[tokio::test]
async fn a_killed_server_loses_nothing_acknowledged() {
    let mut server = Node::start(&[("RATE_LIMITS", "off")]).await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut a = ana.joins(&room).await;
    let mut sent = Vec::new();
    for n in 0..50 {
        sent.push(a.says_with_client_id(&format!("n{n}")).await);
    }
    for _ in 0..10 {
        a.receives("ack").await;
    }
    server.kill();
    let (heard, code) = a.receives_until_closed().await;
    assert_eq!(code, 1006);
    let acked = 10 + heard.iter().filter(|frame| frame["type"] == "ack").count();
    server.start_process();
    let mut a = ana.joins(&room).await;
    for (n, client_id) in sent.iter().enumerate() {
        a.sends(json!({"type": "chat_message", "message": format!("n{n}"), "client_id": client_id})).await;
        let ack = a.receives("ack").await;
        assert!(n >= acked || ack["duplicate"] == true, "{n} of {acked}: {ack}");
    }
    let page = ana.events(&room, 2).await.1;
    let stored: Vec<&serde_json::Value> = page["events"]
        .as_array()
        .expect("events")
        .iter()
        .map(|event| &event["message"]["client_id"])
        .collect();
    assert_eq!(json!(stored), json!(sent), "each once and in its order");
}

#[tokio::test]
async fn while_postgres_is_down_sockets_stay_and_sends_are_refused_in_time() {
    let postgres = PrivatePostgres::temporary().await.expect("a PostgreSQL of its own");
    let server = Node::start_on(&postgres, &[("RATE_LIMITS", "off")]).await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut a = ana.joins(&room).await;
    let mut b = ben.joins(&room).await;
    a.receives("presence").await;
    // Its end makes a row of an inbox stale while nobody can read it.
    let (mut list, _) = ben.opens_user_socket().await;
    let mute = format!("participants/{}/mute/", ana.participant_id(&ben, &room).await);
    let until = (chrono::Utc::now() + Duration::from_secs(2)).to_rfc3339();
    ben.posts(&mute, json!({"muted": true, "muted_until": until})).await;
    list.next_is("inbox").await;
    postgres.keep_down();
    is_down(&postgres).await;
    b.sends(json!({"type": "typing", "is_typing": true})).await;
    assert_eq!(a.next_is("typing").await["user_id"], ben.id);
    // If the connection breaks, it may remain unknown whether the commit arrived.
    a.says("into the void").await;
    let error = a.receives("error").await;
    assert!(error["code"] == "unavailable" || error["code"] == "unknown_outcome", "{error}");
    let since = Instant::now();
    let client_id = a.says_with_client_id("into the void").await;
    let error = a.receives("error").await;
    assert_eq!(error["client_id"], client_id);
    assert_eq!(error["code"], "unavailable", "{error}");
    assert!(since.elapsed() < Duration::from_secs(7), "{:?}", since.elapsed());
    let tries = server.log().matches("could not refresh an inbox").count();
    assert!((1..20).contains(&tries), "{tries} tries in {:?}", since.elapsed());
    assert_eq!(
        server.log().matches("the store is unavailable; commands are retried").count(),
        1,
        "told once"
    );
    postgres.bring_up();
    postgres.ready().await.expect("a PostgreSQL that is back");
    let since = Instant::now();
    loop {
        let client_id = a.says_with_client_id("back").await;
        let answer = a.answer_to(&client_id).await;
        if answer["type"] == "ack" {
            break;
        }
        assert!(since.elapsed() < Duration::from_secs(5), "{answer}");
    }
    b.sees("back").await;
    list.receives("inbox").await;
    let log = ana.events(&room, 1).await.1.to_string();
    assert!(!log.contains("into the void"), "what was refused came later: {log}");
}

/// Waits until PostgreSQL no longer answers; until then a send may still be stored.
async fn is_down(postgres: &PrivatePostgres) {
    let since = Instant::now();
    while postgres.config().connect(NoTls).await.is_ok() {
        assert!(since.elapsed() < Duration::from_secs(10), "PostgreSQL goes on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
