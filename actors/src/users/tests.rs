//! Who counts as online, how many sockets a user may have, and which sessions end with a user's rights.

use std::time::Duration;

use serde_json::json;

use crate::domain::ids::{RoomId, UserId};
use crate::engine::ConnectTarget;
use crate::limits::{FEED_POLL_INTERVAL, FEED_START_TIMEOUT, Limits, NODE_TIMEOUT, OFFLINE_DELAY};
use crate::memory::engine::{Client, MemoryEngine, ReceivedFrame};
use crate::memory::store::{Fault, StoreCall};
use crate::ports::store::UserAccess;
use crate::setup::{
    ANN, BOB, CAROL, FOREVER, SOON, Setup, begins_after, hears_within, held, opens_inbox, opens_room, pass,
    paused,
};

/// The status of `user` that `client` is sent within `patience`.
async fn hears_of(client: &mut Client, user: UserId, patience: Duration) -> Option<String> {
    tokio::time::timeout(patience, async {
        loop {
            let frame = client.hears("presence").await?;
            if frame["user_id"] == json!(user) {
                return Some(frame["status"].as_str()?.to_owned());
            }
        }
    })
    .await
    .ok()
    .flatten()
}

/// A node with a room of two, and the socket of one of them.
async fn watched() -> (Setup, MemoryEngine, RoomId, Client) {
    let setup = Setup::new();
    let node = setup.node();
    let room = setup.room(&[ANN, BOB]).await;
    let bob = opens_room(&node, BOB, room).await;
    (setup, node, room, bob)
}

/// Asserts that a wait took so long, give or take what timers round.
fn assert_took(waited: Duration, expected: Duration) {
    assert!((expected..expected + SOON).contains(&waited), "{waited:?} instead of {expected:?}");
}

async fn is_open(client: &mut Client) -> bool {
    client.sends(&json!({"type": "ping"}));
    hears_within(client, "pong", SOON).await.is_some()
}

/// The code that the server closes a socket with; nothing may follow it.
async fn closed_with(client: &mut Client) -> Option<u16> {
    let last = client.hears_all().await.pop();
    assert_eq!(client.next().await, None, "nothing follows a close frame");
    match last {
        Some(ReceivedFrame::Closed(code)) => Some(code),
        _ => None,
    }
}

#[test]
fn a_user_goes_offline_some_time_after_the_last_socket_closes() {
    paused(async {
        let (_setup, node, room, mut bob) = watched().await;
        let first = opens_room(&node, ANN, room).await;
        let second = opens_inbox(&node, ANN).await;
        assert_eq!(hears_of(&mut bob, ANN, SOON).await.as_deref(), Some("online"));
        drop(first);
        assert_eq!(hears_of(&mut bob, ANN, OFFLINE_DELAY * 2).await, None);
        let since = node.clock.now();
        drop(second);
        assert_eq!(hears_of(&mut bob, ANN, OFFLINE_DELAY * 2).await.as_deref(), Some("offline"));
        assert_took(node.clock.now() - since, OFFLINE_DELAY);
        assert_eq!((held(&node, "users").await, held(&node, "users going offline").await), (1, 0));
    });
}

#[test]
fn who_has_no_socket_is_offline_when_asked_for() {
    paused(async {
        let (_setup, node, _, mut bob) = watched().await;
        let ann = opens_inbox(&node, ANN).await;
        assert_eq!(hears_of(&mut bob, ANN, SOON).await.as_deref(), Some("online"));
        let offline = node.handle.offline_among(vec![ANN, BOB, CAROL]).await;
        assert_eq!(Vec::from_iter(offline), [CAROL]);
        drop(ann);
        assert_eq!(hears_of(&mut bob, ANN, OFFLINE_DELAY * 2).await.as_deref(), Some("offline"));
        assert_eq!(Vec::from_iter(node.handle.offline_among(vec![ANN, BOB]).await), [ANN]);
    });
}

#[test]
fn a_return_within_that_time_goes_unnoticed() {
    paused(async {
        let (_setup, node, room, mut bob) = watched().await;
        let ann = opens_inbox(&node, ANN).await;
        assert_eq!(hears_of(&mut bob, ANN, SOON).await.as_deref(), Some("online"));
        drop(ann);
        pass(OFFLINE_DELAY * 3 / 4).await;
        assert_eq!(held(&node, "users going offline").await, 1);
        let ann = opens_room(&node, ANN, room).await;
        assert_eq!(held(&node, "users going offline").await, 0);
        pass(OFFLINE_DELAY / 8).await;
        // The first departure is due before the second, and no longer counts.
        let since = node.clock.now();
        drop(ann);
        assert_eq!(hears_of(&mut bob, ANN, OFFLINE_DELAY * 2).await.as_deref(), Some("offline"));
        assert_took(node.clock.now() - since, OFFLINE_DELAY);
    });
}

#[test]
fn departures_are_due_in_turn() {
    paused(async {
        let setup = Setup::new();
        let node = setup.node();
        let room = setup.room(&[ANN, BOB, CAROL]).await;
        let mut watcher = opens_room(&node, CAROL, room).await;
        let (ann, bob) = (opens_inbox(&node, ANN).await, opens_inbox(&node, BOB).await);
        let since = node.clock.now();
        drop(ann);
        pass(Duration::from_secs(1)).await;
        drop(bob);
        assert_eq!(hears_of(&mut watcher, ANN, FOREVER).await.as_deref(), Some("online"));
        for (user, after) in [(ANN, OFFLINE_DELAY), (BOB, OFFLINE_DELAY + Duration::from_secs(1))] {
            while hears_of(&mut watcher, user, FOREVER).await.as_deref() != Some("offline") {}
            assert_took(node.clock.now() - since, after);
        }
    });
}

#[test]
fn a_user_whose_connection_is_dead_is_offline_at_once() {
    paused(async {
        let (setup, node, room, mut bob) = watched().await;
        let peer = bob.peer.clone();
        actix::spawn(async move {
            loop {
                peer.heard();
                pass(Duration::from_secs(5)).await;
            }
        });
        let since = node.clock.now();
        let _silent = opens_room(&node, ANN, room).await;
        assert_eq!(hears_of(&mut bob, ANN, SOON).await.as_deref(), Some("online"));
        assert_eq!(hears_of(&mut bob, ANN, FOREVER).await.as_deref(), Some("offline"));
        let waited = node.clock.now() - since;
        let silent_after = setup.limits.idle_timeout;
        assert!((silent_after..silent_after + OFFLINE_DELAY / 2).contains(&waited), "{waited:?}");
    });
}

#[test]
fn a_user_has_so_many_sockets_and_no_more() {
    paused(async {
        let limits = Limits { sockets_per_user: 2, ..Limits::default() };
        let setup = Setup::with_limits(limits);
        let node = setup.node();
        let first = opens_inbox(&node, ANN).await;
        let _second = opens_inbox(&node, ANN).await;
        let mut third = node.connect(ANN, 0, ConnectTarget::User);
        assert_eq!(closed_with(&mut third).await, Some(4409));
        let _of_another = opens_inbox(&node, BOB).await;
        drop(first);
        pass(SOON).await;
        let _third = opens_inbox(&node, ANN).await;
    });
}

#[test]
fn each_session_with_a_revoked_token_is_closed_once() {
    paused(async {
        let setup = Setup::new();
        let node = setup.node();
        let room = setup.room(&[ANN, BOB]).await;
        let targets = [ConnectTarget::Room { room, since: None, epoch: None }, ConnectTarget::User];
        let mut older = targets.map(|target| node.connect(ANN, 5, target));
        let mut newer = targets.map(|target| node.connect(ANN, 6, target));
        let mut other = opens_inbox(&node, BOB).await;
        for client in older.iter_mut().chain(&mut newer) {
            client.hears("connection_established").await.expect("to be accepted");
        }
        setup.store.revoke_tokens(ANN, 6);
        // The call, and a repeat of it as another node's hint brings it; then the feed tells it once more.
        let change = UserAccess { user: ANN, is_active: true, tokens_valid_from: Some(6) };
        node.handle.user_changed(change);
        node.handle.user_changed(change);
        for client in &mut older {
            assert_eq!(closed_with(client).await, Some(4401));
        }
        pass(FEED_POLL_INTERVAL * 2).await;
        for client in newer.iter_mut().chain([&mut other]) {
            assert!(is_open(client).await);
        }
        node.handle.user_changed(UserAccess { user: ANN, is_active: false, tokens_valid_from: Some(6) });
        for client in &mut newer {
            assert_eq!(closed_with(client).await, Some(4401));
        }
        assert!(is_open(&mut other).await);
    });
}

#[test]
fn the_feed_alone_tells_of_a_revocation() {
    paused(async {
        let setup = Setup::new();
        let node = setup.node();
        let mut ann = opens_inbox(&node, ANN).await;
        setup.store.revoke_tokens(ANN, 6);
        let since = node.clock.now();
        assert_eq!(closed_with(&mut ann).await, Some(4401));
        assert!(node.clock.now() - since <= FEED_POLL_INTERVAL + Duration::from_secs(3));
    });
}

#[test]
fn a_session_is_judged_by_the_token_that_it_took_last() {
    paused(async {
        let setup = Setup::new();
        let node = setup.node();
        let (mut renewed, mut stale) = (opens_inbox(&node, ANN).await, opens_inbox(&node, ANN).await);
        renewed.sends(&json!({"type": "auth", "token": "1/6"}));
        renewed.hears("auth_ok").await.expect("the token is valid");
        node.handle.user_changed(UserAccess { user: ANN, is_active: true, tokens_valid_from: Some(6) });
        assert_eq!(closed_with(&mut stale).await, Some(4401));
        assert!(is_open(&mut renewed).await);
    });
}

#[test]
fn nobody_is_let_in_before_the_feed_is_followed() {
    paused(async {
        let late = Duration::from_secs(3);
        for (delay, outcome) in [(late, Ok(late)), (FOREVER, Err(FEED_START_TIMEOUT))] {
            let setup = Setup::new();
            setup.probe.set(move |call| match call {
                StoreCall::Changes => begins_after(delay),
                _ => Fault::default(),
            });
            let node = setup.node();
            let since = node.clock.now();
            let mut ann = node.connect(ANN, 0, ConnectTarget::User);
            assert_eq!(ann.next().await, Some(ReceivedFrame::Accepted));
            let is_in =
                matches!(ann.next().await, Some(ReceivedFrame::Text(frame)) if frame["unread_count"] == 0);
            let waited = node.clock.now() - since;
            assert_eq!(is_in, outcome.is_ok());
            assert_took(waited, outcome.unwrap_or_else(|expected| expected));
        }
    });
}

#[test]
fn a_room_hears_who_is_online_at_other_nodes() {
    paused(async {
        let setup = Setup::new();
        let (near, far) = (setup.linked_node(1), setup.linked_node(2));
        let room = setup.room(&[ANN, BOB]).await;
        let mut bob = opens_room(&near, BOB, room).await;
        let far_ann = opens_inbox(&far, ANN).await;
        assert_eq!(hears_of(&mut bob, ANN, SOON).await.as_deref(), Some("online"));
        // Online twice, and then once.
        let near_ann = opens_inbox(&near, ANN).await;
        drop(far_ann);
        assert_eq!(hears_of(&mut bob, ANN, OFFLINE_DELAY * 2).await, None);
        let since = near.clock.now();
        drop(near_ann);
        assert_eq!(hears_of(&mut bob, ANN, OFFLINE_DELAY * 2).await.as_deref(), Some("offline"));
        assert_took(near.clock.now() - since, OFFLINE_DELAY);
    });
}

#[test]
fn the_users_of_a_node_that_falls_silent_go_offline() {
    paused(async {
        let setup = Setup::new();
        let (near, far) = (setup.linked_node(1), setup.linked_node(2));
        let room = setup.room(&[ANN, BOB]).await;
        let mut bob = opens_room(&near, BOB, room).await;
        let _ann = opens_inbox(&far, ANN).await;
        assert_eq!(hears_of(&mut bob, ANN, SOON).await.as_deref(), Some("online"));
        pass(Duration::from_secs(12)).await;
        let since = near.clock.now();
        setup.hub.set_cut(1, 0, true);
        assert_eq!(hears_of(&mut bob, ANN, FOREVER).await.as_deref(), Some("offline"));
        let waited = near.clock.now() - since;
        let (least, most) = (NODE_TIMEOUT - Duration::from_secs(5), NODE_TIMEOUT + Duration::from_secs(5));
        assert!((least..=most).contains(&waited), "{waited:?}");
        setup.hub.set_cut(1, 0, false);
        assert_eq!(hears_of(&mut bob, ANN, Duration::from_secs(6)).await.as_deref(), Some("online"));
    });
}

#[test]
fn the_users_of_a_node_that_stops_have_time_to_come_back_elsewhere() {
    paused(async {
        for returns in [true, false] {
            let setup = Setup::new();
            let (near, far) = (setup.linked_node(1), setup.linked_node(2));
            let room = setup.room(&[ANN, BOB]).await;
            let mut bob = opens_room(&near, BOB, room).await;
            let ann = opens_inbox(&far, ANN).await;
            assert_eq!(hears_of(&mut bob, ANN, SOON).await.as_deref(), Some("online"));
            drop(ann);
            let _left = far.handle.drain(Duration::ZERO, Duration::ZERO).await;
            let _back = if returns { Some(opens_inbox(&near, ANN).await) } else { None };
            let heard = hears_of(&mut bob, ANN, OFFLINE_DELAY * 2).await;
            assert_eq!(heard.as_deref(), if returns { None } else { Some("offline") });
        }
    });
}

#[test]
fn a_new_node_soon_knows_who_is_online() {
    paused(async {
        let setup = Setup::new();
        let old = setup.linked_node(1);
        let room = setup.room(&[ANN, BOB]).await;
        let _ann = opens_inbox(&old, ANN).await;
        // Behind one of the regular announcements, and long before the next.
        pass(Duration::from_secs(6)).await;
        let new = setup.linked_node(2);
        pass(Duration::from_secs(1)).await;
        let mut bob = new.connect(BOB, 0, ConnectTarget::Room { room, since: None, epoch: None });
        let state = bob.hears("presence_state").await.expect("to be accepted");
        let mut online: Vec<i64> = serde_json::from_value(state["online"].clone()).expect("users");
        online.sort_unstable();
        assert_eq!(online, [1, 2]);
    });
}
