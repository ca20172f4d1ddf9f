//! What holds for every broker adapter.

use std::time::Duration;

use actors::{
    memory::broker::Hub,
    ports::broker::{BrokerEvent, Topic},
};

use crate::world::{Node, broker, topics};

const ROOM: Topic = Topic::Room(7);
const OTHER_ROOM: Topic = Topic::Room(8);
const USER: Topic = Topic::User(7);

/// Runs each case with three nodes: one without topics, one that listens to a room, and one that listens to
/// that room and more.
macro_rules! on_both {
    ($($case:ident),* $(,)?) => {$(
        mod $case {
            use super::*;

            #[tokio::test]
            async fn in_memory() {
                let hub = Hub::new(1);
                let mut nodes = [
                    Node::on(hub.broker(), &[]).await,
                    Node::on(hub.broker(), &[ROOM]).await,
                    Node::on(hub.broker(), &[ROOM, USER, Topic::Nodes]).await,
                ];
                for node in &mut nodes {
                    node.sees(&BrokerEvent::Up).await;
                }
                super::$case(nodes).await;
            }

            #[tokio::test]
            async fn over_rabbitmq() {
                let broker = broker().await;
                let nodes = [
                    Node::at(&broker.url(), &[]).await,
                    Node::at(&broker.url(), &[ROOM]).await,
                    Node::at(&broker.url(), &[ROOM, USER, Topic::Nodes]).await,
                ];
                super::$case(nodes).await;
            }
        }
    )*};
}

on_both!(
    an_envelope_reaches_all_listeners_of_its_topic,
    an_envelope_with_several_topics_arrives_once,
    envelopes_of_one_node_keep_their_order,
    listening_replaces_the_previous_topics,
    a_large_envelope_arrives_complete,
    a_stopped_broker_sends_its_queue_and_receives_nothing_more,
);

async fn an_envelope_reaches_all_listeners_of_its_topic([a, mut b, mut c]: [Node; 3]) {
    a.says(&[USER], "to c");
    a.says(&[ROOM], "to both");
    a.says(&[OTHER_ROOM], "to nobody");
    a.says(&[Topic::Nodes], "to c again");
    a.says(&[ROOM], "end");
    assert_eq!(b.hears_until("end").await, ["to both", "end"]);
    assert_eq!(c.hears_until("end").await, ["to c", "to both", "to c again", "end"]);
}

async fn an_envelope_with_several_topics_arrives_once([a, mut b, mut c]: [Node; 3]) {
    a.says(&[OTHER_ROOM, ROOM, USER, Topic::Nodes], "once");
    a.says(&[ROOM], "end");
    assert_eq!(b.hears_until("end").await, ["once", "end"]);
    assert_eq!(c.hears_until("end").await, ["once", "end"]);
}

async fn envelopes_of_one_node_keep_their_order([a, mut b, _c]: [Node; 3]) {
    let texts: Vec<String> = (0..500).map(|n| format!("envelope {n}")).collect();
    for text in &texts {
        a.says(&[ROOM], text);
    }
    assert_eq!(b.hears_until("envelope 499").await, texts);
}

async fn listening_replaces_the_previous_topics([a, mut b, _c]: [Node; 3]) {
    b.link.listen(topics(&[OTHER_ROOM]));
    a.gets_through(&mut b, OTHER_ROOM, "the other room").await;
    // The old binding is removed a moment after the new one was added.
    tokio::time::sleep(Duration::from_millis(300)).await;
    a.says(&[ROOM], "no longer");
    a.says(&[OTHER_ROOM], "end");
    assert!(!b.hears_until("end").await.contains(&"no longer".to_owned()));
}

async fn a_large_envelope_arrives_complete([a, mut b, _c]: [Node; 3]) {
    let large = "x".repeat(3 << 20);
    a.says(&[ROOM], &large);
    b.hears(&large).await;
}

async fn a_stopped_broker_sends_its_queue_and_receives_nothing_more([a, mut b, mut c]: [Node; 3]) {
    a.says(&[ROOM], "last words");
    a.link.stop().await;
    b.hears("last words").await;
    b.link.stop().await;
    c.says(&[ROOM], "end");
    c.hears("end").await;
    while let Some(event) = b.incoming.recv().await {
        assert!(matches!(event, BrokerEvent::Up | BrokerEvent::Down), "{event:?}");
    }
}
