//! A client's end of a WebSocket, as a person uses it.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};
use uuid::Uuid;

use super::people::Person;

/// How long something that must come may take.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// A connection that is open, or that the server has closed.
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
    last_ping: i64,
}

/// How a person opens a socket.
pub struct Entry<'a> {
    person: &'a Person,
    path: String,
    query: Vec<(String, String)>,
    offers_chat_v1: bool,
    origin: Option<&'a str>,
}

impl Person {
    /// The way into a room.
    pub fn way_into(&self, room: &str) -> Entry<'_> {
        let path = format!("/ws/chat/{room}/");
        Entry { person: self, path, query: Vec::new(), offers_chat_v1: false, origin: None }
    }

    /// The way to all of a person's rooms.
    pub fn way_to_all(&self) -> Entry<'_> {
        Entry { path: "/ws/chat/".into(), ..self.way_into("") }
    }

    /// Opens a socket of a room and reads its greeting.
    pub async fn enters(&self, room: &str) -> Socket {
        let mut socket = self.way_into(room).opens().await.expect("a socket");
        socket.is_greeted().await;
        socket
    }

    /// Opens a socket of a room and reads what it missed.
    pub async fn returns(&self, room: &str, since: i64) -> (Socket, Vec<Value>) {
        let mut socket = self.way_into(room).since(since).opens().await.expect("a socket");
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

    /// Opens the socket of all rooms; gives what it is greeted with too.
    pub async fn signs_in(&self) -> (Socket, Value) {
        let mut socket = self.way_to_all().opens().await.expect("a socket");
        let greeting = socket.next_is("connection_established").await;
        (socket, greeting)
    }
}

impl<'a> Entry<'a> {
    /// Asks for what came after a position.
    pub fn since(self, since: impl ToString) -> Self {
        self.with("since", &since.to_string())
    }

    /// Adds to the query.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Offers the subprotocol that tells why one may not in.
    pub fn in_chat_v1(mut self) -> Self {
        self.offers_chat_v1 = true;
        self
    }

    /// Comes from a page of this origin.
    pub fn from_page(mut self, origin: &'a str) -> Self {
        self.origin = Some(origin);
        self
    }

    /// Opens the socket; the status where that is refused.
    pub async fn opens(self) -> Result<Socket, u16> {
        match self.tries().await {
            Ok(socket) => Ok(socket),
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("neither a socket nor an answer: {error}"),
        }
    }

    /// Opens the socket, of a server that may be away.
    pub async fn tries(self) -> Result<Socket, Error> {
        let mut query = self.query;
        if !self.offers_chat_v1 && !self.person.token.is_empty() {
            query.insert(0, ("token".into(), self.person.token.clone()));
        }
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let url = format!("ws://{}{}?{}", self.person.address, self.path, query.join("&"));
        let mut request = url.into_client_request().expect("a request");
        let headers = request.headers_mut();
        if self.offers_chat_v1 {
            let offer = format!("chat.v1, bearer.{}", self.person.token);
            headers.insert("Sec-WebSocket-Protocol", HeaderValue::from_str(&offer).expect("a header"));
        }
        if let Some(origin) = self.origin {
            headers.insert("Origin", HeaderValue::from_str(origin).expect("a header"));
        }
        let opened = async {
            let stream = TcpStream::connect(self.person.address).await?;
            stream.set_nodelay(true)?;
            tokio_tungstenite::client_async(request, stream).await
        };
        let opened = tokio::time::timeout(PATIENCE, opened).await.expect("an answer in time");
        opened.map(|(stream, _)| Socket { stream, last_ping: 0 })
    }

    /// Insists on being let in and then closed; gives the code.
    pub async fn is_closed_with(self) -> u16 {
        self.in_chat_v1().opens().await.expect("to be let in at first").is_closed().await
    }
}

impl Socket {
    /// What comes next: a frame, or the code that the socket was closed with.
    pub async fn next_or_end(&mut self) -> Result<Value, u16> {
        tokio::time::timeout(PATIENCE, self.frame()).await.expect("something to come in time")
    }

    /// The same, however long it takes.
    pub async fn frame(&mut self) -> Result<Value, u16> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).expect("JSON")),
                Some(Ok(Message::Close(close))) => return Err(close.map_or(1005, |close| close.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(1006),
            }
        }
    }

    /// The next frame.
    pub async fn next(&mut self) -> Value {
        self.next_or_end().await.unwrap_or_else(|code| panic!("closed with {code}"))
    }

    /// The next frame, which must be of this type.
    pub async fn next_is(&mut self, kind: &str) -> Value {
        let frame = self.next().await;
        assert_eq!(frame["type"], kind, "{frame}");
        frame
    }

    /// Reads what everyone is told at first; gives the first frame.
    pub async fn is_greeted(&mut self) -> Value {
        let greeting = self.next_is("connection_established").await;
        self.next_is("read_state").await;
        self.next_is("presence_state").await;
        greeting
    }

    /// Waits for a frame of this type and passes over others.
    pub async fn hears(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.next().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// Waits for a message with this text; gives its frame.
    pub async fn sees(&mut self, content: &str) -> Value {
        loop {
            let frame = self.hears("chat_message").await;
            if frame["message"]["content"] == content {
                return frame;
            }
        }
    }

    /// Gives all that has come by now, by the time that a question of its own is answered.
    pub async fn has_heard(&mut self) -> Vec<Value> {
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

    /// Insists that nothing has come but news of who is there.
    pub async fn has_heard_nothing(&mut self) {
        let heard = self.has_heard().await;
        let news: Vec<&Value> = heard.iter().filter(|frame| frame["type"] != "presence").collect();
        assert!(news.is_empty(), "{news:?}");
    }

    /// Sends a frame.
    pub async fn sends(&mut self, frame: Value) {
        self.sends_raw(Message::text(frame.to_string())).await;
    }

    /// Sends anything; a socket that is closed already takes it without a word.
    pub async fn sends_raw(&mut self, message: Message) {
        let _closed = self.stream.send(message).await;
    }

    /// Sends a text to the room of this socket.
    pub async fn says(&mut self, text: &str) {
        self.sends(json!({"type": "chat_message", "message": text})).await;
    }

    /// The answer to the send of that name, whatever comes before it.
    pub async fn answer_to(&mut self, client_id: &str) -> Value {
        loop {
            let frame = self.next().await;
            if frame["client_id"] == client_id && frame["type"] != "chat_message" {
                return frame;
            }
        }
    }

    /// Sends a text with a name for the send; gives that name.
    pub async fn says_surely(&mut self, text: &str) -> String {
        let client_id = Uuid::new_v4().to_string();
        self.sends(json!({"type": "chat_message", "message": text, "client_id": client_id})).await;
        client_id
    }

    /// Waits for an error and gives it, which must have this code.
    pub async fn is_told(&mut self, code: &str) -> Value {
        let error = self.hears("error").await;
        assert_eq!(error["code"], code, "{error}");
        error
    }

    /// Waits for the end and gives its code.
    pub async fn is_closed(&mut self) -> u16 {
        loop {
            if let Err(code) = self.next_or_end().await {
                return code;
            }
        }
    }

    /// Waits for the close frame and gives its code and its reason.
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
        tokio::time::timeout(PATIENCE, closing).await.expect("a close frame in time")
    }

    /// Waits for the end and gives what came before it, too.
    pub async fn hears_until_closed(&mut self) -> (Vec<Value>, u16) {
        let mut heard = Vec::new();
        loop {
            match self.next_or_end().await {
                Ok(frame) => heard.push(frame),
                Err(code) => return (heard, code),
            }
        }
    }

    /// Waits until the server has ended the connection itself, after its close frame.
    pub async fn connection_ends(&mut self) {
        let ended = async { while let Some(Ok(_)) = self.stream.next().await {} };
        tokio::time::timeout(PATIENCE, ended).await.expect("the connection to end");
    }

    /// Goes, as a browser does whose page is closed.
    pub async fn closes(mut self) {
        let _closed = self.stream.close(None).await;
    }
}
