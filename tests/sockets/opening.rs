//! Who may open a socket, what the client receives first, and how others are rejected.

use serde_json::json;
use tokio_tungstenite::tungstenite::Error;
use uuid::Uuid;

use crate::shared;
use crate::users::{now, token};

#[tokio::test]
async fn a_room_socket_is_greeted_with_the_head() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    ben.posts_message(&room, "one").await;
    let mut socket = ana.room_socket(&room).opens().await.expect("a socket");

    let greeting = socket.next_is("connection_established").await;
    let page = ana.events(&room, 0).await.1;
    assert_eq!(greeting["room_id"], room);
    assert_eq!(greeting["user_id"], ana.id);
    assert_eq!(greeting["username"], ana.name);
    assert_eq!((&greeting["unread_count"], &greeting["protocol"]), (&json!(1), &json!(1)));
    assert_eq!((&greeting["seq"], &greeting["epoch"]), (&page["seq"], &page["epoch"]));
    let marks = socket.next_is("read_state").await;
    assert_eq!(marks, json!({"type": "read_state", "room_id": room, "marks": []}));
    let online = socket.next_is("presence_state").await;
    assert_eq!(online, json!({"type": "presence_state", "room_id": room, "online": [ana.id]}));
}

#[tokio::test]
async fn a_legacy_client_is_rejected_with_a_status() {
    let server = shared().await;
    let (ana, eve) = (server.user("ana").await, server.user("eve").await);
    let room = ana.makes_group(&[]).await;
    let refused = async |entry: crate::socket::SocketRequest<'_>| entry.opens().await.err();

    assert_eq!(refused(ana.with_token(String::new()).room_socket(&room)).await, Some(401));
    assert_eq!(refused(ana.with_token("x".into()).room_socket(&room)).await, Some(401));
    let refresh = token(json!({"user_id": ana.id, "token_type": "refresh"}));
    assert_eq!(refused(ana.with_token(refresh).room_socket(&room)).await, Some(401));
    let late = token(json!({"user_id": ana.id, "exp": now() - 120}));
    assert_eq!(refused(ana.with_token(late).user_socket()).await, Some(401));
    assert_eq!(refused(server.host().room_socket(&room)).await, Some(401));
    assert_eq!(refused(eve.room_socket(&room)).await, Some(403));
    assert_eq!(refused(eve.room_socket(&Uuid::new_v4().to_string())).await, Some(403));
    assert_eq!(refused(eve.room_socket("no-room")).await, Some(404));
}

#[tokio::test]
async fn a_chat_v1_client_is_rejected_with_a_close_code() {
    let server = shared().await;
    let (ana, eve) = (server.user("ana").await, server.user("eve").await);
    let room = ana.makes_group(&[]).await;

    assert_eq!(ana.with_token("x".into()).room_socket(&room).is_closed_with().await, 4401);
    assert_eq!(ana.with_token("x".into()).user_socket().is_closed_with().await, 4401);
    assert_eq!(eve.room_socket(&room).is_closed_with().await, 4403);
    assert_eq!(eve.room_socket(&Uuid::new_v4().to_string()).is_closed_with().await, 4403);
    ana.room_socket(&room).with_chat_v1().opens().await.expect("a socket").reads_greeting().await;
}

#[tokio::test]
async fn a_malformed_grant_is_explained_to_the_client() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let bad = ana.with_token(token(json!({"user_id": ana.id, "grant": ""})));
    let Err(Error::Http(answer)) = bad.room_socket(&room).try_open().await else { panic!("let in") };
    let body = String::from_utf8_lossy(answer.body().as_deref().unwrap_or_default()).into_owned();
    assert_eq!(answer.status().as_u16(), 401);
    assert!(body.contains("claim grant must be") && body.contains("token_not_valid"), "{body}");
    let mut socket = bad.user_socket().with_chat_v1().opens().await.expect("to be let in at first");
    let (code, reason) = socket.is_closed_because().await;
    assert_eq!(code, 4401);
    assert!(reason.contains("claim grant must be"), "{reason}");
}

#[tokio::test]
async fn a_string_user_id_is_accepted_and_a_new_user_is_stored() {
    let server = shared().await;
    let unknown_user = server.unknown_user(7_000_001, "nobody");
    let unknown_user = unknown_user.with_token(token(json!({"user_id": "7000001"})));
    let (_, greeting) = unknown_user.opens_user_socket().await;
    assert_eq!(greeting["username"], "user7000001");
}

#[tokio::test]
async fn only_allowed_pages_may_open_sockets() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let own = format!("http://{}", server.address);
    assert!(ana.room_socket(&room).with_origin(&own).opens().await.is_ok());
    for foreign in ["http://evil.example", "null", &format!("{own}.evil.example"), "http://127.0.0.1"] {
        assert_eq!(ana.room_socket(&room).with_origin(foreign).opens().await.err(), Some(403), "{foreign}");
    }
}

#[tokio::test]
async fn an_invalid_position_is_rejected() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    for bad in ["abc", "-1", "1.5", "", "%20", "0x1"] {
        assert_eq!(ana.room_socket(&room).since(bad).opens().await.err(), Some(400), "{bad:?}");
    }
    assert_eq!(ana.room_socket(&room).since(0).with("epoch", "zz").opens().await.err(), Some(400));
}

#[tokio::test]
async fn the_newest_socket_beyond_twenty_is_refused() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut sockets = Vec::new();
    for _ in 0..20 {
        sockets.push(ana.joins(&room).await);
    }
    assert_eq!(ana.room_socket(&room).is_closed_with().await, 4409);
    assert_eq!(ana.user_socket().is_closed_with().await, 4409);
    assert_eq!(ana.room_socket(&room).opens().await.err(), Some(429));
    let mut oldest = sockets.swap_remove(0);
    oldest.received_so_far().await;
    oldest.sends_raw(tokio_tungstenite::tungstenite::Message::Close(None)).await;
    oldest.connection_ends().await;
    ana.joins(&room).await;
}
