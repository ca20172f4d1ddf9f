//! A whole engine on a store in memory, and its clients.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::DateTime;
use serde_json::Value;
use uuid::Uuid;

use super::connection::{Peer, connection};
use super::store::MemoryStore;
use crate::domain::ids::{NodeId, UserId};
use crate::engine::{
    ClientInput, ConnectError, ConnectRequest, ConnectTarget, EngineHandle, EngineParts, SessionHandle,
    Worker,
};
use crate::limits::Limits;
use crate::ports::clock::Clock;
use crate::ports::identity::{Credential, Identity};
use crate::protocol::codec;
use crate::protocol::envelope::EnvelopeKey;

/// The bytes that a connection buffers.
const CONNECTION_BYTES: usize = 1 << 20;

/// An engine of one thread.
pub struct MemoryEngine {
    /// The engine.
    pub handle: EngineHandle,
    /// Its thread.
    pub worker: Rc<Worker>,
    /// Its store.
    pub store: Arc<MemoryStore>,
    /// Its clock.
    pub clock: Clock,
}

/// An identity that accepts no token.
struct NoTokens;

#[async_trait]
impl Identity for NoTokens {
    async fn verify(&self, _: &str) -> Option<Credential> {
        None
    }
}

impl MemoryEngine {
    /// Starts an engine on this thread.
    #[must_use]
    pub fn start(store: MemoryStore, limits: Limits) -> Self {
        let (store, clock) = (Arc::new(store), Clock::start(DateTime::UNIX_EPOCH));
        let handle = EngineHandle::start(EngineParts {
            node: NodeId(Uuid::from_u128(1)),
            limits,
            clock,
            store: store.clone(),
            identity: Arc::new(NoTokens),
            broker: None,
            envelope_key: EnvelopeKey::new(b"an engine in memory"),
        });
        let worker = handle.worker();
        Self { handle, worker, store, clock }
    }

    /// Opens a socket, with a token issued at `issued_at`, of a client that offers the subprotocol.
    #[must_use]
    pub fn connect(&self, user: UserId, issued_at: i64, target: ConnectTarget) -> Client {
        self.open(user, issued_at, target, None)
    }

    /// Opens a socket; `refuse` makes the bytes of a refusal.
    #[must_use]
    pub fn open(
        &self,
        user: UserId,
        issued_at: i64,
        target: ConnectTarget,
        refuse: Option<fn(ConnectError) -> Bytes>,
    ) -> Client {
        let (writer, peer) = connection(CONNECTION_BYTES, self.clock);
        let expires_in = Duration::from_secs(86_400);
        let session = self.worker.connect(ConnectRequest {
            credential: Credential { user, issued_at, expires_at: DateTime::UNIX_EPOCH, expires_in },
            grace: Duration::ZERO,
            target,
            writer: Box::new(writer),
            accept: codec::ping(),
            refuse,
        });
        Client::new(session, peer)
    }
}

/// A client's end of a socket.
pub struct Client {
    /// The session.
    pub session: SessionHandle,
    /// The connection that the engine writes to.
    pub peer: Peer,
    buffer: Vec<u8>,
}

/// What a client receives.
#[derive(Clone, Debug, PartialEq)]
pub enum ReceivedFrame {
    /// The response to its handshake, or a ping.
    Accepted,
    /// A frame.
    Text(Value),
    /// The close frame's code.
    Closed(u16),
}

impl Client {
    /// A client at the other end of a session's connection.
    #[must_use]
    pub fn new(session: SessionHandle, peer: Peer) -> Self {
        Self { session, peer, buffer: Vec::new() }
    }

    /// Sends a frame, even before the handshake is done.
    pub fn sends(&self, frame: &Value) {
        let (session, input) = (self.session.clone(), ClientInput::Text(Bytes::from(frame.to_string())));
        actix::spawn(async move { _ = session.receive(vec![input]).await });
    }

    /// The next frame; none once the connection has ended.
    pub async fn next(&mut self) -> Option<ReceivedFrame> {
        loop {
            if let Some((received, length)) = first(&self.buffer) {
                self.buffer.drain(..length);
                return Some(received);
            }
            self.buffer.extend(self.peer.read(4_096).await?);
        }
    }

    /// Waits for a frame of this type and skips others; none if the connection ends.
    pub async fn hears(&mut self, kind: &str) -> Option<Value> {
        loop {
            match self.next().await? {
                ReceivedFrame::Text(frame) if frame["type"] == kind => return Some(frame),
                _ => {}
            }
        }
    }

    /// All frames until the connection ends.
    pub async fn hears_all(&mut self) -> Vec<ReceivedFrame> {
        let mut all = Vec::new();
        while let Some(received) = self.next().await {
            let is_last = matches!(received, ReceivedFrame::Closed(_));
            all.push(received);
            if is_last {
                break;
            }
        }
        all
    }
}

/// The first whole frame, and its length.
fn first(bytes: &[u8]) -> Option<(ReceivedFrame, usize)> {
    let (opcode, short) = (*bytes.first()?, usize::from(*bytes.get(1)?));
    let (start, length) = match short {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?),
        _ => (2, short),
    };
    let payload = bytes.get(start..start + length)?;
    let received = match opcode {
        0x81 => ReceivedFrame::Text(serde_json::from_slice(payload).ok()?),
        0x88 => ReceivedFrame::Closed(u16::from_be_bytes(payload.get(..2)?.try_into().ok()?)),
        _ => ReceivedFrame::Accepted,
    };
    Some((received, start + length))
}
