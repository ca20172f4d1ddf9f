//! Messages.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{ApiClient, host, new_user, text_of, texts};
use crate::server::shared;

#[tokio::test]
async fn a_message_is_sent_shown_edited_and_deleted() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    let sent = alice.says(&room, "  hello \u{202e}<script> ${jndi:x} '; drop table \n").await;
    assert_eq!(sent["content"], "hello \u{202e}<script> ${jndi:x} '; drop table");
    assert_eq!(
        (&sent["message_type"], &sent["is_read"], &sent["read_count"]),
        (&json!("text"), &json!(true), &json!(0))
    );
    assert_eq!(sent["read_by"], json!({}));
    assert_eq!(sent["seq"], sent["rev"]);
    let path = format!("/api/chat/messages/{}/", text_of(&sent["id"]));
    let shown = bob.get(&path).await.expect_status(200);
    assert_eq!((&shown["content"], &shown["is_read"]), (&sent["content"], &json!(false)));
    assert_eq!((&shown["sender"]["id"], &shown["sender"]["email"]), (&json!(alice.id), &json!("")));
    assert_ne!(alice.get(&path).await.expect_status(200)["sender"]["email"], "");
    bob.patch(&path, json!({"content": "x"})).await.expect_status(403);
    bob.delete(&path).await.expect_status(403);
    let edited = alice
        .patch(&path, json!({"content": " changed ", "room": Uuid::new_v4(), "sender": bob.id, "seq": 99, "is_deleted": true}))
        .await
        .expect_status(200);
    assert_eq!(
        (&edited["content"], &edited["is_edited"], &edited["room"]),
        (&json!("changed"), &json!(true), &json!(room))
    );
    assert!(edited["edited_at"].is_string() && edited["rev"].as_i64() > edited["seq"].as_i64());
    assert_eq!(edited["is_deleted"], false);
    alice.put(&path, json!({})).await.expect_field_errors(&["content"]);
    alice.patch(&path, json!({"content": " \u{200b} "})).await.expect_field_errors(&["content"]);
    assert_eq!(alice.patch(&path, json!({})).await.expect_status(200)["content"], "changed");
    alice.delete(&path).await.expect_status(204);
    for person in [&alice, &bob] {
        person.get(&path).await.expect_status(404);
        assert!(person.sees(&room).await.is_empty());
    }
    alice.patch(&path, json!({"content": "again"})).await.expect_status(404);
    alice.delete(&path).await.expect_status(404);
}

#[tokio::test]
async fn an_unsendable_message_gets_a_field_error() {
    let (alice, eve) = (new_user("alice").await, new_user("eve").await);
    let room = alice.creates_group(&[]).await;
    let sends = async |body: Value| alice.post("/api/chat/messages/", body).await;
    for blank in ["", " \t\n", "\u{200b}\u{feff}", "a\0b"] {
        sends(json!({"room": room, "content": blank})).await.expect_field_errors(&["content"]);
    }
    sends(json!({"room": room, "content": "a".repeat(4_001)})).await.expect_field_errors(&["content"]);
    sends(json!({"room": room, "content": "😀".repeat(4_000)})).await.expect_status(201);
    sends(json!({"room": room, "content": 5})).await.expect_field_errors(&["content"]);
    sends(json!({"room": room})).await.expect_field_errors(&["content"]);
    sends(json!({"content": "hi"})).await.expect_field_errors(&["room"]);
    sends(json!({"room": "abc", "content": "hi", "reply_to": "x", "client_id": "y"}))
        .await
        .expect_field_errors(&["client_id", "reply_to", "room"]);
    for message_type in ["system", "club"] {
        sends(json!({"room": room, "content": "hi", "message_type": message_type}))
            .await
            .expect_field_errors(&["message_type"]);
    }
    assert_eq!(
        sends(json!({"room": room, "content": "hi", "message_type": "image"})).await.expect_status(201)["message_type"],
        "text"
    );
    let refused = json!({"room": ["You are not a participant in this room"]});
    for nowhere in [room.clone(), Uuid::new_v4().to_string()] {
        let answer = eve.post("/api/chat/messages/", json!({"room": nowhere, "content": "hi"})).await;
        assert_eq!(answer.expect_status(400), refused);
    }
}

#[tokio::test]
async fn replies_quote_and_stay_in_their_room() {
    let alice = new_user("alice").await;
    let (room, other) = (alice.creates_group(&[]).await, alice.creates_group(&[]).await);
    let first = alice.says(&room, &"x".repeat(150)).await;
    let answer = json!({"room": room, "content": "yes", "reply_to": first["id"]});
    let answer = alice.post("/api/chat/messages/", answer).await.expect_status(201);
    assert_eq!(answer["reply_to_id"], first["id"]);
    assert_eq!(text_of(&answer["reply_to"]["content"]).len(), 100);
    assert_eq!(answer["reply_to"]["sender"]["id"], alice.id);
    let elsewhere = alice.says(&other, "there").await;
    alice.delete(&format!("/api/chat/messages/{}/", text_of(&first["id"]))).await.expect_status(204);
    for stray in [elsewhere["id"].clone(), first["id"].clone(), json!(Uuid::new_v4())] {
        let body = json!({"room": room, "content": "yes", "reply_to": stray});
        alice.post("/api/chat/messages/", body).await.expect_field_errors(&["reply_to"]);
    }
    let page = alice.get(&format!("/api/chat/messages/?room={room}")).await.expect_status(200);
    assert_eq!(page["results"][0]["reply_to"]["content"], "[Message deleted]");
}

#[tokio::test]
async fn the_same_client_id_sends_once() {
    let alice = new_user("alice").await;
    let room = alice.creates_group(&[]).await;
    let body = json!({"room": room, "content": "once", "client_id": Uuid::new_v4()});
    let sends = (0..20).map(|_| alice.post("/api/chat/messages/", body.clone()));
    let answers = futures_util::future::join_all(sends).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    assert!(answers.iter().all(|answer| [200, 201].contains(&answer.status)));
    let first = answers[0].json();
    assert!(answers.iter().all(|answer| answer.json()["id"] == first["id"]));
    assert_eq!(first["client_id"], body["client_id"]);
    let mut other = body.clone();
    other["content"] = json!("twice");
    assert_eq!(
        alice.post("/api/chat/messages/", other).await.expect_status(409)["code"],
        "client_id_conflict"
    );
    assert_eq!(alice.sees(&room).await, ["once"]);
}

#[tokio::test]
async fn lists_are_filtered_ordered_and_paged() {
    let (alice, bob, eve) = (new_user("alice").await, new_user("bob").await, new_user("eve").await);
    let room = alice.creates_group(&[&bob]).await;
    for number in 1..=5 {
        let by = if number % 2 == 0 { &bob } else { &alice };
        by.says(&room, &format!("message {number}")).await;
    }
    let request = async |query: &str| alice.get(&format!("/api/chat/messages/?room={room}&{query}")).await;
    let page = request("page_size=2").await;
    assert_eq!(page.header("x-room-seq"), Some("8"));
    let page = page.expect_status(200);
    assert_eq!(
        (&page["count"], texts(&page)),
        (&json!(5), vec!["message 5".to_owned(), "message 4".to_owned()])
    );
    let next = alice.get(&text_of(&page["next"])).await.expect_status(200);
    assert_eq!(texts(&next), ["message 3", "message 2"]);
    assert_eq!(
        texts(&request("ordering=created_at&page_size=2").await.expect_status(200)),
        ["message 1", "message 2"]
    );
    assert_eq!(request(&format!("sender={}", bob.id)).await.expect_status(200)["count"], 2);
    assert_eq!(request("message_type=image").await.expect_status(200)["count"], 0);
    assert_eq!(texts(&request("search=sage%204").await.expect_status(200)), ["message 4"]);
    request("page=1").await.expect_status(200);
    request("page_size=2&page=4").await.expect_status(404);
    request("sender=abc").await.expect_field_errors(&["sender"]);
    alice.get("/api/chat/messages/?room=abc").await.expect_field_errors(&["room"]);
    let empty = eve.get(&format!("/api/chat/messages/?room={room}")).await.expect_status(200);
    assert_eq!(empty, json!({"count": 0, "next": null, "previous": null, "results": []}));
    let other = alice.creates_group(&[]).await;
    alice.says(&other, "elsewhere").await;
    let all = alice.get("/api/chat/messages/?page_size=2").await.expect_status(200);
    assert_eq!(
        (&all["count"], texts(&all)),
        (&json!(6), vec!["elsewhere".to_owned(), "message 5".to_owned()])
    );
}

#[tokio::test]
async fn pages_by_seq_skip_and_repeat_nothing() {
    let (alice, eve) = (new_user("alice").await, new_user("eve").await);
    let room = alice.creates_group(&[]).await;
    for number in 1..=5 {
        alice.says(&room, &number.to_string()).await;
    }
    let request = async |query: &str| alice.get(&format!("/api/chat/messages/?room={room}&{query}")).await;
    let newest = request("limit=2").await;
    assert_eq!(newest.header("x-room-seq"), Some("7"));
    let newest = newest.expect_status(200);
    assert_eq!((texts(&newest), &newest["has_more"]), (vec!["5".to_owned(), "4".to_owned()], &json!(true)));
    alice.says(&room, "6").await;
    let before = request(&format!("before={}&limit=2", newest["results"][1]["seq"])).await.expect_status(200);
    assert_eq!(texts(&before), ["3", "2"]);
    let last = request(&format!("before={}", before["results"][1]["seq"])).await.expect_status(200);
    assert_eq!((texts(&last), &last["has_more"]), (vec!["1".to_owned()], &json!(false)));
    let after = request(&format!("after={}&limit=2", before["results"][0]["seq"])).await.expect_status(200);
    assert_eq!((texts(&after), &after["has_more"]), (vec!["4".to_owned(), "5".to_owned()], &json!(true)));
    assert_eq!(texts(&request("after=0&limit=2&ordering=-created_at").await.expect_status(200)), ["2", "1"]);
    let by_alice = format!("after=0&limit=2&sender={}&message_type=text", alice.id);
    assert_eq!(texts(&request(&by_alice).await.expect_status(200)), ["1", "2"]);
    assert!(texts(&request("limit=2&message_type=image").await.expect_status(200)).is_empty());
    assert!(texts(&request(&format!("limit=2&sender={}", eve.id)).await.expect_status(200)).is_empty());
    request("limit=2&search=two").await.expect_field_errors(&["search"]);
    request("before=x").await.expect_field_errors(&["before"]);
    request("before=5&after=5").await.expect_field_errors(&["after"]);
    alice.get("/api/chat/messages/?before=5").await.expect_field_errors(&["room"]);
    let empty = eve.get(&format!("/api/chat/messages/?room={room}&limit=5")).await.expect_status(200);
    assert_eq!(empty, json!({"results": [], "has_more": false}));
}

#[tokio::test]
async fn reading_a_message_moves_the_rooms_read_mark() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    let messages = [alice.says(&room, "1").await, alice.says(&room, "2").await, alice.says(&room, "3").await];
    let read =
        bob.post(&format!("/api/chat/messages/{}/mark_read/", text_of(&messages[1]["id"])), json!({})).await;
    let read = read.expect_status(200);
    let by_bob = read["read_by"][bob.id.to_string()].clone();
    assert!(by_bob.is_string(), "{read}");
    assert_eq!((&read["is_read"], &read["read_count"]), (&json!(true), &json!(1)));
    assert_eq!(bob.unread(&room).await, 1);
    bob.reads(&room).await;
    let page =
        alice.get(&format!("/api/chat/messages/?room={room}&ordering=created_at")).await.expect_status(200);
    let results = page["results"].as_array().expect("results");
    assert_eq!(results[0]["read_by"][bob.id.to_string()], by_bob, "first covered by the first move");
    assert!(results[2]["read_by"][bob.id.to_string()].as_str() > by_bob.as_str());
    assert!(results.iter().all(|message| message["read_count"] == 1 && message["is_read"] == true));
    bob.post(&format!("/api/chat/messages/{}/mark_read/", text_of(&messages[0]["id"])), json!({}))
        .await
        .expect_status(200);
    assert_eq!(bob.unread(&room).await, 0, "a mark never goes back");
}

#[tokio::test]
async fn search_finds_words_and_parts_and_takes_signs_literally() {
    let (alice, eve) = (new_user("alice").await, new_user("eve").await);
    let room = alice.creates_group(&[]).await;
    for text in ["The café is closed", "100%_sure\\ly", "锅炉坏了请修理", "&|!():*", "other"] {
        alice.says(&room, text).await;
    }
    let finds = async |q: &str| {
        let url = reqwest::Url::parse_with_params("http://x/", [("q", q), ("room", &room)]).expect("a URL");
        alice.get(&format!("/api/chat/messages/search/?{}", url.query().expect("a query"))).await
    };
    for (q, found) in [
        ("cafe", vec!["The café is closed"]),
        ("closed the", vec!["The café is closed"]),
        ("lose", vec!["The café is closed"]),
        ("坏了请", vec!["锅炉坏了请修理"]),
        ("%_sure\\", vec!["100%_sure\\ly"]),
        ("___", vec![]),
        ("%%%", vec![]),
        ("&|!():*", vec!["&|!():*"]),
        ("-other", vec!["other"]),
        ("closed!", vec!["The café is closed"]),
        ("100%", vec!["100%_sure\\ly"]),
        ("100_", vec![]),
        ("50%", vec![]),
        ("100", vec!["100%_sure\\ly"]),
        ("ot", vec!["other"]),
        ("he", vec![]),
        ("坏", vec!["锅炉坏了请修理"]),
        ("修理 锅炉", vec!["锅炉坏了请修理"]),
        ("炉锅", vec![]),
        ("“café” clos", vec!["The café is closed"]),
        ("\"caf\"", vec![]),
        ("(closed)", vec!["The café is closed"]),
    ] {
        assert_eq!(texts(&finds(q).await.expect_status(200)), found, "{q}");
    }
    for short in ["", "a", " a ", "é"] {
        assert!(finds(short).await.expect_status(400)["error"].is_string());
    }
    assert!(finds(&"x".repeat(10_240)).await.expect_status(400)["error"].is_string());
    assert!(finds("a\0bc").await.expect_status(400)["error"].is_string());
    assert_eq!(eve.get("/api/chat/messages/search/?q=other").await.expect_status(200)["count"], 0);
}

#[tokio::test]
async fn moderators_delete_others_messages_and_the_event_names_their_right() {
    let (alice, bob, staff) = (new_user("alice").await, new_user("bob").await, new_user("staff").await);
    let host = host().await;
    host.put(&format!("/api/chat/users/{}/", staff.id), json!({"is_staff": true})).await.expect_status(200);
    let room = alice.creates_group(&[&bob]).await;
    let mut rights = Vec::new();
    for (who, body) in [
        (&alice, json!({"reason": " names a guest "})),
        (&staff, json!({"reason": ""})),
        (&host, json!({"reason": null})),
        (&bob, json!({})),
    ] {
        let message = text_of(&bob.says(&room, "by bob").await["id"]);
        let path = format!("/api/chat/messages/{message}/");
        ApiClient::send(who.request(reqwest::Method::DELETE, &path).json(&body)).await.expect_status(204);
        who.delete(&path).await.expect_status(404);
        let events = bob.get(&format!("/api/chat/rooms/{room}/events/?since=3")).await;
        assert!(!String::from_utf8_lossy(&events.bytes).contains("names a guest"));
        let events = events.expect_status(200)["events"].as_array().expect("events").clone();
        let [.., sent, deleted] = &events[..] else { panic!("{events:?}") };
        assert_eq!((&deleted["type"], &deleted["message_id"]), (&json!("message_deleted"), &json!(message)));
        assert_eq!(sent["message"]["removed_by"], deleted["removed_by"]);
        assert_eq!(
            (&sent["message"]["content"], events.len()),
            (&json!("[Message deleted]"), 2 + rights.len() * 2)
        );
        rights.push(text_of(&deleted["removed_by"]));
    }
    assert_eq!(rights, ["moderator", "moderator", "moderator", "author"]);
    let message = text_of(&bob.says(&room, "by bob").await["id"]);
    let path = format!("/api/chat/messages/{message}/");
    for reason in [json!("x".repeat(501)), json!(7)] {
        let request = alice.request(reqwest::Method::DELETE, &path).json(&json!({"reason": reason}));
        ApiClient::send(request).await.expect_field_errors(&["reason"]);
    }
    let kept = shared().await.client().await;
    let why = "SELECT actor, data FROM events WHERE room_id = $1 AND kind = 'message_deleted' ORDER BY seq";
    let kept = kept.query(why, &[&Uuid::parse_str(&room).unwrap()]).await.unwrap();
    let first: (Option<i64>, Value) = (kept[0].get(0), kept[0].get(1));
    assert_eq!(first, (Some(alice.id), json!({"removed_by": "moderator", "reason": "names a guest"})));
    assert_eq!(kept[2].get::<_, Option<i64>>(0), None, "the host is nobody of the directory");
}
