//! Webhooks end to end: nodes as processes that send to a receiver, which verifies each request and answers as a good
//! target, a bad one, or not at all.

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
mod deaths;
#[path = "../support/node.rs"]
mod node;
mod receiver;
mod sending;
#[path = "../support/users.rs"]
mod users;
mod verifying;
mod world;
