//! The contract of the broker port, for the adapters in memory and over RabbitMQ, and what the latter does
//! about each known failure of a broker.

#![allow(
    clippy::needless_pass_by_value,
    clippy::type_complexity,
    clippy::unwrap_used,
    clippy::wrong_self_convention,
    unreachable_pub,
    dead_code,
    reason = "tests fail by panicking, speak the domain and share their support"
)]

mod contract;
mod failures;
#[path = "../support/proxy.rs"]
#[allow(dead_code, reason = "shared with other targets")]
mod proxy;
#[path = "../support/rabbitmq.rs"]
#[allow(dead_code, reason = "shared with other targets")]
mod rabbitmq;
mod world;
