//! Mentions by REST.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{ApiClient, ApiResponse, new_user, text_of, texts};

const MESSAGES: &str = "/api/chat/messages/";

async fn mentions(by: &ApiClient, room: &str, text: &str, fields: Value) -> ApiResponse {
    let mut body = json!({"room": room, "content": text});
    body.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
    by.post(MESSAGES, body).await
}

fn path(message: &Value) -> String {
    format!("{MESSAGES}{}/", text_of(&message["id"]))
}

/// The unread messages of the only room that mention the user, and the total.
async fn counts(user: &ApiClient) -> (i64, i64) {
    let list = user.get("/api/chat/rooms/?include_archived=true").await.expect_status(200);
    let unread = user.get("/api/chat/unread/").await.expect_status(200);
    let count = |value: &Value| value["mention_count"].as_i64().expect("a count");
    (count(&list["results"][0]), count(&unread))
}

#[tokio::test]
async fn a_mention_is_shown_counted_edited_and_deleted() {
    let (alice, bob, cat) = (new_user("alice").await, new_user("bob").await, new_user("cat").await);
    let room = alice.creates_group(&[&bob, &cat]).await;
    let sent = mentions(&alice, &room, "@bob look", json!({"mentions": [bob.id, alice.id, bob.id]})).await;
    let sent = sent.expect_status(201);
    assert_eq!(sent["mentions"], json!({"users": [bob.id, alice.id], "room": false}));
    let plain = alice.says(&room, "@bob is typed, and no mention").await;
    assert_eq!(plain["mentions"], json!({"users": [], "room": false}));
    assert_eq!(bob.get(&path(&sent)).await.expect_status(200)["mentions"], sent["mentions"]);
    assert_eq!((counts(&alice).await, counts(&bob).await, counts(&cat).await), ((0, 0), (1, 1), (0, 0)));

    let edited = alice.patch(&path(&sent), json!({"content": "@cat look", "mentions": [cat.id]})).await;
    assert_eq!(edited.expect_status(200)["mentions"], json!({"users": [cat.id], "room": false}));
    assert_eq!((counts(&bob).await, counts(&cat).await), ((0, 0), (1, 1)));
    let kept = alice.put(&path(&sent), json!({"content": "@cat, look"})).await.expect_status(200);
    assert_eq!(kept["mentions"]["users"], json!([cat.id]));
    let all = alice.patch(&path(&plain), json!({"mention_room": true})).await.expect_status(200);
    assert_eq!((&all["mentions"], &all["is_edited"]), (&json!({"users": [], "room": true}), &json!(false)));
    assert_eq!((counts(&bob).await, counts(&cat).await), ((1, 1), (2, 2)));
    alice.delete(&path(&sent)).await.expect_status(204);
    assert_eq!(counts(&cat).await, (1, 1));
    cat.reads(&room).await;
    assert_eq!(counts(&cat).await, (0, 0));
}

#[tokio::test]
async fn mentions_count_in_muted_rooms_and_not_in_archived_ones() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    mentions(&alice, &room, "all", json!({"mention_room": "true"})).await.expect_status(201);
    let place = bob.participant_id(&bob, &room).await;
    bob.post(&format!("/api/chat/participants/{place}/mute/"), json!({})).await.expect_status(200);
    assert_eq!(counts(&bob).await, (1, 1));
    assert_eq!(bob.get("/api/chat/unread/").await.expect_status(200)["unread_count"], 0);
    alice.post(&format!("/api/chat/rooms/{room}/archive/"), json!({})).await.expect_status(200);
    assert_eq!(counts(&bob).await, (1, 0));
}

#[tokio::test]
async fn a_mention_that_is_not_allowed_is_a_field_error_and_nothing_is_sent() {
    let (alice, bob, eve) = (new_user("alice").await, new_user("bob").await, new_user("eve").await);
    let room = alice.creates_group(&[&bob]).await;
    let sent = alice.says(&room, "first").await;
    let crowd: Vec<i64> = (1..=101).collect();
    for wrong in [
        json!([bob.id, eve.id]),
        json!([i64::MAX]),
        json!([0]),
        json!([-1]),
        json!(["x"]),
        json!([1.5]),
        json!([[bob.id]]),
        json!(bob.id),
        json!({"users": [bob.id]}),
        json!(crowd),
        json!("9".repeat(10_000)),
    ] {
        let refused = mentions(&alice, &room, "hi", json!({"mentions": wrong})).await;
        refused.expect_field_errors(&["mentions"]);
        alice.patch(&path(&sent), json!({"mentions": wrong})).await.expect_field_errors(&["mentions"]);
    }
    let refused = mentions(&alice, &room, "hi", json!({"mentions": [eve.id]})).await.expect_status(400);
    assert_eq!(refused, json!({"mentions": [format!("Not in this room: {}", eve.id)]}));
    let refused = mentions(&alice, &room, "hi", json!({"mention_room": "perhaps"})).await;
    refused.expect_field_errors(&["mention_room"]);
    let refused = mentions(&eve, &room, "hi", json!({"mentions": [bob.id]})).await;
    refused.expect_field_errors(&["room"]);
    bob.patch(&path(&sent), json!({"mentions": [bob.id]})).await.expect_status(403);
    eve.patch(&path(&sent), json!({"mentions": [bob.id]})).await.expect_status(404);
    for nothing in [json!({"mentions": null, "mention_room": null}), json!({"mentions": []})] {
        mentions(&alice, &room, "fine", nothing).await.expect_status(201);
    }
    assert_eq!(alice.sees(&room).await, ["fine", "fine", "first"]);
}

#[tokio::test]
async fn everyone_in_a_large_room_is_mentioned_by_its_admins_only() {
    let alice = new_user("alice").await;
    let mut others = Vec::new();
    for _ in 0..20 {
        others.push(new_user("p").await);
    }
    let room = alice.creates_group(&others.iter().collect::<Vec<_>>()).await;
    let refused = mentions(&others[0], &room, "all", json!({"mention_room": true})).await;
    assert_eq!(refused.expect_status(403)["code"], "forbidden");
    mentions(&alice, &room, "all", json!({"mention_room": true})).await.expect_status(201);
    assert_eq!(counts(&others[0]).await, (1, 1));
    others[1].post(&format!("/api/chat/rooms/{room}/leave/"), json!({})).await.expect_status(200);
    mentions(&others[0], &room, "all", json!({"mention_room": true})).await.expect_status(201);
}

#[tokio::test]
async fn a_form_names_those_it_mentions_one_by_one_or_in_a_list() {
    let (alice, bob, cat) = (new_user("alice").await, new_user("bob").await, new_user("cat").await);
    let room = alice.creates_group(&[&bob, &cat]).await;
    let (first, second) = (bob.id.to_string(), cat.id.to_string());
    let list = format!("[{first}, {second}]");
    let everyone = json!({"users": [bob.id, cat.id], "room": true});
    let file: &[(&str, &str, &[u8])] = &[("attachment", "a.txt", b"the invoice")];
    for texts in [
        [("mentions", first.as_str()), ("mentions", second.as_str())],
        [("mentions", list.as_str()), ("mentions", "")],
    ] {
        let mut parts = vec![("room", room.as_str()), ("content", "both"), ("mention_room", "true")];
        parts.extend(texts);
        let sent = alice.post_form(MESSAGES, &parts, file).await.expect_status(201);
        assert_eq!(sent["mentions"], everyone);
    }
    for wrong in ["x", "[", "{}", "[[1]]", "999999"] {
        let parts = [("room", room.as_str()), ("content", "no"), ("mentions", wrong)];
        alice.post_form(MESSAGES, &parts, file).await.expect_field_errors(&["mentions"]);
    }
    assert_eq!(counts(&bob).await, (2, 2));
}

#[tokio::test]
async fn a_retry_has_the_same_mentions() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    let client_id = Uuid::new_v4();
    let send =
        |users: Value| mentions(&alice, &room, "@bob", json!({"client_id": client_id, "mentions": users}));
    let sent = send(json!([bob.id])).await.expect_status(201);
    assert_eq!(send(json!([bob.id])).await.expect_status(200)["id"], sent["id"]);
    assert_eq!(send(json!([])).await.expect_status(409)["code"], "client_id_conflict");
    assert_eq!(counts(&bob).await, (1, 1));
}

#[tokio::test]
async fn mentions_are_listed_and_the_next_unread_one_is_found() {
    let (alice, bob, cat) = (new_user("alice").await, new_user("bob").await, new_user("cat").await);
    let room = alice.creates_group(&[&bob, &cat]).await;
    let elsewhere = alice.creates_group(&[&bob]).await;
    let to_bob = json!({"mentions": [bob.id]});
    let first = mentions(&alice, &room, "one", to_bob.clone()).await.expect_status(201);
    alice.says(&room, "@bob two").await;
    let third = mentions(&alice, &room, "three", json!({"mention_room": true})).await.expect_status(201);
    mentions(&bob, &room, "own", json!({"mentions": [bob.id], "mention_room": true}))
        .await
        .expect_status(201);
    mentions(&alice, &room, "for cat", json!({"mentions": [cat.id]})).await.expect_status(201);
    mentions(&alice, &elsewhere, "four", to_bob).await.expect_status(201);
    let lists = async |user: &ApiClient, query: &str| {
        user.get(&format!("{MESSAGES}?mentions=me&{query}")).await.expect_status(200)
    };
    let all = lists(&bob, "").await;
    assert_eq!((texts(&all), &all["count"]), (vec!["four".into(), "three".into(), "one".into()], &json!(3)));
    assert_eq!(texts(&lists(&cat, "").await), ["for cat", "own", "three"]);
    assert_eq!(texts(&lists(&alice, "").await), ["own"]);
    assert_eq!(texts(&lists(&bob, &format!("room={room}&ordering=created_at")).await), ["one", "three"]);
    let page = lists(&bob, "page_size=2&page=2").await;
    assert_eq!((texts(&page), &page["count"]), (vec!["one".into()], &json!(3)));

    let in_room = format!("room={room}&limit=1");
    let next = async |query: String| texts(&lists(&bob, &query).await);
    assert_eq!(next(format!("{in_room}&after=0")).await, ["one"]);
    assert_eq!(next(format!("{in_room}&after={}", first["seq"])).await, ["three"]);
    assert!(next(format!("{in_room}&after={}", third["seq"])).await.is_empty());
    assert_eq!(next(format!("{in_room}&before={}", third["seq"])).await, ["one"]);
    let run = lists(&bob, &in_room).await;
    assert_eq!((texts(&run), &run["has_more"]), (vec!["three".into()], &json!(true)));

    bob.post(&format!("{}mark_read/", path(&first)), json!({})).await.expect_status(200);
    assert_eq!(next(format!("{in_room}&after=0&unread=true")).await, ["three"]);
    assert_eq!(next("unread=true".into()).await, ["four", "three"]);
    let unread = bob.get(&format!("{MESSAGES}?room={room}&unread=true")).await.expect_status(200);
    assert_eq!(
        (texts(&unread), &unread["count"]),
        (vec!["for cat".into(), "three".into(), "@bob two".into()], &json!(3))
    );
    bob.reads(&room).await;
    assert!(next(format!("{in_room}&after=0&unread=true")).await.is_empty());

    for (query, field) in
        [("mentions=7", "mentions"), ("mentions=me&search=one", "search"), ("unread=perhaps", "unread")]
    {
        bob.get(&format!("{MESSAGES}?{query}")).await.expect_field_errors(&[field]);
    }
    bob.post(&format!("/api/chat/rooms/{room}/leave/"), json!({})).await.expect_status(200);
    assert_eq!(next(String::new()).await, ["four"]);
    assert!(next(format!("room={room}")).await.is_empty());
}

#[tokio::test]
async fn a_rename_shows_because_a_mention_is_an_id() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    let sent = mentions(&alice, &room, "@bob look", json!({"mentions": [bob.id]})).await.expect_status(201);
    let renamed = json!({"username": format!("robert{}", bob.id), "full_name": "Robert"});
    crate::client::host()
        .await
        .put(&format!("/api/chat/users/{}/", bob.id), renamed)
        .await
        .expect_status(200);
    let shown = alice.get(&path(&sent)).await.expect_status(200);
    assert_eq!((&shown["content"], &shown["mentions"]["users"]), (&json!("@bob look"), &json!([bob.id])));
}
