//! Users with tokens, and their requests over REST.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::node::{Node, SECRET};

/// A user with a token, or the host application.
#[derive(Clone, Debug)]
pub struct TestUser {
    /// The user's id; 0 for the host application.
    pub id: i64,
    /// The username.
    pub name: String,
    /// The server's address.
    pub address: std::net::SocketAddr,
    /// The token that requests carry.
    pub token: String,
    client: reqwest::Client,
}

/// Returns the Unix time in seconds.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock past 1970");
    i64::try_from(since.as_secs()).expect("a clock before the end of time")
}

/// Signs a token with these claims; by default it is valid for an hour from now.
pub fn token(overrides: Value) -> String {
    let mut claims = json!({"token_type": "access", "iat": now(), "exp": now() + 3_600,
        "jti": uuid::Uuid::new_v4().simple().to_string()});
    for (name, value) in overrides.as_object().expect("claims") {
        claims[name] = value.clone();
    }
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).expect("a token")
}

impl Node {
    /// Creates a user in the directory.
    pub async fn user(&self, name: &str) -> TestUser {
        static LAST: AtomicI64 = AtomicI64::new(1_000);
        let id = LAST.fetch_add(1, Ordering::Relaxed);
        let user = self.unknown_user(id, &format!("{name}{id}"));
        self.host().upserts(&user, json!({})).await;
        user
    }

    /// Returns a user with a valid token who isn't in the directory.
    pub fn unknown_user(&self, id: i64, name: &str) -> TestUser {
        let token = token(json!({"user_id": id}));
        // Without a pool, no connection is stale after a restart.
        let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build();
        let client = client.expect("a client");
        TestUser { id, name: name.to_owned(), address: self.address, token, client }
    }

    /// Creates users in the directory by one request; returns their ids.
    pub async fn create_users(&self, count: i64) -> Vec<i64> {
        static LAST: AtomicI64 = AtomicI64::new(1_000_000);
        let first = LAST.fetch_add(count, Ordering::Relaxed);
        let ids: Vec<i64> = (first..first + count).collect();
        let users: Vec<Value> =
            ids.iter().map(|id| json!({"id": id, "username": format!("crowd{id}")})).collect();
        self.host().posts("users/sync/", json!(users)).await;
        ids
    }

    /// Returns the host application.
    pub fn host(&self) -> TestUser {
        let host = self.unknown_user(0, "host");
        TestUser { token: token(json!({"scope": "service"})), ..host }
    }
}

impl TestUser {
    /// Returns the same user with another token.
    pub fn with_token(&self, token: String) -> Self {
        Self { token, ..self.clone() }
    }

    /// Sends a request; returns the status and the body.
    pub async fn requests(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, String) {
        let url = format!("http://{}/api/chat/{path}", self.address);
        let mut request = self.client.request(method, url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.expect("a response");
        (response.status(), response.text().await.expect("a body"))
    }

    async fn succeeds(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let (status, text) = self.requests(method, path, body).await;
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// `GET`, which must succeed.
    pub async fn gets(&self, path: &str) -> Value {
        self.succeeds(Method::GET, path, None).await
    }

    /// `POST`, which must succeed.
    pub async fn posts(&self, path: &str, body: Value) -> Value {
        self.succeeds(Method::POST, path, Some(body)).await
    }

    /// `PATCH`, which must succeed.
    pub async fn patches(&self, path: &str, body: Value) -> Value {
        self.succeeds(Method::PATCH, path, Some(body)).await
    }

    /// `DELETE`, which must succeed.
    pub async fn deletes(&self, path: &str) {
        self.succeeds(Method::DELETE, path, None).await;
    }

    /// As the host application: stores a user in the directory, with `fields` in addition to the names.
    pub async fn upserts(&self, user: &TestUser, fields: Value) {
        let mut body = json!({"username": user.name, "full_name": format!("Full {}", user.name)});
        for (name, value) in fields.as_object().expect("fields") {
            body[name] = value.clone();
        }
        self.succeeds(Method::PUT, &format!("users/{}/", user.id), Some(body)).await;
    }

    /// Creates a group with these users.
    pub async fn makes_group(&self, others: &[&TestUser]) -> String {
        let ids: Vec<i64> = others.iter().map(|other| other.id).collect();
        let body = json!({"room_type": "group", "name": "Team", "participant_ids": ids});
        text(&self.posts("rooms/", body).await["id"])
    }

    /// Creates or finds the direct room with another user.
    pub async fn opens_direct(&self, other: &TestUser) -> String {
        text(&self.posts("rooms/", json!({"participant_ids": [other.id]})).await["id"])
    }

    /// Sends a message over REST.
    pub async fn posts_message(&self, room: &str, content: &str) -> Value {
        self.posts("messages/", json!({"room": room, "content": content})).await
    }

    /// Returns the id of a user's participant in a room.
    pub async fn participant_id(&self, other: &TestUser, room: &str) -> i64 {
        let page = self.gets(&format!("participants/?room={room}&user={}", other.id)).await;
        page["results"][0]["id"].as_i64().expect("a participant")
    }

    /// Adds another user to a room.
    pub async fn adds(&self, other: &TestUser, room: &str) {
        self.posts("participants/", json!({"room": room, "user": other.id})).await;
    }

    /// Removes another user from a room.
    pub async fn removes(&self, other: &TestUser, room: &str) {
        let participant = self.participant_id(other, room).await;
        self.deletes(&format!("participants/{participant}/")).await;
    }

    /// Leaves a room.
    pub async fn leaves(&self, room: &str) {
        self.posts(&format!("rooms/{room}/leave/"), json!({})).await;
    }

    /// Reads the room's events after a position, as text and as JSON.
    pub async fn events(&self, room: &str, since: i64) -> (String, Value) {
        let path = format!("rooms/{room}/events/?since={since}&limit=1000");
        let (status, text) = self.requests(Method::GET, &path, None).await;
        assert!(status.is_success(), "{status} {text}");
        let page = serde_json::from_str(&text).expect("JSON");
        (text, page)
    }
}

/// Returns the text of a JSON string.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}
