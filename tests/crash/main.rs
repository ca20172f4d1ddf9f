//! Clients that disconnect, servers and databases that are killed, and a checker that detects whether
//! anything was lost, duplicated, changed or omitted.
//!
//! The quick runs are part of `cargo test`. `STORM=long` extends them to a minute of disconnects, 20 kills of
//! the server and 10 of PostgreSQL. `STORM_SEED` repeats the random choices of a run.

#![allow(
    clippy::needless_pass_by_value,
    clippy::type_complexity,
    clippy::unwrap_used,
    clippy::wrong_self_convention,
    unreachable_pub,
    dead_code,
    reason = "tests fail by panicking, speak the domain and share their support"
)]

mod checker;
mod checker_tests;
mod history;
#[path = "../support/node.rs"]
mod node;
#[cfg(feature = "failpoints")]
mod points;
#[cfg(feature = "failpoints")]
#[path = "../support/push_service.rs"]
mod push_service;
#[cfg(feature = "failpoints")]
mod pushing;
#[cfg(feature = "failpoints")]
#[path = "../support/rabbitmq.rs"]
mod rabbitmq;
mod runs;
#[cfg(feature = "failpoints")]
mod scheduled;
mod slow_reader;
#[path = "../support/socket.rs"]
mod socket;
mod storm;
#[path = "../support/users.rs"]
mod users;
