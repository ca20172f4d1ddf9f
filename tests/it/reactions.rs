//! Reactions by REST.

use serde_json::{Value, json};

use crate::client::{ApiClient, new_user, text_of};

/// The path of a reaction.
fn path(message: &Value, emoji: &str) -> String {
    format!("/api/chat/messages/{}/reactions/{emoji}/", text_of(&message["id"]))
}

async fn reactions(user: &ApiClient, message: &Value) -> Value {
    let path = format!("/api/chat/messages/{}/", text_of(&message["id"]));
    user.get(&path).await.expect_status(200)["reactions"].clone()
}

#[tokio::test]
async fn a_reaction_is_given_once_and_taken_back_once() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    let message = alice.says(&room, "done").await;
    assert_eq!(message["reactions"], json!([]));
    let given = json!([{"emoji": "👍", "count": 1, "users": [bob.id], "mine": true}]);
    for _ in 0..2 {
        let answer = bob.put(&path(&message, "👍"), json!({})).await.expect_status(200);
        assert_eq!(answer, json!({"message_id": message["id"], "reactions": given}));
    }
    let seen = json!([{"emoji": "👍", "count": 1, "users": [bob.id], "mine": false}]);
    assert_eq!(reactions(&alice, &message).await, seen);
    alice.put(&path(&message, "❤"), json!({})).await.expect_status(200);
    alice.put(&path(&message, "👍"), json!({})).await.expect_status(200);
    assert_eq!(
        reactions(&alice, &message).await,
        json!([
            {"emoji": "👍", "count": 2, "users": [bob.id, alice.id], "mine": true},
            {"emoji": "❤\u{fe0f}", "count": 1, "users": [alice.id], "mine": true},
        ])
    );
    for _ in 0..2 {
        bob.delete(&path(&message, "👍")).await.expect_status(200);
        alice.delete(&path(&message, "❤\u{fe0f}")).await.expect_status(200);
    }
    let left = json!([{"emoji": "👍", "count": 1, "users": [alice.id], "mine": true}]);
    assert_eq!(reactions(&alice, &message).await, left);
}

#[tokio::test]
async fn a_reaction_moves_no_room_and_counts_as_no_message() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    let message = alice.says(&room, "done").await;
    bob.post(&format!("/api/chat/rooms/{room}/mark_read/"), json!({})).await.expect_status(200);
    let before = bob.get(&format!("/api/chat/rooms/{room}/")).await.expect_status(200);
    alice.put(&path(&message, "🎉"), json!({})).await.expect_status(200);
    let after = bob.get(&format!("/api/chat/rooms/{room}/")).await.expect_status(200);
    assert_eq!((&after["modified_at"], &after["unread_count"]), (&before["modified_at"], &json!(0)));
}

#[tokio::test]
async fn what_is_no_emoji_or_one_too_many_is_refused() {
    let alice = new_user("alice").await;
    let room = alice.creates_group(&[]).await;
    let message = alice.says(&room, "done").await;
    for bad in ["a", "ok", "👍👍", "%20", "🇩"] {
        alice.put(&path(&message, bad), json!({})).await.expect_field_errors(&["emoji"]);
        alice.delete(&path(&message, bad)).await.expect_field_errors(&["emoji"]);
    }
    let many = "😀😃😄😁😆😅🤣😂🙂🙃🫠😉😊😇🥰😍🤩😘😗😚😙";
    for (number, emoji) in many.chars().enumerate() {
        let answer = alice.put(&path(&message, &emoji.to_string()), json!({})).await;
        if number < 20 {
            answer.expect_status(200);
        } else {
            answer.expect_field_errors(&["emoji"]);
        }
    }
    alice.put(&path(&message, "😀"), json!({})).await.expect_status(200);
}

#[tokio::test]
async fn deleted_messages_and_archived_rooms_take_no_reactions() {
    let (alice, eve) = (new_user("alice").await, new_user("eve").await);
    let room = alice.creates_group(&[]).await;
    let message = alice.says(&room, "done").await;
    eve.put(&path(&message, "👍"), json!({})).await.expect_status(404);
    alice.put(&path(&message, "👍"), json!({})).await.expect_status(200);
    alice.post(&format!("/api/chat/rooms/{room}/archive/"), json!({})).await.expect_status(200);
    alice.delete(&path(&message, "👍")).await.expect_status(409);
    alice.post(&format!("/api/chat/rooms/{room}/unarchive/"), json!({})).await.expect_status(200);
    alice.delete(&format!("/api/chat/messages/{}/", text_of(&message["id"]))).await.expect_status(204);
    alice.put(&path(&message, "👍"), json!({})).await.expect_status(404);
    let log = alice.get(&format!("/api/chat/rooms/{room}/events/?since=0")).await.expect_status(200);
    let sent = log["events"].as_array().expect("events").iter().find(|event| event["type"] == "chat_message");
    assert_eq!(sent.expect("the message")["message"]["reactions"], json!([]));
}
