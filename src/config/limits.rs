//! Settings that bound what one client, request or room may take.

use clap::{Args, value_parser};

use super::ConfigError;

/// The limits as settings. They hold regardless of `RATE_LIMITS`.
#[derive(Debug, Clone, Args)]
pub struct LimitConfig {
    /// Open sockets of one user; the newest beyond that is closed with 4409
    #[arg(long, env = "MAX_SOCKETS_PER_USER", value_name = "MAX_SOCKETS_PER_USER", default_value_t = 20,
          value_parser = value_parser!(u32).range(1..))]
    pub max_sockets_per_user: u32,

    /// Seconds that the socket of a client that can't renew its token stays open after the token has expired;
    /// 0: closed at expiry
    #[arg(
        long,
        env = "LEGACY_SOCKET_SECONDS",
        value_name = "LEGACY_SOCKET_SECONDS",
        default_value_t = 43_200
    )]
    pub legacy_socket_seconds: u64,

    /// Unauthenticated connections from one address; further ones are answered with 429. Connections from
    /// TRUSTED_PROXIES are not counted, and none are with RATE_LIMITS=off
    #[arg(long, env = "MAX_CONNECTIONS_PER_ADDRESS", value_name = "MAX_CONNECTIONS_PER_ADDRESS",
          default_value_t = 2_000, value_parser = value_parser!(u32).range(1..))]
    pub max_connections_per_address: u32,

    /// Concurrent REST requests of one user; further ones are answered with 429
    #[arg(long, env = "MAX_REQUESTS_PER_USER", value_name = "MAX_REQUESTS_PER_USER", default_value_t = 100,
          value_parser = value_parser!(u32).range(1..))]
    pub max_requests_per_user: u32,

    /// Bytes of REST bodies and responses held in memory at once; requests beyond that are answered with 503.
    /// One user may hold an eighth of it (429)
    #[arg(long, env = "MAX_HELD_BYTES", value_name = "MAX_HELD_BYTES", default_value_t = 256 * 1024 * 1024,
          value_parser = value_parser!(u64).range(16 * 1024 * 1024..))]
    pub max_held_bytes: u64,

    /// Bytes of a page of events, or of messages by `seq`; the rest is left to the next page
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

    /// Bytes of a WebSocket frame, and of a fragmented message
    #[arg(long, env = "MAX_FRAME_BYTES", value_name = "MAX_FRAME_BYTES", default_value_t = 64 * 1024,
          value_parser = value_parser!(u32).range(20 * 1024..=16 * 1024 * 1024))]
    pub max_frame_bytes: u32,

    /// Fragments of one WebSocket message
    #[arg(long, env = "MAX_FRAGMENTS", value_name = "MAX_FRAGMENTS", default_value_t = 64,
          value_parser = value_parser!(u32).range(1..))]
    pub max_fragments: u32,

    /// Unparsable frames within a minute before the socket is closed with 4400
    #[arg(long, env = "MAX_BAD_FRAMES", value_name = "MAX_BAD_FRAMES", default_value_t = 10,
          value_parser = value_parser!(u32).range(1..))]
    pub max_bad_frames: u32,

    /// Refused commands within 10 seconds before the socket is closed with 4429
    #[arg(long, env = "MAX_REFUSALS", value_name = "MAX_REFUSALS", default_value_t = 100,
          value_parser = value_parser!(u32).range(1..))]
    pub max_refusals: u32,

    /// Events replayed to a reconnecting client; beyond that the client is told to reload
    #[arg(long, env = "MAX_REPLAY_EVENTS", value_name = "MAX_REPLAY_EVENTS", default_value_t = 1000,
          value_parser = value_parser!(u32).range(1..=100_000))]
    pub max_replay_events: u32,

    /// Bytes queued for one socket before it is closed with 4431
    #[arg(long, env = "MAX_OUTBOX_BYTES", value_name = "MAX_OUTBOX_BYTES", default_value_t = 1024 * 1024,
          value_parser = value_parser!(u32).range(64 * 1024..))]
    pub max_outbox_bytes: u32,

    /// Frames queued for one socket before it is closed with 4431
    #[arg(long, env = "MAX_OUTBOX_FRAMES", value_name = "MAX_OUTBOX_FRAMES", default_value_t = 1000,
          value_parser = value_parser!(u32).range(16..))]
    pub max_outbox_frames: u32,

    /// Seconds that queued frames may make no progress before the socket is closed with 4431
    #[arg(long, env = "OUTBOX_STALL_SECONDS", value_name = "OUTBOX_STALL_SECONDS", default_value_t = 10,
          value_parser = value_parser!(u64).range(1..=3600))]
    pub outbox_stall_seconds: u64,

    /// Seconds without any data from the client before a socket is closed with 4408
    #[arg(long, env = "SILENT_SECONDS", value_name = "SILENT_SECONDS", default_value_t = 60,
          value_parser = value_parser!(u64).range(2..=3600))]
    pub silent_seconds: u64,

    /// Seconds between two server pings on a socket
    #[arg(long, env = "PING_SECONDS", value_name = "PING_SECONDS", default_value_t = 25,
          value_parser = value_parser!(u64).range(1..=1800))]
    pub ping_seconds: u64,

    /// Seconds within which the head of a request must arrive; a connection on which nothing was sent is then
    /// closed without a response
    #[arg(long, env = "HEADER_SECONDS", value_name = "HEADER_SECONDS", default_value_t = 10,
          value_parser = value_parser!(u64).range(1..=300))]
    pub header_seconds: u64,

    /// Seconds within which a body must advance by 1 KiB
    #[arg(long, env = "BODY_STALL_SECONDS", value_name = "BODY_STALL_SECONDS", default_value_t = 10,
          value_parser = value_parser!(u64).range(1..=300))]
    pub body_stall_seconds: u64,

    /// Seconds within which a JSON body must be complete
    #[arg(long, env = "BODY_SECONDS", value_name = "BODY_SECONDS", default_value_t = 30,
          value_parser = value_parser!(u64).range(1..=3600))]
    pub body_seconds: u64,

    /// Seconds within which an upload must be complete
    #[arg(long, env = "UPLOAD_SECONDS", value_name = "UPLOAD_SECONDS", default_value_t = 900,
          value_parser = value_parser!(u64).range(1..=86_400))]
    pub upload_seconds: u64,

    /// Average bytes per second that a body must reach once BODY_STALL_SECONDS have passed
    #[arg(long, env = "BODY_BYTES_PER_SECOND", value_name = "BODY_BYTES_PER_SECOND", default_value_t = 1024,
          value_parser = value_parser!(u32).range(1..))]
    pub body_bytes_per_second: u32,

    /// Seconds within which a client must read more of a response before the connection is closed
    #[arg(long, env = "ANSWER_STALL_SECONDS", value_name = "ANSWER_STALL_SECONDS", default_value_t = 10,
          value_parser = value_parser!(u64).range(1..=300))]
    pub answer_stall_seconds: u64,

    /// Seconds that an idle connection is kept for the next request; longer than a proxy in front keeps it
    #[arg(long, env = "KEEP_ALIVE_SECONDS", value_name = "KEEP_ALIVE_SECONDS", default_value_t = 75,
          value_parser = value_parser!(u64).range(1..=3600))]
    pub keep_alive_seconds: u64,

    /// Seconds that a send waits for an unreachable database before it is answered with `unavailable`
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
