//! Threads by REST.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{ApiClient, ApiResponse, new_user, text_of, texts};
use crate::files::PNG;

async fn reply(user: &ApiClient, root: &Value, text: &str, more: Value) -> ApiResponse {
    let mut body = json!({"room": root["room"], "content": text, "thread_root": root["id"]});
    for (name, value) in more.as_object().expect("fields") {
        body[name] = value.clone();
    }
    user.post("/api/chat/messages/", body).await
}

/// Replies in the thread alone.
async fn replies(user: &ApiClient, root: &Value, text: &str) -> Value {
    reply(user, root, text, json!({"in_timeline": false})).await.expect_status(201)
}

async fn thread(user: &ApiClient, of: &Value, more: &str) -> Value {
    let path = format!("/api/chat/messages/?thread={}{more}", text_of(&of["id"]));
    user.get(&path).await.expect_status(200)
}

async fn shown(user: &ApiClient, message: &Value) -> Value {
    user.get(&format!("/api/chat/messages/{}/", text_of(&message["id"]))).await.expect_status(200)
}

async fn deletes(user: &ApiClient, message: &Value) {
    user.delete(&format!("/api/chat/messages/{}/", text_of(&message["id"]))).await.expect_status(204);
}

#[tokio::test]
async fn a_thread_has_its_root_first_and_sums_on_it() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    let root = alice.says(&room, "the boiler").await;
    assert_eq!((&root["thread"], root.get("in_timeline")), (&json!(null), None));
    let first = replies(&bob, &root, "is hot").await;
    let none = json!({"root_id": root["id"], "replies": 0, "last_reply_at": null, "unread": null});
    assert_eq!((&first["thread"], &first["in_timeline"]), (&none, &json!(false)));
    // A reply to a reply belongs to the same root.
    let second = reply(&alice, &first, "good", json!({})).await.expect_status(201);
    assert_eq!((&second["thread"], second.get("in_timeline")), (&none, None));
    let sums =
        json!({"root_id": root["id"], "replies": 2, "last_reply_at": second["created_at"], "unread": 1});
    let now = shown(&alice, &root).await;
    assert_eq!((&now["thread"], &now["rev"]), (&sums, &second["seq"]));
    for of in [&root, &first, &second] {
        let page = thread(&bob, of, "").await;
        assert_eq!(
            (texts(&page), &page["count"]),
            (vec!["the boiler".into(), "is hot".into(), "good".into()], &json!(3))
        );
    }
    assert_eq!(thread(&bob, &root, "").await["results"][0]["thread"]["unread"], 1);
    // By pages, and next to a position.
    assert_eq!(texts(&thread(&bob, &root, "&page_size=1&page=2").await), ["is hot"]);
    let from_start = thread(&bob, &root, "&limit=2").await;
    assert_eq!(
        (texts(&from_start), &from_start["has_more"]),
        (vec!["the boiler".into(), "is hot".into()], &json!(true))
    );
    let after = thread(&bob, &root, &format!("&after={}", first["seq"])).await;
    assert_eq!((texts(&after), &after["has_more"]), (vec!["good".to_owned()], &json!(false)));
    let before = thread(&bob, &root, &format!("&limit=1&before={}", second["seq"])).await;
    assert_eq!((texts(&before), &before["has_more"]), (vec!["is hot".to_owned()], &json!(true)));
    let before = thread(&bob, &root, &format!("&before={}", second["seq"])).await;
    assert_eq!(texts(&before), ["the boiler", "is hot"]);
}

#[tokio::test]
async fn what_stands_in_a_thread_alone_is_in_no_list_and_no_count_of_the_room() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    let root = alice.says(&room, "the boiler").await;
    bob.reads(&room).await;
    let before = bob.room(&room).await;
    let aside = replies(&alice, &root, "between us").await;
    assert_eq!(bob.sees(&room).await, ["the boiler"]);
    assert_eq!(
        texts(&bob.get(&format!("/api/chat/messages/?room={room}&limit=5")).await.expect_status(200)),
        ["the boiler"]
    );
    assert_eq!(texts(&bob.get("/api/chat/messages/").await.expect_status(200)), ["the boiler"]);
    let after = bob.room(&room).await;
    for name in ["unread_count", "modified_at"] {
        assert_eq!(after[name], before[name], "{name}");
    }
    assert_eq!(after["last_message"]["id"], root["id"]);
    let stats = bob.get(&format!("/api/chat/rooms/{room}/stats/")).await.expect_status(200);
    assert_eq!((&stats["unread_count"], &stats["last_message_at"]), (&json!(0), &root["created_at"]));
    let unread = bob.get("/api/chat/unread/").await.expect_status(200);
    assert_eq!(unread["unread_count"], 0);
    let listed = bob.get("/api/chat/rooms/").await.expect_status(200);
    assert_eq!(listed["results"][0]["last_message_preview"], "the boiler");
    // It is a message all the same.
    assert_eq!(shown(&bob, &aside).await["content"], "between us");
    let log = bob.get(&format!("/api/chat/rooms/{room}/events/")).await.expect_status(200);
    let told = log["events"].as_array().expect("events").last().cloned().expect("an event");
    assert_eq!((&told["type"], &told["message"]["in_timeline"]), (&json!("chat_message"), &json!(false)));
    // In both, it is counted in both.
    reply(&alice, &root, "for all", json!({"in_timeline": true})).await.expect_status(201);
    assert_eq!(
        (bob.unread(&room).await, bob.sees(&room).await),
        (1, vec!["for all".into(), "the boiler".into()])
    );
}

#[tokio::test]
async fn the_threads_that_one_takes_part_in_are_listed_with_their_unread_counts() {
    let (alice, bob, carl) = (new_user("alice").await, new_user("bob").await, new_user("carl").await);
    let room = alice.creates_group(&[&bob, &carl]).await;
    let lists = async |user: &ApiClient| -> Vec<(String, i64)> {
        let page = user.get("/api/chat/threads/").await.expect_status(200);
        let roots = page["results"].as_array().expect("results").iter();
        roots
            .map(|root| (text_of(&root["content"]), root["thread"]["unread"].as_i64().expect("a count")))
            .collect()
    };
    let boiler = alice.says(&room, "the boiler").await;
    let roof = bob.says(&room, "the roof").await;
    assert!(lists(&alice).await.is_empty());
    let hot = replies(&bob, &boiler, "is hot").await;
    replies(&alice, &roof, "leaks").await;
    replies(&bob, &boiler, "is warm").await;
    assert_eq!(lists(&alice).await, [("the boiler".into(), 2), ("the roof".into(), 0)]);
    assert_eq!(lists(&bob).await, [("the boiler".into(), 0), ("the roof".into(), 1)]);
    // Who only reads takes no part.
    assert!(lists(&carl).await.is_empty());
    assert_eq!(shown(&carl, &boiler).await["thread"]["unread"], json!(null));
    // One mark for the room is the mark of its threads.
    alice
        .post(&format!("/api/chat/messages/{}/mark_read/", text_of(&hot["id"])), json!({}))
        .await
        .expect_status(200);
    assert_eq!(lists(&alice).await[0].1, 1);
    alice.reads(&room).await;
    assert_eq!(lists(&alice).await[0].1, 0);
    let in_room = format!("/api/chat/threads/?room={room}&page_size=1&page=2");
    let page = alice.get(&in_room).await;
    assert_eq!(
        (texts(&page.expect_status(200)), page.json()["count"].clone()),
        (vec!["the roof".into()], json!(2))
    );
    assert!(page.header("x-room-seq").is_some());
    alice.get("/api/chat/threads/?room=x").await.expect_field_errors(&["room"]);
    alice.get("/api/chat/threads/?page=9").await.expect_status(404);
    alice.removes(&bob, &room).await;
    assert!(lists(&bob).await.is_empty());
}

#[tokio::test]
async fn deletions_leave_the_sums_right_and_a_deleted_root_its_replies() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    let root = alice.says(&room, "the boiler").await;
    let (first, second) = (replies(&bob, &root, "one").await, replies(&bob, &root, "two").await);
    deletes(&bob, &second).await;
    let left = shown(&alice, &root).await["thread"].clone();
    assert_eq!(
        (&left["replies"], &left["last_reply_at"], &left["unread"]),
        (&json!(1), &first["created_at"], &json!(1))
    );
    deletes(&alice, &root).await;
    assert_eq!(texts(&thread(&bob, &root, "").await), ["one"]);
    for named in [&root, &first, &second] {
        reply(&bob, named, "late", json!({})).await.expect_field_errors(&["thread_root"]);
    }
    deletes(&bob, &first).await;
    assert!(texts(&thread(&bob, &first, "").await).is_empty());
    let log = alice.get(&format!("/api/chat/rooms/{room}/events/")).await.expect_status(200);
    let told: Vec<Value> = log["events"]
        .as_array()
        .expect("events")
        .iter()
        .filter(|event| event["type"] == "message_deleted")
        .map(|event| event["thread"].clone())
        .collect();
    let sums = |replies: i64, last: &Value| json!({"root_id": root["id"], "replies": replies, "last_reply_at": last});
    assert_eq!(told, [sums(1, &first["created_at"]), json!(null), sums(0, &json!(null))]);
}

#[tokio::test]
async fn a_reply_needs_a_message_of_its_room_and_its_sender_a_right() {
    let (alice, eve) = (new_user("alice").await, new_user("eve").await);
    let (room, other) = (alice.creates_group(&[]).await, alice.creates_group(&[]).await);
    let (root, elsewhere) = (alice.says(&room, "the boiler").await, alice.says(&other, "there").await);
    for stray in [elsewhere["id"].clone(), json!(Uuid::new_v4()), json!("x"), json!(5)] {
        let body = json!({"room": room, "content": "hi", "thread_root": stray});
        alice.post("/api/chat/messages/", body).await.expect_field_errors(&["thread_root"]);
    }
    reply(&eve, &root, "hi", json!({})).await.expect_field_errors(&["room"]);
    for nowhere in [json!({"thread_root": null, "in_timeline": false}), json!({"in_timeline": "perhaps"})] {
        reply(&alice, &root, "hi", nowhere).await.expect_field_errors(&["in_timeline"]);
    }
    // Who isn't in the room sees an empty thread.
    let page = thread(&eve, &root, "").await;
    assert_eq!((&page["count"], &page["results"]), (&json!(0), &json!([])));
    assert_eq!(thread(&eve, &root, "&limit=5").await["results"], json!([]));
    assert_eq!(thread(&alice, &root, &format!("&room={other}")).await["count"], 0);
    for wrong in ["thread=x", &format!("thread={}&search=hi", text_of(&root["id"]))] {
        assert_eq!(alice.get(&format!("/api/chat/messages/?{wrong}")).await.status, 400, "{wrong}");
    }
    assert_eq!(alice.sees(&room).await, ["the boiler"]);
    // The same once more is the same, and in another place it isn't.
    let id = Uuid::new_v4();
    let once = reply(&alice, &root, "once", json!({"client_id": id})).await.expect_status(201);
    assert_eq!(
        reply(&alice, &root, "once", json!({"client_id": id})).await.expect_status(200)["id"],
        once["id"]
    );
    let aside = json!({"client_id": id, "in_timeline": false});
    assert_eq!(reply(&alice, &root, "once", aside).await.expect_status(409)["code"], "client_id_conflict");
    let none = json!({"client_id": id, "thread_root": null});
    assert_eq!(reply(&alice, &root, "once", none).await.expect_status(409)["code"], "client_id_conflict");
    assert_eq!(shown(&alice, &root).await["thread"]["replies"], 1);
}

#[tokio::test]
async fn a_file_is_sent_to_a_thread_and_found_there() {
    let alice = new_user("alice").await;
    let room = alice.creates_group(&[]).await;
    let root = alice.says(&room, "the boiler").await;
    let root_id = text_of(&root["id"]);
    let texts = [("room", room.as_str()), ("thread_root", &root_id), ("in_timeline", "false")];
    let sent = alice.post_form("/api/chat/messages/", &texts, &[("attachment", "a.png", PNG)]).await;
    let sent = sent.expect_status(201);
    assert_eq!((&sent["thread"]["root_id"], &sent["in_timeline"]), (&root["id"], &json!(false)));
    let page = thread(&alice, &root, "&message_type=image").await;
    assert_eq!((&page["count"], &page["results"][0]["id"]), (&json!(1), &sent["id"]));
    alice.get(&text_of(&sent["attachment"])).await.expect_status(200);
    let path = format!("/api/chat/messages/{}/", text_of(&sent["id"]));
    alice.patch(&path, json!({"content": "radiator valve", "in_timeline": true})).await.expect_status(200);
    assert_eq!(alice.sees(&room).await, ["the boiler"]);
    let found =
        alice.get(&format!("/api/chat/messages/search/?q=radiator&room={room}")).await.expect_status(200);
    assert_eq!(found["results"][0]["id"], sent["id"]);
    // A root is found as before, although it has changed by its replies.
    let found =
        alice.get(&format!("/api/chat/messages/search/?q=boiler&room={room}")).await.expect_status(200);
    assert_eq!(found["results"][0]["id"], root["id"]);
}
