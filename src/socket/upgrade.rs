//! Turns upgrade requests into sessions. Sees every request with an `Upgrade` header before the routes do.
//!
//! Responds itself to what can't become a WebSocket, verifies the token, and starts the session on this
//! thread together with the reader of its connection.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::{Request, h1};
use actix_web::web::Data;
use actors::domain::ids::{Epoch, PersonalSeq, RoomId, Seq, UserId};
use actors::engine::{ConnectError, ConnectRequest, ConnectTarget, Worker};
use actors::ports::clock::Clock;
use actors::ports::identity::{Credential, Identity};
use actors::protocol::close::CloseCode;
use actors::protocol::codec;
use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::connection::{SocketConnection, TcpConnectionWriter};
use super::handshake::{self, Handshake, Origins, SocketTarget, UpgradeRejection, UpgradeRequest};
use super::reader::{self, SocketReader};
use super::{FrameDecoder, FrameLimits};
use crate::auth::tokens::{BAD_GRANT, now_seconds};
use crate::auth::{AccessClaims, InvalidToken, TokenVerifier};
use crate::http::{ApiState, profile_claims};
use crate::listener::Connection;
use crate::store::postgres::PostgresStore;
use crate::store::postgres::users::ProfileClaims;

/// How long a rejected client gets to read the response.
const LINGER: Duration = Duration::from_secs(1);

/// What every socket needs.
pub struct UpgradeService {
    /// Verifies tokens.
    pub tokens: Arc<TokenVerifier>,
    /// Stores the users named by tokens.
    pub store: PostgresStore,
    /// The engine's clock.
    pub clock: Clock,
    /// Origins whose pages may open sockets.
    pub origins: Origins,
    /// State shared with the REST handlers: rate limits and trusted proxies.
    pub state: Data<ApiState>,
    /// Which frames a socket accepts.
    pub frame_limits: &'static FrameLimits,
    /// How much longer than its token a client may stay that can't renew it.
    pub grace: Duration,
}

/// An upgrade request and its connection.
pub type UpgradeParts = (Request, actix_codec::Framed<Connection, h1::Codec>);

/// Accepts or rejects an upgrade request. The connection is read in a task of its own, because the task of
/// its request stays as large as the handling of any request, and there are thousands of sockets.
pub async fn handle_upgrade(upgrade_service: Arc<UpgradeService>, worker: Rc<Worker>, upgrade: UpgradeParts) {
    if let Some(reader) = upgrade_service.accept(worker, upgrade).await {
        reader.start();
    }
}

impl UpgradeService {
    /// Starts a session; `None` if the request was rejected.
    async fn accept(&self, worker: Rc<Worker>, (request, framed): UpgradeParts) -> Option<SocketReader> {
        let mut parts = framed.into_parts();
        // The connection counts against its address until its token is verified, and while it is being
        // rejected.
        let (guard, rest) = parts.io.detach_http();
        parts.read_buf.extend_from_slice(&rest);
        let connection = SocketConnection::new(parts.io, self.clock);
        match self.authorize(&request, &connection).await {
            Ok(connect) => {
                drop(guard);
                let session = worker.connect(connect);
                Some(SocketReader {
                    connection,
                    session,
                    buffer: parts.read_buf,
                    decoder: FrameDecoder::new(self.frame_limits),
                })
            }
            Err(response) => {
                reject(&connection, &response).await;
                None
            }
        }
    }

    /// Validates the request and its token.
    async fn authorize(
        &self,
        request: &Request,
        connection: &Arc<SocketConnection>,
    ) -> Result<ConnectRequest, Bytes> {
        let handshake = handshake::check(&UpgradeRequest::from(request.head()), &self.origins)
            .map_err(|rejection| rejection.to_bytes())?;
        let accept = handshake::accept_response(&handshake);
        let reject_with = |error: ConnectError| {
            if handshake.offered_chat_v1 {
                [&accept[..], &codec::close(error.close_code())].concat().into()
            } else {
                rejection(error).to_bytes()
            }
        };
        let (claims, credential) = match self.verify(&handshake).await {
            Ok(known) => known,
            Err(InvalidToken::Unavailable) => return Err(reject_with(ConnectError::Unavailable)),
            Err(error) => {
                let address = self.state.client_of(request.head());
                self.state.rate_limits.handshakes.check_bad(address).map_err(rate_limited)?;
                return Err(match error {
                    InvalidToken::Refused | InvalidToken::Unavailable => {
                        reject_with(ConnectError::Unauthorized)
                    }
                    InvalidToken::BadGrant if handshake.offered_chat_v1 => {
                        [&accept[..], &codec::close_because(CloseCode::Unauthorized, BAD_GRANT)]
                            .concat()
                            .into()
                    }
                    InvalidToken::BadGrant => {
                        UpgradeRejection::unauthorized("token_not_valid", BAD_GRANT).to_bytes()
                    }
                });
            }
        };
        let rate_limits = &self.state.rate_limits.handshakes;
        rate_limits.check_user(credential.user).map_err(rate_limited)?;
        if !rate_limits.admit(handshake.since.or(handshake.personal_since).is_some()) {
            return Err(rejection(ConnectError::Unavailable).to_bytes());
        }
        self.register_user(&handshake, credential.user, &claims).await.map_err(reject_with)?;
        let position = |since: u64| i64::try_from(since).unwrap_or(i64::MAX);
        let epoch = handshake.epoch.map(Epoch);
        let target = match (handshake.target, handshake.personal_since) {
            (SocketTarget::Room(room), _) => ConnectTarget::Room {
                room: RoomId(room),
                since: handshake.since.map(|since| Seq(position(since))),
                epoch,
            },
            (SocketTarget::User, Some(since)) => {
                ConnectTarget::UserSince { since: PersonalSeq(position(since)), epoch }
            }
            (SocketTarget::User, None) => ConnectTarget::User,
        };
        Ok(ConnectRequest {
            credential,
            grace: if handshake.offered_chat_v1 { Duration::ZERO } else { self.grace },
            target,
            writer: Box::new(TcpConnectionWriter(connection.clone())),
            refuse: (!handshake.offered_chat_v1).then_some(|error| rejection(error).to_bytes()),
            accept,
        })
    }

    /// Verifies the token and returns its claims.
    async fn verify(&self, handshake: &Handshake) -> Result<(AccessClaims, Credential), InvalidToken> {
        let token = handshake.token.as_deref().ok_or(InvalidToken::Refused)?;
        let claims = self.tokens.verify(token).await?;
        let credential = credential(&claims).ok_or(InvalidToken::Refused)?;
        Ok((claims, credential))
    }

    /// Stores the user if the request may be the first to name them.
    async fn register_user(
        &self,
        handshake: &Handshake,
        user: UserId,
        claims: &AccessClaims,
    ) -> Result<(), ConnectError> {
        // A participant of a room is already stored, but the token may have a new name.
        let names = profile_claims(claims);
        if handshake.target == SocketTarget::User || names != ProfileClaims::default() {
            self.store.user_for_token(user, &names).await.map_err(|_| ConnectError::Unavailable)?;
        }
        Ok(())
    }
}

/// What the engine needs to know of a token; `None` for a service token.
fn credential(claims: &AccessClaims) -> Option<Credential> {
    let left = claims.exp.saturating_sub(now_seconds());
    Some(Credential {
        user: UserId(claims.user_id?),
        issued_at: claims.iat,
        expires_at: DateTime::<Utc>::from_timestamp(claims.exp, 0)?,
        expires_in: Duration::from_secs(u64::try_from(left).unwrap_or_default()),
    })
}

/// Verifies tokens for the engine.
pub struct TokenIdentity(pub Arc<TokenVerifier>);

#[async_trait]
impl Identity for TokenIdentity {
    async fn verify(&self, token: &str) -> Option<Credential> {
        credential(&self.0.verify(token).await.ok()?)
    }
}

fn rejection(error: ConnectError) -> UpgradeRejection {
    match error {
        ConnectError::Unauthorized => {
            UpgradeRejection::unauthorized("token_not_valid", "Given token not valid for any token type")
        }
        ConnectError::NotInRoom => UpgradeRejection::forbidden("You are not a participant in this room"),
        ConnectError::TooManySockets => {
            UpgradeRejection::new(429, "rate_limited", "Too many sockets are open.").with("Retry-After", "5")
        }
        ConnectError::RateLimited => {
            UpgradeRejection::new(429, "rate_limited", "Request was throttled.").with("Retry-After", "1")
        }
        ConnectError::Unavailable | ConnectError::Restarting => {
            UpgradeRejection::new(503, "unavailable", "Come back in a moment.").with("Retry-After", "1")
        }
    }
}

/// The response to a handshake beyond the rate limit.
fn rate_limited(wait: Duration) -> Bytes {
    let seconds = wait.as_secs_f64().ceil().max(1.0);
    let rejection = UpgradeRejection::new(429, "rate_limited", "Too many sockets were opened.");
    rejection.with("Retry-After", format!("{seconds:.0}")).to_bytes()
}

/// Responds to a rejected request. The rest of the input is read and discarded, because closing a connection
/// over unread bytes would discard the response.
async fn reject(connection: &SocketConnection, response: &[u8]) {
    let stream = &connection.stream;
    let say = async {
        let mut rest = response;
        while !rest.is_empty() {
            stream.writable().await?;
            match stream.try_write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        socket2::SockRef::from(&**stream).shutdown(std::net::Shutdown::Write)?;
        reader::drain(connection).await;
        Ok(())
    };
    let _gone_or_late = tokio::time::timeout(LINGER, say).await;
    connection.shutdown();
}
