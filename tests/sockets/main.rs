//! Sockets from outside: a real server on a private PostgreSQL, and clients that know the contract only.

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
mod clock;
mod doors;
mod habits;
mod lists;
mod marks;
#[path = "../support/node.rs"]
mod node;
mod old_faults;
mod opening;
mod overload;
#[path = "../support/people.rs"]
mod people;
mod presence;
mod raw;
mod refused;
mod rest_seen;
mod resume;
#[path = "../support/socket.rs"]
mod socket;
mod stopping;
mod talk;

use node::Node;
use tokio::sync::OnceCell;

/// The server that most tests share, with rates off and bounds as they are by default.
pub async fn shared() -> &'static Node {
    static SHARED: OnceCell<Node> = OnceCell::const_new();
    SHARED.get_or_init(|| Node::start(&[("RATE_LIMITS", "off"), ("LEGACY_SOCKET_SECONDS", "0")])).await
}

/// A server with the limits of a fresh installation.
pub async fn limited() -> &'static Node {
    static LIMITED: OnceCell<Node> = OnceCell::const_new();
    LIMITED.get_or_init(|| Node::start(&[])).await
}
