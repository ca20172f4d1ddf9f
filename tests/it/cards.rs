//! Checklists, polls and other cards by REST.

use futures_util::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{ApiClient, ApiResponse, host, new_user, text_of};
use crate::files::PNG;

async fn sends(user: &ApiClient, room: &str, card: Value) -> Value {
    user.post("/api/chat/messages/", json!({"room": room, "card": card})).await.expect_status(201)
}

async fn sends_checklist(user: &ApiClient, room: &str) -> Value {
    let items = json!([{"id": "beds", "text": "Make the beds"}, {"text": "Take out the bins"}]);
    sends(user, room, json!({"v": 1, "kind": "checklist", "title": "Unit 4", "items": items})).await
}

async fn sends_poll(user: &ApiClient, room: &str, multiple: bool) -> Value {
    let choices = json!([{"id": "mo", "text": "Monday"}, {"id": "tu", "text": "Tuesday"}]);
    let card = json!({"v": 1, "kind": "poll", "title": "When?", "choices": choices, "multiple": multiple});
    sends(user, room, card).await
}

async fn changes(user: &ApiClient, message: &Value, change: Value) -> ApiResponse {
    user.post(&format!("/api/chat/messages/{}/card/", text_of(&message["id"])), change).await
}

async fn shown(user: &ApiClient, message: &Value) -> Value {
    user.get(&format!("/api/chat/messages/{}/", text_of(&message["id"]))).await.expect_status(200)
}

#[tokio::test]
async fn a_checklist_is_sent_ticked_by_anyone_and_read_as_text_by_old_clients() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    let sent = sends_checklist(&alice, &room).await;
    assert_eq!(sent["content"], "Unit 4\n- Make the beds\n- Take out the bins");
    assert_eq!((&sent["message_type"], &sent["attachment"]), (&json!("text"), &json!(null)));
    let item = |id: &str, text: &str| json!({"id": id, "text": text, "done_by": null, "done_at": null});
    let (beds, bins) = (item("beds", "Make the beds"), item("1", "Take out the bins"));
    assert_eq!(
        sent["card"],
        json!({"v": 1, "kind": "checklist", "title": "Unit 4", "text": "", "fields": [], "items": [beds, bins],
            "state": null, "link": null, "buttons": []})
    );
    let ticked = changes(&bob, &sent, json!({"item": "beds", "on": true})).await.expect_status(200);
    assert_eq!((&ticked["id"], &ticked["card"]["items"][0]["done_by"]), (&sent["id"], &json!(bob.id)));
    assert!(ticked["card"]["items"][0]["done_at"].is_string());
    assert_eq!(ticked["rev"].as_i64(), sent["seq"].as_i64().map(|seq| seq + 1));
    // Again, and by another: nothing new.
    for person in [&bob, &alice] {
        let again = changes(person, &sent, json!({"item": "beds"})).await.expect_status(200);
        assert_eq!((&again["card"], &again["rev"]), (&ticked["card"], &ticked["rev"]));
    }
    assert_eq!(shown(&alice, &sent).await["card"], ticked["card"]);
    let undone = changes(&alice, &sent, json!({"item": "beds", "on": false})).await.expect_status(200);
    assert_eq!(undone["card"], sent["card"]);
    // A tick moves no room and counts as no message.
    bob.reads(&room).await;
    let before = bob.room(&room).await;
    changes(&alice, &sent, json!({"item": "1"})).await.expect_status(200);
    let after = bob.room(&room).await;
    assert_eq!((&after["modified_at"], &after["unread_count"]), (&before["modified_at"], &json!(0)));
    assert_eq!(after["last_message"]["card"]["items"][1]["done_by"], alice.id);
}

#[tokio::test]
async fn the_same_tick_by_many_at_once_is_one() {
    let people = join_all((0..8).map(|_| new_user("p"))).await;
    let room = people[0].creates_group(&people[1..].iter().collect::<Vec<_>>()).await;
    let sent = sends_checklist(&people[0], &room).await;
    let ticks = people.iter().map(|person| changes(person, &sent, json!({"item": "beds"})));
    let answers: Vec<Value> = join_all(ticks).await.iter().map(|answer| answer.expect_status(200)).collect();
    assert!(answers.iter().all(|answer| answer["card"] == answers[0]["card"]));
    let log = people[0].get(&format!("/api/chat/rooms/{room}/events/")).await.expect_status(200);
    let changed =
        log["events"].as_array().expect("events").iter().filter(|event| event["type"] == "card_changed");
    assert_eq!(changed.count(), 1);
}

#[tokio::test]
async fn a_poll_counts_each_vote_once_and_is_closed_by_its_author() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    let sent = sends_poll(&bob, &room, false).await;
    let votes = |card: &Value| -> Vec<(i64, bool)> {
        let choices = card["choices"].as_array().expect("choices").iter();
        choices.map(|choice| (choice["votes"].as_i64().expect("a count"), choice["mine"] == true)).collect()
    };
    assert_eq!((&sent["card"]["multiple"], &sent["card"]["closed"]), (&json!(false), &json!(false)));
    for _ in 0..2 {
        let voted = changes(&alice, &sent, json!({"choice": "mo"})).await.expect_status(200);
        assert_eq!(votes(&voted["card"]), [(1, true), (0, false)]);
        assert_eq!(voted["card"]["choices"][0]["users"], json!([alice.id]));
    }
    changes(&bob, &sent, json!({"choice": "mo"})).await.expect_status(200);
    let moved = changes(&alice, &sent, json!({"choice": "tu", "on": true})).await.expect_status(200);
    assert_eq!(votes(&moved["card"]), [(1, false), (1, true)]);
    changes(&alice, &sent, json!({"close": true})).await.expect_status(403);
    for _ in 0..2 {
        let closed = changes(&bob, &sent, json!({"close": true})).await.expect_status(200);
        assert_eq!(closed["card"]["closed"], true);
    }
    changes(&alice, &sent, json!({"choice": "mo"})).await.expect_field_errors(&["choice"]);
    changes(&alice, &sent, json!({"choice": "tu", "on": false})).await.expect_field_errors(&["choice"]);
    assert_eq!(votes(&shown(&alice, &sent).await["card"]), [(1, false), (1, true)]);
}

#[tokio::test]
async fn a_choice_names_its_first_voters_and_everyone_knows_the_own_votes() {
    let people = join_all((0..23).map(|_| new_user("p"))).await;
    let room = people[0].creates_group(&people[1..].iter().collect::<Vec<_>>()).await;
    let sent = sends_poll(&people[0], &room, true).await;
    for person in &people {
        changes(person, &sent, json!({"choice": "mo"})).await.expect_status(200);
    }
    let last = &people[22];
    changes(last, &sent, json!({"choice": "tu"})).await.expect_status(200);
    for (person, mine) in [(&people[0], [true, false]), (last, [true, true])] {
        let card = shown(person, &sent).await["card"].clone();
        let monday = &card["choices"][0];
        assert_eq!(
            (monday["votes"].as_i64(), monday["users"].as_array().map(Vec::len)),
            (Some(23), Some(20))
        );
        assert_eq!(
            [&card["choices"][0]["mine"], &card["choices"][1]["mine"]],
            mine.map(|mine| json!(mine)).each_ref()
        );
    }
    let back = changes(last, &sent, json!({"choice": "mo", "on": false})).await.expect_status(200);
    assert_eq!(
        (&back["card"]["choices"][0]["votes"], &back["card"]["choices"][0]["mine"]),
        (&json!(22), &json!(false))
    );
}

#[tokio::test]
async fn what_is_no_card_or_no_change_is_refused() {
    let alice = new_user("alice").await;
    let room = alice.creates_group(&[]).await;
    let send = async |card: Value| {
        alice.post("/api/chat/messages/", json!({"room": room, "content": "x", "card": card})).await
    };
    for wrong in [
        json!({"v": 2, "kind": "card", "title": "x"}),
        json!({"v": 1, "kind": "hologram", "title": "x"}),
        json!({"kind": "card", "title": "x"}),
        json!({"v": 1, "kind": "card"}),
        json!({"v": 1, "kind": "checklist", "items": []}),
        json!({"v": 1, "kind": "checklist", "items": (0..51).map(|_| json!({"text": "x"})).collect::<Value>()}),
        json!({"v": 1, "kind": "checklist", "items": [{"text": "x".repeat(501)}]}),
        json!({"v": 1, "kind": "checklist", "items": [{"id": "a", "text": "x"}, {"id": "a", "text": "y"}]}),
        json!({"v": 1, "kind": "poll", "choices": [{"text": "a\0b"}]}),
        json!({"v": 1, "kind": "card", "title": "x".repeat(256)}),
        json!({"v": 1, "kind": "card", "title": "x", "link": "javascript:alert(1)"}),
        json!({"v": 1, "kind": "card", "title": "x", "buttons": [{"id": "ok", "text": "OK"}]}),
        json!({"v": 1, "kind": "poll", "choices": (0..40).map(|_| json!({"text": "ä".repeat(300)})).collect::<Value>()}),
        json!("card"),
        json!([]),
    ] {
        send(wrong).await.expect_field_errors(&["card"]);
    }
    assert!(alice.sees(&room).await.is_empty());
    // Null is none, and what a client may not set is ignored.
    assert_eq!(send(json!(null)).await.expect_status(201)["card"], json!(null));
    let ticked = json!({"v": 1, "kind": "checklist", "items": [{"text": "x", "done_by": 1, "done_at": "2026-11-30T08:00:00Z"}]});
    let list = send(ticked).await.expect_status(201);
    assert_eq!((&list["card"]["items"][0]["done_by"], &list["content"]), (&json!(null), &json!("x")));
    let voted =
        json!({"v": 1, "kind": "poll", "closed": true, "choices": [{"text": "x", "votes": 5, "users": [1]}]});
    let poll = send(voted).await.expect_status(201);
    assert_eq!((&poll["card"]["closed"], &poll["card"]["choices"][0]["votes"]), (&json!(false), &json!(0)));

    for (message, change, field) in [
        (&list, json!({}), "item"),
        (&list, json!({"item": "1", "choice": "1"}), "item"),
        (&list, json!({"item": "1", "close": true}), "item"),
        (&list, json!({"close": false}), "item"),
        (&list, json!({"item": 5}), "item"),
        (&list, json!({"item": "2"}), "item"),
        (&list, json!({"item": "x".repeat(41)}), "item"),
        (&list, json!({"item": "1", "on": "perhaps"}), "on"),
        (&list, json!({"choice": "1"}), "choice"),
        (&list, json!({"close": true}), "close"),
        (&list, json!({"button": "ok"}), "button"),
        (&poll, json!({"item": "1"}), "item"),
        (&poll, json!({"choice": "2"}), "choice"),
    ] {
        changes(&alice, message, change).await.expect_field_errors(&[field]);
    }
    let text = alice.says(&room, "no card").await;
    changes(&alice, &text, json!({"item": "1"})).await.expect_field_errors(&["card"]);
}

#[tokio::test]
async fn a_card_goes_with_its_message_and_its_text_is_edited_apart() {
    let (alice, bob, eve) = (new_user("alice").await, new_user("bob").await, new_user("eve").await);
    let room = alice.creates_group(&[&bob]).await;
    let sent = sends_checklist(&alice, &room).await;
    changes(&eve, &sent, json!({"item": "beds"})).await.expect_status(404);
    host()
        .await
        .post(&format!("/api/chat/messages/{}/card/", text_of(&sent["id"])), json!({"item": "beds"}))
        .await
        .expect_status(404);
    changes(&bob, &sent, json!({"item": "beds"})).await.expect_status(200);
    let path = format!("/api/chat/messages/{}/", text_of(&sent["id"]));
    let edited = alice.patch(&path, json!({"content": "Unit 5", "card": null})).await.expect_status(200);
    assert_eq!(
        (&edited["content"], &edited["card"]["items"][0]["done_by"]),
        (&json!("Unit 5"), &json!(bob.id))
    );
    let archived = format!("/api/chat/rooms/{room}/archive/");
    alice.post(&archived, json!({})).await.expect_status(200);
    changes(&bob, &sent, json!({"item": "1"})).await.expect_status(409);
    alice.post(&format!("/api/chat/rooms/{room}/unarchive/"), json!({})).await.expect_status(200);
    alice.delete(&path).await.expect_status(204);
    changes(&bob, &sent, json!({"item": "1"})).await.expect_status(404);
    let log = alice.get(&format!("/api/chat/rooms/{room}/events/")).await;
    log.expect_status(200);
    assert!(!String::from_utf8_lossy(&log.bytes).contains("Make the beds"));
    let changed = log.json()["events"]
        .as_array()
        .expect("events")
        .iter()
        .find(|event| event["type"] == "card_changed")
        .cloned();
    assert_eq!(changed.expect("a change")["card"], json!(null));
    alice.removes(&bob, &room).await;
    let another = sends_checklist(&alice, &room).await;
    changes(&bob, &another, json!({"item": "beds"})).await.expect_status(404);
}

#[tokio::test]
async fn a_repeated_send_has_the_same_card_and_a_form_has_none() {
    let alice = new_user("alice").await;
    let room = alice.creates_group(&[]).await;
    let card = |text: &str| json!({"v": 1, "kind": "checklist", "items": [{"text": text}]});
    let body = |card: Value| json!({"room": room, "content": "to do", "card": card});
    let client_id = Uuid::new_v4();
    let send = async |mut body: Value| {
        body["client_id"] = json!(client_id);
        alice.post("/api/chat/messages/", body).await
    };
    let first = send(body(card("beds"))).await.expect_status(201);
    assert_eq!(send(body(card("beds"))).await.expect_status(200)["id"], first["id"]);
    for other in [body(card("bins")), body(json!(null))] {
        assert_eq!(send(other).await.expect_status(409)["code"], "client_id_conflict");
    }
    let texts = [("room", room.as_str()), ("content", "to do"), ("card", "{}")];
    let sent = alice.post_form("/api/chat/messages/", &texts, &[("attachment", "a.png", PNG)]).await;
    assert_eq!(sent.expect_status(201)["card"], json!(null));
}
