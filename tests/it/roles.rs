//! The status of each route for each role. A new route without a row fails.

use std::collections::BTreeSet;

use aristay_chat::http::endpoints;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{ApiClient, fresh_id, host, new_user, text_of};
use crate::files::PNG;
use crate::notifications::push_keys;

/// The columns of the table.
const ROLES: [&str; 8] =
    ["no token", "outsider", "one who left", "participant", "admin", "staff", "service", "deactivated"];

/// Method, path, body, and the status for each role.
type Row = (&'static str, &'static str, &'static str, [u16; 8]);

#[rustfmt::skip]
const TABLE: &[Row] = &[
    ("GET", "/api/chat/rooms/", "", [401, 200, 200, 200, 200, 200, 403, 401]),
    ("POST", "/api/chat/rooms/", r#"{"room_type":"group"}"#, [401, 201, 201, 201, 201, 201, 403, 401]),
    ("GET", "/api/chat/rooms/{room}/", "", [401, 403, 403, 200, 200, 403, 403, 401]),
    ("PUT", "/api/chat/rooms/{room}/", r#"{"name":"x"}"#, [401, 403, 403, 403, 200, 403, 403, 401]),
    ("PATCH", "/api/chat/rooms/{room}/", r#"{"name":"x"}"#, [401, 403, 403, 403, 200, 403, 403, 401]),
    ("PATCH", "/api/chat/rooms/{room}/", r#"{"posting":"admins"}"#, [401, 403, 403, 403, 200, 403, 403, 401]),
    ("DELETE", "/api/chat/rooms/{room}/", "", [401, 403, 403, 403, 204, 403, 403, 401]),
    ("POST", "/api/chat/rooms/{room}/archive/", "", [401, 403, 403, 403, 200, 403, 403, 401]),
    ("POST", "/api/chat/rooms/{room}/unarchive/", "", [401, 403, 403, 403, 200, 403, 403, 401]),
    ("POST", "/api/chat/rooms/{room}/leave/", "", [401, 403, 403, 200, 400, 403, 403, 401]),
    ("POST", "/api/chat/rooms/{room}/mark_read/", "", [401, 403, 403, 200, 200, 403, 403, 401]),
    ("GET", "/api/chat/rooms/{room}/stats/", "", [401, 403, 403, 200, 200, 403, 403, 401]),
    ("GET", "/api/chat/rooms/{room}/events/", "", [401, 403, 403, 200, 200, 403, 403, 401]),
    ("GET", "/api/chat/rooms/{room}/at/?time=2100-01-01", "", [401, 403, 403, 200, 200, 403, 403, 401]),
    ("GET", "/api/chat/rooms/{room}/pins/", "", [401, 403, 403, 200, 200, 403, 403, 401]),
    ("POST", "/api/chat/rooms/{room}/mark_unread/", r#"{"message_id":"{message}"}"#, [401, 403, 403, 200, 200, 403, 403, 401]),
    ("PUT", "/api/chat/rooms/{room}/draft/", r#"{"content":"x"}"#, [401, 403, 403, 200, 200, 403, 403, 401]),
    ("GET", "/api/chat/drafts/", "", [401, 200, 200, 200, 200, 200, 403, 401]),
    ("PUT", "/api/chat/messages/{message}/saved/", "", [401, 404, 404, 200, 200, 404, 404, 401]),
    ("DELETE", "/api/chat/messages/{message}/saved/", "", [401, 404, 404, 204, 204, 404, 404, 401]),
    ("GET", "/api/chat/saved/", "", [401, 200, 200, 200, 200, 200, 403, 401]),
    ("POST", "/api/chat/reminders/", r#"{"message_id":"{message}","at":"{soon}"}"#, [401, 400, 400, 201, 201, 400, 403, 401]),
    ("GET", "/api/chat/reminders/", "", [401, 200, 200, 200, 200, 200, 403, 401]),
    ("GET", "/api/chat/reminders/{reminder}/", "", [401, 404, 404, 200, 404, 404, 403, 401]),
    ("DELETE", "/api/chat/reminders/{reminder}/", "", [401, 404, 404, 204, 404, 404, 403, 401]),
    ("POST", "/api/chat/scheduled/", r#"{"room":"{room}","content":"x","at":"{soon}"}"#, [401, 400, 400, 201, 201, 400, 403, 401]),
    ("GET", "/api/chat/scheduled/", "", [401, 200, 200, 200, 200, 200, 403, 401]),
    ("GET", "/api/chat/scheduled/{scheduled}/", "", [401, 404, 404, 200, 404, 404, 403, 401]),
    ("PATCH", "/api/chat/scheduled/{scheduled}/", r#"{"content":"y"}"#, [401, 404, 404, 200, 404, 404, 403, 401]),
    ("DELETE", "/api/chat/scheduled/{scheduled}/", "", [401, 404, 404, 204, 404, 404, 403, 401]),
    ("GET", "/api/chat/messages/?room={room}", "", [401, 200, 200, 200, 200, 200, 200, 401]),
    ("POST", "/api/chat/messages/", r#"{"room":"{room}","content":"x"}"#, [401, 400, 400, 201, 201, 400, 403, 401]),
    ("GET", "/api/chat/messages/search/?q=bob", "", [401, 200, 200, 200, 200, 200, 200, 401]),
    ("POST", "/api/chat/messages/forward/", r#"{"message_ids":["{message}"],"rooms":["{room}"],"client_id":"{uuid}"}"#, [401, 400, 400, 201, 201, 400, 403, 401]),
    ("GET", "/api/chat/messages/{message}/", "", [401, 404, 404, 200, 200, 404, 404, 401]),
    ("PUT", "/api/chat/messages/{message}/", r#"{"content":"x"}"#, [401, 404, 404, 200, 403, 404, 404, 401]),
    ("PATCH", "/api/chat/messages/{message}/", r#"{"content":"x"}"#, [401, 404, 404, 200, 403, 404, 404, 401]),
    ("DELETE", "/api/chat/messages/{message}/", "", [401, 404, 404, 204, 204, 204, 204, 401]),
    ("DELETE", "/api/chat/messages/{by_admin}/", r#"{"reason":"x"}"#, [401, 404, 404, 403, 204, 204, 204, 401]),
    ("DELETE", "/api/chat/messages/{in_direct}/", "", [401, 404, 404, 204, 403, 403, 403, 401]),
    ("POST", "/api/chat/messages/{message}/mark_read/", "", [401, 404, 404, 200, 200, 404, 404, 401]),
    ("POST", "/api/chat/messages/{card}/card/", r#"{"item":"1"}"#, [401, 404, 404, 200, 200, 404, 404, 401]),
    ("POST", "/api/chat/messages/{card}/card/", r#"{"close":true}"#, [401, 404, 404, 400, 403, 404, 404, 401]),
    ("POST", "/api/chat/messages/{poll}/card/", r#"{"close":true}"#, [401, 404, 404, 200, 403, 404, 404, 401]),
    ("POST", "/api/chat/messages/{urgent}/ack/", "", [401, 404, 404, 200, 200, 404, 404, 401]),
    ("POST", "/api/chat/messages/{message}/ack/", "", [401, 404, 404, 400, 400, 404, 404, 401]),
    ("PUT", "/api/chat/messages/{message}/pin/", "", [401, 404, 404, 200, 200, 404, 403, 401]),
    ("DELETE", "/api/chat/messages/{message}/pin/", "", [401, 404, 404, 200, 200, 404, 403, 401]),
    ("PUT", "/api/chat/messages/{message}/reactions/{emoji}/", "", [401, 404, 404, 200, 200, 404, 404, 401]),
    ("DELETE", "/api/chat/messages/{message}/reactions/{emoji}/", "", [401, 404, 404, 200, 200, 404, 404, 401]),
    ("GET", "/api/chat/messages/{message}/versions/", "", [401, 404, 404, 200, 200, 404, 404, 401]),
    ("GET", "/api/chat/messages/{message}/link_previews/", "", [401, 404, 404, 200, 200, 404, 404, 401]),
    ("GET", "/api/chat/messages/{message}/why/", "", [401, 404, 404, 200, 200, 404, 403, 401]),
    ("GET", "/api/chat/notifications/", "", [401, 200, 200, 200, 200, 200, 403, 401]),
    ("POST", "/api/chat/notifications/read/", r#"{"up_to":"{uuid}"}"#, [401, 400, 400, 400, 400, 400, 403, 401]),
    ("GET", "/api/chat/notifications/settings/", "", [401, 200, 200, 200, 200, 200, 403, 401]),
    ("PUT", "/api/chat/notifications/settings/", r#"{"delay_seconds":5}"#, [401, 200, 200, 200, 200, 200, 403, 401]),
    ("GET", "/api/chat/unread/why/", "", [401, 200, 200, 200, 200, 200, 403, 401]),
    ("GET", "/api/chat/push/key/", "", [401, 200, 200, 200, 200, 200, 403, 401]),
    ("POST", "/api/chat/push/subscriptions/", r#"{"endpoint":"https://push.example/{uuid}","keys":{push_keys}}"#, [401, 201, 201, 201, 201, 201, 403, 401]),
    ("DELETE", "/api/chat/push/subscriptions/{subscription}/", "", [401, 404, 404, 204, 404, 404, 403, 401]),
    ("GET", "/api/chat/threads/", "", [401, 200, 200, 200, 200, 200, 200, 401]),
    ("GET", "/api/chat/participants/?room={room}", "", [401, 200, 200, 200, 200, 200, 200, 401]),
    ("POST", "/api/chat/participants/", r#"{"room":"{room}","user":{new}}"#, [401, 403, 403, 403, 201, 403, 403, 401]),
    ("GET", "/api/chat/participants/{place}/", "", [401, 404, 404, 200, 200, 404, 404, 401]),
    ("PATCH", "/api/chat/participants/{place}/", r#"{"is_admin":true}"#, [401, 404, 404, 403, 200, 404, 404, 401]),
    ("PATCH", "/api/chat/participants/{place}/", r#"{"level":"mentions"}"#, [401, 404, 404, 200, 403, 404, 404, 401]),
    ("DELETE", "/api/chat/participants/{place}/", "", [401, 404, 404, 403, 204, 404, 404, 401]),
    ("POST", "/api/chat/participants/{place}/mute/", r#"{"muted":true}"#, [401, 404, 404, 200, 403, 404, 404, 401]),
    ("GET", "/api/chat/participants/?room={room}&role=guest", "", [401, 200, 200, 200, 200, 200, 200, 401]),
    ("PATCH", "/api/chat/participants/{place}/", r#"{"role":"guest"}"#, [401, 404, 404, 403, 200, 404, 404, 401]),
    ("PATCH", "/api/chat/participants/{place}/", r#"{"until":"{soon}"}"#, [401, 404, 404, 403, 200, 404, 404, 401]),
    ("POST", "/api/chat/invitations/", r#"{"room":"{room}"}"#, [401, 403, 403, 403, 201, 403, 403, 401]),
    ("GET", "/api/chat/invitations/?room={room}", "", [401, 403, 403, 403, 200, 403, 403, 401]),
    ("DELETE", "/api/chat/invitations/{invitation}/", "", [401, 404, 404, 403, 204, 404, 403, 401]),
    ("POST", "/api/chat/invitations/accept/", r#"{"token":"{token}"}"#, [401, 200, 200, 200, 200, 200, 403, 401]),
    ("GET", "/api/chat/typing/?room={room}", "", [401, 200, 200, 200, 200, 200, 200, 401]),
    ("POST", "/api/chat/uploads/", "", [401, 412, 412, 412, 412, 412, 403, 401]),
    ("HEAD", "/api/chat/uploads/{uuid}/", "", [401, 412, 412, 412, 412, 412, 403, 401]),
    ("PATCH", "/api/chat/uploads/{uuid}/", "", [401, 412, 412, 412, 412, 412, 403, 401]),
    ("DELETE", "/api/chat/uploads/{uuid}/", "", [401, 412, 412, 412, 412, 412, 403, 401]),
    ("POST", "/api/chat/reports/", r#"{"message":"{message}","reason":"spam"}"#, [401, 400, 400, 400, 201, 400, 403, 401]),
    ("POST", "/api/chat/reports/", r#"{"user":{new},"reason":"spam"}"#, [401, 201, 201, 201, 201, 201, 403, 401]),
    ("GET", "/api/chat/reports/", "", [401, 200, 200, 200, 200, 200, 200, 401]),
    ("GET", "/api/chat/reports/{report}/", "", [401, 404, 404, 200, 404, 200, 200, 401]),
    ("PATCH", "/api/chat/reports/{report}/", r#"{"state":"resolved"}"#, [401, 403, 403, 403, 403, 200, 200, 401]),
    ("GET", "/api/chat/audit/", "", [401, 403, 403, 403, 403, 200, 200, 401]),
    ("GET", "/api/chat/holds/", "", [401, 403, 403, 403, 403, 200, 200, 401]),
    ("POST", "/api/chat/holds/", r#"{"room":"{room}","name":"x"}"#, [401, 403, 403, 403, 403, 201, 201, 401]),
    ("DELETE", "/api/chat/holds/{hold}/", "", [401, 403, 403, 403, 403, 204, 204, 401]),
    ("GET", "/api/chat/holds/{hold}/messages/", "", [401, 403, 403, 403, 403, 200, 200, 401]),
    ("POST", "/api/chat/exports/", r#"{"room":"{room}"}"#, [401, 403, 403, 403, 403, 202, 202, 401]),
    ("GET", "/api/chat/exports/{export}/", "", [401, 404, 404, 200, 404, 200, 200, 401]),
    ("GET", "/api/chat/exports/{export}/file/", "", [401, 404, 404, 404, 404, 404, 404, 401]),
    ("GET", "/api/chat/retention/", "", [401, 403, 403, 403, 403, 200, 200, 401]),
    ("PUT", "/api/chat/retention/", r#"{"rules":[{"room":"{room}","texts_days":9000}]}"#, [401, 403, 403, 403, 403, 200, 200, 401]),
    ("POST", "/api/chat/retention/preview/", "", [401, 403, 403, 403, 403, 200, 200, 401]),
    ("PUT", "/api/chat/users/{new}/block/", "", [401, 200, 200, 200, 200, 200, 403, 401]),
    ("DELETE", "/api/chat/users/{new}/block/", "", [401, 204, 204, 204, 204, 204, 403, 401]),
    ("GET", "/api/chat/blocks/", "", [401, 200, 200, 200, 200, 200, 403, 401]),
    ("GET", "/api/chat/users/", "", [401, 200, 200, 200, 200, 200, 200, 401]),
    ("GET", "/api/chat/users/me/", "", [401, 200, 200, 200, 200, 200, 403, 401]),
    ("POST", "/api/chat/users/sync/", "[]", [401, 403, 403, 403, 403, 403, 200, 401]),
    ("GET", "/api/chat/users/{new}/", "", [401, 200, 200, 200, 200, 200, 200, 401]),
    ("PUT", "/api/chat/users/{new}/", "{}", [401, 403, 403, 403, 403, 403, 200, 401]),
    ("DELETE", "/api/chat/users/{new}/", "", [401, 403, 403, 403, 403, 403, 204, 401]),
    ("PUT", "/api/chat/tasks/{task}/room/", "{}", [401, 403, 403, 403, 403, 403, 201, 401]),
    ("PUT", "/api/chat/properties/{task}/room/", "{}", [401, 403, 403, 403, 403, 403, 201, 401]),
    ("POST", "/api/chat/rooms/{room}/commands/", r#"{"name":"x"}"#, [401, 403, 403, 404, 404, 403, 403, 401]),
    ("GET", "/api/chat/commands/?room={room}", "", [401, 200, 200, 200, 200, 200, 403, 401]),
    ("PUT", "/api/chat/commands/", "[]", [401, 403, 403, 403, 403, 403, 403, 401]),
    ("POST", "/api/chat/commands/answer/", r#"{"token":"x","content":"x"}"#, [401, 403, 403, 403, 403, 403, 403, 401]),
    ("GET", "/api/chat/bots/", "", [401, 403, 403, 403, 403, 200, 200, 401]),
    ("POST", "/api/chat/bots/", r#"{"username":"helper","full_name":"Helper"}"#, [401, 403, 403, 403, 403, 201, 201, 401]),
    ("DELETE", "/api/chat/bots/{bot}/", "", [401, 403, 403, 403, 403, 204, 204, 401]),
    ("POST", "/api/chat/bots/{bot}/token/", "", [401, 403, 403, 403, 403, 200, 200, 401]),
    ("GET", "/api/chat/changes/", "", [401, 403, 403, 403, 403, 403, 200, 401]),
    ("GET", "/api/chat/webhooks/", "", [401, 200, 200, 200, 200, 200, 200, 401]),
    ("POST", "/api/chat/webhooks/", r#"{"url":"https://example.com/"}"#, [401, 403, 403, 403, 403, 201, 201, 401]),
    ("POST", "/api/chat/webhooks/", r#"{"url":"https://example.com/","rooms":["{room}"]}"#, [401, 403, 403, 403, 201, 201, 201, 401]),
    ("GET", "/api/chat/webhooks/{webhook}/", "", [401, 404, 404, 404, 200, 200, 200, 401]),
    ("PATCH", "/api/chat/webhooks/{webhook}/", r#"{"state":"paused"}"#, [401, 404, 404, 404, 200, 200, 200, 401]),
    ("DELETE", "/api/chat/webhooks/{webhook}/", "", [401, 404, 404, 404, 204, 204, 204, 401]),
    ("GET", "/api/chat/webhooks/{webhook}/deliveries/", "", [401, 404, 404, 404, 200, 200, 200, 401]),
    ("POST", "/api/chat/webhooks/{webhook}/replay/", r#"{"since":0}"#, [401, 404, 404, 404, 202, 202, 202, 401]),
    ("GET", "/api/chat/incoming/", "", [401, 200, 200, 200, 200, 200, 200, 401]),
    ("POST", "/api/chat/incoming/", r#"{"rooms":["{room}"],"name":"x"}"#, [401, 403, 403, 403, 201, 201, 201, 401]),
    ("GET", "/api/chat/incoming/{incoming}/", "", [401, 404, 404, 404, 200, 200, 200, 401]),
    ("DELETE", "/api/chat/incoming/{incoming}/", "", [401, 404, 404, 404, 204, 204, 204, 401]),
    ("POST", "/api/chat/hooks/{secret}/", r#"{"text":"x"}"#, [201; 8]),
    ("GET", "/api/chat/unread/", "", [401, 200, 200, 200, 200, 200, 403, 401]),
    ("GET", "/api/chat/files/{file}/", "", [404, 404, 404, 200, 200, 404, 404, 401]),
    ("POST", "/api/token/", r#"{"username":"nobody","password":"x"}"#, [401; 8]),
    ("POST", "/api/token/refresh/", r#"{"refresh":"x"}"#, [401; 8]),
    ("POST", "/api/token/verify/", r#"{"token":"x"}"#, [401; 8]),
    ("POST", "/api/token/revoke/", r#"{"refresh":"x"}"#, [401; 8]),
    ("GET", "/health/live", "", [200; 8]),
    ("GET", "/health/ready", "", [200; 8]),
    ("GET", "/metrics", "", [404; 8]),
];

/// A room with a user of each role, and the values for the paths.
struct World {
    roles: Vec<ApiClient>,
    names: Vec<(&'static str, String)>,
}

impl World {
    async fn new() -> Self {
        let (admin, member, left) =
            (new_user("admin").await, new_user("member").await, new_user("left").await);
        let (outsider, staff, new) =
            (new_user("outsider").await, new_user("staff").await, new_user("new").await);
        let (off, host) = (new_user("off").await, host().await);
        let room = admin.creates_group(&[&member, &left, &off]).await;
        admin.removes(&left, &room).await;
        let message = text_of(&member.says(&room, "by bob").await["id"]);
        let by_admin = text_of(&admin.says(&room, "by the admin").await["id"]);
        let urgent = json!({"room": room, "content": "by one who is still in", "urgent": {}});
        let urgent = off.post("/api/chat/messages/", urgent).await.expect_status(201);
        let sends_card = async |card: Value| {
            let sent = member.post("/api/chat/messages/", json!({"room": room, "card": card})).await;
            text_of(&sent.expect_status(201)["id"])
        };
        let card = sends_card(json!({"v": 1, "kind": "checklist", "items": [{"text": "x"}]})).await;
        let poll = sends_card(json!({"v": 1, "kind": "poll", "choices": [{"text": "x"}]})).await;
        let direct = admin.opens_direct(&member).await;
        let in_direct = text_of(&member.says(&direct, "between two").await["id"]);
        let (texts, files) = ([("room", room.as_str())], [("attachment", "a.png", PNG)]);
        let sent = member.post_form("/api/chat/messages/", &texts, &files).await.expect_status(201);
        let attachment = text_of(&sent["attachment"]);
        let file = attachment.split('/').nth(6).expect("an id in the path").to_owned();
        host.put(&format!("/api/chat/users/{}/", staff.id), json!({"is_staff": true}))
            .await
            .expect_status(200);
        host.put(&format!("/api/chat/users/{}/", off.id), json!({"is_active": false}))
            .await
            .expect_status(200);
        let place = admin.participant_id(&member, &room).await;
        let soon = (chrono::Utc::now() + chrono::Duration::hours(1)).to_rfc3339();
        let reminder = json!({"message_id": message, "at": soon});
        let reminder = member.post("/api/chat/reminders/", reminder).await.expect_status(201);
        let scheduled = json!({"room": room, "content": "later", "at": soon});
        let scheduled = member.post("/api/chat/scheduled/", scheduled).await.expect_status(201);
        let report = json!({"message": by_admin, "reason": "spam"});
        let report = member.post("/api/chat/reports/", report).await.expect_status(201);
        let invited = json!({"room": room, "uses": 9});
        let invitation = admin.post("/api/chat/invitations/", invited).await.expect_status(201);
        let token = text_of(&invitation["url"]).split('=').nth(1).expect("a token").to_owned();
        let hold =
            host.post("/api/chat/holds/", json!({"room": direct, "name": "x"})).await.expect_status(201);
        let export = json!({"user": member.id});
        let export = member.post("/api/chat/exports/", export).await.expect_status(202);
        let webhook = json!({"url": "https://example.com/", "rooms": [room]});
        let webhook = admin.post("/api/chat/webhooks/", webhook).await.expect_status(201);
        let incoming = json!({"rooms": [room], "name": "Alarm"});
        let incoming = admin.post("/api/chat/incoming/", incoming).await.expect_status(201);
        let secret = text_of(&incoming["url"]).split('/').nth(6).expect("a secret in the path").to_owned();
        let bot = json!({"username": "helper", "full_name": "Helper"});
        let bot = host.post("/api/chat/bots/", bot).await.expect_status(201);
        let push_keys = push_keys();
        let subscription =
            json!({"endpoint": format!("https://push.example/{}", Uuid::new_v4()), "keys": push_keys});
        let subscription =
            member.post("/api/chat/push/subscriptions/", subscription).await.expect_status(201);
        let names = vec![
            ("{invitation}", text_of(&invitation["id"])),
            ("{token}", token),
            ("{hold}", text_of(&hold["id"])),
            ("{export}", text_of(&export["id"])),
            ("{webhook}", text_of(&webhook["id"])),
            ("{incoming}", text_of(&incoming["id"])),
            ("{secret}", secret),
            ("{bot}", bot["id"].to_string()),
            ("{room}", room),
            ("{message}", message),
            ("{urgent}", text_of(&urgent["id"])),
            ("{card}", card),
            ("{poll}", poll),
            ("{by_admin}", by_admin),
            ("{in_direct}", in_direct),
            ("{emoji}", "👍".to_owned()),
            ("{file}", file),
            ("{place}", place.to_string()),
            ("{new}", new.id.to_string()),
            ("{task}", fresh_id().to_string()),
            ("{uuid}", Uuid::new_v4().to_string()),
            ("{soon}", soon),
            ("{reminder}", text_of(&reminder["id"])),
            ("{report}", text_of(&report["id"])),
            ("{scheduled}", text_of(&scheduled["id"])),
            ("{push_keys}", push_keys.to_string()),
            ("{subscription}", text_of(&subscription["id"])),
        ];
        let nobody = admin.without_token();
        Self { roles: vec![nobody, outsider, left, member, admin, staff, host, off], names }
    }

    fn named(&self, template: &str) -> String {
        self.names.iter().fold(template.to_owned(), |text, (name, value)| text.replace(name, value))
    }
}

/// Checks a row. Roles that are refused change nothing and share a world; each other role may need its own.
async fn check(row: &Row) -> Vec<String> {
    let (method, _, _, statuses) = row;
    let (refused, welcome): (Vec<usize>, Vec<usize>) =
        (0..ROLES.len()).partition(|role| statuses[*role] >= 400);
    let mut world = World::new().await;
    let mut wrong = Vec::new();
    for role in refused.into_iter().chain(welcome) {
        wrong.extend(check_role(row, role, &world).await);
        if statuses[role] < 400 && *method != "GET" {
            world = World::new().await;
        }
    }
    wrong
}

async fn check_role(row: &Row, role: usize, world: &World) -> Option<String> {
    let (method, path, body, statuses) = row;
    let method = method.parse().expect("a method");
    let mut request = world.roles[role].request(method, &world.named(path));
    if !body.is_empty() {
        request = request.header("content-type", "application/json").body(world.named(body));
    }
    let answer = ApiClient::send(request).await;
    let is_right = answer.status == statuses[role];
    let is_shaped = answer.status < 400 || row.0 == "HEAD" || answer.json().is_object();
    (!is_right || !is_shaped).then(|| {
        let body = answer.json();
        format!(
            "{} {path} by {}: {} instead of {}: {body}",
            row.0, ROLES[role], answer.status, statuses[role]
        )
    })
}

#[tokio::test]
async fn each_route_answers_each_role_as_in_the_table() {
    use futures_util::StreamExt as _;
    let rows = futures_util::stream::iter(TABLE.iter().map(check)).buffer_unordered(8);
    let wrong: Vec<Vec<String>> = rows.collect().await;
    let wrong = wrong.concat();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_route_has_a_row() {
    let routes: BTreeSet<String> = endpoints()
        .iter()
        .flat_map(|endpoint| endpoint.methods.iter().map(|method| form(method.as_str(), endpoint.path)))
        .collect();
    let rows: BTreeSet<String> = TABLE.iter().map(|(method, path, ..)| form(method, path)).collect();
    assert_eq!(routes, rows);
}

/// A route without parameter names and query.
fn form(method: &str, path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    let parts: Vec<&str> =
        path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part }).collect();
    format!("{method} {}", parts.join("/"))
}

#[tokio::test]
async fn the_host_acts_as_admin_of_task_rooms_and_of_no_other() {
    let (host, alice, bob) = (host().await, new_user("alice").await, new_user("bob").await);
    let body = json!({"participant_ids": [alice.id]});
    let room = host.put(&format!("/api/chat/tasks/{}/room/", fresh_id()), body).await.expect_status(201);
    let id = text_of(&room["id"]);
    host.get(&format!("/api/chat/rooms/{id}/")).await.expect_status(200);
    let added =
        host.post("/api/chat/participants/", json!({"room": id, "user": bob.id})).await.expect_status(201);
    host.patch(&format!("/api/chat/participants/{}/", added["id"]), json!({"is_admin": true}))
        .await
        .expect_status(200);
    host.delete(&format!("/api/chat/participants/{}/", added["id"])).await.expect_status(204);
    host.patch(&format!("/api/chat/rooms/{id}/"), json!({"name": "Named"})).await.expect_status(200);
    host.post("/api/chat/messages/", json!({"room": id, "content": "x"})).await.expect_status(201);
    host.post(&format!("/api/chat/rooms/{id}/archive/"), Value::Null).await.expect_status(200);
    host.post("/api/chat/messages/", json!({"room": id, "content": "x"})).await.expect_status(409);
    host.delete(&format!("/api/chat/rooms/{id}/")).await.expect_status(204);
    host.get(&format!("/api/chat/rooms/{}/", Uuid::new_v4())).await.expect_status(404);
}
