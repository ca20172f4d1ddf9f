//! What every link must do, in memory and over RabbitMQ; and then each way in which a broker is known to
//! fail, with what the link does about it.

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
#[allow(dead_code, reason = "shared with other targets")]
mod broker;
mod contract;
#[path = "../support/proxy.rs"]
#[allow(dead_code, reason = "shared with other targets")]
mod proxy;
mod traps;
mod world;
