//! The settings that the server runs with.

use std::net::SocketAddr;
use std::path::PathBuf;

use secrecy::SecretString;
use url::Url;

use super::{
    AllowedHosts, AuthSettings, DatabaseAddress, LimitConfig, LogFormat, Origin, OutboundAllow, Rates,
    SubjectRooms, TrustedProxies,
};
use crate::store::postgres::search::SearchLanguages;

/// A validated [`Config`]: each value is valid, and the values fit each other.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Address to listen on.
    pub bind: SocketAddr,
    /// Where metrics are served on an address of their own.
    pub metrics_bind: MetricsBind,
    /// Token that grants access to the metrics at [`Settings::bind`].
    pub metrics_token: Option<SecretString>,
    /// Scheme and host of absolute URLs, without a trailing slash.
    pub public_url: Option<String>,
    /// Hosts that absolute URLs may name.
    pub allowed_hosts: AllowedHosts,
    /// Origins whose pages may call this server, besides its own.
    pub allowed_origins: Vec<Origin>,
    /// Proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: TrustedProxies,
    /// Destinations beyond the public internet that calls to the outside may reach.
    pub outbound_allow: OutboundAllow,
    /// Where operators of push services find this server's.
    pub push_contact: Option<String>,
    /// The file of the account that pushes to phones are sent by.
    pub fcm_service_account: Option<PathBuf>,
    /// Where Firebase Cloud Messaging is called.
    pub fcm_url: Url,
    /// The database to use.
    pub database: Database,
    /// Maximum number of connections to PostgreSQL.
    pub database_connections: u16,
    /// URL of the broker between nodes.
    pub amqp_url: Option<SecretString>,
    /// Folder for attachments and for a private PostgreSQL.
    pub data_dir: PathBuf,
    /// Name of this node: 1 to 64 letters, digits, `-`, `_` or `.`.
    pub node_id: String,
    /// Number of worker threads.
    pub workers: usize,
    /// Log filter.
    pub log: String,
    /// Format of the log lines.
    pub log_format: LogFormat,
    /// Seconds that a stop may take.
    pub drain_seconds: u64,
    /// Whether to fetch previews of the links in messages.
    pub link_previews: bool,
    /// Languages whose words a search finds in other forms, too.
    pub search_languages: SearchLanguages,
    /// Who may create the room of a task or a property.
    pub subject_rooms: SubjectRooms,
    /// Name of the author of what the host application posts.
    pub service_name: String,
    /// Whether to run on a database that may lose acknowledged writes.
    pub unsafe_durability: bool,
    /// Tokens and accounts.
    pub auth: AuthSettings,
    /// Rate limits; `None` for each when `RATE_LIMITS=off`.
    pub rates: Rates,
    /// Limits.
    pub limits: LimitConfig,
}

/// Where metrics are served on an address of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsBind {
    /// Not at all.
    Off,
    /// At the default address if it is free; another node on this machine may already use it.
    Preferred(SocketAddr),
    /// At this address, or the start fails.
    Given(SocketAddr),
}

/// The database that [`Settings`] selects.
#[derive(Debug, Clone)]
pub enum Database {
    /// A database that is operated separately.
    External(Box<DatabaseAddress>),
    /// A PostgreSQL that this server runs under [`Settings::data_dir`].
    Private,
}
