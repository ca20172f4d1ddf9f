//! What a session makes of its client's frames, and how many of them it takes.

use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use crate::domain::rate::Rate;
use crate::limits::{Limits, SESSION_PENDING_MAX};
use crate::memory::engine::{Client, ReceivedFrame};
use crate::memory::store::{Fault, StoreCall};
use crate::setup::{
    ANN, BOB, FOREVER, SOON, Setup, begins_after, does, hears_within, opens_inbox, opens_room, pass, paused,
    post,
};

/// The codes of the refusals that `client` is sent within a moment.
async fn refusals_now(client: &mut Client) -> Vec<String> {
    let mut codes = Vec::new();
    while let Some(frame) = hears_within(client, "error", SOON).await {
        codes.push(frame["code"].as_str().expect("a code").to_owned());
    }
    codes
}

#[test]
fn frames_beyond_their_rate_are_refused_and_time_makes_room_for_more() {
    paused(async {
        let limits = Limits { frames: Rate::new(1.0, 5), ..Limits::default() };
        let setup = Setup::with_limits(limits);
        let node = setup.node();
        let mut ann = opens_inbox(&node, ANN).await;
        let ping = json!({"type": "ping"});
        (0..8).for_each(|_| ann.sends(&ping));
        assert_eq!(refusals_now(&mut ann).await, ["rate_limited"; 3]);
        pass(Duration::from_secs(2)).await;
        (0..3).for_each(|_| ann.sends(&ping));
        assert_eq!(refusals_now(&mut ann).await, ["rate_limited"]);
    });
}

#[test]
fn too_many_bad_frames_end_a_connection() {
    paused(async {
        let limits = Limits { bad_frames_max: 3, ..Limits::default() };
        let setup = Setup::with_limits(limits);
        let node = setup.node();
        let mut ann = opens_inbox(&node, ANN).await;
        let bad = json!({"type": "nonsense"});
        (0..2).for_each(|_| ann.sends(&bad));
        assert_eq!(refusals_now(&mut ann).await, ["bad_frame"; 2]);
        ann.sends(&bad);
        assert_eq!(ann.hears_all().await.pop(), Some(ReceivedFrame::Closed(4400)));
    });
}

#[test]
fn a_token_that_is_not_valid_or_not_the_users_ends_a_connection() {
    paused(async {
        let setup = Setup::new();
        let node = setup.node();
        for token in ["none", "2/9"] {
            let mut ann = opens_inbox(&node, ANN).await;
            ann.sends(&json!({"type": "auth", "token": token}));
            assert_eq!(ann.hears_all().await, [ReceivedFrame::Closed(4401)]);
        }
    });
}

#[test]
fn frames_behind_a_token_wait_until_it_is_verified() {
    paused(async {
        let setup = Setup::new();
        let node = setup.node();
        let mut ann = opens_inbox(&node, ANN).await;
        let takes = Duration::from_secs(1);
        setup.probe.set(move |call| match call {
            StoreCall::User(_) => begins_after(takes),
            _ => Fault::default(),
        });
        let since = node.clock.now();
        ann.sends(&json!({"type": "auth", "token": "1/9"}));
        ann.sends(&json!({"type": "ping"}));
        for expected in ["auth_ok", "pong"] {
            let Some(ReceivedFrame::Text(frame)) = ann.next().await else { panic!("a frame") };
            assert_eq!(frame["type"], expected);
            assert!(node.clock.now() - since >= takes);
        }
    });
}

#[test]
fn a_client_ends_up_as_its_last_request_says() {
    paused(async {
        let setup = Setup::new();
        let (room, left) = (setup.room(&[ANN, BOB]).await, setup.room(&[ANN, BOB]).await);
        let node = setup.node();
        let mut bob = opens_inbox(&node, BOB).await;
        for kind in ["subscribe", "unsubscribe", "subscribe"] {
            bob.sends(&json!({"type": kind, "room_id": room}));
        }
        for kind in ["subscribe", "unsubscribe"] {
            bob.sends(&json!({"type": kind, "room_id": left}));
        }
        pass(SOON).await;
        for room in [left, room] {
            does(&node, post(room, ANN, "hello")).await;
        }
        let heard = hears_within(&mut bob, "chat_message", SOON).await.expect("it is subscribed");
        assert_eq!(heard["room_id"], json!(room));
        assert_eq!(hears_within(&mut bob, "chat_message", SOON).await, None);
    });
}

#[test]
fn a_session_has_so_many_unanswered_messages_and_no_more() {
    paused(async {
        let limits = Limits { messages: Rate::UNLIMITED, frames: Rate::UNLIMITED, ..Limits::default() };
        let setup = Setup::with_limits(limits);
        let room = setup.room(&[ANN, BOB]).await;
        let node = setup.node();
        let (mut ann, mut bob) = (opens_room(&node, ANN, room).await, opens_room(&node, BOB, room).await);
        setup.probe.set(|call| match call {
            StoreCall::Append { .. } => begins_after(FOREVER),
            _ => Fault::default(),
        });
        for n in 0..SESSION_PENDING_MAX + 7 {
            let client_id = Uuid::from_u128(n as u128);
            ann.sends(&json!({"type": "chat_message", "message": "x", "client_id": client_id}));
        }
        assert_eq!(refusals_now(&mut ann).await, ["overloaded"; 7]);
        bob.sends(&json!({"type": "chat_message", "message": "x", "client_id": Uuid::nil()}));
        assert_eq!(refusals_now(&mut bob).await, [""; 0]);
    });
}
