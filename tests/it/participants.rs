//! Participants and typing.

use chrono::{Duration, Utc};
use serde_json::json;

use crate::client::{host, new_user, text_of};

#[tokio::test]
async fn admins_add_and_remove_participants() {
    let (alice, bob, carol) = (new_user("alice").await, new_user("bob").await, new_user("carol").await);
    let room = alice.creates_group(&[&bob]).await;
    let path = "/api/chat/participants/";
    let body = json!({"room": room, "user": carol.id});
    bob.post(path, body.clone()).await.expect_status(403);
    carol.post(path, body.clone()).await.expect_status(403);
    let added = alice.post(path, body.clone()).await.expect_status(201);
    assert_eq!(
        (&added["user"]["id"], &added["is_admin"], &added["room"]),
        (&json!(carol.id), &json!(false), &json!(room))
    );
    alice.post(path, body.clone()).await.expect_field_errors(&["user"]);
    alice.post(path, json!({"room": room, "user": 9_999_999_999_i64})).await.expect_field_errors(&["user"]);
    alice
        .post(path, json!({"room": uuid::Uuid::new_v4(), "user": bob.id}))
        .await
        .expect_field_errors(&["room"]);
    alice.post(path, json!({})).await.expect_field_errors(&["room", "user"]);
    let one = format!("{path}{}/", added["id"]);
    bob.delete(&one).await.expect_status(403);
    bob.patch(&one, json!({"is_admin": true})).await.expect_status(403);
    alice.delete(&one).await.expect_status(204);
    for person in [&alice, &carol] {
        person.get(&one).await.expect_status(404);
    }
    alice.delete(&one).await.expect_status(404);
    let back =
        alice.post(path, json!({"room": room, "user": carol.id, "is_admin": true})).await.expect_status(201);
    assert_eq!((&back["id"], &back["is_admin"]), (&added["id"], &json!(true)));
    assert_eq!(alice.patch(&one, json!({"is_admin": false})).await.expect_status(200)["is_admin"], false);
    let own = format!("{path}{}/", alice.participant_id(&alice, &room).await);
    alice.patch(&own, json!({"is_admin": false})).await.expect_field_errors(&["is_admin"]);
    alice.delete(&own).await.expect_status(400);
}

#[tokio::test]
async fn lists_show_current_participants() {
    let (alice, bob, eve) = (new_user("alice").await, new_user("bob").await, new_user("eve").await);
    let room = alice.creates_group(&[&bob, &eve]).await;
    alice.removes(&eve, &room).await;
    let request = async |query: &str| alice.get(&format!("/api/chat/participants/?{query}")).await;
    let all = request(&format!("room={room}")).await.expect_status(200);
    assert_eq!(all["count"], 2);
    assert_eq!(
        request(&format!("room={room}&is_admin=true")).await.expect_status(200)["results"][0]["user"]["id"],
        alice.id
    );
    assert_eq!(request(&format!("user={}", bob.id)).await.expect_status(200)["count"], 1);
    request("room=abc").await.expect_field_errors(&["room"]);
    request("user=abc&is_admin=maybe").await.expect_field_errors(&["is_admin", "user"]);
    let empty = eve.get(&format!("/api/chat/participants/?room={room}")).await.expect_status(200);
    assert_eq!(empty["count"], 0);
    alice.says(&room, "1").await;
    alice.says(&room, "2").await;
    bob.says(&room, "3").await;
    let unread = |page: serde_json::Value| {
        page["results"]
            .as_array()
            .expect("results")
            .iter()
            .map(|one| one["unread_count"].as_i64().expect("a count"))
            .collect::<Vec<_>>()
    };
    assert_eq!(unread(request(&format!("room={room}")).await.expect_status(200)), [1, 2]);
    bob.reads(&room).await;
    assert_eq!(unread(request(&format!("room={room}")).await.expect_status(200)), [1, 0]);
}

#[tokio::test]
async fn muting_is_personal_and_expires() {
    let (alice, bob, eve) = (new_user("alice").await, new_user("bob").await, new_user("eve").await);
    let room = alice.creates_group(&[&bob]).await;
    let place = alice.participant_id(&bob, &room).await;
    let path = format!("/api/chat/participants/{place}/mute/");
    alice.post(&path, json!({"muted": true})).await.expect_status(403);
    eve.post(&path, json!({"muted": true})).await.expect_status(404);
    bob.post(&path, json!({"muted": true, "muted_until": "soon"}))
        .await
        .expect_field_errors(&["muted_until"]);
    assert_eq!(bob.post(&path, json!({"muted": true})).await.expect_status(200)["is_muted"], true);
    alice.says(&room, "hi").await;
    let unread = bob.get("/api/chat/unread/").await.expect_status(200);
    assert_eq!((&unread["unread_count"], &unread["rooms"][&room]), (&json!(0), &json!(1)));
    let until = Utc::now() + Duration::milliseconds(400);
    let muted = bob.post(&path, json!({"muted": true, "muted_until": until})).await.expect_status(200);
    assert!(muted["muted_until"].is_string());
    let lapsed = async || {
        bob.get(&format!("/api/chat/participants/{place}/")).await.expect_status(200)["is_muted"] == false
    };
    for _ in 0..100 {
        if lapsed().await {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(lapsed().await);
    assert_eq!(bob.post(&path, json!({"muted": false})).await.expect_status(200)["is_muted"], false);
}

#[tokio::test]
async fn own_settings_are_changed_by_oneself_alone() {
    let (alice, bob, eve) = (new_user("alice").await, new_user("bob").await, new_user("eve").await);
    let room = alice.creates_group(&[&bob]).await;
    let path = format!("/api/chat/participants/{}/", alice.participant_id(&bob, &room).await);
    let body = json!({"level": "mentions", "favourite": true});
    alice.patch(&path, body.clone()).await.expect_status(403);
    eve.patch(&path, body.clone()).await.expect_status(404);
    host().await.patch(&path, body.clone()).await.expect_status(404);
    let set = bob.patch(&path, body).await.expect_status(200);
    assert_eq!(
        (&set["level"], &set["favourite"], &set["is_muted"]),
        (&json!("mentions"), &json!(true), &json!(false))
    );
    let seen = alice.get(&path).await.expect_status(200);
    assert_eq!((&seen["level"], &seen["favourite"]), (&json!(null), &json!(null)));
    let row = |page: &serde_json::Value| page["results"][0].clone();
    let list =
        async |of: &crate::client::ApiClient| row(&of.get("/api/chat/rooms/").await.expect_status(200));
    let mine = list(&bob).await;
    assert_eq!((&mine["level"], &mine["favourite"]), (&json!("mentions"), &json!(true)));
    let others = list(&alice).await;
    assert_eq!((&others["level"], &others["favourite"]), (&json!("all"), &json!(false)));

    let until = Utc::now() + Duration::hours(1);
    let muted = bob.patch(&path, json!({"muted_until": until})).await.expect_status(200);
    assert_eq!((&muted["is_muted"], &muted["level"]), (&json!(true), &json!("mentions")));
    assert_eq!(bob.patch(&path, json!({"muted_until": null})).await.expect_status(200)["is_muted"], false);
    bob.patch(&path, json!({"level": "some", "favourite": "perhaps", "muted_until": "soon"}))
        .await
        .expect_field_errors(&["favourite", "level", "muted_until"]);
    // The role is still for admins, alone or beside one's own settings.
    bob.patch(&path, json!({})).await.expect_status(403);
    bob.patch(&path, json!({"is_admin": true, "favourite": false})).await.expect_status(403);
    assert_eq!(bob.get(&path).await.expect_status(200)["favourite"], true);
    let own = format!("/api/chat/participants/{}/", alice.participant_id(&alice, &room).await);
    let both = alice.patch(&own, json!({"is_admin": true, "level": "nothing"})).await.expect_status(200);
    assert_eq!((&both["is_admin"], &both["level"]), (&json!(true), &json!("nothing")));

    let direct = bob.opens_direct(&alice).await;
    let own = format!("/api/chat/participants/{}/", bob.participant_id(&bob, &direct).await);
    assert_eq!(bob.patch(&own, json!({"favourite": true})).await.expect_status(200)["favourite"], true);
    alice.post(&format!("/api/chat/rooms/{room}/archive/"), json!({})).await.expect_status(200);
    assert_eq!(bob.patch(&path, json!({"level": "all"})).await.expect_status(200)["level"], "all");
}

#[tokio::test]
async fn a_room_is_marked_unread_for_oneself() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    let mut said = Vec::new();
    for text in ["one", "two", "three"] {
        said.push(text_of(&alice.says(&room, text).await["id"]));
    }
    bob.reads(&room).await;
    let path = format!("/api/chat/rooms/{room}/mark_unread/");
    bob.post(&path, json!({"message_id": said[1]})).await.expect_status(200);
    let place = format!("/api/chat/participants/{}/", bob.participant_id(&bob, &room).await);
    let unread = bob.get("/api/chat/unread/").await.expect_status(200);
    assert_eq!((&unread["unread_count"], &unread["rooms"][&room]), (&json!(2), &json!(2)));
    assert_eq!(bob.get("/api/chat/rooms/").await.expect_status(200)["results"][0]["unread_count"], 2);
    assert_eq!(bob.room(&room).await["unread_count"], 2);
    assert_eq!(
        bob.get(&format!("/api/chat/rooms/{room}/stats/")).await.expect_status(200)["unread_count"],
        2
    );
    assert_eq!(bob.get(&place).await.expect_status(200)["unread_count"], 2);
    // Others see what was read, as before.
    assert_eq!(alice.get(&place).await.expect_status(200)["unread_count"], 0);
    let last = alice.get(&format!("/api/chat/messages/{}/", said[2])).await.expect_status(200);
    assert_eq!(
        (&last["read_count"], last["read_by"].as_object().map(serde_json::Map::len)),
        (&json!(1), Some(1))
    );
    assert_eq!(
        bob.get(&format!("/api/chat/messages/{}/", said[2])).await.expect_status(200)["is_read"],
        true
    );

    bob.post(&format!("/api/chat/messages/{}/mark_read/", said[0]), json!({})).await.expect_status(200);
    assert_eq!(bob.unread(&room).await, 0);
    bob.post(&path, json!({})).await.expect_field_errors(&["message_id"]);
    for message in [json!("x"), json!(uuid::Uuid::new_v4())] {
        bob.post(&path, json!({"message_id": message})).await.expect_field_errors(&["message_id"]);
    }
    let unknown = format!("/api/chat/rooms/{}/mark_unread/", uuid::Uuid::new_v4());
    bob.post(&unknown, json!({"message_id": said[0]})).await.expect_status(404);
}

#[tokio::test]
async fn the_participants_of_a_direct_room_are_fixed() {
    let (alice, bob, carol) = (new_user("alice").await, new_user("bob").await, new_user("carol").await);
    let room = alice.opens_direct(&bob).await;
    alice.post("/api/chat/participants/", json!({"room": room, "user": carol.id})).await.expect_status(400);
    carol.post("/api/chat/participants/", json!({"room": room, "user": carol.id})).await.expect_status(403);
    let place = alice.participant_id(&bob, &room).await;
    alice.delete(&format!("/api/chat/participants/{place}/")).await.expect_status(400);
    alice
        .patch(&format!("/api/chat/participants/{place}/"), json!({"is_admin": true}))
        .await
        .expect_status(400);
    alice.post(&format!("/api/chat/rooms/{room}/archive/"), json!({})).await.expect_status(403);
    alice.patch(&format!("/api/chat/rooms/{room}/"), json!({"name": "x"})).await.expect_status(403);
    assert_eq!(text_of(&alice.room(&room).await["display_name"]), format!("bob of {}", bob.id));
}

#[tokio::test]
async fn nobody_is_typing_in_a_room_without_sockets() {
    let (alice, eve) = (new_user("alice").await, new_user("eve").await);
    let room = alice.creates_group(&[]).await;
    let empty = json!({"count": 0, "next": null, "previous": null, "results": []});
    for person in [&alice, &eve] {
        assert_eq!(person.get(&format!("/api/chat/typing/?room={room}")).await.expect_status(200), empty);
    }
    alice.get("/api/chat/typing/?room=abc").await.expect_field_errors(&["room"]);
    alice.get("/api/chat/typing/").await.expect_field_errors(&["room"]);
    host().await.get(&format!("/api/chat/typing/?room={room}")).await.expect_status(200);
}
