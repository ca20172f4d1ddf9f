//! Sockets from outside: a real server on a private PostgreSQL, and clients that rely on the contract only.

#![allow(
    clippy::needless_pass_by_value,
    clippy::type_complexity,
    clippy::unwrap_used,
    clippy::wrong_self_convention,
    unreachable_pub,
    dead_code,
    reason = "tests fail by panicking, speak the domain and share their support"
)]

mod access;
mod attachments;
mod bots;
mod cards;
mod clock;
mod example_bot;
mod guests;
mod habits;
mod listener;
mod lists;
mod marks;
mod mentions;
#[path = "../support/node.rs"]
mod node;
mod notifications;
mod old_faults;
mod opening;
mod overload;
mod personal;
mod phone_pushes;
mod pins;
mod presence;
#[path = "../support/push_service.rs"]
mod push_service;
mod pushes;
mod raw;
mod reactions;
mod refused;
mod rest_seen;
mod resume;
mod settings;
#[path = "../support/socket.rs"]
mod socket;
mod stopping;
mod talk;
mod threads;
mod urgent;
#[path = "../support/users.rs"]
mod users;

use node::Node;
use tokio::sync::OnceCell;

/// The server that most tests share, without rate limits and with default limits.
pub async fn shared() -> &'static Node {
    static SHARED: OnceCell<Node> = OnceCell::const_new();
    SHARED.get_or_init(|| Node::start(&[("RATE_LIMITS", "off"), ("LEGACY_SOCKET_SECONDS", "0")])).await
}

/// A server with all default limits.
pub async fn limited() -> &'static Node {
    static LIMITED: OnceCell<Node> = OnceCell::const_new();
    LIMITED.get_or_init(|| Node::start(&[])).await
}
