//! REST against the real application on a private PostgreSQL.

#![allow(
    clippy::needless_pass_by_value,
    clippy::type_complexity,
    clippy::unwrap_used,
    clippy::wrong_self_convention,
    unreachable_pub,
    dead_code,
    reason = "tests fail by panicking, speak the domain and share their support"
)]

mod bad_input;
mod decoders;
mod docs;
mod files;
mod grants;
mod habits;
mod hosts;
mod messages;
mod old_faults;
mod page;
mod participants;
mod people;
mod roles;
mod rooms;
mod server;
mod sessions;
mod signing_in;
mod stage;
