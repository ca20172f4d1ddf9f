//! A WebSocket client for the tests.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    time::{timeout, timeout_at},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{self, Message},
};

/// Longer than anything may take on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// An open socket.
pub(crate) struct Socket {
    stream: WebSocketStream<TcpStream>,
}

/// What arrives on a socket.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SocketEvent {
    Frame(Value),
    /// The close code; 1006 without one.
    End(u16),
}

/// A failed handshake with its status; 0 if there was no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HandshakeFailed(pub(crate) u16);

impl Socket {
    pub(crate) async fn open(port: u16, path: &str) -> Result<Self, HandshakeFailed> {
        let connecting = async {
            let stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(|_| HandshakeFailed(0))?;
            let _nodelay = stream.set_nodelay(true);
            let url = format!("ws://127.0.0.1:{port}{path}");
            match tokio_tungstenite::client_async(url, stream).await {
                Ok((stream, _)) => Ok(Self { stream }),
                Err(tungstenite::Error::Http(answer)) => Err(HandshakeFailed(answer.status().as_u16())),
                Err(_) => Err(HandshakeFailed(0)),
            }
        };
        timeout(Duration::from_secs(10), connecting).await.unwrap_or(Err(HandshakeFailed(0)))
    }

    /// The next event.
    pub(crate) async fn next(&mut self) -> SocketEvent {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => {
                    return SocketEvent::Frame(serde_json::from_str(&text).unwrap());
                }
                Some(Ok(Message::Close(frame))) => {
                    return SocketEvent::End(frame.map_or(1006, |frame| frame.code.into()));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return SocketEvent::End(1006),
            }
        }
    }

    /// Waits for a frame of this type.
    pub(crate) async fn sees(&mut self, kind: &str) -> Value {
        self.sees_where(kind, |_| true).await
    }

    /// Waits for a frame of this type for which `is_it` is true.
    pub(crate) async fn sees_where(&mut self, kind: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let until = tokio::time::Instant::now() + SOON;
        let mut others = Vec::new();
        loop {
            match timeout_at(until, self.next()).await {
                Ok(SocketEvent::Frame(frame)) if frame["type"] == kind && is_it(&frame) => return frame,
                Ok(SocketEvent::Frame(frame)) => others.push(frame),
                end => panic!("no {kind} but {others:?} and {end:?}"),
            }
        }
    }

    /// Waits for the end and returns its code; skips the frames before it.
    pub(crate) async fn ends(&mut self) -> u16 {
        let end = async {
            loop {
                if let SocketEvent::End(code) = self.next().await {
                    return code;
                }
            }
        };
        timeout(SOON, end).await.expect("an end")
    }

    pub(crate) async fn send(&mut self, frame: &Value) -> bool {
        let sent = timeout(Duration::from_secs(5), self.stream.send(Message::text(frame.to_string())));
        matches!(sent.await, Ok(Ok(())))
    }

    /// Sends a message to the room of this socket and waits for its ack. Returns the `seq` and the latency.
    pub(crate) async fn says(&mut self, text: &str) -> (i64, Duration) {
        let client_id = uuid::Uuid::new_v4().to_string();
        let begin = Instant::now();
        assert!(self.send(&json!({"type": "chat_message", "message": text, "client_id": client_id})).await);
        let ack = self.sees_where("ack", |ack| ack["client_id"] == client_id.as_str()).await;
        (ack["seq"].as_i64().unwrap(), begin.elapsed())
    }

    /// Waits for a message with this text.
    pub(crate) async fn hears(&mut self, text: &str) -> Value {
        self.sees_where("chat_message", |frame| frame["message"]["content"] == text).await
    }
}
