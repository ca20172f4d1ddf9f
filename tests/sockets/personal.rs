//! What only one user sees, on all of that user's devices.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::shared;
use crate::socket::Socket;
use crate::users::TestUser;

/// Opens a user socket that resumes the personal log, and reads what was missed.
async fn resumes(user: &TestUser, since: i64, epoch: Option<&str>) -> (Socket, Value, Vec<Value>) {
    let mut request = user.user_socket().with("personal_since", &since.to_string());
    if let Some(epoch) = epoch {
        request = request.with("epoch", epoch);
    }
    let mut socket = request.opens().await.expect("a socket");
    let greeting = socket.next_is("connection_established").await;
    let mut missed = Vec::new();
    loop {
        let frame = socket.next().await;
        let is_last = frame["type"] == "personal_synced" || frame["type"] == "personal_reset";
        missed.push(frame);
        if is_last {
            return (socket, greeting, missed);
        }
    }
}

async fn types(user: &TestUser, room: &str, text: &str) -> Value {
    let path = format!("rooms/{room}/draft/");
    let (status, body) = user.requests(Method::PUT, &path, Some(json!({"content": text}))).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

#[tokio::test]
async fn a_draft_is_on_all_devices_of_its_user_and_on_no_other() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let (mut phone, _) = ana.opens_user_socket().await;
    let (mut desk, greeting, missed) = resumes(&ana, 0, None).await;
    assert_eq!((&greeting["personal_position"], missed.len()), (&json!(0), 1));
    let (mut foreign, _) = ben.opens_user_socket().await;
    let mut in_room = ana.joins(&room).await;

    let draft = types(&ana, &room, "I will be").await;
    let frame = json!({"type": "draft", "room_id": room, "content": "I will be", "reply_to_id": null,
        "updated_at": draft["updated_at"], "position": 1});
    assert_eq!(phone.next_is("draft").await, frame);
    assert_eq!(desk.next_is("draft").await, frame);
    types(&ana, &room, "").await;
    for device in [&mut phone, &mut desk] {
        let ended = device.next_is("draft").await;
        assert_eq!((&ended["content"], &ended["position"]), (&json!(""), &json!(2)));
    }
    foreign.receives_nothing().await;
    in_room.receives_nothing().await;
}

#[tokio::test]
async fn a_device_that_was_away_is_told_what_changed_meanwhile() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let (room, other) = (ana.makes_group(&[&ben]).await, ana.makes_group(&[&ben]).await);
    types(&ana, &room, "before").await;
    let (socket, greeting, missed) = resumes(&ana, 0, None).await;
    assert_eq!((&missed[0]["content"], &greeting["personal_position"]), (&json!("before"), &json!(1)));
    let epoch = greeting["epoch"].as_str().expect("an epoch").to_owned();
    socket.closes().await;

    types(&ana, &other, "one").await;
    types(&ana, &other, "two").await;
    let place = ana.participant_id(&ana, &room).await;
    ana.posts(&format!("participants/{place}/mute/"), json!({"muted": true})).await;
    let (mut socket, greeting, missed) = resumes(&ana, 1, Some(&epoch)).await;
    assert_eq!(greeting["personal_position"], 4);
    let told: Vec<_> = missed.iter().map(|frame| (&frame["type"], &frame["position"])).collect();
    assert_eq!(
        told,
        [
            (&json!("draft"), &json!(3)),
            (&json!("room_settings"), &json!(4)),
            (&json!("personal_synced"), &json!(4))
        ]
    );
    assert_eq!((&missed[0]["content"], &missed[1]["is_muted"]), (&json!("two"), &json!(true)));
    types(&ana, &room, "after").await;
    assert_eq!(socket.next_is("draft").await["position"], 5);
}

#[tokio::test]
async fn a_position_of_another_history_or_past_the_head_is_reset() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    types(&ana, &room, "x").await;
    let (_, greeting, _) = resumes(&ana, 1, None).await;
    for (since, epoch) in [(2, None), (1, Some(Uuid::new_v4().to_string()))] {
        let (mut socket, _, missed) = resumes(&ana, since, epoch.as_deref()).await;
        assert_eq!(missed, [json!({"type": "personal_reset", "position": 1, "epoch": greeting["epoch"]})]);
        socket.receives_nothing().await;
    }
    for bad in ["-1", "x", ""] {
        let refused = ana.user_socket().with("personal_since", bad).opens().await;
        assert_eq!(refused.err(), Some(400), "{bad:?}");
    }
}

#[tokio::test]
async fn more_than_a_thousand_missed_changes_are_reset() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let place = ana.participant_id(&ana, &room).await;
    let path = format!("participants/{place}/mute/");
    for _ in 0..26 {
        let mutes = (0..40).map(|n| ana.posts(&path, json!({"muted": n % 2 == 0})));
        futures_util::future::join_all(mutes).await;
    }
    let (_, _, missed) = resumes(&ana, 0, None).await;
    assert_eq!((missed.len(), &missed[0]["type"]), (1, &json!("personal_reset")));
    let (_, _, missed) = resumes(&ana, 100, None).await;
    assert_eq!((missed.len(), &missed[1]["type"]), (2, &json!("personal_synced")));
}

/// Reads a room, so that its user is told of nothing.
async fn reads(user: &TestUser, room: &str) {
    user.posts(&format!("rooms/{room}/mark_read/"), json!({})).await;
}

/// Asks to be reminded of a message in `ms` milliseconds; returns the reminder.
async fn reminds(user: &TestUser, message: &Value, ms: i64) -> Value {
    let at = Utc::now() + TimeDelta::milliseconds(ms);
    user.posts("reminders/", json!({"message_id": message["id"], "at": at})).await
}

#[tokio::test]
async fn a_reminder_fires_once_on_all_devices_and_for_those_that_were_away() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let message = ben.posts_message(&room, "call them").await;
    reads(&ana, &room).await;
    let (mut phone, _) = ana.opens_user_socket().await;
    let (mut desk, _) = ana.opens_user_socket().await;
    let kept = reminds(&ana, &message, 1_200).await;
    for device in [&mut phone, &mut desk] {
        let set = device.receives("reminder").await;
        assert_eq!((&set["id"], &set["fired_at"], &set["position"]), (&kept["id"], &Value::Null, &json!(1)));
    }
    for device in [&mut phone, &mut desk] {
        let fired = device.receives("reminder").await;
        assert_eq!((&fired["id"], &fired["message_id"]), (&kept["id"], &message["id"]));
        assert!(fired["fired_at"].is_string() && fired["position"] == 2, "{fired}");
        device.receives_nothing().await;
    }
    let (_, _, missed) = resumes(&ana, 1, None).await;
    assert_eq!((missed.len(), &missed[0]["type"]), (2, &json!("reminder")));
    let id = kept["id"].as_str().expect("an id");
    assert!(ana.gets(&format!("reminders/{id}/")).await["fired_at"].is_string());
    ana.deletes(&format!("reminders/{id}/")).await;
    let removed = phone.receives("reminder_removed").await;
    assert_eq!(removed, json!({"type": "reminder_removed", "id": id, "position": 3}));
}

#[tokio::test]
async fn what_is_saved_on_one_device_is_saved_on_the_others() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let message = ben.posts_message(&room, "the code is 4711").await;
    reads(&ana, &room).await;
    let (mut phone, _) = ana.opens_user_socket().await;
    let path = format!("messages/{}/saved/", message["id"].as_str().expect("an id"));
    let (_, saved) = ana.requests(Method::PUT, &path, None).await;
    let saved: Value = serde_json::from_str(&saved).expect("JSON");
    assert_eq!(
        phone.receives("saved").await,
        json!({"type": "saved", "message_id": message["id"], "room_id": room, "saved_at": saved["saved_at"],
            "position": 1})
    );
    ana.deletes(&path).await;
    let ended = phone.receives("saved").await;
    assert_eq!((&ended["saved_at"], &ended["room_id"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn settings_and_marking_as_unread_are_on_all_devices_and_nobody_elses() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let (one, two) = (ana.posts_message(&room, "one").await, ana.posts_message(&room, "two").await);
    let mut in_room = ana.joins(&room).await;
    let (mut phone, _) = ben.opens_user_socket().await;
    let mut desk = ben.joins(&room).await;
    in_room.receives("presence").await;
    ben.posts(&format!("rooms/{room}/mark_read/"), json!({})).await;
    assert_eq!(phone.receives("inbox").await["unread_count"], 0);
    in_room.receives("read_receipt").await;
    desk.receives("read_receipt").await;

    let path = format!("rooms/{room}/mark_unread/");
    ben.posts(&path, json!({"message_id": two["id"]})).await;
    let row = phone.receives("inbox").await;
    assert_eq!((&row["unread_count"], &row["total_unread"]), (&json!(1), &json!(1)));
    let (_, greeting) = ben.opens_user_socket().await;
    assert_eq!(greeting["unread_count"], 1);
    let mut again = ben.room_socket(&room).opens().await.expect("a socket");
    assert_eq!(again.next_is("connection_established").await["unread_count"], 1);
    // Reading anything ends it, on a socket too; the mark itself doesn't move, so others hear nothing.
    desk.sends(json!({"type": "read_receipt", "message_id": one["id"]})).await;
    assert_eq!(phone.receives("inbox").await["unread_count"], 0);

    let place = ben.participant_id(&ben, &room).await;
    ben.patches(&format!("participants/{place}/"), json!({"level": "nothing", "favourite": true})).await;
    let row = phone.receives("inbox").await;
    assert_eq!((&row["level"], &row["favourite"]), (&json!("nothing"), &json!(true)));
    desk.receives_nothing().await;
    in_room.receives_nothing().await;
}

/// Keeps a message to be sent in `ms` milliseconds; returns it.
async fn schedules(user: &TestUser, room: &str, text: &str, ms: i64) -> Value {
    let at = Utc::now() + TimeDelta::milliseconds(ms);
    let body = json!({"room": room, "content": text, "at": at, "client_id": Uuid::new_v4()});
    user.posts("scheduled/", body).await
}

#[tokio::test]
async fn a_message_is_sent_at_its_time_once_and_its_user_is_told() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut in_room = ben.joins(&room).await;
    let (mut phone, _) = ana.opens_user_socket().await;
    let kept = schedules(&ana, &room, "good morning", 1_200).await;
    let waits = phone.receives("scheduled").await;
    assert_eq!(
        (&waits["id"], &waits["state"], &waits["content"]),
        (&kept["id"], &json!("pending"), &kept["content"])
    );
    let sent = in_room.sees("good morning").await;
    assert_eq!(sent["message"]["client_id"], kept["client_id"]);
    let created: DateTime<Utc> =
        sent["message"]["created_at"].as_str().expect("a time").parse().expect("a time");
    let at: DateTime<Utc> = kept["at"].as_str().expect("a time").parse().expect("a time");
    assert!(created >= at, "it is sent at {created} and not before {at}");
    let told = phone.receives("scheduled").await;
    assert_eq!(
        (&told["state"], &told["message_id"], &told["content"], &told["position"]),
        (&json!("sent"), &sent["message"]["id"], &json!(""), &json!(2))
    );
    in_room.receives_nothing().await;
    assert_eq!(ana.gets("scheduled/").await["count"], 0);
    let id = kept["id"].as_str().expect("an id");
    let path = format!("scheduled/{id}/");
    assert_eq!(ana.gets(&path).await["state"], "sent");
    for method in [Method::PATCH, Method::DELETE] {
        let (status, body) = ana.requests(method, &path, Some(json!({"content": "x"}))).await;
        assert_eq!(status, 409, "{body}");
    }
}

#[tokio::test]
async fn what_is_refused_at_its_time_is_kept_as_failed() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let (left, archived) = (ana.makes_group(&[&ben]).await, ana.makes_group(&[&ben]).await);
    let (mut phone, _) = ben.opens_user_socket().await;
    let kept = [schedules(&ben, &left, "one", 1_500).await, schedules(&ben, &archived, "two", 1_500).await];
    ana.removes(&ben, &left).await;
    ana.posts(&format!("rooms/{archived}/archive/"), json!({})).await;
    let mut failed = Vec::new();
    while failed.len() < 2 {
        let frame = phone.receives("scheduled").await;
        if frame["state"] != "pending" {
            failed.push((frame["id"].clone(), frame["state"].clone(), frame["error"].clone()));
        }
    }
    for (kept, error) in kept.iter().zip(["forbidden", "archived"]) {
        assert!(failed.contains(&(kept["id"].clone(), json!("failed"), json!(error))), "{failed:?}");
    }
    assert_eq!(ben.gets("scheduled/").await["count"], 2);
    // Its time is set anew when it can be sent again.
    ana.posts(&format!("rooms/{archived}/unarchive/"), json!({})).await;
    let mut in_room = ana.joins(&archived).await;
    let at = Utc::now() + TimeDelta::seconds(1);
    let path = format!("scheduled/{}/", kept[1]["id"].as_str().expect("an id"));
    ben.patches(&path, json!({"at": at, "content": "two after all"})).await;
    in_room.sees("two after all").await;
}

#[tokio::test]
async fn nothing_is_sent_for_a_deactivated_user() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut in_room = ana.joins(&room).await;
    schedules(&ben, &room, "from nobody", 1_000).await;
    server.host().upserts(&ben, json!({"is_active": false})).await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    // Whatever was sent came before this.
    ana.posts_message(&room, "the last one").await;
    assert_eq!(in_room.receives("chat_message").await["message"]["content"], "the last one");
}
