//! The origins whose pages may open a socket.
//!
//! Browsers send the origin with every WebSocket handshake, and nothing else keeps a foreign page from
//! opening a socket. Native clients send no origin and need only a token.

use actix_http::header::{self, HeaderMap};
use thiserror::Error;

/// An entry that is not an origin.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not an origin of the form scheme://host[:port]: {0:?}")]
pub struct BadOrigin(pub String);

/// The origins that may open sockets, besides the server's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(Vec<Origin>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    /// `None` if no port is given and the scheme has no known default.
    port: Option<u16>,
}

impl Origins {
    /// Parses a list of `scheme://host[:port]`.
    ///
    /// # Errors
    /// The first invalid entry, so that a typing error stops the start instead of locking out a page.
    pub fn parse<I>(entries: I) -> Result<Self, BadOrigin>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        entries
            .into_iter()
            .map(|entry| {
                let entry = entry.as_ref().trim();
                Origin::parse(entry).ok_or_else(|| BadOrigin(entry.to_owned()))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether a request with these headers may open a socket.
    ///
    /// A request without an origin may. Otherwise there must be exactly one, which is valid (`null` is not),
    /// and which is listed or equals the origin that the `Host` header names.
    pub fn allow(&self, headers: &HeaderMap) -> bool {
        let mut lines = headers.get_all(header::ORIGIN);
        let Some(line) = lines.next() else {
            return true;
        };
        if lines.next().is_some() {
            return false;
        }
        line.to_str()
            .ok()
            .and_then(Origin::parse)
            .is_some_and(|origin| self.0.contains(&origin) || origin.is_host_of(headers))
    }
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        if scheme.is_empty() || !scheme.bytes().all(is_scheme) {
            return None;
        }
        let default_port = match scheme.as_str() {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        };
        let (host, port) = host_and_port(rest)?;
        Some(Self { scheme, host, port: port.or(default_port) })
    }

    /// Whether the request was sent to this origin.
    ///
    /// The scheme is not compared because a proxy may terminate TLS. A `Host` without a port means the
    /// default port of the origin's scheme.
    fn is_host_of(&self, headers: &HeaderMap) -> bool {
        let default_port = match self.scheme.as_str() {
            "http" => 80,
            "https" => 443,
            _ => return false,
        };
        let mut lines = headers.get_all(header::HOST);
        let (Some(line), None) = (lines.next(), lines.next()) else {
            return false;
        };
        line.to_str()
            .ok()
            .and_then(host_and_port)
            .is_some_and(|(host, port)| host == self.host && Some(port.unwrap_or(default_port)) == self.port)
    }
}

/// Splits `host[:port]` and rejects anything with which a URL could disguise another host.
fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']')?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            let port = match after {
                "" => None,
                _ => Some(after.strip_prefix(':')?),
            };
            (address, port)
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
    if host.is_empty() || !host.bytes().all(is_host) {
        return None;
    }
    let port = match port {
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(port.parse().ok()?),
        Some(_) => return None,
        None => None,
    };
    Some((host.to_ascii_lowercase(), port))
}
