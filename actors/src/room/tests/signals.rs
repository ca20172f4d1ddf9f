//! Signals, rates and membership of a room, and events that come out of order.

use std::time::Duration;

use serde_json::json;

use crate::domain::command::{CommandReply, RoomChange};
use crate::domain::rate::Rate;
use crate::error::EngineError;
use crate::limits::{Limits, TYPING_TTL};
use crate::memory::broker::EnvelopeFate;
use crate::memory::engine::ReceivedFrame;
use crate::setup::{
    ANN, BOB, CAROL, SOON, Setup, all_at_once, change, does, hears_within, opens_room, pass, paused, post,
};

#[test]
fn typing_reaches_the_others_and_ends_by_itself() {
    paused(async {
        let setup = Setup::new();
        let room = setup.room(&[ANN, BOB]).await;
        let node = setup.node();
        let (mut ann, mut bob) = (opens_room(&node, ANN, room).await, opens_room(&node, BOB, room).await);
        let since = node.clock.now();
        let types = json!({"type": "typing", "is_typing": true});
        ann.sends(&types);
        let heard = hears_within(&mut bob, "typing", SOON).await.expect("it is sent");
        assert_eq!((&heard["user_id"], &heard["is_typing"]), (&json!(ANN), &json!(true)));
        ann.sends(&types);
        assert_eq!(hears_within(&mut bob, "typing", SOON).await, None, "a repeat is sent later");
        let heard = hears_within(&mut bob, "typing", TYPING_TTL * 2).await.expect("it ends");
        assert_eq!(heard["is_typing"], false);
        let lasted = node.clock.now() - since;
        assert!((TYPING_TTL..TYPING_TTL + Duration::from_secs(1)).contains(&lasted), "{lasted:?}");
        assert_eq!(hears_within(&mut ann, "typing", SOON).await, None, "typists hear nothing of themselves");
    });
}

#[test]
fn a_read_mark_only_moves_forward() {
    paused(async {
        let setup = Setup::new();
        let room = setup.room(&[ANN, BOB]).await;
        let node = setup.node();
        let (ann, mut bob) = (opens_room(&node, ANN, room).await, opens_room(&node, BOB, room).await);
        let mut messages = Vec::new();
        for text in ["first", "second", "third"] {
            let CommandReply::Posted { message, .. } = does(&node, post(room, BOB, text)).await else {
                panic!("a message")
            };
            messages.push(message.id);
        }
        for message in [messages[1], messages[0], messages[1], messages[2]] {
            ann.sends(&json!({"type": "read_receipt", "message_id": message}));
            pass(SOON).await;
        }
        let mut marks = Vec::new();
        while let Some(frame) = hears_within(&mut bob, "read_receipt", SOON).await {
            marks.push(frame["message_id"].clone());
        }
        assert_eq!(marks, [json!(messages[1]), json!(messages[2])]);
    });
}

#[test]
fn each_user_has_a_rate_of_messages_in_each_room() {
    paused(async {
        let limits = Limits { messages: Rate::new(1.0, 3), ..Limits::default() };
        let setup = Setup::with_limits(limits);
        let (room, other) = (setup.room(&[ANN, BOB]).await, setup.room(&[ANN, BOB]).await);
        let node = setup.node();
        let posts = (0..5).map(|_| post(room, ANN, "x"));
        let answers = all_at_once(&node, posts.chain([post(room, BOB, "x"), post(other, ANN, "x")])).await;
        let is_limited: Vec<bool> =
            answers.iter().map(|answer| matches!(answer, Err(EngineError::RateLimited { .. }))).collect();
        assert_eq!(is_limited, [false, false, false, true, true, false, false]);
        pass(Duration::from_secs(1)).await;
        does(&node, post(room, ANN, "in time")).await;
        assert_eq!(setup.texts(room).await.len(), 5);
    });
}

#[test]
fn whoever_is_removed_hears_nothing_more() {
    paused(async {
        let setup = Setup::new();
        let room = setup.room(&[ANN, BOB, CAROL]).await;
        let node = setup.node();
        let mut bob = opens_room(&node, BOB, room).await;
        let mut carol = opens_room(&node, CAROL, room).await;
        does(&node, change(room, ANN, RoomChange::Remove { user: BOB })).await;
        does(&node, post(room, ANN, "without bob")).await;
        let heard = bob.hears_all().await;
        assert_eq!(heard.last(), Some(&ReceivedFrame::Closed(4403)));
        let is_message = |frame: &ReceivedFrame| matches!(frame, ReceivedFrame::Text(frame) if frame["type"] == "chat_message");
        assert!(!heard.iter().any(is_message), "{heard:?}");
        assert!(hears_within(&mut carol, "chat_message", SOON).await.is_some());
        does(&node, change(room, ANN, RoomChange::DeleteRoom)).await;
        assert_eq!(carol.hears_all().await.pop(), Some(ReceivedFrame::Closed(4404)));
    });
}

#[test]
fn a_lost_event_is_filled_in_before_the_next() {
    paused(async {
        let setup = Setup::new();
        let room = setup.room(&[ANN, BOB]).await;
        let (near, far) = (setup.linked_node(1), setup.linked_node(2));
        let mut bob = opens_room(&near, BOB, room).await;
        for (text, fate) in
            [("heard", EnvelopeFate::Pass), ("lost", EnvelopeFate::Drop), ("late", EnvelopeFate::Pass)]
        {
            setup.hub.set_filter(Some(Box::new(move |_, _, _| fate)));
            does(&far, post(room, ANN, text)).await;
            pass(Duration::from_millis(10)).await;
        }
        for expected in ["heard", "lost", "late"] {
            let heard = hears_within(&mut bob, "chat_message", SOON).await.expect("no poll is needed");
            assert_eq!(heard["message"]["content"], expected);
        }
    });
}
