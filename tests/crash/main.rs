//! Clients that drop, servers and databases that are killed, and a checker that looks whether anything
//! was lost, doubled, changed or left out.
//!
//! The quick runs are part of `cargo test`. `STORM=long` makes them a minute of drops, 20 kills of the
//! server and 10 of PostgreSQL; `STORM_SEED` repeats the choices of a run.

#![allow(
    clippy::needless_pass_by_value,
    clippy::type_complexity,
    clippy::unwrap_used,
    clippy::wrong_self_convention,
    unreachable_pub,
    dead_code,
    reason = "tests fail by panicking, speak the domain and share their support"
)]

#[cfg(feature = "failpoints")]
#[path = "../support/broker.rs"]
mod broker;
mod checker;
mod figures;
mod history;
#[path = "../support/node.rs"]
mod node;
#[path = "../support/people.rs"]
mod people;
#[cfg(feature = "failpoints")]
mod points;
mod runs;
#[path = "../support/socket.rs"]
mod socket;
mod spoiled;
mod storm;
