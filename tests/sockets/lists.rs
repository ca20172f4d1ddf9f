//! The socket of all of a person's rooms.

use std::time::Duration;

use chrono::Utc;
use serde_json::json;
use uuid::Uuid;

use crate::people::Person;
use crate::shared;

fn message_author(person: &Person) -> serde_json::Value {
    json!({"id": person.id, "username": person.name, "full_name": format!("Full {}", person.name)})
}

#[tokio::test]
async fn a_list_shows_what_changes_in_any_room() {
    let server = shared().await;
    let (ana, ben) = (server.person("ana").await, server.person("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    ana.posts_message(&room, "zero").await;
    let (mut list, greeting) = ben.signs_in().await;
    assert_eq!(
        greeting,
        json!({"type": "connection_established", "user_id": ben.id, "username": ben.name,
        "unread_count": 1, "protocol": 1})
    );

    let message = ana.posts_message(&room, "one").await;
    assert_eq!(
        list.next_is("inbox").await,
        json!({"type": "inbox", "room_id": room, "unread_count": 2,
        "total_unread": 2, "last_message_preview": "one", "last_message_time": message["created_at"],
        "last_message_sender": message_author(&ana), "display_name": "Team", "partner": null,
        "is_active": true, "is_muted": false})
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
        "total_unread": 0})
    );
}

#[tokio::test]
async fn rooms_come_and_go_with_their_people() {
    let server = shared().await;
    let (ana, ben) = (server.person("ana").await, server.person("ben").await);
    let (mut list, _) = ben.signs_in().await;
    let room = ana.makes_group(&[]).await;
    ana.adds(&ben, &room).await;
    let added = list.next_is("room_added").await;
    assert_eq!((&added["room_id"], &added["room"]["id"]), (&json!(room), &json!(room)));
    list.next_is("inbox").await;
    list.sends(json!({"type": "subscribe", "room_id": room})).await;
    list.hears("presence_state").await;
    ana.removes(&ben, &room).await;
    ana.posts_message(&room, "not for ben").await;
    let mut kinds = Vec::new();
    while kinds.len() < 2 {
        let frame = list.next().await;
        if frame["type"] != "presence" {
            kinds.push(frame["type"].as_str().expect("a type").to_owned());
        }
    }
    kinds.sort();
    assert_eq!(kinds, ["participant_left", "room_removed"]);
    list.has_heard_nothing().await;
    let made = ana.makes_group(&[&ben]).await;
    assert_eq!(list.next_is("room_added").await["room_id"], made);
}

#[tokio::test]
async fn a_subscription_tells_all_of_a_room_until_it_is_ended() {
    let server = shared().await;
    let (ana, ben) = (server.person("ana").await, server.person("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    ana.posts_message(&room, "zero").await;
    let page = ana.events(&room, 0).await.1;
    let (mut list, _) = ben.signs_in().await;

    list.sends(json!({"type": "subscribe", "room_id": room, "since": 3})).await;
    assert_eq!(
        list.next().await,
        json!({"type": "subscribed", "room_id": room, "seq": 4,
        "epoch": page["epoch"], "unread_count": 1})
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
    list.hears("ack").await;
    while list.hears("inbox").await["last_message_preview"] != "two" {}
    list.has_heard_nothing().await;
}

#[tokio::test]
async fn typing_before_the_room_has_answered_is_no_error() {
    let server = shared().await;
    let ana = server.person("ana").await;
    let room = ana.makes_group(&[]).await;
    let (mut list, _) = ana.signs_in().await;
    list.sends(json!({"type": "subscribe", "room_id": room})).await;
    list.sends(json!({"type": "typing", "room_id": room, "is_typing": true})).await;
    list.next_is("subscribed").await;
    list.next_is("read_state").await;
    list.next_is("presence_state").await;
    list.has_heard_nothing().await;
}

#[tokio::test]
async fn subscriptions_that_follow_each_other_at_once_are_carried_out_in_order() {
    let server = shared().await;
    let ana = server.person("ana").await;
    let room = ana.makes_group(&[]).await;
    let (mut list, _) = ana.signs_in().await;
    let subscribe = json!({"type": "subscribe", "room_id": room});
    let unsubscribe = json!({"type": "unsubscribe", "room_id": room});
    for frame in [&subscribe, &subscribe, &unsubscribe, &subscribe] {
        list.sends(frame.clone()).await;
    }
    for _ in 0..3 {
        list.hears("subscribed").await;
    }
    list.hears("presence_state").await;
    ana.posts_message(&room, "once").await;
    list.sees("once").await;
    while list.hears("inbox").await["last_message_preview"] != "once" {}
    for frame in [&subscribe, &unsubscribe] {
        list.sends(frame.clone()).await;
    }
    list.hears("subscribed").await;
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
async fn a_room_that_is_not_ones_own_is_refused_with_its_name() {
    let server = shared().await;
    let (ana, eve) = (server.person("ana").await, server.person("eve").await);
    let room = ana.makes_group(&[]).await;
    let (mut list, _) = eve.signs_in().await;
    for target in [room.clone(), Uuid::new_v4().to_string()] {
        list.sends(json!({"type": "subscribe", "room_id": target})).await;
        assert_eq!(list.is_told("forbidden").await["room_id"], target);
    }
    let client_id = Uuid::new_v4().to_string();
    list.sends(json!({"type": "chat_message", "room_id": room, "message": "hi", "client_id": client_id}))
        .await;
    let error = list.is_told("forbidden").await;
    assert_eq!((&error["client_id"], &error["room_id"]), (&json!(client_id), &json!(room)));
    for since in [json!(-1), json!("x"), json!(1.5)] {
        list.sends(json!({"type": "subscribe", "room_id": room, "since": since})).await;
        assert_eq!(list.is_told("bad_frame").await["room_id"], room);
    }
    list.sends(json!({"type": "chat_message", "message": "where?"})).await;
    list.is_told("bad_frame").await;
}

#[tokio::test]
async fn muted_rooms_are_left_out_of_the_total_for_as_long_as_they_are_muted() {
    let server = shared().await;
    let (ana, ben) = (server.person("ana").await, server.person("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let place = ana.place_of(&ben, &room).await;
    let mute = format!("participants/{place}/mute/");
    let (mut list, _) = ben.signs_in().await;
    ana.posts_message(&room, "one").await;
    assert_eq!(list.next_is("inbox").await["total_unread"], 1);
    ben.posts(&mute, json!({"muted": true})).await;
    let line = list.next_is("inbox").await;
    assert_eq!((&line["unread_count"], &line["total_unread"]), (&json!(1), &json!(0)));
    assert_eq!(ben.signs_in().await.1["unread_count"], 0);
    ben.posts(&mute, json!({"muted": false})).await;
    assert_eq!(list.next_is("inbox").await["total_unread"], 1);
    let until = (Utc::now() + Duration::from_secs(2)).to_rfc3339();
    ben.posts(&mute, json!({"muted": true, "muted_until": until})).await;
    assert_eq!(list.next_is("inbox").await["total_unread"], 0);
    assert_eq!(list.next_is("inbox").await["total_unread"], 1, "muting lapses by itself");
}

#[tokio::test]
async fn a_second_socket_takes_no_news_from_the_first() {
    let server = shared().await;
    let (ana, ben) = (server.person("ana").await, server.person("ben").await);
    let (mut first, _) = ben.signs_in().await;
    for _ in 0..5 {
        let room = ana.makes_group(&[]).await;
        let ((), (second, _)) = tokio::join!(ana.adds(&ben, &room), ben.signs_in());
        let (third, _) = ben.signs_in().await;
        assert_eq!(first.hears("room_added").await["room_id"], room);
        while first.hears("inbox").await["room_id"] != room.as_str() {}
        second.closes().await;
        third.closes().await;
    }
}

#[tokio::test]
async fn the_total_is_right_after_leaving_several_rooms_at_once_and_the_last() {
    let server = shared().await;
    let (ana, ben) = (server.person("ana").await, server.person("ben").await);
    let mut rooms = Vec::new();
    for n in 0..4 {
        let room = ana.makes_group(&[&ben]).await;
        for _ in 0..=n {
            ana.posts_message(&room, "hi").await;
        }
        rooms.push(room);
    }
    let (mut list, greeting) = ben.signs_in().await;
    assert_eq!(greeting["unread_count"], 10);
    let leave = |room: usize| ben.leaves(&rooms[room]);
    tokio::join!(leave(1), leave(2), leave(3));
    let told = loop {
        let frame = list.next().await;
        // Clients that don't know the total of a removal are told it by a line that stays.
        if frame["type"] == "inbox" && frame["total_unread"] == 1 {
            break frame;
        }
    };
    assert_eq!(told["room_id"], rooms[0].as_str());
    leave(0).await;
    assert_eq!(list.hears("room_removed").await["total_unread"], 0);
}

#[tokio::test]
async fn a_room_that_came_and_went_is_told_to_be_gone() {
    let server = shared().await;
    let (ana, ben) = (server.person("ana").await, server.person("ben").await);
    let room = ana.makes_group(&[]).await;
    let (mut list, _) = ben.signs_in().await;
    ana.adds(&ben, &room).await;
    // Read by REST in between, or not: the client can't know.
    ben.leaves(&room).await;
    assert_eq!(list.hears("room_removed").await["room_id"], room);
}

#[tokio::test]
async fn a_line_names_its_people_as_they_are_called_now() {
    let server = shared().await;
    let (ana, ben) = (server.person("ana").await, server.person("ben").await);
    let (direct, group) = (ana.opens_direct(&ben).await, ana.makes_group(&[&ben]).await);
    let (mut list, _) = ana.signs_in().await;
    ben.posts_message(&group, "hi").await;
    assert_eq!(list.next_is("inbox").await["last_message_sender"], message_author(&ben));
    let named = |name: &str, full_name: &str| json!({"id": ben.id, "username": name, "full_name": full_name});
    let mut follow = async |person: serde_json::Value| {
        let (mut partner, mut sender) = (json!(null), json!(null));
        while partner != person || sender != person {
            let frame = list.next_is("inbox").await;
            if frame["room_id"] == direct.as_str() {
                assert_eq!(frame["display_name"], frame["partner"]["full_name"]);
                partner = frame["partner"].clone();
            } else {
                sender = frame["last_message_sender"].clone();
            }
        }
    };
    server.host().tells(&ben, json!({"full_name": "Benjamin"})).await;
    follow(named(&ben.name, "Benjamin")).await;
    server.host().deletes(&format!("users/{}/", ben.id)).await;
    follow(named("deleted", "Deleted user")).await;
    let page = ana.gets("rooms/?room_type=direct").await;
    assert_eq!(page["results"][0]["partner"], named("deleted", "Deleted user"));
}

#[tokio::test]
async fn what_is_unread_in_an_archived_room_is_in_no_total() {
    let server = shared().await;
    let (ana, ben) = (server.person("ana").await, server.person("ben").await);
    let (room, other) = (ana.makes_group(&[&ben]).await, ana.makes_group(&[&ben]).await);
    for room in [&room, &room, &other] {
        ana.posts_message(room, "hi").await;
    }
    let (mut list, greeting) = ben.signs_in().await;
    assert_eq!(greeting["unread_count"], 3);
    ana.posts(&format!("rooms/{room}/archive/"), json!({})).await;
    let line = list.next_is("inbox").await;
    assert_eq!((&line["unread_count"], &line["total_unread"]), (&json!(2), &json!(1)));
    assert_eq!(ben.gets("unread/").await["unread_count"], 1);
    assert_eq!(ben.signs_in().await.1["unread_count"], 1);
    ana.posts(&format!("rooms/{room}/unarchive/"), json!({})).await;
    assert_eq!(list.next_is("inbox").await["total_unread"], 3);
    assert_eq!(ben.gets("unread/").await["unread_count"], 3);
}

#[tokio::test]
async fn who_signs_in_amid_traffic_is_greeted_first() {
    let server = shared().await;
    let (ana, ben) = (server.person("ana").await, server.person("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut a = ana.enters(&room).await;
    let (_first, _) = ben.signs_in().await;
    let talk = tokio::spawn(async move {
        for n in 0..400 {
            a.says(&format!("n{n}")).await;
            a.sees(&format!("n{n}")).await;
        }
    });
    while !talk.is_finished() {
        let (socket, _) = ben.signs_in().await;
        socket.closes().await;
    }
    talk.await.expect("a talk");
}
