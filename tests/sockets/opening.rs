//! Who is let in, what that person is told first, and what the others are told instead.

use serde_json::json;
use tokio_tungstenite::tungstenite::Error;
use uuid::Uuid;

use crate::people::{now, token};
use crate::shared;

#[tokio::test]
async fn who_enters_a_room_is_greeted_with_where_it_stands() {
    let server = shared().await;
    let (ana, ben) = (server.person("ana").await, server.person("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    ben.posts_message(&room, "one").await;
    let mut socket = ana.way_into(&room).opens().await.expect("a socket");

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
async fn an_inherited_client_that_may_not_in_is_refused_by_status() {
    let server = shared().await;
    let (ana, eve) = (server.person("ana").await, server.person("eve").await);
    let room = ana.makes_group(&[]).await;
    let refused = async |entry: crate::socket::Entry<'_>| entry.opens().await.err();

    assert_eq!(refused(ana.with_token(String::new()).way_into(&room)).await, Some(401));
    assert_eq!(refused(ana.with_token("x".into()).way_into(&room)).await, Some(401));
    let refresh = token(json!({"user_id": ana.id, "token_type": "refresh"}));
    assert_eq!(refused(ana.with_token(refresh).way_into(&room)).await, Some(401));
    let late = token(json!({"user_id": ana.id, "exp": now() - 120}));
    assert_eq!(refused(ana.with_token(late).way_to_all()).await, Some(401));
    assert_eq!(refused(server.host().way_into(&room)).await, Some(401));
    assert_eq!(refused(eve.way_into(&room)).await, Some(403));
    assert_eq!(refused(eve.way_into(&Uuid::new_v4().to_string())).await, Some(403));
    assert_eq!(refused(eve.way_into("no-room")).await, Some(404));
}

#[tokio::test]
async fn a_client_of_chat_v1_learns_by_the_close_code_why_it_may_not_in() {
    let server = shared().await;
    let (ana, eve) = (server.person("ana").await, server.person("eve").await);
    let room = ana.makes_group(&[]).await;

    assert_eq!(ana.with_token("x".into()).way_into(&room).is_closed_with().await, 4401);
    assert_eq!(ana.with_token("x".into()).way_to_all().is_closed_with().await, 4401);
    assert_eq!(eve.way_into(&room).is_closed_with().await, 4403);
    assert_eq!(eve.way_into(&Uuid::new_v4().to_string()).is_closed_with().await, 4403);
    ana.way_into(&room).in_chat_v1().opens().await.expect("a socket").is_greeted().await;
}

#[tokio::test]
async fn a_grant_of_another_form_says_what_is_wrong_with_it() {
    let server = shared().await;
    let ana = server.person("ana").await;
    let room = ana.makes_group(&[]).await;
    let bad = ana.with_token(token(json!({"user_id": ana.id, "grant": ""})));
    let Err(Error::Http(answer)) = bad.way_into(&room).tries().await else { panic!("let in") };
    let body = String::from_utf8_lossy(answer.body().as_deref().unwrap_or_default()).into_owned();
    assert_eq!(answer.status().as_u16(), 401);
    assert!(body.contains("claim grant must be") && body.contains("token_not_valid"), "{body}");
    let mut socket = bad.way_to_all().in_chat_v1().opens().await.expect("to be let in at first");
    let (code, reason) = socket.is_closed_because().await;
    assert_eq!(code, 4401);
    assert!(reason.contains("claim grant must be"), "{reason}");
}

#[tokio::test]
async fn a_token_may_come_as_a_string_id_and_a_stranger_is_made_known() {
    let server = shared().await;
    let stranger = server.stranger(7_000_001, "nobody");
    let stranger = stranger.with_token(token(json!({"user_id": "7000001"})));
    let (_, greeting) = stranger.signs_in().await;
    assert_eq!(greeting["username"], "user7000001");
}

#[tokio::test]
async fn only_allowed_pages_may_open_sockets() {
    let server = shared().await;
    let ana = server.person("ana").await;
    let room = ana.makes_group(&[]).await;
    let own = format!("http://{}", server.address);
    assert!(ana.way_into(&room).from_page(&own).opens().await.is_ok());
    for foreign in ["http://evil.example", "null", &format!("{own}.evil.example"), "http://127.0.0.1"] {
        assert_eq!(ana.way_into(&room).from_page(foreign).opens().await.err(), Some(403), "{foreign}");
    }
}

#[tokio::test]
async fn a_position_that_is_none_is_refused() {
    let server = shared().await;
    let ana = server.person("ana").await;
    let room = ana.makes_group(&[]).await;
    for bad in ["abc", "-1", "1.5", "", "%20", "0x1"] {
        assert_eq!(ana.way_into(&room).since(bad).opens().await.err(), Some(400), "{bad:?}");
    }
    assert_eq!(ana.way_into(&room).since(0).with("epoch", "zz").opens().await.err(), Some(400));
}

#[tokio::test]
async fn the_newest_socket_beyond_twenty_is_refused() {
    let server = shared().await;
    let ana = server.person("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut sockets = Vec::new();
    for _ in 0..20 {
        sockets.push(ana.enters(&room).await);
    }
    assert_eq!(ana.way_into(&room).is_closed_with().await, 4409);
    assert_eq!(ana.way_to_all().is_closed_with().await, 4409);
    assert_eq!(ana.way_into(&room).opens().await.err(), Some(429));
    let mut oldest = sockets.swap_remove(0);
    oldest.has_heard().await;
    oldest.sends_raw(tokio_tungstenite::tungstenite::Message::Close(None)).await;
    oldest.connection_ends().await;
    ana.enters(&room).await;
}
