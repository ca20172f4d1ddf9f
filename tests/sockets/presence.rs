//! Who is there, and who types.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::people::text;
use crate::shared;

#[tokio::test]
async fn others_see_one_come_and_go() {
    let server = shared().await;
    let (ana, ben) = (server.person("ana").await, server.person("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut a = ana.enters(&room).await;
    let b = ben.enters(&room).await;
    assert_eq!(
        a.next_is("presence").await,
        json!({"type": "presence", "room_id": room, "user_id": ben.id, "status": "online", "last_seen": null})
    );
    let second = ben.enters(&room).await;
    b.closes().await;
    a.has_heard_nothing().await;
    let since = Instant::now();
    second.closes().await;
    let gone = a.next_is("presence").await;
    assert_eq!((&gone["user_id"], &gone["status"]), (&json!(ben.id), &json!("offline")));
    assert!(gone["last_seen"].is_string(), "{gone}");
    assert!(since.elapsed() < Duration::from_secs(6), "{:?}", since.elapsed());
}

#[tokio::test]
async fn who_comes_is_told_who_is_there_already_wherever_they_are_signed_in() {
    let server = shared().await;
    let (ana, ben) = (server.person("ana").await, server.person("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let (_list, _) = ben.signs_in().await;
    let mut a = ana.way_into(&room).opens().await.expect("a socket");
    a.next_is("connection_established").await;
    a.next_is("read_state").await;
    assert_eq!(a.next_is("presence_state").await["online"], json!([ana.id, ben.id]));
    a.has_heard_nothing().await;
}

#[tokio::test]
async fn typing_is_told_to_the_others_only_and_within_its_budget() {
    let server = shared().await;
    let (ana, ben) = (server.person("ana").await, server.person("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut a = ana.enters(&room).await;
    let mut b = ben.enters(&room).await;
    a.hears("presence").await;
    for n in 0..200 {
        b.sends(json!({"type": "typing", "is_typing": n % 2 == 0})).await;
    }
    b.sends(json!({"type": "typing", "is_typing": true})).await;
    b.has_heard_nothing().await;
    let frame = a.next_is("typing").await;
    assert_eq!(
        frame,
        json!({"type": "typing", "room_id": room, "user_id": ben.id, "username": ben.name,
        "is_typing": true})
    );
    let mut states = vec![true];
    loop {
        let frame = a.hears("typing").await;
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
    let (ana, ben) = (server.person("ana").await, server.person("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut a = ana.enters(&room).await;
    let mut b = ben.enters(&room).await;
    a.hears("presence").await;
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
async fn a_room_that_shrinks_to_where_presence_is_told_tells_it_anew() {
    let server = shared().await;
    let (ana, ben, cleo) =
        (server.person("ana").await, server.person("ben").await, server.person("cleo").await);
    let crowd = server.crowd(198).await;
    let ids: Vec<i64> = crowd.iter().copied().chain([ben.id, cleo.id]).collect();
    let room = json!({"room_type": "group", "name": "Crowd", "participant_ids": ids});
    let room = text(&ana.posts("rooms/", room).await["id"]);
    let mut a = ana.way_into(&room).opens().await.expect("a socket");
    a.next_is("connection_established").await;
    a.next_is("read_state").await;
    let mut b = ben.way_into(&room).opens().await.expect("a socket");
    b.next_is("connection_established").await;
    b.next_is("read_state").await;
    a.has_heard_nothing().await;
    ana.removes(&cleo, &room).await;
    let mut told = std::collections::BTreeMap::new();
    a.hears("participant_left").await;
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
