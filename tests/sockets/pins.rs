//! Pinned and forwarded messages on sockets.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::users::TestUser;
use crate::{limited, shared};

async fn pins(user: &TestUser, message: &Value, method: Method) -> Value {
    let path = format!("messages/{}/pin/", message["id"].as_str().expect("an id"));
    let (status, body) = user.requests(method, &path, None).await;
    assert!(status.is_success(), "{status} {body}");
    serde_json::from_str(&body).expect("JSON")
}

#[tokio::test]
async fn a_pin_is_told_to_everyone_once_and_replayed() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let message = ana.posts_message(&room, "the code is 4711").await;
    let (mut a, mut b) = (ana.joins(&room).await, ben.joins(&room).await);
    let seq = message["seq"].as_i64().expect("a position") + 1;
    let pinned = pins(&ben, &message, Method::PUT).await;
    pins(&ana, &message, Method::PUT).await;
    let frame = json!({"type": "message_pinned", "room_id": room, "seq": seq, "message_id": message["id"],
        "pinned_by": ben.id, "pinned_at": pinned["pinned_at"], "pinned": true});
    assert_eq!(a.receives("message_pinned").await, frame);
    assert_eq!(b.receives("message_pinned").await, frame);
    pins(&ana, &message, Method::DELETE).await;
    let off = json!({"type": "message_pinned", "room_id": room, "seq": seq + 1, "message_id": message["id"],
        "pinned_by": ana.id, "pinned_at": null, "pinned": false});
    assert_eq!(b.receives("message_pinned").await, off);
    let pinned = pins(&ana, &message, Method::PUT).await;
    a.receives("message_pinned").await;

    // A replay tells the message as it is now, and each step with its own position.
    let (_, frames) = ben.resumes(&room, seq - 2).await;
    let sent = frames.iter().find(|frame| frame["type"] == "chat_message").expect("the message");
    let now = &sent["message"];
    assert_eq!(
        (&now["rev"], &now["pinned_at"], &now["pinned_by"]),
        (&json!(seq + 2), &pinned["pinned_at"], &json!(ana.id))
    );
    let steps: Vec<&Value> = frames.iter().filter(|frame| frame["type"] == "message_pinned").collect();
    assert_eq!(steps[..2], [&frame, &off]);
    ana.deletes(&format!("messages/{}/", message["id"].as_str().expect("an id"))).await;
    let (_, frames) = ben.resumes(&room, seq - 2).await;
    let gone = &frames[0]["message"];
    assert_eq!(
        (&gone["is_deleted"], &gone["pinned_at"], &gone["pinned_by"]),
        (&json!(true), &json!(null), &json!(null))
    );
}

#[tokio::test]
async fn copies_come_together_and_tell_no_place() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let (from, to) = (ana.makes_group(&[]).await, ana.makes_group(&[&ben]).await);
    let (one, two) = (ana.posts_message(&from, "one").await, ana.posts_message(&from, "two").await);
    let mut b = ben.joins(&to).await;
    let body = json!({"message_ids": [one["id"], two["id"]], "rooms": [to], "content": "look",
        "client_id": Uuid::new_v4()});
    let answer = ana.posts("messages/forward/", body).await;
    let sender = json!({"id": ana.id, "username": ana.name, "full_name": format!("Full {}", ana.name)});
    let mut seqs = Vec::new();
    for (text, source) in [("look", None), ("one", Some(&one)), ("two", Some(&two))] {
        let frame = b.receives("chat_message").await;
        assert_eq!(frame["message"]["content"], text);
        let origin = source.map(|source| json!({"sender": sender, "created_at": source["created_at"]}));
        assert_eq!(frame["message"]["forwarded"], json!(origin));
        seqs.push(frame["seq"].as_i64().expect("a position"));
    }
    assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1), "{seqs:?}");
    assert_eq!(answer["messages"][1]["forwarded"]["room_id"], from.as_str());
    let (_, frames) = ben.resumes(&to, seqs[0]).await;
    assert_eq!(frames[0]["message"]["forwarded"], json!({"sender": sender, "created_at": one["created_at"]}));
    let (text, _) = ben.events(&to, 0).await;
    assert!(!text.contains(&from), "{text}");
}

#[tokio::test]
async fn each_message_of_a_forward_counts_towards_the_rate() {
    let server = limited().await;
    let ana = server.user("ana").await;
    let (from, to) = (ana.makes_group(&[]).await, ana.makes_group(&[]).await);
    let mut ids = Vec::new();
    for n in 0..20 {
        ids.push(ana.posts_message(&from, &n.to_string()).await["id"].clone());
    }
    // A burst of 100 messages in a room, and 10 more a second.
    let mut refused = Value::Null;
    for _ in 0..20 {
        let body = json!({"message_ids": ids, "rooms": [to], "client_id": Uuid::new_v4()});
        let answer = ana.posts("messages/forward/", body).await;
        if answer["errors"] != json!({}) {
            refused = answer;
            break;
        }
    }
    assert_eq!(refused, json!({"messages": [], "errors": {to: "rate_limited"}}));
}
