//! Who gets which answer, route by route. A new route without a row here fails.

use std::collections::BTreeSet;

use aristay_chat::http::endpoints;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::files::PNG;
use crate::stage::{Someone, fresh_id, host, someone, text_of};

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
    ("DELETE", "/api/chat/rooms/{room}/", "", [401, 403, 403, 403, 204, 403, 403, 401]),
    ("POST", "/api/chat/rooms/{room}/archive/", "", [401, 403, 403, 403, 200, 403, 403, 401]),
    ("POST", "/api/chat/rooms/{room}/unarchive/", "", [401, 403, 403, 403, 200, 403, 403, 401]),
    ("POST", "/api/chat/rooms/{room}/leave/", "", [401, 403, 403, 200, 400, 403, 403, 401]),
    ("POST", "/api/chat/rooms/{room}/mark_read/", "", [401, 403, 403, 200, 200, 403, 403, 401]),
    ("GET", "/api/chat/rooms/{room}/stats/", "", [401, 403, 403, 200, 200, 403, 403, 401]),
    ("GET", "/api/chat/rooms/{room}/events/", "", [401, 403, 403, 200, 200, 403, 403, 401]),
    ("GET", "/api/chat/messages/?room={room}", "", [401, 200, 200, 200, 200, 200, 200, 401]),
    ("POST", "/api/chat/messages/", r#"{"room":"{room}","content":"x"}"#, [401, 400, 400, 201, 201, 400, 403, 401]),
    ("GET", "/api/chat/messages/search/?q=bob", "", [401, 200, 200, 200, 200, 200, 200, 401]),
    ("GET", "/api/chat/messages/{message}/", "", [401, 404, 404, 200, 200, 404, 404, 401]),
    ("PUT", "/api/chat/messages/{message}/", r#"{"content":"x"}"#, [401, 404, 404, 200, 403, 404, 404, 401]),
    ("PATCH", "/api/chat/messages/{message}/", r#"{"content":"x"}"#, [401, 404, 404, 200, 403, 404, 404, 401]),
    ("DELETE", "/api/chat/messages/{message}/", "", [401, 404, 404, 204, 204, 204, 204, 401]),
    ("DELETE", "/api/chat/messages/{by_admin}/", r#"{"reason":"x"}"#, [401, 404, 404, 403, 204, 204, 204, 401]),
    ("DELETE", "/api/chat/messages/{in_direct}/", "", [401, 404, 404, 204, 403, 403, 403, 401]),
    ("POST", "/api/chat/messages/{message}/mark_read/", "", [401, 404, 404, 200, 200, 404, 404, 401]),
    ("GET", "/api/chat/participants/?room={room}", "", [401, 200, 200, 200, 200, 200, 200, 401]),
    ("POST", "/api/chat/participants/", r#"{"room":"{room}","user":{new}}"#, [401, 403, 403, 403, 201, 403, 403, 401]),
    ("GET", "/api/chat/participants/{place}/", "", [401, 404, 404, 200, 200, 404, 404, 401]),
    ("PATCH", "/api/chat/participants/{place}/", r#"{"is_admin":true}"#, [401, 404, 404, 403, 200, 404, 404, 401]),
    ("DELETE", "/api/chat/participants/{place}/", "", [401, 404, 404, 403, 204, 404, 404, 401]),
    ("POST", "/api/chat/participants/{place}/mute/", r#"{"muted":true}"#, [401, 404, 404, 200, 403, 404, 404, 401]),
    ("GET", "/api/chat/typing/?room={room}", "", [401, 200, 200, 200, 200, 200, 200, 401]),
    ("GET", "/api/chat/users/", "", [401, 200, 200, 200, 200, 200, 200, 401]),
    ("GET", "/api/chat/users/me/", "", [401, 200, 200, 200, 200, 200, 403, 401]),
    ("POST", "/api/chat/users/sync/", "[]", [401, 403, 403, 403, 403, 403, 200, 401]),
    ("PUT", "/api/chat/users/{new}/", "{}", [401, 403, 403, 403, 403, 403, 200, 401]),
    ("DELETE", "/api/chat/users/{new}/", "", [401, 403, 403, 403, 403, 403, 204, 401]),
    ("PUT", "/api/chat/tasks/{task}/room/", "{}", [401, 403, 403, 403, 403, 403, 201, 401]),
    ("PUT", "/api/chat/properties/{task}/room/", "{}", [401, 403, 403, 403, 403, 403, 201, 401]),
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

/// A room with one of each role, and what the paths name.
struct World {
    roles: Vec<Someone>,
    names: Vec<(&'static str, String)>,
}

impl World {
    async fn new() -> Self {
        let (admin, member, left) = (someone("admin").await, someone("member").await, someone("left").await);
        let (outsider, staff, new) =
            (someone("outsider").await, someone("staff").await, someone("new").await);
        let (off, host) = (someone("off").await, host().await);
        let room = admin.makes_group(&[&member, &left, &off]).await;
        admin.removes(&left, &room).await;
        let message = text_of(&member.says(&room, "by bob").await["id"]);
        let by_admin = text_of(&admin.says(&room, "by the admin").await["id"]);
        let direct = admin.opens_direct(&member).await;
        let in_direct = text_of(&member.says(&direct, "between two").await["id"]);
        let (texts, files) = ([("room", room.as_str())], [("attachment", "a.png", PNG)]);
        let sent = member.posts_form("/api/chat/messages/", &texts, &files).await.is(201);
        let attachment = text_of(&sent["attachment"]);
        let file = attachment.split('/').nth(6).expect("an id in the path").to_owned();
        host.put(&format!("/api/chat/users/{}/", staff.id), json!({"is_staff": true})).await.is(200);
        host.put(&format!("/api/chat/users/{}/", off.id), json!({"is_active": false})).await.is(200);
        let place = admin.place_of(&member, &room).await;
        let names = vec![
            ("{room}", room),
            ("{message}", message),
            ("{by_admin}", by_admin),
            ("{in_direct}", in_direct),
            ("{file}", file),
            ("{place}", place.to_string()),
            ("{new}", new.id.to_string()),
            ("{task}", fresh_id().to_string()),
        ];
        let nobody = admin.without_token();
        Self { roles: vec![nobody, outsider, left, member, admin, staff, host, off], names }
    }

    fn named(&self, template: &str) -> String {
        self.names.iter().fold(template.to_owned(), |text, (name, value)| text.replace(name, value))
    }
}

/// Checks a row: all who are refused leave the world as it was, each who isn't may need one of his own.
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
    let mut request = world.roles[role].asks(method, &world.named(path));
    if !body.is_empty() {
        request = request.header("content-type", "application/json").body(world.named(body));
    }
    let answer = Someone::hears(request).await;
    let is_right = answer.status == statuses[role];
    let is_shaped = answer.status < 400 || answer.json().is_object();
    (!is_right || !is_shaped).then(|| {
        let body = answer.json();
        format!(
            "{} {path} by {}: {} instead of {}: {body}",
            row.0, ROLES[role], answer.status, statuses[role]
        )
    })
}

#[tokio::test]
async fn each_route_answers_each_role_as_the_table_says() {
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

/// A route without the names of its parameters and without a query.
fn form(method: &str, path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    let parts: Vec<&str> =
        path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part }).collect();
    format!("{method} {}", parts.join("/"))
}

#[tokio::test]
async fn the_host_acts_as_admin_of_task_rooms_and_of_no_other() {
    let (host, alice, bob) = (host().await, someone("alice").await, someone("bob").await);
    let body = json!({"participant_ids": [alice.id]});
    let room = host.put(&format!("/api/chat/tasks/{}/room/", fresh_id()), body).await.is(201);
    let id = text_of(&room["id"]);
    host.get(&format!("/api/chat/rooms/{id}/")).await.is(200);
    let added = host.post("/api/chat/participants/", json!({"room": id, "user": bob.id})).await.is(201);
    host.patch(&format!("/api/chat/participants/{}/", added["id"]), json!({"is_admin": true})).await.is(200);
    host.delete(&format!("/api/chat/participants/{}/", added["id"])).await.is(204);
    host.patch(&format!("/api/chat/rooms/{id}/"), json!({"name": "Named"})).await.is(200);
    host.post(&format!("/api/chat/rooms/{id}/archive/"), Value::Null).await.is(200);
    host.post("/api/chat/messages/", json!({"room": id, "content": "x"})).await.is(403);
    host.delete(&format!("/api/chat/rooms/{id}/")).await.is(204);
    host.get(&format!("/api/chat/rooms/{}/", Uuid::new_v4())).await.is(404);
}
