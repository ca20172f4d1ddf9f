//! When sockets are closed, and that this concerns nobody else.

use std::time::Duration;

use crate::engine::ConnectTarget;
use crate::limits::Limits;
use crate::memory::engine::ReceivedFrame;
use crate::setup::{
    ANN, BOB, CAROL, FOREVER, SOON, Setup, connects_with, does, hears_within, opens_inbox, opens_room, pass,
    paused, post,
};

#[test]
fn a_socket_that_is_too_slow_is_closed_and_the_others_hear_on() {
    paused(async {
        let limits = Limits { outbox_frames_max: 50, ..Limits::default() };
        let setup = Setup::with_limits(limits);
        let room = setup.room(&[ANN, BOB, CAROL]).await;
        let node = setup.node();
        let target = ConnectTarget::Room { room, since: None, epoch: None };
        let mut slow = connects_with(&node, BOB, target, 500, FOREVER);
        slow.hears("presence_state").await.expect("to be accepted");
        let mut other = opens_room(&node, CAROL, room).await;
        for n in 0..80 {
            does(&node, post(room, ANN, &n.to_string())).await;
            let heard = hears_within(&mut other, "chat_message", SOON).await.expect("it is sent at once");
            assert_eq!(heard["message"]["content"], n.to_string());
        }
        let heard = slow.hears_all().await;
        assert_eq!(heard.last(), Some(&ReceivedFrame::Closed(4431)));
        assert!(heard.len() < 30, "what waited is dropped: {}", heard.len());
    });
}

#[test]
fn a_socket_that_takes_nothing_is_closed_after_a_while() {
    paused(async {
        let setup = Setup::new();
        let room = setup.room(&[ANN, BOB]).await;
        let node = setup.node();
        let target = ConnectTarget::Room { room, since: None, epoch: None };
        let mut stuck = connects_with(&node, BOB, target, 200, FOREVER);
        stuck.hears("presence_state").await.expect("to be accepted");
        does(&node, post(room, ANN, &"x".repeat(400))).await;
        pass(setup.limits.write_stall_timeout / 2).await;
        assert!(stuck.next().await.is_some(), "it is open, and this is progress");
        does(&node, post(room, ANN, &"x".repeat(400))).await;
        pass(setup.limits.write_stall_timeout * 3 / 2).await;
        assert_eq!(stuck.hears_all().await.pop(), Some(ReceivedFrame::Closed(4431)));
    });
}

#[test]
fn a_socket_ends_with_its_token() {
    paused(async {
        let setup = Setup::new();
        let node = setup.node();
        let valid = Duration::from_secs(30);
        let mut bob = connects_with(&node, BOB, ConnectTarget::User, 1 << 16, valid);
        let since = node.clock.now();
        let heard = bob.hears_all().await;
        let waited = node.clock.now() - since;
        assert_eq!(heard.last(), Some(&ReceivedFrame::Closed(4401)));
        assert!((valid..valid + Duration::from_secs(2)).contains(&waited), "{waited:?}");
    });
}

#[test]
fn sockets_are_asked_to_come_back_spread_over_a_while() {
    paused(async {
        let setup = Setup::new();
        let node = setup.node();
        let mut sockets = Vec::new();
        for user in [ANN, BOB, CAROL] {
            sockets.push(opens_inbox(&node, user).await);
        }
        let spread = Duration::from_secs(3);
        let drained = node.handle.drain(spread, Duration::ZERO);
        let heard = async {
            let mut delays = Vec::new();
            for socket in &mut sockets {
                let frame = socket.hears("going_away").await.expect("it is sent before");
                delays.push(frame["retry_after"].as_f64().expect("a number"));
                assert_eq!(socket.hears_all().await, [ReceivedFrame::Closed(1012)]);
            }
            delays
        };
        let (report, mut delays) = tokio::join!(drained, heard);
        delays.sort_unstable_by(f64::total_cmp);
        assert_eq!((delays, report.sockets), (vec![0.0, 1.0, 2.0], 0));
    });
}
