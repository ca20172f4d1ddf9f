//! For how long messages are kept, by REST, and what becomes of those that aren't.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{ApiClient, host, host_at, new_user_at, text_of, texts};
use crate::files::PNG;
use crate::server::{Server, start};

const RETENTION: &str = "/api/chat/retention/";

/// Makes everything that was said so far `days` older.
async fn ages(server: &Server, days: i32) {
    let age = format!("UPDATE messages SET created_at = created_at - interval '{days} days'");
    server.client().await.batch_execute(&age).await.expect("older messages");
}

async fn says_with_file(who: &ApiClient, room: &str) -> Value {
    let (fields, files) = ([("room", room), ("content", "see")], [("attachment", "a.png", PNG)]);
    who.post_form("/api/chat/messages/", &fields, &files).await.expect_status(201)
}

#[tokio::test]
async fn what_is_older_than_its_rule_goes_with_its_file_and_its_versions() {
    let server = start(&[]).await;
    let host = host_at(&server);
    let (ana, ben) = (new_user_at(&server, "ana").await, new_user_at(&server, "ben").await);
    let (room, kept) = (ana.creates_group(&[&ben]).await, ana.creates_group(&[&ben]).await);
    let old = ana.says(&room, "old").await;
    let message = |one: &Value| format!("/api/chat/messages/{}/", text_of(&one["id"]));
    ana.patch(&message(&old), json!({"content": "old and changed"})).await.expect_status(200);
    let old_file = says_with_file(&ana, &room).await;
    ana.says(&kept, "for ever").await;
    ages(&server, 20).await;
    let young_file = says_with_file(&ana, &room).await;
    ages(&server, 20).await;
    ana.says(&room, "new").await;

    let rules = json!({"rules": [
        {"room_type": "group", "texts_days": 30, "files_days": 10},
        {"room": kept, "texts_days": null, "files_days": null},
    ]});
    let preview = host.post(&format!("{RETENTION}preview/"), rules.clone()).await.expect_status(200);
    assert_eq!(
        preview["results"][1],
        json!({"room_type": "group", "texts": 1, "files": 2, "is_capped": false})
    );
    server.sweeps().await;
    let page = format!("/api/chat/messages/?room={room}");
    assert_eq!(ana.get(&page).await.expect_status(200)["count"], 4, "without rules everything stays");
    let set = host.put(RETENTION, rules).await.expect_status(200);
    assert_eq!(
        set["rules"],
        json!([
            {"room_type": "group", "room": null, "texts_days": 30, "files_days": 10},
            {"room_type": null, "room": kept, "texts_days": null, "files_days": null},
        ])
    );
    assert_eq!(host.put(RETENTION, set.clone()).await.expect_status(200), set, "what is read can be set");
    server.sweeps().await;

    let left = ana.get(&page).await.expect_status(200);
    assert_eq!(texts(&left), ["new"]);
    assert_eq!(texts(&ana.get(&format!("/api/chat/messages/?room={kept}")).await.json()), ["for ever"]);
    for gone in [&old, &old_file, &young_file] {
        ana.get(&message(gone)).await.expect_status(404);
    }
    ana.get(&format!("{}versions/", message(&old))).await.expect_status(404);
    ana.get(&text_of(&young_file["attachment"])).await.expect_status(404);
    let log = ana.get(&format!("/api/chat/rooms/{room}/events/")).await.expect_status(200);
    let log = log["events"].as_array().expect("events");
    let told = log.iter().filter(|event| event["type"] == "message_deleted").collect::<Vec<_>>();
    assert_eq!(told.len(), 3);
    assert!(told.iter().all(|event| event["removed_by"] == "retention"), "{told:?}");
    assert!(!format!("{log:?}").contains("old and changed"), "a replay has nothing of it");
    let preview = host.post(&format!("{RETENTION}preview/"), Value::Null).await.expect_status(200);
    assert_eq!(preview["results"][1]["texts"], 0);
    let audit = host.get("/api/chat/audit/?kind=retention_changed").await.expect_status(200);
    assert_eq!(audit["results"][0]["data"], set);
}

#[tokio::test]
async fn holds_keep_what_rules_do_not_until_they_are_released() {
    let server = start(&[]).await;
    let host = host_at(&server);
    let (ana, ben) = (new_user_at(&server, "ana").await, new_user_at(&server, "ben").await);
    let (held, room) = (ana.creates_group(&[&ben]).await, ana.creates_group(&[&ben]).await);
    ana.says(&held, "held by the room").await;
    ben.says(&room, "held by the user").await;
    ana.says(&room, "held by nobody").await;
    ages(&server, 40).await;
    let mut holds = Vec::new();
    for subject in [json!({"room": held, "name": "x"}), json!({"user": ben.id, "name": "x"})] {
        holds.push(text_of(&host.post("/api/chat/holds/", subject).await.expect_status(201)["id"]));
    }
    let rules = json!({"rules": [{"room_type": "group", "texts_days": 30}]});
    host.put(RETENTION, rules).await.expect_status(200);
    server.sweeps().await;
    let left = async |room: &str| {
        let page = ana.get(&format!("/api/chat/messages/?room={room}")).await.expect_status(200);
        texts(&page)
    };
    assert_eq!(left(&held).await, ["held by the room"]);
    assert_eq!(left(&room).await, ["held by the user"]);
    let preview = host.post(&format!("{RETENTION}preview/"), Value::Null).await.expect_status(200);
    assert_eq!(preview["results"][1]["texts"], 0);
    for hold in holds {
        host.delete(&format!("/api/chat/holds/{hold}/")).await.expect_status(204);
    }
    server.sweeps().await;
    assert_eq!((left(&held).await.len(), left(&room).await.len()), (0, 0));
}

#[tokio::test]
async fn texts_of_deleted_rooms_go_too() {
    let server = start(&[]).await;
    let (host, ana) = (host_at(&server), new_user_at(&server, "ana").await);
    let room = ana.creates_group(&[]).await;
    says_with_file(&ana, &room).await;
    ana.says(&room, "long gone").await;
    ana.delete(&format!("/api/chat/rooms/{room}/")).await.expect_status(204);
    ages(&server, 40).await;
    let rules = json!({"rules": [{"room_type": "group", "texts_days": 30, "files_days": 30}]});
    host.put(RETENTION, rules).await.expect_status(200);
    server.sweeps().await;
    let client = server.client().await;
    let left = client.query("SELECT FROM messages WHERE content <> ''", &[]).await.expect("rows");
    assert_eq!(left.len(), 0);
    let files = client.query("SELECT FROM files_to_erase", &[]).await.expect("rows");
    assert_eq!(files.len(), 1);
}

#[tokio::test]
async fn wrong_rules_are_refused() {
    let host = host().await;
    let days = |days: Value| json!({"rules": [{"room_type": "group", "texts_days": days}]});
    for body in [
        json!({}),
        json!({"rules": null}),
        json!({"rules": {}}),
        json!({"rules": [{}]}),
        json!({"rules": [{"room_type": "garden", "texts_days": 3}]}),
        json!({"rules": [{"room_type": "group", "room": Uuid::new_v4(), "texts_days": 3}]}),
        json!({"rules": [{"room": Uuid::new_v4(), "texts_days": 3}]}),
        json!({"rules": [{"room_type": "group"}, {"room_type": "group"}]}),
        days(json!(0)),
        days(json!(-1)),
        days(json!(36_501)),
        days(json!("soon")),
    ] {
        host.put(RETENTION, body).await.expect_field_errors(&["rules"]);
    }
    let preview = json!({"rules": [{"room_type": "garden"}]});
    host.post(&format!("{RETENTION}preview/"), preview).await.expect_field_errors(&["rules"]);
}
