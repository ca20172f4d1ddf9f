//! Bounds on what one client, request or room may take, as settings.

use clap::{Args, value_parser};

use super::ConfigError;

/// The limits as settings; each is a bound that holds whatever `RATE_LIMITS` says.
#[derive(Debug, Clone, Args)]
pub struct LimitConfig {
    /// Open sockets of one person; the newest beyond it is refused with 4409
    #[arg(long, env = "MAX_SOCKETS_PER_USER", value_name = "MAX_SOCKETS_PER_USER", default_value_t = 20,
          value_parser = value_parser!(u32).range(1..))]
    pub max_sockets_per_user: u32,

    /// Seconds that the socket of a client that can't renew its token stays open after the token's
    /// expiry; 0: closed at expiry
    #[arg(
        long,
        env = "LEGACY_SOCKET_SECONDS",
        value_name = "LEGACY_SOCKET_SECONDS",
        default_value_t = 43_200
    )]
    pub legacy_socket_seconds: u64,

    /// Connections of one address that have not shown a good token yet; further ones are answered 429.
    /// Those of TRUSTED_PROXIES are not counted, and with RATE_LIMITS=off none are
    #[arg(long, env = "MAX_CONNECTIONS_PER_ADDRESS", value_name = "MAX_CONNECTIONS_PER_ADDRESS",
          default_value_t = 2_000, value_parser = value_parser!(u32).range(1..))]
    pub max_connections_per_address: u32,

    /// REST requests of one person under way at once; further ones are answered 429
    #[arg(long, env = "MAX_REQUESTS_PER_USER", value_name = "MAX_REQUESTS_PER_USER", default_value_t = 100,
          value_parser = value_parser!(u32).range(1..))]
    pub max_requests_per_user: u32,

    /// Bytes of bodies and answers of REST that are held at once; what would be more is answered 503. One
    /// person may have an eighth of them (429)
    #[arg(long, env = "MAX_HELD_BYTES", value_name = "MAX_HELD_BYTES", default_value_t = 256 * 1024 * 1024,
          value_parser = value_parser!(u64).range(16 * 1024 * 1024..))]
    pub max_held_bytes: u64,

    /// Bytes of a page of events, or of messages by `seq`; what doesn't fit is left to the next page
    #[arg(long, env = "MAX_PAGE_BYTES", value_name = "MAX_PAGE_BYTES", default_value_t = 2 * 1024 * 1024,
          value_parser = value_parser!(u32).range(64 * 1024..=64 * 1024 * 1024))]
    pub max_page_bytes: u32,

    /// Bytes of one attachment
    #[arg(long, env = "MAX_UPLOAD_BYTES", value_name = "MAX_UPLOAD_BYTES", default_value_t = 25 * 1024 * 1024,
          value_parser = value_parser!(u64).range(1..=10 * 1024 * 1024 * 1024))]
    pub max_upload_bytes: u64,

    /// Bytes of a JSON body
    #[arg(long, env = "MAX_JSON_BYTES", value_name = "MAX_JSON_BYTES", default_value_t = 1024 * 1024,
          value_parser = value_parser!(u32).range(16 * 1024..))]
    pub max_json_bytes: u32,

    /// Bytes of a WebSocket frame, and of a message made of several
    #[arg(long, env = "MAX_FRAME_BYTES", value_name = "MAX_FRAME_BYTES", default_value_t = 64 * 1024,
          value_parser = value_parser!(u32).range(20 * 1024..=16 * 1024 * 1024))]
    pub max_frame_bytes: u32,

    /// Fragments of one WebSocket message
    #[arg(long, env = "MAX_FRAGMENTS", value_name = "MAX_FRAGMENTS", default_value_t = 64,
          value_parser = value_parser!(u32).range(1..))]
    pub max_fragments: u32,

    /// Frames in a minute that are not understood before the socket is closed with 4400
    #[arg(long, env = "MAX_BAD_FRAMES", value_name = "MAX_BAD_FRAMES", default_value_t = 10,
          value_parser = value_parser!(u32).range(1..))]
    pub max_bad_frames: u32,

    /// Refusals in 10 seconds before the socket is closed with 4429
    #[arg(long, env = "MAX_REFUSALS", value_name = "MAX_REFUSALS", default_value_t = 100,
          value_parser = value_parser!(u32).range(1..))]
    pub max_refusals: u32,

    /// Events that a reconnecting client is replayed; beyond it the client is told to reload
    #[arg(long, env = "MAX_REPLAY_EVENTS", value_name = "MAX_REPLAY_EVENTS", default_value_t = 1000,
          value_parser = value_parser!(u32).range(1..=100_000))]
    pub max_replay_events: u32,

    /// Bytes that may wait for one socket before it is closed with 4431
    #[arg(long, env = "MAX_OUTBOX_BYTES", value_name = "MAX_OUTBOX_BYTES", default_value_t = 1024 * 1024,
          value_parser = value_parser!(u32).range(64 * 1024..))]
    pub max_outbox_bytes: u32,

    /// Frames that may wait for one socket before it is closed with 4431
    #[arg(long, env = "MAX_OUTBOX_FRAMES", value_name = "MAX_OUTBOX_FRAMES", default_value_t = 1000,
          value_parser = value_parser!(u32).range(16..))]
    pub max_outbox_frames: u32,

    /// Seconds that frames may wait for one socket without any progress before it is closed with 4431
    #[arg(long, env = "OUTBOX_STALL_SECONDS", value_name = "OUTBOX_STALL_SECONDS", default_value_t = 10,
          value_parser = value_parser!(u64).range(1..=3600))]
    pub outbox_stall_seconds: u64,

    /// Seconds of silence after which a socket is closed with 4408
    #[arg(long, env = "SILENT_SECONDS", value_name = "SILENT_SECONDS", default_value_t = 60,
          value_parser = value_parser!(u64).range(2..=3600))]
    pub silent_seconds: u64,

    /// Seconds between two pings of the server to a socket
    #[arg(long, env = "PING_SECONDS", value_name = "PING_SECONDS", default_value_t = 25,
          value_parser = value_parser!(u64).range(1..=1800))]
    pub ping_seconds: u64,

    /// Seconds within which the headers of a request must be there; a connection on which nothing was sent
    /// ends in silence then
    #[arg(long, env = "HEADER_SECONDS", value_name = "HEADER_SECONDS", default_value_t = 10,
          value_parser = value_parser!(u64).range(1..=300))]
    pub header_seconds: u64,

    /// Seconds within which a body must go on by 1 KiB
    #[arg(long, env = "BODY_STALL_SECONDS", value_name = "BODY_STALL_SECONDS", default_value_t = 10,
          value_parser = value_parser!(u64).range(1..=300))]
    pub body_stall_seconds: u64,

    /// Seconds within which a JSON body must be there
    #[arg(long, env = "BODY_SECONDS", value_name = "BODY_SECONDS", default_value_t = 30,
          value_parser = value_parser!(u64).range(1..=3600))]
    pub body_seconds: u64,

    /// Seconds within which an upload must be there
    #[arg(long, env = "UPLOAD_SECONDS", value_name = "UPLOAD_SECONDS", default_value_t = 900,
          value_parser = value_parser!(u64).range(1..=86_400))]
    pub upload_seconds: u64,

    /// Bytes that must come in a second of a body on average, once BODY_STALL_SECONDS are over
    #[arg(long, env = "BODY_BYTES_PER_SECOND", value_name = "BODY_BYTES_PER_SECOND", default_value_t = 1024,
          value_parser = value_parser!(u32).range(1..))]
    pub body_bytes_per_second: u32,

    /// Seconds within which a client must take more of an answer, or the connection is ended
    #[arg(long, env = "ANSWER_STALL_SECONDS", value_name = "ANSWER_STALL_SECONDS", default_value_t = 10,
          value_parser = value_parser!(u64).range(1..=300))]
    pub answer_stall_seconds: u64,

    /// Seconds that a connection is kept for a next request; longer than a proxy in front keeps it
    #[arg(long, env = "KEEP_ALIVE_SECONDS", value_name = "KEEP_ALIVE_SECONDS", default_value_t = 75,
          value_parser = value_parser!(u64).range(1..=3600))]
    pub keep_alive_seconds: u64,

    /// Seconds that a send waits for a database that is away before it is answered `unavailable`
    #[arg(long, env = "STORE_WAIT_SECONDS", value_name = "STORE_WAIT_SECONDS", default_value_t = 5,
          value_parser = value_parser!(u64).range(1..=9))]
    pub store_wait_seconds: u64,
}

impl LimitConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        if self.ping_seconds >= self.silent_seconds {
            return Err(ConfigError::invalid(
                "PING_SECONDS",
                format!(
                    "must be under SILENT_SECONDS ({}), or a healthy socket counts as silent",
                    self.silent_seconds
                ),
            ));
        }
        Ok(())
    }
}
