//! A whole engine on a store in memory, and clients of it.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use async_trait::async_trait;
use bytes::Bytes;
use chrono::DateTime;
use serde_json::Value;
use uuid::Uuid;

use super::store::MemoryStore;
use super::wire::{Peer, connection};
use crate::domain::ids::{NodeId, UserId};
use crate::engine::{EngineHandle, Parts};
use crate::limits::Limits;
use crate::ports::clock::Clock;
use crate::ports::identity::{Credential, Identity};
use crate::protocol::codec;
use crate::protocol::envelope::LinkKey;
use crate::session::{Connect, ConnectError, Input, SessionActor, Target, hand_over};
use crate::worker::Worker;

/// What a connection holds on its way.
const WIRE_BYTES: usize = 1 << 20;

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

/// Nobody renews a token here.
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
        let handle = EngineHandle::start(Parts {
            node: NodeId(Uuid::from_u128(1)),
            limits,
            clock,
            store: store.clone(),
            identity: Arc::new(NoTokens),
            link: None,
            link_key: LinkKey::new(b"an engine in memory"),
        });
        let worker = handle.worker();
        Self { handle, worker, store, clock }
    }

    /// Opens a socket with a token from that second, of a client that offers the subprotocol.
    #[must_use]
    pub fn connect(&self, user: UserId, issued_at: i64, target: Target) -> Client {
        self.open(user, issued_at, target, None)
    }

    /// Opens a socket whose refusals are these bytes.
    #[must_use]
    pub fn open(
        &self,
        user: UserId,
        issued_at: i64,
        target: Target,
        refuse: Option<fn(ConnectError) -> Bytes>,
    ) -> Client {
        let (wire, peer) = connection(WIRE_BYTES, self.clock);
        let expires_in = Duration::from_secs(86_400);
        let session = self.worker.connect(Connect {
            credential: Credential { user, issued_at, expires_at: DateTime::UNIX_EPOCH, expires_in },
            grace: Duration::ZERO,
            target,
            wire: Box::new(wire),
            accept: codec::ping(),
            refuse,
        });
        Client { session, peer, buffer: Vec::new() }
    }
}

/// A client's end of a socket.
pub struct Client {
    /// The session's actor.
    pub session: Addr<SessionActor>,
    /// What the engine writes to.
    pub peer: Peer,
    buffer: Vec<u8>,
}

/// What a client is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// The answer to its handshake, or a ping.
    Accepted,
    /// A frame.
    Frame(Value),
    /// The code that its socket is closed with.
    Closed(u16),
}

impl Client {
    /// Sends a frame, be it before it has been let in.
    pub fn sends(&self, frame: &Value) {
        let (session, input) = (self.session.clone(), Input::Text(Bytes::from(frame.to_string())));
        actix::spawn(async move { _ = hand_over(&session, vec![input]).await });
    }

    /// What comes next; none when the connection has ended.
    pub async fn next(&mut self) -> Option<Told> {
        loop {
            if let Some((told, length)) = first(&self.buffer) {
                self.buffer.drain(..length);
                return Some(told);
            }
            self.buffer.extend(self.peer.read(4_096).await?);
        }
    }

    /// Waits for a frame of this type and passes over others; none when the connection ends.
    pub async fn hears(&mut self, kind: &str) -> Option<Value> {
        loop {
            match self.next().await? {
                Told::Frame(frame) if frame["type"] == kind => return Some(frame),
                _ => {}
            }
        }
    }

    /// All that comes until the connection ends.
    pub async fn hears_all(&mut self) -> Vec<Told> {
        let mut all = Vec::new();
        while let Some(told) = self.next().await {
            let is_last = matches!(told, Told::Closed(_));
            all.push(told);
            if is_last {
                break;
            }
        }
        all
    }
}

/// The first whole frame, and its length.
fn first(bytes: &[u8]) -> Option<(Told, usize)> {
    let (opcode, short) = (*bytes.first()?, usize::from(*bytes.get(1)?));
    let (start, length) = match short {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?),
        _ => (2, short),
    };
    let payload = bytes.get(start..start + length)?;
    let told = match opcode {
        0x81 => Told::Frame(serde_json::from_slice(payload).ok()?),
        0x88 => Told::Closed(u16::from_be_bytes(payload.get(..2)?.try_into().ok()?)),
        _ => Told::Accepted,
    };
    Some((told, start + length))
}
