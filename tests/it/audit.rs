//! The audit log by REST: what staff, admins and the host application did, and who reads it.

use serde_json::{Value, json};

use crate::client::{host_at, new_user_at, text_of};
use crate::server::start;

const AUDIT: &str = "/api/chat/audit/";

fn kinds(page: &Value) -> Vec<&str> {
    let entries = page["results"].as_array().expect("results");
    entries.iter().map(|entry| entry["kind"].as_str().expect("a kind")).collect()
}

#[tokio::test]
async fn moderators_read_what_was_done_by_kind_by_user_and_in_pages() {
    let server = start(&[]).await;
    let host = host_at(&server);
    let (ana, ben) = (new_user_at(&server, "ana").await, new_user_at(&server, "ben").await);
    let staff = new_user_at(&server, "staff").await;
    let path = format!("/api/chat/users/{}/", staff.id);
    host.put(&path, json!({"is_staff": true})).await.expect_status(200);
    let room = ana.creates_group(&[&ben]).await;
    let hook = json!({"url": "https://example.com/", "rooms": [room]});
    let hook = ana.post("/api/chat/webhooks/", hook).await.expect_status(201);
    let hook = format!("/api/chat/webhooks/{}/", text_of(&hook["id"]));
    ana.patch(&hook, json!({"state": "paused"})).await.expect_status(200);
    ana.delete(&hook).await.expect_status(204);
    let incoming = json!({"rooms": [room], "name": "Alarm"});
    let incoming = ana.post("/api/chat/incoming/", incoming).await.expect_status(201);
    ana.delete(&format!("/api/chat/incoming/{}/", text_of(&incoming["id"]))).await.expect_status(204);
    let invitation = ana.post("/api/chat/invitations/", json!({"room": room})).await.expect_status(201);
    ana.delete(&format!("/api/chat/invitations/{}/", text_of(&invitation["id"]))).await.expect_status(204);
    let report = json!({"user": ben.id, "reason": "spam"});
    let report = ana.post("/api/chat/reports/", report).await.expect_status(201);
    let report = format!("/api/chat/reports/{}/", text_of(&report["id"]));
    staff.patch(&report, json!({"state": "resolved"})).await.expect_status(200);
    host.delete(&format!("/api/chat/users/{}/", ben.id)).await.expect_status(204);

    let all = staff.get(&format!("{AUDIT}?after=0")).await.expect_status(200);
    let done = [
        "user_changed",
        "webhook_added",
        "webhook_changed",
        "webhook_deleted",
        "incoming_added",
        "incoming_deleted",
        "invitation_added",
        "invitation_withdrawn",
        "report_handled",
        "user_erased",
    ];
    assert_eq!((kinds(&all), &all["has_more"]), (done.to_vec(), &json!(false)));
    let first = &all["results"][0];
    assert_eq!(
        (&first["id"], &first["actor_id"], &first["user_id"], &first["data"]),
        (&json!(1), &Value::Null, &json!(staff.id), &json!({"changed": {"is_staff": [false, true]}}))
    );
    assert_eq!(all["results"][6]["room_id"], json!(room));
    assert_eq!(all["results"][8]["actor_id"], json!(staff.id));

    let listed = async |query: &str| host.get(&format!("{AUDIT}{query}")).await.expect_status(200);
    assert_eq!(kinds(&listed("?limit=2").await), ["user_erased", "report_handled"], "the newest first");
    let page = listed("?limit=2&before=9").await;
    assert_eq!(
        (kinds(&page), &page["has_more"]),
        (vec!["invitation_withdrawn", "invitation_added"], &json!(true))
    );
    assert_eq!(kinds(&listed("?kind=webhook_changed").await), ["webhook_changed"]);
    assert_eq!(kinds(&listed(&format!("?user={}", ben.id)).await), ["user_erased", "report_handled"]);
    assert_eq!(listed(&format!("?user={}&after=0", ana.id)).await["results"][0]["kind"], "webhook_added");
    assert_eq!(kinds(&listed("?since=2100-01-01T00:00:00Z").await), [] as [&str; 0]);
    assert_eq!(kinds(&listed("?since=2020-01-01&kind=user_erased").await), ["user_erased"]);
    host.get(&format!("{AUDIT}?kind=x&user=y&since=z&before=a"))
        .await
        .expect_field_errors(&["before", "kind", "since", "user"]);
    host.get(&format!("{AUDIT}?before=3&after=1")).await.expect_field_errors(&["before"]);
}
