//! Guests on sockets: what reaches them, and that nothing does once their access has ended.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::shared;
use crate::users::{TestUser, now, text, token};

fn tomorrow() -> i64 {
    now() + 86_400
}

/// A task's room with an admin and a guest, and what the host application calls its path.
struct Stay {
    host: TestUser,
    ana: TestUser,
    gil: TestUser,
    path: String,
    task: i64,
    room: String,
}

impl Stay {
    async fn new() -> Self {
        let server = shared().await;
        let (host, ana, gil) = (server.host(), server.user("ana").await, server.user("gil").await);
        // Tasks are numbered like their first user, so that no other test has the same one.
        let (task, path) = (ana.id, format!("tasks/{}/room/", ana.id));
        let body = json!({"participants": [
            {"user": ana.id, "role": "admin"}, {"user": gil.id, "role": "guest"}]});
        let (status, made) = host.requests(Method::PUT, &path, Some(body)).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        let made: Value = serde_json::from_str(&made).expect("JSON");
        Self { host, ana, gil, path, task, room: text(&made["id"]) }
    }

    async fn puts(&self, body: Value) {
        let (status, answer) = self.host.requests(Method::PUT, &self.path, Some(body)).await;
        assert!(status.is_success(), "{answer}");
    }

    async fn keeps_ana_alone(&self) {
        self.puts(json!({"replace": true, "participants": [{"user": self.ana.id, "role": "admin"}]})).await;
    }
}

#[tokio::test]
async fn frames_tell_who_is_a_guest_and_a_guest_is_sent_what_follows_the_entry() {
    let stay = Stay::new().await;
    let Stay { ana, gil, room, .. } = &stay;
    let ben = shared().await.user("ben").await;
    let said = ana.posts_message(room, "before ben").await;
    let mut socket = ana.joins(room).await;
    let guest = json!({"user": ben.id, "role": "guest"});
    stay.puts(json!({"participants": [guest]})).await;
    let joined = socket.receives("participant_joined").await["participant"].clone();
    assert_eq!(
        (&joined["role"], &joined["external"], &joined["is_admin"]),
        (&json!("guest"), &json!(true), &json!(false))
    );
    assert_eq!(joined["until"], Value::Null);

    let (mut of_ben, missed) = ben.resumes(room, 0).await;
    assert!(!json!(missed).to_string().contains("before ben"), "{missed:?}");
    let greeting = ben.room_socket(room).opens().await.expect("a socket").reads_greeting().await;
    assert_eq!(greeting["capabilities"], json!(["post", "react"]));
    let answer = json!({"room": room, "content": "as I said", "reply_to": said["id"]});
    gil.posts("messages/", answer).await;
    let frame = of_ben.sees("as I said").await;
    assert_eq!(frame["message"]["reply_to"], json!({"id": said["id"]}));
    assert_eq!(frame["message"]["sender"]["external"], true);
    let frame = socket.sees("as I said").await;
    assert_eq!(frame["message"]["sender"]["external"], true);
    socket.says("thanks").await;
    assert!(of_ben.sees("thanks").await["message"]["sender"].get("external").is_none());

    let place = ana.participant_id(&ben, room).await;
    ana.patches(&format!("participants/{place}/"), json!({"role": "member"})).await;
    let updated = socket.receives("participant_updated").await["participant"].clone();
    assert_eq!((&updated["role"], &updated["external"]), (&json!("member"), &json!(false)));
}

#[tokio::test]
async fn a_guest_whom_the_host_takes_out_is_disconnected_within_a_second() {
    let stay = Stay::new().await;
    let Stay { ana, gil, room, .. } = &stay;
    let mut in_room = gil.joins(room).await;
    let mut modern = gil.room_socket(room).with_chat_v1().opens().await.expect("a socket");
    modern.reads_greeting().await;
    let (mut list, _) = gil.opens_user_socket().await;
    list.sends(json!({"type": "subscribe", "room_id": room})).await;
    list.receives("subscribed").await;
    list.receives("presence_state").await;
    let since = Instant::now();
    stay.keeps_ana_alone().await;
    ana.posts_message(room, "not for gil").await;
    for socket in [&mut in_room, &mut modern] {
        let (heard, code) = socket.receives_until_closed().await;
        assert_eq!(code, 4403);
        assert!(!json!(heard).to_string().contains("not for gil"), "{heard:?}");
    }
    list.receives("room_removed").await;
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    let heard = list.received_so_far().await;
    assert!(!json!(heard).to_string().contains("not for gil"), "{heard:?}");
    assert_eq!(gil.room_socket(room).opens().await.err(), Some(403));
    assert_eq!(gil.room_socket(room).is_closed_with().await, 4403);
    list.sends(json!({"type": "subscribe", "room_id": room})).await;
    list.receives_error("forbidden").await;
}

#[tokio::test]
async fn a_socket_ends_with_the_membership() {
    let stay = Stay::new().await;
    let Stay { ana, gil, room, .. } = &stay;
    let until = chrono::Utc::now() + chrono::Duration::milliseconds(2_500);
    stay.puts(json!({"participants": [{"user": gil.id, "role": "guest", "until": until}]})).await;
    let mut in_room = gil.joins(room).await;
    let mut of_ana = ana.joins(room).await;
    let (heard, code) = in_room.receives_until_closed().await;
    let late = chrono::Utc::now() - until;
    assert_eq!(code, 4403);
    assert!(late >= chrono::Duration::zero() && late < chrono::Duration::seconds(1), "{late}");
    assert_eq!(heard.iter().filter(|frame| frame["type"] == "participant_left").count(), 1);
    let left = of_ana.receives("participant_left").await;
    assert_eq!(left["participant"]["user"]["id"], gil.id);
    ana.posts_message(room, "later").await;
    let frames = of_ana.received_so_far().await;
    assert!(frames.iter().all(|frame| frame["type"] != "participant_left"), "once: {frames:?}");
    let (status, _) = gil.requests(Method::GET, &format!("rooms/{room}/"), None).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_removal_and_a_page_that_opens_with_an_older_grant_leave_the_guest_outside() {
    for _ in 0..5 {
        let stay = Stay::new().await;
        let Stay { gil, path, task, room, .. } = &stay;
        let older = json!({"user_id": gil.id, "grant": format!("task:{task}"), "iat": now() - 60,
            "grant_until": tomorrow()});
        let page = gil.with_token(token(older));
        let opens = async {
            let (status, answer) = page.requests(Method::PUT, path, Some(json!({}))).await;
            assert!(status == StatusCode::OK || status == StatusCode::FORBIDDEN, "{status} {answer}");
            page.room_socket(room).opens().await
        };
        let (socket, ()) = tokio::join!(opens, stay.keeps_ana_alone());
        match socket {
            Ok(mut socket) => assert_eq!(socket.is_closed().await, 4403),
            Err(status) => assert_eq!(status, 403),
        }
        let (status, _) = page.requests(Method::PUT, path, Some(json!({}))).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert_eq!(page.room_socket(room).opens().await.err(), Some(403));
    }
}

#[tokio::test]
async fn whoever_accepts_an_invitation_is_told_of_the_room() {
    let stay = Stay::new().await;
    let Stay { ana, room, .. } = &stay;
    let dan = shared().await.user("dan").await;
    let (mut list, _) = dan.opens_user_socket().await;
    let mut of_ana = ana.joins(room).await;
    let made = ana.posts("invitations/", json!({"room": room, "uses": 1})).await;
    let url = text(&made["url"]);
    let token = url.split_once("#invitation=").expect("a token").1;
    dan.posts("invitations/accept/", json!({"token": token})).await;
    assert_eq!(list.receives("room_added").await["room_id"], *room);
    let joined = of_ana.receives("participant_joined").await;
    assert_eq!(
        (&joined["participant"]["user"]["id"], &joined["participant"]["role"]),
        (&json!(dan.id), &json!("guest"))
    );
    let mut in_room = dan.joins(room).await;
    in_room.says("here I am").await;
    of_ana.sees("here I am").await;
}
