//! Presence and typing.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::shared;
use crate::users::text;

#[tokio::test]
async fn others_see_a_user_come_and_go() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut a = ana.joins(&room).await;
    let b = ben.joins(&room).await;
    assert_eq!(
        a.next_is("presence").await,
        json!({"type": "presence", "room_id": room, "user_id": ben.id, "status": "online", "last_seen": null})
    );
    let second = ben.joins(&room).await;
    b.closes().await;
    a.receives_nothing().await;
    let since = Instant::now();
    second.closes().await;
    let gone = a.next_is("presence").await;
    assert_eq!((&gone["user_id"], &gone["status"]), (&json!(ben.id), &json!("offline")));
    assert!(gone["last_seen"].is_string(), "{gone}");
    assert!(since.elapsed() < Duration::from_secs(6), "{:?}", since.elapsed());
}

#[tokio::test]
async fn a_new_socket_learns_who_is_online_anywhere() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let (_list, _) = ben.opens_user_socket().await;
    let mut a = ana.room_socket(&room).opens().await.expect("a socket");
    a.next_is("connection_established").await;
    a.next_is("read_state").await;
    assert_eq!(a.next_is("presence_state").await["online"], json!([ana.id, ben.id]));
    a.receives_nothing().await;
}

#[tokio::test]
async fn typing_is_sent_only_to_others_and_rate_limited() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut a = ana.joins(&room).await;
    let mut b = ben.joins(&room).await;
    a.receives("presence").await;
    for n in 0..200 {
        b.sends(json!({"type": "typing", "is_typing": n % 2 == 0})).await;
    }
    b.sends(json!({"type": "typing", "is_typing": true})).await;
    b.receives_nothing().await;
    let frame = a.next_is("typing").await;
    assert_eq!(
        frame,
        json!({"type": "typing", "room_id": room, "user_id": ben.id, "username": ben.name,
        "is_typing": true})
    );
    let mut states = vec![true];
    loop {
        let frame = a.receives("typing").await;
        let is_typing = frame["is_typing"].as_bool().expect("a boolean");
        states.push(is_typing);
        if states.len() == 5 {
            break;
        }
    }
    assert_eq!(states, [true, false, true, false, true], "four at once, and the last state");
    assert_eq!(a.next_is("typing").await["is_typing"], false, "it lapses by itself");
}

#[tokio::test]
async fn typing_ends_with_the_message_and_with_the_connection() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut a = ana.joins(&room).await;
    let mut b = ben.joins(&room).await;
    a.receives("presence").await;
    b.sends(json!({"type": "typing", "is_typing": true})).await;
    assert_eq!(a.next_is("typing").await["is_typing"], true);
    b.says("done").await;
    a.next_is("chat_message").await;
    assert_eq!(a.next_is("typing").await["is_typing"], false);
    b.sends(json!({"type": "typing", "is_typing": true})).await;
    assert_eq!(a.next_is("typing").await["is_typing"], true);
    let polled = ana.gets(&format!("typing/?room={room}")).await;
    assert_eq!(polled["results"][0]["user"]["id"], ben.id);
    b.closes().await;
    assert_eq!(a.next_is("typing").await["is_typing"], false);
}

#[tokio::test]
async fn a_room_that_shrinks_below_the_limit_resends_presence() {
    let server = shared().await;
    let (ana, ben, cleo) = (server.user("ana").await, server.user("ben").await, server.user("cleo").await);
    let crowd = server.create_users(198).await;
    let ids: Vec<i64> = crowd.iter().copied().chain([ben.id, cleo.id]).collect();
    let room = json!({"room_type": "group", "name": "Crowd", "participant_ids": ids});
    let room = text(&ana.posts("rooms/", room).await["id"]);
    let mut a = ana.room_socket(&room).opens().await.expect("a socket");
    a.next_is("connection_established").await;
    a.next_is("read_state").await;
    let mut b = ben.room_socket(&room).opens().await.expect("a socket");
    b.next_is("connection_established").await;
    b.next_is("read_state").await;
    a.receives_nothing().await;
    ana.removes(&cleo, &room).await;
    let mut told = std::collections::BTreeMap::new();
    a.receives("participant_left").await;
    for _ in 0..200 {
        let frame = a.next_is("presence").await;
        told.insert(frame["user_id"].as_i64(), frame["status"] == "online");
    }
    let online: Vec<_> = told.iter().filter(|(_, online)| **online).map(|(user, _)| *user).collect();
    assert_eq!(online, [Some(ana.id), Some(ben.id)]);
    b.closes().await;
    let gone = a.next_is("presence").await;
    assert_eq!((&gone["user_id"], &gone["status"]), (&json!(ben.id), &json!("offline")));
}
