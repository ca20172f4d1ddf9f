//! Invitations: made and taken back by a room's admins, and accepted with their token.

use chrono::{Duration, Utc};
use serde_json::{Value, json};

use crate::client::{ApiClient, fresh_id, host, new_user, text_of};

const PATH: &str = "/api/chat/invitations/";

fn token_of(made: &Value) -> String {
    let url = text_of(&made["url"]);
    let token = url.split_once("/chat/#invitation=").expect("a link to the page").1.to_owned();
    assert_eq!(made["token"], token);
    token
}

async fn accept(who: &ApiClient, token: &str) -> crate::client::ApiResponse {
    who.post(&format!("{PATH}accept/"), json!({"token": token})).await
}

/// Asserts that `who` is refused, and that the reason says `why`.
async fn is_refused(who: &ApiClient, token: &str, why: &str) {
    let answer = accept(who, token).await;
    answer.expect_field_errors(&["token"]);
    let problem = text_of(&answer.json()["token"][0]);
    assert!(problem.contains(why), "{problem}");
}

#[tokio::test]
async fn whoever_has_the_token_comes_in_as_the_invitation_says() {
    let (alice, gina, dora) = (new_user("alice").await, new_user("gina").await, new_user("dora").await);
    let room = alice.creates_group(&[]).await;
    alice.says(&room, "internal").await;
    let until = Utc::now() + Duration::hours(1);
    let made =
        alice.post(PATH, json!({"room": room, "role": "guest", "until": until})).await.expect_status(201);
    assert_eq!((&made["uses"], &made["used"], &made["role"]), (&json!(1), &json!(0), &json!("guest")));
    assert_eq!((&made["until"], &made["created_by"]), (&made["expires_at"], &json!(alice.id)));
    let token = token_of(&made);
    let entered = accept(&gina, &token).await.expect_status(200);
    assert_eq!(entered["id"], room);
    assert_eq!(entered["participants"][1]["role"], "guest");
    assert!(gina.sees(&room).await.is_empty(), "a guest sees from the entry on");
    assert_eq!(accept(&gina, &token).await.expect_status(200)["id"], room, "again: nothing new");
    assert_eq!(accept(&gina, &text_of(&made["url"])).await.expect_status(200)["id"], room);
    is_refused(&dora, &token, "used as often").await;
    gina.post("/api/chat/rooms/", json!({"room_type": "group"})).await.expect_status(403);

    let listed = alice.get(&format!("{PATH}?room={room}")).await.expect_status(200);
    assert_eq!((&listed["count"], &listed["results"][0]["used"]), (&json!(1), &json!(1)));
    assert!(!listed.to_string().contains(&token), "a token is told once");
    assert!(!listed.to_string().contains("hash"), "{listed}");
}

#[tokio::test]
async fn refusals_say_why() {
    let (alice, gina) = (new_user("alice").await, new_user("gina").await);
    let room = alice.creates_group(&[]).await;
    is_refused(&gina, "made up", "not known").await;
    gina.post(&format!("{PATH}accept/"), json!({})).await.expect_field_errors(&["token"]);
    gina.post(&format!("{PATH}accept/"), json!({"token": "x".repeat(5_000)}))
        .await
        .expect_field_errors(&["token"]);
    gina.post(&format!("{PATH}accept/"), json!({"token": 5})).await.expect_field_errors(&["token"]);

    let withdrawn = alice.post(PATH, json!({"room": room, "uses": 3})).await.expect_status(201);
    let one = format!("{PATH}{}/", text_of(&withdrawn["id"]));
    gina.delete(&one).await.expect_status(404);
    alice.delete(&one).await.expect_status(204);
    is_refused(&gina, &token_of(&withdrawn), "withdrawn").await;
    assert_eq!(alice.get(&format!("{PATH}?room={room}")).await.expect_status(200)["count"], 0);

    let until = Utc::now() + Duration::milliseconds(300);
    let brief = alice.post(PATH, json!({"room": room, "until": until})).await.expect_status(201);
    while Utc::now() <= until {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    is_refused(&gina, &token_of(&brief), "expired").await;

    let made = alice.post(PATH, json!({"room": room, "uses": 5})).await.expect_status(201);
    accept(&gina, &token_of(&made)).await.expect_status(200);
    alice.removes(&gina, &room).await;
    accept(&gina, &token_of(&made)).await.expect_status(403);
    let newer = alice.post(PATH, json!({"room": room})).await.expect_status(201);
    accept(&gina, &token_of(&newer)).await.expect_status(200);
    alice.delete(&format!("/api/chat/rooms/{room}/")).await.expect_status(204);
    is_refused(&gina, &token_of(&made), "not known").await;
}

#[tokio::test]
async fn only_admins_and_the_host_invite() {
    let (alice, bob, eve) = (new_user("alice").await, new_user("bob").await, new_user("eve").await);
    let room = alice.creates_group(&[&bob]).await;
    let made = alice.post(PATH, json!({"room": room, "role": "member", "uses": 2})).await.expect_status(201);
    for who in [&bob, &eve] {
        who.post(PATH, json!({"room": room})).await.expect_status(403);
        who.get(&format!("{PATH}?room={room}")).await.expect_status(403);
    }
    bob.delete(&format!("{PATH}{}/", text_of(&made["id"]))).await.expect_status(403);
    host().await.post(PATH, json!({"room": room})).await.expect_status(403);
    alice.post(PATH, json!({})).await.expect_field_errors(&["room"]);
    alice.post(PATH, json!({"room": uuid::Uuid::new_v4()})).await.expect_field_errors(&["room"]);
    for (field, value) in [
        ("role", json!("boss")),
        ("until", json!("soon")),
        ("until", json!(Utc::now() - Duration::hours(1))),
        ("uses", json!(0)),
        ("uses", json!(1_001)),
        ("uses", json!("many")),
    ] {
        alice.post(PATH, json!({"room": room, (field): value})).await.expect_field_errors(&[field]);
    }
    alice.get(PATH).await.expect_field_errors(&["room"]);
    alice.get(&format!("{PATH}?room={}", uuid::Uuid::new_v4())).await.expect_status(404);
    alice.delete(&format!("{PATH}x/")).await.expect_status(404);
    let direct = alice.opens_direct(&bob).await;
    alice.post(PATH, json!({"room": direct})).await.expect_field_errors(&["room"]);

    let body = json!({"participants": [{"user": alice.id, "role": "member"}]});
    let task =
        host().await.put(&format!("/api/chat/tasks/{}/room/", fresh_id()), body).await.expect_status(201);
    let made = host().await.post(PATH, json!({"room": task["id"]})).await.expect_status(201);
    assert_eq!(made["created_by"], Value::Null);
    let entered = accept(&eve, &token_of(&made)).await.expect_status(200);
    assert_eq!(entered["id"], task["id"]);
    host().await.post(&format!("{PATH}accept/"), json!({"token": token_of(&made)})).await.expect_status(403);
}
