//! What both links do alike.

use std::time::Duration;

use actors::{
    memory::link::Hub,
    ports::link::{Incoming, Topic},
};

use crate::world::{Node, broker, topics};

const ROOM: Topic = Topic::Room(7);
const OTHER_ROOM: Topic = Topic::Room(8);
const USER: Topic = Topic::User(7);

/// Runs each case with three nodes: one that listens to nothing, one to a room, one to that and more.
macro_rules! on_both {
    ($($case:ident),* $(,)?) => {$(
        mod $case {
            use super::*;

            #[tokio::test]
            async fn in_memory() {
                let hub = Hub::new(1);
                let mut nodes = [
                    Node::on(hub.link(), &[]).await,
                    Node::on(hub.link(), &[ROOM]).await,
                    Node::on(hub.link(), &[ROOM, USER, Topic::Nodes]).await,
                ];
                for node in &mut nodes {
                    node.sees(&Incoming::Up).await;
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
    an_envelope_reaches_all_who_listen_to_its_topic,
    an_envelope_of_many_topics_comes_once,
    envelopes_of_one_node_keep_their_order,
    listening_replaces_what_was_listened_to,
    a_large_envelope_comes_whole,
    a_stopped_link_sends_what_is_queued_and_hears_no_more,
);

async fn an_envelope_reaches_all_who_listen_to_its_topic([a, mut b, mut c]: [Node; 3]) {
    a.says(&[USER], "to c");
    a.says(&[ROOM], "to both");
    a.says(&[OTHER_ROOM], "to nobody");
    a.says(&[Topic::Nodes], "to c again");
    a.says(&[ROOM], "end");
    assert_eq!(b.hears_until("end").await, ["to both", "end"]);
    assert_eq!(c.hears_until("end").await, ["to c", "to both", "to c again", "end"]);
}

async fn an_envelope_of_many_topics_comes_once([a, mut b, mut c]: [Node; 3]) {
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

async fn listening_replaces_what_was_listened_to([a, mut b, _c]: [Node; 3]) {
    b.link.listen(topics(&[OTHER_ROOM]));
    a.gets_through(&mut b, OTHER_ROOM, "the other room").await;
    // The old binding goes a moment after the new one has come.
    tokio::time::sleep(Duration::from_millis(300)).await;
    a.says(&[ROOM], "no longer");
    a.says(&[OTHER_ROOM], "end");
    assert!(!b.hears_until("end").await.contains(&"no longer".to_owned()));
}

async fn a_large_envelope_comes_whole([a, mut b, _c]: [Node; 3]) {
    let large = "x".repeat(3 << 20);
    a.says(&[ROOM], &large);
    b.hears(&large).await;
}

async fn a_stopped_link_sends_what_is_queued_and_hears_no_more([a, mut b, mut c]: [Node; 3]) {
    a.says(&[ROOM], "last words");
    a.link.stop().await;
    b.hears("last words").await;
    b.link.stop().await;
    c.says(&[ROOM], "end");
    c.hears("end").await;
    while let Some(came) = b.incoming.recv().await {
        assert!(matches!(came, Incoming::Up | Incoming::Down), "{came:?}");
    }
}
