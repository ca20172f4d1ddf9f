//! Legal holds by REST.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{host, host_at, new_user, new_user_at, text_of};
use crate::server::start;

const HOLDS: &str = "/api/chat/holds/";

#[tokio::test]
async fn what_is_on_hold_is_refused_with_its_name_and_goes_on_after_the_release() {
    let server = start(&[]).await;
    let host = host_at(&server);
    let (ana, ben) = (new_user_at(&server, "ana").await, new_user_at(&server, "ben").await);
    let room = ana.creates_group(&[&ben]).await;
    let said = ben.says(&room, "as agreed").await;
    let on_room = host.post(HOLDS, json!({"room": room, "name": "Case 12"})).await.expect_status(201);
    let on_user = host.post(HOLDS, json!({"user": ben.id, "name": "Case 13"})).await.expect_status(201);
    assert_eq!((&on_room["room_id"], &on_user["user_id"]), (&json!(room), &json!(ben.id)));

    let (room_path, user_path) = (format!("/api/chat/rooms/{room}/"), format!("/api/chat/users/{}/", ben.id));
    let refused = ana.delete(&room_path).await.expect_status(422);
    assert_eq!(refused, json!({"detail": "On hold: Case 12", "code": "rejected"}));
    let refused = host.delete(&format!("{user_path}?texts=true")).await.expect_status(422);
    assert_eq!(refused["detail"], "On hold: Case 13");
    ben.delete(&format!("/api/chat/messages/{}/", text_of(&said["id"]))).await.expect_status(204);
    let kept = format!("{HOLDS}{}/messages/", text_of(&on_room["id"]));
    let page = host.get(&kept).await.expect_status(200);
    assert_eq!(
        (&page["results"][0]["content"], &page["results"][0]["id"], &page["has_more"]),
        (&json!("as agreed"), &said["id"], &json!(false))
    );
    let next = format!("{kept}?after={}", text_of(&said["id"]));
    assert_eq!(host.get(&next).await.expect_status(200)["results"], json!([]));
    let read = host.get("/api/chat/audit/?kind=held_messages_read").await.expect_status(200);
    assert_eq!(read["results"].as_array().expect("entries").len(), 2);

    for hold in [&on_room, &on_user] {
        host.delete(&format!("{HOLDS}{}/", text_of(&hold["id"]))).await.expect_status(204);
    }
    ana.delete(&room_path).await.expect_status(204);
    host.delete(&user_path).await.expect_status(204);
    let listed = host.get(HOLDS).await.expect_status(200);
    assert_eq!((&listed["count"], &listed["results"][0]["id"]), (&json!(2), &on_user["id"]));
    assert_ne!(listed["results"][0]["released_at"], Value::Null);
}

#[tokio::test]
async fn wrong_holds_are_refused() {
    let (host, ana) = (host().await, new_user("ana").await);
    let room = ana.creates_group(&[]).await;
    for (body, fields) in [
        (json!({}), &["name", "room"][..]),
        (json!({"room": room, "user": ana.id, "name": "x"}), &["room"]),
        (json!({"room": room}), &["name"]),
        (json!({"room": room, "name": " "}), &["name"]),
        (json!({"room": room, "name": "x".repeat(201)}), &["name"]),
        (json!({"room": Uuid::new_v4(), "name": "x"}), &["room"]),
        (json!({"user": 987_654_321_987_i64, "name": "x"}), &["user"]),
    ] {
        host.post(HOLDS, body).await.expect_field_errors(fields);
    }
    for path in [format!("{HOLDS}x/"), format!("{HOLDS}{}/", Uuid::new_v4())] {
        host.delete(&path).await.expect_status(404);
        host.get(&format!("{path}messages/")).await.expect_status(404);
    }
}
