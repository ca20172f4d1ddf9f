//! Being told: when, by which rules, on all devices, and how what was told is withdrawn.

use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};

use crate::node::Node;
use crate::shared;
use crate::socket::Socket;
use crate::users::TestUser;

/// How soon after a reading what was told must be withdrawn.
const WITHDRAWN_WITHIN: Duration = Duration::from_secs(2);

/// Changes a user's settings.
pub(crate) async fn sets(user: &TestUser, settings: Value) {
    let (status, body) = user.requests(Method::PUT, "notifications/settings/", Some(settings)).await;
    assert_eq!(status, 200, "{body}");
}

/// Opens a user socket on which notifications are heard.
pub(crate) async fn listens(user: &TestUser) -> Socket {
    user.opens_user_socket().await.0.hearing_notifications()
}

async fn reads(user: &TestUser, room: &str) {
    user.posts(&format!("rooms/{room}/mark_read/"), json!({})).await;
}

async fn reasons(user: &TestUser, message: &Value) -> Value {
    user.gets(&format!("messages/{}/why/", message["id"].as_str().expect("an id"))).await
}

/// Sends a message with fields besides its text.
async fn posts(user: &TestUser, room: &str, fields: Value) -> Value {
    let mut body = json!({"room": room, "content": "look"});
    body.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
    user.posts("messages/", body).await
}

#[tokio::test]
async fn what_is_read_in_time_is_not_told_and_reading_later_withdraws() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    sets(&ben, json!({"delay_seconds": 3})).await;
    let (mut phone, mut desk) = (listens(&ben).await, listens(&ben).await);
    let first = ana.posts_message(&room, "one").await;
    reads(&ben, &room).await;
    let second = ana.posts_message(&room, "two").await;
    // The first frame of a notification is that of the second message.
    let told = phone.receives("notification").await;
    assert_eq!(
        told,
        json!({"type": "notification", "id": told["id"], "kind": "message", "room_id": room, "seq": second["seq"],
            "message_id": second["id"], "title": "Team", "body": format!("Full {}: two", ana.name), "urgent": false,
            "position": 1})
    );
    assert_eq!(desk.receives("notification").await, told);
    assert_eq!(reasons(&ben, &first).await["reasons"][0]["rule"], "read");
    let why = reasons(&ben, &second).await;
    assert_eq!((&why["told"], &why["reasons"][0]["rule"]), (&json!(true), &json!("message")));
    assert_eq!((&why["ways"][0]["way"], &why["ways"][0]["state"]), (&json!("in_app"), &json!("told")));
    assert_eq!(reasons(&ana, &second).await["reasons"][0]["rule"], "own");
    let list = ben.gets("notifications/?unread=true").await;
    assert_eq!((&list["count"], &list["results"][0]["id"]), (&json!(1), &told["id"]));

    reads(&ben, &room).await;
    let read_at = Instant::now();
    for device in [&mut phone, &mut desk] {
        let gone = device.receives("notification_gone").await;
        assert_eq!(gone, json!({"type": "notification_gone", "ids": [told["id"]], "position": 2}));
    }
    assert!(read_at.elapsed() < WITHDRAWN_WITHIN, "{:?}", read_at.elapsed());
    assert_eq!(ben.gets("notifications/?unread=true").await["count"], 0);
    let list = ben.gets("notifications/").await;
    assert!(list["results"][0]["read_at"].is_string(), "{list}");
    assert_eq!(ana.gets("notifications/").await["count"], 0);
}

#[tokio::test]
async fn a_burst_is_one_notification_that_is_updated() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    sets(&ben, json!({"delay_seconds": 1})).await;
    let mut phone = listens(&ben).await;
    let mut last = Value::Null;
    for text in ["one", "two", "three"] {
        last = ana.posts_message(&room, text).await;
    }
    let told = phone.receives("notification").await;
    let mention = posts(&ana, &room, json!({"mentions": [ben.id]})).await;
    let mut updated = phone.receives("notification").await;
    while updated["message_id"] != mention["id"] {
        updated = phone.receives("notification").await;
    }
    assert_eq!((&updated["id"], &updated["kind"]), (&told["id"], &json!("mention")));
    assert!(updated["seq"].as_i64() > last["seq"].as_i64());
    let list = ben.gets("notifications/").await;
    assert_eq!((&list["count"], &list["results"][0]["message_id"]), (&json!(1), &mention["id"]));
}

#[tokio::test]
async fn nobody_waits_for_a_device_that_is_not_connected() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.opens_direct(&ben).await;
    let sent = Instant::now();
    ana.posts_message(&room, "are you there?").await;
    let told = loop {
        let list = ben.gets("notifications/").await;
        if list["count"] == 1 {
            break list["results"][0].clone();
        }
        assert!(sent.elapsed() < Duration::from_secs(8), "the delay is 10 s");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    // The room has the sender's name, so the body doesn't.
    assert_eq!(
        (&told["title"], &told["body"]),
        (&json!(format!("Full {}", ana.name)), &json!("are you there?"))
    );
    sets(&ben, json!({"hide_text": true})).await;
    assert_eq!(ben.gets("notifications/").await["results"][0]["body"], "New message");
}

#[tokio::test]
async fn a_mention_by_name_pierces_muting_and_levels_do_what_they_say() {
    let server = shared().await;
    let (ana, ben, cai) = (server.user("ana").await, server.user("ben").await, server.user("cai").await);
    let dia = server.user("dia").await;
    let room = ana.makes_group(&[&ben, &cai, &dia]).await;
    for user in [&ben, &cai, &dia] {
        sets(user, json!({"delay_seconds": 0, "keywords": ["Boiler"]})).await;
    }
    let place = ben.participant_id(&ben, &room).await;
    ben.posts(&format!("participants/{place}/mute/"), json!({"muted": true})).await;
    for (user, level) in [(&cai, "mentions"), (&dia, "nothing")] {
        let place = user.participant_id(user, &room).await;
        user.patches(&format!("participants/{place}/"), json!({"level": level})).await;
    }
    let (mut bens, mut cais) = (listens(&ben).await, listens(&cai).await);
    let plain = posts(&ana, &room, json!({"content": "hello"})).await;
    let keyword = posts(&ana, &room, json!({"content": "the boiler!"})).await;
    let told = cais.receives("notification").await;
    assert_eq!((&told["kind"], &told["message_id"]), (&json!("keyword"), &keyword["id"]));
    let of_all = posts(&ana, &room, json!({"mention_room": true})).await;
    let told = cais.receives("notification").await;
    assert_eq!((&told["kind"], &told["message_id"]), (&json!("mention"), &of_all["id"]));
    let by_name = posts(&ana, &room, json!({"mentions": [ben.id, dia.id]})).await;
    let told = bens.receives("notification").await;
    assert_eq!((&told["kind"], &told["message_id"]), (&json!("mention"), &by_name["id"]));
    for (user, message, rule) in [
        (&ben, &plain, "muted"),
        (&ben, &of_all, "muted"),
        (&cai, &plain, "level_mentions"),
        (&dia, &by_name, "level_nothing"),
    ] {
        let why = reasons(user, message).await;
        assert_eq!((&why["told"], &why["reasons"][0]["rule"]), (&json!(false), &json!(rule)));
        assert!(why["reasons"][0]["text"].is_string() && why["ways"] == json!([]), "{why}");
    }
    assert_eq!(dia.gets("notifications/").await["count"], 0);
}

#[tokio::test]
async fn quiet_hours_hold_back_until_they_end() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let clock = |hours| (Utc::now() + TimeDelta::hours(hours)).format("%H:%M").to_string();
    let quiet = json!({"from": clock(-1), "to": clock(2), "timezone": "UTC"});
    sets(&ben, json!({"delay_seconds": 0, "quiet": quiet})).await;
    let mut phone = listens(&ben).await;
    let message = ana.posts_message(&room, "good night").await;
    let why = reasons(&ben, &message).await;
    let rules: Vec<&Value> =
        why["reasons"].as_array().expect("a list").iter().map(|one| &one["rule"]).collect();
    assert_eq!(rules, ["message", "waiting", "quiet_hours"]);
    assert_eq!((&why["told"], &why["ways"][0]["state"]), (&json!(false), &json!("waiting")));
    // Someone else is told meanwhile, so the room was looked at.
    let other = ana.makes_group(&[&ben]).await;
    sets(&ana, json!({"delay_seconds": 0})).await;
    let mut anas = listens(&ana).await;
    ben.posts_message(&other, "still here").await;
    anas.receives("notification").await;
    assert_eq!(ben.gets("notifications/").await["count"], 0);
    sets(&ben, json!({"quiet": null})).await;
    assert_eq!(phone.receives("notification").await["message_id"], message["id"]);
}

#[tokio::test]
async fn what_is_deleted_or_out_of_reach_is_withdrawn() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    sets(&ben, json!({"delay_seconds": 0})).await;
    let mut phone = listens(&ben).await;
    let one = ana.posts_message(&room, "one").await;
    phone.receives("notification").await;
    let two = ana.posts_message(&room, "two").await;
    let told = phone.receives("notification").await;
    assert_eq!(told["message_id"], two["id"]);
    let delete = async |message: &Value| {
        ana.deletes(&format!("messages/{}/", message["id"].as_str().expect("an id"))).await;
    };
    delete(&two).await;
    let changed = phone.receives("notification").await;
    assert_eq!((&changed["id"], &changed["message_id"]), (&told["id"], &one["id"]));
    delete(&one).await;
    assert_eq!(phone.receives("notification_gone").await["ids"], json!([told["id"]]));
    assert_eq!(ben.gets("notifications/").await["count"], 0);
    ana.posts_message(&room, "three").await;
    let told = phone.receives("notification").await;
    ana.removes(&ben, &room).await;
    assert_eq!(phone.receives("notification_gone").await["ids"], json!([told["id"]]));
}

#[tokio::test]
async fn reading_the_list_withdraws_on_all_devices_and_leaves_the_rooms_unread() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let (room, other) = (ana.makes_group(&[&ben]).await, ana.makes_group(&[&ben]).await);
    sets(&ben, json!({"delay_seconds": 0})).await;
    let mut phone = listens(&ben).await;
    ana.posts_message(&room, "one").await;
    let first = phone.receives("notification").await;
    ana.posts_message(&other, "two").await;
    let second = phone.receives("notification").await;
    // A device that was away gets both.
    let away = ben.user_socket().with("personal_since", "0").opens().await.expect("a socket");
    let mut away = away.hearing_notifications();
    for expected in [&first, &second] {
        assert_eq!(away.receives("notification").await, *expected);
    }
    let left = ben.posts("notifications/read/", json!({"up_to": first["id"]})).await;
    assert_eq!(left, json!({"unread_count": 1}));
    for device in [&mut phone, &mut away] {
        assert_eq!(device.receives("notification_gone").await["ids"], json!([first["id"]]));
    }
    let unread = ben.gets("notifications/?unread=1").await;
    assert_eq!((&unread["count"], &unread["results"][0]["id"]), (&json!(1), &second["id"]));
    assert_eq!(ben.gets("notifications/?unread=false").await["results"][0]["id"], first["id"]);
    let why = ben.gets("unread/why/").await;
    assert_eq!((&why["unread_count"], why["rooms"].as_array().map(Vec::len)), (&json!(2), Some(2)));
    let rooms: Vec<&Value> =
        why["rooms"].as_array().expect("rooms").iter().map(|one| &one["room_id"]).collect();
    assert!(rooms.contains(&&json!(room)) && why["rooms"][0]["reasons"][0]["rule"] == "unread", "{why}");
    assert_eq!(ben.posts("notifications/read/", json!({"up_to": second["id"]})).await["unread_count"], 0);
}

#[tokio::test]
async fn all_nodes_tell_and_withdraw_the_same() {
    let settings = [("RATE_LIMITS", "off")];
    let server = Node::start(&settings).await;
    let peer = server.start_peer(&settings);
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let mut at_peer = ben.clone();
    at_peer.address = peer.address;
    let room = ana.makes_group(&[&ben]).await;
    sets(&ben, json!({"delay_seconds": 1})).await;
    let (mut here, mut there) = (listens(&ben).await, listens(&at_peer).await);
    for text in ["one", "two"] {
        ana.posts_message(&room, text).await;
        let told = here.receives("notification").await;
        assert_eq!(there.receives("notification").await, told);
        reads(&at_peer, &room).await;
        let read_at = Instant::now();
        assert_eq!(here.receives("notification_gone").await["ids"], json!([told["id"]]));
        there.receives("notification_gone").await;
        // Without a broker, the node that doesn't withdraw hears of it by the feed.
        assert!(read_at.elapsed() < 2 * WITHDRAWN_WITHIN, "{:?}", read_at.elapsed());
    }
}
