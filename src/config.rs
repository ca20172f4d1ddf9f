//! Every setting of the server, as flags, environment and help at once.
//!
//! `cli` parses [`Config`]; `app` gets the [`Settings`] that [`Config::validate`] makes of it and reads
//! nothing else: no other module looks at the environment. A value that can't be is refused by the
//! name of its setting before anything is started.

pub mod auth;
pub mod hosts;
pub mod limits;
pub mod origin;
pub mod proxies;
pub mod rates;
pub mod secret;
pub mod table;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use actors::limits::{BATCHES_IN_FLIGHT_MAX, LANES_MAX};
use clap::{Args, ValueEnum};
use secrecy::{ExposeSecret, SecretString};

pub use self::{
    auth::{AuthConfig, AuthSettings},
    hosts::AllowedHosts,
    limits::LimitConfig,
    origin::Origin,
    proxies::TrustedProxies,
    rates::{Rate, RateConfig, Rates},
};

/// Each batch and each lane of the engine needs a connection of its own: with fewer, rooms that others hold
/// would keep messages waiting. As many are left for everything else that writes, and for what reads.
const DATABASE_CONNECTIONS_MIN: i64 = 2 * (BATCHES_IN_FLIGHT_MAX + LANES_MAX) as i64;

/// Where Prometheus looks by default for what speaks its form, on this machine alone.
const METRICS_BIND: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);
/// The fewest characters of a token that can't be guessed.
const METRICS_TOKEN_MIN: usize = 16;

/// A switch that reads as a word, so that `NAME=off` in an environment file says what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// In force.
    On,
    /// Not in force.
    Off,
}

/// The form of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For reading at a terminal.
    Text,
}

/// Who may make the room of a task or a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SubjectRooms {
    /// Anyone who is signed in, as the chat before this one had it.
    Open,
    /// Only a service token or a token that carries the grant.
    Granted,
}

/// Settings of the server; each is a flag and an environment variable of the same name.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// Address and port to listen on
    #[arg(long, env = "BIND", value_name = "BIND", default_value = "127.0.0.1:8000")]
    pub bind: SocketAddr,

    /// Address and port for the figures alone, at /metrics; `off` for none. Unset: 127.0.0.1:9464 when that is
    /// free, and none when METRICS_TOKEN is set
    #[arg(long, env = "METRICS_BIND", value_name = "METRICS_BIND")]
    pub metrics_bind: Option<String>,

    /// Bearer token that shows the figures at /metrics of BIND too; unset: they are not there
    #[arg(long, env = "METRICS_TOKEN", value_name = "METRICS_TOKEN", hide_env_values = true)]
    pub metrics_token: Option<SecretString>,

    /// Scheme and host under which clients reach this server, for the absolute URLs in answers;
    /// unset: taken from each request, as far as ALLOWED_HOSTS goes
    #[arg(long, env = "PUBLIC_URL", value_name = "PUBLIC_URL")]
    pub public_url: Option<String>,

    /// Hosts (names, .domain for all below it, or *, separated by commas) by which links in answers may
    /// call this server; unset: loopback and private addresses, BIND, names without a dot, and what
    /// TRUSTED_PROXIES pass on. To other hosts links are relative
    #[arg(long, env = "ALLOWED_HOSTS", value_name = "ALLOWED_HOSTS", value_delimiter = ',')]
    pub allowed_hosts: Vec<String>,

    /// Origins (scheme://host[:port], separated by commas) whose pages may call this server,
    /// besides its own
    #[arg(long, env = "ALLOWED_ORIGINS", value_name = "ALLOWED_ORIGINS", value_delimiter = ',')]
    pub allowed_origins: Vec<String>,

    /// Addresses or networks (CIDR, separated by commas) of proxies whose X-Forwarded-For is believed, and,
    /// without ALLOWED_HOSTS, the hosts that they pass on
    #[arg(long, env = "TRUSTED_PROXIES", value_name = "TRUSTED_PROXIES", value_delimiter = ',')]
    pub trusted_proxies: Vec<String>,

    /// PostgreSQL to use, as a URL or key=value pairs; unset: a private one is started from this
    /// machine's binaries
    #[arg(long, env = "DATABASE_URL", value_name = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<SecretString>,

    /// Connections to PostgreSQL that this node keeps at most
    #[arg(long, env = "DATABASE_CONNECTIONS", value_name = "DATABASE_CONNECTIONS", default_value_t = 20,
          value_parser = clap::value_parser!(u16).range(DATABASE_CONNECTIONS_MIN..=1000))]
    pub database_connections: u16,

    /// RabbitMQ that links several nodes, as amqp://user:password@host:port/vhost; unset: one node
    #[arg(long, env = "AMQP_URL", value_name = "AMQP_URL", hide_env_values = true)]
    pub amqp_url: Option<SecretString>,

    /// Folder for attachments, and for what a private PostgreSQL keeps
    #[arg(long, env = "DATA_DIR", value_name = "DATA_DIR", default_value = "./data")]
    pub data_dir: PathBuf,

    /// Name of this node, unlike every other node's; unset: host name and port
    #[arg(long, env = "NODE_ID", value_name = "NODE_ID")]
    pub node_id: Option<String>,

    /// Worker threads; unset: one for each processor
    #[arg(long, env = "WORKERS", value_name = "WORKERS",
          value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,

    /// What is logged, as level or target=level, separated by commas
    #[arg(long, env = "LOG", value_name = "LOG", default_value = "info")]
    pub log: String,

    /// Form of the log lines
    #[arg(long, env = "LOG_FORMAT", value_name = "LOG_FORMAT", default_value = "json")]
    pub log_format: LogFormat,

    /// Seconds that a stopping server may take to finish what is under way
    #[arg(long, env = "DRAIN_SECONDS", value_name = "DRAIN_SECONDS", default_value_t = 20,
          value_parser = clap::value_parser!(u64).range(1..=300))]
    pub drain_seconds: u64,

    /// Who may make the room of a task or a property; unset: granted where a key is given (JWT_SECRET,
    /// JWT_PUBLIC_KEYS, JWKS_URL), open where this server makes its own
    #[arg(long, env = "SUBJECT_ROOMS", value_name = "SUBJECT_ROOMS")]
    pub subject_rooms: Option<SubjectRooms>,

    /// UNSAFE: `on` serves even when the database has fsync, synchronous_commit or full_page_writes
    /// off, so that an acknowledged message may be lost
    #[arg(long, env = "UNSAFE_DURABILITY", value_name = "UNSAFE_DURABILITY", default_value = "off")]
    pub unsafe_durability: Switch,

    /// Tokens and accounts.
    #[command(flatten, next_help_heading = "Tokens and accounts")]
    pub auth: AuthConfig,

    /// Rates.
    #[command(flatten, next_help_heading = "Rates (<per second>:<burst>)")]
    pub rates: RateConfig,

    /// Limits.
    #[command(flatten, next_help_heading = "Limits")]
    pub limits: LimitConfig,
}

/// What the start is made of: a [`Config`] whose values are known to fit each other.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Address to listen on.
    pub bind: SocketAddr,
    /// Where the figures are served by themselves.
    pub metrics_bind: MetricsBind,
    /// What shows the figures beside everything else.
    pub metrics_token: Option<SecretString>,
    /// Scheme and host for absolute URLs, without a slash at its end.
    pub public_url: Option<String>,
    /// Hosts that links in answers may lead to.
    pub allowed_hosts: AllowedHosts,
    /// Pages that may call this server, besides its own.
    pub allowed_origins: Vec<Origin>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: TrustedProxies,
    /// Where the rooms are kept.
    pub database: Database,
    /// Connections to PostgreSQL at most.
    pub database_connections: u16,
    /// The broker between nodes.
    pub amqp_url: Option<SecretString>,
    /// Folder for attachments and for a private PostgreSQL.
    pub data_dir: PathBuf,
    /// This node's name: 1 to 64 letters, digits, `-`, `_`, `.`.
    pub node_id: String,
    /// Worker threads.
    pub workers: usize,
    /// Filter of the log.
    pub log: String,
    /// Form of the log.
    pub log_format: LogFormat,
    /// Seconds for a stop.
    pub drain_seconds: u64,
    /// Who may make the room of a task or a property.
    pub subject_rooms: SubjectRooms,
    /// Whether to serve on a database that may lose what it acknowledged.
    pub unsafe_durability: bool,
    /// Tokens and accounts.
    pub auth: AuthSettings,
    /// Rates; `None` for a kind when `RATE_LIMITS=off`.
    pub rates: Rates,
    /// Limits.
    pub limits: LimitConfig,
}

/// Where the figures are served by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsBind {
    /// Nowhere.
    Off,
    /// Here, when nobody else listens there: another node of this machine may.
    Preferred(SocketAddr),
    /// Here.
    Given(SocketAddr),
}

/// The database that [`Settings`] name.
#[derive(Debug, Clone)]
pub enum Database {
    /// One that someone else runs.
    External(Box<tokio_postgres::Config>),
    /// One that this server starts under [`Settings::data_dir`].
    Private,
}

/// A setting that stops the start. The text names it and never holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// One setting's value can't be used.
    #[error("{setting}: {problem}")]
    Invalid {
        /// Name of the setting, as in the environment.
        setting: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// Nothing is there to verify tokens with.
    #[error(
        "JWT_SECRET, JWT_PUBLIC_KEYS or JWKS_URL: one must be set when DATABASE_URL is, there is no default key"
    )]
    NoKey,
}

impl ConfigError {
    pub(crate) fn invalid(setting: &'static str, problem: impl Into<String>) -> Self {
        Self::Invalid { setting, problem: problem.into() }
    }
}

impl Config {
    /// Checks every value, and the values against each other.
    ///
    /// Touches no file but the key files that `JWT_PUBLIC_KEYS` names.
    ///
    /// # Errors
    /// [`ConfigError`] for the first setting that can't be used.
    pub fn validate(self) -> Result<Settings, ConfigError> {
        let database = match given(self.database_url.as_ref()) {
            None => Database::Private,
            Some(url) => Database::External(Box::new(database_config(&url)?)),
        };
        let auth = self.auth.validate(matches!(database, Database::External(_)))?;
        let amqp_url = given(self.amqp_url.as_ref());
        if let Some(url) = &amqp_url {
            check_amqp(url)?;
        }
        check_log(&self.log)?;
        let metrics_token = given(self.metrics_token.as_ref());
        if metrics_token.as_ref().is_some_and(|token| token.expose_secret().trim().len() < METRICS_TOKEN_MIN)
        {
            return Err(ConfigError::invalid("METRICS_TOKEN", "must have 16 characters or more"));
        }
        self.limits.validate()?;
        Ok(Settings {
            metrics_bind: metrics_bind(self.metrics_bind.as_deref(), metrics_token.is_some())?,
            metrics_token,
            node_id: node_id(self.node_id.as_deref(), self.bind)?,
            public_url: self
                .public_url
                .as_deref()
                .filter(|url| !url.is_empty())
                .map(public_url)
                .transpose()?,
            allowed_hosts: AllowedHosts::parse(&self.allowed_hosts, self.bind.ip())?,
            allowed_origins: Origin::parse_all("ALLOWED_ORIGINS", &self.allowed_origins)?,
            trusted_proxies: TrustedProxies::parse(&self.trusted_proxies)?,
            workers: self.workers.map_or_else(
                || std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
                usize::from,
            ),
            rates: self.rates.in_force(),
            bind: self.bind,
            database,
            database_connections: self.database_connections,
            amqp_url,
            data_dir: self.data_dir,
            log: self.log,
            log_format: self.log_format,
            drain_seconds: self.drain_seconds,
            subject_rooms: self.subject_rooms.unwrap_or(if auth.keeps_secret {
                SubjectRooms::Open
            } else {
                SubjectRooms::Granted
            }),
            unsafe_durability: self.unsafe_durability == Switch::On,
            auth,
            limits: self.limits,
        })
    }
}

/// Takes an empty secret for an unset one: environment files can't leave a name out.
pub(crate) fn given(secret: Option<&SecretString>) -> Option<SecretString> {
    secret.filter(|secret| !secret.expose_secret().trim().is_empty()).cloned()
}

fn database_config(url: &SecretString) -> Result<tokio_postgres::Config, ConfigError> {
    let config: tokio_postgres::Config = url.expose_secret().parse().map_err(|_| {
        ConfigError::invalid("DATABASE_URL", "is neither a postgres:// URL nor key=value pairs")
    })?;
    if config.get_hosts().is_empty() {
        return Err(ConfigError::invalid("DATABASE_URL", "names no host"));
    }
    Ok(config)
}

fn check_amqp(url: &SecretString) -> Result<(), ConfigError> {
    let url = url.expose_secret();
    if !url.starts_with("amqp://") {
        return Err(ConfigError::invalid(
            "AMQP_URL",
            "must begin with amqp:// (for TLS, put a tunnel in front of the broker)",
        ));
    }
    url.parse::<lapin::uri::AMQPUri>()
        .map(drop)
        .map_err(|_| ConfigError::invalid("AMQP_URL", "is no amqp://user:password@host:port/vhost"))
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

fn public_url(url: &str) -> Result<String, ConfigError> {
    Origin::parse(url.trim_end_matches('/')).map(|origin| origin.to_string()).ok_or_else(|| {
        ConfigError::invalid("PUBLIC_URL", format!("{url:?} is no http(s)://host[:port] without a path"))
    })
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

/// Names a node after its host and port, which no other process there can have at the same time; a
/// port that the system will choose is not known yet, so the process id stands for it.
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

#[cfg(test)]
mod tests;
