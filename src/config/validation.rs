//! Turns a [`Config`] into [`Settings`].

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use actors::domain::text;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{
    AllowedHosts, Config, ConfigError, Database, DatabaseAddress, MetricsBind, Origin, OutboundAllow,
    Settings, SubjectRooms, Switch, TrustedProxies, non_empty,
};
use crate::store::postgres::search::SearchLanguages;

/// The default address of the metrics: on this machine only, with the default port of OpenTelemetry's Prometheus
/// exporter.
const METRICS_BIND: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);
/// Minimum length of a token that can't be guessed.
const METRICS_TOKEN_MIN: usize = 16;

impl Config {
    /// Validates each value, and the values against each other.
    ///
    /// Reads no file except the key files that `JWT_PUBLIC_KEYS` names.
    ///
    /// # Errors
    /// [`ConfigError`] for the first invalid setting.
    pub fn validate(self) -> Result<Settings, ConfigError> {
        let database = match non_empty(self.database_url.as_ref()) {
            None => Database::Private,
            Some(url) => {
                Database::External(Box::new(DatabaseAddress::parse("DATABASE_URL", url.expose_secret())?))
            }
        };
        let auth = self.auth.validate(matches!(database, Database::External(_)))?;
        let amqp_url = non_empty(self.amqp_url.as_ref());
        if let Some(url) = &amqp_url {
            check_amqp(url)?;
        }
        check_log(&self.log)?;
        let metrics_token = non_empty(self.metrics_token.as_ref());
        if metrics_token.as_ref().is_some_and(|token| token.expose_secret().trim().len() < METRICS_TOKEN_MIN)
        {
            return Err(ConfigError::invalid("METRICS_TOKEN", "must have 16 characters or more"));
        }
        self.limits.validate()?;
        Ok(Settings {
            metrics_bind: metrics_bind(self.metrics_bind.as_deref(), metrics_token.is_some())?,
            metrics_token,
            node_id: node_id(self.node_id.as_deref(), self.bind)?,
            push_contact: push_contact(self.push_contact.as_deref(), self.public_url.as_deref())?,
            fcm_service_account: self.fcm_service_account.filter(|path| !path.as_os_str().is_empty()),
            fcm_url: fcm_url(&self.fcm_url)?,
            public_url: self
                .public_url
                .as_deref()
                .filter(|url| !url.is_empty())
                .map(public_url)
                .transpose()?,
            allowed_hosts: AllowedHosts::parse(&self.allowed_hosts, self.bind.ip())?,
            allowed_origins: Origin::parse_all("ALLOWED_ORIGINS", &self.allowed_origins)?,
            trusted_proxies: TrustedProxies::parse(&self.trusted_proxies)?,
            outbound_allow: OutboundAllow::parse(&self.outbound_allow)?,
            workers: self.workers.map_or_else(
                || std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
                usize::from,
            ),
            rates: self.rates.effective(),
            bind: self.bind,
            database,
            database_connections: self.database_connections,
            amqp_url,
            data_dir: self.data_dir,
            log: self.log,
            log_format: self.log_format,
            drain_seconds: self.drain_seconds,
            link_previews: self.link_previews == Switch::On,
            search_languages: SearchLanguages::parse(&self.search_languages)
                .map_err(|problem| ConfigError::invalid("SEARCH_LANGUAGES", problem))?,
            subject_rooms: self.subject_rooms.unwrap_or(if auth.generates_signing_key {
                SubjectRooms::Open
            } else {
                SubjectRooms::Granted
            }),
            service_name: service_name(&self.service_name)?,
            unsafe_durability: self.unsafe_durability == Switch::On,
            auth,
            limits: self.limits,
        })
    }
}

fn check_amqp(url: &SecretString) -> Result<(), ConfigError> {
    let url = url.expose_secret();
    if !url.starts_with("amqp://") && !url.starts_with("amqps://") {
        return Err(ConfigError::invalid("AMQP_URL", "must begin with amqp:// or amqps://"));
    }
    url.parse::<lapin::uri::AMQPUri>()
        .map(drop)
        .map_err(|_| ConfigError::invalid("AMQP_URL", "is no amqp(s)://user:password@host:port/vhost"))
}

fn check_log(filter: &str) -> Result<(), ConfigError> {
    tracing_subscriber::EnvFilter::builder()
        .parse(filter)
        .map(drop)
        .map_err(|error| ConfigError::invalid("LOG", error.to_string()))
}

fn metrics_bind(given: Option<&str>, has_token: bool) -> Result<MetricsBind, ConfigError> {
    match given.map(str::trim).filter(|bind| !bind.is_empty()) {
        None if has_token => Ok(MetricsBind::Off),
        None => Ok(MetricsBind::Preferred(METRICS_BIND)),
        Some("off") => Ok(MetricsBind::Off),
        Some(bind) => bind
            .parse()
            .map(MetricsBind::Given)
            .map_err(|_| ConfigError::invalid("METRICS_BIND", format!("{bind:?} is no address:port"))),
    }
}

/// Where operators of push services find this server's: the contact that is given, or its public page.
fn push_contact(given: Option<&str>, public_url: Option<&str>) -> Result<Option<String>, ConfigError> {
    let Some(contact) = given.map(str::trim).filter(|contact| !contact.is_empty()) else {
        return Ok(public_url.filter(|url| url.starts_with("https://")).map(str::to_owned));
    };
    let is_usable = contact.starts_with("mailto:") || contact.starts_with("https://");
    if is_usable && Url::parse(contact).is_ok() {
        Ok(Some(contact.to_owned()))
    } else {
        Err(ConfigError::invalid("PUSH_CONTACT", "must be mailto:address or an https URL"))
    }
}

fn fcm_url(url: &str) -> Result<Url, ConfigError> {
    Url::parse(url)
        .ok()
        .filter(|url| matches!(url.scheme(), "https" | "http") && url.host().is_some())
        .ok_or_else(|| ConfigError::invalid("FCM_URL", "must be an http(s) URL"))
}

fn public_url(url: &str) -> Result<String, ConfigError> {
    Origin::parse(url.trim_end_matches('/')).map(|origin| origin.to_string()).ok_or_else(|| {
        ConfigError::invalid("PUBLIC_URL", format!("{url:?} is no http(s)://host[:port] without a path"))
    })
}

fn service_name(name: &str) -> Result<String, ConfigError> {
    match text::name(name, text::NAME_CHARS_MAX) {
        Ok(name) if !name.is_empty() => Ok(name.to_owned()),
        _ => Err(ConfigError::invalid("SERVICE_NAME", "must be a name of 1 to 255 characters")),
    }
}

fn node_id(given: Option<&str>, bind: SocketAddr) -> Result<String, ConfigError> {
    let Some(id) = given.filter(|id| !id.is_empty()) else {
        return Ok(default_node_id(bind));
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if id.len() > 64 || !id.chars().all(fits) {
        return Err(ConfigError::invalid("NODE_ID", "must be 1 to 64 letters, digits, '-', '_' or '.'"));
    }
    Ok(id.to_owned())
}

/// Names a node after its host and port, which no other process can hold at the same time. A port that the
/// system will choose isn't known yet, so the process id takes its place.
fn default_node_id(bind: SocketAddr) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host: String = host
        .trim()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'))
        .take(40)
        .collect();
    let host = if host.is_empty() { "node" } else { &host };
    match bind.port() {
        0 => format!("{host}-p{}", std::process::id()),
        port => format!("{host}-{port}"),
    }
}
