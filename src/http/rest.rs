//! What all handlers work with: handed in once by `app`, shared by all workers.

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

use super::budgets::Budgets;
use super::in_flight::InFlight;
use crate::auth::{FileUrlSigner, TokenMint, TokenVerifier};
use crate::config::{AllowedHosts, Origin, Settings, SubjectRooms, TrustedProxies};
use crate::files::Uploads;
use crate::store::postgres::PostgresStore;

/// Everything behind REST.
pub struct Rest {
    /// Carries writes out.
    pub engine: EngineHandle,
    /// Answers reads.
    pub store: PostgresStore,
    /// The logs of rooms: the same store, by the engine's port.
    pub log: Arc<dyn Store>,
    /// Says who is calling.
    pub tokens: Arc<TokenVerifier>,
    /// Signs tokens for built-in accounts, where there are any.
    pub mint: Option<TokenMint>,
    /// Signs addresses of attachments.
    pub file_urls: FileUrlSigner,
    /// Keeps attachments.
    pub uploads: Uploads,
    /// How often who may ask.
    pub budgets: Budgets,
    /// What is under way.
    pub in_flight: Arc<InFlight>,
    /// Whether new work is welcome; false before the start is over and once the stop has begun.
    pub is_ready: Arc<AtomicBool>,
    /// The figures of this node.
    pub metrics: Option<PrometheusHandle>,
    /// What the operator has set.
    pub settings: RestSettings,
}

/// What of the settings concerns REST.
#[derive(Clone, Debug)]
pub struct RestSettings {
    /// Where clients reach this server; else each request tells.
    pub public_url: Option<String>,
    /// Hosts that a request may say it was sent to.
    pub allowed_hosts: AllowedHosts,
    /// Whose `X-Forwarded-*` is believed.
    pub trusted_proxies: TrustedProxies,
    /// Whether one without a grant may make a subject's room.
    pub open_subjects: bool,
    /// Bytes of a JSON body.
    pub json_bytes_max: usize,
    /// Bytes of an attachment.
    pub upload_bytes_max: u64,
    /// Bytes of a page by `seq`.
    pub page_bytes_max: usize,
    /// How long a body may take for its next 1 KiB.
    pub body_stall: Duration,
    /// How long a JSON body may take.
    pub body_seconds: Duration,
    /// How long a body with a file may take.
    pub upload_seconds: Duration,
    /// Bytes that a body brings in a second on average, at least.
    pub body_bytes_per_second: u32,
    /// What is shown to see the figures at the address of everything else; without one they aren't there.
    pub metrics_token: Option<SecretString>,
}

impl From<&Settings> for RestSettings {
    fn from(settings: &Settings) -> Self {
        Self {
            public_url: settings.public_url.clone(),
            allowed_hosts: settings.allowed_hosts.clone(),
            trusted_proxies: settings.trusted_proxies.clone(),
            open_subjects: settings.subject_rooms == SubjectRooms::Open,
            json_bytes_max: usize::try_from(settings.limits.max_json_bytes).unwrap_or(usize::MAX),
            upload_bytes_max: settings.limits.max_upload_bytes,
            page_bytes_max: settings.limits.max_page_bytes as usize,
            body_stall: Duration::from_secs(settings.limits.body_stall_seconds),
            body_seconds: Duration::from_secs(settings.limits.body_seconds),
            upload_seconds: Duration::from_secs(settings.limits.upload_seconds),
            body_bytes_per_second: settings.limits.body_bytes_per_second,
            metrics_token: settings.metrics_token.clone(),
        }
    }
}

impl Rest {
    /// What `app` has put beside the routes.
    #[must_use]
    pub fn of(request: &HttpRequest) -> Data<Self> {
        request.app_data::<Data<Self>>().expect("app registers it together with the routes").clone()
    }

    /// The address of the client, behind the proxies that are trusted.
    #[must_use]
    pub fn client_address(&self, request: &HttpRequest) -> IpAddr {
        self.client_of(request.head())
    }

    /// The same of a request that reaches no route.
    #[must_use]
    pub fn client_of(&self, head: &RequestHead) -> IpAddr {
        let forwarded = lines_of(&head.headers, &FORWARDED_FOR);
        self.settings.trusted_proxies.client(peer(head), forwarded.as_deref())
    }

    /// Scheme and host under which this request's client reaches the server; `None` where only the request
    /// says so and isn't believed: then links are to have neither.
    #[must_use]
    pub fn base_url(&self, request: &HttpRequest) -> Option<Url> {
        let known = self.settings.public_url.as_deref().and_then(|url| Url::parse(url).ok());
        known.or_else(|| self.told_url(request))
    }

    fn told_url(&self, request: &HttpRequest) -> Option<Url> {
        let is_proxied = self.settings.trusted_proxies.contains(peer(request.head()).to_canonical());
        let told = |name| all_lines(request, name).filter(|_| is_proxied);
        // The proxy nearest to this server wrote the last entry.
        let last = |text: String| text.rsplit(',').next().map(|entry| entry.trim().to_owned());
        let scheme = told(&FORWARDED_PROTO).and_then(last).unwrap_or_else(|| "http".to_owned());
        let host = told(&FORWARDED_HOST).and_then(last).or_else(|| all_lines(request, &HOST))?;
        let origin = Origin::parse(&format!("{scheme}://{host}"))?;
        let url = Url::parse(origin.as_str()).ok()?;
        if !self.settings.allowed_hosts.allow(&url, is_proxied) {
            static TOLD: Once = Once::new();
            TOLD.call_once(|| {
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

fn all_lines(request: &HttpRequest, name: &HeaderName) -> Option<String> {
    lines_of(request.headers(), name)
}

fn lines_of(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let lines: Vec<&str> = headers.get_all(name).filter_map(|line| line.to_str().ok()).collect();
    (!lines.is_empty()).then(|| lines.join(","))
}
