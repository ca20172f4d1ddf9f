//! Judges an upgrade request before anybody's token is looked at.
//!
//! The upgrade service sees every request with an `Upgrade` header before any route does, so it answers
//! unknown paths, wrong methods and other protocols itself, by what [`check`] says. Everything here is
//! a pure function of the request; whether the token is any good is for `auth` to say.
//!
//! A bearer token must not reach a log: [`Handshake`] and [`UpgradeRequest`] leave it out of their
//! `Debug` output.

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
mod refusal;

pub use origin::{BadOrigin, Origins};
pub use refusal::Refusal;

/// The only subprotocol; offering it asks for close codes where an inherited client gets a status.
pub const SUBPROTOCOL: &str = "chat.v1";

const BEARER_SUBPROTOCOL: &str = "bearer.";
const PATH: &str = "/ws/chat/";

/// What [`check`] reads of a request.
#[derive(Clone, Copy)]
pub struct UpgradeRequest<'a> {
    /// Only `GET` upgrades.
    pub method: &'a Method,
    /// 1.1 or later.
    pub version: Version,
    /// As they came, repeated lines too.
    pub headers: &'a HeaderMap,
    /// Without the query.
    pub path: &'a str,
    /// What follows the question mark, or nothing.
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

/// Leaves out the query and the headers: both may hold a token.
impl fmt::Debug for UpgradeRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpgradeRequest")
            .field("method", self.method)
            .field("version", &self.version)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// What the socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// One room: `/ws/chat/<room id>/`.
    Room(Uuid),
    /// All of a person's rooms: `/ws/chat/`.
    User,
}

/// A request that may become a socket, if its token is good.
#[derive(Clone, PartialEq, Eq)]
pub struct Handshake {
    /// What the socket is for.
    pub target: Target,
    /// The bearer token; `None` when there is none, or when several were sent that differ.
    pub token: Option<String>,
    /// The `seq` to resume after; one too large for any room is `i64::MAX`, which is past every head.
    pub since: Option<u64>,
    /// The history that `since` belongs to.
    pub epoch: Option<Uuid>,
    /// Whether the client offered `chat.v1`: then it is told by a close code why it may not in.
    pub offered_chat_v1: bool,
    /// The subprotocol to answer with. Browsers, and Node's `ws`, end a connection for which none of those
    /// that they offered was chosen; so of unknown ones it is the first, and means nothing.
    pub subprotocol: Option<String>,
    /// The value of `Sec-WebSocket-Accept`.
    pub accept_key: String,
}

/// Leaves out the token.
impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("target", &self.target)
            .field("has_token", &self.token.is_some())
            .field("since", &self.since)
            .field("epoch", &self.epoch)
            .field("offered_chat_v1", &self.offered_chat_v1)
            .finish_non_exhaustive()
    }
}

/// Judges an upgrade request.
///
/// # Errors
/// The [`Refusal`] to answer with: 400, 403 (origin), 404 (path), 405 or 426. Never 401, for that is
/// for whoever checks the token.
pub fn check(request: &UpgradeRequest<'_>, origins: &Origins) -> Result<Handshake, Refusal> {
    check_protocol(request)?;
    let target = target(request.path).ok_or_else(Refusal::not_found)?;
    if request.method != Method::GET {
        return Err(Refusal::method_not_allowed("GET"));
    }
    let key = check_key(request.headers)?;
    if !origins.allow(request.headers) {
        return Err(Refusal::forbidden("This origin may not open a socket."));
    }
    let query = ChatQuery::read(request.query)?;
    let offered = Offered::read(request.headers);
    Ok(Handshake {
        target,
        token: only_token([query.token, bearer(request.headers), offered.token]),
        since: query.since,
        epoch: query.epoch,
        offered_chat_v1: offered.chat_v1,
        subprotocol: if offered.chat_v1 { Some(SUBPROTOCOL.to_owned()) } else { offered.unknown },
        accept_key: String::from_utf8_lossy(&ws::hash_key(key)).into_owned(),
    })
}

/// The head of the answer that turns the connection into a socket.
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

/// Checks that it is a request for a WebSocket at all.
fn check_protocol(request: &UpgradeRequest<'_>) -> Result<(), Refusal> {
    if request.version < Version::HTTP_11 {
        return Err(Refusal::invalid("A WebSocket needs HTTP/1.1."));
    }
    let mut protocols = tokens(request.headers, &header::UPGRADE).peekable();
    if protocols.peek().is_none() {
        return Err(Refusal::invalid("Upgrade: websocket is missing."));
    }
    if !protocols.any(|protocol| protocol.eq_ignore_ascii_case("websocket")) {
        return Err(Refusal::upgrade_required("Only WebSocket upgrades are served here."));
    }
    let mut connection = tokens(request.headers, &header::CONNECTION);
    if !connection.any(|option| option.eq_ignore_ascii_case("upgrade")) {
        return Err(Refusal::invalid("Connection: Upgrade is missing."));
    }
    Ok(())
}

/// Checks version and key (RFC 6455 §4.2.1); gives the key.
fn check_key(headers: &HeaderMap) -> Result<&[u8], Refusal> {
    if only(headers, &header::SEC_WEBSOCKET_VERSION) != Some(b"13") {
        return Err(Refusal::upgrade_required("Only WebSocket version 13 is spoken here."));
    }
    only(headers, &header::SEC_WEBSOCKET_KEY)
        .filter(|key| is_base64_of_16_bytes(key))
        .ok_or_else(|| Refusal::invalid("Sec-WebSocket-Key must be 16 bytes in base64."))
}

fn is_base64_of_16_bytes(key: &[u8]) -> bool {
    let Some(digits) = key.strip_suffix(b"==") else {
        return false;
    };
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    digits.len() == 22 && digits.iter().all(is_digit)
}

/// The target of a path, which must be written exactly as the contract has it.
fn target(path: &str) -> Option<Target> {
    let rest = path.strip_prefix(PATH)?;
    if rest.is_empty() {
        return Some(Target::User);
    }
    let id = rest.strip_suffix('/')?;
    // `Uuid` also reads ids in braces, as URNs and without hyphens; the contract has one form.
    (id.len() == 36).then(|| Uuid::try_parse(id).ok().map(Target::Room))?
}

/// The query's parameters; others are ignored.
#[derive(Default)]
struct ChatQuery {
    token: Option<String>,
    since: Option<u64>,
    epoch: Option<Uuid>,
}

impl ChatQuery {
    fn read(query: &str) -> Result<Self, Refusal> {
        let pairs = Query::<Vec<(String, String)>>::from_query(query)
            .map_err(|_| Refusal::invalid("The query can't be read."))?;
        let (mut token, mut since, mut epoch) = (None, None, None);
        for (name, value) in pairs.into_inner() {
            let place = match name.as_str() {
                "token" => &mut token,
                "since" => &mut since,
                "epoch" => &mut epoch,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return Err(Refusal::invalid("A parameter was given twice."));
            }
        }
        Ok(Self {
            token: token.filter(|token| !token.is_empty()),
            since: since.as_deref().map(read_since).transpose()?,
            epoch: epoch.as_deref().map(read_epoch).transpose()?,
        })
    }
}

fn read_since(since: &str) -> Result<u64, Refusal> {
    const MAX: u64 = i64::MAX as u64;
    if since.is_empty() || !since.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::invalid("since must be a number of 0 or more."));
    }
    // Only digits are left, so the one way to fail is to be too large, and that is past every head.
    Ok(since.parse::<u64>().map_or(MAX, |since| since.min(MAX)))
}

fn read_epoch(epoch: &str) -> Result<Uuid, Refusal> {
    Uuid::try_parse(epoch).map_err(|_| Refusal::invalid("epoch must be a UUID."))
}

/// What the client offered as subprotocols.
#[derive(Default)]
struct Offered {
    chat_v1: bool,
    /// The first that is neither ours nor a token.
    unknown: Option<String>,
    token: Option<String>,
}

impl Offered {
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

/// The token of the one `Authorization: Bearer` line; another scheme is somebody else's.
fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = only(headers, &header::AUTHORIZATION)?;
    let (scheme, token) = str::from_utf8(value).ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| token.to_owned())
}

/// The token, if all who name one name the same: two would be two people on one socket.
fn only_token(tokens: [Option<String>; 3]) -> Option<String> {
    let mut tokens = tokens.into_iter().flatten();
    let token = tokens.next()?;
    tokens.all(|other| other == token).then_some(token)
}

/// The value of a header that must come exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name);
    let value = values.next()?;
    values.next().is_none().then(|| value.as_bytes())
}

/// The members of a comma list that may go over several lines.
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
