//! Personal logs on user sockets: what is new, what was missed, and what becomes of lost hints.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::viewed;
use crate::domain::command::RoomChange;
use crate::domain::ids::{Epoch, PersonalSeq, RoomId, UserId};
use crate::engine::ConnectTarget;
use crate::limits::{FEED_POLL_INTERVAL, Limits};
use crate::memory::broker::EnvelopeFate;
use crate::memory::engine::{Client, MemoryEngine, ReceivedFrame};
use crate::memory::store::{Fault, StoreCall};
use crate::setup::{
    ANN, BOB, FOREVER, SOON, Setup, answers_after, change, connects_with, does, fails, hears_within,
    opens_inbox, paused,
};

/// The text of the longest draft.
const LONG: usize = 20_000;

fn since(position: i64) -> ConnectTarget {
    ConnectTarget::UserSince { since: PersonalSeq(position), epoch: None }
}

/// Stores a draft and tells the node so.
fn types(node: &MemoryEngine, user: UserId, room: RoomId, text: &str) {
    let head = node.store.put_draft(user, room, text);
    node.handle.personal_log_grown(user, head);
}

/// The frames of the personal log up to one of these types.
async fn log_until(client: &mut Client, last: &[&str]) -> Vec<Value> {
    let mut log = Vec::new();
    loop {
        match client.next().await.expect("an open socket") {
            ReceivedFrame::Text(frame) if !frame["position"].is_null() => {
                log.push(frame.clone());
                if last.iter().any(|kind| frame["type"] == *kind) {
                    return log;
                }
            }
            ReceivedFrame::Closed(code) => panic!("closed with {code}"),
            _ => {}
        }
    }
}

async fn draft(client: &mut Client) -> Option<(String, i64)> {
    let frame = hears_within(client, "draft", SOON).await?;
    Some((frame["content"].as_str()?.to_owned(), frame["position"].as_i64()?))
}

#[test]
fn a_draft_reaches_every_device_of_its_user_and_nobody_else() {
    paused(async {
        let (_setup, node, room, mut phone) = viewed().await;
        let mut desk = node.connect(BOB, 0, since(0));
        log_until(&mut desk, &["personal_synced"]).await;
        let mut ann = opens_inbox(&node, ANN).await;
        types(&node, BOB, room, "half a sen");
        for device in [&mut phone, &mut desk] {
            assert_eq!(draft(device).await, Some(("half a sen".to_owned(), 1)));
        }
        assert_eq!(draft(&mut ann).await, None);
        types(&node, BOB, room, "");
        assert_eq!(draft(&mut phone).await, Some((String::new(), 2)));
    });
}

#[test]
fn a_client_that_was_away_is_sent_each_thing_as_it_is_now_and_then_what_is_new() {
    paused(async {
        let (setup, node, room, _bob) = viewed().await;
        let other = setup.room(&[ANN, BOB]).await;
        for (room, text) in [(room, "a"), (other, "b"), (room, "ab")] {
            types(&node, BOB, room, text);
        }
        let mut back = node.connect(BOB, 0, since(0));
        let greeting =
            hears_within(&mut back, "connection_established", FOREVER).await.expect("to be let in");
        assert_eq!(greeting["personal_position"], 3);
        assert!(greeting["epoch"].is_string());
        let missed = log_until(&mut back, &["personal_synced"]).await;
        let told: Vec<_> = missed.iter().map(|frame| (&frame["content"], &frame["position"])).collect();
        assert_eq!(told, [(&json!("b"), &json!(2)), (&json!("ab"), &json!(3)), (&Value::Null, &json!(3))]);
        types(&node, BOB, other, "bc");
        assert_eq!(draft(&mut back).await, Some(("bc".to_owned(), 4)));
        let mut current = node.connect(BOB, 0, since(4));
        assert_eq!(log_until(&mut current, &["personal_synced"]).await.len(), 1);
    });
}

#[test]
fn a_client_that_asks_for_nothing_is_greeted_as_ever_and_sent_what_is_new() {
    paused(async {
        let (_setup, node, room, _bob) = viewed().await;
        types(&node, BOB, room, "a");
        let mut legacy = node.connect(BOB, 0, ConnectTarget::User);
        let greeting = legacy.hears("connection_established").await.expect("to be let in");
        assert!(greeting.get("personal_position").is_none() && greeting.get("epoch").is_none());
        types(&node, BOB, room, "ab");
        assert_eq!(draft(&mut legacy).await, Some(("ab".to_owned(), 2)));
        assert_eq!(draft(&mut legacy).await, None);
    });
}

#[test]
fn a_position_that_cannot_be_resumed_is_reset() {
    paused(async {
        let setup = Setup::with_limits(Limits { replay_events_max: 2, ..Limits::default() });
        let room = setup.room(&[ANN, BOB]).await;
        let node = setup.node();
        for text in ["1", "2", "3"] {
            types(&node, BOB, room, text);
        }
        let other = Some(Epoch(Uuid::from_u128(99)));
        let foreign = ConnectTarget::UserSince { since: PersonalSeq(5), epoch: other };
        for (head, target) in (3..).zip([since(0), since(5), foreign, since(i64::MAX)]) {
            let mut client = node.connect(BOB, 0, target);
            let log = log_until(&mut client, &["personal_reset", "personal_synced"]).await;
            assert_eq!((&log[0]["type"], &log[0]["position"]), (&json!("personal_reset"), &json!(head)));
            types(&node, BOB, room, &format!("{target:?}"));
            assert_eq!(draft(&mut client).await.expect("what is new").1, head + 1);
        }
    });
}

#[test]
fn a_replay_waits_for_its_reader() {
    paused(async {
        let (setup, node, _room, _bob) = viewed().await;
        let mut rooms = Vec::new();
        for _ in 0..60 {
            let room = setup.room(&[BOB]).await;
            types(&node, BOB, room, &"x".repeat(LONG));
            rooms.push(json!(room));
        }
        let mut slow = connects_with(&node, BOB, since(0), 16 * 1024, FOREVER);
        let log = log_until(&mut slow, &["personal_synced"]).await;
        let drafts: Vec<_> = log.iter().filter(|frame| frame["type"] == "draft").collect();
        assert_eq!(drafts.iter().map(|frame| frame["room_id"].clone()).collect::<Vec<_>>(), rooms);
        types(&node, BOB, setup.room(&[BOB]).await, "new");
        assert_eq!(draft(&mut slow).await.map(|(text, _)| text), Some("new".to_owned()));
    });
}

#[test]
fn own_settings_are_told_in_rows_and_to_those_who_follow_the_log() {
    paused(async {
        let (_setup, node, room, mut plain) = viewed().await;
        let mut follower = node.connect(BOB, 0, since(0));
        log_until(&mut follower, &["personal_synced"]).await;
        does(&node, change(room, BOB, RoomChange::Mute { muted: true, until: None })).await;
        let told = hears_within(&mut follower, "room_settings", SOON).await.expect("it follows");
        assert_eq!((&told["room_id"], &told["is_muted"]), (&json!(room), &json!(true)));
        assert_eq!(hears_within(&mut plain, "room_settings", SOON).await, None);
        let mut back = node.connect(BOB, 0, since(0));
        let log = log_until(&mut back, &["personal_synced"]).await;
        assert_eq!((log.len(), &log[0]["is_muted"]), (2, &json!(true)));
    });
}

#[test]
fn what_changes_while_a_socket_is_let_in_is_not_missed() {
    paused(async {
        let (setup, node, room, _bob) = viewed().await;
        let late = Duration::from_secs(1);
        setup.probe.set(move |call| match call {
            StoreCall::Inbox(_) => answers_after(late),
            _ => Fault::default(),
        });
        let mut client = node.connect(BOB, 0, ConnectTarget::User);
        tokio::time::sleep(late / 2).await;
        types(&node, BOB, room, "meanwhile");
        client.hears("connection_established").await.expect("to be let in");
        assert_eq!(draft(&mut client).await, Some(("meanwhile".to_owned(), 1)));
    });
}

#[test]
fn another_node_is_told_and_finds_in_the_feed_what_it_was_not_told() {
    paused(async {
        let setup = Setup::new();
        let room = setup.room(&[ANN, BOB]).await;
        let (near, far) = (setup.linked_node(1), setup.linked_node(2));
        tokio::time::sleep(FEED_POLL_INTERVAL).await;
        let mut bob = opens_inbox(&near, BOB).await;
        tokio::time::sleep(SOON).await;
        types(&far, BOB, room, "told");
        assert_eq!(draft(&mut bob).await, Some(("told".to_owned(), 1)));
        setup.hub.set_filter(Some(Box::new(|_, _, _| EnvelopeFate::Drop)));
        types(&far, BOB, room, "lost");
        let found = hears_within(&mut bob, "draft", FEED_POLL_INTERVAL * 2).await.expect("it is found");
        assert_eq!((&found["content"], &found["position"]), (&json!("lost"), &json!(2)));
        assert_eq!(hears_within(&mut bob, "draft", FEED_POLL_INTERVAL * 3).await, None, "and sent once");
    });
}

#[test]
fn a_log_that_cannot_be_read_is_read_later() {
    paused(async {
        let (setup, node, room, mut bob) = viewed().await;
        setup.probe.set(|call| match call {
            StoreCall::PersonalLog(_) => fails(),
            _ => Fault::default(),
        });
        types(&node, BOB, room, "a");
        assert_eq!(draft(&mut bob).await, None);
        setup.probe.clear();
        let told = hears_within(&mut bob, "draft", Duration::from_secs(3)).await.expect("it is read again");
        assert_eq!(told["content"], "a");
    });
}
