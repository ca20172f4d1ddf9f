//! Calls to addresses that users or hosts name: the only way out of this server, besides its own services.
//!
//! Such an address must not reach the inside of the operator's network. Each address that a name resolves to is
//! judged when the connection is made, so a name that resolves otherwise a moment later gains nothing, and each
//! redirect is judged anew. Proxies of the environment aren't used: a proxy would resolve names itself.

mod address;
mod resolver;

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderMap, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, StatusCode, Url};
use tokio::time::timeout;
use url::Host;

use self::address::is_public;
use self::resolver::{ForbiddenAddress, GuardedResolver};
use crate::config::OutboundAllow;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an idle connection is kept for the next request to the same host.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// The most idle connections that are kept for each host.
const POOL_IDLE_MAX: usize = 8;

/// Sends requests to the outside.
#[derive(Clone, Debug)]
pub struct OutboundClient {
    allow: Arc<OutboundAllow>,
    /// For `https`: connects to public and listed addresses.
    tls: Client,
    /// For `http`: connects to listed addresses alone.
    plain: Client,
}

/// A request to the outside.
#[derive(Clone, Debug)]
pub struct OutboundRequest {
    /// The method.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// How long everything may take, redirects and the answer's body included.
    pub deadline: Duration,
    /// The most bytes that are read of the answer's body.
    pub answer_max: usize,
    /// The most redirects that are followed, each as a `GET` without a body; 0 returns a redirect as the answer.
    pub redirects_max: usize,
}

/// What the other side answered.
#[derive(Clone, Debug)]
pub struct OutboundResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, at most [`OutboundRequest::answer_max`] bytes of it.
    pub body: Bytes,
    /// Whether the body had more bytes than that.
    pub is_cut: bool,
    /// The address that answered, after redirects.
    pub url: Url,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// The address may not be called.
    #[error("{0}")]
    Forbidden(String),
    /// There was no whole answer in time.
    #[error("no whole answer in time")]
    TimedOut,
    /// There was no connection, or it broke.
    #[error("{0}")]
    Unreachable(String),
}

impl OutboundClient {
    /// Returns a client that may also reach what `allow` lists.
    ///
    /// # Errors
    /// The system's certificates can't be loaded.
    pub fn new(allow: &OutboundAllow) -> Result<Self, reqwest::Error> {
        let allow = Arc::new(allow.clone());
        let client = |permits_public| {
            Client::builder()
                .user_agent(concat!("AriStay-Chat/", env!("CARGO_PKG_VERSION")))
                .dns_resolver(GuardedResolver::new(allow.clone(), permits_public))
                .redirect(Policy::none())
                .no_proxy()
                .connect_timeout(CONNECT_TIMEOUT)
                .pool_idle_timeout(POOL_IDLE_TIMEOUT)
                .pool_max_idle_per_host(POOL_IDLE_MAX)
                .build()
        };
        Ok(Self { tls: client(true)?, plain: client(false)?, allow })
    }

    /// Judges an address by its text alone, before anything is resolved: for a clear answer to who names it.
    ///
    /// # Errors
    /// [`OutboundError::Forbidden`].
    pub fn judge(&self, url: &Url) -> Result<(), OutboundError> {
        self.client_for(url).map(drop)
    }

    /// Sends a request and reads the answer.
    ///
    /// # Errors
    /// [`OutboundError`]; whether the other side has seen the request isn't known, unless it is forbidden.
    pub async fn send(&self, request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
        let deadline = request.deadline;
        timeout(deadline, self.follow(request)).await.unwrap_or(Err(OutboundError::TimedOut))
    }

    async fn follow(&self, mut request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
        for _ in 0..request.redirects_max {
            let response = self.send_once(&request).await?;
            let Some(next) = redirect(&response) else { return Ok(response) };
            if next.origin() != request.url.origin() {
                request.headers.remove(AUTHORIZATION);
                request.headers.remove(COOKIE);
            }
            (request.method, request.body, request.url) = (Method::GET, Bytes::new(), next);
        }
        self.send_once(&request).await
    }

    async fn send_once(&self, request: &OutboundRequest) -> Result<OutboundResponse, OutboundError> {
        let sending = self
            .client_for(&request.url)?
            .request(request.method.clone(), request.url.clone())
            .headers(request.headers.clone())
            .body(request.body.clone());
        let mut answer = sending.send().await.map_err(|error| failure(&error))?;
        let (status, headers) = (answer.status(), std::mem::take(answer.headers_mut()));
        let mut body = BytesMut::new();
        let mut is_cut = false;
        while let Some(chunk) = answer.chunk().await.map_err(|error| failure(&error))? {
            let room = request.answer_max - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                is_cut = true;
                break;
            }
        }
        Ok(OutboundResponse { status, headers, body: body.freeze(), is_cut, url: request.url.clone() })
    }

    /// Returns the client whose connections suit an address. A name is judged by what it resolves to, later.
    fn client_for(&self, url: &Url) -> Result<&Client, OutboundError> {
        let forbidden = |problem: &str| Err(OutboundError::Forbidden(problem.to_owned()));
        let Some(host) = url.host() else { return forbidden("the address names no host") };
        let address = match host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(std::net::IpAddr::V6(address).to_canonical()),
        };
        let is_listed = match (&host, address) {
            (Host::Domain(name), _) => self.allow.contains_host(name),
            (_, Some(address)) => self.allow.contains_address(address),
            (_, None) => false,
        };
        match url.scheme() {
            "https" if is_listed || address.is_none_or(is_public) => Ok(&self.tls),
            "http" if is_listed => Ok(&self.plain),
            "http" if address.is_none() => Ok(&self.plain),
            "https" => forbidden("the address isn't public"),
            _ => forbidden("only https addresses are called"),
        }
    }
}

/// Where an answer redirects to.
fn redirect(response: &OutboundResponse) -> Option<Url> {
    let follows = matches!(response.status.as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = response.headers.get(LOCATION).filter(|_| follows)?.to_str().ok()?;
    response.url.join(location).ok()
}

fn failure(error: &reqwest::Error) -> OutboundError {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(forbidden) = cause.downcast_ref::<ForbiddenAddress>() {
            return OutboundError::Forbidden(forbidden.to_string());
        }
        source = cause.source();
    }
    if error.is_timeout() {
        return OutboundError::TimedOut;
    }
    OutboundError::Unreachable(if error.is_connect() {
        "there is no connection".to_owned()
    } else {
        "the connection broke, or the answer isn't HTTP".to_owned()
    })
}

#[cfg(test)]
mod tests;
