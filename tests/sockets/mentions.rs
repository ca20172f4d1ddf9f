//! Mentions on sockets.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::shared;
use crate::socket::Socket;
use crate::users::TestUser;

/// The next row of the list: mentions in the room, and in all rooms.
async fn row(list: &mut Socket) -> (Value, Value) {
    let row = list.next_is("inbox").await;
    (row["mention_count"].clone(), row["total_mentions"].clone())
}

async fn mentions(by: &TestUser, room: &str, fields: Value) -> Value {
    let mut body = json!({"room": room, "content": "look"});
    body.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
    by.posts("messages/", body).await
}

#[tokio::test]
async fn a_mention_is_told_replayed_and_counted() {
    let server = shared().await;
    let (ana, ben, cai) = (server.user("ana").await, server.user("ben").await, server.user("cai").await);
    let room = ana.makes_group(&[&ben, &cai]).await;
    let (mut a, mut b) = (ana.joins(&room).await, ben.joins(&room).await);
    let (mut bens, mut cais) = (ben.opens_user_socket().await.0, cai.opens_user_socket().await.0);
    let says = |client_id: &str, fields: Value| {
        let mut frame = json!({"type": "chat_message", "message": "@ben look", "client_id": client_id});
        frame.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        frame
    };
    let client_id = Uuid::new_v4().to_string();
    a.sends(says(&client_id, json!({"mentions": [ben.id, ben.id]}))).await;
    let ack = a.receives("ack").await;
    let told = b.receives("chat_message").await;
    assert_eq!(told["message"]["mentions"], json!({"users": [ben.id], "room": false}));
    assert_eq!(a.receives("chat_message").await, told);
    assert_eq!((row(&mut bens).await, row(&mut cais).await), ((1.into(), 1.into()), (0.into(), 0.into())));
    // The same again is the same message, and other mentions are another one.
    a.sends(says(&client_id, json!({"mentions": [ben.id]}))).await;
    assert_eq!(a.receives("ack").await["duplicate"], true);
    a.sends(says(&client_id, json!({}))).await;
    a.receives_error("client_id_conflict").await;

    a.sends(says(&Uuid::new_v4().to_string(), json!({"mention_room": true}))).await;
    assert_eq!(b.receives("chat_message").await["message"]["mentions"], json!({"users": [], "room": true}));
    assert_eq!((row(&mut bens).await, row(&mut cais).await), ((2.into(), 2.into()), (1.into(), 1.into())));
    let (_, frames) = ben.resumes(&room, ack["seq"].as_i64().expect("a position") - 1).await;
    let replayed = frames.iter().find(|frame| frame["type"] == "chat_message").expect("the message");
    assert_eq!(replayed["message"]["mentions"], told["message"]["mentions"]);
    b.sends(json!({"type": "mark_room_read"})).await;
    assert_eq!(row(&mut bens).await, (0.into(), 0.into()));
}

#[tokio::test]
async fn a_mention_that_is_not_allowed_gets_an_error() {
    let server = shared().await;
    let (ana, eve) = (server.user("ana").await, server.user("eve").await);
    let room = ana.makes_group(&[]).await;
    let mut a = ana.joins(&room).await;
    let crowd: Vec<i64> = (1..=101).collect();
    for (mentions, code) in [
        (json!([eve.id]), "invalid"),
        (json!([0]), "invalid"),
        (json!([-1, i64::MAX]), "invalid"),
        (json!(crowd), "invalid"),
        (json!([u64::MAX]), "bad_frame"),
        (json!(["1"]), "bad_frame"),
        (json!(1), "bad_frame"),
        (json!({"users": [1]}), "bad_frame"),
    ] {
        let client_id = Uuid::new_v4().to_string();
        a.sends(
            json!({"type": "chat_message", "message": "x", "mentions": mentions, "client_id": client_id}),
        )
        .await;
        let error = a.receives("error").await;
        assert_eq!((&error["code"], &error["client_id"]), (&json!(code), &json!(client_id)), "{mentions}");
    }
    a.sends(json!({"type": "chat_message", "message": "x", "mentions": [eve.id]})).await;
    a.receives_error("invalid").await;
    a.says("fine").await;
    assert_eq!(a.receives("chat_message").await["message"]["content"], "fine");
}

#[tokio::test]
async fn an_edit_changes_whom_a_message_mentions_and_the_badges_follow() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let message = mentions(&ana, &room, json!({})).await;
    let read = ana.posts_message(&room, "newer").await;
    let path = format!("messages/{}/", message["id"].as_str().expect("an id"));
    let (mut list, greeting) = ben.opens_user_socket().await;
    assert_eq!(greeting["mention_count"], 0);
    let mut b = ben.joins(&room).await;
    // The list shows a newer message, and counts this one all the same.
    ana.patches(&path, json!({"mentions": [ben.id]})).await;
    assert_eq!(b.receives("message_updated").await["message"]["mentions"]["users"], json!([ben.id]));
    assert_eq!(row(&mut list).await, (1.into(), 1.into()));
    ana.patches(&path, json!({"content": "same mention"})).await;
    ana.patches(&path, json!({"mention_room": true, "mentions": []})).await;
    ana.patches(&path, json!({"mention_room": false})).await;
    while row(&mut list).await != (0.into(), 0.into()) {}
    ana.patches(&path, json!({"mention_room": true})).await;
    while row(&mut list).await != (1.into(), 1.into()) {}
    ana.deletes(&path).await;
    while row(&mut list).await != (0.into(), 0.into()) {}
    // A message that was read counts no more.
    let path = format!("messages/{}/", read["id"].as_str().expect("an id"));
    b.sends(json!({"type": "mark_room_read"})).await;
    while list.next_is("inbox").await["unread_count"] != 0 {}
    ana.patches(&path, json!({"mentions": [ben.id]})).await;
    ana.patches(&format!("rooms/{room}/"), json!({"name": "Other"})).await;
    while list.next_is("inbox").await["display_name"] != "Other" {}
    assert_eq!(ben.gets("unread/").await["mention_count"], 0);
}

#[tokio::test]
async fn a_removed_room_takes_its_mentions_from_the_total() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let (gone, kept) = (ana.makes_group(&[&ben]).await, ana.makes_group(&[&ben]).await);
    let place = ben.participant_id(&ben, &gone).await;
    ben.posts(&format!("participants/{place}/mute/"), json!({})).await;
    for room in [&gone, &kept] {
        mentions(&ana, room, json!({"mentions": [ben.id]})).await;
    }
    let (mut list, greeting) = ben.opens_user_socket().await;
    assert_eq!((&greeting["unread_count"], &greeting["mention_count"]), (&json!(1), &json!(2)));
    ana.removes(&ben, &gone).await;
    let removed = list.next_is("room_removed").await;
    assert_eq!((&removed["total_unread"], &removed["total_mentions"]), (&json!(1), &json!(1)));
    assert_eq!(row(&mut list).await, (1.into(), 1.into()));
}
