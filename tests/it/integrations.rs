//! Other applications by REST: the list of changes, webhooks as they are set up, incoming hooks, and what the host
//! application writes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{ApiClient, ApiResponse, fresh_id, host, new_user, text_of};
use crate::files::PNG;

const CHANGES: &str = "/api/chat/changes/";
const WEBHOOKS: &str = "/api/chat/webhooks/";
const INCOMING: &str = "/api/chat/incoming/";
const URL: &str = "https://example.com/hook";

/// A room of a task with these people.
async fn task_room(people: &[&ApiClient]) -> String {
    let ids: Vec<i64> = people.iter().map(|user| user.id).collect();
    let path = format!("/api/chat/tasks/{}/room/", fresh_id());
    text_of(&host().await.put(&path, json!({"participant_ids": ids})).await.expect_status(201)["id"])
}

/// Makes a user a member of the host application's staff.
async fn staff(name: &str) -> ApiClient {
    let user = new_user(name).await;
    let path = format!("/api/chat/users/{}/", user.id);
    host().await.put(&path, json!({"is_staff": true})).await.expect_status(200);
    user
}

/// Posts to an incoming hook, without a token.
async fn posts(user: &ApiClient, url: &str, body: Value) -> ApiResponse {
    let path = &url[url.find("/api/").expect("a path")..];
    user.without_token().post(path, body).await
}

/// Sets up an incoming hook of these rooms and returns its address.
async fn hook(user: &ApiClient, rooms: &[&str]) -> String {
    let body = json!({"rooms": rooms, "name": "Smoke alarm"});
    text_of(&user.post(INCOMING, body).await.expect_status(201)["url"])
}

#[tokio::test]
async fn the_host_reads_all_changes_since_a_cursor() {
    let (alice, bob, host) = (new_user("alice").await, new_user("bob").await, host().await);
    // Whatever other tests have done so far.
    let mut cursor = String::new();
    let read = async |cursor: &str, limit: usize| {
        host.get(&format!("{CHANGES}?cursor={cursor}&limit={limit}")).await.expect_status(200)
    };
    loop {
        let page = read(&cursor, 500).await;
        cursor = text_of(&page["cursor"]);
        if page["has_more"] == false {
            break;
        }
    }
    let room = alice.creates_group(&[&bob]).await;
    let sent = alice.says(&room, "What is new?").await;
    let path = format!("/api/chat/messages/{}/", text_of(&sent["id"]));
    bob.put(&format!("{path}reactions/👍/"), Value::Null).await.expect_status(200);
    alice.patch(&path, json!({"content": "This is new"})).await.expect_status(200);
    alice.delete(&path).await.expect_status(204);
    alice.delete(&format!("/api/chat/rooms/{room}/")).await.expect_status(204);

    let (mut found, deadline) = (Vec::new(), Instant::now() + Duration::from_secs(30));
    while found.last().is_none_or(|change: &Value| change["type"] != "room_removed") {
        assert!(Instant::now() < deadline, "{found:?}");
        let page = read(&cursor, 50).await;
        let changes = page["changes"].as_array().expect("changes");
        assert!(changes.len() <= 50);
        found.extend(changes.iter().filter(|change| change["room_id"] == json!(room)).cloned());
        if changes.is_empty() {
            // Transactions of other tests hold it up.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        cursor = text_of(&page["cursor"]);
    }
    let types: Vec<(i64, &str)> = found
        .iter()
        .map(|change| (change["seq"].as_i64().expect("a seq"), change["type"].as_str().expect("a type")))
        .collect();
    let expected = [
        "room_updated",
        "participant_joined",
        "participant_joined",
        "chat_message",
        "reaction",
        "message_updated",
        "message_deleted",
        "room_removed",
    ];
    assert_eq!(types, (1..).zip(expected).collect::<Vec<_>>());
    for change in &found {
        assert_eq!((&change["data"]["type"], &change["data"]["room_id"]), (&change["type"], &json!(room)));
        assert_eq!(change["data"]["seq"], change["seq"]);
        assert!(change["at"].is_string());
    }
    let posted = &found[3]["data"]["message"];
    assert_eq!((&posted["content"], &posted["is_deleted"]), (&json!("[Message deleted]"), &json!(true)));
}

#[tokio::test]
async fn cursors_are_checked_and_changes_are_for_the_host_alone() {
    let (alice, host) = (new_user("alice").await, host().await);
    alice.get(CHANGES).await.expect_status(403);
    staff("staff").await.get(CHANGES).await.expect_status(403);
    alice.without_token().get(CHANGES).await.expect_status(401);
    let first = host.get(&format!("{CHANGES}?limit=1")).await.expect_status(200);
    let cursor = text_of(&first["cursor"]);
    for wrong in ["x", "%00", &format!("{cursor}!"), &"a".repeat(5_000)] {
        host.get(&format!("{CHANGES}?cursor={wrong}")).await.expect_field_errors(&["cursor"]);
    }
    // Of another history.
    let other = "MS4wMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwNy44MTI";
    host.get(&format!("{CHANGES}?cursor={other}")).await.expect_field_errors(&["cursor"]);
    host.get(&format!("{CHANGES}?limit=abc")).await.expect_status(200);
}

#[tokio::test]
async fn a_webhook_is_set_up_changed_and_deleted() {
    let host = host().await;
    let (alice, room) = (new_user("alice").await, task_room(&[]).await);
    let body = json!({"url": URL, "events": ["chat_message", "room_updated"], "rooms": [room],
        "room_types": ["task"], "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"});
    let added = host.post(WEBHOOKS, body).await.expect_status(201);
    assert_eq!(added["secret"], "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    assert_eq!(
        (&added["events"], &added["rooms"]),
        (&json!(["chat_message", "room_updated"]), &json!([room]))
    );
    assert_eq!((&added["state"], &added["reason"]), (&json!("active"), &json!("")));
    let path = format!("{WEBHOOKS}{}/", text_of(&added["id"]));
    let mut shown = added.clone();
    shown.as_object_mut().expect("an object").remove("secret");
    assert_eq!(host.get(&path).await.expect_status(200), shown, "without its secret");
    assert!(host.get(WEBHOOKS).await.expect_status(200)["count"].as_i64() >= Some(1));

    let changed = host.patch(&path, json!({"events": [], "state": "paused"})).await.expect_status(200);
    assert_eq!((&changed["events"], &changed["state"]), (&json!([]), &json!("paused")));
    assert_eq!((&changed["reason"], &changed["secret"]), (&json!("Paused by hand."), &Value::Null));
    let renewed = host.patch(&path, json!({"secret": null, "state": "active"})).await.expect_status(200);
    assert!(text_of(&renewed["secret"]).starts_with("whsec_") && renewed["secret"] != added["secret"]);
    assert_eq!((&renewed["state"], &renewed["reason"]), (&json!("active"), &json!("")));
    host.patch(&path, json!({"url": "http://10.0.0.1/"})).await.expect_field_errors(&["url"]);
    host.patch(&path, json!({"rooms": [Uuid::new_v4()]})).await.expect_field_errors(&["rooms"]);

    let deliveries = host.get(&format!("{path}deliveries/")).await.expect_status(200);
    assert_eq!((&deliveries["count"], &deliveries["results"]), (&json!(0), &json!([])));
    let replay = host.post(&format!("{path}replay/"), json!({"since": 0})).await.expect_status(202);
    assert_eq!(replay, json!({"rooms": 1}));
    let replay = json!({"since": "2100-01-01T00:00:00Z", "room": room});
    assert_eq!(host.post(&format!("{path}replay/"), replay).await.expect_status(202), json!({"rooms": 0}));
    host.post(&format!("{path}replay/"), json!({})).await.expect_field_errors(&["since"]);
    let elsewhere = json!({"since": 0, "room": Uuid::new_v4()});
    host.post(&format!("{path}replay/"), elsewhere).await.expect_field_errors(&["room"]);

    for (method, path) in [(Method::GET, &path), (Method::DELETE, &path)] {
        assert_eq!(ApiClient::send(alice.request(method, path)).await.status, 404);
    }
    host.delete(&path).await.expect_status(204);
    host.delete(&path).await.expect_status(404);
    host.get(&format!("{path}deliveries/")).await.expect_status(404);
    host.get(&format!("{WEBHOOKS}abc/")).await.expect_status(404);
}

#[tokio::test]
async fn webhooks_are_checked() {
    let host = host().await;
    let room = task_room(&[]).await;
    for (field, value) in [
        ("url", json!("ftp://example.com/")),
        ("url", json!("https://127.0.0.1/")),
        ("url", json!("https://[::1]/")),
        ("url", json!("http://192.168.0.1/")),
        ("url", json!("https://user:pass@example.com/")),
        ("url", json!(format!("https://example.com/{}", "x".repeat(2_048)))),
        ("url", json!(null)),
        ("events", json!(["typing"])),
        ("events", json!("chat_message")),
        ("rooms", json!([Uuid::new_v4(), room])),
        ("rooms", json!(["x"])),
        ("room_types", json!(["house"])),
        ("since", json!(-1)),
        ("secret", json!("short")),
    ] {
        let mut body = json!({"url": URL});
        body[field] = value;
        host.post(WEBHOOKS, body).await.expect_field_errors(&[field]);
    }
    host.post(WEBHOOKS, json!({})).await.expect_field_errors(&["url"]);
    host.post_raw(WEBHOOKS, "[").await.expect_status(400);
}

#[tokio::test]
async fn admins_and_staff_set_up_webhooks_within_their_rights() {
    let (alice, bob, staff) = (new_user("alice").await, new_user("bob").await, staff("staff").await);
    let room = alice.creates_group(&[&bob]).await;
    let direct = alice.opens_direct(&bob).await;
    let of = |rooms: Value| json!({"url": URL, "rooms": rooms});
    alice.post(WEBHOOKS, json!({"url": URL})).await.expect_status(403);
    bob.post(WEBHOOKS, of(json!([room]))).await.expect_status(403);
    alice.post(WEBHOOKS, of(json!([room, direct]))).await.expect_status(403);
    alice.post(WEBHOOKS, of(json!([Uuid::new_v4()]))).await.expect_status(403);
    staff.post(WEBHOOKS, of(json!([direct]))).await.expect_field_errors(&["rooms"]);
    let added = alice.post(WEBHOOKS, of(json!([room]))).await.expect_status(201);
    let path = format!("{WEBHOOKS}{}/", text_of(&added["id"]));
    assert_eq!(alice.get(WEBHOOKS).await.expect_status(200)["count"], 1);
    assert_eq!(bob.get(WEBHOOKS).await.expect_status(200)["count"], 0);
    bob.get(&path).await.expect_status(404);
    alice.patch(&path, json!({"rooms": []})).await.expect_status(403);
    staff.get(&path).await.expect_status(200);
    let everywhere = staff.post(WEBHOOKS, json!({"url": URL})).await.expect_status(201);
    for (user, id) in [(&staff, &everywhere["id"]), (&alice, &added["id"])] {
        user.delete(&format!("{WEBHOOKS}{}/", text_of(id))).await.expect_status(204);
    }
}

#[tokio::test]
async fn another_application_posts_by_an_address_of_its_own() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    let body = json!({"rooms": [room], "name": "Smoke alarm"});
    let added = alice.post(INCOMING, body).await.expect_status(201);
    let url = text_of(&added["url"]);
    assert!(url.starts_with("http://127.0.0.1") && url.contains("/api/chat/hooks/"), "{url}");
    let path = format!("{INCOMING}{}/", text_of(&added["id"]));
    let shown = alice.get(&path).await.expect_status(200);
    assert_eq!((&shown["url"], &shown["name"]), (&Value::Null, &json!("Smoke alarm")));
    assert_eq!(alice.get(INCOMING).await.expect_status(200)["results"], json!([shown]));

    let posted = posts(&bob, &url, json!({"text": " Smoke in unit 4 "})).await.expect_status(201);
    let message =
        bob.get(&format!("/api/chat/messages/?room={room}")).await.expect_status(200)["results"][0].clone();
    assert_eq!(posted["messages"][0]["id"], message["id"]);
    assert_eq!((&message["content"], &message["message_type"]), (&json!("Smoke in unit 4"), &json!("text")));
    assert_eq!(message["sender"]["full_name"], "Smoke alarm");
    assert_eq!(message["sender"]["id"], added["user_id"]);
    assert_eq!(bob.unread(&room).await, 1);
    assert_eq!(bob.room(&room).await["participant_count"], 2);
    let people = bob.get("/api/chat/users/?search=Smoke%20alarm&page_size=100").await.expect_status(200);
    let listed = people["results"].as_array().expect("results").iter();
    let listed = listed.clone().find(|user| user["id"] == added["user_id"]).expect("it is listed");
    assert_eq!(listed["kind"], "integration");
    assert_eq!(bob.get("/api/chat/users/me/").await.expect_status(200)["kind"], "person");

    let card = json!({"v": 1, "kind": "card", "title": "Unit 4", "state": "alarm", "link": "https://example.com/4",
        "fields": [{"name": "Floor", "value": "2"}]});
    posts(&bob, &url, json!({"card": card})).await.expect_status(201);
    let message =
        bob.get(&format!("/api/chat/messages/?room={room}")).await.expect_status(200)["results"][0].clone();
    assert_eq!(
        (&message["card"]["state"], &message["content"]),
        (&json!("alarm"), &json!("Unit 4\nFloor: 2"))
    );

    // Nobody can do anything under its name, and the host application doesn't know the account.
    let user = format!("/api/chat/users/{}/", added["user_id"]);
    host().await.put(&user, json!({"full_name": "Mallory"})).await.expect_status(404);
    let with_it = json!({"room_type": "group", "participant_ids": [added["user_id"]]});
    alice.post("/api/chat/rooms/", with_it).await.expect_field_errors(&["participant_ids"]);

    bob.delete(&path).await.expect_status(404);
    alice.delete(&path).await.expect_status(204);
    posts(&bob, &url, json!({"text": "more"})).await.expect_status(404);
    alice.get(&path).await.expect_status(404);
    let kept = bob.get(&format!("/api/chat/messages/?room={room}")).await.expect_status(200);
    assert_eq!(
        (&kept["count"], &kept["results"][0]["sender"]["full_name"]),
        (&json!(2), &json!("Smoke alarm"))
    );
}

#[tokio::test]
async fn an_address_ends_in_a_room_with_the_rights_of_whoever_set_it_up() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let rooms = [alice.creates_group(&[&bob]).await, alice.creates_group(&[&bob]).await];
    let added = alice.post(INCOMING, json!({"rooms": rooms, "name": "Smoke alarm"})).await.expect_status(201);
    let (url, path) = (text_of(&added["url"]), format!("{INCOMING}{}/", text_of(&added["id"])));
    bob.get(&path).await.expect_status(404);
    let bob_in = alice.participant_id(&bob, &rooms[0]).await;
    let admin = json!({"is_admin": true});
    alice.patch(&format!("/api/chat/participants/{bob_in}/"), admin).await.expect_status(200);
    alice.post(&format!("/api/chat/rooms/{}/leave/", rooms[0]), json!({})).await.expect_status(200);
    let posted = posts(&bob, &url, json!({"text": "smoke"})).await.expect_status(201);
    let in_rooms: Vec<&Value> =
        posted["messages"].as_array().expect("a list").iter().map(|one| &one["room"]).collect();
    assert_eq!(in_rooms, [&json!(rooms[1])], "no longer where its maker isn't an admin");

    // An admin of one room takes it out of that one.
    assert_eq!(bob.get(&path).await.expect_status(200)["rooms"], json!([rooms[0]]));
    bob.delete(&path).await.expect_status(204);
    bob.delete(&path).await.expect_status(404);
    assert_eq!(alice.get(&path).await.expect_status(200)["rooms"], json!([rooms[1]]));
    alice.delete(&path).await.expect_status(204);
    posts(&bob, &url, json!({"text": "more"})).await.expect_status(404);

    let (own, host) = (hook(&alice, &[&rooms[1]]).await, host().await);
    host.delete(&format!("/api/chat/users/{}/", alice.id)).await.expect_status(204);
    posts(&bob, &own, json!({"text": "smoke"})).await.expect_status(403);
}

#[tokio::test]
async fn the_same_key_posts_once() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let rooms = [alice.creates_group(&[&bob]).await, alice.creates_group(&[]).await];
    let url = hook(&alice, &[&rooms[0], &rooms[1]]).await;
    let body = json!({"text": "Smoke", "key": "alarm-7"});
    let answers = futures_util::future::join_all((0..8).map(|_| posts(&alice, &url, body.clone()))).await;
    let ids: Vec<Value> = answers.iter().map(|answer| answer.json()["messages"].clone()).collect();
    assert!(
        ids.iter().all(|messages| messages.as_array().is_some_and(|messages| messages.len() == 2)),
        "{ids:?}"
    );
    assert!(ids.iter().all(|messages| *messages == ids[0]), "{ids:?}");
    posts(&alice, &url, body).await.expect_status(200);
    assert_eq!(alice.sees(&rooms[0]).await, ["Smoke"]);
    assert_eq!(alice.sees(&rooms[1]).await, ["Smoke"]);
    let other = posts(&alice, &url, json!({"text": "Fire", "key": "alarm-7"})).await.expect_status(409);
    assert_eq!(other["code"], "client_id_conflict");
    // Another application's keys are its own.
    let second = hook(&alice, &[&rooms[0]]).await;
    posts(&alice, &second, json!({"text": "Smoke", "key": "alarm-7"})).await.expect_status(201);
}

#[tokio::test]
async fn what_is_posted_to_an_address_is_checked() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let (room, direct) = (alice.creates_group(&[&bob]).await, alice.opens_direct(&bob).await);
    let host = host().await;
    let of = |rooms: Value, name: Value| json!({"rooms": rooms, "name": name});
    for (body, fields) in [
        (json!({}), &["name", "rooms"][..]),
        (of(json!([]), json!("x")), &["rooms"]),
        (of(json!([room]), json!(" ")), &["name"]),
        (of(json!([room]), json!("\u{200b}")), &["name"]),
        (of(json!([room]), json!("x".repeat(256))), &["name"]),
        (of(json!([Uuid::new_v4()]), json!("x")), &["rooms"]),
        (of(json!([direct]), json!("x")), &["rooms"]),
        (of(json!((0..11).map(|_| Uuid::new_v4()).collect::<Vec<_>>()), json!("x")), &["rooms"]),
    ] {
        host.post(INCOMING, body).await.expect_field_errors(fields);
    }
    bob.post(INCOMING, of(json!([room]), json!("x"))).await.expect_status(403);
    alice.post(INCOMING, of(json!([direct]), json!("x"))).await.expect_status(403);

    let url = hook(&alice, &[&room]).await;
    for (body, field) in [
        (json!({}), "text"),
        (json!({"text": " \u{200b} "}), "text"),
        (json!({"text": "x".repeat(4_001)}), "text"),
        (json!({"text": "a\0b"}), "text"),
        (json!({"text": 5}), "text"),
        (json!({"text": "x", "key": "k".repeat(256)}), "key"),
        (json!({"card": {"v": 1, "kind": "card"}}), "card"),
        (json!({"card": {"v": 1, "kind": "card", "title": "x", "buttons": [{"id": "a"}]}}), "card"),
    ] {
        posts(&alice, &url, body).await.expect_field_errors(&[field]);
    }
    // What it can't decide is ignored.
    let more = json!({"text": "x", "sender": alice.id, "room": direct, "message_type": "system"});
    posts(&alice, &url, more).await.expect_status(201);
    for unknown in ["abc", "x/y", &"A".repeat(43), "%00"] {
        let path = format!("/api/chat/hooks/{unknown}/");
        alice.without_token().post(&path, json!({"text": "x"})).await.expect_status(404);
    }
    alice.post(&format!("/api/chat/rooms/{room}/archive/"), Value::Null).await.expect_status(200);
    let archived = posts(&alice, &url, json!({"text": "x"})).await.expect_status(409);
    assert_eq!(archived["code"], "archived");
    let open = alice.creates_group(&[]).await;
    let both = hook(&alice, &[&room, &open]).await;
    let posted = posts(&alice, &both, json!({"text": "x"})).await.expect_status(201);
    assert_eq!(posted["errors"], json!(BTreeMap::from([(room, "archived")])));
    assert_eq!(posted["messages"][0]["room"], json!(open));
}

#[tokio::test]
async fn the_host_writes_in_the_rooms_that_it_manages() {
    let (alice, bob, host) = (new_user("alice").await, new_user("bob").await, host().await);
    let room = task_room(&[&alice, &bob]).await;
    let client_id = Uuid::new_v4();
    let body = json!({"room": room, "content": "The status is: done", "client_id": client_id});
    let sent = host.post("/api/chat/messages/", body.clone()).await.expect_status(201);
    assert_eq!(sent["sender"]["full_name"], "AriStay");
    assert_eq!((&sent["sender"]["id"], &sent["content"]), (&json!(-1), &json!("The status is: done")));
    let again = host.post("/api/chat/messages/", body).await.expect_status(200);
    assert_eq!(again["id"], sent["id"]);
    assert_eq!(alice.sees(&room).await, ["The status is: done"]);
    assert_eq!((alice.unread(&room).await, bob.unread(&room).await), (1, 1));
    assert_eq!(alice.room(&room).await["participant_count"], 2);
    let reply = json!({"room": room, "content": "Thank you", "reply_to": sent["id"]});
    let reply = alice.post("/api/chat/messages/", reply).await.expect_status(201);
    assert_eq!(reply["reply_to"]["sender"], json!({"id": -1, "username": "aristay"}));
    let card = json!({"v": 1, "kind": "checklist", "title": "Turnover", "items": [{"text": "Beds"}]});
    let body = json!({"room": room, "card": card, "mentions": [bob.id]});
    let with_card = host.post("/api/chat/messages/", body).await.expect_status(201);
    assert_eq!(with_card["mentions"]["users"], json!([bob.id]));
    let tick = format!("/api/chat/messages/{}/card/", text_of(&with_card["id"]));
    bob.post(&tick, json!({"item": "1"})).await.expect_status(200);
    // It is listed for nobody to write to.
    let people = alice.get("/api/chat/users/?search=aristay&page_size=100").await.expect_status(200);
    assert!(people["results"].as_array().expect("results").iter().all(|user| user["id"] != -1), "{people}");

    let group = alice.creates_group(&[&bob]).await;
    let refused = host.post("/api/chat/messages/", json!({"room": group, "content": "x"})).await;
    assert_eq!(refused.expect_status(403)["code"], "forbidden");
    let blank = json!({"room": room, "content": " "});
    host.post("/api/chat/messages/", blank).await.expect_field_errors(&["content"]);
    let (texts, files) = ([("room", room.as_str())], [("attachment", "a.png", PNG)]);
    host.post_form("/api/chat/messages/", &texts, &files).await.expect_status(403);
}
