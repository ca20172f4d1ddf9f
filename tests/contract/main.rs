//! What every store must do: one suite that runs on the memory store and on PostgreSQL, and then what
//! only a database can get wrong.

#![allow(
    clippy::needless_pass_by_value,
    clippy::type_complexity,
    clippy::unwrap_used,
    clippy::wrong_self_convention,
    unreachable_pub,
    dead_code,
    reason = "tests fail by panicking, speak the domain and share their support"
)]

mod bench;
mod bulkheads;
mod deleting;
mod directory;
mod erasing;
mod faults;
mod full_disk;
mod locks;
mod opening;
mod plans;
mod readers;
mod reading;
mod rules;
mod searching;
mod world;
