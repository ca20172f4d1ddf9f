//! Rooms.

use serde_json::{Value, json};

use crate::client::{fresh_id, host, new_user, text_of};

#[tokio::test]
async fn a_group_is_created_shown_and_listed() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let body = json!({"room_type": "group", "name": " Boiler ", "participant_ids": [bob.id, bob.id]});
    let room = alice.post("/api/chat/rooms/", body).await.expect_status(201);
    assert_eq!(room["name"], "Boiler");
    assert_eq!(room["display_name"], "Boiler");
    assert_eq!(room["participant_count"], 2);
    assert_eq!(room["created_by"]["id"], alice.id);
    assert_eq!(room["last_message"], Value::Null);
    let admins: Vec<_> = room["participants"]
        .as_array()
        .expect("participants")
        .iter()
        .filter(|one| one["is_admin"] == true)
        .map(|one| one["user"]["id"].clone())
        .collect();
    assert_eq!(admins, [json!(alice.id)]);
    let listed = bob.get("/api/chat/rooms/").await.expect_status(200);
    assert_eq!(listed["count"], 1);
    assert_eq!(listed["results"][0]["id"], room["id"]);
    assert_eq!(listed["results"][0]["last_message_preview"], "No messages yet");
    assert_eq!(listed["results"][0]["last_message_time"], room["created_at"]);
}

#[tokio::test]
async fn lists_are_filtered_ordered_and_paged() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let direct = alice.opens_direct(&bob).await;
    let group = alice.creates_group(&[&bob]).await;
    alice.says(&direct, "hi").await;
    let ids = async |query: &str| {
        let page = alice.get(&format!("/api/chat/rooms/?{query}")).await.expect_status(200);
        page["results"]
            .as_array()
            .expect("results")
            .iter()
            .map(|room| text_of(&room["id"]))
            .collect::<Vec<_>>()
    };
    assert_eq!(ids("").await, [direct.clone(), group.clone()]);
    assert_eq!(ids("ordering=modified_at").await, [group.clone(), direct.clone()]);
    assert_eq!(ids("ordering=created_at").await, [direct.clone(), group.clone()]);
    assert_eq!(ids("room_type=group").await, [group.clone()]);
    assert_eq!(ids("search=boil").await, [group.clone()]);
    assert_eq!(ids(&format!("search=bob%20of%20{}", bob.id)).await, [direct.clone()]);
    assert_eq!(ids(&format!("search=B%C3%93B%20{}%20of", bob.id)).await, [direct.clone()], "in any order");
    let unseen = json!({"name": "\u{2800}\u{3164}"});
    alice.patch(&format!("/api/chat/rooms/{group}/"), unseen).await.expect_field_errors(&["name"]);
    assert!(ids("search=%25").await.is_empty() && ids("search=boiler%20bob").await.is_empty());
    alice.post(&format!("/api/chat/rooms/{group}/archive/"), json!({})).await.expect_status(200);
    assert_eq!(ids("").await, [direct.clone()]);
    assert_eq!(ids("is_active=false").await, [group.clone()]);
    assert_eq!(ids("include_archived=true").await.len(), 2);
    let page =
        alice.get("/api/chat/rooms/?include_archived=true&page_size=1&page=2").await.expect_status(200);
    assert_eq!(page["count"], 2);
    assert_eq!(page["next"], Value::Null);
    let previous = text_of(&page["previous"]);
    assert!(previous.contains("include_archived=true") && previous.contains("page_size=1"), "{previous}");
    alice.get(&previous).await.expect_status(200);
    let past = alice.get("/api/chat/rooms/?page=9").await;
    assert_eq!(past.expect_status(404)["detail"], "Invalid page.");
    alice.get("/api/chat/rooms/?page=0").await.expect_status(404);
    alice.get("/api/chat/rooms/?page=abc&page_size=abc").await.expect_status(200);
    alice.get("/api/chat/rooms/?room_type=club").await.expect_field_errors(&["room_type"]);
}

#[tokio::test]
async fn a_cursor_continues_the_list_as_it_was_although_rooms_move() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    for ordering in ["-modified_at", "modified_at", "created_at", "-created_at"] {
        let mut rooms = Vec::new();
        for _ in 0..7 {
            rooms.push(alice.creates_group(&[&bob]).await);
        }
        let asked = format!("/api/chat/rooms/?ordering={ordering}&page_size=50");
        let ids = |page: &Value| {
            let rooms = page["results"].as_array().expect("results").iter();
            rooms.map(|room| text_of(&room["id"])).collect::<Vec<_>>()
        };
        let before = ids(&alice.get(&asked).await.expect_status(200));
        let path = format!("/api/chat/rooms/?ordering={ordering}&page_size=2");
        let mut page = alice.get(&path).await.expect_status(200);
        let mut found = ids(&page);
        let mut moved = rooms.iter();
        while page["next_cursor"] != Value::Null {
            let cursor = text_of(&page["next_cursor"]);
            // Some rooms of earlier pages, and some of later ones.
            if let Some(room) = moved.next() {
                alice.says(room, "to the top").await;
                alice.says(&rooms[3], "to the top").await;
            }
            let next = alice.get(&format!("{path}&cursor={cursor}&page=5")).await.expect_status(200);
            if page["previous"] == Value::Null
                && page["next"].as_str().is_some_and(|next| next.contains("cursor="))
            {
                assert_eq!(ids(&alice.get(&text_of(&page["next"])).await.expect_status(200)), ids(&next));
            }
            assert_eq!(next["previous"], Value::Null);
            page = next;
            found.extend(ids(&page));
        }
        assert_eq!(page["next"], Value::Null);
        assert_eq!(found, before, "{ordering}");
    }
    for cursor in ["x", "1.1.0190a000000070008000000000000001.9:1:", "0"] {
        alice.get(&format!("/api/chat/rooms/?cursor={cursor}")).await.expect_field_errors(&["cursor"]);
    }
}

#[tokio::test]
async fn edits_and_deletions_move_no_room() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let (old, new) = (alice.creates_group(&[&bob]).await, alice.creates_group(&[&bob]).await);
    let said = [alice.says(&old, "one").await, alice.says(&old, "two").await];
    alice.says(&new, "three").await;
    for message in said {
        let path = format!("/api/chat/messages/{}/", text_of(&message["id"]));
        alice.patch(&path, json!({"content": "other"})).await.expect_status(200);
        alice.delete(&path).await.expect_status(204);
        let listed = bob.get("/api/chat/rooms/").await.expect_status(200);
        assert_eq!(listed["results"][0]["id"], new.as_str());
    }
}

#[tokio::test]
async fn a_room_that_cannot_be_created_gets_a_field_error() {
    let (alice, bob, gone) = (new_user("alice").await, new_user("bob").await, new_user("gone").await);
    host()
        .await
        .put(&format!("/api/chat/users/{}/", gone.id), json!({"is_active": false}))
        .await
        .expect_status(200);
    let makes = async |body: Value| alice.post("/api/chat/rooms/", body).await;
    makes(json!({"room_type": "club"})).await.expect_field_errors(&["room_type"]);
    makes(json!({"room_type": "task"})).await.expect_field_errors(&["task"]);
    makes(json!({"room_type": "property", "property": "x"})).await.expect_field_errors(&["property"]);
    makes(json!({})).await.expect_field_errors(&["participant_ids"]);
    makes(json!({"participant_ids": [bob.id, gone.id]})).await.expect_field_errors(&["participant_ids"]);
    makes(json!({"participant_ids": [alice.id]})).await.expect_status(403);
    makes(json!({"participant_ids": [gone.id]})).await.expect_status(403);
    for people in [
        json!([alice.id]),
        json!([0]),
        json!([-1]),
        json!([9_999_999_999_i64]),
        json!("x"),
        json!(["x"]),
        json!([9_223_372_036_854_775_808_u64]),
        json!([1.5]),
        json!((1..1_002).collect::<Vec<_>>()),
    ] {
        makes(json!({"room_type": "group", "participant_ids": people}))
            .await
            .expect_field_errors(&["participant_ids"]);
    }
    makes(json!({"room_type": "group", "name": "x".repeat(256)})).await.expect_field_errors(&["name"]);
    assert_eq!(alice.get("/api/chat/rooms/").await.expect_status(200)["count"], 0);
    // As clients send them that always send every field.
    let whole = json!({"room_type": "group", "name": null, "task": null, "participant_ids": null});
    makes(whole).await.expect_status(201);
}

#[tokio::test]
async fn only_admins_rename_archive_and_delete() {
    let (alice, bob, eve) = (new_user("alice").await, new_user("bob").await, new_user("eve").await);
    let room = alice.creates_group(&[&bob]).await;
    let path = format!("/api/chat/rooms/{room}/");
    bob.patch(&path, json!({"name": "x"})).await.expect_status(403);
    eve.patch(&path, json!({"name": 5})).await.expect_status(403);
    assert_eq!(alice.patch(&path, json!({"name": " Roof "})).await.expect_status(200)["name"], "Roof");
    assert_eq!(
        alice.put(&path, json!({"name": ""})).await.expect_status(200)["display_name"],
        format!("Chat #{}", &room[..8])
    );
    alice.patch(&path, json!({"name": 5})).await.expect_field_errors(&["name"]);
    let changed =
        alice.patch(&path, json!({"room_type": "task", "task": 5, "is_active": false, "seq": 99})).await;
    let changed = changed.expect_status(200);
    assert_eq!((&changed["room_type"], &changed["is_active"]), (&json!("group"), &json!(true)));
    bob.post(&format!("{path}archive/"), json!({})).await.expect_status(403);
    let archived = alice.post(&format!("{path}archive/"), json!({})).await.expect_status(200);
    assert_eq!(archived["is_active"], false);
    assert!(archived["archived_at"].is_string());
    bob.get(&path).await.expect_status(200);
    let sent = bob.post("/api/chat/messages/", json!({"room": room, "content": "hi"})).await;
    assert_eq!(sent.expect_status(409)["code"], "archived");
    assert_eq!(
        alice.post(&format!("{path}unarchive/"), json!({})).await.expect_status(200)["is_active"],
        true
    );
    bob.delete(&path).await.expect_status(403);
    alice.delete(&path).await.expect_status(204);
    for person in [&alice, &bob, &eve] {
        assert_eq!(person.get(&path).await.expect_status(404)["code"], "not_found");
    }
    assert_eq!(alice.get("/api/chat/rooms/").await.expect_status(200)["count"], 0);
}

#[tokio::test]
async fn outsiders_get_403_and_unknown_rooms_404() {
    let (alice, eve) = (new_user("alice").await, new_user("eve").await);
    let room = alice.creates_group(&[]).await;
    let nowhere = uuid::Uuid::new_v4().to_string();
    for (method, below) in [
        ("GET", ""),
        ("GET", "stats/"),
        ("GET", "events/"),
        ("POST", "archive/"),
        ("POST", "unarchive/"),
        ("POST", "leave/"),
        ("POST", "mark_read/"),
        ("DELETE", ""),
    ] {
        let ask = async |id: &str| {
            let path = format!("/api/chat/rooms/{id}/{below}");
            match method {
                "GET" => eve.get(&path).await,
                "DELETE" => eve.delete(&path).await,
                _ => eve.post(&path, json!({})).await,
            }
        };
        assert_eq!(ask(&room).await.expect_status(403)["code"], "forbidden", "{method} {below}");
        assert_eq!(ask(&nowhere).await.expect_status(404)["code"], "not_found", "{method} {below}");
        ask("abc").await.expect_status(404);
    }
}

#[tokio::test]
async fn leaving_and_the_last_admin() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    let leave = format!("/api/chat/rooms/{room}/leave/");
    assert!(alice.post(&leave, json!({})).await.expect_status(400)["error"].is_string());
    let left = bob.post(&leave, json!({})).await.expect_status(200);
    assert_eq!(left, json!({"message": "Successfully left the room"}));
    bob.get(&format!("/api/chat/rooms/{room}/")).await.expect_status(403);
    alice.post(&leave, json!({})).await.expect_status(200);
}

#[tokio::test]
async fn marks_stats_and_unread_agree() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    for text in ["one", "two", "three"] {
        alice.says(&room, text).await;
    }
    let stats = bob.get(&format!("/api/chat/rooms/{room}/stats/")).await.expect_status(200);
    assert_eq!(
        (&stats["message_count"], &stats["unread_count"], &stats["participant_count"]),
        (&json!(3), &json!(3), &json!(2))
    );
    assert!(stats["last_message_at"].is_string());
    assert_eq!(
        bob.get("/api/chat/unread/").await.expect_status(200),
        json!({"unread_count": 3, "mention_count": 0, "rooms": {room.clone(): 3}})
    );
    assert_eq!(alice.unread(&room).await, 0);
    bob.reads(&room).await;
    assert_eq!(bob.unread(&room).await, 0);
    assert_eq!(bob.get("/api/chat/unread/").await.expect_status(200)["unread_count"], 0);
}

#[tokio::test]
async fn the_log_is_readable_over_rest_without_gaps() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    let first = alice.says(&room, "one").await;
    alice.says(&room, "two").await;
    alice.delete(&format!("/api/chat/messages/{}/", text_of(&first["id"]))).await.expect_status(204);
    let path = format!("/api/chat/rooms/{room}/events/");
    let all = bob.get(&path).await.expect_status(200);
    let events = all["events"].as_array().expect("events");
    let seqs: Vec<i64> = events.iter().map(|event| event["seq"].as_i64().expect("a seq")).collect();
    assert_eq!(seqs, (1..=6).collect::<Vec<_>>());
    assert_eq!((&all["seq"], &all["has_more"]), (&json!(6), &json!(false)));
    assert!(events.iter().all(|event| event["room_id"] == json!(room)));
    let deleted = &events[3]["message"];
    assert_eq!((&deleted["content"], &deleted["is_deleted"]), (&json!("[Message deleted]"), &json!(true)));
    let part = bob.get(&format!("{path}?since=2&limit=2")).await.expect_status(200);
    assert_eq!((&part["events"][0]["seq"], &part["has_more"]), (&json!(3), &json!(true)));
    assert_eq!(bob.get(&format!("{path}?since=99")).await.expect_status(200)["has_more"], false);
    bob.get(&format!("{path}?since=-1")).await.expect_field_errors(&["since"]);
    bob.get(&format!("{path}?since=abc")).await.expect_field_errors(&["since"]);
}

#[tokio::test]
async fn a_task_has_one_room() {
    let (alice, bob, eve) = (new_user("alice").await, new_user("bob").await, new_user("eve").await);
    let task = fresh_id();
    let path = format!("/api/chat/tasks/{task}/room/");
    eve.put(&path, json!({})).await.expect_status(403);
    let granted = alice.granted(&format!("task:{task}")).await;
    let made = granted.put(&path, json!({})).await.expect_status(201);
    assert_eq!(granted.put(&path, json!({})).await.expect_status(200)["id"], made["id"]);
    let host = host().await;
    let told = json!({"title": "Fix the boiler", "participant_ids": [bob.id]});
    let told = host.put(&path, told).await.expect_status(200);
    assert_eq!(
        (&told["display_name"], &told["participant_count"]),
        (&json!("Task: Fix the boiler"), &json!(2))
    );
    assert_eq!(bob.put(&path, json!({})).await.expect_status(200)["id"], made["id"]);
    eve.put(&path, json!({})).await.expect_status(403);
    let given =
        bob.post("/api/chat/rooms/", json!({"room_type": "task", "task": task})).await.expect_status(201);
    assert_eq!(given["id"], made["id"]);
    eve.post("/api/chat/rooms/", json!({"room_type": "task", "task": task})).await.expect_status(403);
    let by_host =
        host.put(&path, json!({"title": "Fix it", "participant_ids": [eve.id]})).await.expect_status(200);
    assert_eq!(
        (&by_host["display_name"], &by_host["participant_count"]),
        (&json!("Task: Fix it"), &json!(3))
    );
    host.post(&format!("/api/chat/rooms/{}/archive/", text_of(&made["id"])), json!({}))
        .await
        .expect_status(200);
    eve.put("/api/chat/tasks/abc/room/", json!({})).await.expect_status(404);
    let property = format!("/api/chat/properties/{}/room/", fresh_id());
    let opened = host.request(reqwest::Method::PUT, &property);
    crate::client::ApiClient::send(opened).await.expect_status(201);
}
