//! What the holder of a grant may: come into one room. And who may make a subject's room without one.

use chrono::Utc;
use serde_json::{Value, json};

use crate::server::{shared, start};
use crate::stage::{Someone, fresh_id, host, someone, someone_at, text_of};

/// The same person with a grant that was signed so many seconds from now.
async fn granted_in(person: &Someone, task: i64, seconds: i64) -> Someone {
    let iat = Utc::now().timestamp() + seconds;
    let says = json!({"user_id": person.id, "grant": format!("task:{task}"), "iat": iat});
    person.with_token(&shared().await.signs(&says))
}

fn people(room: &Value) -> Vec<i64> {
    let people = room["participants"].as_array().expect("participants");
    people.iter().map(|one| one["user"]["id"].as_i64().expect("an id")).collect()
}

#[tokio::test]
async fn a_grant_puts_in_its_holder_alone_and_names_nothing() {
    let (alice, bob, eve) = (someone("alice").await, someone("bob").await, someone("eve").await);
    let task = fresh_id();
    let path = format!("/api/chat/tasks/{task}/room/");
    let wanted = json!({"title": "Pay here", "participant_ids": [eve.id]});
    let made = alice.granted(&format!("task:{task}")).await.put(&path, wanted.clone()).await.is(201);
    assert_eq!(people(&made), [alice.id]);
    let untitled = format!("Chat #{}", &text_of(&made["id"])[..8]);
    assert_eq!(made["display_name"], untitled);
    let bob_in = bob.granted(&format!("task:{task}")).await.put(&path, wanted.clone()).await.is(200);
    assert_eq!((people(&bob_in), &bob_in["display_name"]), (vec![alice.id, bob.id], &json!(untitled)));
    // One who is in it asks as such, with a grant or without.
    let bob_again = bob.put(&path, wanted.clone()).await.is(200);
    assert_eq!((people(&bob_again), &bob_again["display_name"]), (vec![alice.id, bob.id], &json!(untitled)));
    let other = fresh_id();
    let by_rooms = json!({"room_type": "task", "task": other, "participant_ids": [eve.id]});
    let granted = alice.granted(&format!("task:{other}")).await;
    assert_eq!(people(&granted.post("/api/chat/rooms/", by_rooms).await.is(201)), [alice.id]);
    eve.put(&path, json!({})).await.is(403);
    eve.granted(&format!("property:{task}")).await.put(&path, json!({})).await.is(403);
    let named =
        host().await.put(&path, json!({"title": "Fix it", "participant_ids": [eve.id]})).await.is(200);
    assert_eq!(named["display_name"], "Task: Fix it");
    assert_eq!(people(&named), [alice.id, bob.id, eve.id]);
}

#[tokio::test]
async fn who_was_removed_stays_out_until_a_newer_grant_is_signed() {
    let (alice, bob, host) = (someone("alice").await, someone("bob").await, host().await);
    let task = fresh_id();
    let path = format!("/api/chat/tasks/{task}/room/");
    let body = json!({"room_type": "task", "task": task});
    let by_host = host.put(&path, json!({"participant_ids": [alice.id]})).await.is(201);
    let room = text_of(&by_host["id"]);
    let old = granted_in(&bob, task, 0).await;
    old.put(&path, json!({})).await.is(200);
    let place = bob.place_of(&bob, &room).await;
    host.delete(&format!("/api/chat/participants/{place}/")).await.is(204);
    for grant in [&old, &granted_in(&bob, task, -60).await] {
        grant.put(&path, json!({})).await.is(403);
        grant.post("/api/chat/rooms/", body.clone()).await.is(403);
        grant.get(&format!("/api/chat/rooms/{room}/")).await.is(403);
    }
    let newer = granted_in(&bob, task, 3).await;
    newer.put(&path, json!({})).await.is(200);
    bob.post(&format!("/api/chat/rooms/{room}/leave/"), json!({})).await.is(200);
    old.put(&path, json!({})).await.is(200);
    alice.removes(&bob, &room).await;
    old.put(&path, json!({})).await.is(403);
    host.put(&path, json!({"participant_ids": [bob.id]})).await.is(200);
    bob.get(&format!("/api/chat/rooms/{room}/")).await.is(200);
}

#[tokio::test]
async fn with_a_grant_one_finds_and_names_the_people_of_ones_rooms_alone() {
    let (alice, bob, eve) = (someone("alice").await, someone("bob").await, someone("eve").await);
    let task = fresh_id();
    let path = format!("/api/chat/tasks/{task}/room/");
    host().await.put(&path, json!({"participant_ids": [bob.id]})).await.is(201);
    let granted = alice.granted(&format!("task:{task}")).await;
    let found = async |search: &str| {
        let page = granted.get(&format!("/api/chat/users/?search={search}")).await.is(200);
        let people = page["results"].as_array().expect("results").clone();
        assert_eq!(page["count"], people.len());
        people.iter().map(|one| one["id"].as_i64().expect("an id")).collect::<Vec<_>>()
    };
    assert!(found("").await.is_empty(), "in no room there is nobody");
    granted.put(&path, json!({})).await.is(200);
    assert_eq!(found("").await, [alice.id, bob.id]);
    assert_eq!(found(&format!("bob{}", bob.id)).await, [bob.id]);
    assert!(found(&format!("eve{}", eve.id)).await.is_empty());
    assert_eq!(alice.get(&format!("/api/chat/users/?search=eve{}", eve.id)).await.is(200)["count"], 1);

    // Nor is anyone to be found by putting them into a room, one id after another.
    let group = |people: Vec<i64>| json!({"room_type": "group", "participant_ids": people});
    granted.post("/api/chat/rooms/", group(vec![bob.id, eve.id])).await.blames(&["participant_ids"]);
    granted.post("/api/chat/rooms/", json!({"participant_ids": [eve.id]})).await.blames(&["participant_ids"]);
    let made = granted.post("/api/chat/rooms/", group(vec![bob.id])).await.is(201);
    let eve_in = json!({"room": made["id"], "user": eve.id});
    granted.post("/api/chat/participants/", eve_in.clone()).await.blames(&["user"]);
    alice.post("/api/chat/participants/", eve_in).await.is(201);
    assert_eq!(found(&format!("eve{}", eve.id)).await, [eve.id]);
}

#[tokio::test]
async fn where_the_key_is_a_hosts_only_its_grants_make_a_subjects_room() {
    let alice = someone("alice").await;
    for kind in ["task", "property"] {
        let subject = fresh_id();
        let body = json!({"room_type": kind, kind: subject});
        assert_eq!(alice.post("/api/chat/rooms/", body.clone()).await.is(403)["code"], "forbidden");
        let granted = alice.granted(&format!("{kind}:{subject}")).await;
        let made = granted.post("/api/chat/rooms/", body.clone()).await.is(201);
        assert_eq!(made["participants"][0]["is_admin"], true);
        assert_eq!(alice.post("/api/chat/rooms/", body).await.is(201)["id"], made["id"]);
    }
    let open = start(&["--subject-rooms", "open"]).await;
    let (alice, bob) = (someone_at(&open, "alice").await, someone_at(&open, "bob").await);
    let body = json!({"room_type": "task", "task": 42, "participant_ids": [bob.id]});
    let made = alice.post("/api/chat/rooms/", body).await.is(201);
    assert_eq!(people(&made), [alice.id, bob.id]);
}

#[tokio::test]
async fn a_grant_of_another_form_says_what_is_wrong_with_it() {
    let alice = someone("alice").await;
    for grant in [json!(""), json!("room:1"), json!(42)] {
        let token = shared().await.signs(&json!({"user_id": alice.id, "grant": grant}));
        let refused = alice.with_token(&token).get("/api/chat/rooms/").await;
        assert_eq!(refused.header("www-authenticate"), Some("Bearer realm=\"api\""));
        let refused = refused.is(401);
        assert_eq!(refused["code"], "token_not_valid");
        assert!(text_of(&refused["detail"]).contains("grant must be \"task:<id>\""), "{refused}");
    }
    for beside in [json!({"grant": null}), json!({"aud": "elsewhere"})] {
        let mut says = json!({"user_id": alice.id});
        says.as_object_mut().expect("claims").extend(beside.as_object().expect("claims").clone());
        alice.with_token(&shared().await.signs(&says)).get("/api/chat/rooms/").await.is(200);
    }
}
