//! Validates an upgrade request before its token is verified.
//!
//! The upgrade service sees every request with an `Upgrade` header before any route does, so it also answers
//! unknown paths, wrong methods and other protocols, as [`check`] decides. Everything here is a pure function
//! of the request.
//!
//! Tokens must not be logged: [`Handshake`] and [`UpgradeRequest`] omit them from their `Debug` output.

use std::fmt;

use actix_http::{
    Method, RequestHead, Version,
    header::{self, HeaderMap, HeaderName},
    ws,
};
use actix_web::web::Query;
use bytes::Bytes;
use uuid::Uuid;

mod origin;
mod rejection;

pub use origin::{BadOrigin, Origins};
pub use rejection::UpgradeRejection;

/// The only subprotocol. A client that offers it is rejected with a close code, others with an HTTP status.
pub const SUBPROTOCOL: &str = "chat.v1";

const BEARER_SUBPROTOCOL: &str = "bearer.";
const PATH: &str = "/ws/chat/";

/// The parts of a request that [`check`] reads.
#[derive(Clone, Copy)]
pub struct UpgradeRequest<'a> {
    /// The method; only `GET` is valid.
    pub method: &'a Method,
    /// The HTTP version, at least 1.1.
    pub version: Version,
    /// All headers, including repeated ones.
    pub headers: &'a HeaderMap,
    /// The path without the query.
    pub path: &'a str,
    /// The query without its question mark; may be empty.
    pub query: &'a str,
}

impl<'a> From<&'a RequestHead> for UpgradeRequest<'a> {
    fn from(head: &'a RequestHead) -> Self {
        Self {
            method: &head.method,
            version: head.version,
            headers: &head.headers,
            path: head.uri.path(),
            query: head.uri.query().unwrap_or_default(),
        }
    }
}

/// Omits the query and the headers, which may contain a token.
impl fmt::Debug for UpgradeRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpgradeRequest")
            .field("method", self.method)
            .field("version", &self.version)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// What a socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketTarget {
    /// One room: `/ws/chat/<room id>/`.
    Room(Uuid),
    /// All rooms of the user: `/ws/chat/`.
    User,
}

/// A valid upgrade request; its token is not verified yet.
#[derive(Clone, PartialEq, Eq)]
pub struct Handshake {
    /// What the socket is for.
    pub target: SocketTarget,
    /// The bearer token; `None` if there is none, or if several different ones were sent.
    pub token: Option<String>,
    /// The `seq` after which to resume. A value that is too large becomes `i64::MAX`, which is beyond the
    /// head of every room.
    pub since: Option<u64>,
    /// The position of the personal log after which to resume on the user socket; clamped like `since`.
    pub personal_since: Option<u64>,
    /// The epoch that `since` or `personal_since` belongs to.
    pub epoch: Option<Uuid>,
    /// Whether the client offered `chat.v1` and is therefore rejected with a close code.
    pub offered_chat_v1: bool,
    /// The subprotocol to respond with. Browsers, and Node's `ws`, close a connection on which none of the
    /// offered ones was selected. If all are unknown the first is selected, without any effect.
    pub subprotocol: Option<String>,
    /// The value of `Sec-WebSocket-Accept`.
    pub accept_key: String,
}

/// Omits the token.
impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("target", &self.target)
            .field("has_token", &self.token.is_some())
            .field("since", &self.since)
            .field("personal_since", &self.personal_since)
            .field("epoch", &self.epoch)
            .field("offered_chat_v1", &self.offered_chat_v1)
            .finish_non_exhaustive()
    }
}

/// Validates an upgrade request.
///
/// # Errors
/// The [`UpgradeRejection`] to respond with: 400, 403 (origin), 404 (path), 405 or 426. A 401 is decided by
/// the caller, who verifies the token.
pub fn check(request: &UpgradeRequest<'_>, origins: &Origins) -> Result<Handshake, UpgradeRejection> {
    check_protocol(request)?;
    let target = target(request.path).ok_or_else(UpgradeRejection::not_found)?;
    if request.method != Method::GET {
        return Err(UpgradeRejection::method_not_allowed("GET"));
    }
    let key = check_key(request.headers)?;
    if !origins.allow(request.headers) {
        return Err(UpgradeRejection::forbidden("This origin may not open a socket."));
    }
    let query = ChatQuery::read(request.query)?;
    let offered = OfferedSubprotocols::read(request.headers);
    Ok(Handshake {
        target,
        token: agreed_token([query.token, bearer(request.headers), offered.token]),
        since: query.since,
        personal_since: query.personal_since,
        epoch: query.epoch,
        offered_chat_v1: offered.chat_v1,
        subprotocol: if offered.chat_v1 { Some(SUBPROTOCOL.to_owned()) } else { offered.unknown },
        accept_key: String::from_utf8_lossy(&ws::hash_key(key)).into_owned(),
    })
}

/// The head of the response that switches protocols.
pub fn accept_response(handshake: &Handshake) -> Bytes {
    let mut head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n",
        handshake.accept_key
    );
    if let Some(protocol) = &handshake.subprotocol {
        head.push_str(&format!("Sec-WebSocket-Protocol: {protocol}\r\n"));
    }
    head.push_str("\r\n");
    head.into()
}

/// Checks that the request asks for a WebSocket.
fn check_protocol(request: &UpgradeRequest<'_>) -> Result<(), UpgradeRejection> {
    if request.version < Version::HTTP_11 {
        return Err(UpgradeRejection::invalid("A WebSocket needs HTTP/1.1."));
    }
    let mut protocols = tokens(request.headers, &header::UPGRADE).peekable();
    if protocols.peek().is_none() {
        return Err(UpgradeRejection::invalid("Upgrade: websocket is missing."));
    }
    if !protocols.any(|protocol| protocol.eq_ignore_ascii_case("websocket")) {
        return Err(UpgradeRejection::upgrade_required("Only WebSocket upgrades are served here."));
    }
    let mut connection = tokens(request.headers, &header::CONNECTION);
    if !connection.any(|option| option.eq_ignore_ascii_case("upgrade")) {
        return Err(UpgradeRejection::invalid("Connection: Upgrade is missing."));
    }
    Ok(())
}

/// Checks version and key (RFC 6455, 4.2.1), and returns the key.
fn check_key(headers: &HeaderMap) -> Result<&[u8], UpgradeRejection> {
    if single_value(headers, &header::SEC_WEBSOCKET_VERSION) != Some(b"13") {
        return Err(UpgradeRejection::upgrade_required("Only WebSocket version 13 is spoken here."));
    }
    single_value(headers, &header::SEC_WEBSOCKET_KEY)
        .filter(|key| is_base64_of_16_bytes(key))
        .ok_or_else(|| UpgradeRejection::invalid("Sec-WebSocket-Key must be 16 bytes in base64."))
}

fn is_base64_of_16_bytes(key: &[u8]) -> bool {
    let Some(digits) = key.strip_suffix(b"==") else {
        return false;
    };
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    digits.len() == 22 && digits.iter().all(is_digit)
}

/// Parses a path, which must match the contract exactly.
fn target(path: &str) -> Option<SocketTarget> {
    let rest = path.strip_prefix(PATH)?;
    if rest.is_empty() {
        return Some(SocketTarget::User);
    }
    let id = rest.strip_suffix('/')?;
    // `Uuid` also accepts braces, URNs and ids without hyphens; the contract has only one form.
    (id.len() == 36).then(|| Uuid::try_parse(id).ok().map(SocketTarget::Room))?
}

/// The query parameters; unknown ones are ignored.
#[derive(Default)]
struct ChatQuery {
    token: Option<String>,
    since: Option<u64>,
    personal_since: Option<u64>,
    epoch: Option<Uuid>,
}

impl ChatQuery {
    fn read(query: &str) -> Result<Self, UpgradeRejection> {
        let pairs = Query::<Vec<(String, String)>>::from_query(query)
            .map_err(|_| UpgradeRejection::invalid("The query can't be read."))?;
        let (mut token, mut since, mut personal_since, mut epoch) = (None, None, None, None);
        for (name, value) in pairs.into_inner() {
            let place = match name.as_str() {
                "token" => &mut token,
                "since" => &mut since,
                "personal_since" => &mut personal_since,
                "epoch" => &mut epoch,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return Err(UpgradeRejection::invalid("A parameter was given twice."));
            }
        }
        Ok(Self {
            token: token.filter(|token| !token.is_empty()),
            since: read_position(since.as_deref(), "since must be a number of 0 or more.")?,
            personal_since: read_position(
                personal_since.as_deref(),
                "personal_since must be a number of 0 or more.",
            )?,
            epoch: epoch.as_deref().map(read_epoch).transpose()?,
        })
    }
}

fn read_position(since: Option<&str>, error: &'static str) -> Result<Option<u64>, UpgradeRejection> {
    const MAX: u64 = i64::MAX as u64;
    let Some(since) = since else { return Ok(None) };
    if since.is_empty() || !since.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(UpgradeRejection::invalid(error));
    }
    // Only digits are left, so parsing can only overflow.
    Ok(Some(since.parse::<u64>().map_or(MAX, |since| since.min(MAX))))
}

fn read_epoch(epoch: &str) -> Result<Uuid, UpgradeRejection> {
    Uuid::try_parse(epoch).map_err(|_| UpgradeRejection::invalid("epoch must be a UUID."))
}

/// The subprotocols that the client offered.
#[derive(Default)]
struct OfferedSubprotocols {
    chat_v1: bool,
    /// The first one that is neither `chat.v1` nor a token.
    unknown: Option<String>,
    token: Option<String>,
}

impl OfferedSubprotocols {
    fn read(headers: &HeaderMap) -> Self {
        let mut bearers = Vec::new();
        let (mut chat_v1, mut unknown) = (false, None);
        for protocol in tokens(headers, &header::SEC_WEBSOCKET_PROTOCOL) {
            match protocol.strip_prefix(BEARER_SUBPROTOCOL) {
                Some(token) => bearers.push(token),
                None if protocol == SUBPROTOCOL => chat_v1 = true,
                None => unknown = unknown.or(Some(protocol)),
            }
        }
        Self {
            chat_v1,
            unknown: unknown.map(str::to_owned),
            token: match bearers[..] {
                [token] => Some(token.to_owned()),
                _ => None,
            },
        }
    }
}

/// The token of the only `Authorization: Bearer` header. Other schemes are ignored.
fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = single_value(headers, &header::AUTHORIZATION)?;
    let (scheme, token) = str::from_utf8(value).ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| token.to_owned())
}

/// The token if all given ones are equal; a socket can't belong to two users.
fn agreed_token(tokens: [Option<String>; 3]) -> Option<String> {
    let mut tokens = tokens.into_iter().flatten();
    let token = tokens.next()?;
    tokens.all(|other| other == token).then_some(token)
}

/// The value of a header that must occur exactly once.
fn single_value<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name);
    let value = values.next()?;
    values.next().is_none().then(|| value.as_bytes())
}

/// The elements of a comma-separated list, which may span several header lines.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests;
