//! Sending: what everyone receives, and how the sender is answered.

use serde_json::json;
use uuid::Uuid;

use crate::{limited, shared};

#[tokio::test]
async fn a_message_reaches_everyone_and_the_ack_comes_first() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut a = ana.joins(&room).await;
    let mut b = ben.joins(&room).await;
    a.receives("presence").await;

    let client_id = a.says_with_client_id("  hi there \n").await;
    let ack = a.next_is("ack").await;
    let frame = a.next_is("chat_message").await;
    assert_eq!(frame, b.next_is("chat_message").await);
    assert_eq!(frame["message"]["content"], "hi there");
    assert_eq!(
        frame["message"]["sender"],
        json!({"id": ana.id, "username": ana.name,
        "full_name": format!("Full {}", ana.name)})
    );
    assert_eq!(frame["message"]["client_id"], client_id);
    assert_eq!(
        ack,
        json!({"type": "ack", "room_id": room, "client_id": client_id,
        "message_id": frame["message"]["id"], "seq": frame["seq"],
        "created_at": frame["message"]["created_at"], "duplicate": false})
    );
}

#[tokio::test]
async fn texts_are_trimmed_limited_and_must_not_be_blank() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut a = ana.joins(&room).await;

    for blank in ["", "  \n\t", "\u{200b}\u{a0}\u{feff} "] {
        a.says(blank).await;
    }
    a.receives_nothing().await;
    let client_id = a.says_with_client_id(" \u{200b} ").await;
    let error = a.receives_error("invalid").await;
    assert_eq!((&error["client_id"], &error["room_id"]), (&json!(client_id), &json!(room)));
    a.says(&"x".repeat(20_001)).await;
    assert_eq!(a.receives_error("invalid").await["room_id"], room);
    a.says("nul\0inside").await;
    a.receives_error("invalid").await;
    a.receives_nothing().await;
    let longest = "\u{1f600}".repeat(4_000);
    a.says(&format!(" {longest} ")).await;
    a.sees(&longest).await;
    let odd = "\u{202e}<script>alert(1)</script>'; drop table rooms; --${jndi:x}";
    a.says(odd).await;
    a.sees(odd).await;
}

#[tokio::test]
async fn a_repeated_send_is_answered_like_the_first() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut b = ben.joins(&room).await;
    let client_id = Uuid::new_v4().to_string();
    let send = json!({"type": "chat_message", "message": "once", "client_id": client_id});

    let mut sockets = Vec::new();
    for _ in 0..10 {
        sockets.push(ana.joins(&room).await);
    }
    for socket in &mut sockets {
        for _ in 0..10 {
            socket.sends(send.clone()).await;
        }
    }
    let mut first = 0;
    let mut places = std::collections::BTreeSet::new();
    for socket in &mut sockets {
        for _ in 0..10 {
            let ack = socket.receives("ack").await;
            first += usize::from(ack["duplicate"] == false);
            places.insert(format!("{} {} {}", ack["message_id"], ack["seq"], ack["created_at"]));
        }
    }
    assert_eq!((first, places.len()), (1, 1), "{places:?}");
    b.sees("once").await;
    b.receives_nothing().await;
    let (status, body) = ana
        .requests(
            reqwest::Method::POST,
            "messages/",
            Some(json!({"room": room, "content": "once", "client_id": client_id})),
        )
        .await;
    assert_eq!(status, 200, "{body}");
}

#[tokio::test]
async fn another_send_with_the_same_client_id_is_refused() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut a = ana.joins(&room).await;
    let client_id = a.says_with_client_id("one").await;
    let first = a.sees("one").await["message"]["id"].clone();
    for other in [
        json!({"type": "chat_message", "message": "two", "client_id": client_id}),
        json!({"type": "chat_message", "message": "one", "client_id": client_id, "reply_to": first}),
    ] {
        a.sends(other).await;
        assert_eq!(a.receives_error("client_id_conflict").await["client_id"], client_id);
    }
    a.receives_nothing().await;
}

#[tokio::test]
async fn a_reply_quotes_and_one_to_another_room_is_sent_without() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let (room, other) = (ana.makes_group(&[]).await, ana.makes_group(&[]).await);
    let elsewhere = ana.posts_message(&other, "elsewhere").await;
    let mut a = ana.joins(&room).await;
    a.says(&"q".repeat(150)).await;
    let asked = a.receives("chat_message").await["message"].clone();

    a.sends(json!({"type": "chat_message", "message": "answer", "reply_to": asked["id"]})).await;
    let answer = a.sees("answer").await["message"].clone();
    assert_eq!(answer["reply_to_id"], asked["id"]);
    assert_eq!(
        answer["reply_to"],
        json!({"id": asked["id"], "content": "q".repeat(100),
        "sender": {"id": ana.id, "username": ana.name}, "created_at": asked["created_at"]})
    );
    for stray in [elsewhere["id"].clone(), json!(Uuid::new_v4()), json!(7)] {
        a.sends(json!({"type": "chat_message", "message": "stray", "reply_to": stray})).await;
        assert_eq!(a.sees("stray").await["message"]["reply_to_id"], json!(null));
    }
}

#[tokio::test]
async fn sends_of_one_socket_keep_their_order() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let (mut all, _) = ana.opens_user_socket().await;
    let mut a = ana.joins(&room).await;
    for n in 0..100 {
        all.sends(json!({"type": "chat_message", "room_id": room, "message": format!("n{n}")})).await;
    }
    for n in 0..100 {
        assert_eq!(a.receives("chat_message").await["message"]["content"], format!("n{n}"));
    }
}

#[tokio::test]
async fn an_archived_room_rejects_sends() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut a = ana.joins(&room).await;
    ana.posts_message(&room, "before").await;
    ana.posts(&format!("rooms/{room}/archive/"), json!({})).await;
    let client_id = a.says_with_client_id("after").await;
    assert_eq!(a.receives_error("archived").await["client_id"], client_id);
    a.sends(json!({"type": "typing", "is_typing": true})).await;
    a.receives_error("archived").await;
    a.sends(json!({"type": "mark_room_read"})).await;
    a.receives("room_marked_read").await;
}

#[tokio::test]
async fn a_left_direct_room_is_rejoined_before_the_message() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.opens_direct(&ben).await;
    ben.leaves(&room).await;
    let mut a = ana.joins(&room).await;
    let (mut list, _) = ben.opens_user_socket().await;
    a.says("come back").await;
    let joined = a.next_is("participant_joined").await;
    assert_eq!(joined["participant"]["user"]["id"], ben.id);
    assert_eq!(a.sees("come back").await["seq"], joined["seq"].as_i64().expect("a position") + 1);
    assert_eq!(list.receives("room_added").await["room_id"], room);
    assert_eq!(list.receives("inbox").await["unread_count"], 1);
    ben.joins(&room).await;
}

#[tokio::test]
async fn too_many_messages_are_refused_with_a_retry_time() {
    let server = limited().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut a = ana.joins(&room).await;
    for n in 0..140 {
        a.says_with_client_id(&format!("n{n}")).await;
    }
    let error = a.receives_error("rate_limited").await;
    assert!(error["retry_after"].as_f64().is_some_and(|after| after > 0.0 && after < 2.0), "{error}");
    assert!(error["client_id"].is_string() && error["room_id"] == room, "{error}");
}
