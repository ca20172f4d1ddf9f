//! The user socket with all rooms of a user.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::Utc;
use serde_json::json;
use uuid::Uuid;

use crate::shared;
use crate::users::TestUser;

fn message_author(user: &TestUser) -> serde_json::Value {
    json!({"id": user.id, "username": user.name, "full_name": format!("Full {}", user.name)})
}

#[tokio::test]
async fn the_inbox_shows_changes_in_every_room() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    ana.posts_message(&room, "zero").await;
    let (mut list, greeting) = ben.opens_user_socket().await;
    assert_eq!(
        greeting,
        json!({"type": "connection_established", "user_id": ben.id, "username": ben.name,
        "unread_count": 1, "mention_count": 0, "protocol": 1})
    );

    let message = ana.posts_message(&room, "one").await;
    assert_eq!(
        list.next_is("inbox").await,
        json!({"type": "inbox", "room_id": room, "unread_count": 2, "mention_count": 0,
        "total_unread": 2, "total_mentions": 0, "last_message_preview": "one", "last_message_time": message["created_at"],
        "last_message_sender": message_author(&ana), "display_name": "Team", "partner": null,
        "is_active": true, "is_muted": false, "description": "", "level": "all", "favourite": false})
    );
    let path = format!("messages/{}/", message["id"].as_str().expect("an id"));
    ana.patches(&path, json!({"content": "changed"})).await;
    assert_eq!(list.next_is("inbox").await["last_message_preview"], "changed");
    ana.deletes(&path).await;
    let line = list.next_is("inbox").await;
    assert_eq!((&line["last_message_preview"], &line["unread_count"]), (&json!("zero"), &json!(1)));
    ana.patches(&format!("rooms/{room}/"), json!({"name": "Other"})).await;
    assert_eq!(list.next_is("inbox").await["display_name"], "Other");
    ana.deletes(&format!("rooms/{room}/")).await;
    assert_eq!(
        list.next_is("room_removed").await,
        json!({"type": "room_removed", "room_id": room,
        "total_unread": 0, "total_mentions": 0})
    );
}

#[tokio::test]
async fn rooms_appear_and_disappear_with_membership() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let (mut list, _) = ben.opens_user_socket().await;
    let room = ana.makes_group(&[]).await;
    ana.adds(&ben, &room).await;
    let added = list.next_is("room_added").await;
    assert_eq!((&added["room_id"], &added["room"]["id"]), (&json!(room), &json!(room)));
    list.next_is("inbox").await;
    list.sends(json!({"type": "subscribe", "room_id": room})).await;
    list.receives("presence_state").await;
    ana.removes(&ben, &room).await;
    ana.posts_message(&room, "not for ben").await;
    let mut kinds = BTreeSet::new();
    while kinds.len() < 2 {
        let frame = list.next().await;
        if frame["type"] != "presence" {
            kinds.insert(frame["type"].as_str().expect("a type").to_owned());
        }
    }
    assert_eq!(kinds, ["participant_left", "room_removed"].map(str::to_owned).into());
    let made = ana.makes_group(&[&ben]).await;
    let added = loop {
        let frame = list.next().await;
        match frame["type"].as_str() {
            Some("room_added") => break frame,
            // Of a room that the user was in for a moment it may be sent twice.
            Some("room_removed") => assert_eq!(frame["room_id"], json!(room), "{frame}"),
            kind => assert_eq!(kind, Some("presence"), "{frame}"),
        }
    };
    assert_eq!(added["room_id"], json!(made));
}

#[tokio::test]
async fn a_subscription_delivers_everything_until_it_ends() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    ana.posts_message(&room, "zero").await;
    let page = ana.events(&room, 0).await.1;
    let (mut list, _) = ben.opens_user_socket().await;

    list.sends(json!({"type": "subscribe", "room_id": room, "since": 3})).await;
    assert_eq!(
        list.next().await,
        json!({"type": "subscribed", "room_id": room, "seq": 4,
        "epoch": page["epoch"], "unread_count": 1, "capabilities": ["post", "react", "pin", "urgent"]})
    );
    list.next_is("chat_message").await;
    list.next_is("synced").await;
    list.next_is("read_state").await;
    list.next_is("presence_state").await;
    list.sends(json!({"type": "chat_message", "room_id": room, "message": "one"})).await;
    list.sees("one").await;
    list.sends(json!({"type": "unsubscribe", "room_id": room})).await;
    list.sends(json!({"type": "chat_message", "room_id": room, "message": "two",
        "client_id": Uuid::new_v4()}))
        .await;
    let (mut is_answered, mut is_listed) = (false, false);
    while !(is_answered && is_listed) {
        let frame = list.next().await;
        assert_ne!(frame["type"], "chat_message", "{frame}");
        is_answered |= frame["type"] == "ack";
        is_listed |= frame["type"] == "inbox" && frame["last_message_preview"] == "two";
    }
    list.receives_nothing().await;
}

#[tokio::test]
async fn typing_before_the_subscription_is_no_error() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let (mut list, _) = ana.opens_user_socket().await;
    list.sends(json!({"type": "subscribe", "room_id": room})).await;
    list.sends(json!({"type": "typing", "room_id": room, "is_typing": true})).await;
    list.next_is("subscribed").await;
    list.next_is("read_state").await;
    list.next_is("presence_state").await;
    list.receives_nothing().await;
}

#[tokio::test]
async fn immediate_subscription_changes_are_applied_in_order() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let (mut list, _) = ana.opens_user_socket().await;
    let subscribe = json!({"type": "subscribe", "room_id": room});
    let unsubscribe = json!({"type": "unsubscribe", "room_id": room});
    for frame in [&subscribe, &subscribe, &unsubscribe, &subscribe] {
        list.sends(frame.clone()).await;
    }
    for _ in 0..3 {
        list.receives("subscribed").await;
    }
    list.receives("presence_state").await;
    ana.posts_message(&room, "once").await;
    // The room's frame and the row's come from two actors, in either order.
    let (mut is_seen, mut is_listed) = (false, false);
    while !(is_seen && is_listed) {
        let frame = list.next().await;
        is_seen |= frame["type"] == "chat_message" && frame["message"]["content"] == "once";
        is_listed |= frame["type"] == "inbox" && frame["last_message_preview"] == "once";
    }
    for frame in [&subscribe, &unsubscribe] {
        list.sends(frame.clone()).await;
    }
    list.receives("subscribed").await;
    ana.posts_message(&room, "unheard").await;
    loop {
        let frame = list.next().await;
        assert_ne!(frame["type"], "chat_message", "{frame}");
        if frame["type"] == "inbox" && frame["last_message_preview"] == "unheard" {
            break;
        }
    }
}

#[tokio::test]
async fn subscribing_to_a_foreign_room_is_refused_with_its_id() {
    let server = shared().await;
    let (ana, eve) = (server.user("ana").await, server.user("eve").await);
    let room = ana.makes_group(&[]).await;
    let (mut list, _) = eve.opens_user_socket().await;
    for target in [room.clone(), Uuid::new_v4().to_string()] {
        list.sends(json!({"type": "subscribe", "room_id": target})).await;
        assert_eq!(list.receives_error("forbidden").await["room_id"], target);
    }
    let client_id = Uuid::new_v4().to_string();
    list.sends(json!({"type": "chat_message", "room_id": room, "message": "hi", "client_id": client_id}))
        .await;
    let error = list.receives_error("forbidden").await;
    assert_eq!((&error["client_id"], &error["room_id"]), (&json!(client_id), &json!(room)));
    for since in [json!(-1), json!("x"), json!(1.5)] {
        list.sends(json!({"type": "subscribe", "room_id": room, "since": since})).await;
        assert_eq!(list.receives_error("bad_frame").await["room_id"], room);
    }
    list.sends(json!({"type": "chat_message", "message": "where?"})).await;
    list.receives_error("bad_frame").await;
}

#[tokio::test]
async fn muted_rooms_are_not_in_the_total_while_muted() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let place = ana.participant_id(&ben, &room).await;
    let mute = format!("participants/{place}/mute/");
    let (mut list, _) = ben.opens_user_socket().await;
    ana.posts_message(&room, "one").await;
    assert_eq!(list.next_is("inbox").await["total_unread"], 1);
    ben.posts(&mute, json!({"muted": true})).await;
    let line = list.next_is("inbox").await;
    assert_eq!((&line["unread_count"], &line["total_unread"]), (&json!(1), &json!(0)));
    assert_eq!(ben.opens_user_socket().await.1["unread_count"], 0);
    ben.posts(&mute, json!({"muted": false})).await;
    assert_eq!(list.next_is("inbox").await["total_unread"], 1);
    let until = (Utc::now() + Duration::from_secs(2)).to_rfc3339();
    ben.posts(&mute, json!({"muted": true, "muted_until": until})).await;
    assert_eq!(list.next_is("inbox").await["total_unread"], 0);
    assert_eq!(list.next_is("inbox").await["total_unread"], 1, "muting lapses by itself");
}

#[tokio::test]
async fn a_second_socket_takes_no_updates_from_the_first() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let (mut first, _) = ben.opens_user_socket().await;
    for _ in 0..5 {
        let room = ana.makes_group(&[]).await;
        let ((), (second, _)) = tokio::join!(ana.adds(&ben, &room), ben.opens_user_socket());
        let (third, _) = ben.opens_user_socket().await;
        assert_eq!(first.receives("room_added").await["room_id"], room);
        while first.receives("inbox").await["room_id"] != room.as_str() {}
        second.closes().await;
        third.closes().await;
    }
}

#[tokio::test]
async fn the_total_is_right_after_leaving_several_rooms_at_once() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let mut rooms = Vec::new();
    for n in 0..4 {
        let room = ana.makes_group(&[&ben]).await;
        for _ in 0..=n {
            ana.posts_message(&room, "hi").await;
        }
        rooms.push(room);
    }
    let (mut list, greeting) = ben.opens_user_socket().await;
    assert_eq!(greeting["unread_count"], 10);
    let leave = |room: usize| ben.leaves(&rooms[room]);
    tokio::join!(leave(1), leave(2), leave(3));
    let told = loop {
        let frame = list.next().await;
        // Clients that ignore the total in a removal get it from the next row.
        if frame["type"] == "inbox" && frame["total_unread"] == 1 {
            break frame;
        }
    };
    assert_eq!(told["room_id"], rooms[0].as_str());
    leave(0).await;
    assert_eq!(list.receives("room_removed").await["total_unread"], 0);
}

#[tokio::test]
async fn a_room_added_and_removed_at_once_is_reported_removed() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[]).await;
    let (mut list, _) = ben.opens_user_socket().await;
    ana.adds(&ben, &room).await;
    // Read by REST in between, or not: the client can't know.
    ben.leaves(&room).await;
    assert_eq!(list.receives("room_removed").await["room_id"], room);
}

#[tokio::test]
async fn an_inbox_row_has_the_current_names_of_its_users() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let (direct, group) = (ana.opens_direct(&ben).await, ana.makes_group(&[&ben]).await);
    let (mut list, _) = ana.opens_user_socket().await;
    ben.posts_message(&group, "hi").await;
    assert_eq!(list.next_is("inbox").await["last_message_sender"], message_author(&ben));
    let named = |name: &str, full_name: &str| json!({"id": ben.id, "username": name, "full_name": full_name});
    let mut follow = async |user: serde_json::Value| {
        let (mut partner, mut sender) = (json!(null), json!(null));
        while partner != user || sender != user {
            let frame = list.next_is("inbox").await;
            if frame["room_id"] == direct.as_str() {
                assert_eq!(frame["display_name"], frame["partner"]["full_name"]);
                partner = frame["partner"].clone();
            } else {
                sender = frame["last_message_sender"].clone();
            }
        }
    };
    server.host().upserts(&ben, json!({"full_name": "Benjamin"})).await;
    follow(named(&ben.name, "Benjamin")).await;
    server.host().deletes(&format!("users/{}/", ben.id)).await;
    follow(named("deleted", "Deleted user")).await;
    let page = ana.gets("rooms/?room_type=direct").await;
    assert_eq!(page["results"][0]["partner"], named("deleted", "Deleted user"));
}

#[tokio::test]
async fn unread_messages_in_an_archived_room_are_in_no_total() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let (room, other) = (ana.makes_group(&[&ben]).await, ana.makes_group(&[&ben]).await);
    for room in [&room, &room, &other] {
        ana.posts_message(room, "hi").await;
    }
    let (mut list, greeting) = ben.opens_user_socket().await;
    assert_eq!(greeting["unread_count"], 3);
    ana.posts(&format!("rooms/{room}/archive/"), json!({})).await;
    let line = list.next_is("inbox").await;
    assert_eq!((&line["unread_count"], &line["total_unread"]), (&json!(2), &json!(1)));
    assert_eq!(ben.gets("unread/").await["unread_count"], 1);
    assert_eq!(ben.opens_user_socket().await.1["unread_count"], 1);
    ana.posts(&format!("rooms/{room}/unarchive/"), json!({})).await;
    assert_eq!(list.next_is("inbox").await["total_unread"], 3);
    assert_eq!(ben.gets("unread/").await["unread_count"], 3);
}

#[tokio::test]
async fn a_user_socket_opened_amid_traffic_is_greeted_first() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut a = ana.joins(&room).await;
    let (_first, _) = ben.opens_user_socket().await;
    let talk = tokio::spawn(async move {
        for n in 0..400 {
            a.says(&format!("n{n}")).await;
            a.sees(&format!("n{n}")).await;
        }
    });
    while !talk.is_finished() {
        let (socket, _) = ben.opens_user_socket().await;
        socket.closes().await;
    }
    talk.await.expect("a talk");
}
