//! Participants and typing.

use chrono::{Duration, Utc};
use serde_json::json;

use crate::stage::{host, someone, text_of};

#[tokio::test]
async fn admins_put_people_in_and_take_them_out() {
    let (alice, bob, carol) = (someone("alice").await, someone("bob").await, someone("carol").await);
    let room = alice.makes_group(&[&bob]).await;
    let path = "/api/chat/participants/";
    let body = json!({"room": room, "user": carol.id});
    bob.post(path, body.clone()).await.is(403);
    carol.post(path, body.clone()).await.is(403);
    let added = alice.post(path, body.clone()).await.is(201);
    assert_eq!(
        (&added["user"]["id"], &added["is_admin"], &added["room"]),
        (&json!(carol.id), &json!(false), &json!(room))
    );
    alice.post(path, body.clone()).await.blames(&["user"]);
    alice.post(path, json!({"room": room, "user": 9_999_999_999_i64})).await.blames(&["user"]);
    alice.post(path, json!({"room": uuid::Uuid::new_v4(), "user": bob.id})).await.blames(&["room"]);
    alice.post(path, json!({})).await.blames(&["room", "user"]);
    let one = format!("{path}{}/", added["id"]);
    bob.delete(&one).await.is(403);
    bob.patch(&one, json!({"is_admin": true})).await.is(403);
    alice.delete(&one).await.is(204);
    for person in [&alice, &carol] {
        person.get(&one).await.is(404);
    }
    alice.delete(&one).await.is(404);
    let back = alice.post(path, json!({"room": room, "user": carol.id, "is_admin": true})).await.is(201);
    assert_eq!((&back["id"], &back["is_admin"]), (&added["id"], &json!(true)));
    assert_eq!(alice.patch(&one, json!({"is_admin": false})).await.is(200)["is_admin"], false);
    let own = format!("{path}{}/", alice.place_of(&alice, &room).await);
    alice.patch(&own, json!({"is_admin": false})).await.blames(&["is_admin"]);
    alice.delete(&own).await.is(400);
}

#[tokio::test]
async fn lists_show_who_is_in() {
    let (alice, bob, eve) = (someone("alice").await, someone("bob").await, someone("eve").await);
    let room = alice.makes_group(&[&bob, &eve]).await;
    alice.removes(&eve, &room).await;
    let asks = async |query: &str| alice.get(&format!("/api/chat/participants/?{query}")).await;
    let all = asks(&format!("room={room}")).await.is(200);
    assert_eq!(all["count"], 2);
    assert_eq!(
        asks(&format!("room={room}&is_admin=true")).await.is(200)["results"][0]["user"]["id"],
        alice.id
    );
    assert_eq!(asks(&format!("user={}", bob.id)).await.is(200)["count"], 1);
    asks("room=abc").await.blames(&["room"]);
    asks("user=abc&is_admin=maybe").await.blames(&["is_admin", "user"]);
    let empty = eve.get(&format!("/api/chat/participants/?room={room}")).await.is(200);
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
    assert_eq!(unread(asks(&format!("room={room}")).await.is(200)), [1, 2]);
    bob.reads(&room).await;
    assert_eq!(unread(asks(&format!("room={room}")).await.is(200)), [1, 0]);
}

#[tokio::test]
async fn one_mutes_for_oneself_and_it_lapses() {
    let (alice, bob, eve) = (someone("alice").await, someone("bob").await, someone("eve").await);
    let room = alice.makes_group(&[&bob]).await;
    let place = alice.place_of(&bob, &room).await;
    let path = format!("/api/chat/participants/{place}/mute/");
    alice.post(&path, json!({"muted": true})).await.is(403);
    eve.post(&path, json!({"muted": true})).await.is(404);
    bob.post(&path, json!({"muted": true, "muted_until": "soon"})).await.blames(&["muted_until"]);
    assert_eq!(bob.post(&path, json!({"muted": true})).await.is(200)["is_muted"], true);
    alice.says(&room, "hi").await;
    let unread = bob.get("/api/chat/unread/").await.is(200);
    assert_eq!((&unread["unread_count"], &unread["rooms"][&room]), (&json!(0), &json!(1)));
    let until = Utc::now() + Duration::milliseconds(400);
    let muted = bob.post(&path, json!({"muted": true, "muted_until": until})).await.is(200);
    assert!(muted["muted_until"].is_string());
    let lapsed =
        async || bob.get(&format!("/api/chat/participants/{place}/")).await.is(200)["is_muted"] == false;
    for _ in 0..100 {
        if lapsed().await {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(lapsed().await);
    assert_eq!(bob.post(&path, json!({"muted": false})).await.is(200)["is_muted"], false);
}

#[tokio::test]
async fn the_two_of_a_direct_room_are_fixed() {
    let (alice, bob, carol) = (someone("alice").await, someone("bob").await, someone("carol").await);
    let room = alice.opens_direct(&bob).await;
    alice.post("/api/chat/participants/", json!({"room": room, "user": carol.id})).await.is(400);
    carol.post("/api/chat/participants/", json!({"room": room, "user": carol.id})).await.is(403);
    let place = alice.place_of(&bob, &room).await;
    alice.delete(&format!("/api/chat/participants/{place}/")).await.is(400);
    alice.patch(&format!("/api/chat/participants/{place}/"), json!({"is_admin": true})).await.is(400);
    alice.post(&format!("/api/chat/rooms/{room}/archive/"), json!({})).await.is(403);
    alice.patch(&format!("/api/chat/rooms/{room}/"), json!({"name": "x"})).await.is(403);
    assert_eq!(text_of(&alice.room(&room).await["display_name"]), format!("bob of {}", bob.id));
}

#[tokio::test]
async fn nobody_types_in_a_room_without_sockets() {
    let (alice, eve) = (someone("alice").await, someone("eve").await);
    let room = alice.makes_group(&[]).await;
    let empty = json!({"count": 0, "next": null, "previous": null, "results": []});
    for person in [&alice, &eve] {
        assert_eq!(person.get(&format!("/api/chat/typing/?room={room}")).await.is(200), empty);
    }
    alice.get("/api/chat/typing/?room=abc").await.blames(&["room"]);
    alice.get("/api/chat/typing/").await.blames(&["room"]);
    host().await.get(&format!("/api/chat/typing/?room={room}")).await.is(200);
}
