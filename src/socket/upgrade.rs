//! From an upgrade request to a session: the service that sees every `Upgrade` before the routes do.
//!
//! It answers for itself what can't become a socket, checks the token, starts the session on this
//! thread, and then that connection's reader, which lives as long as its socket.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::{Request, h1};
use actors::domain::ids::{Epoch, RoomId, Seq, UserId};
use actors::ports::clock::Clock;
use actors::ports::identity::{Credential, Identity};
use actors::protocol::codec;
use actors::session::{Connect, ConnectError, Target as Goal};
use actors::worker::Worker;
use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use governor::DefaultDirectRateLimiter;

use super::handshake::{self, Handshake, Origins, Refusal, Target, UpgradeRequest};
use super::reading::{self, Reader};
use super::wire::{Connection, TcpWire};
use super::{Decoder, Rules};
use crate::auth::tokens::now_seconds;
use crate::auth::{Claims, TokenVerifier};
use crate::doors::Arrival;
use crate::http::names_in;
use crate::store::postgres::PostgresStore;
use crate::store::postgres::people::ClaimedNames;

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
pub type Upgrade = (Request, actix_codec::Framed<Arrival, h1::Codec>);

/// Lets one connection in, or turns it away. It is read by a task of its own: that of its request keeps
/// the place for all that a request may need, and there are thousands of sockets.
pub async fn pass(doorway: Arc<Doorway>, worker: Rc<Worker>, upgrade: Upgrade) {
    if let Some(reader) = doorway.enter(worker, upgrade).await {
        reader.start();
    }
}

impl Doorway {
    /// Begins a session for an upgrade request; none when it is turned away.
    async fn enter(&self, worker: Rc<Worker>, (request, framed): Upgrade) -> Option<Reader> {
        let parts = framed.into_parts();
        let connection = Connection::new(parts.io, self.clock);
        match self.admit(&request, &connection).await {
            Ok(connect) => {
                let session = worker.connect(connect);
                Some(Reader {
                    connection,
                    session,
                    buffer: parts.read_buf,
                    decoder: Decoder::new(self.frames),
                })
            }
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
        ConnectError::RateLimited => {
            Refusal::new(429, "rate_limited", "Request was throttled.").with("Retry-After", "1")
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
        socket2::SockRef::from(&**stream).shutdown(std::net::Shutdown::Write)?;
        reading::drain(connection).await;
        Ok(())
    };
    let _gone_or_late = tokio::time::timeout(LINGER, say).await;
    connection.shut();
}
