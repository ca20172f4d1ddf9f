//! Attempts to gain access: by races, by reading along, and by requests generated from the OpenAPI document.

#![allow(
    clippy::needless_pass_by_value,
    clippy::type_complexity,
    clippy::unwrap_used,
    clippy::wrong_self_convention,
    unreachable_pub,
    dead_code,
    reason = "tests fail by panicking, speak the domain and share their support"
)]

mod files;
#[path = "../support/node.rs"]
mod node;
#[path = "../support/rabbitmq.rs"]
mod rabbitmq;
mod races;
mod schemathesis;
mod secrets;
#[path = "../support/socket.rs"]
mod socket;
mod tus_client;
#[path = "../support/users.rs"]
mod users;
