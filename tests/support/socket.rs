//! The client's side of a WebSocket, in the words of its user.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};
use uuid::Uuid;

use super::users::TestUser;

/// The longest that an expected frame may take.
pub const TIMEOUT: Duration = Duration::from_secs(15);

/// A connection that is open, or that the server has closed.
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
    last_ping: i64,
    /// Whether notifications are among the frames: they come at a time of their own.
    hears_notifications: bool,
}

/// A request to open a socket.
pub struct SocketRequest<'a> {
    user: &'a TestUser,
    path: String,
    query: Vec<(String, String)>,
    offers_chat_v1: bool,
    origin: Option<&'a str>,
}

impl TestUser {
    /// Requests the socket of a room.
    pub fn room_socket(&self, room: &str) -> SocketRequest<'_> {
        let path = format!("/ws/chat/{room}/");
        SocketRequest { user: self, path, query: Vec::new(), offers_chat_v1: false, origin: None }
    }

    /// Requests the socket of all the user's rooms.
    pub fn user_socket(&self) -> SocketRequest<'_> {
        SocketRequest { path: "/ws/chat/".into(), ..self.room_socket("") }
    }

    /// Opens the socket of a room and reads its initial frames.
    pub async fn joins(&self, room: &str) -> Socket {
        let mut socket = self.room_socket(room).opens().await.expect("a socket");
        socket.reads_greeting().await;
        socket
    }

    /// Opens the socket of a room and reads the events after `since`.
    pub async fn resumes(&self, room: &str, since: i64) -> (Socket, Vec<Value>) {
        let mut socket = self.room_socket(room).since(since).opens().await.expect("a socket");
        socket.next_is("connection_established").await;
        let mut missed = Vec::new();
        loop {
            let frame = socket.next().await;
            if frame["type"] == "synced" || frame["type"] == "reset" {
                missed.push(frame);
                socket.next_is("read_state").await;
                socket.next_is("presence_state").await;
                return (socket, missed);
            }
            missed.push(frame);
        }
    }

    /// Opens the socket of all rooms; returns its first frame too.
    pub async fn opens_user_socket(&self) -> (Socket, Value) {
        let mut socket = self.user_socket().opens().await.expect("a socket");
        let greeting = socket.next_is("connection_established").await;
        (socket, greeting)
    }
}

impl<'a> SocketRequest<'a> {
    /// Asks for the events after a position.
    pub fn since(self, since: impl ToString) -> Self {
        self.with("since", &since.to_string())
    }

    /// Adds a query parameter.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Offers the subprotocol `chat.v1`, in which a rejection is told by a close code.
    pub fn with_chat_v1(mut self) -> Self {
        self.offers_chat_v1 = true;
        self
    }

    /// Sends an `Origin` header.
    pub fn with_origin(mut self, origin: &'a str) -> Self {
        self.origin = Some(origin);
        self
    }

    /// Opens the socket; an error is the status of the refusal.
    pub async fn opens(self) -> Result<Socket, u16> {
        match self.try_open().await {
            Ok(socket) => Ok(socket),
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("neither a socket nor an answer: {error}"),
        }
    }

    /// Opens the socket of a server that may be down.
    pub async fn try_open(self) -> Result<Socket, Error> {
        let mut query = self.query;
        if !self.offers_chat_v1 && !self.user.token.is_empty() {
            query.insert(0, ("token".into(), self.user.token.clone()));
        }
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let url = format!("ws://{}{}?{}", self.user.address, self.path, query.join("&"));
        let mut request = url.into_client_request().expect("a request");
        let headers = request.headers_mut();
        if self.offers_chat_v1 {
            let offer = format!("chat.v1, bearer.{}", self.user.token);
            headers.insert("Sec-WebSocket-Protocol", HeaderValue::from_str(&offer).expect("a header"));
        }
        if let Some(origin) = self.origin {
            headers.insert("Origin", HeaderValue::from_str(origin).expect("a header"));
        }
        let opened = async {
            let stream = TcpStream::connect(self.user.address).await?;
            stream.set_nodelay(true)?;
            tokio_tungstenite::client_async(request, stream).await
        };
        let opened = tokio::time::timeout(TIMEOUT, opened).await.expect("an answer in time");
        opened.map(|(stream, _)| Socket { stream, last_ping: 0, hears_notifications: false })
    }

    /// Opens the socket, which must be closed after the handshake; returns the close code.
    pub async fn is_closed_with(self) -> u16 {
        self.with_chat_v1().opens().await.expect("to be let in at first").is_closed().await
    }
}

impl Socket {
    /// The same socket with notifications among its frames.
    pub fn hearing_notifications(self) -> Self {
        Self { hears_notifications: true, ..self }
    }

    /// Returns the next frame, or the close code.
    pub async fn next_or_close_code(&mut self) -> Result<Value, u16> {
        tokio::time::timeout(TIMEOUT, self.frame()).await.expect("something to come in time")
    }

    /// Returns the next frame, or the close code, without a timeout.
    pub async fn frame(&mut self) -> Result<Value, u16> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => {
                    let frame: Value = serde_json::from_str(&text).expect("JSON");
                    let is_notification =
                        ["notification", "notification_gone"].map(Value::from).contains(&frame["type"]);
                    if self.hears_notifications || !is_notification {
                        return Ok(frame);
                    }
                }
                Some(Ok(Message::Close(close))) => return Err(close.map_or(1005, |close| close.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(1006),
            }
        }
    }

    /// Returns the next frame.
    pub async fn next(&mut self) -> Value {
        self.next_or_close_code().await.unwrap_or_else(|code| panic!("closed with {code}"))
    }

    /// Returns the next frame, which must be of this type.
    pub async fn next_is(&mut self, kind: &str) -> Value {
        let frame = self.next().await;
        assert_eq!(frame["type"], kind, "{frame}");
        frame
    }

    /// Reads the initial frames of a room's socket; returns the first.
    pub async fn reads_greeting(&mut self) -> Value {
        let greeting = self.next_is("connection_established").await;
        self.next_is("read_state").await;
        self.next_is("presence_state").await;
        greeting
    }

    /// Waits for a frame of this type and skips others.
    pub async fn receives(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.next().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// Waits for a message with this text; returns its frame.
    pub async fn sees(&mut self, content: &str) -> Value {
        loop {
            let frame = self.receives("chat_message").await;
            if frame["message"]["content"] == content {
                return frame;
            }
        }
    }

    /// Returns all frames received until a ping, sent now, is answered.
    pub async fn received_so_far(&mut self) -> Vec<Value> {
        self.last_ping += 1;
        let n = self.last_ping;
        self.sends(json!({"type": "ping", "n": n})).await;
        let mut heard = Vec::new();
        loop {
            let frame = self.next().await;
            if frame["type"] == "pong" && frame["n"] == n {
                return heard;
            }
            heard.push(frame);
        }
    }

    /// Checks that nothing was received except presence.
    pub async fn receives_nothing(&mut self) {
        let heard = self.received_so_far().await;
        let news: Vec<&Value> = heard.iter().filter(|frame| frame["type"] != "presence").collect();
        assert!(news.is_empty(), "{news:?}");
    }

    /// Sends a frame.
    pub async fn sends(&mut self, frame: Value) {
        self.sends_raw(Message::text(frame.to_string())).await;
    }

    /// Sends any message; on a closed socket it is dropped silently.
    pub async fn sends_raw(&mut self, message: Message) {
        let _closed = self.stream.send(message).await;
    }

    /// Sends a text to the room of this socket.
    pub async fn says(&mut self, text: &str) {
        self.sends(json!({"type": "chat_message", "message": text})).await;
    }

    /// Waits for the answer to the send with this `client_id`.
    pub async fn answer_to(&mut self, client_id: &str) -> Value {
        loop {
            let frame = self.next().await;
            if frame["client_id"] == client_id && frame["type"] != "chat_message" {
                return frame;
            }
        }
    }

    /// Sends a text with a new `client_id`, which is returned.
    pub async fn says_with_client_id(&mut self, text: &str) -> String {
        let client_id = Uuid::new_v4().to_string();
        self.sends(json!({"type": "chat_message", "message": text, "client_id": client_id})).await;
        client_id
    }

    /// Waits for an error, which must have this code.
    pub async fn receives_error(&mut self, code: &str) -> Value {
        let error = self.receives("error").await;
        assert_eq!(error["code"], code, "{error}");
        error
    }

    /// Waits until the socket is closed; returns the close code.
    pub async fn is_closed(&mut self) -> u16 {
        loop {
            if let Err(code) = self.next_or_close_code().await {
                return code;
            }
        }
    }

    /// Waits for the close frame; returns its code and reason.
    pub async fn is_closed_because(&mut self) -> (u16, String) {
        let closing = async {
            loop {
                match self.stream.next().await {
                    Some(Ok(Message::Close(Some(close)))) => {
                        return (close.code.into(), close.reason.to_string());
                    }
                    Some(Ok(Message::Close(None)) | Err(_)) | None => panic!("no reason is given"),
                    Some(Ok(_)) => {}
                }
            }
        };
        tokio::time::timeout(TIMEOUT, closing).await.expect("a close frame in time")
    }

    /// Waits until the socket is closed; returns the frames before too.
    pub async fn receives_until_closed(&mut self) -> (Vec<Value>, u16) {
        let mut heard = Vec::new();
        loop {
            match self.next_or_close_code().await {
                Ok(frame) => heard.push(frame),
                Err(code) => return (heard, code),
            }
        }
    }

    /// Waits until the server has closed the TCP connection, after its close frame.
    pub async fn connection_ends(&mut self) {
        let ended = async { while let Some(Ok(_)) = self.stream.next().await {} };
        tokio::time::timeout(TIMEOUT, ended).await.expect("the connection to end");
    }

    /// Closes the socket, as a browser does when its page is closed.
    pub async fn closes(mut self) {
        let _closed = self.stream.close(None).await;
    }
}
