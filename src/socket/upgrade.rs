//! From an upgrade request to a session: the service that sees every `Upgrade` before the routes do.
//!
//! It answers for itself what can't become a socket, checks the token, starts the session on this
//! thread, and then is that connection's reader for as long as it lives.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use actix_http::{Request, h1};
use actors::domain::ids::{Epoch, RoomId, Seq, UserId};
use actors::ports::clock::Clock;
use actors::ports::identity::{Credential, Identity};
use actors::protocol::codec;
use actors::session::{
    Connect, ConnectError, Ended, Input, Received, SessionActor, Target as Goal, Violated,
};
use actors::worker::Worker;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use governor::DefaultDirectRateLimiter;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::handshake::{self, Handshake, Origins, Refusal, Target, UpgradeRequest};
use super::wire::{Connection, TcpWire};
use super::{Decoder, Incoming, Rules, Violation};
use crate::auth::tokens::now_seconds;
use crate::auth::{Claims, TokenVerifier};
use crate::http::names_in;
use crate::store::postgres::PostgresStore;
use crate::store::postgres::people::ClaimedNames;

/// What one read asks for; a frame that is longer asks for the rest of itself.
const READ_BYTES: usize = 4 * 1024;
/// The same for a client that sends more than fits, whose frames are gathered before they are looked at.
const READ_BYTES_OVERLOADED: usize = 16 * 1024;
/// Sockets of such clients that are read at a time. Between them everything else has its turn, above all
/// the commits of what did fit.
static OVERLOADED: Semaphore = Semaphore::const_new(4);
/// How long a peer that is turned away gets to take the answer.
const LINGER: Duration = Duration::from_secs(1);

/// What every socket of this server needs.
pub struct Doorway {
    /// Says whose a token is.
    pub tokens: Arc<TokenVerifier>,
    /// Keeps the directory of people.
    pub store: PostgresStore,
    /// The engine's clock.
    pub clock: Clock,
    /// Pages that may open sockets.
    pub origins: Origins,
    /// Handshakes of this node; without one there is no limit.
    pub handshakes: Option<DefaultDirectRateLimiter>,
    /// What frames sockets take.
    pub frames: &'static Rules,
    /// How much longer than its token an inherited client may stay, which can't renew it.
    pub grace: Duration,
}

/// An upgrade request, with the connection that it came by.
pub type Upgrade = (Request, actix_codec::Framed<TcpStream, h1::Codec>);

/// Sees one connection through, from the request to its end. What only the opening needs is boxed and
/// gone when it is over: this future lives as long as its socket, and there are thousands.
pub fn pass(
    doorway: &Arc<Doorway>,
    worker: &Rc<Worker>,
    upgrade: Upgrade,
) -> impl Future<Output = ()> + use<> {
    let rules = doorway.frames;
    let entering = Box::pin(doorway.clone().enter(worker.clone(), upgrade));
    async move {
        if let Some((connection, session, buffer)) = entering.await {
            read(&connection, &session, buffer, rules).await;
            session.do_send(Ended);
        }
    }
}

impl Doorway {
    /// Begins a session for an upgrade request; none when it is turned away.
    async fn enter(
        self: Arc<Self>,
        worker: Rc<Worker>,
        (request, framed): Upgrade,
    ) -> Option<(Arc<Connection>, Addr<SessionActor>, BytesMut)> {
        let parts = framed.into_parts();
        let connection = Connection::new(parts.io, self.clock);
        match self.admit(&request, &connection).await {
            Ok(connect) => Some((connection, worker.connect(connect), parts.read_buf)),
            Err(answer) => {
                turn_away(&connection, &answer).await;
                None
            }
        }
    }

    /// Judges the request and its token.
    async fn admit(&self, request: &Request, connection: &Arc<Connection>) -> Result<Connect, Bytes> {
        let handshake = handshake::check(&UpgradeRequest::from(request.head()), &self.origins)
            .map_err(|refusal| refusal.to_bytes())?;
        if self.handshakes.as_ref().is_some_and(|limiter| limiter.check().is_err()) {
            return Err(refusal(ConnectError::Unavailable).to_bytes());
        }
        let accept = handshake::accept_response(&handshake);
        let told = |error: ConnectError| {
            if handshake.offered_chat_v1 {
                [&accept[..], &codec::close(error.close_code())].concat().into()
            } else {
                refusal(error).to_bytes()
            }
        };
        let credential = self.identify(&handshake).await.map_err(told)?;
        let target = match handshake.target {
            Target::Room(room) => Goal::Room {
                room: RoomId(room),
                since: handshake.since.map(|since| Seq(i64::try_from(since).unwrap_or(i64::MAX))),
                epoch: handshake.epoch.map(Epoch),
            },
            Target::User => Goal::User,
        };
        Ok(Connect {
            credential,
            grace: if handshake.offered_chat_v1 { Duration::ZERO } else { self.grace },
            target,
            wire: Box::new(TcpWire(connection.clone())),
            refuse: (!handshake.offered_chat_v1).then_some(|error| refusal(error).to_bytes()),
            accept,
        })
    }

    /// Says whose the token is, and makes that person known where that may be new.
    async fn identify(&self, handshake: &Handshake) -> Result<Credential, ConnectError> {
        let token = handshake.token.as_deref().ok_or(ConnectError::Unauthorized)?;
        let claims = self.tokens.verify(token).await.map_err(|_| ConnectError::Unauthorized)?;
        let credential = credential(&claims).ok_or(ConnectError::Unauthorized)?;
        // Whoever is in a room is known; the token may still tell of a new name.
        let names = names_in(&claims);
        if handshake.target == Target::User || names != ClaimedNames::default() {
            self.store.token_holder(credential.user, &names).await.map_err(|_| ConnectError::Unavailable)?;
        }
        Ok(credential)
    }
}

/// What a token says of a person, as the engine wants it. None for a service's own.
fn credential(claims: &Claims) -> Option<Credential> {
    let left = claims.exp.saturating_sub(now_seconds());
    Some(Credential {
        user: UserId(claims.user_id?),
        issued_at: claims.iat,
        expires_at: DateTime::<Utc>::from_timestamp(claims.exp, 0)?,
        expires_in: Duration::from_secs(u64::try_from(left).unwrap_or_default()),
    })
}

/// The engine's way to tokens.
pub struct TokenIdentity(pub Arc<TokenVerifier>);

#[async_trait]
impl Identity for TokenIdentity {
    async fn verify(&self, token: &str) -> Option<Credential> {
        credential(&self.0.verify(token).await.ok()?)
    }
}

fn refusal(error: ConnectError) -> Refusal {
    match error {
        ConnectError::Unauthorized => {
            Refusal::unauthorized("token_not_valid", "Given token not valid for any token type")
        }
        ConnectError::NotInRoom => Refusal::forbidden("You are not a participant in this room"),
        ConnectError::TooManySockets => {
            Refusal::new(429, "rate_limited", "Too many sockets are open.").with("Retry-After", "5")
        }
        ConnectError::Unavailable | ConnectError::Restarting => {
            Refusal::new(503, "unavailable", "Come back in a moment.").with("Retry-After", "1")
        }
    }
}

/// Answers a request that becomes no socket. The rest of what was sent is read and dropped, for a
/// connection closed over unread bytes takes the answer with it.
async fn turn_away(connection: &Connection, answer: &[u8]) {
    let stream = &connection.stream;
    let say = async {
        let mut rest = answer;
        while !rest.is_empty() {
            stream.writable().await?;
            match stream.try_write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        socket2::SockRef::from(stream).shutdown(std::net::Shutdown::Write)?;
        while receive(connection, &mut BytesMut::new(), READ_BYTES).await? > 0 {}
        Ok(())
    };
    let _gone_or_late = tokio::time::timeout(LINGER, say).await;
    connection.shut();
}

/// Reads until the connection ends. What is understood goes to the session, in order; while the
/// session works on it nothing more is read.
async fn read(
    connection: &Connection,
    session: &Addr<SessionActor>,
    mut buffer: BytesMut,
    rules: &'static Rules,
) {
    let mut decoder = Decoder::new(rules);
    let mut turn = None;
    loop {
        let (inputs, end) = decode(&mut decoder, &mut buffer);
        let mut pause = Duration::ZERO;
        if !inputs.is_empty() {
            let Ok(wanted) = session.send(Received(inputs)).await else { return };
            pause = wanted;
        }
        drop(turn.take());
        match end {
            Some(End::Closed) => return drain(connection).await,
            Some(End::Violated(violation)) => {
                session.do_send(Violated { code: violation.code });
                return drain(connection).await;
            }
            None => {}
        }
        let wanted = decoder.missing_bytes(&buffer).max(READ_BYTES);
        let received = if pause.is_zero() {
            receive(connection, &mut buffer, wanted).await
        } else {
            let wanted = wanted.max(READ_BYTES_OVERLOADED);
            // Boxed, for it is rare and this future lives as long as its socket.
            let in_turn = Box::pin(receive_in_turn(connection, &mut buffer, wanted, pause)).await;
            in_turn.map(|(read, its_turn)| {
                turn = Some(its_turn);
                read
            })
        };
        if !matches!(received, Ok(1..)) {
            return;
        }
        connection.heard();
    }
}

/// Waits until the pause is over, and reads in its turn among the overloaded. A turn is never held while
/// nothing comes: one who has fallen silent would keep all the others waiting.
async fn receive_in_turn(
    connection: &Connection,
    buffer: &mut BytesMut,
    wanted: usize,
    pause: Duration,
) -> std::io::Result<(usize, SemaphorePermit<'static>)> {
    tokio::time::sleep(pause).await;
    loop {
        wait(connection, buffer).await?;
        let turn = OVERLOADED.acquire().await.map_err(std::io::Error::other)?;
        if let Some(read) = take(connection, buffer, wanted)? {
            return Ok((read, turn));
        }
    }
}

/// Why nothing more is read.
enum End {
    Closed,
    Violated(Violation),
}

fn decode(decoder: &mut Decoder, buffer: &mut BytesMut) -> (Vec<Input>, Option<End>) {
    let mut inputs = Vec::new();
    loop {
        match decoder.decode(buffer) {
            Ok(Some(Incoming::Text(text))) => inputs.push(Input::Text(text.into_bytes())),
            Ok(Some(Incoming::Ping(payload))) => inputs.push(Input::Ping(payload)),
            Ok(Some(Incoming::Pong | Incoming::Binary(_))) => {}
            Ok(Some(Incoming::Close(_))) => {
                inputs.push(Input::Close);
                return (inputs, Some(End::Closed));
            }
            Ok(None) => return (inputs, None),
            Err(violation) => return (inputs, Some(End::Violated(violation))),
        }
    }
}

/// Waits until something has come, and takes at most `wanted` bytes of it.
async fn receive(connection: &Connection, buffer: &mut BytesMut, wanted: usize) -> std::io::Result<usize> {
    loop {
        wait(connection, buffer).await?;
        if let Some(read) = take(connection, buffer, wanted)? {
            return Ok(read);
        }
    }
}

/// Waits until something may have come. Who is silent keeps no buffer, not even that of the handshake.
async fn wait(connection: &Connection, buffer: &mut BytesMut) -> std::io::Result<()> {
    if buffer.is_empty() {
        *buffer = BytesMut::new();
    }
    connection.stream.readable().await
}

/// Takes what is there, at most `wanted` bytes; none when nothing is.
fn take(connection: &Connection, buffer: &mut BytesMut, wanted: usize) -> std::io::Result<Option<usize>> {
    buffer.reserve(wanted);
    match connection.stream.try_read_buf(buffer) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
        read => read.map(Some),
    }
}

/// Reads and drops what still comes, until the switchboard or the peer ends the connection.
async fn drain(connection: &Connection) {
    let mut dropped = BytesMut::new();
    while matches!(receive(connection, &mut dropped, READ_BYTES).await, Ok(1..)) {
        dropped.clear();
    }
}
