//! Guests: who the host application says is in a room, what a guest sees, and how that ends.

use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};

use crate::client::{ApiClient, fresh_id, host, new_user, text_of, texts};
use crate::files::PNG;
use crate::server::shared;

/// A task's room with Alice as admin, Bob as member and Gina as guest; what was said before Gina came is `old`.
struct Stay {
    host: ApiClient,
    alice: ApiClient,
    bob: ApiClient,
    gina: ApiClient,
    path: String,
    room: String,
    old: Value,
}

impl Stay {
    async fn new() -> Self {
        let (host, path) = (host().await, format!("/api/chat/tasks/{}/room/", fresh_id()));
        let (alice, bob, gina) = (new_user("alice").await, new_user("bob").await, new_user("gina").await);
        let team = json!({"title": "Fix the boiler", "participants": [
            {"user": alice.id, "role": "admin"}, {"user": bob.id, "role": "member"}]});
        let made = host.put(&path, team).await.expect_status(201);
        let room = text_of(&made["id"]);
        let (fields, files) =
            ([("room", room.as_str()), ("content", "secret code")], [("attachment", "a.png", PNG)]);
        let old = alice.post_form("/api/chat/messages/", &fields, &files).await.expect_status(201);
        let guest = json!({"participants": [{"user": gina.id, "role": "guest"}]});
        host.put(&path, guest).await.expect_status(200);
        Self { host, alice, bob, gina, path, room, old }
    }

    async fn removes_gina(&self) {
        let team = json!({"replace": true, "participants": [
            {"user": self.alice.id, "role": "admin"}, {"user": self.bob.id, "role": "member"}]});
        self.host.put(&self.path, team).await.expect_status(200);
    }
}

fn roles(room: &Value) -> Vec<(i64, String)> {
    let people = room["participants"].as_array().expect("participants");
    let mut roles: Vec<_> = people
        .iter()
        .map(|one| {
            let role = text_of(&one["role"]);
            assert_eq!(one["is_admin"], role == "admin", "{one}");
            assert_eq!(one["external"], role == "guest", "{one}");
            (one["user"]["id"].as_i64().expect("an id"), role)
        })
        .collect();
    roles.sort_unstable();
    roles
}

fn role(who: &ApiClient, role: &str) -> (i64, String) {
    (who.id, role.to_owned())
}

#[tokio::test]
async fn the_host_says_who_is_in_a_room_and_as_what() {
    let Stay { host, alice, bob, gina, path, room, .. } = Stay::new().await;
    let seen = alice.room(&room).await;
    assert_eq!(roles(&seen), [role(&alice, "admin"), role(&bob, "member"), role(&gina, "guest")]);
    assert!(seen.get("unknown").is_none(), "only the host is told");
    let until = Utc::now() + Duration::hours(1);
    let body = json!({"replace": true, "participants": [
        {"user": bob.id, "role": "admin"}, {"user": 9_999_999_999_i64, "role": "member"},
        {"user": gina.id, "role": "guest", "until": until, "from": "start"}]});
    let put = host.put(&path, body.clone()).await.expect_status(200);
    assert_eq!(put["unknown"], json!([9_999_999_999_i64]));
    assert_eq!(roles(&put), [role(&bob, "admin"), role(&gina, "guest")]);
    assert_eq!(put["display_name"], "Task: Fix the boiler", "a title once told is kept");
    let shown = |room: &Value| {
        let people = room["participants"].as_array().expect("participants").clone();
        let gina = people.into_iter().find(|one| one["user"]["id"] == gina.id).expect("in the room");
        DateTime::parse_from_rfc3339(&text_of(&gina["until"])).expect("a time").timestamp()
    };
    assert_eq!(shown(&put), until.timestamp());
    assert_eq!(gina.sees(&room).await, ["secret code"]);
    let seq = put["seq"].clone();
    assert_eq!(host.put(&path, body).await.expect_status(200)["seq"], seq, "again: nothing new");
    alice.get(&format!("/api/chat/rooms/{room}/")).await.expect_status(403);
    // The old form goes on, and can be the full set too.
    let old = host.put(&path, json!({"participant_ids": [alice.id, bob.id]})).await.expect_status(200);
    assert!(old.get("unknown").is_none(), "{old}");
    assert_eq!(roles(&old), [role(&alice, "member"), role(&bob, "admin"), role(&gina, "guest")]);
    let old = json!({"participant_ids": [bob.id], "replace": true});
    assert_eq!(roles(&host.put(&path, old).await.expect_status(200)), [role(&bob, "admin")]);
    host.put(&path, json!({"participant_ids": [9_999_999_999_i64]}))
        .await
        .expect_field_errors(&["participant_ids"]);
    let empty = json!({"participants": [], "replace": true});
    assert!(roles(&host.put(&path, empty).await.expect_status(200)).is_empty());
}

#[tokio::test]
async fn a_wrong_roster_is_explained_and_changes_nothing() {
    let Stay { host, alice, bob, path, room, .. } = Stay::new().await;
    let before = alice.room(&room).await["seq"].clone();
    let one = json!({"user": bob.id});
    for participants in [
        json!({"user": bob.id}),
        json!(["x"]),
        json!([{}]),
        json!([{"user": 0}]),
        json!([{"user": bob.id, "role": "boss"}]),
        json!([{"user": bob.id, "until": "soon"}]),
        json!([{"user": bob.id, "from": "yesterday"}]),
        json!([one, one]),
        json!((1..=1_001).map(|user| json!({"user": user})).collect::<Vec<_>>()),
    ] {
        let answer = host.put(&path, json!({"participants": participants})).await;
        answer.expect_field_errors(&["participants"]);
    }
    let both = json!({"participants": [one], "participant_ids": [bob.id]});
    host.put(&path, both).await.expect_field_errors(&["participants"]);
    host.put(&path, json!({"replace": true})).await.expect_field_errors(&["replace"]);
    host.put(&path, json!({"replace": "maybe"})).await.expect_field_errors(&["replace"]);
    // From a participant it has no effect.
    let taken = json!({"title": "Mine", "participants": [{"user": alice.id}], "replace": true});
    alice.put(&path, taken).await.expect_status(200);
    let after = alice.room(&room).await;
    assert_eq!((&after["seq"], after["participants"].as_array().map(Vec::len)), (&before, Some(3)));
}

#[tokio::test]
async fn a_guest_sees_the_named_rooms_from_the_entry_on_and_their_people() {
    let Stay { alice, bob, gina, room, old, .. } = Stay::new().await;
    let stranger = new_user("stranger").await;
    assert!(gina.sees(&room).await.is_empty());
    assert_eq!(gina.unread(&room).await, 0);
    let message = format!("/api/chat/messages/{}/", text_of(&old["id"]));
    let file = text_of(&old["attachment"]).split('/').nth(6).expect("an id in the path").to_owned();
    for path in [message.clone(), format!("{message}versions/"), format!("/api/chat/files/{file}/")] {
        gina.get(&path).await.expect_status(404);
    }
    assert_eq!(gina.get("/api/chat/messages/search/?q=secret").await.expect_status(200)["count"], 0);
    let body = json!({"room": room, "content": "as I said", "reply_to": old["id"]});
    let answer = bob.post("/api/chat/messages/", body).await.expect_status(201);
    let path = format!("/api/chat/messages/{}/", text_of(&answer["id"]));
    assert_eq!(gina.get(&path).await.expect_status(200)["reply_to"], json!({"id": old["id"]}));

    let said = gina.says(&room, "on my way").await;
    assert_eq!(said["sender"]["external"], true, "marked wherever it is shown");
    let page = alice.get(&format!("/api/chat/messages/?room={room}")).await.expect_status(200);
    assert_eq!(page["results"][0]["sender"]["external"], true);
    assert!(page["results"][1]["sender"].get("external").is_none(), "{page}");

    let found = async |who: &ApiClient, search: &str| {
        let page = who.get(&format!("/api/chat/users/?search={search}")).await.expect_status(200);
        let people = page["results"].as_array().expect("results").clone();
        let mut ids: Vec<_> = people.iter().map(|one| one["id"].as_i64().expect("an id")).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(found(&gina, "").await, [alice.id, bob.id, gina.id]);
    assert!(found(&gina, &format!("stranger{}", stranger.id)).await.is_empty());
    for (user, status) in [(bob.id, 200), (gina.id, 200), (stranger.id, 404), (9_999_999_999, 404)] {
        gina.get(&format!("/api/chat/users/{user}/")).await.expect_status(status);
    }
    let shown = bob.get(&format!("/api/chat/users/{}/", gina.id)).await.expect_status(200);
    assert_eq!((&shown["external"], &shown["email"]), (&json!(true), &json!("")));
    let listed = bob.get(&format!("/api/chat/users/?search=gina{}", gina.id)).await.expect_status(200);
    assert_eq!(listed["results"][0]["external"], true);
    assert_eq!(gina.get("/api/chat/users/me/").await.expect_status(200)["external"], true);
    assert!(bob.get("/api/chat/users/me/").await.expect_status(200).get("external").is_none());
    let mention = json!({"room": room, "content": "hi", "mentions": [stranger.id]});
    gina.post("/api/chat/messages/", mention).await.expect_field_errors(&["mentions"]);
}

#[tokio::test]
async fn a_guest_makes_no_room_and_manages_none() {
    let Stay { alice, bob, gina, room, .. } = Stay::new().await;
    let task = fresh_id();
    for body in [
        json!({"room_type": "group", "participant_ids": [bob.id]}),
        json!({"room_type": "group"}),
        json!({"participant_ids": [bob.id]}),
        json!({"room_type": "task", "task": task}),
        json!({"room_type": "property", "property": task}),
    ] {
        gina.post("/api/chat/rooms/", body.clone()).await.expect_status(403);
        let granted = gina.granted(&format!("task:{task}")).await;
        granted.post("/api/chat/rooms/", body).await.expect_status(403);
    }
    bob.post("/api/chat/rooms/", json!({"participant_ids": [gina.id]})).await.expect_status(403);
    let group = json!({"room_type": "group", "participant_ids": [gina.id]});
    let group = bob.post("/api/chat/rooms/", group).await.expect_status(201);
    assert_eq!(roles(&group), [role(&bob, "admin"), role(&gina, "guest")]);

    let said = text_of(&alice.says(&room, "look here").await["id"]);
    gina.put(&format!("/api/chat/messages/{said}/pin/"), json!({})).await.expect_status(403);
    gina.patch(&format!("/api/chat/rooms/{room}/"), json!({"name": "Mine"})).await.expect_status(403);
    gina.post("/api/chat/participants/", json!({"room": room, "user": bob.id})).await.expect_status(403);
    gina.post("/api/chat/invitations/", json!({"room": room})).await.expect_status(403);
    gina.get(&format!("/api/chat/invitations/?room={room}")).await.expect_status(403);
    assert_eq!(gina.room(&room).await["capabilities"], json!(["post", "react"]));
}

#[tokio::test]
async fn a_guest_learns_of_nobody_by_blocking_or_reporting() {
    let Stay { host, bob, gina, .. } = Stay::new().await;
    let stranger = new_user("stranger").await;
    let (block, report) = (|id| format!("/api/chat/users/{id}/block/"), "/api/chat/reports/");
    host.put(&format!("/api/chat/users/{}/", stranger.id), json!({"is_staff": true}))
        .await
        .expect_status(200);
    for id in [stranger.id, fresh_id()] {
        let refused = gina.put(&block(id), json!({})).await.expect_status(404);
        assert_eq!(refused, gina.put(&block(fresh_id()), json!({})).await.expect_status(404));
        let body = json!({"user": id, "reason": "spam"});
        gina.post(report, body).await.expect_field_errors(&["user"]);
    }
    gina.put(&block(bob.id), json!({})).await.expect_status(200);
    gina.post(report, json!({"user": bob.id, "reason": "spam"})).await.expect_status(201);
}

#[tokio::test]
async fn admins_see_and_change_which_guests_have_access() {
    let Stay { alice, bob, gina, room, .. } = Stay::new().await;
    let list = |query: &str| format!("/api/chat/participants/?room={room}&{query}");
    let guests = alice.get(&list("role=guest")).await.expect_status(200);
    assert_eq!((&guests["count"], &guests["results"][0]["user"]["id"]), (&json!(1), &json!(gina.id)));
    assert_eq!(alice.get(&list("is_admin=false")).await.expect_status(200)["count"], 2);
    alice.get(&list("role=boss")).await.expect_field_errors(&["role"]);
    let place = format!("/api/chat/participants/{}/", guests["results"][0]["id"]);
    let until = Utc::now() + Duration::hours(2);
    bob.patch(&place, json!({"until": until})).await.expect_status(403);
    gina.patch(&place, json!({"until": null})).await.expect_status(403);
    gina.patch(&place, json!({"role": "member"})).await.expect_status(403);
    let limited = alice.patch(&place, json!({"until": until})).await.expect_status(200);
    assert!(limited["until"].is_string(), "{limited}");
    let past = json!({"until": Utc::now() - Duration::hours(1)});
    alice.patch(&place, past).await.expect_field_errors(&["until"]);
    let kept = alice.patch(&place, json!({"is_admin": false})).await.expect_status(200);
    assert_eq!((&kept["role"], kept["until"].is_string()), (&json!("guest"), true));
    let wrong = json!({"is_admin": true, "role": "guest"});
    alice.patch(&place, wrong).await.expect_field_errors(&["role"]);
    let member = alice.patch(&place, json!({"role": "member", "until": null})).await.expect_status(200);
    assert_eq!(
        (&member["role"], &member["external"], &member["until"]),
        (&json!("member"), &json!(false), &Value::Null)
    );
    gina.post("/api/chat/rooms/", json!({"room_type": "group"})).await.expect_status(201);
    let dora = new_user("dora").await;
    let guest = json!({"room": room, "user": dora.id, "role": "guest", "until": until});
    let added = alice.post("/api/chat/participants/", guest).await.expect_status(201);
    assert_eq!((&added["role"], &added["is_admin"]), (&json!("guest"), &json!(false)));
    assert!(dora.sees(&room).await.is_empty());
}

#[tokio::test]
async fn the_host_says_whether_an_account_is_a_guest() {
    let (host, alice, gina) = (host().await, new_user("alice").await, new_user("gina").await);
    let path = format!("/api/chat/users/{}/", gina.id);
    assert_eq!(host.put(&path, json!({"is_guest": true})).await.expect_status(200)["is_guest"], true);
    gina.post("/api/chat/rooms/", json!({"room_type": "group"})).await.expect_status(403);
    assert_eq!(gina.get("/api/chat/users/").await.expect_status(200)["count"], 0);
    let room = alice.creates_group(&[&gina]).await;
    assert_eq!(roles(&alice.room(&room).await), [role(&alice, "admin"), role(&gina, "guest")]);
    // Without a word of the host, her roles tell; with one, they don't.
    host.put(&path, json!({"is_guest": false})).await.expect_status(200);
    gina.post("/api/chat/rooms/", json!({"room_type": "group"})).await.expect_status(201);
    host.put(&path, json!({"is_guest": "maybe"})).await.expect_field_errors(&["is_guest"]);
    let lifted = host.put(&path, json!({"is_guest": null})).await.expect_status(200);
    assert_eq!(lifted["is_guest"], false, "she is the admin of a group");
}

#[tokio::test]
async fn a_removed_guest_is_refused_everything() {
    let stay = Stay::new().await;
    let Stay { host, alice, gina, path, room, .. } = &stay;
    let (fields, files) = ([("room", room.as_str()), ("content", "plan")], [("attachment", "a.png", PNG)]);
    let sent = alice.post_form("/api/chat/messages/", &fields, &files).await.expect_status(201);
    let message = format!("/api/chat/messages/{}/", text_of(&sent["id"]));
    let shown = gina.get(&message).await.expect_status(200);
    let picture = text_of(&shown["attachment"]);
    let reply = json!({"room": room, "content": "seen", "reply_to": sent["id"]});
    let reply = gina.post("/api/chat/messages/", reply).await.expect_status(201);
    gina.without_token().get(&picture).await.expect_status(200);
    stay.removes_gina().await;
    gina.without_token().get(&picture).await.expect_status(404);
    let file = picture.split('/').nth(6).expect("an id in the path");
    for path in [
        message.clone(),
        format!("{message}versions/"),
        format!("/api/chat/messages/{}/", text_of(&reply["id"])),
        format!("/api/chat/files/{file}/"),
    ] {
        gina.get(&path).await.expect_status(404);
    }
    for path in ["", "stats/", "events/", "pins/"] {
        gina.get(&format!("/api/chat/rooms/{room}/{path}")).await.expect_status(403);
    }
    assert_eq!(gina.get("/api/chat/messages/search/?q=plan").await.expect_status(200)["count"], 0);
    assert_eq!(gina.get("/api/chat/rooms/").await.expect_status(200)["count"], 0);
    assert_eq!(gina.get("/api/chat/users/").await.expect_status(200)["count"], 0, "still a guest account");
    let forward = json!({"message_ids": [sent["id"]], "rooms": [room], "client_id": uuid::Uuid::new_v4()});
    assert_ne!(gina.post("/api/chat/messages/forward/", forward).await.status, 201);
    let post = json!({"room": room, "content": "one more thing"});
    gina.post("/api/chat/messages/", post).await.expect_field_errors(&["room"]);
    gina.put(path, json!({})).await.expect_status(403);
    gina.granted("task:1").await.put(path, json!({})).await.expect_status(403);
    // Whoever reads the room is still told that a guest wrote this.
    let kept = alice.get(&format!("/api/chat/messages/{}/", text_of(&reply["id"]))).await.expect_status(200);
    assert_eq!(kept["sender"]["external"], true);
    let back = json!({"participants": [{"user": gina.id, "role": "guest", "from": "now"}]});
    host.put(path, back).await.expect_status(200);
    gina.get(&message).await.expect_status(404);
    assert!(texts(&gina.get(&format!("/api/chat/messages/?room={room}")).await.json()).is_empty());
}

#[tokio::test]
async fn a_grant_from_before_a_removal_lets_nobody_in() {
    let stay = Stay::new().await;
    let Stay { gina, path, room, .. } = &stay;
    let task = path.split('/').nth(4).expect("an id in the path");
    let with_grant = async |claims: Value| {
        let mut says = json!({"user_id": gina.id, "grant": format!("task:{task}")});
        says.as_object_mut().expect("claims").extend(claims.as_object().expect("claims").clone());
        gina.with_token(&shared().await.signs_token(&says))
    };
    let now = Utc::now().timestamp();
    let old = with_grant(json!({"iat": now - 60})).await;
    old.put(path, json!({})).await.expect_status(200);
    stay.removes_gina().await;
    for grant in [&old, &with_grant(json!({"iat": now - 60, "grant_until": now + 3_600})).await] {
        grant.put(path, json!({})).await.expect_status(403);
        grant.get(&format!("/api/chat/rooms/{room}/")).await.expect_status(403);
    }
    let over = with_grant(json!({"iat": now + 3, "grant_until": now - 1})).await;
    over.put(path, json!({})).await.expect_status(403);
    let newer = with_grant(json!({"iat": now + 3, "grant_until": now + 3_600, "grant_from": "start"})).await;
    let entered = newer.put(path, json!({})).await.expect_status(200);
    let people = entered["participants"].as_array().expect("participants").clone();
    let place = people.iter().find(|one| one["user"]["id"] == gina.id).expect("in the room");
    let until = DateTime::parse_from_rfc3339(&text_of(&place["until"])).expect("a time");
    assert_eq!((until.timestamp(), &place["role"]), (now + 3_600, &json!("guest")));
    assert_eq!(gina.sees(room).await, ["secret code"]);
    for wrong in [
        json!({"grant_until": "soon"}),
        json!({"grant_until": -1}),
        json!({"grant_from": "yesterday"}),
        json!({"grant_from": 5}),
    ] {
        let refused = with_grant(wrong).await.get("/api/chat/rooms/").await.expect_status(401);
        assert!(text_of(&refused["detail"]).contains("grant_until"), "{refused}");
    }
}
