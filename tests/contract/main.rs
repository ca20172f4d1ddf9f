//! The contract of the `Store` port: one suite for the memory store and PostgreSQL, and tests of what only a
//! database can get wrong.

#![allow(
    clippy::needless_pass_by_value,
    clippy::type_complexity,
    clippy::unwrap_used,
    clippy::wrong_self_convention,
    unreachable_pub,
    dead_code,
    reason = "tests fail by panicking, speak the domain and share their support"
)]

mod acknowledging;
mod attaching;
mod auditing;
mod bench;
mod bots;
mod bulkheads;
mod card_changing;
mod changes;
mod consumers;
mod deleting;
mod directory;
mod erasing;
mod faults;
mod forwarded_files;
mod forwarding;
mod full_disk;
mod guests;
mod history;
mod holding;
mod integrating;
mod inviting;
mod janitor;
mod locks;
mod mentioning;
mod notifying;
mod opening;
mod personal;
mod pinning;
mod plans;
mod pushing;
mod reacting;
mod readers;
mod reading;
mod restores;
mod retaining;
mod rules;
mod search_bench;
mod searching;
mod settings;
mod sql_rules;
mod threading;
mod urgent;
mod webhook_filters;
mod webhooks;
mod world;
