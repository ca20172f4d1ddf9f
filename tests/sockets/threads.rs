//! Threads on sockets.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::shared;

#[tokio::test]
async fn a_reply_is_told_to_everyone_and_counted_by_who_replays() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let root = ana.posts_message(&room, "the boiler").await;
    let (mut a, mut b) = (ana.joins(&room).await, ben.joins(&room).await);
    let client_id = Uuid::new_v4().to_string();
    let reply = json!({"type": "chat_message", "message": "is hot", "thread_root": root["id"], "in_timeline": false,
        "client_id": client_id});
    b.sends(reply.clone()).await;
    let ack = b.answer_to(&client_id).await;
    let frame = a.sees("is hot").await;
    let place = json!({"root_id": root["id"], "replies": 0, "last_reply_at": null});
    assert_eq!((&frame["message"]["thread"], &frame["message"]["in_timeline"]), (&place, &json!(false)));
    assert_eq!(frame["seq"], ack["seq"]);
    // The same once more is the same; in another place it is another message.
    b.sends(reply).await;
    assert_eq!(b.answer_to(&client_id).await["duplicate"], true);
    let aside = json!({"type": "chat_message", "message": "is hot", "thread_root": root["id"], "client_id": client_id});
    b.sends(aside).await;
    assert_eq!(b.answer_to(&client_id).await["code"], "client_id_conflict");

    let second =
        ana.posts("messages/", json!({"room": room, "content": "good", "thread_root": root["id"]})).await;
    assert_eq!(b.sees("good").await["message"].get("in_timeline"), None);
    ana.deletes(&format!("messages/{}/", second["id"].as_str().expect("an id"))).await;
    let deleted = a.receives("message_deleted").await;
    let sums = json!({"root_id": root["id"], "replies": 1, "last_reply_at": frame["message"]["created_at"]});
    assert_eq!(deleted["thread"], sums);

    // A replay tells the root with its sums up to its `rev`, from the log and from what the room keeps.
    let since = root["seq"].as_i64().expect("a position") - 1;
    for _ in 0..2 {
        let (socket, frames) = ana.resumes(&room, since).await;
        let told = |content: &str| -> Value {
            let of = |frame: &&Value| frame["message"]["content"] == content;
            frames.iter().find(of).expect("a message")["message"].clone()
        };
        assert_eq!((&told("the boiler")["thread"], &told("the boiler")["rev"]), (&sums, &deleted["seq"]));
        assert_eq!(told("is hot")["thread"], place);
        // A deleted reply still says where it stood.
        assert_eq!(told("[Message deleted]")["thread"], place);
        let again = frames.iter().find(|frame| frame["type"] == "message_deleted").expect("the deletion");
        assert_eq!(again["thread"], sums);
        socket.closes().await;
    }
}

#[tokio::test]
async fn what_stands_in_a_thread_alone_changes_no_list() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let root = ana.posts_message(&room, "the boiler").await;
    let (mut list, _) = ben.opens_user_socket().await;
    let reply = |text: &str, in_timeline: bool| json!({"room": room, "content": text, "thread_root": root["id"], "in_timeline": in_timeline});
    ana.posts("messages/", reply("between us", false)).await;
    ana.posts("messages/", reply("for all", true)).await;
    let row = list.receives("inbox").await;
    assert_eq!((&row["last_message_preview"], &row["unread_count"]), (&json!("for all"), &json!(2)));
    // A mark at the end is told with a message that old clients have.
    let mut a = ana.joins(&room).await;
    let last = ana.posts("messages/", reply("between us", false)).await;
    ben.posts(&format!("rooms/{room}/mark_read/"), json!({})).await;
    let receipt = a.receives("read_receipt").await;
    assert_eq!(receipt["up_to"], last["seq"]);
    assert_ne!(receipt["message_id"], last["id"]);
}

#[tokio::test]
async fn a_reply_without_its_root_is_refused() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let (room, elsewhere) = (ana.makes_group(&[]).await, ben.makes_group(&[]).await);
    let foreign = ben.posts_message(&elsewhere, "secret").await;
    let mut a = ana.joins(&room).await;
    for (frame, code) in [
        (json!({"thread_root": foreign["id"]}), "invalid"),
        (json!({"thread_root": Uuid::new_v4()}), "invalid"),
        (json!({"thread_root": "x"}), "bad_frame"),
        (json!({"in_timeline": false}), "bad_frame"),
        (json!({"thread_root": foreign["id"], "in_timeline": "no"}), "bad_frame"),
    ] {
        let client_id = Uuid::new_v4().to_string();
        let mut sent = json!({"type": "chat_message", "message": "hi", "client_id": client_id});
        for (name, value) in frame.as_object().expect("fields") {
            sent[name] = value.clone();
        }
        a.sends(sent).await;
        let error = a.answer_to(&client_id).await;
        assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!(code)), "{frame}");
    }
    // Without a client_id, too: it isn't meant for the timeline.
    a.sends(json!({"type": "chat_message", "message": "hi", "thread_root": foreign["id"]})).await;
    a.receives_error("invalid").await;
    assert_eq!(ana.gets(&format!("messages/?room={room}")).await["count"], 0);
}
