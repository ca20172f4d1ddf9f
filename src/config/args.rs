//! The settings as `clap` parses them.

use std::net::SocketAddr;
use std::path::PathBuf;

use actors::limits::{BATCHES_IN_FLIGHT_MAX, LOCKED_ROOM_RETRIES_MAX};
use clap::Args;
use secrecy::SecretString;

use super::{AuthConfig, LimitConfig, LogFormat, RateConfig, SubjectRooms, Switch};

/// Each concurrent batch and each retry of a locked room needs its own connection, or rooms that others hold
/// would delay messages. The same number is left for other writes and for reads.
const DATABASE_CONNECTIONS_MIN: i64 = 2 * (BATCHES_IN_FLIGHT_MAX + LOCKED_ROOM_RETRIES_MAX) as i64;

/// The settings as parsed. Each is a flag and an environment variable of the same name.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// Address and port to listen on
    #[arg(long, env = "BIND", value_name = "BIND", default_value = "127.0.0.1:8000")]
    pub bind: SocketAddr,

    /// Address and port that serve only the metrics, at /metrics; `off` disables it. Unset: 127.0.0.1:9464 if
    /// it is free, or `off` when METRICS_TOKEN is set
    #[arg(long, env = "METRICS_BIND", value_name = "METRICS_BIND")]
    pub metrics_bind: Option<String>,

    /// Bearer token that grants access to /metrics at BIND; unset: /metrics is not served there
    #[arg(long, env = "METRICS_TOKEN", value_name = "METRICS_TOKEN", hide_env_values = true)]
    pub metrics_token: Option<SecretString>,

    /// Scheme and host under which clients reach this server, for absolute URLs in responses; unset: taken
    /// from each request, if ALLOWED_HOSTS permits
    #[arg(long, env = "PUBLIC_URL", value_name = "PUBLIC_URL")]
    pub public_url: Option<String>,

    /// Hosts (names, .domain for its subdomains, or *, separated by commas) that absolute URLs in responses
    /// may name; unset: loopback and private addresses, BIND, names without a dot, and hosts forwarded by
    /// TRUSTED_PROXIES. For other hosts URLs are relative
    #[arg(long, env = "ALLOWED_HOSTS", value_name = "ALLOWED_HOSTS", value_delimiter = ',')]
    pub allowed_hosts: Vec<String>,

    /// Origins (scheme://host[:port], separated by commas) whose pages may call this server, besides its own
    #[arg(long, env = "ALLOWED_ORIGINS", value_name = "ALLOWED_ORIGINS", value_delimiter = ',')]
    pub allowed_origins: Vec<String>,

    /// Addresses or networks (CIDR, separated by commas) of proxies whose X-Forwarded-For is trusted and,
    /// without ALLOWED_HOSTS, the hosts that they forward
    #[arg(long, env = "TRUSTED_PROXIES", value_name = "TRUSTED_PROXIES", value_delimiter = ',')]
    pub trusted_proxies: Vec<String>,

    /// Hosts (names), addresses or networks (CIDR), separated by commas, that calls to the outside (webhooks,
    /// push, link previews) may reach though they aren't public, and without TLS
    #[arg(long, env = "OUTBOUND_ALLOW", value_name = "OUTBOUND_ALLOW", value_delimiter = ',')]
    pub outbound_allow: Vec<String>,

    /// Where operators of push services find this server's, as mailto:address or an https URL; unset: PUBLIC_URL if
    /// it is https, or nothing, which some push services refuse
    #[arg(long, env = "PUSH_CONTACT", value_name = "PUSH_CONTACT")]
    pub push_contact: Option<String>,

    /// The JSON file of a Google service account that may send by Firebase Cloud Messaging; unset: no pushes to phones
    #[arg(long, env = "FCM_SERVICE_ACCOUNT", value_name = "FCM_SERVICE_ACCOUNT")]
    pub fcm_service_account: Option<PathBuf>,

    /// Where Firebase Cloud Messaging is called
    #[arg(long, env = "FCM_URL", value_name = "FCM_URL", default_value = "https://fcm.googleapis.com")]
    pub fcm_url: String,

    /// PostgreSQL to use, as a URL or key=value pairs, with sslmode and sslrootcert as libpq means them (without
    /// sslmode nothing is encrypted); unset: the server starts a private one from the binaries on this machine
    #[arg(long, env = "DATABASE_URL", value_name = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<SecretString>,

    /// Maximum number of connections from this node to PostgreSQL
    #[arg(long, env = "DATABASE_CONNECTIONS", value_name = "DATABASE_CONNECTIONS", default_value_t = 20,
          value_parser = clap::value_parser!(u16).range(DATABASE_CONNECTIONS_MIN..=1000))]
    pub database_connections: u16,

    /// RabbitMQ that connects several nodes, as amqp://user:password@host:port/vhost, or amqps:// for TLS; unset: a
    /// single node
    #[arg(long, env = "AMQP_URL", value_name = "AMQP_URL", hide_env_values = true)]
    pub amqp_url: Option<SecretString>,

    /// Folder for attachments and for a private PostgreSQL
    #[arg(long, env = "DATA_DIR", value_name = "DATA_DIR", default_value = "./data")]
    pub data_dir: PathBuf,

    /// Name of this node, unique among the nodes; unset: host name and port
    #[arg(long, env = "NODE_ID", value_name = "NODE_ID")]
    pub node_id: Option<String>,

    /// Worker threads; unset: one per processor
    #[arg(long, env = "WORKERS", value_name = "WORKERS",
          value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,

    /// Log filter: a level, or target=level, separated by commas
    #[arg(long, env = "LOG", value_name = "LOG", default_value = "info")]
    pub log: String,

    /// Format of the log lines
    #[arg(long, env = "LOG_FORMAT", value_name = "LOG_FORMAT", default_value = "json")]
    pub log_format: LogFormat,

    /// Seconds that a stopping server may take to finish pending work
    #[arg(long, env = "DRAIN_SECONDS", value_name = "DRAIN_SECONDS", default_value_t = 20,
          value_parser = clap::value_parser!(u64).range(1..=300))]
    pub drain_seconds: u64,

    /// `on`: show what the pages say of themselves that messages link to. This server asks each page once, from its
    /// own address
    #[arg(long, env = "LINK_PREVIEWS", value_name = "LINK_PREVIEWS", default_value = "off")]
    pub link_previews: Switch,

    /// Languages whose words a search finds in other forms, too, separated by commas: arabic, danish, dutch,
    /// english, finnish, french, german, greek, hungarian, italian, norwegian, portuguese, romanian, russian,
    /// spanish, swedish, tamil, turkish
    #[arg(
        long,
        env = "SEARCH_LANGUAGES",
        value_name = "SEARCH_LANGUAGES",
        value_delimiter = ',',
        default_value = "english,spanish"
    )]
    pub search_languages: Vec<String>,

    /// Who may create the room of a task or a property; unset: `granted` when a key is configured
    /// (JWT_SECRET, JWT_PUBLIC_KEYS, JWKS_URL), `open` when the server generates its own
    #[arg(long, env = "SUBJECT_ROOMS", value_name = "SUBJECT_ROOMS")]
    pub subject_rooms: Option<SubjectRooms>,

    /// Name of the author of what the host application posts with a service token
    #[arg(long, env = "SERVICE_NAME", value_name = "SERVICE_NAME", default_value = "AriStay")]
    pub service_name: String,

    /// UNSAFE: `on` lets the server run on a database with fsync, synchronous_commit or full_page_writes off,
    /// where an acknowledged message can be lost
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
