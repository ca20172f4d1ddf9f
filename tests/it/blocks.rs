//! Blocks: what is refused between two users, and what isn't.

use serde_json::{Value, json};

use crate::client::{ApiClient, fresh_id, host, new_user, text_of};

fn path(other: &ApiClient) -> String {
    format!("/api/chat/users/{}/block/", other.id)
}

/// Tries to write in a room by each way; returns the code of each refusal.
async fn codes(who: &ApiClient, room: &str, message: &str) -> Vec<Value> {
    let answers = [
        who.post("/api/chat/messages/", json!({"room": room, "content": "hi"})).await,
        who.put(&format!("/api/chat/messages/{message}/reactions/👍/"), json!({})).await,
        who.put(&format!("/api/chat/messages/{message}/pin/"), json!({})).await,
    ];
    answers.iter().map(|answer| answer.json()["code"].clone()).collect()
}

#[tokio::test]
async fn nothing_is_written_between_two_of_whom_one_blocks_the_other() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let direct = alice.opens_direct(&bob).await;
    let group = alice.creates_group(&[&bob]).await;
    let message = text_of(&bob.says(&direct, "before").await["id"]);
    let block = alice.put(&path(&bob), json!({})).await.expect_status(200);
    assert_eq!(block["user_id"], bob.id);
    assert_eq!(alice.put(&path(&bob), json!({})).await.expect_status(200), block, "the same again");

    let blocked = vec![json!("blocked"); 3];
    assert_eq!(codes(&bob, &direct, &message).await, blocked);
    assert_eq!(codes(&alice, &direct, &message).await, blocked, "in both directions");
    let edit = json!({"content": "changed"});
    let edited = bob.patch(&format!("/api/chat/messages/{message}/"), edit).await.expect_status(403);
    assert_eq!(edited["code"], "blocked");
    let kept = alice.says(&group, "in a group").await;
    let forward = json!({"message_ids": [kept["id"]], "rooms": [direct], "client_id": uuid::Uuid::new_v4()});
    let forwarded = alice.post("/api/chat/messages/forward/", forward).await.json();
    assert_eq!(forwarded["errors"][&direct], "blocked");
    bob.says(&group, "groups stay").await;
    assert_eq!(bob.sees(&direct).await, ["before"], "reading goes on");
    bob.reads(&direct).await;
    assert!(!bob.room(&direct).await["capabilities"].as_array().expect("names").contains(&json!("post")));
    bob.delete(&format!("/api/chat/messages/{message}/")).await.expect_status(204);

    let listed = alice.get("/api/chat/blocks/").await.expect_status(200);
    assert_eq!((&listed["count"], &listed["results"][0]), (&json!(1), &block));
    assert_eq!(bob.get("/api/chat/blocks/").await.expect_status(200)["count"], 0);
    // Who is blocked can't lift it, and doesn't by blocking and unblocking the other.
    bob.put(&path(&alice), json!({})).await.expect_status(200);
    bob.delete(&path(&alice)).await.expect_status(204);
    assert_eq!(codes(&bob, &direct, &message).await[0], "blocked");
    alice.delete(&path(&bob)).await.expect_status(204);
    bob.says(&direct, "again").await;
}

#[tokio::test]
async fn no_direct_room_is_created_around_a_block() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    alice.put(&path(&bob), json!({})).await.expect_status(200);
    let open = async |who: &ApiClient, other: &ApiClient| {
        who.post("/api/chat/rooms/", json!({"participant_ids": [other.id]})).await
    };
    for (who, other) in [(&alice, &bob), (&bob, &alice)] {
        assert_eq!(open(who, other).await.expect_status(403)["code"], "blocked");
    }
    alice.delete(&path(&bob)).await.expect_status(204);
    open(&bob, &alice).await.expect_status(201);
}

#[tokio::test]
async fn wrong_blocks_are_refused() {
    let (alice, staff, host) = (new_user("alice").await, new_user("staff").await, host().await);
    host.put(&format!("/api/chat/users/{}/", staff.id), json!({"is_staff": true})).await.expect_status(200);
    alice.put(&path(&alice), json!({})).await.expect_field_errors(&["user"]);
    alice.put(&path(&staff), json!({})).await.expect_status(403);
    alice.put(&format!("/api/chat/users/{}/block/", fresh_id()), json!({})).await.expect_status(404);
    alice.put("/api/chat/users/x/block/", json!({})).await.expect_status(404);
    alice.delete(&format!("/api/chat/users/{}/block/", fresh_id())).await.expect_status(204);
    host.delete(&format!("/api/chat/users/{}/", staff.id)).await;
    alice.put(&path(&staff), json!({})).await.expect_status(404);
}

#[tokio::test]
async fn blocks_and_messages_at_once_leave_none_after_the_block() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let direct = alice.opens_direct(&bob).await;
    for _ in 0..5 {
        let sending = async {
            for n in 0..30 {
                bob.post("/api/chat/messages/", json!({"room": direct, "content": n.to_string()})).await;
            }
        };
        let blocking = async {
            alice.put(&path(&bob), json!({})).await.expect_status(200);
            alice.sees(&direct).await
        };
        let ((), seen) = futures_util::join!(sending, blocking);
        assert_eq!(alice.sees(&direct).await, seen, "nothing comes behind the answer");
        alice.delete(&path(&bob)).await.expect_status(204);
    }
}

#[tokio::test]
async fn whoever_left_a_blocked_direct_room_does_not_come_back() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let direct = alice.opens_direct(&bob).await;
    bob.put(&path(&alice), json!({})).await.expect_status(200);
    alice.post(&format!("/api/chat/rooms/{direct}/leave/"), json!({})).await.expect_status(200);
    let head = bob.get(&format!("/api/chat/rooms/{direct}/events/")).await.expect_status(200)["seq"].clone();
    let opened = alice.post("/api/chat/rooms/", json!({"participant_ids": [bob.id]})).await;
    assert_eq!(opened.expect_status(403)["code"], "blocked");
    assert_eq!(bob.get(&format!("/api/chat/rooms/{direct}/events/")).await.expect_status(200)["seq"], head);
    bob.delete(&path(&alice)).await.expect_status(204);
    assert_eq!(alice.opens_direct(&bob).await, direct);
}
