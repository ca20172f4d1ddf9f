//! Several nodes as processes, on one PostgreSQL and one RabbitMQ of the tests' own: two people on two
//! nodes can't tell, and an operator may kill what he likes.
//!
//! The short versions run with the other tests. The long ones:
//! `CLUSTER_SECONDS=300 CLUSTER_SOCKETS=100 CLUSTER_RATE=300 cargo test --release --test cluster -- \
//! --ignored --nocapture --test-threads 1`

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
mod checker;
mod client;
mod cluster;
mod failover;
mod faults;
mod latency;
mod live;
mod presence;
#[path = "../support/proxy.rs"]
#[allow(dead_code, reason = "shared with other targets")]
mod proxy;
mod restarts;
mod soak;
mod workload;
