//! Users on different nodes, for whom it must make no difference.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    client::{HandshakeFailed, Socket},
    cluster::{Cluster, shared, token},
};

/// The promised second, with some tolerance for a busy machine.
const SECOND: Duration = Duration::from_millis(1_500);

#[tokio::test]
async fn messages_on_one_node_arrive_on_all() {
    let cluster = shared().await;
    let (ann, bob, cat) = (cluster.user().await, cluster.user().await, cluster.user().await);
    let room = cluster.room(&[&ann, &bob, &cat]).await;
    let mut sockets = [
        cluster.room_socket(0, &ann, &room).await,
        cluster.room_socket(1, &bob, &room).await,
        cluster.room_socket(2, &cat, &room).await,
    ];
    for n in 0..3 {
        let text = format!("from node {n}");
        let (seq, _) = sockets[n].says(&text).await;
        for (m, socket) in sockets.iter_mut().enumerate() {
            if n != m {
                assert_eq!(socket.hears(&text).await["seq"], seq);
            }
        }
    }
    // By REST to a node without sockets.
    let body = json!({"room": room, "content": "by REST"});
    let (status, _) = cluster.call(2, Method::POST, "/api/chat/messages/", &ann.token, Some(body)).await;
    assert_eq!(status, StatusCode::CREATED);
    for socket in &mut sockets {
        socket.hears("by REST").await;
    }
}

#[tokio::test]
async fn a_removed_user_receives_nothing_after_the_removal() {
    let cluster = shared().await;
    let (ann, bob) = (cluster.user().await, cluster.user().await);
    let room = cluster.room(&[&ann, &bob]).await;
    let mut anns = cluster.room_socket(0, &ann, &room).await;
    let (mut bobs, mut bobs_list) =
        (cluster.room_socket(1, &bob, &room).await, cluster.user_socket(2, &bob).await);
    let participants = format!("/api/chat/participants/?room={room}");
    let (_, page) = cluster.call(0, Method::GET, &participants, &ann.token, None).await;
    let bobs_place =
        page["results"].as_array().unwrap().iter().find(|place| place["user"]["id"] == bob.id).unwrap();
    let path = format!("/api/chat/participants/{}/", bobs_place["id"]);
    let begin = Instant::now();
    let (status, _) = cluster.call(0, Method::DELETE, &path, &ann.token, None).await;
    assert!(status.is_success());
    let (after, _) = anns.says("he is gone").await;
    let mut last = 0;
    let code = loop {
        match bobs.next().await {
            crate::client::SocketEvent::Frame(frame) => last = frame["seq"].as_i64().unwrap_or(last),
            crate::client::SocketEvent::End(code) => break code,
        }
    };
    assert!(begin.elapsed() < SECOND, "{:?}", begin.elapsed());
    assert_eq!((code, last), (4403, after - 1));
    assert_eq!(bobs_list.sees("room_removed").await["room_id"], room.as_str());
    let again = Socket::open(cluster.nodes[1].port, &format!("/ws/chat/{room}/?token={}", bob.token)).await;
    assert_eq!(again.err(), Some(HandshakeFailed(403)));
}

#[tokio::test]
async fn a_deactivated_or_revoked_user_is_disconnected_within_a_second() {
    let cluster = shared().await;
    let (ann, bob) = (cluster.user().await, cluster.user().await);
    let room = cluster.room(&[&ann, &bob]).await;
    for change in
        [json!({"tokens_valid_from": chrono::Utc::now().timestamp() + 5}), json!({"is_active": false})]
    {
        cluster.put_user(0, bob.id, json!({"tokens_valid_from": 0})).await;
        let mut sockets = [
            cluster.room_socket(0, &bob, &room).await,
            cluster.room_socket(1, &bob, &room).await,
            cluster.user_socket(2, &bob).await,
        ];
        let begin = Instant::now();
        cluster.put_user(0, bob.id, change.clone()).await;
        for socket in &mut sockets {
            assert_eq!(socket.ends().await, 4401, "{change}");
        }
        assert!(begin.elapsed() < SECOND, "{change}: {:?}", begin.elapsed());
        let body = json!({"room": room, "content": "still here"});
        let (status, _) = cluster.call(1, Method::POST, "/api/chat/messages/", &bob.token, Some(body)).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
    let fresh = Socket::open(cluster.nodes[2].port, &format!("/ws/chat/?token={}", token(bob.id))).await;
    assert_eq!(fresh.err(), Some(HandshakeFailed(401)));
}

#[tokio::test]
async fn an_archived_room_rejects_sends_on_every_node() {
    let cluster = shared().await;
    let (ann, bob) = (cluster.user().await, cluster.user().await);
    let room = cluster.room(&[&ann, &bob]).await;
    let mut bobs = cluster.room_socket(1, &bob, &room).await;
    let path = format!("/api/chat/rooms/{room}/archive/");
    cluster.call(0, Method::POST, &path, &ann.token, None).await;
    bobs.sees_where("room_updated", |frame| !frame["room"]["archived_at"].is_null()).await;
    let id = uuid::Uuid::new_v4().to_string();
    bobs.send(&json!({"type": "chat_message", "message": "too late", "client_id": id})).await;
    assert_eq!(bobs.sees("error").await["code"], "archived");
}

#[tokio::test]
async fn presence_and_typing_are_visible_on_other_nodes() {
    let cluster = shared().await;
    let (ann, bob) = (cluster.user().await, cluster.user().await);
    let room = cluster.room(&[&ann, &bob]).await;
    let mut anns = cluster.room_socket(0, &ann, &room).await;
    let begin = Instant::now();
    let mut bobs = cluster.room_socket(1, &bob, &room).await;
    let is_bob = |frame: &Value| frame["user_id"] == bob.id;
    anns.sees_where("presence", |frame| is_bob(frame) && frame["status"] == "online").await;
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    // A signal may be lost, and is while a node has just begun to listen; clients repeat it while the user
    // types.
    let types = async {
        loop {
            bobs.send(&json!({"type": "typing", "is_typing": true})).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::select! {
        () = types => {}
        _ = anns.sees_where("typing", |frame| is_bob(frame) && frame["is_typing"] == true) => {}
    }
    let typing = format!("/api/chat/typing/?room={room}");
    let (_, page) = cluster.call(0, Method::GET, &typing, &ann.token, None).await;
    assert_eq!(page["count"], 1, "{page}");
    bobs.says("typed").await;
    anns.sees_where("typing", |frame| is_bob(frame) && frame["is_typing"] == false).await;
    let begin = Instant::now();
    drop(bobs);
    anns.sees_where("presence", |frame| is_bob(frame) && frame["status"] == "offline").await;
    assert!(begin.elapsed() < Duration::from_secs(6), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn badges_and_marks_are_the_same_on_all_devices_of_a_user() {
    let cluster = shared().await;
    let (ann, bob) = (cluster.user().await, cluster.user().await);
    let room = cluster.room(&[&ann, &bob]).await;
    let (mut phone, mut desk) = (cluster.user_socket(1, &bob).await, cluster.user_socket(2, &bob).await);
    let mut anns = cluster.room_socket(0, &ann, &room).await;
    for n in 1..=3 {
        anns.says(&format!("message {n}")).await;
    }
    for device in [&mut phone, &mut desk] {
        let line = device.sees_where("inbox", |line| line["unread_count"] == 3).await;
        assert_eq!((&line["total_unread"], &line["last_message_preview"]), (&json!(3), &json!("message 3")));
    }
    let begin = Instant::now();
    phone.send(&json!({"type": "mark_room_read", "room_id": room})).await;
    for device in [&mut desk, &mut phone] {
        device.sees_where("inbox", |line| line["total_unread"] == 0).await;
    }
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    anns.sees_where("read_receipt", |receipt| receipt["user_id"] == bob.id).await;
}

#[tokio::test]
async fn a_user_added_to_a_room_is_notified_on_any_node() {
    let cluster = shared().await;
    let (ann, bob) = (cluster.user().await, cluster.user().await);
    let room = cluster.room(&[&ann]).await;
    let mut bobs = cluster.user_socket(1, &bob).await;
    let body = json!({"room": room, "user": bob.id});
    cluster.call(0, Method::POST, "/api/chat/participants/", &ann.token, Some(body)).await;
    assert_eq!(bobs.sees("room_added").await["room_id"], room.as_str());
    bobs.send(&json!({"type": "subscribe", "room_id": room})).await;
    bobs.sees("subscribed").await;
    cluster.room_socket(2, &ann, &room).await.says("welcome").await;
    bobs.hears("welcome").await;
}

/// The same send at the same moment on three nodes.
#[tokio::test]
async fn one_client_id_on_several_nodes_at_once_is_one_message() {
    let cluster = shared().await;
    let ann = cluster.user().await;
    let room = cluster.room(&[&ann]).await;
    let id = uuid::Uuid::new_v4().to_string();
    let frame = json!({"type": "chat_message", "message": "once", "client_id": id});
    let acks = futures_util::future::join_all((0..30).map(|n| {
        let (cluster, ann, room, frame): (&Cluster, _, _, _) = (&cluster, &ann, &room, &frame);
        async move {
            let mut socket = cluster.room_socket(n % 3, ann, room).await;
            socket.send(frame).await;
            let ack = socket.sees("ack").await;
            (ack["message_id"].clone(), ack["seq"].clone())
        }
    }))
    .await;
    assert!(acks.iter().all(|ack| *ack == acks[0]), "{acks:?}");
}
