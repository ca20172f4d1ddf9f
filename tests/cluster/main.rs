//! Several nodes as processes, on a PostgreSQL and a RabbitMQ of their own. For users it makes no difference
//! on which node they are, and an operator may kill any part.
//!
//! The short versions run with the other tests. The long ones: `CLUSTER_SECONDS=300 CLUSTER_SOCKETS=100
//! CLUSTER_RATE=300 cargo test --release --test cluster -- \ --ignored --nocapture --test-threads 1`

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
mod client;
mod cluster;
mod failover;
mod faults;
mod latency;
mod live;
mod postgres;
mod presence;
#[path = "../support/proxy.rs"]
#[allow(dead_code, reason = "shared with other targets")]
mod proxy;
#[path = "../support/rabbitmq.rs"]
#[allow(dead_code, reason = "shared with other targets")]
mod rabbitmq;
mod restarts;
mod soak;
mod tls;
mod uploads;
mod workload;
