//! A Django chat is moved in and out again: every oddity that stands in its tables, imports that are killed at any
//! point, imports that are run again, and the way back.

#![allow(
    clippy::needless_pass_by_value,
    clippy::type_complexity,
    clippy::unwrap_used,
    clippy::wrong_self_convention,
    unreachable_pub,
    dead_code,
    reason = "tests fail by panicking, speak the domain and share their support"
)]

mod again;
mod django;
mod export;
mod files;
#[cfg(feature = "failpoints")]
mod killed;
mod logs;
mod marks;
mod rooms;
mod world;
