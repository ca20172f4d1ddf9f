//! REST clients that speak the domain, and their responses.

use std::sync::atomic::{AtomicI64, Ordering};

use aristay_chat::auth::RoomGrant;
use aristay_chat::auth::token_issuer::AccessTokenClaims;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::server::{Server, shared};

/// A client with or without a token.
#[derive(Clone)]
pub struct ApiClient {
    /// The user id; 0 without a user.
    pub id: i64,
    token: Option<String>,
    base: String,
    client: reqwest::Client,
}

/// A response.
#[derive(Debug)]
pub struct ApiResponse {
    pub status: u16,
    pub headers: HeaderMap,
    /// The raw body.
    pub bytes: Vec<u8>,
}

impl ApiResponse {
    /// The body as JSON; null if it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or(Value::Null)
    }

    /// Asserts the status and returns the body.
    #[track_caller]
    pub fn expect_status(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.bytes));
        self.json()
    }

    /// Asserts a 400 with errors for exactly these fields.
    #[track_caller]
    pub fn expect_field_errors(&self, fields: &[&str]) {
        let body = self.expect_status(400);
        let found: Vec<&String> = body.as_object().expect("an object").keys().collect();
        assert_eq!(found, fields, "{body}");
        assert!(body[fields[0]][0].is_string(), "{body}");
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("plain text"))
    }
}

/// An id that no other test uses.
pub fn fresh_id() -> i64 {
    static LAST: AtomicI64 = AtomicI64::new(1_000);
    LAST.fetch_add(1, Ordering::Relaxed)
}

/// A client of a new user with this name, whom the host application has registered.
pub async fn new_user(name: &str) -> ApiClient {
    new_user_at(shared().await, name).await
}

/// The same on another server than the shared one.
pub async fn new_user_at(server: &Server, name: &str) -> ApiClient {
    let id = fresh_id();
    let user =
        ApiClient::with(server, &AccessTokenClaims { user_id: Some(id), ..AccessTokenClaims::default() });
    let profile = json!({"username": format!("{name}{id}"), "full_name": format!("{name} of {id}"),
        "email": format!("{name}{id}@example.org")});
    host_at(server).put(&format!("/api/chat/users/{id}/"), profile).await.expect_status(200);
    user
}

/// The host application.
pub async fn host() -> ApiClient {
    host_at(shared().await)
}

/// The host application on another server than the shared one.
pub fn host_at(server: &Server) -> ApiClient {
    ApiClient::with(server, &AccessTokenClaims { is_service: true, ..AccessTokenClaims::default() })
}

impl ApiClient {
    /// A client with a token of these claims.
    pub fn with(server: &Server, says: &AccessTokenClaims) -> Self {
        Self {
            id: says.user_id.unwrap_or_default(),
            token: Some(server.token_issuer.access_token(says)),
            base: format!("http://{}", server.address),
            // A kept-alive connection may be closed by the server just when it is used.
            client: reqwest::Client::builder()
                .no_proxy()
                .pool_max_idle_per_host(0)
                .build()
                .expect("a client"),
        }
    }

    /// The same user with a token that grants the room of `subject`, such as `task:7`.
    pub async fn granted(&self, subject: &str) -> Self {
        let grant: RoomGrant = subject.parse().expect("a grant");
        let says =
            AccessTokenClaims { user_id: Some(self.id), grant: Some(grant), ..AccessTokenClaims::default() };
        Self::with(shared().await, &says)
    }

    /// The same client without a token.
    pub fn without_token(&self) -> Self {
        Self { id: 0, token: None, ..self.clone() }
    }

    pub fn token(&self) -> &str {
        self.token.as_deref().expect("someone with a token")
    }

    /// The same client with another token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// Begins a request.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base) };
        let request = self.client.request(method, url);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request and reads the response.
    pub async fn send(request: RequestBuilder) -> ApiResponse {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        ApiResponse { status, headers, bytes: response.bytes().await.expect("a body").to_vec() }
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> ApiResponse {
        Self::send(self.request(Method::GET, path)).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> ApiResponse {
        Self::send(self.request(Method::DELETE, path)).await
    }

    /// `POST` of JSON.
    pub async fn post(&self, path: &str, body: Value) -> ApiResponse {
        Self::send(self.request(Method::POST, path).json(&body)).await
    }

    /// `PUT` of JSON.
    pub async fn put(&self, path: &str, body: Value) -> ApiResponse {
        Self::send(self.request(Method::PUT, path).json(&body)).await
    }

    /// `PATCH` of JSON.
    pub async fn patch(&self, path: &str, body: Value) -> ApiResponse {
        Self::send(self.request(Method::PATCH, path).json(&body)).await
    }

    /// `POST` of these bytes as JSON, valid or not.
    pub async fn post_raw(&self, path: &str, body: impl Into<reqwest::Body>) -> ApiResponse {
        let request = self.request(Method::POST, path).header("content-type", "application/json");
        Self::send(request.body(body)).await
    }

    /// `POST` of a multipart form: texts, and files as name, file name and bytes.
    pub async fn post_form(
        &self,
        path: &str,
        texts: &[(&str, &str)],
        files: &[(&str, &str, &[u8])],
    ) -> ApiResponse {
        let mut body = Vec::new();
        for (name, text) in texts {
            let head = format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n");
            body.extend_from_slice(head.as_bytes());
        }
        for (name, file_name, bytes) in files {
            let head = format!(
                "--edge\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{file_name}\"\r\n\
                 Content-Type: application/octet-stream\r\n\r\n"
            );
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(bytes);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--edge--\r\n");
        let request = self.request(Method::POST, path);
        Self::send(request.header("content-type", "multipart/form-data; boundary=edge").body(body)).await
    }

    /// Creates a group with these others and returns its id.
    #[track_caller]
    pub fn creates_group(&self, others: &[&Self]) -> impl Future<Output = String> + use<> {
        let ids: Vec<i64> = others.iter().map(|other| other.id).collect();
        let me = self.clone();
        async move {
            let body = json!({"room_type": "group", "name": "Boiler", "participant_ids": ids});
            text_of(&me.post("/api/chat/rooms/", body).await.expect_status(201)["id"])
        }
    }

    /// Opens the direct room with another user and returns its id.
    pub async fn opens_direct(&self, other: &Self) -> String {
        let body = json!({"participant_ids": [other.id]});
        text_of(&self.post("/api/chat/rooms/", body).await.expect_status(201)["id"])
    }

    /// Sends a text and returns the message.
    pub async fn says(&self, room: &str, text: &str) -> Value {
        self.post("/api/chat/messages/", json!({"room": room, "content": text})).await.expect_status(201)
    }

    /// Marks all of a room as read.
    pub async fn reads(&self, room: &str) {
        self.post(&format!("/api/chat/rooms/{room}/mark_read/"), json!({})).await.expect_status(200);
    }

    /// Reads a room.
    pub async fn room(&self, room: &str) -> Value {
        self.get(&format!("/api/chat/rooms/{room}/")).await.expect_status(200)
    }

    /// The texts of the newest messages of a room, newest first.
    pub async fn sees(&self, room: &str) -> Vec<String> {
        let page = self.get(&format!("/api/chat/messages/?room={room}")).await.expect_status(200);
        texts(&page)
    }

    /// The unread count of a room.
    pub async fn unread(&self, room: &str) -> i64 {
        self.room(room).await["unread_count"].as_i64().expect("a count")
    }

    /// The participant id of another user in a room that this one is in.
    pub async fn participant_id(&self, other: &Self, room: &str) -> i64 {
        let path = format!("/api/chat/participants/?room={room}&user={}", other.id);
        self.get(&path).await.expect_status(200)["results"][0]["id"].as_i64().expect("a participant")
    }

    /// Removes another user from a room.
    pub async fn removes(&self, other: &Self, room: &str) {
        let place = self.participant_id(other, room).await;
        self.delete(&format!("/api/chat/participants/{place}/")).await.expect_status(204);
    }
}

/// The contents of a page of messages.
pub fn texts(page: &Value) -> Vec<String> {
    page["results"].as_array().expect("results").iter().map(|message| text_of(&message["content"])).collect()
}

/// A JSON string.
#[track_caller]
pub fn text_of(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// A header's name and value from text.
pub fn header(name: &'static str, value: &str) -> (HeaderName, HeaderValue) {
    (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a header"))
}
