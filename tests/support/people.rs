//! People with tokens, and what they do over REST.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::node::{Node, SECRET};

/// Someone with a token, or the host application.
#[derive(Clone, Debug)]
pub struct Person {
    /// The person's id; 0 for the host application.
    pub id: i64,
    /// The name to sign in with.
    pub name: String,
    /// Where the server is.
    pub address: std::net::SocketAddr,
    /// What is shown to the server.
    pub token: String,
    client: reqwest::Client,
}

/// Seconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock past 1970");
    i64::try_from(since.as_secs()).expect("a clock before the end of time")
}

/// Signs a token that says this, good from now for an hour where it doesn't say otherwise.
pub fn token(says: Value) -> String {
    let mut claims = json!({"token_type": "access", "iat": now(), "exp": now() + 3_600,
        "jti": uuid::Uuid::new_v4().simple().to_string()});
    for (name, value) in says.as_object().expect("claims") {
        claims[name] = value.clone();
    }
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).expect("a token")
}

impl Node {
    /// Someone new, whom the host application has told of.
    pub async fn person(&self, name: &str) -> Person {
        static LAST: AtomicI64 = AtomicI64::new(1_000);
        let id = LAST.fetch_add(1, Ordering::Relaxed);
        let person = self.stranger(id, &format!("{name}{id}"));
        self.host().tells(&person, json!({})).await;
        person
    }

    /// Someone of whom the server has never heard.
    pub fn stranger(&self, id: i64, name: &str) -> Person {
        let token = token(json!({"user_id": id}));
        // Without connections that are kept, none is stale after a restart.
        let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build();
        let client = client.expect("a client");
        Person { id, name: name.to_owned(), address: self.address, token, client }
    }

    /// The ids of so many new people, of whom the host application has told at once.
    pub async fn crowd(&self, count: i64) -> Vec<i64> {
        static LAST: AtomicI64 = AtomicI64::new(1_000_000);
        let first = LAST.fetch_add(count, Ordering::Relaxed);
        let ids: Vec<i64> = (first..first + count).collect();
        let people: Vec<Value> =
            ids.iter().map(|id| json!({"id": id, "username": format!("crowd{id}")})).collect();
        self.host().posts("users/sync/", json!(people)).await;
        ids
    }

    /// The host application.
    pub fn host(&self) -> Person {
        let host = self.stranger(0, "host");
        Person { token: token(json!({"scope": "service"})), ..host }
    }
}

impl Person {
    /// The same person with another token.
    pub fn with_token(&self, token: String) -> Self {
        Self { token, ..self.clone() }
    }

    /// Asks something over REST; gives the status and the body.
    pub async fn asks(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, String) {
        let url = format!("http://{}/api/chat/{path}", self.address);
        let mut request = self.client.request(method, url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("an answer");
        (answer.status(), answer.text().await.expect("a body"))
    }

    async fn done(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let (status, text) = self.asks(method, path, body).await;
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// `GET`, which must succeed.
    pub async fn gets(&self, path: &str) -> Value {
        self.done(Method::GET, path, None).await
    }

    /// `POST`, which must succeed.
    pub async fn posts(&self, path: &str, body: Value) -> Value {
        self.done(Method::POST, path, Some(body)).await
    }

    /// `PATCH`, which must succeed.
    pub async fn patches(&self, path: &str, body: Value) -> Value {
        self.done(Method::PATCH, path, Some(body)).await
    }

    /// `DELETE`, which must succeed.
    pub async fn deletes(&self, path: &str) {
        self.done(Method::DELETE, path, None).await;
    }

    /// As the host application: tells of a person, who is active where `says` doesn't say otherwise.
    pub async fn tells(&self, of: &Person, says: Value) {
        let mut body = json!({"username": of.name, "full_name": format!("Full {}", of.name)});
        for (name, value) in says.as_object().expect("fields") {
            body[name] = value.clone();
        }
        self.done(Method::PUT, &format!("users/{}/", of.id), Some(body)).await;
    }

    /// Makes a group with these others.
    pub async fn makes_group(&self, others: &[&Person]) -> String {
        let ids: Vec<i64> = others.iter().map(|other| other.id).collect();
        let body = json!({"room_type": "group", "name": "Team", "participant_ids": ids});
        text(&self.posts("rooms/", body).await["id"])
    }

    /// Opens the direct room with another.
    pub async fn opens_direct(&self, other: &Person) -> String {
        text(&self.posts("rooms/", json!({"participant_ids": [other.id]})).await["id"])
    }

    /// Sends a message over REST.
    pub async fn posts_message(&self, room: &str, content: &str) -> Value {
        self.posts("messages/", json!({"room": room, "content": content})).await
    }

    /// The place of a person in a room.
    pub async fn place_of(&self, other: &Person, room: &str) -> i64 {
        let page = self.gets(&format!("participants/?room={room}&user={}", other.id)).await;
        page["results"][0]["id"].as_i64().expect("a participant")
    }

    /// Puts another into a room.
    pub async fn adds(&self, other: &Person, room: &str) {
        self.posts("participants/", json!({"room": room, "user": other.id})).await;
    }

    /// Takes another out of a room.
    pub async fn removes(&self, other: &Person, room: &str) {
        let place = self.place_of(other, room).await;
        self.deletes(&format!("participants/{place}/")).await;
    }

    /// Goes out of a room.
    pub async fn leaves(&self, room: &str) {
        self.posts(&format!("rooms/{room}/leave/"), json!({})).await;
    }

    /// The room's events after a position, as text and as JSON.
    pub async fn events(&self, room: &str, since: i64) -> (String, Value) {
        let path = format!("rooms/{room}/events/?since={since}&limit=1000");
        let (status, text) = self.asks(Method::GET, &path, None).await;
        assert!(status.is_success(), "{status} {text}");
        let page = serde_json::from_str(&text).expect("JSON");
        (text, page)
    }
}

/// A JSON text.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}
