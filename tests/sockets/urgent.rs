//! Urgent messages on sockets: told at once to everyone, acknowledged, and limited.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::notifications::{listens, sets};
use crate::users::TestUser;
use crate::{limited, shared};

async fn acknowledges(user: &TestUser, message: &Value) -> Value {
    user.posts(&format!("messages/{}/ack/", message.as_str().expect("an id")), json!({})).await
}

#[tokio::test]
async fn an_acknowledgement_is_told_to_everyone_once_and_replayed() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let (mut a, mut b) = (ana.joins(&room).await, ben.joins(&room).await);
    let ack_by = "2100-01-01T00:00:00Z";
    for (urgent, code) in [(json!({"ack_by": ack_by}), "invalid"), (json!(true), "bad_frame")] {
        let frame =
            json!({"type": "chat_message", "message": "fire", "urgent": urgent, "client_id": Uuid::new_v4()});
        a.sends(frame).await;
        assert_eq!(a.receives("error").await["code"], code);
    }
    a.sends(json!({"type": "chat_message", "message": "fire", "urgent": {}, "client_id": Uuid::new_v4()}))
        .await;
    let sent = b.receives("chat_message").await;
    let (message, seq) = (&sent["message"], sent["seq"].as_i64().expect("a position"));
    assert_eq!(message["urgent"], json!({"acks": [], "ack_count": 0}));
    let given = acknowledges(&ben, &message["id"]).await;
    acknowledges(&ben, &message["id"]).await;
    let at = &given["urgent"]["acks"][0]["at"];
    let frame = json!({"type": "message_acknowledged", "room_id": room, "seq": seq + 1, "message_id": message["id"],
        "user_id": ben.id, "at": at});
    assert_eq!(a.receives("message_acknowledged").await, frame);
    assert_eq!(b.receives("message_acknowledged").await, frame);
    let (_, frames) = ben.resumes(&room, seq - 1).await;
    assert_eq!(frames[0]["message"]["urgent"], given["urgent"]);
    assert_eq!(frames[1], frame);
}

#[tokio::test]
async fn everyone_is_told_at_once_and_what_is_acknowledged_is_withdrawn() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    sets(&ben, json!({"delay_seconds": 3_600, "quiet": {"from": "00:00", "to": "23:59", "timezone": "UTC"}}))
        .await;
    let mut phone = listens(&ben).await;
    let body = json!({"room": room, "content": "fire", "urgent": {}});
    let message = ana.posts("messages/", body).await;
    let told = phone.receives("notification").await;
    assert_eq!(
        (&told["message_id"], &told["kind"], &told["urgent"]),
        (&message["id"], &json!("urgent"), &json!(true))
    );
    assert_eq!(ben.gets("notifications/").await["results"][0]["urgent"], json!(true));
    let why = ben.gets(&format!("messages/{}/why/", message["id"].as_str().expect("an id"))).await;
    assert_eq!((&why["told"], &why["reasons"][0]["rule"]), (&json!(true), &json!("urgent")));
    assert!(why["reasons"][0]["text"].as_str().is_some_and(|text| text.starts_with("It is urgent")));
    acknowledges(&ben, &message["id"]).await;
    assert_eq!(phone.receives("notification_gone").await["ids"], json!([told["id"]]));
}

#[tokio::test]
async fn a_user_sends_five_urgent_messages_a_minute() {
    let server = limited().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let body = json!({"room": room, "content": "fire", "urgent": {}});
    for _ in 0..5 {
        ana.posts("messages/", body.clone()).await;
    }
    let (status, answer) = ana.requests(Method::POST, "messages/", Some(body)).await;
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!((status.as_u16(), &answer["code"]), (429, &json!("rate_limited")));
    assert!(answer["retry_after"].as_f64().is_some_and(|wait| wait > 5.0 && wait <= 12.0), "{answer}");
    ana.posts_message(&room, "what isn't urgent").await;
}
