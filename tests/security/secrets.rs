//! A marked token and a marked text, which must not appear anywhere but where they belong.

use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{BasicConsumeOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties, ExchangeKind};
use reqwest::Method;
use serde_json::json;
use tokio::time::timeout;
use uuid::Uuid;

use crate::node::Node;
use crate::rabbitmq::RabbitMq;
use crate::users::token;

/// How long a message may take to the broker on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The exchange to which the nodes publish.
const EXCHANGE: &str = "chat.v1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn marked_tokens_and_texts_leak_nowhere() {
    let broker = tokio::task::block_in_place(RabbitMq::start);
    let server = Node::start(&[("AMQP_URL", &broker.url()), ("LOG", "trace")]).await;
    let connection = Connection::connect(&broker.url(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let all = FieldTable::default();
    // Declared like the nodes do, because no node may have done so yet.
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare(EXCHANGE.into(), ExchangeKind::Topic, durable, all.clone()).await.unwrap();
    channel.queue_declare("spy".into(), QueueDeclareOptions::default(), all.clone()).await.unwrap();
    let bound = QueueBindOptions::default();
    channel.queue_bind("spy".into(), EXCHANGE.into(), "#".into(), bound, all.clone()).await.unwrap();
    let consume = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let mut published = channel.basic_consume("spy".into(), "spy".into(), consume, all).await.unwrap();

    let text = format!("text-{}", Uuid::new_v4().simple());
    let ana = server.user("ana").await;
    let ana = ana.with_token(token(json!({"user_id": ana.id, "jti": Uuid::new_v4().to_string()})));
    let room = ana.makes_group(&[]).await;
    let mut a = ana.room_socket(&room).with_chat_v1().opens().await.expect("a socket");
    a.next_is("connection_established").await;
    let mut errors = Vec::new();
    a.says(&text).await;
    a.sees(&text).await;
    a.says(&format!("{text}\0")).await;
    errors.push(a.receives_error("invalid").await.to_string());
    a.sends(json!({"type": text, "token": ana.token})).await;
    errors.push(a.receives_error("bad_frame").await.to_string());
    a.sends(json!({"type": "read_receipt", "message_id": text})).await;
    errors.push(a.receives("error").await.to_string());
    let message = ana.posts_message(&room, &text).await;
    let too_long = text.repeat(200);
    let id = message["id"].as_str().unwrap();
    for (method, path, body) in [
        (Method::POST, "messages/".into(), Some(json!({"room": room, "content": too_long}))),
        (Method::POST, "messages/".into(), Some(json!({"room": text, "content": text}))),
        (Method::PATCH, format!("messages/{id}/"), Some(json!({"content": format!("{text}\0")}))),
        (Method::GET, format!("messages/search/?q={text}&room={text}&token={}", ana.token), None),
        (Method::GET, format!("{text}/?token={}", ana.token), None),
        (Method::DELETE, "messages/".into(), Some(json!({"content": text}))),
    ] {
        let (status, body) = ana.requests(method, &path, body).await;
        assert!(status.is_client_error(), "{path}: {status}");
        errors.push(body);
    }
    let bent = ana.with_token(format!("{}x", ana.token));
    errors.push(bent.requests(Method::GET, "rooms/", None).await.1);
    assert_eq!(bent.room_socket(&room).is_closed_with().await, 4401);
    ana.posts(&format!("rooms/{room}/archive/"), json!({})).await;
    a.receives("room_updated").await;
    // The node's heartbeats are a few bytes long and take the same way. Once some have arrived that were sent
    // afterwards, everything has arrived.
    let (mut payloads, mut heartbeats) = (Vec::new(), 0);
    while heartbeats < 4 || payloads.len() < 3 {
        let message = timeout(TIMEOUT, published.next()).await.expect("messages at the broker");
        let data = message.unwrap().unwrap().data;
        if data.len() > 100 {
            payloads.push(data);
            heartbeats = 0;
        } else {
            heartbeats += 1;
        }
    }

    let metrics = server.metrics().await;
    let log = server.log();
    assert!(metrics.contains("chat_") && log.len() > 1_000, "{metrics}{log}");
    let signature = ana.token.rsplit('.').next().unwrap();
    for secret in [text.as_str(), &ana.token, signature] {
        assert!(!log.contains(secret), "in the log: {secret}");
        assert!(!metrics.contains(secret), "in the metrics: {secret}");
        let error = errors.iter().find(|error| error.contains(secret));
        assert!(error.is_none(), "in an error: {error:?}");
        let is_published =
            payloads.iter().any(|data| data.windows(secret.len()).any(|part| part == secret.as_bytes()));
        assert!(!is_published, "at the broker: {secret}");
    }
}
