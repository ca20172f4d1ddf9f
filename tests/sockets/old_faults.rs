//! The faults of the replaced chat server, as far as they concern sockets. Those that another module tests
//! completely are here in their shortest form, so that the list is complete.

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use uuid::Uuid;

use crate::shared;

#[tokio::test]
async fn rest_sends_edits_and_deletions_make_live_events() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut a = ana.joins(&room).await;
    let message = ana.posts_message(&room, "hi").await;
    let path = format!("messages/{}/", message["id"].as_str().expect("an id"));
    ana.patches(&path, json!({"content": "ho"})).await;
    ana.deletes(&path).await;
    for kind in ["chat_message", "message_updated", "message_deleted"] {
        a.next_is(kind).await;
    }
}

#[tokio::test]
async fn a_removed_user_neither_receives_nor_sends() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut b = ben.joins(&room).await;
    ana.removes(&ben, &room).await;
    assert_eq!(b.is_closed().await, 4403);
}

#[tokio::test]
async fn a_deactivated_user_does_not_connect() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    server.host().upserts(&ana, json!({"is_active": false})).await;
    assert_eq!(ana.room_socket(&room).opens().await.err(), Some(401));
}

#[tokio::test]
async fn a_native_client_without_an_origin_connects() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    assert!(ana.room_socket(&room).opens().await.is_ok());
}

#[tokio::test]
async fn two_hundred_typing_frames_are_neither_broadcast_nor_reflected() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut a = ana.joins(&room).await;
    let mut b = ben.joins(&room).await;
    a.receives("presence").await;
    b.sends(json!({"type": "typing", "is_typing": {"<script>": 1}})).await;
    b.receives_error("bad_frame").await;
    for n in 0..200 {
        b.sends(json!({"type": "typing", "is_typing": n % 2 == 0, "more": "<script>"})).await;
    }
    b.receives_nothing().await;
    b.says("done").await;
    let mut typing = 0;
    loop {
        let frame = a.next().await;
        match frame["type"].as_str() {
            Some("typing") => {
                typing += 1;
                assert!(frame["is_typing"].is_boolean() && !frame.to_string().contains("script"), "{frame}");
            }
            _ => break,
        }
    }
    assert!((1..=4).contains(&typing), "{typing}");
}

#[tokio::test]
async fn a_message_of_two_megabytes_is_rejected() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut a = ana.joins(&room).await;
    a.says(&"x".repeat(2_000_000)).await;
    assert_eq!(a.is_closed().await, 1009);
}

#[tokio::test]
async fn a_message_to_a_left_direct_room_arrives() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.opens_direct(&ben).await;
    ben.leaves(&room).await;
    assert_eq!(ben.opens_direct(&ana).await, room);
    let mut b = ben.joins(&room).await;
    ana.posts_message(&room, "hello again").await;
    b.sees("hello again").await;
}

#[tokio::test]
async fn eight_simultaneous_direct_rooms_are_one() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let rooms = futures_util::future::join_all((0..8).map(|n| {
        let (ana, ben) = (ana.clone(), ben.clone());
        async move { if n % 2 == 0 { ana.opens_direct(&ben).await } else { ben.opens_direct(&ana).await } }
    }));
    let rooms = rooms.await;
    assert!(rooms.iter().all(|room| *room == rooms[0]), "{rooms:?}");
}

#[tokio::test]
async fn twenty_read_receipts_at_once_all_count() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let mut readers = Vec::new();
    for _ in 0..20 {
        readers.push(server.user("reader").await);
    }
    let room = ana.makes_group(&readers.iter().collect::<Vec<_>>()).await;
    let message = ana.posts_message(&room, "read me").await;
    let mut sockets = futures_util::future::join_all(readers.iter().map(|reader| reader.joins(&room))).await;
    let receipt = json!({"type": "read_receipt", "message_id": message["id"]});
    futures_util::future::join_all(sockets.iter_mut().map(|socket| socket.sends(receipt.clone()))).await;
    for socket in &mut sockets {
        for _ in 0..20 {
            socket.receives("read_receipt").await;
        }
    }
    let path = format!("messages/{}/", message["id"].as_str().expect("an id"));
    let seen = ana.gets(&path).await;
    assert_eq!(seen["read_count"], 20);
    assert_eq!(seen["read_by"].as_object().map(serde_json::Map::len), Some(20));
}

#[tokio::test]
async fn a_receipt_for_an_unknown_message_is_refused_and_not_broadcast() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut a = ana.joins(&room).await;
    let mut b = ben.joins(&room).await;
    b.sends(json!({"type": "read_receipt", "message_id": Uuid::new_v4(), "read_at": "<b>"})).await;
    b.receives_error("not_found").await;
    b.sends(json!({"type": "read_receipt", "message_id": "<b>"})).await;
    b.receives_error("bad_frame").await;
    a.receives_nothing().await;
}

#[tokio::test]
async fn a_message_with_nul_is_an_error_and_a_binary_frame_is_1003() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut a = ana.joins(&room).await;
    a.says("with \0 inside").await;
    a.receives_error("invalid").await;
    a.sends_raw(Message::binary(vec![1, 2, 3])).await;
    assert_eq!(a.is_closed().await, 1003);
}

#[tokio::test]
async fn a_lost_answer_is_neither_a_loss_nor_a_duplicate() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut a = ana.joins(&room).await;
    let client_id = a.says_with_client_id("once").await;
    drop(a);
    let mut again = ana.joins(&room).await;
    again.sends(json!({"type": "chat_message", "message": "once", "client_id": client_id})).await;
    again.receives("ack").await;
    let page = ana.gets(&format!("messages/?room={room}")).await;
    assert_eq!(page["count"], 1);
}

#[tokio::test]
async fn simultaneous_messages_have_one_order_for_all() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut a = ana.joins(&room).await;
    let mut b = ben.joins(&room).await;
    for n in 0..50 {
        let (from_a, from_b) = (format!("a{n}"), format!("b{n}"));
        futures_util::join!(a.says(&from_a), b.says(&from_b));
    }
    for n in 0..100 {
        let (seen, other) = (a.receives("chat_message").await, b.receives("chat_message").await);
        assert_eq!(seen, other);
        assert_eq!(seen["seq"], 4 + n);
    }
}

#[tokio::test]
async fn read_marks_cover_existing_messages_and_never_move_back() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let first = ana.posts_message(&room, "seen").await;
    ana.posts_message(&room, "not seen").await;
    let mut b = ben.joins(&room).await;
    b.sends(json!({"type": "read_receipt", "message_id": first["id"]})).await;
    assert_eq!(b.receives("read_receipt").await["up_to"], first["seq"]);
    let greeting = ben.room_socket(&room).opens().await.expect("a socket").reads_greeting().await;
    assert_eq!(greeting["unread_count"], 1);
}

#[tokio::test]
async fn sending_to_an_archived_room_is_refused() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut a = ana.joins(&room).await;
    ana.posts(&format!("rooms/{room}/archive/"), json!({})).await;
    a.says_with_client_id("too late").await;
    a.receives_error("archived").await;
}

#[tokio::test]
async fn no_frame_contains_a_mail_address() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    server.host().upserts(&ben, json!({"email": "ben@secret.example"})).await;
    let room = ana.makes_group(&[&ben]).await;
    ben.posts_message(&room, "hi").await;
    let (_, missed) = ana.resumes(&room, 0).await;
    assert!(!json!(missed).to_string().contains("secret.example"), "{missed:?}");
}

#[tokio::test]
async fn neither_tokens_nor_texts_are_logged() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut a = ana.joins(&room).await;
    let marker = format!("marker-{}", Uuid::new_v4().simple());
    a.says(&marker).await;
    a.sees(&marker).await;
    a.says(&format!("{marker}\0")).await;
    a.receives_error("invalid").await;
    let log = server.log();
    assert!(!log.contains(&marker), "a text is in the log");
    assert!(!log.contains(&ana.token[..40]) && !log.contains("token=ey"), "a token is in the log");
}
