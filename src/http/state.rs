//! The state that all handlers share: `app` builds it once, and all workers use it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Once};
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::dev::RequestHead;
use actix_web::http::header::{HOST, HeaderMap, HeaderName};
use actix_web::web::Data;
use actors::engine::EngineHandle;
use actors::ports::store::Store;
use metrics_exporter_prometheus::PrometheusHandle;
use reqwest::Url;
use secrecy::SecretString;

use super::in_flight::InFlight;
use super::rate_limits::RateLimits;
use crate::auth::{FileUrlSigner, TokenIssuer, TokenVerifier};
use crate::config::{AllowedHosts, Origin, Settings, SubjectRooms, TrustedProxies};
use crate::files::Uploads;
use crate::link_previews::LinkPreviews;
use crate::outbound::OutboundClient;
use crate::push::{Fcm, VapidKey};
use crate::store::postgres::PostgresStore;
use crate::store::postgres::search::SearchLanguages;

/// The services and settings behind REST.
pub struct ApiState {
    /// Executes commands.
    pub engine: EngineHandle,
    /// Serves reads.
    pub store: PostgresStore,
    /// Serves the logs of rooms: the same store, through the engine's port.
    pub log: Arc<dyn Store>,
    /// Verifies tokens.
    pub tokens: Arc<TokenVerifier>,
    /// Issues tokens for built-in accounts; `None` where the host application issues all tokens.
    pub token_issuer: Option<TokenIssuer>,
    /// Signs the URLs of attachments.
    pub file_urls: FileUrlSigner,
    /// Stores attachments.
    pub uploads: Uploads,
    /// Calls addresses that users or hosts name.
    pub outbound: OutboundClient,
    /// Finds previews of links; `None` if they are switched off.
    pub link_previews: Option<LinkPreviews>,
    /// Signs pushes to browsers.
    pub vapid: VapidKey,
    /// Sends pushes to phones; `None` where no account for them is set.
    pub fcm: Option<Fcm>,
    /// Limits the rate of requests.
    pub rate_limits: RateLimits,
    /// Limits the requests in flight.
    pub in_flight: Arc<InFlight>,
    /// Whether this node takes new work: false during start and shutdown.
    pub is_ready: Arc<AtomicBool>,
    /// Renders the metrics of this node.
    pub metrics: Option<PrometheusHandle>,
    /// The settings of REST.
    pub settings: ApiSettings,
}

/// The settings of REST.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// The URL under which clients reach this server; `None`: each request's `Host` tells.
    pub public_url: Option<String>,
    /// The hosts that links may be built from.
    pub allowed_hosts: AllowedHosts,
    /// The proxies whose `X-Forwarded-*` headers are trusted.
    pub trusted_proxies: TrustedProxies,
    /// Whether a user without a grant may create the room of a task or property.
    pub open_subjects: bool,
    /// Languages whose words a search finds in other forms, too.
    pub search_languages: SearchLanguages,
    /// The most bytes of a JSON body.
    pub json_bytes_max: usize,
    /// The most bytes of an attachment.
    pub upload_bytes_max: u64,
    /// The most bytes of a slice of messages or events.
    pub page_bytes_max: usize,
    /// The time that a body may take for its next 1 KiB.
    pub body_stall: Duration,
    /// The time that a JSON body may take.
    pub body_seconds: Duration,
    /// The time that a body with a file may take.
    pub upload_seconds: Duration,
    /// The minimum rate of a body, on average.
    pub body_bytes_per_second: u32,
    /// Where operators of push services find this server's.
    pub push_contact: Option<String>,
    /// The token that `/metrics` on the public address requires; `None`: it isn't served there.
    pub metrics_token: Option<SecretString>,
}

impl From<&Settings> for ApiSettings {
    fn from(settings: &Settings) -> Self {
        Self {
            public_url: settings.public_url.clone(),
            allowed_hosts: settings.allowed_hosts.clone(),
            trusted_proxies: settings.trusted_proxies.clone(),
            open_subjects: settings.subject_rooms == SubjectRooms::Open,
            search_languages: settings.search_languages.clone(),
            json_bytes_max: usize::try_from(settings.limits.max_json_bytes).unwrap_or(usize::MAX),
            upload_bytes_max: settings.limits.max_upload_bytes,
            page_bytes_max: settings.limits.max_page_bytes as usize,
            body_stall: Duration::from_secs(settings.limits.body_stall_seconds),
            body_seconds: Duration::from_secs(settings.limits.body_seconds),
            upload_seconds: Duration::from_secs(settings.limits.upload_seconds),
            body_bytes_per_second: settings.limits.body_bytes_per_second,
            push_contact: settings.push_contact.clone(),
            metrics_token: settings.metrics_token.clone(),
        }
    }
}

impl ApiState {
    /// Returns the state that `app` registered with the routes.
    #[must_use]
    pub fn of(request: &HttpRequest) -> Data<Self> {
        request.app_data::<Data<Self>>().expect("app registers it together with the routes").clone()
    }

    /// Returns the address of the client, behind trusted proxies.
    #[must_use]
    pub fn client_address(&self, request: &HttpRequest) -> IpAddr {
        self.client_of(request.head())
    }

    /// Returns the address of the client of a request that isn't routed, such as an upgrade.
    #[must_use]
    pub fn client_of(&self, head: &RequestHead) -> IpAddr {
        let forwarded = joined_values(&head.headers, &FORWARDED_FOR);
        self.settings.trusted_proxies.client(peer(head), forwarded.as_deref())
    }

    /// Returns the scheme and host under which the client reaches this server.
    ///
    /// `None` where only the request names them and isn't trusted; links are relative then.
    #[must_use]
    pub fn base_url(&self, request: &HttpRequest) -> Option<Url> {
        let known = self.settings.public_url.as_deref().and_then(|url| Url::parse(url).ok());
        known.or_else(|| self.requested_url(request))
    }

    fn requested_url(&self, request: &HttpRequest) -> Option<Url> {
        let is_proxied = self.settings.trusted_proxies.contains(peer(request.head()).to_canonical());
        let forwarded = |name| header_values(request, name).filter(|_| is_proxied);
        // The last entry was written by the proxy nearest to this server.
        let last = |text: String| text.rsplit(',').next().map(|entry| entry.trim().to_owned());
        let scheme = forwarded(&FORWARDED_PROTO).and_then(last).unwrap_or_else(|| "http".to_owned());
        let host = forwarded(&FORWARDED_HOST).and_then(last).or_else(|| header_values(request, &HOST))?;
        let origin = Origin::parse(&format!("{scheme}://{host}"))?;
        let url = Url::parse(origin.as_str()).ok()?;
        if !self.settings.allowed_hosts.allow(&url, is_proxied) {
            static WARNED: Once = Once::new();
            WARNED.call_once(|| {
                tracing::warn!(%url, "a request names a host that isn't known, so links in its answer are \
                    relative; PUBLIC_URL or ALLOWED_HOSTS make others known");
            });
            return None;
        }
        Some(url)
    }
}

static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

fn peer(head: &RequestHead) -> IpAddr {
    head.peer_addr.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.ip())
}

fn header_values(request: &HttpRequest, name: &HeaderName) -> Option<String> {
    joined_values(request.headers(), name)
}

fn joined_values(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let lines: Vec<&str> = headers.get_all(name).filter_map(|line| line.to_str().ok()).collect();
    (!lines.is_empty()).then(|| lines.join(","))
}
