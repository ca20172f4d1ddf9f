//! The settings of rooms as sockets have them: what they are told, and what they are refused.

use serde_json::{Value, json};

use crate::shared;
use crate::users::TestUser;

async fn sets(admin: &TestUser, room: &str, settings: Value) {
    admin.patches(&format!("rooms/{room}/"), settings).await;
}

#[tokio::test]
async fn a_change_is_one_frame_with_all_settings() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut b = ben.joins(&room).await;
    let (mut list, _) = ben.opens_user_socket().await;
    let change = json!({"posting": "admins", "slow_mode_seconds": 5, "description": "Keys", "name": "Roof"});
    sets(&ana, &room, change.clone()).await;
    let frame = b.next_is("room_updated").await;
    let told = &frame["room"];
    for (name, value) in change.as_object().expect("settings") {
        assert_eq!(&told[name], value, "{name}");
    }
    assert_eq!((&told["history"], &told["edit_history"]), (&json!("all"), &json!(true)));
    let row = list.next_is("inbox").await;
    assert_eq!((&row["description"], &row["display_name"]), (&json!("Keys"), &json!("Roof")));
    sets(&ana, &room, change).await;
    b.receives_nothing().await;
    // A replay has the settings as they are now.
    sets(&ana, &room, json!({"posting": "everyone"})).await;
    let (_, missed) = ben.resumes(&room, frame["seq"].as_i64().expect("a position") - 1).await;
    assert_eq!(missed[0]["room"]["posting"], "everyone");
    let other = ana.makes_group(&[]).await;
    ana.adds(&ben, &other).await;
    assert_eq!(list.receives("room_added").await["room"]["posting"], "everyone");
}

#[tokio::test]
async fn the_first_frame_tells_what_one_may_do() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut b = ben.room_socket(&room).opens().await.expect("a socket");
    let greeting = b.reads_greeting().await;
    assert_eq!(greeting["capabilities"], json!(["post", "react", "pin", "urgent"]));
    assert!(greeting.get("next_post_at").is_none(), "{greeting}");
    let sent = ben.posts_message(&room, "one").await;
    sets(&ana, &room, json!({"slow_mode_seconds": 3_600, "pinning": "admins"})).await;
    let (mut list, greeting) = ben.opens_user_socket().await;
    assert!(greeting.get("capabilities").is_none(), "{greeting}");
    list.sends(json!({"type": "subscribe", "room_id": room})).await;
    let subscribed = list.receives("subscribed").await;
    assert_eq!(subscribed["capabilities"], json!(["post", "react", "urgent"]));
    let at = |time: &Value| {
        let time = time.as_str().expect("a time").parse::<chrono::DateTime<chrono::Utc>>();
        time.expect("a time")
    };
    let wait = at(&subscribed["next_post_at"]) - at(&sent["created_at"]);
    assert_eq!(wait, chrono::TimeDelta::hours(1));
    let mut a = ana.room_socket(&room).opens().await.expect("a socket");
    let greeting = a.reads_greeting().await;
    assert_eq!(
        greeting["capabilities"],
        json!(["post", "react", "pin", "urgent", "moderate", "manage_participants", "manage"])
    );
}

#[tokio::test]
async fn a_member_is_refused_in_an_announcement_room_and_goes_on_reading() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let (mut a, mut b) = (ana.joins(&room).await, ben.joins(&room).await);
    sets(&ana, &room, json!({"posting": "admins"})).await;
    b.receives("room_updated").await;
    let client_id = b.says_with_client_id("hi").await;
    let error = b.receives_error("forbidden").await;
    assert_eq!((&error["client_id"], error.get("retry_after")), (&json!(client_id), None));
    a.says("Water is off on Monday").await;
    b.sees("Water is off on Monday").await;
    b.sends(json!({"type": "mark_room_read"})).await;
    b.receives("room_marked_read").await;
    a.receives("read_receipt").await;
}

#[tokio::test]
async fn slow_mode_is_an_error_with_the_time_to_wait() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    sets(&ana, &room, json!({"slow_mode_seconds": 2})).await;
    let mut b = ben.joins(&room).await;
    // Two without waiting: the first one is sent, whichever way the second one takes.
    let (first, second) = (b.says_with_client_id("one").await, b.says_with_client_id("two").await);
    assert_eq!(b.answer_to(&first).await["type"], "ack");
    let error = b.answer_to(&second).await;
    assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!("rate_limited")));
    let wait = error["retry_after"].as_f64().expect("seconds");
    assert!(wait > 0.0 && wait <= 2.0, "{error}");
    // A retry of the first one is answered, and of the second one when it is time.
    let retry = json!({"type": "chat_message", "message": "one", "client_id": first});
    b.sends(retry).await;
    assert_eq!(b.answer_to(&first).await["duplicate"], true);
    tokio::time::sleep(std::time::Duration::from_secs_f64(wait)).await;
    b.sends(json!({"type": "chat_message", "message": "two", "client_id": second})).await;
    assert_eq!(b.answer_to(&second).await["type"], "ack");
}

#[tokio::test]
async fn who_does_not_wait_is_refused_and_then_disconnected() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    sets(&ana, &room, json!({"slow_mode_seconds": 600})).await;
    let mut b = ben.joins(&room).await;
    for n in 0..120 {
        b.says(&format!("n{n}")).await;
    }
    let (heard, code) = b.receives_until_closed().await;
    assert_eq!(code, 4429);
    let errors = heard.iter().filter(|frame| frame["code"] == "rate_limited").count();
    assert!((99..120).contains(&errors), "{errors}");
    assert_eq!(ana.gets(&format!("messages/?room={room}")).await["count"], 1);
}

#[tokio::test]
async fn nothing_from_before_joining_is_sent_where_history_begins_there() {
    let server = shared().await;
    let (ana, ben, cem) = (server.user("ana").await, server.user("ben").await, server.user("cem").await);
    let room = ana.makes_group(&[&ben]).await;
    let old = ana.posts_message(&room, "secret").await;
    sets(&ana, &room, json!({"history": "joined"})).await;
    ana.adds(&cem, &room).await;
    let (mut b, mut c) = (ben.joins(&room).await, cem.joins(&room).await);
    let (mut list, _) = cem.opens_user_socket().await;
    list.sends(json!({"type": "subscribe", "room_id": room, "since": 0})).await;
    // A change of what was before, an answer to it, and a message that all may see.
    let path = format!("messages/{}/", old["id"].as_str().expect("an id"));
    ana.patches(&path, json!({"content": "another secret"})).await;
    let answer = json!({"room": room, "content": "as I said", "reply_to": old["id"]});
    ben.posts("messages/", answer).await;
    ana.posts_message(&room, "for all").await;

    let hidden = c.receives("event_hidden").await;
    assert_eq!(hidden, json!({"type": "event_hidden", "room_id": room, "seq": 7}));
    let quote = c.sees("as I said").await["message"]["reply_to"].clone();
    assert_eq!(quote, json!({"id": old["id"]}));
    c.sees("for all").await;
    assert_eq!(b.receives("message_updated").await["message"]["content"], "another secret");
    assert_eq!(b.sees("as I said").await["message"]["reply_to"], quote);
    let mut heard = Vec::new();
    while heard.last().is_none_or(|frame: &Value| frame["message"]["content"] != "for all") {
        heard.push(list.next().await);
    }
    assert!(!json!(heard).to_string().contains("secret"), "{heard:?}");

    // Replays on both kinds of sockets, and by REST, from any position.
    for since in [0, 3, 6, 8] {
        let (_, mut missed) = cem.resumes(&room, since).await;
        assert_eq!(missed.pop().expect("an end")["type"], "synced");
        assert!(!json!(missed).to_string().contains("secret"), "{missed:?}");
        let seqs: Vec<i64> = missed.iter().map(|frame| frame["seq"].as_i64().expect("a position")).collect();
        assert_eq!(seqs, (since + 1..=9).collect::<Vec<_>>());
        let page = cem.events(&room, since).await.1;
        assert_eq!(&missed, page["events"].as_array().expect("events"), "since {since}");
    }
    let (_, missed) = ben.resumes(&room, 0).await;
    assert!(missed.iter().all(|frame| frame["type"] != "event_hidden"), "{missed:?}");
    assert_eq!(missed[3]["message"]["content"], "another secret");
}

#[tokio::test]
async fn who_was_removed_and_comes_back_resumes_without_what_was_meanwhile() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    sets(&ana, &room, json!({"history": "joined"})).await;
    let mut b = ben.joins(&room).await;
    ana.posts_message(&room, "seen").await;
    let position = b.sees("seen").await["seq"].as_i64().expect("a position");
    ana.removes(&ben, &room).await;
    assert_eq!(b.is_closed().await, 4403);
    ana.posts_message(&room, "meanwhile").await;
    ana.adds(&ben, &room).await;
    ana.posts_message(&room, "welcome back").await;
    let (_, missed) = ben.resumes(&room, position).await;
    let kinds: Vec<&str> = missed.iter().map(|frame| frame["type"].as_str().expect("a type")).collect();
    assert_eq!(kinds, ["event_hidden", "event_hidden", "participant_joined", "chat_message", "synced"]);
    assert!(!json!(missed).to_string().contains("meanwhile"), "{missed:?}");
}
