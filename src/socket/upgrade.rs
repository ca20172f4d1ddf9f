//! From an upgrade request to a session: the service that sees every `Upgrade` before the routes do.
//!
//! It answers for itself what can't become a socket, checks the token, starts the session on this
//! thread, and then that connection's reader, which lives as long as its socket.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::{Request, h1};
use actix_web::web::Data;
use actors::domain::ids::{Epoch, RoomId, Seq, UserId};
use actors::ports::clock::Clock;
use actors::ports::identity::{Credential, Identity};
use actors::protocol::close::CloseCode;
use actors::protocol::codec;
use actors::session::{Connect, ConnectError, Target as Goal};
use actors::worker::Worker;
use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::handshake::{self, Handshake, Origins, Refusal, Target, UpgradeRequest};
use super::reading::{self, Reader};
use super::wire::{Connection, TcpWire};
use super::{Decoder, Rules};
use crate::auth::tokens::{BAD_GRANT, now_seconds};
use crate::auth::{Claims, InvalidToken, TokenVerifier};
use crate::doors::Arrival;
use crate::http::{Rest, names_in};
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
    /// What REST has too: budgets, and whose word counts about addresses.
    pub rest: Data<Rest>,
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
        let mut parts = framed.into_parts();
        // Nobody's until its token is known to be good, and for as long as it is turned away.
        let (stranger, rest) = parts.io.leaves_http();
        parts.read_buf.extend_from_slice(&rest);
        let connection = Connection::new(parts.io, self.clock);
        match self.admit(&request, &connection).await {
            Ok(connect) => {
                drop(stranger);
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
        let accept = handshake::accept_response(&handshake);
        let told = |error: ConnectError| {
            if handshake.offered_chat_v1 {
                [&accept[..], &codec::close(error.close_code())].concat().into()
            } else {
                refusal(error).to_bytes()
            }
        };
        let (claims, credential) = match self.verify(&handshake).await {
            Ok(known) => known,
            Err(error) => {
                let address = self.rest.client_of(request.head());
                self.rest.budgets.handshakes.bad(address).map_err(too_often)?;
                return Err(match error {
                    InvalidToken::Refused => told(ConnectError::Unauthorized),
                    InvalidToken::BadGrant if handshake.offered_chat_v1 => {
                        [&accept[..], &codec::close_because(CloseCode::Unauthorized, BAD_GRANT)]
                            .concat()
                            .into()
                    }
                    InvalidToken::BadGrant => Refusal::unauthorized("token_not_valid", BAD_GRANT).to_bytes(),
                });
            }
        };
        let budgets = &self.rest.budgets.handshakes;
        budgets.person(credential.user).map_err(too_often)?;
        if !budgets.node(handshake.since.is_some()) {
            return Err(refusal(ConnectError::Unavailable).to_bytes());
        }
        self.make_known(&handshake, credential.user, &claims).await.map_err(told)?;
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

    /// Says whose the token is.
    async fn verify(&self, handshake: &Handshake) -> Result<(Claims, Credential), InvalidToken> {
        let token = handshake.token.as_deref().ok_or(InvalidToken::Refused)?;
        let claims = self.tokens.verify(token).await?;
        let credential = credential(&claims).ok_or(InvalidToken::Refused)?;
        Ok((claims, credential))
    }

    /// Makes the token's holder known where that may be new.
    async fn make_known(
        &self,
        handshake: &Handshake,
        user: UserId,
        claims: &Claims,
    ) -> Result<(), ConnectError> {
        // Whoever is in a room is known; the token may still tell of a new name.
        let names = names_in(claims);
        if handshake.target == Target::User || names != ClaimedNames::default() {
            self.store.token_holder(user, &names).await.map_err(|_| ConnectError::Unavailable)?;
        }
        Ok(())
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

/// Of a handshake that came too soon after others.
fn too_often(wait: Duration) -> Bytes {
    let seconds = wait.as_secs_f64().ceil().max(1.0);
    let refusal = Refusal::new(429, "rate_limited", "Too many sockets were opened.");
    refusal.with("Retry-After", format!("{seconds:.0}")).to_bytes()
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
