//! Reports: who makes them, who sees what of them, and what becomes of them.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{ApiClient, host, host_at, new_user, new_user_at, text_of};
use crate::server::start;

const REPORTS: &str = "/api/chat/reports/";

async fn reports(who: &ApiClient, body: Value) -> Value {
    who.post(REPORTS, body).await.expect_status(201)
}

/// A member of the host application's staff.
async fn staff() -> ApiClient {
    let staff = new_user("staff").await;
    let path = format!("/api/chat/users/{}/", staff.id);
    host().await.put(&path, json!({"is_staff": true})).await.expect_status(200);
    staff
}

#[tokio::test]
async fn what_was_reported_is_kept_for_moderators_though_it_is_deleted() {
    let (alice, bob, staff) = (new_user("alice").await, new_user("bob").await, staff().await);
    let room = alice.creates_group(&[&bob]).await;
    let message = bob.says(&room, "an insult").await;
    let body = json!({"message": message["id"], "reason": "abuse", "note": "again"});
    let report = reports(&alice, body.clone()).await;
    assert_eq!(
        (&report["message_id"], &report["user_id"], &report["state"], &report["moderation"]),
        (&message["id"], &json!(bob.id), &json!("open"), &Value::Null)
    );
    assert_eq!(reports(&alice, body).await["id"], report["id"], "the same again is the same report");
    bob.delete(&format!("/api/chat/messages/{}/", text_of(&message["id"]))).await.expect_status(204);

    let path = format!("{REPORTS}{}/", text_of(&report["id"]));
    let shown = staff.get(&path).await.expect_status(200);
    assert_eq!(
        shown["moderation"],
        json!({"reporter_id": alice.id, "room_id": room, "content": "an insult", "note": "", "moderator_id": null})
    );
    let handled = staff.patch(&path, json!({"state": "resolved", "note": "warned"})).await.expect_status(200);
    assert_eq!(
        (&handled["state"], &handled["moderation"]["note"], &handled["moderation"]["moderator_id"]),
        (&json!("resolved"), &json!("warned"), &json!(staff.id))
    );
    let own = alice.get(REPORTS).await.expect_status(200);
    assert_eq!((&own["count"], &own["results"][0]["state"]), (&json!(1), &json!("resolved")));
    assert_eq!(own["results"][0]["moderation"], Value::Null, "the reporter learns the outcome alone");
    assert_eq!(bob.get(REPORTS).await.expect_status(200)["count"], 0);
    bob.get(&path).await.expect_status(404);
}

#[tokio::test]
async fn moderators_list_all_by_state_in_pages() {
    let server = start(&[]).await;
    let (host, ana) = (host_at(&server), new_user_at(&server, "ana").await);
    let mut ids = Vec::new();
    for n in 0..5 {
        let other = new_user_at(&server, &format!("other{n}")).await;
        ids.push(text_of(&reports(&ana, json!({"user": other.id, "reason": "spam"})).await["id"]));
    }
    let dismissed = json!({"state": "dismissed"});
    host.patch(&format!("{REPORTS}{}/", ids[4]), dismissed).await.expect_status(200);
    let listed = async |query: &str| {
        let page = host.get(&format!("{REPORTS}{query}")).await.expect_status(200);
        let found =
            page["results"].as_array().expect("results").iter().map(|one| text_of(&one["id"])).collect();
        (page["count"].as_i64().expect("a count"), found)
    };
    let newest_first: Vec<String> = ids.iter().rev().cloned().collect();
    assert_eq!(listed("").await, (5, newest_first.clone()));
    assert_eq!(listed("?state=open&page_size=3").await, (4, newest_first[1..4].to_vec()));
    assert_eq!(listed("?state=open&page_size=3&page=2").await, (4, newest_first[4..].to_vec()));
    assert_eq!(listed("?state=resolved").await, (0, Vec::<String>::new()));
    host.get(&format!("{REPORTS}?state=x")).await.expect_field_errors(&["state"]);
    host.get(&format!("{REPORTS}?page=9")).await.expect_status(404);
    assert_eq!(ana.get(&format!("{REPORTS}?state=dismissed")).await.expect_status(200)["count"], 1);
}

#[tokio::test]
async fn wrong_reports_are_refused() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[]).await;
    let secret = alice.says(&room, "unseen").await;
    for (body, field) in [
        (json!({"reason": "x"}), "message"),
        (json!({"user": alice.id}), "reason"),
        (json!({"user": alice.id, "reason": " "}), "reason"),
        (json!({"user": alice.id, "reason": "x".repeat(101)}), "reason"),
        (json!({"user": bob.id, "reason": "x"}), "user"),
        (json!({"user": 987_654_321_987_i64, "reason": "x"}), "user"),
        (json!({"message": Uuid::new_v4(), "reason": "x"}), "message"),
        (json!({"message": secret["id"], "reason": "x"}), "message"),
        (json!({"message": "x", "reason": "x"}), "message"),
    ] {
        bob.post(REPORTS, body).await.expect_field_errors(&[field]);
    }
    let host = host().await;
    host.get(&format!("{REPORTS}x/")).await.expect_status(404);
    host.patch(&format!("{REPORTS}{}/", Uuid::new_v4()), json!({"state": "open"})).await.expect_status(404);
    let report = reports(&bob, json!({"user": alice.id, "reason": "x"})).await;
    let path = format!("{REPORTS}{}/", text_of(&report["id"]));
    host.patch(&path, json!({"state": "gone"})).await.expect_field_errors(&["state"]);
}

#[tokio::test]
async fn erasing_a_user_erases_what_they_wrote_from_reports() {
    let server = start(&[]).await;
    let (host, ana) = (host_at(&server), new_user_at(&server, "ana").await);
    let ben = new_user_at(&server, "ben").await;
    let room = ana.creates_group(&[&ben]).await;
    let message = ben.says(&room, "personal").await;
    let report = reports(&ana, json!({"message": message["id"], "reason": "x", "note": "mine"})).await;
    let path = format!("{REPORTS}{}/", text_of(&report["id"]));
    host.delete(&format!("/api/chat/users/{}/", ben.id)).await;
    let shown = host.get(&path).await.expect_status(200);
    assert_eq!((&shown["moderation"]["content"], &shown["note"]), (&json!(""), &json!("mine")));
    host.delete(&format!("/api/chat/users/{}/", ana.id)).await;
    assert_eq!(host.get(&path).await.expect_status(200)["note"], "");
}
