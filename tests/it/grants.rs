//! Grants, which admit their holder to one room, and who may create a subject's room without one.

use chrono::Utc;
use serde_json::{Value, json};

use crate::client::{ApiClient, fresh_id, host, new_user, new_user_at, text_of};
use crate::server::{shared, start};

/// The same user with a grant that was signed this many seconds from now.
async fn client_with_grant(person: &ApiClient, task: i64, seconds: i64) -> ApiClient {
    let iat = Utc::now().timestamp() + seconds;
    let says = json!({"user_id": person.id, "grant": format!("task:{task}"), "iat": iat});
    person.with_token(&shared().await.signs_token(&says))
}

fn people(room: &Value) -> Vec<i64> {
    let people = room["participants"].as_array().expect("participants");
    people.iter().map(|one| one["user"]["id"].as_i64().expect("an id")).collect()
}

#[tokio::test]
async fn a_grant_admits_only_its_holder_and_names_nothing() {
    let (alice, bob, eve) = (new_user("alice").await, new_user("bob").await, new_user("eve").await);
    let task = fresh_id();
    let path = format!("/api/chat/tasks/{task}/room/");
    let wanted = json!({"title": "Pay here", "participant_ids": [eve.id]});
    let made =
        alice.granted(&format!("task:{task}")).await.put(&path, wanted.clone()).await.expect_status(201);
    assert_eq!(people(&made), [alice.id]);
    let untitled = format!("Chat #{}", &text_of(&made["id"])[..8]);
    assert_eq!(made["display_name"], untitled);
    let bob_in =
        bob.granted(&format!("task:{task}")).await.put(&path, wanted.clone()).await.expect_status(200);
    assert_eq!((people(&bob_in), &bob_in["display_name"]), (vec![alice.id, bob.id], &json!(untitled)));
    // A participant is treated as one, with or without a grant.
    let bob_again = bob.put(&path, wanted.clone()).await.expect_status(200);
    assert_eq!((people(&bob_again), &bob_again["display_name"]), (vec![alice.id, bob.id], &json!(untitled)));
    let other = fresh_id();
    let by_rooms = json!({"room_type": "task", "task": other, "participant_ids": [eve.id]});
    let granted = alice.granted(&format!("task:{other}")).await;
    assert_eq!(people(&granted.post("/api/chat/rooms/", by_rooms).await.expect_status(201)), [alice.id]);
    eve.put(&path, json!({})).await.expect_status(403);
    eve.granted(&format!("property:{task}")).await.put(&path, json!({})).await.expect_status(403);
    let named = host()
        .await
        .put(&path, json!({"title": "Fix it", "participant_ids": [eve.id]}))
        .await
        .expect_status(200);
    assert_eq!(named["display_name"], "Task: Fix it");
    assert_eq!(people(&named), [alice.id, bob.id, eve.id]);
}

#[tokio::test]
async fn a_removed_user_stays_out_until_a_newer_grant_is_signed() {
    let (alice, bob, host) = (new_user("alice").await, new_user("bob").await, host().await);
    let task = fresh_id();
    let path = format!("/api/chat/tasks/{task}/room/");
    let body = json!({"room_type": "task", "task": task});
    let by_host = host.put(&path, json!({"participant_ids": [alice.id]})).await.expect_status(201);
    let room = text_of(&by_host["id"]);
    let old = client_with_grant(&bob, task, 0).await;
    old.put(&path, json!({})).await.expect_status(200);
    let place = bob.participant_id(&bob, &room).await;
    host.delete(&format!("/api/chat/participants/{place}/")).await.expect_status(204);
    for grant in [&old, &client_with_grant(&bob, task, -60).await] {
        grant.put(&path, json!({})).await.expect_status(403);
        grant.post("/api/chat/rooms/", body.clone()).await.expect_status(403);
        grant.get(&format!("/api/chat/rooms/{room}/")).await.expect_status(403);
    }
    let newer = client_with_grant(&bob, task, 3).await;
    newer.put(&path, json!({})).await.expect_status(200);
    bob.post(&format!("/api/chat/rooms/{room}/leave/"), json!({})).await.expect_status(200);
    old.put(&path, json!({})).await.expect_status(200);
    alice.removes(&bob, &room).await;
    old.put(&path, json!({})).await.expect_status(403);
    host.put(&path, json!({"participant_ids": [bob.id]})).await.expect_status(200);
    bob.get(&format!("/api/chat/rooms/{room}/")).await.expect_status(200);
}

#[tokio::test]
async fn a_grant_holder_finds_and_names_only_users_of_shared_rooms() {
    let (alice, bob, eve) = (new_user("alice").await, new_user("bob").await, new_user("eve").await);
    let task = fresh_id();
    let path = format!("/api/chat/tasks/{task}/room/");
    host().await.put(&path, json!({"participant_ids": [bob.id]})).await.expect_status(201);
    let granted = alice.granted(&format!("task:{task}")).await;
    let found = async |search: &str| {
        let page = granted.get(&format!("/api/chat/users/?search={search}")).await.expect_status(200);
        let people = page["results"].as_array().expect("results").clone();
        assert_eq!(page["count"], people.len());
        people.iter().map(|one| one["id"].as_i64().expect("an id")).collect::<Vec<_>>()
    };
    assert!(found("").await.is_empty(), "in no room there is nobody");
    granted.put(&path, json!({})).await.expect_status(200);
    assert_eq!(found("").await, [alice.id, bob.id]);
    assert_eq!(found(&format!("bob{}", bob.id)).await, [bob.id]);
    assert!(found(&format!("eve{}", eve.id)).await.is_empty());
    assert_eq!(
        alice.get(&format!("/api/chat/users/?search=eve{}", eve.id)).await.expect_status(200)["count"],
        1
    );

    // Nor can users be discovered by adding one id after another to a room.
    let group = |people: Vec<i64>| json!({"room_type": "group", "participant_ids": people});
    granted
        .post("/api/chat/rooms/", group(vec![bob.id, eve.id]))
        .await
        .expect_field_errors(&["participant_ids"]);
    granted
        .post("/api/chat/rooms/", json!({"participant_ids": [eve.id]}))
        .await
        .expect_field_errors(&["participant_ids"]);
    let made = granted.post("/api/chat/rooms/", group(vec![bob.id])).await.expect_status(201);
    let eve_in = json!({"room": made["id"], "user": eve.id});
    granted.post("/api/chat/participants/", eve_in.clone()).await.expect_field_errors(&["user"]);
    alice.post("/api/chat/participants/", eve_in).await.expect_status(201);
    assert_eq!(found(&format!("eve{}", eve.id)).await, [eve.id]);
}

#[tokio::test]
async fn with_host_keys_only_grants_create_a_subjects_room() {
    let alice = new_user("alice").await;
    for kind in ["task", "property"] {
        let subject = fresh_id();
        let body = json!({"room_type": kind, kind: subject});
        assert_eq!(
            alice.post("/api/chat/rooms/", body.clone()).await.expect_status(403)["code"],
            "forbidden"
        );
        let granted = alice.granted(&format!("{kind}:{subject}")).await;
        let made = granted.post("/api/chat/rooms/", body.clone()).await.expect_status(201);
        assert_eq!(made["participants"][0]["is_admin"], true);
        assert_eq!(alice.post("/api/chat/rooms/", body).await.expect_status(201)["id"], made["id"]);
    }
    let open = start(&["--subject-rooms", "open"]).await;
    let (alice, bob) = (new_user_at(&open, "alice").await, new_user_at(&open, "bob").await);
    let body = json!({"room_type": "task", "task": 42, "participant_ids": [bob.id]});
    let made = alice.post("/api/chat/rooms/", body).await.expect_status(201);
    assert_eq!(people(&made), [alice.id, bob.id]);
}

#[tokio::test]
async fn a_malformed_grant_gets_an_explanation() {
    let alice = new_user("alice").await;
    for grant in [json!(""), json!("room:1"), json!(42)] {
        let token = shared().await.signs_token(&json!({"user_id": alice.id, "grant": grant}));
        let refused = alice.with_token(&token).get("/api/chat/rooms/").await;
        assert_eq!(refused.header("www-authenticate"), Some("Bearer realm=\"api\""));
        let refused = refused.expect_status(401);
        assert_eq!(refused["code"], "token_not_valid");
        assert!(text_of(&refused["detail"]).contains("grant must be \"task:<id>\""), "{refused}");
    }
    for beside in [json!({"grant": null}), json!({"aud": "elsewhere"})] {
        let mut says = json!({"user_id": alice.id});
        says.as_object_mut().expect("claims").extend(beside.as_object().expect("claims").clone());
        alice.with_token(&shared().await.signs_token(&says)).get("/api/chat/rooms/").await.expect_status(200);
    }
}
