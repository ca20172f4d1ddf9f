//! Reactions on sockets.

use serde_json::json;
use uuid::Uuid;

use crate::shared;

#[tokio::test]
async fn a_reaction_is_acknowledged_told_to_everyone_and_replayed() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let message = ana.posts_message(&room, "done").await;
    let (mut a, mut b) = (ana.joins(&room).await, ben.joins(&room).await);
    let client_id = Uuid::new_v4().to_string();
    let react = |on| json!({"type": "react", "message_id": message["id"], "emoji": "❤", "on": on, "client_id": client_id});
    b.sends(react(true)).await;
    let seq = message["seq"].as_i64().expect("a position") + 1;
    let reaction = json!({"type": "reaction", "room_id": room, "seq": seq, "message_id": message["id"],
        "user_id": ben.id, "emoji": "❤\u{fe0f}", "added": true});
    let ack = b.receives("ack").await;
    assert_eq!(
        (&ack["client_id"], &ack["message_id"], &ack["seq"], &ack["duplicate"]),
        (&json!(client_id), &message["id"], &json!(seq), &json!(false))
    );
    assert_eq!(b.receives("reaction").await, reaction);
    assert_eq!(a.receives("reaction").await, reaction);
    // Again: nothing new.
    b.sends(react(true)).await;
    let ack = b.receives("ack").await;
    assert_eq!((&ack["seq"], &ack["duplicate"]), (&json!(seq), &json!(true)));
    b.sends(react(false)).await;
    let taken_back = a.receives("reaction").await;
    assert_eq!((&taken_back["added"], &taken_back["seq"]), (&json!(false), &json!(seq + 1)));

    // A replay tells the message as it is now, and each step with its own position.
    b.sends(react(true)).await;
    a.receives("reaction").await;
    let (_, frames) = ana.resumes(&room, seq - 2).await;
    let sent = frames.iter().find(|frame| frame["type"] == "chat_message").expect("the message");
    assert_eq!(sent["message"]["rev"], seq + 2);
    assert_eq!(sent["message"]["reactions"], json!([{"emoji": "❤\u{fe0f}", "count": 1, "users": [ben.id]}]));
    let steps: Vec<bool> = frames
        .iter()
        .filter(|frame| frame["type"] == "reaction")
        .map(|frame| frame["added"] == true)
        .collect();
    assert_eq!(steps, [true, false, true]);
}

#[tokio::test]
async fn a_wrong_reaction_gets_an_error() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[]).await;
    let elsewhere = ben.makes_group(&[]).await;
    let foreign = ben.posts_message(&elsewhere, "secret").await;
    let mut a = ana.joins(&room).await;
    let message = ana.posts_message(&room, "done").await;
    for (message, emoji, code) in [
        (&message["id"], json!("ok"), "invalid"),
        (&message["id"], json!(5), "bad_frame"),
        (&foreign["id"], json!("👍"), "not_found"),
        (&json!("x"), json!("👍"), "bad_frame"),
    ] {
        let client_id = Uuid::new_v4().to_string();
        let frame = json!({"type": "react", "message_id": message, "emoji": emoji, "on": true, "client_id": client_id});
        a.sends(frame).await;
        let error = a.receives("error").await;
        assert_eq!((&error["code"], &error["client_id"]), (&json!(code), &json!(client_id)));
    }
}
