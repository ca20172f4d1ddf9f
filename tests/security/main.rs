//! Attempts to get at what one may not have: by racing, by listening, and by requests that a machine
//! makes up from the OpenAPI document.

#![allow(
    clippy::needless_pass_by_value,
    clippy::type_complexity,
    clippy::unwrap_used,
    clippy::wrong_self_convention,
    unreachable_pub,
    dead_code,
    reason = "tests fail by panicking, speak the domain and share their support"
)]

#[path = "../support/broker.rs"]
mod broker;
mod files;
mod made_up;
#[path = "../support/node.rs"]
mod node;
#[path = "../support/people.rs"]
mod people;
mod races;
mod secrets;
#[path = "../support/socket.rs"]
mod socket;
