//! People who do things over REST, and what they see.

use std::sync::atomic::{AtomicI64, Ordering};

use aristay_chat::auth::Grant;
use aristay_chat::auth::mint::AccessRequest;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::server::{Server, shared};

/// A caller with a token, or without one.
#[derive(Clone)]
pub struct Someone {
    /// The person's id; 0 for one who is nobody.
    pub id: i64,
    token: Option<String>,
    base: String,
    client: reqwest::Client,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// The body as JSON; null when there is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or(Value::Null)
    }

    /// Insists on a status and gives the body.
    #[track_caller]
    pub fn is(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.bytes));
        self.json()
    }

    /// Insists on 400 with these fields at fault and nothing else.
    #[track_caller]
    pub fn blames(&self, fields: &[&str]) {
        let body = self.is(400);
        let blamed: Vec<&String> = body.as_object().expect("an object").keys().collect();
        assert_eq!(blamed, fields, "{body}");
        assert!(body[fields[0]][0].is_string(), "{body}");
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("plain text"))
    }
}

/// An id that no other test has.
pub fn fresh_id() -> i64 {
    static LAST: AtomicI64 = AtomicI64::new(1_000);
    LAST.fetch_add(1, Ordering::Relaxed)
}

/// Someone new of this name, whom the host application has told of.
pub async fn someone(name: &str) -> Someone {
    someone_at(shared().await, name).await
}

/// Someone new at another application than the shared one.
pub async fn someone_at(server: &Server, name: &str) -> Someone {
    let id = fresh_id();
    let person = Someone::with(server, &AccessRequest { user_id: Some(id), ..AccessRequest::default() });
    let told = json!({"username": format!("{name}{id}"), "full_name": format!("{name} of {id}"),
        "email": format!("{name}{id}@example.org")});
    host_at(server).put(&format!("/api/chat/users/{id}/"), told).await.is(200);
    person
}

/// The host application.
pub async fn host() -> Someone {
    host_at(shared().await)
}

/// The host application at another application than the shared one.
pub fn host_at(server: &Server) -> Someone {
    Someone::with(server, &AccessRequest { is_service: true, ..AccessRequest::default() })
}

impl Someone {
    /// The holder of a token that says this.
    pub fn with(server: &Server, says: &AccessRequest) -> Self {
        Self {
            id: says.user_id.unwrap_or_default(),
            token: Some(server.mint.access(says)),
            base: format!("http://{}", server.address),
            // Of connections that are kept, the server ends those that were idle for long, maybe just now.
            client: reqwest::Client::builder()
                .no_proxy()
                .pool_max_idle_per_host(0)
                .build()
                .expect("a client"),
        }
    }

    /// The same person with a token that grants the room of `subject`, like `task:7`.
    pub async fn granted(&self, subject: &str) -> Self {
        let grant: Grant = subject.parse().expect("a grant");
        let says = AccessRequest { user_id: Some(self.id), grant: Some(grant), ..AccessRequest::default() };
        Self::with(shared().await, &says)
    }

    /// The same client without a token.
    pub fn without_token(&self) -> Self {
        Self { id: 0, token: None, ..self.clone() }
    }

    /// The token.
    pub fn token(&self) -> &str {
        self.token.as_deref().expect("someone with a token")
    }

    /// The same client with this for a token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// Begins a request.
    pub fn asks(&self, method: Method, path: &str) -> RequestBuilder {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base) };
        let request = self.client.request(method, url);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request and reads the answer.
    pub async fn hears(request: RequestBuilder) -> Answer {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, bytes: response.bytes().await.expect("a body").to_vec() }
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        Self::hears(self.asks(Method::GET, path)).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Answer {
        Self::hears(self.asks(Method::DELETE, path)).await
    }

    /// `POST` of JSON.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        Self::hears(self.asks(Method::POST, path).json(&body)).await
    }

    /// `PUT` of JSON.
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        Self::hears(self.asks(Method::PUT, path).json(&body)).await
    }

    /// `PATCH` of JSON.
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        Self::hears(self.asks(Method::PATCH, path).json(&body)).await
    }

    /// `POST` of these bytes as JSON, whatever they are.
    pub async fn posts_raw(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.asks(Method::POST, path).header("content-type", "application/json");
        Self::hears(request.body(body)).await
    }

    /// `POST` of a form: texts, and files as name, file name and bytes.
    pub async fn posts_form(
        &self,
        path: &str,
        texts: &[(&str, &str)],
        files: &[(&str, &str, &[u8])],
    ) -> Answer {
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
        let request = self.asks(Method::POST, path);
        Self::hears(request.header("content-type", "multipart/form-data; boundary=edge").body(body)).await
    }

    /// Makes a group with these others and gives its id.
    #[track_caller]
    pub fn makes_group(&self, others: &[&Self]) -> impl Future<Output = String> + use<> {
        let ids: Vec<i64> = others.iter().map(|other| other.id).collect();
        let me = self.clone();
        async move {
            let body = json!({"room_type": "group", "name": "Boiler", "participant_ids": ids});
            text_of(&me.post("/api/chat/rooms/", body).await.is(201)["id"])
        }
    }

    /// Opens the direct room with another and gives its id.
    pub async fn opens_direct(&self, other: &Self) -> String {
        let body = json!({"participant_ids": [other.id]});
        text_of(&self.post("/api/chat/rooms/", body).await.is(201)["id"])
    }

    /// Sends a text and gives the message.
    pub async fn says(&self, room: &str, text: &str) -> Value {
        self.post("/api/chat/messages/", json!({"room": room, "content": text})).await.is(201)
    }

    /// Reads all of a room.
    pub async fn reads(&self, room: &str) {
        self.post(&format!("/api/chat/rooms/{room}/mark_read/"), json!({})).await.is(200);
    }

    /// Shows a room in full.
    pub async fn room(&self, room: &str) -> Value {
        self.get(&format!("/api/chat/rooms/{room}/")).await.is(200)
    }

    /// The texts of the newest messages of a room, newest first.
    pub async fn sees(&self, room: &str) -> Vec<String> {
        let page = self.get(&format!("/api/chat/messages/?room={room}")).await.is(200);
        texts(&page)
    }

    /// What of a room is unread.
    pub async fn unread(&self, room: &str) -> i64 {
        self.room(room).await["unread_count"].as_i64().expect("a count")
    }

    /// The place of a person in a room that this one is in.
    pub async fn place_of(&self, other: &Self, room: &str) -> i64 {
        let path = format!("/api/chat/participants/?room={room}&user={}", other.id);
        self.get(&path).await.is(200)["results"][0]["id"].as_i64().expect("a participant")
    }

    /// Takes another out of a room.
    pub async fn removes(&self, other: &Self, room: &str) {
        let place = self.place_of(other, room).await;
        self.delete(&format!("/api/chat/participants/{place}/")).await.is(204);
    }
}

/// The contents of a page of messages.
pub fn texts(page: &Value) -> Vec<String> {
    page["results"].as_array().expect("results").iter().map(|message| text_of(&message["content"])).collect()
}

/// A JSON text.
#[track_caller]
pub fn text_of(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// A header's name and value from text.
pub fn header(name: &'static str, value: &str) -> (HeaderName, HeaderValue) {
    (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a header"))
}
