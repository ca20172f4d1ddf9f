//! A room that shows its history from joining on: nothing that REST reads shows more.

use serde_json::{Value, json};

use crate::client::{ApiClient, new_user, text_of, texts};
use crate::files::PNG;

/// A room that Carol has joined late, and what was there before.
struct LateCarol {
    alice: ApiClient,
    bob: ApiClient,
    carol: ApiClient,
    room: String,
    /// Alice's message from before, with a file.
    old: Value,
    /// A later answer to it, by Bob.
    answer: Value,
}

impl LateCarol {
    async fn new() -> Self {
        let (alice, bob, carol) = (new_user("alice").await, new_user("bob").await, new_user("carol").await);
        let room = alice.creates_group(&[&bob]).await;
        let (fields, files) =
            ([("room", room.as_str()), ("content", "secret code")], [("attachment", "a.png", PNG)]);
        let old = alice.post_form("/api/chat/messages/", &fields, &files).await.expect_status(201);
        let change = json!({"history": "joined"});
        alice.patch(&format!("/api/chat/rooms/{room}/"), change).await.expect_status(200);
        let this = Self { alice, bob, carol, room, old, answer: Value::Null };
        this.adds_carol().await;
        let body = json!({"room": this.room, "content": "as I said", "reply_to": this.old["id"]});
        let answer = this.bob.post("/api/chat/messages/", body).await.expect_status(201);
        Self { answer, ..this }
    }

    async fn adds_carol(&self) {
        let body = json!({"room": self.room, "user": self.carol.id});
        self.alice.post("/api/chat/participants/", body).await.expect_status(201);
    }
}

#[tokio::test]
async fn who_joined_later_finds_nothing_from_before_anywhere() {
    let LateCarol { alice, bob, carol, room, old, answer } = LateCarol::new().await;
    assert_eq!(answer["reply_to"]["content"], "secret code", "its author sees it");
    let id = text_of(&old["id"]);
    let message = format!("/api/chat/messages/{id}/");
    let file = text_of(&old["attachment"]).split('/').nth(6).expect("an id in the path").to_owned();
    let in_room = |query: &str| format!("/api/chat/messages/?room={room}&{query}");
    for query in [
        "",
        "ordering=created_at",
        "limit=50",
        "after=0",
        "before=100",
        "message_type=image",
        "search=secret",
    ] {
        let page = carol.get(&in_room(query)).await.expect_status(200);
        assert!(!texts(&page).iter().any(|text| text.contains("secret")), "{query}: {page}");
        assert!(!page.to_string().contains("secret"), "{query}: {page}");
    }
    assert_eq!(carol.sees(&room).await, ["as I said"]);
    for path in [message.clone(), format!("{message}versions/"), format!("/api/chat/files/{file}/")] {
        carol.get(&path).await.expect_status(404);
        assert_eq!(bob.get(&path).await.status, 200, "{path}");
    }
    carol.post(&format!("{message}mark_read/"), json!({})).await.expect_status(404);
    alice.put(&format!("{message}pin/"), json!({})).await.expect_status(200);
    for path in ["reactions/%F0%9F%91%8D/", "pin/", "saved/"] {
        carol.put(&format!("{message}{path}"), json!({})).await.expect_status(404);
    }
    let pins = carol.get(&format!("/api/chat/rooms/{room}/pins/")).await.expect_status(200);
    assert!(!pins.to_string().contains("secret"), "{pins}");
    let body = json!({"room": room, "content": "what?", "reply_to": id});
    carol.post("/api/chat/messages/", body).await.expect_field_errors(&["reply_to"]);
    for path in ["/api/chat/messages/search/?q=secret", "/api/chat/messages/?search=secret"] {
        assert_eq!(carol.get(path).await.expect_status(200)["count"], 0, "{path}");
    }
    assert_eq!((carol.unread(&room).await, bob.unread(&room).await), (1, 1));
    let stats = carol.get(&format!("/api/chat/rooms/{room}/stats/")).await.expect_status(200);
    assert_eq!((&stats["message_count"], &stats["unread_count"]), (&json!(1), &json!(1)));
    let unread = carol.get("/api/chat/unread/").await.expect_status(200);
    assert_eq!(unread["unread_count"], 1);
    // The list shows what is left.
    bob.delete(&format!("/api/chat/messages/{}/", text_of(&answer["id"]))).await.expect_status(204);
    let listed = carol.get("/api/chat/rooms/").await.expect_status(200)["results"][0].clone();
    assert_eq!(
        (&listed["last_message_preview"], &listed["unread_count"]),
        (&json!("No messages yet"), &json!(0))
    );
    assert_eq!(carol.room(&room).await["last_message"], Value::Null);
    let stats = carol.get(&format!("/api/chat/rooms/{room}/stats/")).await.expect_status(200);
    assert_eq!(stats["last_message_at"], carol.room(&room).await["created_at"]);
    assert_eq!(
        alice.get("/api/chat/rooms/").await.expect_status(200)["results"][0]["last_message_preview"],
        "[Image]"
    );
}

#[tokio::test]
async fn nobody_has_read_or_is_told_of_what_was_before() {
    let LateCarol { alice, bob, carol, room, old, .. } = LateCarol::new().await;
    let message = format!("/api/chat/messages/{}/", text_of(&old["id"]));
    for who in [&bob, &carol] {
        who.post(&format!("/api/chat/rooms/{room}/mark_read/"), json!({})).await.expect_status(200);
    }
    let read = alice.get(&message).await.expect_status(200);
    assert_eq!(
        (&read["read_count"], read["read_by"].as_object().map(serde_json::Map::len)),
        (&json!(1), Some(1))
    );
    assert!(read["read_by"].get(bob.id.to_string()).is_some());

    let head = bob.get(&format!("/api/chat/rooms/{room}/events/")).await.expect_status(200)["seq"].clone();
    bob.put(&format!("{message}reactions/%F0%9F%91%8D/"), json!({})).await.expect_status(200);
    alice.put(&format!("{message}pin/"), json!({})).await.expect_status(200);
    let kinds = async |who: &ApiClient| {
        let page = who.get(&format!("/api/chat/rooms/{room}/events/?since={head}")).await.expect_status(200);
        page["events"]
            .as_array()
            .expect("events")
            .iter()
            .map(|event| text_of(&event["type"]))
            .collect::<Vec<_>>()
    };
    assert_eq!(kinds(&bob).await, ["reaction", "message_pinned"]);
    assert_eq!(kinds(&carol).await, ["event_hidden", "event_hidden"]);
}

#[tokio::test]
async fn quotes_and_the_log_hide_what_was_before() {
    let LateCarol { alice, bob, carol, room, old, answer } = LateCarol::new().await;
    let path = format!("/api/chat/messages/{}/", text_of(&answer["id"]));
    let hidden = json!({"id": old["id"]});
    assert_eq!(carol.get(&path).await.expect_status(200)["reply_to"], hidden);
    assert_eq!(carol.room(&room).await["last_message"]["reply_to"], hidden);
    assert_eq!(bob.get(&path).await.expect_status(200)["reply_to"]["content"], "secret code");
    let edited = bob.patch(&path, json!({"content": "as I wrote"})).await.expect_status(200);
    assert_eq!(edited["reply_to"]["content"], "secret code");
    let old_path = format!("/api/chat/messages/{}/", text_of(&old["id"]));
    alice.patch(&old_path, json!({"content": "another secret"})).await.expect_status(200);
    alice.patch(&format!("/api/chat/rooms/{room}/"), json!({"name": "Keys"})).await.expect_status(200);

    let log = |since: i64| format!("/api/chat/rooms/{room}/events/?since={since}&limit=1000");
    let page = carol.get(&log(0)).await.expect_status(200);
    assert!(!page.to_string().contains("secret"), "{page}");
    let events = page["events"].as_array().expect("events");
    let told: Vec<(i64, &str)> = events
        .iter()
        .map(|event| (event["seq"].as_i64().expect("a position"), event["type"].as_str().expect("a type")))
        .collect();
    let hidden = "event_hidden";
    assert_eq!(
        told,
        [
            (1, hidden),
            (2, hidden),
            (3, hidden),
            (4, hidden),
            (5, hidden),
            (6, "participant_joined"),
            (7, "chat_message"),
            (8, "message_updated"),
            (9, hidden),
            (10, "room_updated"),
        ]
    );
    assert_eq!(events[0], json!({"type": "event_hidden", "room_id": room, "seq": 1}));
    assert_eq!(events[6]["message"]["reply_to"], json!({"id": old["id"]}));
    // Who sees everything is sent everything but the quote, which is the same for all.
    let page = bob.get(&log(0)).await.expect_status(200);
    assert!(page["events"].as_array().expect("events").iter().all(|event| event["type"] != hidden), "{page}");
    assert_eq!(page["events"][3]["message"]["content"], "another secret");
    assert_eq!(page["events"][6]["message"]["reply_to"], json!({"id": old["id"]}));
    // Once Carol has gone, everyone may see it.
    alice.removes(&carol, &room).await;
    carol.get(&log(0)).await.expect_status(403);
    let page = bob.get(&log(6)).await.expect_status(200);
    assert_eq!(page["events"][0]["message"]["reply_to"]["content"], "another secret");
}

#[tokio::test]
async fn who_comes_back_joins_anew_and_who_joins_by_the_old_setting_sees_all() {
    let late = LateCarol::new().await;
    let LateCarol { alice, bob, carol, room, .. } = &late;
    carol.says(room, "mine").await;
    alice.removes(carol, room).await;
    bob.says(room, "meanwhile").await;
    late.adds_carol().await;
    bob.says(room, "welcome back").await;
    assert_eq!(carol.sees(room).await, ["welcome back"]);
    alice.patch(&format!("/api/chat/rooms/{room}/"), json!({"history": "all"})).await.expect_status(200);
    assert_eq!(carol.sees(room).await, ["welcome back"], "it is for those who join");
    alice.removes(carol, room).await;
    late.adds_carol().await;
    assert_eq!(carol.sees(room).await.len(), 5);
}
